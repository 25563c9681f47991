"""What a point costs, as measurements: bytes, speed beside the dense model, memory, processor time, energy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from auditkit.compression import cost
from auditkit.compression.cost import Spent
from auditkit.compression.energy import EnergyEstimate, energy_of
from auditkit.compression.findings import Findings, exact
from auditkit.measurement import Interval

T = TypeVar("T")
SOURCE = "auditkit.compression.cost"
SLOWER, NO_SMALLER = "slower than dense", "no smaller than dense"
AS_FAST = 0.98  # of the dense model's speed: at two dozen intervals a sweep, one of equal speeds lies below 1 by chance

Took = tuple[Spent, EnergyEstimate]


def run(task: Callable[[], T]) -> tuple[T, Took]:
    """Run it, and say what it took."""
    out, spent, energy = energy_of(task)
    return out, (spent, energy)


def add_sizes(findings: Findings, model: Any) -> None:
    """Bytes of a model."""
    sizes = {"bytes_in_memory": cost.memory_bytes(model), "bytes_on_disk": cost.disk_bytes(model)}
    methods = {"bytes_in_memory": "all parameters and buffers, shared ones once", "bytes_on_disk": "as safetensors"}
    for name, size in sizes.items():
        findings.add(
            name, float(size), interval=exact(size, "counted"), n=1, unit="bytes", method=methods[name], source=SOURCE
        )


def add_costs(findings: Findings, took: Took) -> None:
    """What reading all texts once took a model."""
    spent, energy = took
    peak = {"before": spent.resident_before, "added": spent.resident_added, "gpu_peak": spent.gpu_peak}
    findings.add(
        "peak_memory", float(spent.resident_peak), n=1, unit="bytes", source=SOURCE, details=peak,
        method="resident memory of the process, sampled every 5 ms while the texts are read; both models are in it",
    )  # fmt: skip
    findings.add(
        "cpu_seconds", spent.cpu_seconds, n=1, unit="s", source=SOURCE,
        method="processor time of all threads while the texts are read once",
        details={"gpu_seconds": spent.gpu_seconds, "wall_seconds": spent.wall_seconds},
    )  # fmt: skip
    band = Interval(energy.low, energy.high, method="low and high power assumed; the truth may lie outside")
    findings.add(
        "energy", energy.joules, interval=band, n=1, unit="J", method=energy.method, source=SOURCE,
        details={"estimate": True},
    )  # fmt: skip


def add_speedups(
    findings: Findings, dense: Any, point: Any, texts: Sequence[str], batch_sizes: Sequence[int]
) -> list[str]:
    """Time of a forward pass, dense over compressed, run in turn.

    Returns:
        What a reader must see beside the point: that it is slower, or no smaller, than the dense model.
    """
    flags = []
    for found in cost.latency(point, dense, texts, batch_sizes=batch_sizes):
        details = {"seconds": found.seconds, "dense_seconds": found.dense_seconds, "clock": found.clock}
        findings.add(
            f"speedup_batch_{found.batch}", found.speedup, interval=found.interval, n=found.pairs, source=SOURCE,
            method="median of time of dense / time of the point over paired forward passes; above 1 is faster",
            details=details,
        )  # fmt: skip
        if found.interval.high < AS_FAST:
            flags.append(SLOWER)
    bytes_of = (cost.memory_bytes, cost.disk_bytes)
    if all(size(point) >= size(dense) for size in bytes_of):
        flags.append(NO_SMALLER)
    return sorted(set(flags))
