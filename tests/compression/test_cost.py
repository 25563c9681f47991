"""What a model costs, counted by hand where that is possible."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from auditkit.compression import cost
from auditkit.compression.cost import Spent, disk_bytes, latency, memory_bytes, spent
from auditkit.compression.energy import energy_of, estimate
from auditkit.compression.quantized_linear import EngineLinear, Int4Linear, QuantizedLinear
from auditkit.compression.quantized_model import save_quantized
from auditkit.compression.spec import compress
from auditkit.errors import InputError
from tests.compression.conftest import ADAPTERS, TEXTS, tiny

MEGABYTE = 2**20


def holding(*parts):
    return SimpleNamespace(module=torch.nn.Sequential(*parts))


def test_parameters_and_buffers_are_counted_and_what_is_shared_once():
    linear = torch.nn.Linear(10, 3)  # 30 + 3 floats
    tied = torch.nn.Linear(10, 3, bias=False)
    tied.weight = linear.weight
    norm = torch.nn.BatchNorm1d(3)  # 4 vectors of 3 floats, one int64
    assert memory_bytes(holding(linear, tied, norm)) == 33 * 4 + 12 * 4 + 8


def test_a_view_counts_as_what_it_keeps_in_memory():
    linear = torch.nn.Linear(10, 3, bias=False)
    linear.weight = torch.nn.Parameter(torch.zeros(10, 100)[:3, :10])
    assert memory_bytes(holding(linear)) == 4000


def test_packed_weights_are_counted():
    weight, bias = torch.ones(8, 16), torch.zeros(8)
    int8 = QuantizedLinear.of(weight, bias, kind="dynamic")
    assert memory_bytes(holding(int8)) == 8 * 16 + 8 * 4 + 8 * 4
    engine = EngineLinear.of(weight, bias, kind="dynamic", kernel="engine")
    assert memory_bytes(holding(engine)) == 8 * 16 + 8 * 12 + 8 * 4
    int4 = Int4Linear(weight, None, group=4)
    assert memory_bytes(holding(int4)) == 8 * 16 // 2 + 8 * 4 * 4


@pytest.mark.parametrize("kind", ADAPTERS)
def test_a_file_holds_the_weights_once_and_a_header(kind):
    model = tiny(kind)
    assert 0 < disk_bytes(model) - memory_bytes(model) < 20_000


def test_the_bytes_on_disk_are_those_of_the_file(tmp_path):
    small = compress(tiny("masked"), {"int8": {"kind": "dynamic", "embeddings": True}})
    header = save_quantized(small, tmp_path).stat().st_size - disk_bytes(small)
    assert 0 <= header < 8_000  # how to build it again


class Sleeps(torch.nn.Module):
    """Takes a given processor time."""

    def __init__(self, milliseconds):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.milliseconds = milliseconds

    def forward(self, **_):
        end = time.process_time() + self.milliseconds / 1000
        while time.process_time() < end:
            pass


def sleeping(milliseconds):
    module = Sleeps(milliseconds)
    module.config = SimpleNamespace()
    return SimpleNamespace(
        module=module,
        task="fake",
        tokenizer=SimpleNamespace(pad_token_id=0),
        device="cpu",
        tokenize=lambda texts: {"input_ids": [[1, 2]] * len(texts)},
    )


def test_a_model_that_takes_a_third_of_the_time_is_three_times_as_fast():
    found = latency(sleeping(1), sleeping(3), ["a"], pairs=9)
    assert [f.batch for f in found] == [1, 8]
    for f in found:
        assert f.speedup == pytest.approx(3, rel=0.15)
        assert f.speedup in f.interval
        assert f.seconds == pytest.approx(0.001, rel=0.3)
        assert f.dense_seconds == pytest.approx(0.003, rel=0.3)
        assert (f.pairs, f.clock) == (9, "processor")


@pytest.mark.parametrize("kind", ADAPTERS)
def test_every_kind_of_model_can_be_timed(kind):
    dense = tiny(kind)
    (found,) = latency(dense, dense, TEXTS, batch_sizes=(3,), pairs=6)
    assert found.seconds > 0


def test_nothing_to_time_is_refused():
    model = tiny("char-gpt")
    with pytest.raises(InputError, match="0 texts and 21 pairs"):
        latency(model, model, [])
    with pytest.raises(InputError, match="5 pairs"):
        latency(model, model, ["a"], pairs=5)


def test_memory_that_is_held_for_a_moment_is_seen():
    def fill():
        held = np.ones(64 * MEGABYTE, dtype=np.uint8)
        time.sleep(0.1)
        return len(held)

    size, found = spent(fill)
    assert size == 64 * MEGABYTE
    assert 60 * MEGABYTE < found.resident_added < 90 * MEGABYTE
    assert found.wall_seconds >= 0.1
    assert found.cpu_seconds < found.wall_seconds


def test_a_busy_processor_is_counted_and_an_error_comes_through():
    _, found = spent(Sleeps(30).forward)
    assert found.cpu_seconds == pytest.approx(0.03, abs=0.02)
    with pytest.raises(ZeroDivisionError):
        spent(lambda: 1 / 0)


def test_energy_is_seconds_times_watts_and_says_that_it_is_an_estimate():
    took = Spent(10.0, 2.0, 12.0, 0, 0, 0)
    found = estimate(took, watts_per_core=(1, 2, 3), watts_per_gpu=(10, 100, 1000))
    assert (found.low, found.joules, found.high) == (30.0, 220.0, 2030.0)
    assert "estimated, not measured" in found.method
    assert "10 CPU-seconds at 2 W a core (1 to 3 W)" in found.method
    with pytest.raises(InputError, match="expected low <= typical <= high"):
        estimate(took, watts_per_core=(3, 2, 1))


def test_a_run_comes_with_its_energy(monkeypatch):
    monkeypatch.setattr(cost.torch.cuda, "is_available", lambda: False)
    out, took, energy = energy_of(lambda: 42)
    assert out == 42
    assert energy.low <= energy.joules <= energy.high
    assert took.gpu_seconds == 0
