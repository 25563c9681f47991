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
from auditkit.fairness.yes_no import yes_no
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
        interval: of the gap; None for one person.
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
    label = yes_no(label, "label")
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
    ends = np.array([(g.interval.low, g.interval.high) for g in compared if g.interval is not None])
    wide = values[:, None] + factor * (ends - values[:, None])
    low, high = bootstrap.difference_interval(values, bootstrap.Bounds(wide[:, 0], wide[:, 1]))
    interval = Interval(low, high, method="jointly valid pairwise intervals (Newcombe, Bonferroni)")
    return Gap(float(values.max() - values.min()), interval)


def _calibration(name: str, label: Bools, score: Floats) -> GroupCalibration:
    place = np.minimum((score * BINS).astype(int), BINS - 1)
    bins = tuple(_bin(label[place == b], score[place == b]) for b in range(BINS) if (place == b).any())
    error = sum(b.n * abs(b.mean_score - b.share) for b in bins) / len(label)
    errors = score - label
    gap = float(errors.mean())
    return GroupCalibration(name, len(label), gap, _gap_interval(gap, label, score), float(error), bins)


def _bin(label: Bools, score: Floats) -> Bin:
    return Bin(len(label), float(score.mean()), float(label.mean()), stats.wilson(int(label.sum()), len(label)))


def _gap_interval(gap: float, label: Bools, score: Floats) -> Interval | None:
    """Interval of mean score less share of positives, from those of both and their correlation.

    Student's t interval of the errors takes them to be nearly normal. Of 20 people at a base rate of 5 % a third of the
    samples have no positive at all, and it covered 64 %. Here the share has Wilson's interval, the mean score has
    Student's, and they are put together as the difference of two dependent estimates (Zou & Donner, 2008, Statistics in
    Medicine 27). The correlation is shrunk as if one more positive had been seen that says nothing of it.
    """
    from scipy import special

    n, positives = len(label), int(label.sum())
    if n < 2:
        return None
    share = stats.wilson(positives, n)
    reach = float(special.stdtrit(n - 1, 0.975)) * float(score.std(ddof=1)) / math.sqrt(n)
    common = 2 * reach * _shrunk_correlation(label, score)
    above, below = share.high - positives / n, positives / n - share.low
    low, high = (math.sqrt(max(0.0, reach**2 + end**2 - common * end)) for end in (above, below))
    method = f"Zou-Donner, of Wilson's and Student's t intervals, n={n}"
    return Interval(gap - low, gap + high, method=method)


def _shrunk_correlation(label: Bools, score: Floats) -> float:
    """Of label and score; 0 where one of them is the same for everybody."""
    n, positives = len(label), int(label.sum())
    spread = positives * (n - positives) / n
    if spread == 0 or np.ptp(score) == 0:
        return 0.0
    return float(np.corrcoef(label, score)[0, 1]) * spread / (spread + 1)
