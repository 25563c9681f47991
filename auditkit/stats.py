"""Intervals, tests, corrections and power: how sure a number is.

    one share            wilson; clopper_pearson where the level must be guaranteed
    one mean             bootstrap; cluster_bootstrap where items share an origin (a writer, a template, a name)
    two models           on the same items: paired_bootstrap for the difference, mcnemar for yes/no outcomes
    two groups           permutation_test
    several tests        holm (any false alarm), benjamini_hochberg (share of false alarms)
    "no difference"      tost, never a large p-value
    what n can find      minimum_detectable_effect
    two scores           spearman; how sure a correlation is, and a change of it, stands in auditkit.correlations

Everything random takes a generator, so that a number can be repeated.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from auditkit import rare_events
from auditkit.errors import DataError, UnknownName
from auditkit.measurement import Interval
from auditkit.wild_bootstrap import WildClusterTest

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TIE = 1e-10  # statistics closer than this share of the largest one are equal: they differ by rounding only
CELLS = 200_000  # resamples x items drawn at a time: they stay in the processor's cache


class McNemar(NamedTuple):
    """Items that only the first, and only the second model got; p of the two being equally frequent."""

    only_a: int
    only_b: int
    p_value: float


class PermutationTest(NamedTuple):
    """Difference of means; its p-value; how many partitions it was compared with; whether those were all."""

    statistic: float
    p_value: float
    partitions: int
    exact: bool


class Equivalence(NamedTuple):
    """The larger p-value of two one-sided tests, and whether it is below alpha."""

    p_value: float
    equivalent: bool


def wilson(successes: int, n: int, *, level: float = 0.95) -> Interval:
    """Score interval of a share in [0, 1] (Wilson, 1927): covers `level` on average over the true share.

    Raises:
        DataError: n < 1, or successes outside 0..n.
    """
    _check_counts(successes, n)
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, shrink = float(successes) / n, 1 + z * z / n
    centre = (share + z * z / (2 * n)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    # At 0 and n the ends are 0 and 1 exactly; rounding may miss them by an ulp.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return Interval(low, high, level, f"Wilson score interval, n={n}")


def clopper_pearson(successes: int, n: int, *, level: float = 0.95) -> Interval:
    """Exact interval of a share in [0, 1] (Clopper & Pearson, 1934): covers at least `level` for every true share.

    Raises:
        DataError: n < 1, or successes outside 0..n.
    """
    _check_counts(successes, n)
    low, high = _beta_quantiles(successes, n, level)
    return Interval(low, high, level, f"Clopper-Pearson exact interval, n={n}")


def bootstrap(
    values: npt.ArrayLike,
    statistic: Literal["mean"] | Callable[..., Any] = "mean",
    *,
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = 9_999,
) -> Interval:
    """Bias-corrected and accelerated bootstrap interval (BCa; Efron, 1987) of a statistic of independent items.

    Args:
        values: (n,) one number per item.
        statistic: "mean", or a function as `scipy.stats.bootstrap` takes it; give it an `axis` parameter to be fast.
        rng: the source of all randomness.
        level: the confidence level.
        resamples: how many samples of n items are drawn with replacement.

    Raises:
        DataError: fewer than two values, one that is not finite, or values all equal, which say nothing about spread.
    """
    from scipy import stats

    sample = _finite(values)
    if len(sample) < 2 or np.ptp(sample) == 0:
        raise DataError(
            f"bootstrap: {len(sample)} value(s), none different from another: resampling cannot show their spread; "
            "use wilson for a share, or cluster_bootstrap with bounds"
        )
    result = stats.bootstrap(
        (sample,),
        np.mean if statistic == "mean" else statistic,
        confidence_level=level,
        n_resamples=resamples,
        batch=max(1, CELLS // len(sample)),
        method="BCa",
        rng=rng,
    ).confidence_interval
    return Interval(float(result.low), float(result.high), level, f"BCa bootstrap, {resamples} resamples")


def cluster_bootstrap(
    values: npt.ArrayLike,
    clusters: Sequence[Any] | npt.NDArray[Any],
    *,
    rng: np.random.Generator,
    x: npt.ArrayLike | None = None,
    bounds: tuple[float, float] | None = None,
    level: float = 0.95,
    resamples: int = 9_999,
) -> Interval:
    """Interval of a mean, or of a slope on `x`, when items of one cluster are not independent of each other.

    Resampling whole clusters and taking percentiles covers far less than its level with few or unequal clusters.
    This is the wild cluster bootstrap-t: the interval holds every value that its test does not reject. Where fewer than
    thirty clusters differ from all the others it is widened to Wilson's (see `rare_events`).

    Args:
        values: (n,) one number per item.
        clusters: (n,) labels; items with equal labels belong together.
        rng: the source of all randomness.
        x: (n,) covariate; then the interval is of the least-squares slope of `values` on `x`.
        bounds: the smallest and largest value that is possible, e.g. (0, 100). The interval is cut there, and is
            defined even where the clusters do not differ at all: exact binomial with the clusters as the trials.
        level: the confidence level.
        resamples: how often the weights are drawn.

    Raises:
        DataError: nothing to go by (no values, or not as many clusters or x), `x` constant, or, without `bounds`,
            clusters that do not differ or are too few to bound the interval.
    """
    y, group = _finite(values), _groups(clusters)
    covariate = None if x is None else _finite(x)
    if len(y) != len(group) or (covariate is not None and len(covariate) != len(y)):
        raise DataError(f"cluster_bootstrap: {len(y)} values but {len(group)} clusters, or not as many x")
    if covariate is not None and np.ptp(covariate) == 0:
        raise DataError("cluster_bootstrap: x is the same for every item; a slope needs it to vary")
    test = WildClusterTest(y, covariate, group, rng=rng, resamples=resamples)
    if test.error == 0:
        return _of_equal_clusters(test, bounds, level)
    floor, ceiling = bounds or (-math.inf, math.inf)
    low, high = test.end(-1, 1 - level), test.end(1, 1 - level)
    if covariate is None and (rare := rare_events.ends(y, group, (floor, ceiling), level)):
        low, high = min(low, rare[0]), max(high, rare[1])
    low, high = max(floor, low), min(ceiling, high)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise DataError(f"cluster_bootstrap: {test.clusters} clusters are too few to bound the interval; give bounds")
    return Interval(low, high, level, f"wild cluster bootstrap-t, {test.clusters} clusters, {resamples} resamples")


def paired_bootstrap(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    clusters: Sequence[Any] | npt.NDArray[Any] | None = None,
    x: npt.ArrayLike | None = None,
    span: float = 0.0,
    level: float = 0.95,
    resamples: int = 9_999,
) -> Interval:
    """Interval of mean(b - a), or of slope(b) - slope(a) on `x`, for two models on the same items.

    `cluster_bootstrap` of the differences, each item its own cluster where no `clusters` are given. Near a difference
    of 0 that is a sign-flipping test, which stays honest when the models disagree on a few items only.

    Args:
        a: (n,) scores of the first model.
        b: (n,) scores of the second.
        rng: the source of all randomness.
        clusters: (n,) labels.
        x: (n,) covariate.
        span: how far apart two answers to one item can lie, where the answers are yes or no: models that agree on all
            items may still differ on others, as often as Wilson's interval of none among so many clusters says. With 0,
            for scores that hardly are equal by chance, models that agree on every item differ by exactly 0.
        level: the confidence level.
        resamples: how often the weights are drawn.

    Raises:
        DataError: unequal numbers of items, and what `cluster_bootstrap` raises.
    """
    first, second = _finite(a), _finite(b)
    if len(first) != len(second):
        raise DataError(f"paired_bootstrap: {len(first)} and {len(second)} items; expected the same items in both")
    difference = second - first
    labels = np.arange(len(difference)) if clusters is None else clusters
    if not difference.any():
        return _no_difference(len(np.unique(_groups(labels))), span, level)
    return cluster_bootstrap(difference, labels, x=x, rng=rng, level=level, resamples=resamples)


def mcnemar(a: npt.ArrayLike, b: npt.ArrayLike) -> McNemar:
    """Exact test that two models get equally many items, from the items that only one of them gets (McNemar, 1947).

    Args:
        a: (n,) 1 or True where the first model has the property, else 0.
        b: (n,) the same for the second model, on the same items.

    Raises:
        DataError: unequal numbers of items, or values other than 0 and 1.
    """
    from scipy import stats

    first, second = _finite(a), _finite(b)
    if len(first) != len(second) or not np.isin([first, second], (0, 1)).all():
        raise DataError(
            f"mcnemar: expected 0 or 1 for the same items twice, given {len(first)} and {len(second)} values"
        )
    only_a, only_b = int((first > second).sum()), int((second > first).sum())
    p = stats.binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    return McNemar(only_a, only_b, float(p))


def permutation_test(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    alternative: Literal["two-sided", "greater"] = "two-sided",
    max_exact: int = 200_000,
    draws: int = 19_999,
) -> PermutationTest:
    """Test of mean(x) - mean(y) over the partitions of all values into groups of these sizes.

    All partitions are enumerated where there are at most `max_exact`; else `draws` distinct ones other than the
    observed are drawn, and p = (b + 1) / (draws + 1) (Phipson & Smyth, 2010). The observed partition always counts,
    so p is never 0.

    Args:
        x: the values of the first group.
        y: the values of the second group; it may have another size.
        rng: the source of all randomness; unused when exact.
        alternative: "two-sided" compares absolute differences, "greater" signed ones.
        max_exact: the most partitions to enumerate.
        draws: how many partitions to draw otherwise.

    Raises:
        DataError: an empty group, or a value that is not finite.
        UnknownName: no such alternative.
    """
    if alternative not in ("two-sided", "greater"):
        raise UnknownName("alternative", alternative, ("two-sided", "greater"))
    first, pooled = _finite(x), np.concatenate([_finite(x), _finite(y)])
    k, n = len(first), len(pooled)
    total = math.comb(n, k)
    exact = total <= max_exact
    # The first partition is the observed one; the order of the values decides nothing.
    members = _all_partitions(n, k) if exact else _distinct_partitions(n, k, min(draws, total - 1), rng)
    sums = pooled[members].sum(axis=1)
    differences = sums / k - (pooled.sum() - sums) / (n - k)
    compared = np.abs(differences) if alternative == "two-sided" else differences
    extreme = compared >= compared[0] - TIE * np.abs(differences).max()
    return PermutationTest(float(differences[0]), float(extreme.mean()), len(members), exact)


def holm(p_values: npt.ArrayLike) -> Floats:
    """Adjusted p-values that bound the chance of any false alarm (Holm, 1979), in the given order."""
    p = _p_values(p_values)
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return np.minimum(adjusted, 1.0)


def benjamini_hochberg(p_values: npt.ArrayLike) -> Floats:
    """Adjusted p-values that bound the expected share of false alarms (Benjamini & Hochberg, 1995), in order."""
    p = _p_values(p_values)
    order = np.argsort(p)[::-1]
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum.accumulate(p[order] * len(p) / np.arange(len(p), 0, -1))
    return np.minimum(adjusted, 1.0)


def tost(
    values: npt.ArrayLike,
    *,
    low: float,
    high: float,
    clusters: Sequence[Any] | npt.NDArray[Any] | None = None,
    alpha: float = 0.05,
) -> Equivalence:
    """Two one-sided t tests that the mean lies between `low` and `high` (Schuirmann, 1987): evidence for "no bias".

    The standard error is the delete-one-cluster jackknife, with as many degrees of freedom as clusters less one;
    without clusters that is the usual one.

    Raises:
        DataError: low >= high, fewer than two clusters, or no difference between them.
    """
    from scipy import stats

    if not low < high:
        raise DataError(f"tost: margin from {low} to {high}; expected low < high")
    y = _finite(values)
    group = np.arange(len(y)) if clusters is None else _groups(clusters)
    sums, sizes = np.bincount(group, y), np.bincount(group)
    if len(sizes) < 2:
        raise DataError("tost: one cluster shows no spread; expected at least two")
    left_out = (y.sum() - sums) / (len(y) - sizes)
    error = math.sqrt((len(sizes) - 1) / len(sizes) * ((left_out - y.mean()) ** 2).sum())
    if error == 0:
        raise DataError("tost: the clusters do not differ at all; their spread is unknown")
    above, below = (y.mean() - low) / error, (high - y.mean()) / error
    p = float(stats.t.sf(min(above, below), len(sizes) - 1))
    return Equivalence(p, p < alpha)


def minimum_detectable_effect(n: int, *, power: float = 0.8, alpha: float = 0.05, null: float = 0.5) -> float:
    """The share above `null` that a two-sided test of n independent items finds with `power` (Cohen, 1988, ch. 6).

    Uses the arcsine transformation. 1.0 where even a share of 1 would not be found that often.

    Raises:
        DataError: n < 1.
    """
    _check_counts(0, n)
    z = NormalDist().inv_cdf
    angle = math.asin(math.sqrt(null)) + (z(1 - alpha / 2) + z(power)) / (2 * math.sqrt(n))
    return math.sin(min(angle, math.pi / 2)) ** 2


def spearman(a: npt.ArrayLike, b: npt.ArrayLike) -> float | None:
    """Rank correlation of two scores of the same items; None where one of them is the same for every item.

    Raises:
        DataError: unequal numbers of items.
    """
    from scipy import stats

    first, second = _finite(a), _finite(b)
    if len(first) != len(second):
        raise DataError(f"spearman: {len(first)} and {len(second)} items; expected the same items in both")
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(stats.spearmanr(first, second).statistic)


def _of_equal_clusters(test: WildClusterTest, bounds: tuple[float, float] | None, level: float) -> Interval:
    """Where all clusters agree there is no spread to resample: an exact interval with the clusters as trials."""
    if bounds is None:
        raise DataError(
            f"cluster_bootstrap: the {test.clusters} cluster(s) do not differ, so their spread is unknown; "
            "give bounds, the smallest and largest possible value"
        )
    floor, ceiling = bounds
    share = min(max((test.estimate - floor) / (ceiling - floor), 0.0), 1.0)
    low, high = _beta_quantiles(share * test.clusters, test.clusters, level)
    method = f"Clopper-Pearson on {test.clusters} clusters that do not differ"
    return Interval(floor + low * (ceiling - floor), floor + high * (ceiling - floor), level, method)


def _no_difference(clusters: int, span: float, level: float) -> Interval:
    if span == 0:
        return Interval(0.0, 0.0, level, "exact: equal on every item")
    below, above = rare_events.of_changes(0, 0, clusters, level)
    return Interval(-span * below, span * above, level, f"Wilson's, none of {clusters} clusters differs")


def _beta_quantiles(successes: float, n: int, level: float) -> tuple[float, float]:
    """Ends of the Clopper-Pearson interval."""
    from scipy import special

    tail = (1 - level) / 2
    low = special.betaincinv(successes, n - successes + 1, tail) if successes > 0 else 0.0
    high = special.betaincinv(successes + 1, n - successes, 1 - tail) if successes < n else 1.0
    return float(low), float(high)


def _all_partitions(n: int, k: int) -> Ints:
    """(C(n, k), k): every choice of k of n positions; the first is 0..k-1."""
    flat = itertools.chain.from_iterable(itertools.combinations(range(n), k))
    return np.fromiter(flat, np.int64, math.comb(n, k) * k).reshape(-1, k)


def _distinct_partitions(n: int, k: int, draws: int, rng: np.random.Generator) -> Ints:
    """(1 + draws, k): the choice 0..k-1 and `draws` others, all different from each other."""
    found = {tuple(range(k)): None}  # a dict keeps the order of drawing
    while len(found) <= draws:
        rows = min(1 + draws - len(found), max(1, CELLS // n))
        chosen = np.argpartition(rng.random((rows, n)), k - 1, axis=1)[:, :k]
        found.update(dict.fromkeys(map(tuple, np.sort(chosen, axis=1).tolist())))
    return np.array(list(found), np.int64)


def _finite(values: npt.ArrayLike) -> Floats:
    """(n,) numbers, n >= 1, all finite; or DataError."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) == 0:
        raise DataError(f"expected a list of numbers, given an array of shape {array.shape}")
    if not np.isfinite(array).all():
        raise DataError(f"{(~np.isfinite(array)).sum()} of {len(array)} values are NaN or infinite; leave them out")
    return array


def _groups(clusters: Sequence[Any] | npt.NDArray[Any]) -> Ints:
    """Labels as numbers 0, 1, ..."""
    return np.unique(np.asarray(clusters), return_inverse=True)[1].astype(np.int64)


def _p_values(p_values: npt.ArrayLike) -> Floats:
    p = _finite(p_values)
    if p.min() < 0 or p.max() > 1:
        raise DataError(f"p-values lie in [0, 1]; given {p.min()} to {p.max()}")
    return p


def _check_counts(successes: int, n: int) -> None:
    if not 0 <= successes <= n or n < 1:
        raise DataError(f"{successes} of {n}: expected n of at least 1 and a count from 0 to n")
