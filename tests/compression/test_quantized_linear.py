"""Quantised weights are off by at most half a step, and products of integers are exact."""

import copy

import pytest
import torch

from auditkit.compression import backends, quantized_linear
from auditkit.compression.quantized_linear import (
    EngineLinear,
    Int4Linear,
    QuantizedLinear,
    quantise_rows,
)

KERNELS = [(kind, kernel) for kind in backends.KINDS for kernel in ("int_mm", "engine")] + [
    ("weight_only", "dequantize")
]


def layer(weight, bias, kind, kernel):
    made = EngineLinear if kernel == "engine" else QuantizedLinear
    return made.of(weight, bias, kind=kind, kernel=kernel)


def relative_error(found, expected):
    return float((found - expected).norm() / expected.norm())


def test_weights_are_rounded_to_steps_of_a_127th_of_the_largest_in_the_row():
    integers, scale = quantise_rows(torch.tensor([[1.27, -0.5, 0.014], [0.0, 0.0, 0.0], [-254.0, 3.0, 100.9]]))
    assert integers.tolist() == [[127, -50, 1], [0, 0, 0], [-127, 2, 50]]  # 1.5 rounds to the even 2
    assert scale[[0, 2]].tolist() == pytest.approx([0.01, 2.0])


def test_a_weight_is_off_by_at_most_half_a_step():
    weight = torch.randn(64, 96, generator=torch.Generator().manual_seed(0)) * torch.logspace(-4, 2, 64)[:, None]
    integers, scale = quantise_rows(weight)
    off = (integers * scale[:, None] - weight).abs() / scale[:, None]
    assert off.max() <= 0.5 + 1e-4
    assert off.max() > 0.49  # the bound is reached


def test_a_product_by_hand():
    # Steps of the weights: 0.01 and 0.02. The largest input 2.54 gives steps of 0.02: (127, -50, 25.4 -> 25).
    weight, x = torch.tensor([[1.27, 0.3, 0.0], [0.4, -2.54, 0.02]]), torch.tensor([[2.54, -1.0, 0.508]])
    first = (127 * 127 - 50 * 30) * 0.01 * 0.02 + 1.0
    second = (127 * 20 + 50 * 127 + 25 * 1) * 0.02 * 0.02 - 1.0
    found = layer(weight, torch.tensor([1.0, -1.0]), "dynamic", "int_mm")(x)
    assert found[0].tolist() == pytest.approx([first, second], rel=1e-6)


@pytest.mark.parametrize(("levels", "x"), [(256, (127, -50, 25)), (128, (63, -25, 13))])
def test_the_engine_multiplies_the_levels_that_it_has(monkeypatch, levels, x):
    """The same inputs; in 128 levels the step is 2.54 / 63, so that they are 63, -24.8 and 12.6 steps."""
    if levels > quantized_linear.engine_levels():
        pytest.skip("this CPU's kernel overflows with 256 levels")
    monkeypatch.setattr(quantized_linear, "engine_levels", lambda: levels)
    weight, given = torch.tensor([[1.27, 0.3, 0.0], [0.4, -2.54, 0.02]]), torch.tensor([[2.54, -1.0, 0.508]])
    step = 2.54 / (levels // 2 - 1)
    first = (127 * x[0] + 30 * x[1]) * 0.01 * step
    second = (20 * x[0] - 127 * x[1] + 1 * x[2]) * 0.02 * step
    found = layer(weight, None, "dynamic", "engine")(given)
    assert found[0].tolist() == pytest.approx([first, second], rel=1e-6)


@pytest.mark.parametrize("levels", [128, 256])
def test_halves_of_an_activation_stay_inside_the_levels_and_give_it_back(levels):
    whole = torch.arange(levels * (levels // 2 - 1) + 1, dtype=torch.float32)
    x = torch.cat([whole, -whole])[None]
    halves, step = quantized_linear._halves(x, levels)
    assert step.item() == 1.0
    high, low = halves
    assert torch.equal(levels * high + low, x[0])
    assert torch.equal(high, high.round())
    assert high.abs().max() == levels / 2 - 1
    assert low.abs().max() == levels / 2  # two such products by 127 still fit in 16 bits where the levels are 128


@pytest.mark.parametrize(("kind", "kernel"), KERNELS)
def test_weight_only_has_no_error_but_that_of_the_weights(kind, kernel):
    draw = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(40, 96, generator=draw), torch.randn(40, generator=draw)
    x = torch.randn(3, 7, 96, generator=draw)
    integers, scale = quantise_rows(weight)
    rounded = torch.nn.functional.linear(x, integers * scale[:, None], bias)
    error = relative_error(layer(weight, bias, kind, kernel)(x), rounded)
    assert (1e-3 < error < 2e-2) if kind == "dynamic" else error < 2e-4


@pytest.mark.parametrize("kind", backends.KINDS)
@pytest.mark.parametrize("kernel", ["int_mm", "engine"])
def test_a_row_is_multiplied_as_if_it_were_alone(kind, kernel):
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(33, 96, generator=draw) * torch.logspace(-2, 2, 33)[:, None]  # one scale for all would drown some
    small = layer(torch.randn(40, 96, generator=draw), None, kind, kernel)
    together = small(x)
    assert all(torch.equal(small(x[i : i + 1])[0], together[i]) for i in range(33))


@pytest.mark.parametrize("kind", backends.KINDS)
def test_products_of_the_largest_integers_do_not_overflow(kind):
    """Where 256 levels would overflow (a CPU without VNNI), the engine is given 128."""
    x, weight = torch.ones(5, 4096), torch.ones(8, 4096)
    for kernel in ("int_mm", "engine"):
        assert layer(weight, None, kind, kernel)(x).flatten().tolist() == pytest.approx([4096.0] * 40, rel=1e-5)


@pytest.mark.parametrize("kernel", ["int_mm", "engine"])
@pytest.mark.parametrize("kind", backends.KINDS)
def test_what_is_not_a_number_stays_so(kind, kernel):
    x = torch.ones(2, 16)
    x[0, 3] = torch.nan
    found = layer(torch.ones(4, 16), None, kind, kernel)(x)
    assert found[0].isnan().all()
    assert torch.isfinite(found[1]).all()


def test_4_bits_by_hand():
    small = Int4Linear(torch.tensor([[7.0, -3.4, 0.0, 14.0]]), None, group=2)
    assert small.scale.tolist() == [[1.0, 2.0]]
    assert small.dequantised().tolist() == [[7.0, -3.0, 0.0, 14.0]]
    assert small.weight.tolist() == [[(7 + 8) | (-3 + 8) << 4, (0 + 8) | (7 + 8) << 4]]
    assert small(torch.tensor([[1.0, 1.0, 1.0, 0.5]])).item() == 11.0


@pytest.mark.parametrize(("kind", "kernel"), KERNELS)
def test_a_layer_survives_copying_and_its_own_state(kind, kernel):
    draw = torch.Generator().manual_seed(0)
    small = layer(torch.randn(24, 16, generator=draw), torch.randn(24, generator=draw), kind, kernel)
    other = layer(torch.zeros(24, 16), torch.zeros(24), kind, kernel)
    other.load_state_dict(small.state_dict())
    x = torch.randn(2, 16, generator=draw)
    assert torch.equal(copy.deepcopy(small)(x), small(x))
    assert torch.equal(other(x), small(x))
