"""How well the score tells positives from negatives within each group: its ROC, and the area under it.

A score can be equally calibrated everywhere and still rank the people of one group at random. The area says how often a
positive is scored above a negative of the same group (Hanley & McNeil 1982); its interval is the wider one of DeLong's
(1988) and Newcombe's (2006).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from auditkit.fairness import bootstrap
from auditkit.fairness.groups import Gap
from auditkit.fairness.metrics import SMALL_CELL
from auditkit.fairness.people import Bools, Floats, Partition
from auditkit.fairness.yes_no import yes_no
from auditkit.measurement import Interval
from auditkit.privacy.roc import auc, roc

POINTS = 41  # of a curve


@dataclass(frozen=True, slots=True)
class GroupDiscrimination:
    """The ROC of one group.

    Attributes:
        group: its name.
        positives: how many people have the positive outcome.
        negatives: how many have not.
        area: under the curve; None where fewer than two have either outcome.
        interval: of the area; None where fewer than 30 have either outcome, as the group is too small to be compared.
        fpr: false positive rates, evenly spaced from 0 to 1.
        tpr: the true positive rate at each.
    """

    group: str
    positives: int
    negatives: int
    area: float | None
    interval: Interval | None
    fpr: tuple[float, ...] = ()
    tpr: tuple[float, ...] = ()

    @property
    def small(self) -> bool:
        """Whether there are too few people of either outcome to be compared with other groups."""
        return min(self.positives, self.negatives) < SMALL_CELL


def discrimination_by_group(partition: Partition, label: Bools, score: Floats) -> list[GroupDiscrimination]:
    """The ROC of every group, in the partition's order.

    Args:
        partition: each person's group.
        label: (n,) whether the true outcome is positive.
        score: (n,) the predicted probability that it is.
    """
    label = yes_no(label, "label")
    members = [partition.codes == code for code in range(len(partition.groups))]
    return [_of(name, score[m & label], score[m & ~label]) for name, m in zip(partition.groups, members, strict=True)]


def area_difference(groups: list[GroupDiscrimination]) -> Gap | None:
    """Largest less smallest area of the groups that are not small; None where fewer than two are.

    The groups are different people, so that their areas are independent; each interval is stretched on the logit scale
    until all pairwise differences hold jointly (Bonferroni).
    """
    compared = [g for g in groups if not g.small and g.area is not None and g.interval is not None]
    if len(compared) < 2:
        return None
    pairs = len(compared) * (len(compared) - 1) // 2
    factor = NormalDist().inv_cdf(1 - 0.025 / pairs) / NormalDist().inv_cdf(0.975)
    values = np.array([g.area for g in compared], dtype=np.float64)
    low, high = (np.array([getattr(g.interval, end) for g in compared], dtype=np.float64) for end in ("low", "high"))
    bounds = bootstrap.Bounds(_stretched(values, low, factor), _stretched(values, high, factor))
    least, most = bootstrap.difference_interval(values, bounds)
    method = "jointly valid pairwise intervals of the areas (Bonferroni)"
    return Gap(float(values.max() - values.min()), Interval(least, most, method=method))


def _of(name: str, positives: Floats, negatives: Floats) -> GroupDiscrimination:
    if min(len(positives), len(negatives)) < 2:
        return GroupDiscrimination(name, len(positives), len(negatives), None, None)
    found, curve = auc(positives, negatives), roc(positives, negatives)
    fpr = np.linspace(0, 1, POINTS)
    tpr = np.interp(fpr, curve.fpr, curve.tpr)
    few = min(len(positives), len(negatives)) < SMALL_CELL
    interval, points = None if few else found.interval, (tuple(fpr.tolist()), tuple(tpr.tolist()))
    return GroupDiscrimination(name, len(positives), len(negatives), found.value, interval, *points)


def _stretched(values: Floats, ends: Floats, factor: float) -> Floats:
    """The ends of the intervals, `factor` times as far from the values in log odds."""
    inside = [np.clip(x, 1e-9, 1 - 1e-9) for x in (values, ends)]
    middle, end = (np.log(x / (1 - x)) for x in inside)
    out: Floats = 1 / (1 + np.exp(-(middle + factor * (end - middle))))
    return out
