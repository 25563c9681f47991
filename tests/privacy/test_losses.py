import math

import pytest
import torch

from auditkit.errors import InputError
from auditkit.privacy.losses import label_loss, next_token_loss, token_loss

LOGITS = torch.log(torch.tensor([[[0.5, 0.5], [0.1, 0.9], [0.25, 0.75]], [[0.2, 0.8], [0.5, 0.5], [0.6, 0.4]]]))


def test_each_example_is_the_mean_over_its_own_counted_tokens():
    losses = token_loss(LOGITS, torch.tensor([[0, 1, -100], [-100, -100, 0]]))
    assert losses.tolist() == pytest.approx([-(math.log(0.5) + math.log(0.9)) / 2, -math.log(0.6)])


def test_a_causal_model_is_scored_on_the_token_that_follows():
    losses = next_token_loss(LOGITS, torch.tensor([[1, 0, -100], [0, 0, 1]]))
    assert losses.tolist() == pytest.approx([-math.log(0.5), -(math.log(0.2) + math.log(0.5)) / 2])


def test_an_example_without_counted_tokens_has_no_loss_and_no_gradient():
    logits = LOGITS.clone().requires_grad_()
    losses = token_loss(logits, torch.tensor([[-100, -100, -100], [0, 0, 0]]))
    losses.sum().backward()
    assert losses[0].item() == 0
    assert not logits.grad[0].any()


def test_classification():
    assert label_loss(LOGITS[:, 1], torch.tensor([1, 0])).tolist() == pytest.approx([-math.log(0.9), -math.log(0.5)])


@pytest.mark.parametrize(
    ("loss", "logits", "labels"),
    [(token_loss, (2, 3, 4), (2, 2)), (token_loss, (2, 3), (2,)), (label_loss, (2, 3, 4), (2, 3))],
)
def test_shapes_that_do_not_fit_are_refused(loss, logits, labels):
    with pytest.raises(InputError, match="expected"):
        loss(torch.zeros(logits), torch.zeros(labels, dtype=torch.long))
