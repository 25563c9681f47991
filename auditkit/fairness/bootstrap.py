"""Bootstrap by counts, and intervals of the largest difference and the smallest ratio among groups.

People enter the metrics through a table of counts only. Drawing n people with replacement and counting them again is
therefore the same as one draw from a multinomial distribution over the table's cells: exact, and thousands of times
cheaper than drawing the people.

The largest difference among groups is never negative, so resampling it as it stands says that groups differ even
where they do not (of fair groups it finds a difference above 0 every time). Its interval follows instead from intervals
of all pairwise differences that hold jointly: they are Newcombe's (1998) and Donner and Zou's (2012), built from
Wilson intervals, with the critical value that the largest of the standardised differences exceeds in 5 % of the
resamples (max-T, Romano & Wolf 2005).
"""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from auditkit import stats
from auditkit.fairness.metrics import Floats, Ints, rates
from auditkit.measurement import Interval

RESAMPLES = 2_000
LARGEST_CRITICAL = 8.0  # beyond this a level rounds to 1


class Bounds(NamedTuple):
    """(G,) ends of an interval of each group's rate."""

    low: Floats
    high: Floats


def resample(counts: Ints, rng: np.random.Generator, resamples: int = RESAMPLES) -> Ints:
    """(resamples, *counts.shape): as many people drawn from the same cells with replacement, again and again."""
    cells = counts.ravel()
    drawn = rng.multinomial(int(cells.sum()), cells / cells.sum(), size=resamples)
    return drawn.reshape(resamples, *counts.shape)


def standard_errors(successes: Ints, trials: Ints) -> Floats:
    """(G,) of each rate, after adding two successes and two failures (Agresti & Coull, 1998): never 0."""
    n = trials + 4.0
    p = (successes + 2.0) / n
    return np.sqrt(p * (1 - p) / n)


def critical_value(
    successes: Ints, trials: Ints, drawn_successes: Ints, drawn_trials: Ints, *, level: float = 0.95
) -> float:
    """How many standard errors wide the intervals of all pairwise differences must be to hold jointly.

    Args:
        successes: (G,) of the people themselves.
        trials: (G,) the same.
        drawn_successes: (B, G) of the resamples.
        drawn_trials: (B, G) the same.
        level: how often all of them hold.
    """
    errors = standard_errors(successes, trials)
    # A group that nobody of a resample belongs to has no deviation there.
    deviations = np.nan_to_num(rates(drawn_successes, drawn_trials) - rates(successes, trials))
    largest = np.zeros(len(deviations))
    for i in range(len(errors) - 1):
        pairs = np.abs(deviations[:, i + 1 :] - deviations[:, i, None]) / np.hypot(errors[i + 1 :], errors[i])
        np.maximum(largest, pairs.max(axis=1), out=largest)
    single = NormalDist().inv_cdf((1 + level) / 2)
    return float(np.clip(np.quantile(largest, level), single, LARGEST_CRITICAL))


def wilson_bounds(successes: Ints, trials: Ints, critical: float) -> Bounds:
    """Wilson intervals of the groups' rates, `critical` standard errors wide; (0, 1) over nobody."""
    level = 2 * NormalDist().cdf(critical) - 1
    found = [
        stats.wilson(int(s), int(n), level=level) if n else Interval(0.0, 1.0)
        for s, n in zip(successes, trials, strict=True)
    ]
    return Bounds(np.array([i.low for i in found]), np.array([i.high for i in found]))


def difference_interval(values: Floats, bounds: Bounds) -> tuple[float, float]:
    """Interval of max(values) - min(values) over at least two groups (Newcombe, 1998, method 10, for every pair)."""
    gaps = values[:, None] - values[None, :]
    below = np.hypot((values - bounds.low)[:, None], (bounds.high - values)[None, :])
    above = np.hypot((bounds.high - values)[:, None], (values - bounds.low)[None, :])
    pairs = ~np.eye(len(values), dtype=bool)
    return max(0.0, float((gaps - below)[pairs].max())), float((gaps + above)[pairs].max())


def ratio_interval(values: Floats, bounds: Bounds) -> tuple[float, float]:
    """Interval of min(values) / max(values) over at least two groups, the largest value being above 0."""
    low, high = pairwise_ratios(values, bounds)
    pairs = ~np.eye(len(values), dtype=bool)
    return float(low[pairs].min()), min(1.0, float(high[pairs].min()))


def pairwise_ratios(values: Floats, bounds: Bounds) -> tuple[Floats, Floats]:
    """(G, G) ends of the intervals of values[i] / values[j] (Donner & Zou, 2012); infinite where it may be over 0."""
    product = values[:, None] * values[None, :]
    # Each end is a root of a * r^2 - 2 * product * r + c = 0.
    a = (bounds.high * (2 * values - bounds.high))[None, :]
    c = (bounds.low * (2 * values - bounds.low))[:, None]
    below = product + np.sqrt(np.maximum(product**2 - a * c, 0))
    low = np.divide(c, below, out=np.zeros_like(below), where=below > 0)
    a = np.broadcast_to((bounds.low * (2 * values - bounds.low))[None, :], product.shape)
    c = (bounds.high * (2 * values - bounds.high))[:, None]
    above = product + np.sqrt(np.maximum(product**2 - a * c, 0))
    high = np.divide(above, a, out=np.full_like(above, np.inf), where=a > 0)
    return low, high
