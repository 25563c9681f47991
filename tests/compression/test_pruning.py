"""Pruning removes exactly what was asked for, and the weights that the method says."""

import numpy as np
import pytest
import torch
import transformers

from auditkit.compression import calibration, pruning
from auditkit.compression.calibration import calibration_texts, mean_squares, second_moments
from auditkit.compression.layers import linear_layers, sparsity
from auditkit.compression.spec import compress, steps_of
from auditkit.errors import InputError, MissingCapability, UnknownName
from auditkit.models.loading import load_model
from auditkit.testing import FakeMaskedLM, check_model
from tests.compression.conftest import ADAPTERS, TEXTS, same_bytes, state, tiny
from tests.privacy.tiny_models import char_gpt

SCOPES = ("global", "layer", "output")
METHODS = {"magnitude": {}, "random": {}, "wanda": {"texts": TEXTS}}
QUERY = "blocks.0.attention.q"


def pruned(model, method, **options):
    return compress(model, {method: {**METHODS[method], **options}})


def four_by_four(rows):
    """A char-GPT whose first query layer has these weights."""
    model = char_gpt(hidden=4)
    linear_layers(model.module)[QUERY].weight.copy_(torch.tensor(rows))
    return model


def query(model):
    return linear_layers(model.module)[QUERY].weight


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("ratio", [0.1, 1 / 3, 0.5, 0.999])
def test_the_pruned_share_is_exact_to_one_weight(method, scope, ratio):
    model = tiny("causal")
    smaller = pruned(model, method, ratio=ratio, scope=scope)
    for layer in linear_layers(smaller.module).values():
        zeros = (layer.weight == 0).sum(1)
        if scope != "global":
            assert int(zeros.sum()) == round(ratio * layer.weight.numel())
        if scope == "output":
            assert int(zeros.max() - zeros.min()) <= 1
    if scope == "global":
        found = sparsity(smaller.module)
        assert found.zeros == round(ratio * found.weights)
    assert smaller.compression[0]["sparsity"] == sparsity(smaller.module).fraction


@pytest.mark.parametrize("method", METHODS)
def test_every_kind_of_model_is_pruned_and_still_conforms(adapter, method):
    before = state(adapter)
    smaller = pruned(adapter, method, ratio=0.5, scope="layer")
    found = sparsity(smaller.module)
    assert found.zeros == round(0.5 * found.weights)
    assert same_bytes(before, state(adapter)), "the model given was changed"
    check_model(smaller)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scope", SCOPES)
def test_a_ratio_of_zero_changes_no_byte(method, scope):
    model = tiny("causal")
    next(iter(linear_layers(model.module).values())).weight[0, 0] = -0.0
    assert same_bytes(state(model), state(pruned(model, method, ratio=0, scope=scope)))


def test_magnitude_prunes_the_smallest_of_all_layers():
    smaller = pruned(model := tiny("masked"), "magnitude", ratio=0.6)
    pairs = zip(linear_layers(model.module).values(), linear_layers(smaller.module).values(), strict=True)
    both = [(before.weight.abs(), after.weight == 0) for before, after in pairs]
    gone, kept = torch.cat([w[z] for w, z in both]), torch.cat([w[~z] for w, z in both])
    assert gone.max() <= kept.min()


def test_what_is_not_pruned_keeps_its_value():
    smaller = pruned(model := tiny("causal"), "wanda", ratio=0.5)
    before, after = state(model), state(smaller)
    assert all(torch.equal(after[name], before[name].where(after[name] != 0, 0)) for name in before)


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_equal_weights_are_pruned_from_the_first_on(scope):
    model = four_by_four([[1.0] * 4] * 4)
    smaller = pruned(model, "magnitude", ratio=0.3, scope=scope, layers=[QUERY])  # round(4.8) = 5
    assert (query(smaller).flatten() == 0).tolist() == [True] * 5 + [False] * 11


def test_wanda_by_hand(monkeypatch):
    model = four_by_four([[3.0, -1.0, 2.0, 4.0], [1.0, 1.0, 1.0, 1.0], [-9.0, 0.5, 2.0, 1.0], [0.1, 0.2, 0.3, 9.0]])
    squares = torch.tensor([1.0, 100.0, 1.0, 1 / 16], dtype=torch.float64)  # norms 1, 10, 1, 1/4
    monkeypatch.setattr(pruning, "mean_squares", lambda *_: {QUERY: squares})
    smaller = pruned(model, "wanda", ratio=0.5, layers=[QUERY])
    # scores: 3 10 2 1 | 1 10 1 .25 (the first of the equal ones goes) | 9 5 2 .25 | .1 2 .3 2.25
    expected = [[3.0, -1.0, 0, 0], [0, 1.0, 1.0, 0], [-9.0, 0.5, 0, 0], [0, 0.2, 0, 9.0]]
    torch.testing.assert_close(query(smaller), torch.tensor(expected))


def test_wanda_keeps_small_weights_on_a_loud_feature_and_magnitude_does_not():
    model = char_gpt(hidden=16)
    with torch.no_grad():
        model.module.blocks[0].attention_norm.weight[3] = 1000.0
        query(model)[:, 3] = 1e-4
    assert (query(pruned(model, "magnitude", ratio=0.5, scope="layer"))[:, 3] == 0).all()
    assert (query(pruned(model, "wanda", ratio=0.5))[:, 3] != 0).all()


def test_random_pruning_follows_the_seed():
    model = tiny("char-gpt")
    masks = [state(compress(model, {"random": {"ratio": 0.5}}, seed=seed)) for seed in (0, 0, 1)]
    assert same_bytes(masks[0], masks[1])
    assert not same_bytes(masks[0], masks[2])


@pytest.mark.parametrize("method", METHODS)
def test_two_of_four_holds_everywhere(adapter, method):
    for name, layer in linear_layers(pruned(adapter, method, pattern="2:4").module).items():
        assert ((layer.weight.unflatten(1, (-1, 4)) == 0).sum(-1) == 2).all(), name


def test_a_pattern_keeps_the_largest_of_each_group():
    model = four_by_four([[4.0, -3.0, 2.0, 1.0], [0.1, 0.4, -0.3, 0.2], [1.0, 1.0, 1.0, 1.0], [5.0, 5.0, 6.0, 1.0]])
    kept = query(pruned(model, "magnitude", pattern="2:4", layers=[QUERY])) != 0
    assert kept.int().tolist() == [[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1], [0, 1, 1, 0]]
    one = query(pruned(model, "magnitude", pattern="1:2", layers=[QUERY])) != 0
    assert one.int().tolist()[:2] == [[1, 0, 1, 0], [0, 1, 1, 0]]


def test_only_the_layers_named_are_pruned():
    smaller = pruned(tiny("masked"), "magnitude", ratio=0.5, layers=["*attention*"])
    layers = sparsity(smaller.module).layers
    assert {name for name, share in layers.items() if share} == {name for name in layers if "attention" in name}
    assert smaller.compression[0]["layers"] == 8


def test_zeros_survive_saving(tmp_path):
    smaller = pruned(tiny("causal"), "magnitude", ratio=0.7)
    smaller.module.save_pretrained(tmp_path / "gpt2")
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "gpt2")
    assert sparsity(again) == sparsity(smaller.module)
    char = pruned(tiny("char-gpt"), "magnitude", ratio=0.7)
    assert sparsity(type(char).load(char.save(tmp_path / "char")).module) == sparsity(char.module)


@pytest.mark.parametrize("ratio", [1, -0.1, 50, float("nan"), "half", None, True])
@pytest.mark.parametrize("method", [*METHODS, "heads", "neurons"])
def test_a_ratio_outside_zero_to_one_is_refused(method, ratio):
    with pytest.raises(InputError, match=r"expected the share to prune, a number in \[0, 1\)"):
        steps_of({method: {**METHODS.get(method, {}), "ratio": ratio}})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pattern": "24"}, "expected N:M"),
        ({"pattern": "4:2"}, "expected N:M"),
        ({"pattern": "0:4"}, "expected N:M"),
        ({"pattern": "2:4", "ratio": 0.7}, "contradicts pattern 2:4, which prunes 0.5"),
    ],
)
def test_a_wrong_pattern_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        steps_of({"magnitude": options})


def test_a_pattern_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="has 16 inputs, not a multiple of the 5"):
        pruned(tiny("char-gpt"), "magnitude", pattern="2:5")


def test_an_unknown_scope_is_refused():
    with pytest.raises(UnknownName, match="did you mean 'global'"):
        steps_of({"magnitude": {"ratio": 0.5, "scope": "globl"}})


# --- calibration ------------------------------------------------------------------------------------------------


def test_texts_are_a_list_or_the_lines_of_a_file(tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("one\n\ntwo\n", encoding="utf-8")
    assert calibration_texts(file) == calibration_texts(str(file)) == calibration_texts(["one", " ", "two"])
    file.write_text("\n \n", encoding="utf-8")
    for empty in ([], ["", "  "], file):
        with pytest.raises(InputError, match="there is no text"):
            calibration_texts(empty)
    with pytest.raises(InputError, match="cannot be read"):
        calibration_texts(str(tmp_path / "absent.txt"))
    with pytest.raises(InputError, match="calibration text 3"):
        calibration_texts([3])


@pytest.mark.parametrize("kind", ADAPTERS)
def test_statistics_do_not_depend_on_batches(monkeypatch, kind):
    model = tiny(kind)
    layers = linear_layers(model.module)
    together = second_moments(model, TEXTS, layers), mean_squares(model, TEXTS, layers)
    monkeypatch.setattr(calibration, "TOKENS_PER_BATCH", 1)
    alone = second_moments(model, TEXTS[::-1], layers), mean_squares(model, TEXTS[::-1], layers)
    for name, layer in layers.items():
        moments = together[0][name]
        assert moments.shape == (layer.weight.shape[1],) * 2
        torch.testing.assert_close(moments.diagonal(), together[1][name], rtol=1e-5, atol=1e-8)
        torch.testing.assert_close(moments, alone[0][name], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(together[1][name], alone[1][name], rtol=1e-5, atol=1e-8)


def test_statistics_are_those_of_the_tokens_of_a_padded_batch():
    """The same by another way: all texts in one padded batch, padding masked out by hand."""
    model = tiny("masked")
    name = "bert.encoder.layer.1.intermediate.dense"
    layers = {name: linear_layers(model.module)[name]}
    seen = []
    handle = layers[name].part.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    inputs = model.tokenizer(TEXTS, padding=True, return_tensors="pt", return_token_type_ids=False)
    with torch.no_grad():
        model.module(**inputs)
    handle.remove()
    tokens = seen[0][inputs["attention_mask"].bool()].double()
    assert 0 < len(tokens) < inputs["attention_mask"].numel(), "nothing is padded: the test shows nothing"
    expected = tokens.T @ tokens / len(tokens)
    torch.testing.assert_close(second_moments(model, TEXTS, layers)[name], expected, rtol=1e-5, atol=1e-6)


def test_hooks_are_gone_afterwards(adapter):
    mean_squares(adapter, TEXTS, linear_layers(adapter.module))
    assert not any(part._forward_pre_hooks for part in adapter.module.modules())


def test_a_model_that_does_not_say_how_it_reads_is_refused():
    with pytest.raises(MissingCapability, match="not known how it reads texts"):
        mean_squares(FakeMaskedLM(), TEXTS, {})


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("scope", ["layer", "output"])
def test_wanda_beats_magnitude_on_the_shipped_char_gpt(published, scope):
    text = published("tinyshakespeare", "input.txt").read_text(encoding="utf-8")
    train, held_out = (
        [part[i : i + 128] for i in range(0, len(part) - 128, len(part) // 64)]
        for part in (text[: len(text) * 9 // 10], text[len(text) * 9 // 10 :])
    )
    model = load_model("char-gpt")

    def perplexity(spec):
        scores = compress(model, spec).token_logprobs(held_out)
        return float(np.exp(-np.concatenate([s.logprobs for s in scores]).mean()))

    magnitude = perplexity({"magnitude": {"ratio": 0.5, "scope": scope}})
    wanda = perplexity({"wanda": {"ratio": 0.5, "scope": scope, "texts": train}})
    assert perplexity([]) < wanda < magnitude
