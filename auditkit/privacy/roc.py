"""ROC, its area, and the TPR at a small FPR, each with an interval.

A high score means "member". The area's interval is the wider one of DeLong's (1988) and Newcombe's (2006). That of a
TPR holds for any sample size and any distribution: the threshold is itself an estimate, from the non-members, so its
own interval is part of the sum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from auditkit import stats
from auditkit.errors import DataError
from auditkit.measurement import Interval

Floats = npt.NDArray[np.float64]


class Roc(NamedTuple):
    """The empirical ROC: `fpr[i]` and `tpr[i]` where scores above `thresholds[i]` are called members; from 0 to 1."""

    fpr: Floats
    tpr: Floats
    thresholds: Floats

    def thinned(self, points: int = 60) -> dict[str, list[float]]:
        """The curve at `points` FPRs evenly spaced on a log axis, from the smallest above 0 to 1; JSON values."""
        fprs = np.unique(np.geomspace(self.fpr[self.fpr > 0].min(), 1, points))
        last = np.searchsorted(self.fpr, fprs + 1e-12, side="right") - 1
        return {"fpr": fprs.tolist(), "tpr": self.tpr[last].tolist()}


class Auc(NamedTuple):
    """Area under the ROC: P(a member scores higher than a non-member), a tie counting half.

    Attributes:
        value: the area.
        interval: its confidence interval.
        contributions: (members + nonmembers,) members first. Their mean is the area, and the spread of that mean is
            the area's (DeLong's structural components), so two models can be compared on them, text by text.
    """

    value: float
    interval: Interval
    contributions: Floats


@dataclass(frozen=True, slots=True)
class TprAtFpr:
    """Share of members found when at most `fpr` of the non-members are accused.

    Attributes:
        fpr: the false positive rate, as a share.
        value: the share of members above the threshold; None where there are too few non-members to set one.
        interval: at least 95 % for any distribution; covers the choice of the threshold.
        threshold: scores above it are called members.
        minimum_detectable_effect: the smallest true TPR whose interval would lie above `fpr` with a power of 80 %;
            None where no TPR could be shown to.
        found: (members,) whether each is above the threshold; empty where there is none.
        note: what the number of non-members does not allow; "" where it allows everything.
    """

    fpr: float
    value: float | None
    interval: Interval | None
    threshold: float | None
    minimum_detectable_effect: float | None
    found: npt.NDArray[np.bool_]
    note: str


def roc(members: Floats, nonmembers: Floats) -> Roc:
    """The ROC at every score that occurs: (k + 1,) points, k the number of distinct scores, FPR rising."""
    thresholds = np.append(np.unique(np.concatenate([members, nonmembers]))[::-1], -np.inf)
    share = [1 - np.searchsorted(np.sort(side), thresholds, side="right") / len(side) for side in (nonmembers, members)]
    return Roc(share[0], share[1], thresholds)


def auc(members: Floats, nonmembers: Floats, *, level: float = 0.95, variance_factor: float = 1.0) -> Auc:
    """Area under the ROC; its interval is the wider one, on either side, of DeLong's and Newcombe's.

    DeLong's (1988) variance, on the logit scale (Pepe, 2003, section 5.2.5) and with Student's quantile at Welch's
    degrees of freedom, assumes nothing of the scores. But where members and non-members hardly overlap, few scores say
    how much they do, and it covers 70 to 92 % (area .97, 30 members). Newcombe's method 5 (2006, Statistics in Medicine
    25(4)) takes the variance from the area and the sizes alone, and so assumes that both sides spread alike.

    Where the samples do not overlap at all, or all scores are equal, DeLong's variance is 0, which nobody should
    believe; then min(m, n) disjoint pairs of a member and a non-member are independent trials, and the interval is
    Clopper & Pearson's.

    Args:
        members: (m,) scores, m >= 2.
        nonmembers: (n,) scores, n >= 2.
        level: the confidence level.
        variance_factor: inflates the variance where the scores are not independent of each other.
    """
    over, under = placements(members, nonmembers)
    m, n, area = len(over), len(under), float(over.mean())
    total = m + n
    contributions = np.concatenate([area + total / m * (over - area), area + total / n * (under - area)])
    parts = variance_factor * np.array([over.var(ddof=1) / m, under.var(ddof=1) / n])
    # Rounding leaves 1e-33 where every placement is the same.
    if parts.sum() < 1e-20 or area in (0.0, 1.0):
        pairs = min(m, n)
        exact = stats.clopper_pearson(round(area * pairs), pairs, level=level)
        return Auc(area, Interval(min(exact.low, area), max(exact.high, area), level, exact.method), contributions)
    both = _delong(area, parts, (m, n), level), _newcombe(area, (m, n), variance_factor, level)
    inflated = "" if variance_factor == 1 else f", variance times {variance_factor:g}"
    method = f"the wider of DeLong, logit scale, and Newcombe{inflated}, {m} members and {n} non-members"
    low, high = min(i[0] for i in both), max(i[1] for i in both)
    return Auc(area, Interval(low, high, level, method), contributions)


def tpr_at_fpr(members: Floats, nonmembers: Floats, fpr: float, *, level: float = 0.95) -> TprAtFpr:
    """The TPR at the smallest threshold above which lie at most `fpr` of the non-members.

    Half of the allowed error goes to the threshold: two order statistics of the non-members enclose the true one. The
    other half goes to the share of members above it: the interval runs from Clopper & Pearson's lower end at the
    stricter of the two thresholds to their upper end at the laxer one. It covers the TPR at the true FPR with
    probability `level` or more, whatever the distributions and however few the texts.

    Raises:
        DataError: `fpr` is not between 0 and 1.
    """
    if not 0 < fpr < 1:
        raise DataError(f"fpr={fpr}: expected a share between 0 and 1, for instance 0.01")
    m, n = len(members), len(nonmembers)
    accused = math.floor(fpr * n + 1e-9)
    strict, lax = _threshold_interval(nonmembers, fpr, level)
    detectable = _minimum_detectable_tpr(m, fpr, level) if math.isfinite(strict) else None
    if accused == 0:
        note = f"n is too small: {n} non-members cannot show an FPR of {fpr:.2%}; give at least {math.ceil(1 / fpr)}"
        return TprAtFpr(fpr, None, None, None, detectable, np.zeros(0, dtype=bool), note)
    threshold = float(np.sort(nonmembers)[-accused - 1])
    found = members > threshold
    half = (1 + level) / 2
    low = stats.clopper_pearson(int((members > strict).sum()), m, level=half).low
    high = stats.clopper_pearson(int((members > lax).sum()), m, level=half).high
    note = "" if math.isfinite(strict) else _no_lower_bound(n, fpr, level)
    method = f"Clopper-Pearson at order-statistic bounds of the threshold, {m} members and {n} non-members"
    return TprAtFpr(fpr, float(found.mean()), Interval(low, high, level, method), threshold, detectable, found, note)


def placements(members: Floats, nonmembers: Floats) -> tuple[Floats, Floats]:
    """(m,) share of non-members below each member, and (n,) share of members above each non-member; ties half."""
    from scipy.stats import rankdata

    m, n = len(members), len(nonmembers)
    ranks = rankdata(np.concatenate([members, nonmembers]))
    return (ranks[:m] - rankdata(members)) / n, 1 - (ranks[m:] - rankdata(nonmembers)) / m


def _delong(area: float, parts: Floats, sizes: tuple[int, int], level: float) -> tuple[float, float]:
    """Ends on the logit scale; `parts` are what members and non-members add to the variance."""
    from scipy.special import expit, logit, stdtrit

    freedom = parts.sum() ** 2 / (parts**2 / (np.array(sizes) - 1)).sum()
    half = stdtrit(freedom, (1 + level) / 2) * math.sqrt(parts.sum()) / (area * (1 - area))
    return float(expit(logit(area) - half)), float(expit(logit(area) + half))


def _newcombe(area: float, sizes: tuple[int, int], factor: float, level: float) -> tuple[float, float]:
    """The areas that lie just within reach of the estimate, by the variance that they themselves would give it."""
    from scipy.optimize import brentq

    m, n = sizes
    z, others = NormalDist().inv_cdf((1 + level) / 2), (m + n) / 2 - 1

    def beyond(true: float) -> float:
        """Above 0 where `true` is rejected; the variance is Hanley & McNeil's (1982), of exponential scores."""
        correlated = 1 + others * ((1 - true) / (2 - true) + true / (1 + true))
        return (area - true) ** 2 - z * z * factor * true * (1 - true) * correlated / (m * n)

    return float(brentq(beyond, 0.0, area)), float(brentq(beyond, area, 1.0))


def _threshold_interval(nonmembers: Floats, fpr: float, level: float) -> tuple[float, float]:
    """Thresholds above and below the true one, each wrong with probability (1 - level) / 4 at most; may be infinite.

    The number of n non-members at or above the true threshold is binomial with a share of at least `fpr`, the number
    above it with a share of at most `fpr`.
    """
    from scipy.stats import binom

    n, tail = len(nonmembers), (1 - level) / 4
    descending = np.sort(nonmembers)[::-1]
    counts = np.arange(n + 1)
    rare = np.flatnonzero(binom.cdf(counts, n, fpr) <= tail)
    strict = float(descending[rare[-1]]) if len(rare) else math.inf
    many = np.flatnonzero(binom.sf(counts - 1, n, fpr) <= tail)
    lax = float(descending[many[0] - 1]) if len(many) else -math.inf
    return strict, lax


def _minimum_detectable_tpr(m: int, fpr: float, level: float, power: float = 0.8) -> float | None:
    """Smallest share of members above the stricter threshold that lifts the interval off `fpr` with this power."""
    from scipy.special import bdtrc
    from scipy.stats import beta

    tail = (1 - level) / 4
    lower_ends = beta.ppf(tail, np.arange(1, m + 1), m - np.arange(m))
    enough = np.flatnonzero(lower_ends > fpr)
    if not len(enough):
        return None
    shares = np.linspace(fpr, 1, 2000)
    reached = bdtrc(float(enough[0]), m, shares) >= power  # P(more than enough[0] successes); counts start at 1
    return float(shares[np.argmax(reached)])


def _no_lower_bound(n: int, fpr: float, level: float) -> str:
    needed = math.ceil(math.log((1 - level) / 4) / math.log1p(-fpr))
    return f"n is small: with {n} non-members the lower end is 0 whatever the attack; a positive one needs {needed}"
