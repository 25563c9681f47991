import json

import numpy as np
import pytest
import torch
from torch import nn

from auditkit.compression import low_rank
from auditkit.compression.calibration import second_moments
from auditkit.compression.layers import Layer, linear_layers
from auditkit.compression.low_rank import LowRank, LowRankLinear, ranks_by_budget, truncated
from auditkit.compression.spec import compress, label, steps_of
from auditkit.errors import InputError, UnknownName
from auditkit.models.weights import parameter_count
from auditkit.testing import check_model
from tests.privacy.tiny_models import KINDS, TEXTS, char_gpt, gpt2, masked_bert, sentence_encoder, weights

WIDE = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}


def layer_of(weight, bias=None):
    part = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    with torch.no_grad():
        part.weight.copy_(weight)
        if bias is not None:
            part.bias.copy_(bias)
    return Layer("one", part, False)


def output_error(weight, other, moment):
    """||(W - W') X||_F over the root of the number of tokens."""
    gap = (weight - other).detach().double()
    return float(torch.trace(gap @ moment @ gap.T).clamp_min(0).sqrt())


@pytest.fixture
def matrix():
    torch.manual_seed(1)
    return torch.randn(12, 8)


@pytest.fixture
def moment():
    """Of inputs that use some directions a hundred times as much as others."""
    torch.manual_seed(2)
    x = torch.randn(200, 8).double() @ torch.diag(torch.logspace(0, -2, 8).double()) @ torch.randn(8, 8).double()
    return x.T @ x / len(x)


def test_a_diagonal_matrix_keeps_its_largest_entry():
    layer = layer_of(torch.tensor([[1.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 2.0]]), torch.tensor([1.0, 2.0, 3.0]))
    found = truncated(layer, 1)
    assert found.weight.detach().numpy() == pytest.approx(np.diag([0.0, 3.0, 0.0]), abs=1e-6)
    assert found(torch.ones(1, 3)).tolist()[0] == pytest.approx([1.0, 5.0, 3.0], abs=1e-5)  # 3 x 1, and the bias
    assert low_rank.spectrum(layer.weight).tolist() == pytest.approx([3.0, 2.0, 1.0])


@pytest.mark.parametrize(("energy", "rank"), [(0.5, 1), (9 / 14, 1), (0.65, 2), (13 / 14, 2), (0.93, 3)])
def test_energy_is_the_share_of_squared_singular_values(energy, rank):
    assert low_rank.rank_by_energy(torch.tensor([3.0, 2.0, 1.0]).double(), energy) == rank  # 9, 4, 1 of 14


@pytest.mark.parametrize("weighted", [False, True])
def test_full_rank_is_exact(matrix, moment, weighted):
    found = truncated(layer_of(matrix), 8, moment if weighted else None)
    assert torch.allclose(found.weight, matrix, atol=1e-5)


@pytest.mark.parametrize("rank", [1, 3, 6])
def test_plain_truncation_is_the_optimum_of_eckart_and_young(matrix, rank):
    gap = (matrix - truncated(layer_of(matrix), rank).weight.detach()).norm()
    assert float(gap) == pytest.approx(float(low_rank.spectrum(matrix)[rank:].norm()), rel=1e-5)


@pytest.mark.parametrize("rank", [1, 3, 6])
def test_weighted_truncation_is_the_optimum_on_the_outputs_and_better_than_plain(matrix, moment, rank):
    plain, weighted = (truncated(layer_of(matrix), rank, m).weight for m in (None, moment))
    root = torch.linalg.cholesky(moment)  # another root than the code's: the optimum does not depend on it
    optimum = float(torch.linalg.svdvals(matrix.double() @ root)[rank:].norm())
    found = output_error(matrix, weighted, moment)
    assert found == pytest.approx(optimum, rel=1e-3)
    assert found < 0.9 * output_error(matrix, plain, moment)


def test_a_direction_that_no_text_uses_does_not_break_the_weighting(matrix):
    moment = torch.diag(torch.tensor([1.0] * 4 + [0.0] * 4)).double()
    found = truncated(layer_of(matrix), 4, moment).weight
    assert torch.allclose(found[:, :4], matrix[:, :4], atol=1e-3)


def test_largest_rank_is_the_last_that_shrinks():
    assert low_rank.largest_rank(4, 4) == 1  # 8 < 16, but 2 * 8 = 16 is no smaller
    assert low_rank.largest_rank(6, 3) == 1  # 9 < 18; 18 is not
    assert low_rank.largest_rank(10, 1) == 0


def test_a_budget_goes_where_a_weight_keeps_most_energy():
    spectra = {"steep": torch.tensor([3.0, 0.1, 0.1, 0.1]), "flat": torch.tensor([1.0, 1.0, 1.0, 1.0])}
    shapes = {"steep": (4, 12), "flat": (4, 12)}
    # 96 weights dense, 16 a rank, so that three ranks would grow; each layer gets one, the flat one the next
    assert ranks_by_budget(spectra, shapes, 0.34) == {"steep": 1, "flat": 1}
    assert ranks_by_budget(spectra, shapes, 0.51) == {"steep": 1, "flat": 2}
    assert ranks_by_budget(spectra, shapes, 0.67) == {"steep": 2, "flat": 2}
    with pytest.raises(InputError, match=r"0\.333 or more"):
        ranks_by_budget(spectra, shapes, 0.2)


@pytest.mark.parametrize("options", [{"budget": 0.6}, {"energy": 0.5}, {"rank": 4}], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_fewer_parameters_and_what_was_promised(options, weighted):
    model = masked_bert(**WIDE)
    smaller = compress(model, LowRank(**options, weighted=weighted, texts=TEXTS if weighted else None))
    done = smaller.compression[0]
    saved = done["weights_before"] - done["weights_after"]
    assert 0 < saved == parameter_count(model.module) - parameter_count(smaller.module)
    assert done["random_twin"].startswith("dense")
    json.dumps(smaller.describe() | done, allow_nan=False)
    if "budget" in options:
        spare = 0.6 * done["weights_before"] - done["weights_after"]
        assert 0 <= spare < 96  # not even a rank of the largest layer, 32 + 64, is left
    if "energy" in options:
        assert min(done["retained_energy"].values()) >= 0.5
    if "rank" in options:
        assert set(done["ranks"].values()) == {4}


@pytest.mark.parametrize("weighted", [False, True])
def test_each_layer_is_its_own_truncation(weighted):
    """Also GPT-2's, whose weights are transposed."""
    model = gpt2()
    layers = linear_layers(model.module)
    moments = second_moments(model, TEXTS, layers) if weighted else {}
    smaller = compress(model, LowRank(rank=6, weighted=weighted, texts=TEXTS if weighted else None))
    for name, rank in smaller.compression[0]["ranks"].items():
        new, layer = smaller.module.get_submodule(name), layers[name]
        assert new.weight.shape == layer.weight.shape
        assert int(torch.linalg.matrix_rank(new.weight.detach())) == rank == 6
        assert torch.equal(new.bias, layer.part.bias)
        found = output_error(layer.weight, new.weight.detach(), moments.get(name, torch.eye(new.in_features).double()))
        assert found == pytest.approx(float(low_rank.spectrum(layer.weight, moments.get(name))[6:].norm()), rel=1e-2)


def test_weighted_changes_outputs_less_than_plain():
    model = char_gpt(hidden=32, layers=2)
    ours = [s.logprobs for s in model.token_logprobs(TEXTS)]

    def distance(step):
        scores = compress(model, step).token_logprobs(TEXTS)
        return np.mean([np.abs(a - b.logprobs).mean() for a, b in zip(ours, scores, strict=True)])

    assert distance(LowRank(rank=4, weighted=True, texts=TEXTS)) < 0.8 * distance(LowRank(rank=4))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_keeps_its_contract(kind):
    model = KINDS[kind][0]()
    before = weights(model)
    smaller = compress(model, {"low_rank": {"rank": 2}})
    texts = ("a nurse.", "the doctor was old.") if kind == "char-gpt" else TEXTS[:3]
    check_model(smaller, texts=texts)
    assert any(isinstance(part, LowRankLinear) for part in smaller.module.modules())
    assert not any(isinstance(part, LowRankLinear) for part in smaller.randomized(0).module.modules())
    assert all(torch.equal(before[name], after) for name, after in weights(model).items())


def test_a_sentence_encoder_embeds_as_before_but_for_the_rank():
    model = sentence_encoder()
    smaller = compress(model, LowRank(rank=4))
    cosines = (model.embed(TEXTS) * smaller.embed(TEXTS)).sum(1)
    assert cosines.max() < 1 - 1e-6
    assert cosines.min() > 0.3


def test_an_output_layer_can_be_named_and_the_random_twin_still_works():
    smaller = compress(char_gpt(), LowRank(rank=2, layers=["head"]))
    assert smaller.compression[0]["ranks"] == {"head": 2}
    check_model(smaller, texts=("a nurse.", "the doctor was old."))


def test_a_tied_layer_is_left_dense():
    model = gpt2()
    with pytest.raises(InputError, match="tied"):
        compress(model, LowRank(rank=2, layers=["lm_head"]))
    done = compress(model, LowRank(rank=2, layers=["lm_head", "*c_fc"])).compression[0]
    assert done["left_dense"] == {"lm_head": "its weight is tied to another layer's"}


def test_layers_that_would_grow_are_left_dense_and_listed():
    done = compress(masked_bert(**WIDE), LowRank(rank=17, layers=["*layer.0*"])).compression[0]
    square = {name for name in done["left_dense"] if "attention" in name}
    assert len(square) == 4  # 17 * (32 + 32) > 32 * 32, but 17 * (32 + 64) < 32 * 64
    assert set(done["ranks"].values()) == {17}
    assert len(done["ranks"]) == 2


def test_growing_everywhere_is_refused():
    for step in (LowRank(energy=0.9999), LowRank(rank=40)):
        with pytest.raises(InputError, match="parameters that grew are refused"):
            compress(masked_bert(**WIDE), step)


def test_a_quantised_model_is_refused():
    model = masked_bert()
    model.module.bert.encoder.layer[0].register_buffer("packed", torch.zeros(2, dtype=torch.int8))
    with pytest.raises(InputError, match="quantised"):
        compress(model, LowRank(rank=2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "0 of energy, budget and rank"),
        ({"energy": 0.5, "rank": 3}, "2 of energy"),
        ({"energy": 1.0}, "energy 1.0"),
        ({"budget": 0}, "budget 0"),
        ({"rank": 0}, "rank 0"),
        ({"rank": 1.5}, "rank 1.5"),
        ({"rank": 2, "weighted": True}, "weighted without texts"),
        ({"rank": 2, "texts": ["a"]}, "not weighted"),
        ({"rank": "four"}, "rank 'four'"),
    ],
    ids=str,
)
def test_wrong_options(options, message):
    with pytest.raises(InputError, match=message):
        steps_of({"low_rank": options})


def test_unknown_layer():
    with pytest.raises(UnknownName, match="layer 'nowhere'"):
        compress(masked_bert(), LowRank(rank=2, layers=["nowhere"]))


def test_label():
    assert label(LowRank(energy=0.5)) == "low rank 50 % energy"
    assert label(LowRank(budget=0.25, weighted=True, texts=["a"])) == "low rank 25 % budget weighted"
    assert label([{"low_rank": {"rank": 8}}]) == "low rank 8"
