"""Correlations: hand-computed and published values. How often the intervals hold is in test_coverage.py."""

import math

import numpy as np
import pytest

from auditkit.correlations import correlation_difference, correlation_interval, overlapping
from auditkit.errors import DataError


def fisher(r, n):
    half = 1.959964 / math.sqrt(n - 3)
    return math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half)


def test_the_interval_is_that_of_leaving_out_each_pair_in_turn():
    x, y = np.random.default_rng(0).normal(size=(2, 30))
    z = np.array([math.atanh(np.corrcoef(np.delete(x, i), np.delete(y, i))[0, 1]) for i in range(30)])
    error = math.sqrt(29 / 30 * ((z - z.mean()) ** 2).sum())
    found = correlation_interval(x, y)
    ends = [math.atanh(e) for e in (found.low, found.high)]
    assert sum(ends) / 2 == pytest.approx(math.atanh(np.corrcoef(x, y)[0, 1]))
    quantile = (ends[1] - ends[0]) / 2 / error
    assert 2.0452 <= quantile < 2.5  # Student's with 29 degrees of freedom or fewer


def test_of_normal_scores_it_is_nearly_fishers():
    x, e = np.random.default_rng(1).normal(size=(2, 4_000))
    found, r = correlation_interval(x, x + e), np.corrcoef(x, x + e)[0, 1]
    assert (found.low, found.high) == pytest.approx(fisher(r, 4_000), abs=2e-3)


def test_scores_on_a_line_correlate_perfectly():
    x = np.arange(10.0)
    found = correlation_interval(x, 3 - 2 * x)
    assert (found.low, found.high) == pytest.approx((-1, -1))


def test_one_pair_that_makes_the_correlation_leaves_it_open():
    """Nine pairs without any, and one far off in both: r = .98, which Fisher's interval believes."""
    x, y = np.array([*[0.0, 1, 2] * 3, 30]), np.array([*[0.0] * 3, *[1.0] * 3, *[2.0] * 3, 30])
    assert fisher(np.corrcoef(x, y)[0, 1], 10)[0] > 0.9
    assert correlation_interval(x, y).low < 0


def test_the_interval_of_two_dependent_correlations_is_the_published_one():
    """Zou (2007): r = .396 and .179 with the same variable, .088 with each other, n = 66: -.093 to .517."""
    a, b, with_each_other = 0.179, 0.396, 0.088
    rest = 1 - a * a - b * b - with_each_other**2
    common = ((with_each_other - a * b / 2) * rest + with_each_other**3) / ((1 - a * a) * (1 - b * b))
    found = overlapping(a, fisher(a, 66), b, fisher(b, 66), common)
    assert found == pytest.approx((-0.093, 0.517), abs=5e-4)
    turned = overlapping(b, fisher(b, 66), a, fisher(a, 66), common)
    assert turned == pytest.approx((-found[1], -found[0]))


def test_what_two_models_have_in_common_narrows_the_interval_of_their_difference():
    x, a, noise = np.random.default_rng(2).normal(size=(3, 60))
    alike, other = correlation_difference(x, a, a + 0.1 * noise), correlation_difference(x, a, noise)
    assert alike.high - alike.low < 0.2 * (other.high - other.low)


LINE = [0.0, 1.0, 2.0, 3.0, 5.0]


@pytest.mark.parametrize(
    ("x", "y", "why"),
    [
        ([0.0, 1, 2], [0.0, 2, 1], "3, 3 scores; expected the same items in all, at least 4"),
        (LINE, LINE[:4], "5, 4 scores"),
        (LINE, [1.0] * 5, "the same for every item"),
        (LINE, [math.nan, *LINE[1:]], "NaN or infinite"),
    ],
    ids=["too few", "other items", "constant", "nan"],
)
def test_scores_without_a_correlation_are_refused(x, y, why):
    with pytest.raises(DataError, match=f"correlation_interval: .*{why}"):
        correlation_interval(x, y)
    with pytest.raises(DataError, match="correlation_difference"):
        correlation_difference(x, x, y)
