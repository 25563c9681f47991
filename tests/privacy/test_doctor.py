import pytest
import torch
from torch import nn
from torch.nn import functional as F

from auditkit.privacy.doctor import examine, inspect, require_exact
from auditkit.privacy.losses import label_loss
from auditkit.privacy.tape import UnsupportedModel

BATCH = {"x": torch.arange(20.0).reshape(5, 4) / 7, "labels": torch.tensor([0, 1, 1, 0, 1])}


def losses_of(module):
    return lambda batch: label_loss(module(batch["x"]), batch["labels"])


def sound():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Dropout(0.5), nn.Linear(6, 2))


def test_a_sound_model_passes_and_is_left_as_it_was():
    module = sound()
    module[0].weight.grad = torch.ones(6, 4)
    weights = [p.clone() for p in module.parameters()]
    require_exact(module, losses_of(module), BATCH)
    assert module.training
    assert module[2].training
    assert module[0].weight.grad.eq(1).all()
    assert module[3].weight.grad is None
    assert all(torch.equal(p, w) for p, w in zip(module.parameters(), weights, strict=True))


def test_a_batch_of_one_example_is_enough_to_look_at():
    module = sound()
    assert examine(module, losses_of(module), {key: value[:1] for key, value in BATCH.items()}) == []


def test_every_problem_is_told_at_once_with_its_fix():
    class Several(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv1d(4, 4, 1), nn.BatchNorm1d(4)
            self.matrix = nn.Parameter(torch.ones(4, 2))

        def forward(self, x):
            return torch.einsum("bi,io->bo", self.norm(self.conv(x[:, :, None]))[..., 0], self.matrix)

    module = Several()
    with pytest.raises(UnsupportedModel) as error:
        require_exact(module, losses_of(module), BATCH)
    told = "\n".join(error.value.problems)
    assert "norm: BatchNorm1d lets examples act on each other" in told
    assert "replace it by LayerNorm" in told
    assert "conv.bias, conv.weight: used by conv1d()" in told
    assert "matrix: used by einsum()" in told
    assert str(error.value).count("\n- ") == len(error.value.problems)


class CentredOnTheBatch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(4, 2)

    def forward(self, x):
        return self.out(x**2 - (x**2).mean(0))


class TimeFirst(nn.Module):
    """(B, 4) seen as (2, B, 2): the batch is second where the weight is used, and 2 looks like a batch of two."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(2, 2)

    def forward(self, x):
        return self.out(x.unflatten(1, (2, 2)).transpose(0, 1)).cumsum(0)[-1]


def test_a_batch_that_is_second_where_a_weight_is_used_is_refused_by_the_engine_itself():
    module = TimeFirst()
    (problem,) = examine(module, losses_of(module), BATCH)
    assert problem.startswith("out.bias, out.weight: the input of linear() is not batched in its first dimension")


def test_examples_that_act_on_each_other_are_found_by_comparing_with_single_examples():
    module = CentredOnTheBatch()
    problems = examine(module, losses_of(module), BATCH)
    assert any(p.startswith("example 0: gradient norm") for p in problems)
    assert any(p.startswith("out.weight: clipped sum is") for p in problems)


def test_randomness_that_eval_mode_does_not_stop_is_found():
    class Noisy(nn.Linear):
        def forward(self, x):
            return F.dropout(super().forward(x), 0.5)

    torch.manual_seed(3)
    module = Noisy(4, 2)
    assert "draws random numbers" in examine(module, losses_of(module), BATCH)[0]


def test_a_wrapped_model_is_refused_without_running_it():
    module = nn.DataParallel(sound())
    assert examine(module, lambda batch: pytest.fail("was run"), BATCH) == [
        "the model: is wrapped as DataParallel; pass the model as it was before wrapping it"
    ]


def test_mixed_devices_are_refused_without_running_the_model():
    module = sound()
    module[3].to("meta")
    problems = examine(module, lambda batch: pytest.fail("was run"), BATCH)
    assert [p.split(";")[0] for p in problems] == [
        "parameters on cpu, meta",
        "parameters on the meta device hold no numbers",
    ]


def test_a_model_with_nothing_to_train_is_refused():
    module = sound().requires_grad_(False)
    assert inspect(module) == ["no parameter is trainable; set requires_grad on those to train, or add adapters"]
    assert examine(module, losses_of(module), BATCH) == inspect(module)


def test_a_mean_loss_is_told_as_such():
    module = sound()
    (problem,) = examine(module, lambda batch: losses_of(module)(batch).mean(), BATCH)
    assert "one loss for each example, not their mean" in problem


def test_autocast_passes_with_the_tolerance_of_half_precision():
    module = sound()

    def losses(batch):
        with torch.autocast("cpu", torch.bfloat16):
            return losses_of(module)(batch)

    assert examine(module, losses, BATCH, tolerance=0.05) == []
    assert "tolerance=0.05" in examine(module, losses, BATCH, tolerance=1e-7)[0]
