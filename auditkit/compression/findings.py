"""Measurements of one point as they are found, with what all of them share: how ids begin, and the seed."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from auditkit import stats
from auditkit.errors import DataError
from auditkit.measurement import Interval, Measurement
from auditkit.probes.base import ItemScore, ProbeResult, generator

HOOKER = 'Hooker et al. (2019), "What do compressed deep neural networks forget?", https://arxiv.org/abs/1911.05248'
FLIPS = 'Dutta et al. (2024), "Accuracy is not all you need", NeurIPS, https://arxiv.org/abs/2407.09141'
TOST = "Schuirmann (1987), J. Pharmacokinetics and Biopharmaceutics 15(6)"

RESAMPLES = 1999  # a point has dozens of intervals: more would take longer than the model does

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[Any]


class Findings:
    """Collects the measurements and item scores of one point.

    Args:
        prefix: "probe id/point".
        seed: every interval's generator is derived from it and the measurement's name, so that points that do not
            differ have the same intervals, whether or not they are measured on the same day.
    """

    def __init__(self, prefix: str, seed: int) -> None:
        self.prefix, self.seed = prefix, seed
        self.measurements: list[Measurement] = []
        self.items: list[ItemScore] = []

    def id(self, name: str) -> str:
        """The whole id of the measurement called `name`."""
        return f"{self.prefix}/{name}"

    def rng(self, name: str) -> np.random.Generator:
        """The generator of one measurement, the same at every point."""
        return generator(self.seed, name)

    def add(self, name: str, value: float | None, *, source: str, **more: Any) -> Measurement:
        """One measurement; without value, `details` say for which reason."""
        status = "undefined" if value is None else "ok"
        found = Measurement(id=self.id(name), value=value, status=status, source=source, **more)  # type: ignore[arg-type]
        self.measurements.append(found)
        return found

    def undefined(self, name: str, reason: str, *, method: str, source: str, **more: Any) -> Measurement:
        """One measurement that has no value here."""
        return self.add(name, None, method=method, source=source, details={"reason": reason}, **more)

    def add_items(self, name: str, items: Sequence[tuple[str, float, str]]) -> None:
        """(item, value, cluster) of each item of one measurement."""
        self.items += [ItemScore(self.id(name), item, value, cluster) for item, value, cluster in items]

    def result(self) -> ProbeResult:
        """All that was found."""
        return ProbeResult(self.measurements, self.items)


def mean_interval(
    values: Floats, clusters: Labels, rng: np.random.Generator, bounds: tuple[float, float] | None
) -> Interval | None:
    """Of the mean of clustered values; None where they are too few to bound it."""
    try:
        return stats.cluster_bootstrap(values, clusters, bounds=bounds, rng=rng, resamples=RESAMPLES)
    except DataError:
        return None


def change_interval(
    change: Floats, clusters: Labels, rng: np.random.Generator, bounds: tuple[float, float] | None
) -> Interval | None:
    """Of the mean of paired differences, which lie within `bounds`, None for the same model or any number.

    Where two models agree on every item, see `stats.paired_bootstrap`.
    """
    if not change.any():
        span = 0.0 if bounds is None else bounds[1]
        return stats.paired_bootstrap(change, change, clusters=clusters, span=span, rng=rng)
    return mean_interval(change, clusters, rng, bounds)


def share_interval(hits: Floats, clusters: Labels, rng: np.random.Generator) -> Interval | None:
    """Of a share in percent: Wilson's where the items are independent, else by clusters."""
    if len(set(clusters.tolist())) < len(hits):
        return mean_interval(hits, clusters, rng, (0.0, 100.0))
    found = stats.wilson(int((hits > 0).sum()), len(hits))
    return Interval(100 * found.low, 100 * found.high, found.level, found.method)


def p_value(value: float, interval: Interval) -> float:
    """Two-sided p-value of "the true value is 0" from an interval (Altman & Bland, 2011, BMJ 343:d2304)."""
    half = value - interval.low if value > 0 else interval.high - value
    if value == 0 or half <= 0:
        return 1.0 if value == 0 else 0.0
    normal = NormalDist()
    z = abs(value) / half * normal.inv_cdf((1 + interval.level) / 2)
    return 2 * normal.cdf(-z)


def exact(value: float, method: str) -> Interval:
    """Of something counted or decided, not sampled."""
    return Interval(value, value, method=method)
