"""Statistics: published values, hand-computed values, and coverage by simulation."""

import math
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats as reference

from auditkit import stats
from auditkit.errors import DataError, UnknownName
from auditkit.wild_bootstrap import WildClusterTest, _weights


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# --- intervals of a share ---------------------------------------------------------------------------------------------

NEWCOMBE = [  # Newcombe (1998), Statistics in Medicine 17, table I: score method 3, exact method 5
    (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
    (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
    (0, 20, (0.0, 0.1611), (0.0, 0.1684)),
    (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
]


@pytest.mark.parametrize(("successes", "n", "score", "exact"), NEWCOMBE)
def test_share_intervals_are_the_published_ones(successes, n, score, exact):
    wilson, clopper_pearson = stats.wilson(successes, n), stats.clopper_pearson(successes, n)
    assert (wilson.low, wilson.high) == pytest.approx(score, abs=5e-5)
    assert (clopper_pearson.low, clopper_pearson.high) == pytest.approx(exact, abs=5e-5)
    assert wilson.level == 0.95
    assert "Wilson" in wilson.method


def exact_coverage(interval: Callable, n: int, shares: np.ndarray) -> np.ndarray:
    """The chance that the interval holds the true share, summed over all outcomes: no simulation needed."""
    intervals = [interval(k, n) for k in range(n + 1)]
    holds = np.array([[share in i for i in intervals] for share in shares])
    return (holds * reference.binom.pmf(np.arange(n + 1), n, shares[:, None])).sum(axis=1)


@pytest.mark.parametrize("n", [20, 60, 260])
def test_wilson_covers_its_level_on_average_and_clopper_pearson_everywhere(n):
    shares = np.linspace(0.005, 0.995, 199)
    assert exact_coverage(stats.wilson, n, shares).mean() == pytest.approx(0.95, abs=0.015)
    assert exact_coverage(stats.clopper_pearson, n, shares).min() >= 0.95


@pytest.mark.parametrize(("successes", "n"), [(1, 0), (5, 4), (-1, 4)])
@pytest.mark.parametrize("interval", [stats.wilson, stats.clopper_pearson])
def test_impossible_counts_are_refused(interval, successes, n):
    with pytest.raises(DataError, match="expected n of at least 1"):
        interval(successes, n)


# --- coverage of the resampling intervals -----------------------------------------------------------------------------


def skewed(g: np.random.Generator, _: int) -> float:
    return 1.0 in stats.bootstrap(g.exponential(1, 250), rng=g, resamples=999)


def unequal_clusters(g: np.random.Generator, clusters: int) -> np.ndarray:
    sizes = np.maximum(2, g.lognormal(math.log(8), 0.9, clusters).astype(int))
    return np.repeat(np.arange(clusters), sizes)


def clustered_share(g: np.random.Generator, clusters: int) -> bool:
    group = unequal_clusters(g, clusters)
    values = g.binomial(1, g.beta(6, 4, clusters)[group])
    return 0.6 in stats.cluster_bootstrap(values, group, rng=g, resamples=499, bounds=(0, 1))


def clustered_slope(g: np.random.Generator, clusters: int) -> bool:
    group = unequal_clusters(g, clusters)
    x = g.uniform(0, 1, clusters)[group]  # the same for all items of a cluster, like an occupation's share of women
    values = 1 + 2 * x + g.normal(0, 0.5, clusters)[group] + g.normal(0, 1, len(group))
    return 2.0 in stats.cluster_bootstrap(values, group, x=x, rng=g, resamples=499)


def paired_clusters(g: np.random.Generator, clusters: int) -> bool:
    group = unequal_clusters(g, clusters)
    hard = g.normal(0, 1, len(group))
    a = (hard > 0).astype(float)
    b = (hard + g.normal(0, 0.5, clusters)[group] > 0).astype(float)  # as good on average, on other items
    return 0.0 in stats.paired_bootstrap(a, b, clusters=group, rng=g, resamples=499)


def paired_items(g: np.random.Generator, n: int) -> bool:
    a = g.binomial(1, 0.6, n)
    b = np.where(g.random(n) < 0.1, 1 - a, a)  # a tenth of the answers flips: the mean falls by 0.1 x (2 x 0.6 - 1)
    return -0.02 in stats.paired_bootstrap(a, b, rng=g, resamples=499)


CASES = [
    (skewed, 0),
    *[(clustered_share, k) for k in (10, 30, 120)],
    *[(clustered_slope, k) for k in (10, 30, 120)],
    *[(paired_clusters, k) for k in (15, 60)],
    (paired_items, 150),
]
CASE_IDS = [f"{case.__name__}-{size}" for case, size in CASES]


@pytest.mark.parametrize(("case", "size"), CASES, ids=CASE_IDS)
def test_intervals_cover_their_level(case, size):
    coverage = np.mean([case(rng(seed), size) for seed in range(300)])
    assert 0.915 <= coverage <= 0.985  # three standard errors of 300 simulations around 0.95; the slow test is strict


@pytest.mark.slow
@pytest.mark.parametrize(("case", "size"), CASES, ids=CASE_IDS)
def test_intervals_cover_their_level_to_within_one_and_a_half_points(case, size):
    assert np.mean([case(rng(seed), size) for seed in range(4_000)]) == pytest.approx(0.95, abs=0.015)


def test_ignoring_the_clusters_covers_far_less():
    """The positive control: on the same data an interval that takes the items as independent misses often."""

    def naive(g: np.random.Generator) -> bool:
        group = unequal_clusters(g, 30)
        values = g.binomial(1, g.beta(1.2, 0.8, 30)[group])
        return 0.6 in stats.wilson(values.sum(), len(values))

    assert np.mean([naive(rng(seed)) for seed in range(300)]) < 0.8


# --- the bootstrap functions themselves -------------------------------------------------------------------------------


def test_bootstrap_takes_any_statistic_and_repeats_itself():
    values = rng().normal(5, 1, 100)
    median = stats.bootstrap(values, np.median, rng=rng(1))
    assert np.median(values) in median
    assert median == stats.bootstrap(values, np.median, rng=rng(1))
    assert median != stats.bootstrap(values, np.median, rng=rng(2))
    assert stats.bootstrap(values, rng=rng(), level=0.5).high < stats.bootstrap(values, rng=rng(), level=0.99).high


@pytest.mark.parametrize("clusters", [8, 15])  # few take other weights
@pytest.mark.parametrize("slope", [False, True])
@pytest.mark.parametrize("shift", [0.4, -1.3])
def test_wild_test_equals_refitting_every_resample(slope, shift, clusters):
    """The fast form against the plain one: impose the null, reweight the clusters, refit, studentise."""
    g = rng(3)
    group = unequal_clusters(g, clusters)
    x = g.uniform(0, 1, len(group))
    y = 1 + 2 * x + g.normal(0, 1, clusters)[group] + g.normal(0, 1, len(group))
    design = np.stack([np.ones_like(x), x], axis=1) if slope else np.ones((len(y), 1))

    def fit(values):
        beta = np.linalg.lstsq(design, values, rcond=None)[0]
        scores = np.array([design[group == c].T @ (values - design @ beta)[group == c] for c in range(clusters)])
        bread = np.linalg.inv(design.T @ design)
        return beta[-1], math.sqrt((bread @ scores.T @ scores @ bread)[-1, -1])

    estimate, error = fit(y)
    null = estimate + shift
    without = y - null * design[:, -1]
    if slope:  # the intercept that the null leaves free, for each cluster from the others
        without = without - np.array([without[group != c].mean() for c in range(clusters)])[group]
    weights = np.concatenate(list(_weights(rng(4), 199, clusters)))
    resampled = [fit(null * design[:, -1] + w[group] * without) for w in weights]
    extreme = [abs(b - null) / se >= abs(shift) / error * (1 - 1e-9) for b, se in resampled]

    test = WildClusterTest(y, x if slope else None, group, rng=rng(4), resamples=199)
    assert (test.estimate, test.error) == pytest.approx((estimate, error))
    assert test.p_value(shift) == pytest.approx((1 + sum(extreme)) / 200)


def test_an_interval_is_cut_at_the_possible_values_and_exists_where_all_clusters_agree():
    agreeing = stats.cluster_bootstrap([100.0] * 6, [0, 0, 1, 1, 2, 2], rng=rng(), bounds=(0, 100))
    exact = stats.clopper_pearson(3, 3)  # three clusters say yes, not six items
    assert (agreeing.low, agreeing.high) == pytest.approx((100 * exact.low, 100))
    near = stats.cluster_bootstrap([1, 1, 1, 1, 0, 1, 1, 1], range(8), rng=rng(), bounds=(0, 1))
    assert near.high <= 1


def test_what_cannot_be_known_is_refused():
    with pytest.raises(DataError, match="spread is unknown; give bounds"):
        stats.cluster_bootstrap([1, 1, 1], ["a", "b", "c"], rng=rng())
    with pytest.raises(DataError, match="too few to bound the interval"):
        stats.cluster_bootstrap([0, 1, 5], ["a", "a", "b"], rng=rng())
    with pytest.raises(DataError, match=r"1 cluster\(s\) do not differ"):
        stats.cluster_bootstrap([0, 1, 5], ["a", "a", "a"], x=[1, 2, 3], rng=rng())
    with pytest.raises(DataError, match="slope needs it to vary"):
        stats.cluster_bootstrap([0, 1, 5], ["a", "b", "c"], x=[2, 2, 2], rng=rng())
    with pytest.raises(DataError, match="3 values but 2 clusters, or not as many x"):
        stats.cluster_bootstrap([0, 1, 5], ["a", "b"], rng=rng())
    with pytest.raises(DataError, match="use wilson"):
        stats.bootstrap([1, 1, 1], rng=rng())
    with pytest.raises(DataError, match="1 of 2 values are NaN"):
        stats.bootstrap([1, math.nan], rng=rng())
    with pytest.raises(DataError, match="shape"):
        stats.bootstrap([], rng=rng())


# --- pairs ------------------------------------------------------------------------------------------------------------


def test_models_that_agree_on_every_item_differ_by_exactly_nothing():
    interval = stats.paired_bootstrap([1, 0, 1], [1, 0, 1], rng=rng())
    assert (interval.low, interval.high) == (0, 0)


def test_equal_decisions_leave_open_what_so_few_clusters_cannot_show():
    unseen = 100 * stats.wilson(0, 3).high
    interval = stats.paired_bootstrap([100, 0, 100], [100, 0, 100], span=100, rng=rng())
    assert (interval.low, interval.high) == pytest.approx((-unseen, unseen))
    copies = stats.paired_bootstrap([1] * 30, [1] * 30, clusters=["a", "b", "c"] * 10, span=100, rng=rng())
    assert copies == interval


def test_pairing_finds_what_two_intervals_hide():
    g = rng()
    difficulty = g.normal(0, 10, 400)
    a, b = difficulty + g.normal(0, 1, 400), difficulty + 0.5 + g.normal(0, 1, 400)
    paired = stats.paired_bootstrap(a, b, rng=rng())
    assert paired.low > 0
    assert b.mean() - a.mean() in paired
    assert stats.bootstrap(a, rng=g).high > stats.bootstrap(b, rng=g).low  # the marginal intervals overlap widely


def test_a_handful_of_changed_answers_is_no_evidence():
    a = np.zeros(500)
    b = a.copy()
    b[:4] = 1  # four of four flips go one way: a sign test gives p = 1/8
    assert 0 in stats.paired_bootstrap(a, b, rng=rng())


def test_paired_and_mcnemar_refuse_other_items():
    with pytest.raises(DataError, match="same items"):
        stats.paired_bootstrap([1, 2], [1], rng=rng())
    with pytest.raises(DataError, match="0 or 1"):
        stats.mcnemar([1, 2], [1, 0])


def test_mcnemar_counts_only_disagreements():
    a = [1] * 10 + [0] * 2 + [1] * 50
    b = [0] * 10 + [1] * 2 + [1] * 50
    result = stats.mcnemar(a, b)
    assert result[:2] == (10, 2)
    assert result.p_value == pytest.approx(2 * (1 + 12 + 66) / 2**12)  # two tails of a fair coin, twelve throws
    assert stats.mcnemar([1, 0], [1, 0]).p_value == 1


# --- permutation ------------------------------------------------------------------------------------------------------


def test_permutation_by_hand():
    greater = stats.permutation_test([4, 5, 6], [1, 2, 3], rng=rng(), alternative="greater")
    assert greater == (3.0, 1 / 20, 20, True)
    assert stats.permutation_test([4, 5, 6], [1, 2, 3], rng=rng()).p_value == 2 / 20
    assert stats.permutation_test([1, 2, 3], [4, 5, 6], rng=rng(), alternative="greater").p_value == 1
    unequal = stats.permutation_test([10], [1, 2, 3, 4], rng=rng())  # |-1.25| and more: only 10 is that far out
    assert unequal == (7.5, 1 / 5, 5, True)


def test_permutation_counts_ties_in_spite_of_rounding():
    assert stats.permutation_test([0.1 + 0.2, 0.3], [0.3, 0.1 + 0.2], rng=rng()).p_value == 1
    assert stats.permutation_test([0.3, 0.1], [0.1 + 0.2, 0.1], rng=rng(), alternative="greater").p_value == 5 / 6


@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
def test_permutation_equals_scipy_where_both_enumerate(alternative):
    x, y = rng(1).normal(0.5, 1, 6), rng(2).normal(0, 1, 4)
    expected = reference.permutation_test(
        (x, y),
        lambda a, b: abs(a.mean() - b.mean()) if alternative == "two-sided" else a.mean() - b.mean(),
        alternative="greater",
        n_resamples=np.inf,
        vectorized=False,
    )
    assert stats.permutation_test(x, y, rng=rng(), alternative=alternative).p_value == pytest.approx(expected.pvalue)


def test_eight_against_eight_is_all_12870_partitions_in_under_50_ms():
    x, y = rng(1).normal(3, 1, 8), rng(2).normal(0, 0.1, 8)
    started = time.process_time()
    result = stats.permutation_test(x, y, rng=rng(), alternative="greater")
    assert time.process_time() - started < 0.05
    assert (result.partitions, result.exact, result.p_value) == (12_870, True, 1 / 12_870)


def test_drawn_partitions_are_distinct_and_never_give_zero():
    drawn = stats._distinct_partitions(10, 4, 209, rng())
    assert sorted(map(tuple, drawn)) == sorted(map(tuple, stats._all_partitions(10, 4)))  # all 210, each once
    apart = stats.permutation_test(np.arange(30) + 100, np.arange(30), rng=rng(), draws=999)
    assert (apart.p_value, apart.partitions, apart.exact) == (1 / 1_000, 1_000, False)


def test_drawing_agrees_with_enumerating():
    x, y = rng(1).normal(0.5, 1, 9), rng(2).normal(0, 1, 8)
    exact = stats.permutation_test(x, y, rng=rng())
    drawn = stats.permutation_test(x, y, rng=rng(), max_exact=0, draws=9_999)
    assert drawn.p_value == pytest.approx(exact.p_value, abs=4 * math.sqrt(exact.p_value / 9_999))


def test_permutation_rejects_a_null_no_more_often_than_it_says():
    p = [
        stats.permutation_test(rng(s).normal(size=5), rng(-s - 1 + 10**6).normal(size=5), rng=rng()) for s in range(800)
    ]
    assert np.mean([r.p_value <= 0.05 for r in p]) < 0.07


def test_permutation_knows_its_alternatives():
    with pytest.raises(UnknownName, match="did you mean 'greater'"):
        stats.permutation_test([1], [2], rng=rng(), alternative="greatr")


# --- several tests, equivalence, power --------------------------------------------------------------------------------


def test_corrections_by_hand():
    p = [0.01, 0.04, 0.03, 0.005]
    assert stats.holm(p) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert stats.benjamini_hochberg(p) == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert stats.holm([0.9, 0.8]).max() == 1
    many = rng().uniform(size=50)
    assert stats.benjamini_hochberg(many) == pytest.approx(reference.false_discovery_control(many))
    with pytest.raises(DataError, match=r"p-values lie in \[0, 1\]"):
        stats.holm([1.2])


def test_tost_is_two_t_tests_and_no_large_p_value():
    values = rng().normal(0.1, 1, 200)
    above = reference.ttest_1samp(values, -0.5, alternative="greater").pvalue
    below = reference.ttest_1samp(values, 0.5, alternative="less").pvalue
    result = stats.tost(values, low=-0.5, high=0.5)
    assert result.p_value == pytest.approx(max(above, below))
    assert result.equivalent
    few = rng(1).normal(0, 1, 5)  # "not significantly different from 0", and yet no evidence of being near it
    assert reference.ttest_1samp(few, 0).pvalue > 0.2
    assert not stats.tost(few, low=-0.5, high=0.5).equivalent


def test_tost_claims_equivalence_at_the_margin_in_at_most_5_percent():
    def claims(g: np.random.Generator) -> bool:
        group = unequal_clusters(g, 20)
        values = 0.5 + g.normal(0, 0.3, 20)[group] + g.normal(0, 1, len(group))  # the truth is the margin
        return stats.tost(values, low=-0.5, high=0.5, clusters=group).equivalent

    assert np.mean([claims(rng(seed)) for seed in range(1_000)]) < 0.065


def test_tost_refuses_what_shows_nothing():
    for values, clusters, match in [([1, 1], None, "do not differ"), ([1, 2], [0, 0], "one cluster")]:
        with pytest.raises(DataError, match=match):
            stats.tost(values, low=0, high=3, clusters=clusters)
    with pytest.raises(DataError, match="low < high"):
        stats.tost([1, 2], low=3, high=0)


@pytest.mark.parametrize(("n", "percent"), [(60, 67.7), (262, 58.6), (1508, 53.6)])
def test_minimum_detectable_effect_of_the_crows_pairs_categories(n, percent):
    assert 100 * stats.minimum_detectable_effect(n) == pytest.approx(percent, abs=0.05)


def test_the_minimum_detectable_effect_is_found_with_the_stated_power():
    n = 1508
    share = stats.minimum_detectable_effect(n)
    counts = np.arange(n + 1)
    rejects = np.abs(counts - n / 2) > 1.959964 * math.sqrt(n) / 2
    assert (rejects * reference.binom.pmf(counts, n, share)).sum() == pytest.approx(0.8, abs=0.02)
    detectable = [stats.minimum_detectable_effect(n) for n in (3, 30, 300, 3_000)]
    assert detectable[0] == 1.0
    assert all(fewer > more for fewer, more in pairwise(detectable))


# --- correlation ------------------------------------------------------------------------------------------------------


def test_spearman_is_scipys_and_undefined_for_a_constant():
    a, b = rng().normal(size=(2, 50))
    assert stats.spearman(a, b) == pytest.approx(reference.spearmanr(a, b).statistic)
    assert stats.spearman(a, np.exp(a)) == pytest.approx(1)
    assert stats.spearman(a, np.ones(50)) is None
    with pytest.raises(DataError, match="expected the same items"):
        stats.spearman(a, b[:10])
