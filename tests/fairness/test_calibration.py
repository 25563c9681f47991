"""Calibration is what hand arithmetic says, and a group that is scored too high is found."""

import numpy as np
import pytest

from auditkit.fairness.calibration import calibration_by_group, gap_difference
from auditkit.fairness.people import Partition


def partition(sizes):
    names = tuple(f"group={i}" for i in range(len(sizes)))
    return Partition(("group",), names, np.repeat(np.arange(len(sizes)), sizes))


def scored(rng, sizes, shift):
    score = rng.uniform(0.1, 0.9, sum(sizes))
    truth = score - np.repeat(shift, sizes)
    return rng.random(len(score)) < truth, score


def test_hand_computed():
    label, score = np.array([True, False, True, True]), np.array([0.95, 0.15, 0.85, 0.12])
    (found,) = calibration_by_group(partition([4]), label, score)
    assert found.gap == pytest.approx(2.07 / 4 - 0.75)
    assert found.error == pytest.approx((2 * abs(0.135 - 0.5) + abs(0.85 - 1) + abs(0.95 - 1)) / 4)
    assert [(b.n, b.share) for b in found.bins] == [(2, 0.5), (1, 1.0), (1, 1.0)]


def test_a_score_of_one_is_in_the_last_bin():
    (found,) = calibration_by_group(partition([2]), np.array([True, False]), np.array([1.0, 0.95]))
    assert [b.n for b in found.bins] == [2]


def test_the_group_that_is_scored_too_high_is_found_and_no_other(rng):
    sizes = [2_000, 2_000, 2_000]
    groups = calibration_by_group(partition(sizes), *scored(rng, sizes, [0.0, 0.0, 0.08]))
    assert [0 in g.interval for g in groups] == [True, True, False]
    assert gap_difference(groups).interval.low > 0.02


def test_the_intervals_cover(rng):
    sizes, held = [60, 150, 40], []
    for _ in range(300):
        groups = calibration_by_group(partition(sizes), *scored(rng, sizes, [0.02, 0.02, 0.05]))
        gap = gap_difference(groups)
        held.append(
            [g.gap * 0 + t in g.interval for g, t in zip(groups, (0.02, 0.02, 0.05), strict=True)]
            + [0.03 in gap.interval]
        )
    assert np.mean(held, axis=0).min() >= 0.92


@pytest.mark.parametrize("n", [40, 60])
def test_the_interval_covers_where_positives_are_rare(rng, n):
    """At a base rate of 5 % Student's t covered 87 % of 40 and 90 % of 60 people; 700 draws tell that from 93.5 %."""
    assert coverage(rng, n, draws=700) >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize("n", [20, 40, 60, 300])
@pytest.mark.parametrize(
    ("scores", "true"),
    [
        (lambda rng, n: rng.beta(1, 19, n), lambda s: s),
        (lambda rng, n: rng.beta(1, 4, n), lambda s: s),
        (lambda rng, n: rng.uniform(0.1, 0.9, n), lambda s: s),
        (lambda rng, n: rng.uniform(0.1, 0.9, n), lambda s: 1 - s),  # a score that has it the wrong way round
        (lambda rng, n: rng.uniform(0.1, 0.5, n), lambda s: np.full(len(s), 0.05)),  # scored far too high
    ],
)
def test_the_interval_covers_95_percent(rng, n, scores, true):
    assert 0.935 <= coverage(rng, n, scores, true, draws=4_000) <= 0.968


def coverage(rng, n, scores=lambda rng, n: rng.beta(1, 19, n), true=lambda s: s, *, draws):
    """How often the interval of n people holds the gap of all people."""
    everybody = scores(rng, 1_000_000)
    gap, held = float((everybody - true(everybody)).mean()), 0
    for _ in range(draws):
        score = scores(rng, n)
        (found,) = calibration_by_group(partition([n]), rng.random(n) < true(score), score)
        held += gap in found.interval
    return held / draws


def test_nobody_positive_is_no_certainty():
    (found,) = calibration_by_group(partition([20]), np.zeros(20, dtype=bool), np.full(20, 0.05))
    assert (found.interval.low, found.interval.high) == pytest.approx((0.05 - 0.1611, 0.05), abs=1e-4)


def test_a_small_group_is_not_compared(rng):
    groups = calibration_by_group(partition([100, 100, 3]), *scored(rng, [100, 100, 3], [0.0, 0.0, 0.0]))
    assert [g.small for g in groups] == [False, False, True]
    values = [g.gap for g in groups[:2]]
    assert gap_difference(groups).value == pytest.approx(max(values) - min(values))
    assert gap_difference(groups[1:]) is None
