"""Projections of hidden states: the directions are gone, twice is once, every way to a probability passes through."""

import copy

import numpy as np
import pytest
import torch

from auditkit.errors import DataError, InputError
from auditkit.explain.layers import blocks, body, read, tokenize
from auditkit.mitigation.hidden_projection import HiddenStateProjection, Projection, _principal, project
from auditkit.models.causal_lm import CausalLM
from auditkit.models.masked_lm import MaskedLM
from auditkit.models.protocols import MaskQuery
from auditkit.models.weights import weights_sha256
from auditkit.privacy.adapters import copy_of
from tests.models.conftest import tiny_bert_masked_lm, tiny_llama
from tests.privacy.tiny_models import char_gpt

TEXTS = [f"the {job} said that {who} was {end} ." for job, who in (("nurse", "she"), ("doctor", "he"))
         for end in ("tired", "old", "good", "bad", "smart")]  # fmt: skip
MODELS = {
    "masked": lambda: MaskedLM(*tiny_bert_masked_lm(), name="tiny"),
    "causal": lambda: CausalLM(*tiny_llama(), name="tiny"),
    "char-gpt": lambda: char_gpt(layers=2, context=48),
}


@pytest.fixture(params=MODELS)
def model(request):
    return MODELS[request.param]()


def states(model, layer, texts=TEXTS):
    """(tokens, D) hidden states behind a layer."""
    found = {}
    read(model, tokenize(model, texts), lambda i, reading: found.update({i: reading.hidden[layer + 1]}))
    return np.concatenate([found[i] for i in range(len(texts))])


def projection_of(model, layer):
    return blocks(body(model))[layer].projection


@pytest.mark.parametrize("layers", [(-1,), (0,), ()])
def test_the_directions_are_gone_from_the_states(model, layers):
    method = HiddenStateProjection(layers=layers, directions=2)
    fairer = method.fit(model, TEXTS, rng=np.random.default_rng(0))
    for layer in {i % 2 for i in layers} or {0, 1}:
        map_ = projection_of(fairer, layer)
        basis, mean = map_.directions.numpy(), map_.mean.numpy()
        assert basis @ basis.T == pytest.approx(np.eye(2), abs=1e-5)
        assert (states(fairer, layer) - mean) @ basis.T == pytest.approx(0, abs=1e-4)
        assert np.abs((states(model, layer) - mean) @ basis.T).max() > 0.01, "they were there before"


def test_what_is_perpendicular_stays(model):
    fairer = HiddenStateProjection().fit(model, TEXTS, rng=np.random.default_rng(0))
    basis = projection_of(fairer, 1).directions.numpy()
    before, after = states(model, 1), states(fairer, 1)
    assert after - after @ basis.T @ basis == pytest.approx(before - before @ basis.T @ basis, abs=1e-4)


def test_twice_is_once_and_half_the_strength_leaves_half():
    torch.manual_seed(0)
    directions, mean, x = torch.linalg.qr(torch.randn(8, 2))[0].T, torch.randn(8), torch.randn(3, 5, 8)
    once = Projection(directions, mean)(x)
    assert torch.allclose(Projection(directions, mean)(once), once, atol=1e-6)
    assert torch.allclose(Projection(directions, mean)(mean), mean, atol=1e-6)
    assert torch.allclose(Projection(directions, mean, 0.5)(x), (x + once) / 2, atol=1e-6)


def test_the_strongest_direction_of_hand_made_differences():
    basis, share = _principal(np.array([[3.0, 0.0, 0.0], [-3.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), 1)
    assert np.abs(basis) == pytest.approx(np.array([[1.0, 0.0, 0.0]]))
    assert share == pytest.approx(18 / 19)


def test_the_model_given_is_unchanged_and_the_hash_and_a_copy_know_of_it(model):
    before = weights_sha256(model.module)
    fairer = HiddenStateProjection().fit(model, TEXTS, rng=np.random.default_rng(0))
    assert weights_sha256(model.module) == before
    assert fairer.describe()["weights_sha256"] != before
    assert fairer.name == "tiny (hidden-state projection)"
    twin = copy_of(fairer)
    assert twin.describe()["weights_sha256"] == fairer.describe()["weights_sha256"]
    with torch.no_grad():
        projection_of(twin, 1).directions.zero_()  # a copy has a projection of its own: switched off, it is the model
    assert states(twin, 1) == pytest.approx(states(model, 1), abs=1e-6)
    assert np.abs(states(fairer, 1) - states(model, 1)).max() > 0.01


def test_the_same_generator_gives_the_same_projection(model):
    one, same = (HiddenStateProjection(max_pairs=5).fit(model, TEXTS, rng=np.random.default_rng(1)) for _ in range(2))
    assert weights_sha256(one.module) == weights_sha256(same.module)


def folded(model):
    """A projection onto nothing: behind it all hidden states are one point, so no probability can know the text."""
    twin = copy_of(model)
    layer = blocks(body(twin))[-1]
    width = next(p for p in layer.parameters() if p.ndim == 1).shape[0]
    project(layer, Projection(torch.eye(width), torch.linspace(-1, 1, width)))
    return twin


def test_every_path_of_a_masked_model_passes_through():
    model = folded(MODELS["masked"]())
    encoded = [
        tuple(e.ids.tolist()) for e in model.encode(["the [MASK] was old .", "she said that the [MASK] is bad ."])
    ]
    queries = [MaskQuery(ids, ids.index(model.mask_id), tuple(range(10, 20))) for ids in encoded]
    one, other = model.masked_logprobs(queries)
    assert one == pytest.approx(other, abs=1e-5)
    assert one.std() > 0.01
    a, b = model.unmasked_logprobs(["the nurse was old .", "my sister was old ."])
    assert a.logprobs[2:] == pytest.approx(b.logprobs[2:], abs=1e-5)
    x, y = model.token_statistics(["the nurse", "women are like people"])
    assert x.means[0] == pytest.approx(y.means, abs=1e-5)
    fills = model.fill(["the [MASK] was old .", "she is [MASK] ."], k=3)
    assert fills[0][0].words == fills[1][0].words


@pytest.mark.parametrize("kind", ["causal", "char-gpt"])
def test_every_path_of_a_causal_model_passes_through(kind):
    model = folded(MODELS[kind]())
    scores = model.token_logprobs(["the nurse was old.", "the nurse was bad.", "my sister is one of two."])
    by_token = {}
    for s in scores:
        for token, logprob in zip(s.ids.tolist(), s.logprobs, strict=True):
            assert by_token.setdefault(token, logprob) == pytest.approx(logprob, abs=1e-5)
    assert np.std(list(by_token.values())) > 0.001
    found = model.next_token_logprobs(["the nurse said that", "my sister was told that"], ("she", "he"))
    assert found[0] == pytest.approx(found[1], abs=1e-5)
    statistics = np.concatenate([s.means for s in model.token_statistics(["the nurse", "my sister is old."])])
    assert statistics == pytest.approx(statistics[0], abs=1e-5)
    written = model.generate(["the nurse", "my sister is"], max_new_tokens=3)
    assert written[0] == written[1]


def test_without_a_projection_the_same_paths_know_the_text():
    model = MODELS["masked"]()
    encoded = [
        tuple(e.ids.tolist()) for e in model.encode(["the [MASK] was old .", "she said that the [MASK] is bad ."])
    ]
    one, other = model.masked_logprobs([MaskQuery(ids, ids.index(model.mask_id), (10, 11)) for ids in encoded])
    assert np.abs(one - other).max() > 0.1


def test_random_weights_are_not_projected(model):
    fairer = HiddenStateProjection().fit(model, TEXTS, rng=np.random.default_rng(0))
    assert not hasattr(blocks(body(fairer.randomized(0)))[-1], "projection")


@pytest.mark.parametrize(
    ("options", "texts", "error", "message"),
    [
        ({"layers": (5,)}, TEXTS, InputError, "layer 5; the model has 2"),
        ({"directions": 99}, TEXTS, InputError, "directions 99"),
        ({}, ["people are old ."], DataError, "names a group"),
        ({"strength": 0.0}, TEXTS, InputError, "strength 0.0"),
    ],
)
def test_bad_input_is_refused_with_the_reason(options, texts, error, message):
    with pytest.raises(error, match=message):
        HiddenStateProjection(**options).fit(MODELS["masked"](), texts, rng=np.random.default_rng(0))


def test_a_second_projection_of_a_layer_is_refused():
    model = copy.copy(folded(MODELS["masked"]()))
    with pytest.raises(InputError, match="projected already"):
        HiddenStateProjection().fit(model, TEXTS, rng=np.random.default_rng(0))
