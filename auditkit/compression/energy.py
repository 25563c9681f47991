"""How much energy a run took: an estimate, for without a power meter nobody knows.

The model: seconds of busy processor times the power of a busy core. A core of a server draws about 3 to 15 watts
depending on load, clock and generation, and the rest of the machine (memory, fans, power supply, the accelerator's
host) is not in it. Use it to compare runs on one machine, not as a reading.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from auditkit.compression.cost import Spent, spent
from auditkit.errors import InputError

T = TypeVar("T")
WATTS_PER_CORE = (3.0, 7.0, 15.0)
"""Low, typical and high power of one busy core of a CPU."""

WATTS_PER_GPU = (60.0, 250.0, 700.0)
"""Low, typical and high power of one accelerator in use."""

JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True, slots=True)
class EnergyEstimate:
    """An estimate, never a measurement.

    Attributes:
        joules: the typical value.
        low: with the lower power.
        high: with the higher one; the truth may lie outside both.
        method: how it was found, in words for a report.
    """

    joules: float
    low: float
    high: float
    method: str


def estimate(
    cost: Spent,
    *,
    watts_per_core: tuple[float, float, float] = WATTS_PER_CORE,
    watts_per_gpu: tuple[float, float, float] = WATTS_PER_GPU,
) -> EnergyEstimate:
    """Energy of a run from the processor time it took.

    Args:
        cost: of the run.
        watts_per_core: low, typical and high.
        watts_per_gpu: the same for the accelerator.

    Raises:
        InputError: powers that are negative or out of order.
    """
    for given in (watts_per_core, watts_per_gpu):
        if not 0 <= given[0] <= given[1] <= given[2]:
            raise InputError(f"watts {given}: expected low <= typical <= high, none negative")
    low, typical, high = (
        cpu * cost.cpu_seconds + gpu * cost.gpu_seconds for cpu, gpu in zip(watts_per_core, watts_per_gpu, strict=True)
    )
    method = f"estimated, not measured: {cost.cpu_seconds:.3g} CPU-seconds at {watts_per_core[1]:g} W a core"
    method += f" ({watts_per_core[0]:g} to {watts_per_core[2]:g} W)"
    if cost.gpu_seconds:
        method += f", {cost.gpu_seconds:.3g} GPU-seconds at {watts_per_gpu[1]:g} W"
    return EnergyEstimate(typical, low, high, method)


def energy_of(run: Callable[[], T]) -> tuple[T, Spent, EnergyEstimate]:
    """Run it; what it took, and the energy: by codecarbon where that is installed, else by `estimate`."""
    if importlib.util.find_spec("codecarbon") is None:
        out, cost = spent(run)
        return out, cost, estimate(cost)
    from codecarbon import OfflineEmissionsTracker

    tracker: Any = OfflineEmissionsTracker(country_iso_code="USA", save_to_file=False, log_level="error")
    tracker.start()
    try:
        out, cost = spent(run)
    finally:
        tracker.stop()
    rough = estimate(cost)
    joules = float(tracker.final_emissions_data.energy_consumed) * JOULES_PER_KWH
    method = "estimated by codecarbon, which models what no power meter reads; the range is that of CPU-seconds"
    return out, cost, EnergyEstimate(joules, min(rough.low, joules), max(rough.high, joules), method)
