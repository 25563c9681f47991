"""A model is copied before it is trained; low-rank adapters train alone, and vanish into the weights they adapt."""

import copy

import numpy as np
import peft
import pytest
import torch

from auditkit.errors import InputError, MissingCapability
from auditkit.privacy.adapters import LowRankAdapters, copy_of
from auditkit.privacy.objectives import objective_for
from tests.privacy.tiny_models import KINDS, char_gpt, classifier, equal, gpt2, train, weights

HEAD = ("classifier.weight", "classifier.bias")


def trained_before_and_after_merging(monkeypatch, kind):
    """The result of a training, and its model as it was before the adapters were merged."""
    make, records = KINDS[kind]
    given = make()
    before_merge = {}
    merge = LowRankAdapters.merge

    def watched(self):
        module = self.tuner.model
        before_merge.update({name: p.detach().clone() for name, p in module.named_parameters()})
        before_merge["losses"] = losses_of(module)
        return merge(self)

    def losses_of(module):
        module.eval()
        objective = objective_for(given, records)
        with torch.no_grad():
            return objective.losses(module, objective.batch(range(len(records)), np.random.default_rng(0)))

    monkeypatch.setattr(LowRankAdapters, "merge", watched)
    result = train(given, records, lora=2, learning_rate=3e-2)
    return given, before_merge, result, losses_of


@pytest.mark.parametrize("kind", KINDS)
def test_adapters_alone_are_trained_and_merging_changes_no_output(monkeypatch, kind):
    given, before, result, losses_of = trained_before_and_after_merging(monkeypatch, kind)
    start, end = weights(given), weights(result.model)
    assert end.keys() == start.keys()
    for name, tensor in start.items():
        adapted = name.replace(".weight", ".base_layer.weight").replace(".bias", ".base_layer.bias")
        kept = before[adapted if adapted in before else name]
        assert torch.equal(kept, tensor) or name in HEAD, name
    torch.testing.assert_close(losses_of(result.model.module), before["losses"], atol=1e-5, rtol=1e-5)
    moved = {name for name in start if not torch.equal(start[name], end[name])}
    assert moved
    trained = sum(t.numel() for n, t in before.items() if "lora_" in n or (kind == "classifier" and n in HEAD))
    assert result.record["trainable"] == trained
    assert result.record["parameters"] == sum(t.numel() for t in start.values())


@pytest.mark.parametrize("kind", KINDS)
def test_what_required_gradients_does_so_afterwards(kind):
    make, _ = KINDS[kind]
    model = make()
    for i, p in enumerate(model.module.parameters()):
        p.requires_grad = i % 2 == 0
    before = {name: p.requires_grad for name, p in model.module.named_parameters()}
    LowRankAdapters(model, 2).merge()
    assert {name: p.requires_grad for name, p in model.module.named_parameters()} == before


def test_a_classifiers_head_is_trained_with_the_adapters():
    model = classifier()
    LowRankAdapters(model, 2)
    trainable = {name for name, p in model.module.named_parameters() if p.requires_grad}
    assert {name for name in trainable if "lora_" not in name} == set(HEAD)


def test_new_adapters_change_nothing_yet():
    """B is zero (Hu et al., 2021): the adapted model begins where the given one is."""
    model, twin = gpt2(), gpt2()
    LowRankAdapters(model, 4)
    ids = torch.arange(12).view(2, 6)
    assert torch.equal(model.module(ids).logits, twin.module(ids).logits)


def test_the_output_layer_gets_no_adapter():
    model = char_gpt()
    LowRankAdapters(model, 2)
    adapted = {name.split(".lora_")[0] for name, _ in model.module.named_parameters() if "lora_" in name}
    assert adapted == {f"blocks.0.{n}" for n in ("attention.q", "attention.k", "attention.v", "attention.out")} | {
        "blocks.0.feed_forward.0",
        "blocks.0.feed_forward.2",
    }


def test_a_configuration_of_peft_says_where_and_is_left_as_it_was():
    config = peft.LoraConfig(r=3, target_modules=["attention.q", "attention.v"])
    before = copy.deepcopy(config.to_dict())
    result = train(char_gpt(), KINDS["char-gpt"][1], lora=config)
    assert result.record["trainable"] == 2 * 3 * (16 + 16)
    assert config.to_dict() == before


def test_a_configuration_that_fits_nothing_is_refused():
    with pytest.raises(InputError, match="do not fit this model"):
        LowRankAdapters(char_gpt(), peft.LoraConfig(r=2, target_modules=["no_such_layer"]))


def test_a_model_without_a_stack_of_layers_is_refused_with_the_fix():
    model = char_gpt()
    model.module.blocks = torch.nn.ModuleList()
    with pytest.raises(InputError, match="target_modules"):
        LowRankAdapters(model, 2)


def test_the_copy_has_weights_of_its_own_and_shares_the_tokenizer():
    model = gpt2()
    hashed = model.weights_sha256
    twin = copy_of(model)
    assert equal(model, twin)
    assert twin.tokenizer is model.tokenizer
    with torch.no_grad():
        next(twin.module.parameters()).zero_()
    assert not equal(model, twin)
    assert model.weights_sha256 == hashed != twin.weights_sha256


def test_tied_weights_stay_tied_in_the_copy():
    twin = copy_of(gpt2())
    assert twin.module.lm_head.weight is twin.module.transformer.wte.weight


def test_what_gives_out_no_module_cannot_be_copied():
    with pytest.raises(MissingCapability, match="no module to train"):
        copy_of(object())
