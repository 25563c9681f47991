"""Weights in half precision that are widened for the product give what instructions for half precision give."""

import copy
import time

import numpy as np
import pytest
import torch

from auditkit.compression import half_precision
from auditkit.compression.cost import disk_bytes, memory_bytes
from auditkit.compression.half_precision import WidenedLinear, gain_of_bfloat16, gain_of_widening, shapes, widen
from auditkit.compression.spec import compress
from tests.compression.conftest import TEXTS, tiny

DTYPES = (torch.bfloat16, torch.float16)
CPU = torch.device("cpu")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bias", [True, False])
def test_the_product_is_the_exact_one_rounded_once(dtype, bias):
    torch.manual_seed(0)
    layer = WidenedLinear(64, 48, bias=bias, dtype=dtype)
    x = torch.randn(2, 5, 64).to(dtype)
    exact = x.double() @ layer.weight.double().T + (layer.bias.double() if bias else 0)
    found = layer(x)
    assert (found.dtype, found.shape) == (dtype, (2, 5, 48))
    spacing = torch.finfo(dtype).eps * exact.abs().clamp_min(1e-3)
    assert ((found.double() - exact).abs() <= 0.51 * spacing).all()


@pytest.mark.parametrize("kind", ["char-gpt", "masked"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_model_gives_the_same_scores_by_either_kernel(kind, dtype, monkeypatch):
    found = {}
    for kernel, gain in (("native", 1.0), ("widened", 9.0)):
        monkeypatch.setattr("auditkit.compression.quantization.gain_of_widening", lambda *_, gain=gain: gain)
        small = compress(tiny(kind), {"cast": {"dtype": dtype}})
        assert small.compression[0]["kernel"] == kernel
        assert any(isinstance(part, WidenedLinear) for part in small.module.modules()) == (kernel == "widened")
        found[kernel] = small
    native, widened = found["native"], found["widened"]
    assert native.describe() == widened.describe()  # the weights are the same, and in the same format
    assert memory_bytes(native) == memory_bytes(widened)
    assert disk_bytes(native) == disk_bytes(widened)
    for one, other in zip(native.token_statistics(TEXTS), widened.token_statistics(TEXTS), strict=True):
        np.testing.assert_allclose(one.logprobs, other.logprobs, atol=0.05)


def test_tied_weights_stay_tied():
    table = torch.nn.Embedding(5, 3, dtype=torch.bfloat16)
    head = torch.nn.Linear(3, 5, bias=False, dtype=torch.bfloat16)
    head.weight = table.weight
    model = torch.nn.ModuleList([table, head])
    widen(model)
    for found in (model, copy.deepcopy(model)):
        assert isinstance(found[1], WidenedLinear)
        assert found[1].weight is found[0].weight


def test_the_gain_is_measured_and_weighed_by_how_many_there_are(monkeypatch):
    half_precision._measured.cache_clear()

    def busy(seconds):
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass

    def slow(self, x):
        busy(0.004 if type(self) is torch.nn.Linear else 0.001)
        return x

    monkeypatch.setattr(torch.nn.Linear, "forward", slow)
    monkeypatch.setattr(WidenedLinear, "forward", slow)
    module = torch.nn.ModuleList([torch.nn.Linear(4, 8), torch.nn.Linear(4, 8), torch.nn.Linear(8, 4)])
    assert shapes(module) == {(8, 4): 2, (4, 8): 1}
    assert gain_of_widening(shapes(module), torch.bfloat16, CPU) == pytest.approx(4, rel=0.2)
    half_precision._measured.cache_clear()


def test_the_gain_of_bfloat16_is_measured_with_its_conversions(monkeypatch):
    half_precision._gain_in_batches.cache_clear()
    asked = []

    def measured(first, second, device):
        x = first.args[0]
        assert x.dtype == first().dtype == second().dtype == torch.float32
        asked.append(tuple(x.shape))
        return np.array([6.0, 2.0]) if x.shape[1] == 4 else np.array([1.0, 3.0])

    monkeypatch.setattr(half_precision, "paired", measured)
    module = torch.nn.ModuleList([torch.nn.Linear(4, 8), torch.nn.Linear(4, 8), torch.nn.Linear(8, 4)])
    assert gain_of_bfloat16(shapes(module), CPU) == pytest.approx((2 * 6 + 1) / (2 * 2 + 3))
    assert gain_of_bfloat16(shapes(module), CPU) == pytest.approx(13 / 7)  # the same again, without measuring
    assert sorted(asked) == [(512, 4), (512, 8)]
    half_precision._gain_in_batches.cache_clear()


def test_nothing_is_measured_where_there_is_nothing_to_gain():
    assert gain_of_bfloat16(shapes(torch.nn.Embedding(3, 2)), CPU) == 1.0
    assert gain_of_widening(shapes(torch.nn.Embedding(3, 2)), torch.bfloat16, CPU) == 1.0
    assert gain_of_widening(shapes(torch.nn.Linear(2, 2)), torch.bfloat16, torch.device("cuda")) == 1.0
