"""How well an attack tells members from non-members: `evaluate` its scores, overall and by group.

Carlini et al. (2022, "Membership inference attacks from first principles") on why the TPR at a small FPR is what
counts: an attack that is sure about a few records does more harm than one that is slightly better than a coin on all,
and the AUC hardly sees it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from auditkit.errors import DataError
from auditkit.privacy.roc import Auc, Floats, Roc, TprAtFpr, auc, placements, roc, tpr_at_fpr

Labels = npt.NDArray[np.str_]

FPRS = (0.01, 0.001)
SMALLEST_GROUP = 20
DRAWS = 499


@dataclass(frozen=True, slots=True)
class AttackResult:
    """What `evaluate` finds.

    Attributes:
        auc: the area with its interval.
        p_value: two-sided, of members and non-members scoring alike (Mann & Whitney, 1947).
        minimum_detectable_auc: the smallest AUC above 0.5 found with a power of 80 %.
        tpr: one for each requested FPR.
        roc: the whole curve.
        tie_rate: share of pairs of a member and a non-member with equal scores.
        members: their number.
        nonmembers: their number.
        groups: the same of each group alone; groups with fewer than 20 members or non-members are in `small_groups`.
        small_groups: {group: (members, nonmembers)} of those left out.
        groups_p_value: of all these groups being leaked alike; None with fewer than two.
    """

    auc: Auc
    p_value: float
    minimum_detectable_auc: float
    tpr: tuple[TprAtFpr, ...]
    roc: Roc
    tie_rate: float
    members: int
    nonmembers: int
    groups: Mapping[str, AttackResult] = field(default_factory=dict)
    small_groups: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    groups_p_value: float | None = None


def evaluate(
    member_scores: npt.ArrayLike,
    nonmember_scores: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    groups: tuple[Sequence[str], Sequence[str]] | None = None,
    fprs: Sequence[float] = FPRS,
    level: float = 0.95,
) -> AttackResult:
    """Judge an attack by its scores.

    Args:
        member_scores: (m,) scores of records that the model was trained on.
        nonmember_scores: (n,) scores of records from the same distribution that it was not.
        rng: draws the relabellings of the test that compares groups; unused without `groups`.
        groups: the group of each member and of each non-member. A group's members are compared with its own
            non-members, so a group that is merely easier to predict is not taken for one that is leaked.
        fprs: false positive rates at which to give the TPR, as shares.
        level: of the intervals.

    Raises:
        DataError: fewer than two scores on a side, a score that is not finite, or not a group for each score.
    """
    members, nonmembers = _scores(member_scores, "members"), _scores(nonmember_scores, "non-members")
    alone = _evaluate(members, nonmembers, fprs, level)
    if groups is None:
        return alone
    labels = tuple(np.asarray(side, dtype=str) for side in groups)
    if (len(labels[0]), len(labels[1])) != (len(members), len(nonmembers)):
        raise DataError(
            f"groups of {len(labels[0])} members and {len(labels[1])} non-members, but scores of {len(members)} and "
            f"{len(nonmembers)}; give one group for each score"
        )
    sizes = {g: (int((labels[0] == g).sum()), int((labels[1] == g).sum())) for g in sorted({*labels[0], *labels[1]})}
    large = [g for g, size in sizes.items() if min(size) >= SMALLEST_GROUP]
    of_group = {str(g): _evaluate(members[labels[0] == g], nonmembers[labels[1] == g], fprs, level) for g in large}
    return replace(
        alone,
        groups=of_group,
        small_groups={str(g): size for g, size in sizes.items() if g not in large},
        groups_p_value=compare_groups(members, nonmembers, labels[0], labels[1], large, rng=rng),
    )


def _evaluate(members: Floats, nonmembers: Floats, fprs: Sequence[float], level: float) -> AttackResult:
    from scipy.stats import mannwhitneyu

    m, n = len(members), len(nonmembers)
    return AttackResult(
        auc=auc(members, nonmembers, level=level),
        p_value=float(mannwhitneyu(members, nonmembers).pvalue),
        minimum_detectable_auc=minimum_detectable_auc(m, n),
        tpr=tuple(tpr_at_fpr(members, nonmembers, fpr, level=level) for fpr in fprs),
        roc=roc(members, nonmembers),
        tie_rate=_tie_rate(members, nonmembers),
        members=m,
        nonmembers=n,
    )


def minimum_detectable_auc(m: int, n: int, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """The AUC above 0.5 that a two-sided rank test of m members and n non-members finds with `power`; at most 1."""
    z = NormalDist().inv_cdf
    return min(1.0, 0.5 + (z(1 - alpha / 2) + z(power)) * math.sqrt((m + n + 1) / (12 * m * n)))


def compare_groups(
    members: Floats,
    nonmembers: Floats,
    member_groups: Labels,
    nonmember_groups: Labels,
    groups: Sequence[str],
    *,
    rng: np.random.Generator,
    draws: int = DRAWS,
) -> float | None:
    """p-value of the groups' AUCs being equal: Cochran's Q over them, against its value with groups dealt anew.

    The labels are dealt among the members, and among the non-members, of these groups. Dividing by each group's own
    variance keeps the test honest where groups differ in the spread of their scores (Chung & Romano, 2013).

    Returns:
        None for fewer than two groups.
    """
    if len(groups) < 2:
        return None
    inside = np.isin(member_groups, groups), np.isin(nonmember_groups, groups)
    scores = members[inside[0]], nonmembers[inside[1]]
    labels = member_groups[inside[0]], nonmember_groups[inside[1]]
    observed = _heterogeneity(*scores, *labels, groups)
    drawn = [
        _heterogeneity(*scores, rng.permutation(labels[0]), rng.permutation(labels[1]), groups) for _ in range(draws)
    ]
    return (1 + sum(q >= observed - 1e-9 for q in drawn)) / (1 + draws)


def _heterogeneity(
    members: Floats,
    nonmembers: Floats,
    member_groups: Labels,
    nonmember_groups: Labels,
    groups: Sequence[str],
) -> float:
    """Cochran's Q of the groups' AUCs: squared distances from their weighted mean, in units of their variance."""
    areas, weights = [], []
    for group in groups:
        over, under = placements(members[member_groups == group], nonmembers[nonmember_groups == group])
        # A group that is separated perfectly has a variance of 0; half a pair in doubt keeps its weight finite.
        doubt = 0.25 / (len(over) * len(under)) ** 2
        areas.append(over.mean())
        weights.append(1 / (over.var(ddof=1) / len(over) + under.var(ddof=1) / len(under) + doubt))
    return float(np.dot(weights, (np.array(areas) - np.average(areas, weights=weights)) ** 2))


def _tie_rate(members: Floats, nonmembers: Floats) -> float:
    values, counts = np.unique(members, return_counts=True)
    others = np.sort(nonmembers)
    equal = np.searchsorted(others, values, side="right") - np.searchsorted(others, values, side="left")
    return float((counts * equal).sum() / (len(members) * len(nonmembers)))


def _scores(values: npt.ArrayLike, whose: str) -> Floats:
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or len(scores) < 2:
        raise DataError(f"scores of {whose}: an array of shape {scores.shape}; expected at least two numbers in a row")
    if not np.isfinite(scores).all():
        raise DataError(f"{(~np.isfinite(scores)).sum()} scores of {whose} are NaN or infinite; leave these texts out")
    return scores
