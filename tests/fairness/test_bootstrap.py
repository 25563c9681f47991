"""Resampling counts is resampling people, and the intervals hold as often as they say."""

import numpy as np
import pytest

from auditkit.fairness import bootstrap, metrics


def test_counts_are_resampled_as_people_are(rng):
    counts = np.array([[[30, 10], [5, 15]], [[20, 5], [10, 5]]])
    drawn = bootstrap.resample(counts, rng, 4_000)
    assert (drawn.sum(axis=(1, 2, 3)) == 100).all()
    people = np.repeat(np.arange(8), counts.ravel())
    theirs = np.array([np.bincount(rng.choice(people, 100), minlength=8) for _ in range(4_000)])
    assert drawn.reshape(-1, 8).mean(axis=0) == pytest.approx(theirs.mean(axis=0), abs=0.3)
    assert np.cov(drawn.reshape(-1, 8).T) == pytest.approx(np.cov(theirs.T), abs=1.5)


# Newcombe (1998), table II, method 10: differences of two shares with their published 95 % intervals.
@pytest.mark.parametrize(
    ("a", "b", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((10, 10), (0, 20), 0.6791, 1.0000),
    ],
)
def test_the_interval_of_one_difference_is_the_published_one(a, b, low, high):
    successes, trials = (np.array(x) for x in zip(a, b, strict=True))
    bounds = bootstrap.wilson_bounds(successes, trials, 1.959964)
    found = bootstrap.difference_interval(successes / trials, bounds)
    assert found == pytest.approx((low, high), abs=1e-4)


def test_the_ends_of_a_ratio_solve_its_equation(rng):
    values = np.array([0.2, 0.5])
    bounds = bootstrap.Bounds(np.array([0.15, 0.4]), np.array([0.27, 0.6]))
    low, high = (ends[0, 1] for ends in bootstrap.pairwise_ratios(values, bounds))
    assert low < 0.4 < high
    # A ratio r is refused where 0.2 - 0.5 r lies farther from 0 than both distances to the ends together.
    assert 0.2 - 0.5 * low == pytest.approx(np.hypot(0.2 - 0.15, low * (0.6 - 0.5)))
    assert 0.5 * high - 0.2 == pytest.approx(np.hypot(0.27 - 0.2, high * (0.5 - 0.4)))


def test_rates_of_nothing_and_of_all_have_finite_intervals():
    successes, trials = np.array([0, 50]), np.array([40, 50])
    bounds = bootstrap.wilson_bounds(successes, trials, 2.0)
    values = successes / trials
    assert 0.8 < bootstrap.difference_interval(values, bounds)[0] < 1
    low, high = bootstrap.ratio_interval(values, bounds)
    assert low == 0
    assert 0 < high < 0.2


def test_more_groups_need_wider_intervals(rng):
    criticals = []
    for groups in (2, 5, 20):
        counts = np.tile(np.array([[[70, 30], [0, 0]]]), (groups, 1, 1))
        drawn = metrics.shares(bootstrap.resample(counts, rng, 2_000), "selection_rate")
        criticals.append(bootstrap.critical_value(*metrics.shares(counts, "selection_rate"), *drawn))
    # Of two groups one difference; of k groups the studentised range, 3.858 and 5.01 over root 2 in tables.
    assert criticals == pytest.approx([1.96, 3.858 / 2**0.5, 5.01 / 2**0.5], abs=0.1)


def coverage(rates, sizes, rng, repeats):
    """How often the intervals of difference and ratio hold the true values."""
    rates, held = np.array(rates), np.zeros(2)
    truth = (rates.max() - rates.min(), rates.min() / rates.max())
    for _ in range(repeats):
        n = rng.multinomial(sum(sizes), np.array(sizes) / sum(sizes))
        s = rng.binomial(n, rates)
        counts = np.zeros((len(n), 2, 2), dtype=int)
        counts[:, 0] = np.stack([n - s, s], axis=1)
        drawn = metrics.shares(bootstrap.resample(counts, rng, 400), "selection_rate")
        bounds = bootstrap.wilson_bounds(s, n, bootstrap.critical_value(s, n, *drawn))
        ends = bootstrap.difference_interval(s / n, bounds), bootstrap.ratio_interval(s / n, bounds)
        held += [low - 1e-12 <= t <= high + 1e-12 for t, (low, high) in zip(truth, ends, strict=True)]
    return held / repeats


@pytest.mark.parametrize(
    ("rates", "sizes"),
    [
        ([0.3, 0.3], [200, 150]),
        ([0.1, 0.5], [60, 400]),
        ([0.3] * 5, [400, 100, 80, 70, 60]),
        ([0.3, 0.3, 0.35, 0.2, 0.4], [400, 100, 100, 80, 80]),
    ],
)
def test_intervals_cover_the_truth_whether_groups_are_alike_or_not(rates, sizes, rng):
    difference, ratio = coverage(rates, sizes, rng, 300)
    assert difference >= 0.93  # 0.95 less two standard errors of 300 repeats
    assert ratio >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rates", "sizes"),
    [
        ([0.3, 0.3], [100, 60]),
        ([0.97, 0.99], [80, 80]),
        ([0.05, 0.02], [150, 100]),
        ([0.2] * 12, [100] * 12),
        (np.linspace(0.1, 0.4, 12), [100] * 12),
    ],
)
def test_coverage_in_harder_cases(rates, sizes, rng):
    assert min(coverage(rates, sizes, rng, 2_000)) >= 0.94


def test_a_plain_bootstrap_of_the_largest_difference_never_covers_equal_groups(rng):
    # The reason why the intervals are not percentiles of resampled differences.
    n = np.array([200, 150, 100])
    s = rng.binomial(n, 0.3)
    counts = np.zeros((3, 2, 2), dtype=int)
    counts[:, 0] = np.stack([n - s, s], axis=1)
    drawn = metrics.rates(*metrics.shares(bootstrap.resample(counts, rng, 1_000), "selection_rate"))
    assert np.quantile(metrics.difference(drawn), 0.025) > 0
