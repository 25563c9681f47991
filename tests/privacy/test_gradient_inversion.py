"""Gradient inversion: every token of a batch without privacy, nothing above chance with enough noise."""

import numpy as np
import pytest
import torch
import transformers
from torch import nn

from auditkit.errors import DataError, MissingCapability
from auditkit.models.char_transformer import CharGPTConfig, CharTransformer
from auditkit.privacy.gradient_inversion import (
    Privatisation,
    embedding_name,
    invert_gradients,
    likeliest_tokens,
    step_gradient,
    targets_predicted,
    tokens_read,
)
from auditkit.privacy.losses import next_token_loss
from auditkit.privacy.noise import SeededNoise

VOCABULARY = 120
BATCHES = 12


@pytest.fixture(scope="module")
def char_gpt():
    torch.manual_seed(0)
    config = CharGPTConfig(
        vocabulary="".join(map(chr, range(100, 100 + VOCABULARY))), hidden=16, layers=1, heads=2, context=12,
        causal=True, positions=True, scaled=True, pre_norm=True,
    )  # fmt: skip
    return CharTransformer(config)


@pytest.fixture(scope="module")
def tied():
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=VOCABULARY, n_embd=32, n_layer=1, n_head=2, n_positions=12, bos_token_id=0, eos_token_id=0
    )
    return transformers.GPT2LMHeadModel(config).eval()


def batch(seed):
    ids = torch.from_numpy(np.random.default_rng(seed).integers(VOCABULARY, size=(2, 8)))

    def losses(module):
        output = module(ids)
        return next_token_loss(getattr(output, "logits", output), ids)

    return ids[:, :-1], losses  # after the last token nothing is predicted, so no loss depends on it


def protected(noise_multiplier):
    return Privatisation(max_grad_norm=1.0, noise_multiplier=noise_multiplier, noise=SeededNoise(0))


def attack(module, privatisation=None, steps=BATCHES):
    batches = [batch(seed) for seed in range(steps)]
    return invert_gradients(module, batches, rng=np.random.default_rng(0), privatisation=privatisation)


def test_the_rows_that_are_not_zero_are_the_tokens_that_were_read(char_gpt):
    for seed in range(BATCHES):
        ids, losses = batch(seed)
        gradient = step_gradient(char_gpt, losses)
        assert tokens_read(gradient["tokens.weight"]) == ids.unique().tolist()


def test_negative_entries_of_the_bias_are_targets(char_gpt):
    for seed in range(BATCHES):
        targets = np.random.default_rng(seed).integers(VOCABULARY, size=(2, 8))[:, 1:]
        found = targets_predicted(step_gradient(char_gpt, batch(seed)[1])["head.bias"])
        assert set(found) == set(targets.flatten().tolist())  # an untrained model finds none of them likely


def test_the_longest_rows_by_hand():
    gradient = torch.tensor([[0.0, 1.0], [3.0, 4.0], [0.0, 0.0], [-2.0, 0.0]])
    assert likeliest_tokens(gradient, 2) == [1, 3]
    assert tokens_read(gradient) == [0, 1, 3]


@pytest.mark.parametrize(("family", "least"), [("char_gpt", 100), ("tied", 80)])
def test_without_privacy_the_tokens_are_recovered(family, least, request):
    m = attack(request.getfixturevalue(family))
    assert m.value >= least
    assert m.interval.low > 60
    assert m.details["gain_low"] > 60
    assert m.ideal == pytest.approx(m.details["no_access"])
    assert m.n == BATCHES


@pytest.mark.parametrize("family", ["char_gpt", "tied"])
def test_enough_noise_leaves_only_what_chance_recovers(family, request):
    m = attack(request.getfixturevalue(family), protected(1.0), steps=150)
    assert m.ideal in m.interval
    assert m.interval.high < 15
    assert m.details["gain_low"] < 0 < m.details["gain_high"]
    assert "clipped to 1, with noise of 1 times that" in m.method


def test_too_little_noise_protects_nothing(char_gpt):
    assert attack(char_gpt, protected(1e-5)).value > 90


def test_more_noise_recovers_less(char_gpt):
    values = [attack(char_gpt, protected(sigma)).value for sigma in (1e-4, 1e-2, 1.0)]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[-1] + 30


def test_the_model_is_not_changed(char_gpt):
    before = {k: v.clone() for k, v in char_gpt.state_dict().items()}
    attack(char_gpt, protected(1.0))
    assert all(torch.equal(v, before[k]) for k, v in char_gpt.state_dict().items())
    assert all(p.grad is None for p in char_gpt.parameters())


def test_the_embedding_is_found(char_gpt, tied):
    assert embedding_name(char_gpt) == "tokens.weight"
    assert embedding_name(tied) == "transformer.wte.weight"
    with pytest.raises(MissingCapability, match="no embedding of tokens"):
        embedding_name(nn.Linear(2, 2))


def test_bad_input_is_refused(char_gpt):
    with pytest.raises(DataError, match="no batches"):
        invert_gradients(char_gpt, [], rng=np.random.default_rng(0))
    _, losses = batch(0)
    with pytest.raises(DataError, match=r"losses of shape \(\); expected one for each example"):
        step_gradient(char_gpt, lambda module: losses(module).mean())
