"""Calibration by group: of people with a score of 0.3, do three in ten have the outcome, in every group?

Two numbers a group (Kleinberg et al. 2017; Naeini et al. 2015): the *calibration gap*, mean score less the share of
positives, which says whether a group is scored too high or too low on the whole, and the *expected calibration error*,
the mean distance over ten score bins, which also sees errors that cancel. The second is always above 0 by chance, the
more so the smaller the group, so that only the first has an interval and is compared between groups.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from auditkit import stats
from auditkit.fairness import bootstrap
from auditkit.fairness.groups import Gap
from auditkit.fairness.metrics import SMALL_CELL
from auditkit.fairness.people import Bools, Floats, Partition
from auditkit.measurement import Interval

BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """The people of a group whose scores lie in one tenth of [0, 1]."""

    n: int
    mean_score: float
    share: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class GroupCalibration:
    """The calibration of one group.

    Attributes:
        group: its name.
        n: how many people it has.
        gap: mean score less share of positives.
        interval: Student's t interval of the gap; None for one person, or where all errors are the same.
        error: expected calibration error over ten bins of equal width.
        bins: those that hold anybody, by score.
    """

    group: str
    n: int
    gap: float
    interval: Interval | None
    error: float
    bins: tuple[Bin, ...]

    @property
    def small(self) -> bool:
        """Whether the gap rests on too few people to be compared with others."""
        return self.n < SMALL_CELL


def calibration_by_group(partition: Partition, label: Bools, score: Floats) -> list[GroupCalibration]:
    """The calibration of every group, in the partition's order.

    Args:
        partition: each person's group.
        label: (n,) whether the true outcome is positive.
        score: (n,) the predicted probability that it is.
    """
    members = [partition.codes == code for code in range(len(partition.groups))]
    return [_calibration(name, label[m], score[m]) for name, m in zip(partition.groups, members, strict=True)]


def gap_difference(groups: Sequence[GroupCalibration]) -> Gap | None:
    """Largest less smallest calibration gap of the groups that are not small; None where fewer than two are."""
    compared = [g for g in groups if not g.small and g.interval is not None]
    if len(compared) < 2:
        return None
    pairs = len(compared) * (len(compared) - 1) // 2
    # Each interval is stretched so that all pairwise differences hold jointly (Bonferroni).
    factor = NormalDist().inv_cdf(1 - 0.025 / pairs) / NormalDist().inv_cdf(0.975)
    values = np.array([g.gap for g in compared])
    reach = np.array([factor * (g.interval.high - g.gap) for g in compared if g.interval is not None])
    low, high = bootstrap.difference_interval(values, bootstrap.Bounds(values - reach, values + reach))
    interval = Interval(low, high, method="jointly valid pairwise t intervals (Bonferroni)")
    return Gap(float(values.max() - values.min()), interval)


def _calibration(name: str, label: Bools, score: Floats) -> GroupCalibration:
    place = np.minimum((score * BINS).astype(int), BINS - 1)
    bins = tuple(_bin(label[place == b], score[place == b]) for b in range(BINS) if (place == b).any())
    error = sum(b.n * abs(b.mean_score - b.share) for b in bins) / len(label)
    errors = score - label
    return GroupCalibration(name, len(label), float(errors.mean()), _t_interval(errors), float(error), bins)


def _bin(label: Bools, score: Floats) -> Bin:
    return Bin(len(label), float(score.mean()), float(label.mean()), stats.wilson(int(label.sum()), len(label)))


def _t_interval(values: Floats) -> Interval | None:
    """Student's t interval of a mean."""
    from scipy import special

    n = len(values)
    if n < 2 or np.ptp(values) == 0:
        return None
    half = float(special.stdtrit(n - 1, 0.975)) * float(values.std(ddof=1)) / math.sqrt(n)
    mean = float(values.mean())
    return Interval(mean - half, mean + half, method=f"Student's t interval, n={n}")
