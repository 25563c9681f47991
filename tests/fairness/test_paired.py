"""Two models on the same people: exact where they agree, honest after a mitigation."""

import numpy as np
import pytest

from auditkit import stats
from auditkit.errors import DataError
from auditkit.fairness import metrics
from auditkit.fairness.paired import compare
from auditkit.fairness.people import Partition


def partition(codes):
    return Partition(("group",), tuple(f"group={i}" for i in range(codes.max() + 1)), codes)


def drawn(rng, before, after, sizes, agree=0.8):
    """Codes, labels and both models' predictions; where the models agree they follow the same chance."""
    codes = np.repeat(np.arange(len(sizes)), sizes)
    one = rng.random(len(codes))
    two = np.where(rng.random(len(codes)) < agree, one, rng.random(len(codes)))
    return codes, rng.random(len(codes)) < 0.5, one < np.array(before)[codes], two < np.array(after)[codes]


def compared(codes, *columns, rng, resamples=300):
    return {c.metric: c for c in compare(partition(codes), *columns, rng=rng, resamples=resamples)}


def test_before_and_after_are_the_rates_of_each_model(rng):
    codes, label, a, b = drawn(rng, [0.5, 0.3], [0.4, 0.4], [200, 300])
    found = compared(codes, label, a, b, rng=rng)
    for column, end in ((a, "before"), (b, "after")):
        counts = metrics.count(codes, label, column, groups=2)
        for metric, change in found.items():
            expected = metrics.rates(*metrics.shares(counts, metric))
            assert [getattr(g, end) for g in change.groups] == expected.tolist()
    difference = [
        metrics.difference(np.array([getattr(g, e) for g in found["accuracy"].groups])) for e in ("before", "after")
    ]
    assert found["accuracy"].difference.value == pytest.approx(difference[1] - difference[0])


def test_the_p_values_are_mcnemars(rng):
    codes, label, a, b = drawn(rng, [0.5, 0.3], [0.4, 0.4], [200, 300])
    found = compared(codes, label, a, b, rng=rng)
    for i in (0, 1):
        here = codes == i
        assert found["selection_rate"].groups[i].p_value == pytest.approx(stats.mcnemar(a[here], b[here]).p_value)
        positive = here & label
        expected = stats.mcnemar(a[positive], b[positive]).p_value
        assert found["true_positive_rate"].groups[i].p_value == pytest.approx(expected)
    assert found["precision"].groups[0].p_value is None


def test_equal_decisions_may_differ_for_others_as_often_as_none_of_so_many_allows(rng):
    codes, label, a, _ = drawn(rng, [0.5, 0.3], [0.5, 0.3], [200, 200])
    unseen = stats.wilson(0, 200).high
    for metric, change in compared(codes, label, a, a, rng=rng).items():
        interval = change.difference.interval
        assert change.difference.value == 0
        assert interval.low == -interval.high < 0
        assert all(g.interval.low == -g.interval.high <= -unseen for g in change.groups)
        if metric == "selection_rate":
            assert [g.interval.high for g in change.groups] == pytest.approx([unseen, unseen])
            assert interval.high == pytest.approx(unseen * 2**0.5)


def test_precision_changes_where_only_negatives_are_selected_in_addition(rng):
    codes = np.repeat([0, 1], 100)
    label = np.tile([True, False], 100)
    a = label.copy()
    b = label | (codes == 0)
    found = compared(codes, label, a, b, rng=rng)
    assert found["true_positive_rate"].difference.value == 0
    assert found["precision"].groups[0].after == 0.5
    assert found["precision"].difference.interval.low > 0.3


@pytest.mark.parametrize(
    ("before", "after", "sizes"),
    [
        ([0.4, 0.2], [0.3, 0.3], [300, 200]),  # a mitigation that worked: percentiles cover 84 %
        ([0.3, 0.3], [0.4, 0.2], [300, 200]),
        ([0.4, 0.2], [0.35, 0.25], [300, 200]),
        ([0.4, 0.3, 0.3, 0.1], [0.3] * 4, [150] * 4),
    ],
)
def test_the_interval_of_the_change_covers_it(before, after, sizes, rng):
    truth = np.ptp(after) - np.ptp(before)
    held = []
    for _ in range(200):
        columns = drawn(rng, before, after, sizes)
        held.append(truth in compared(*columns, rng=rng, resamples=200)["selection_rate"].difference.interval)
    assert np.mean(held) >= 0.95 - 2 * np.sqrt(0.05 * 0.95 / 200)


def test_a_mitigation_is_found_and_a_group_made_worse_is_named(rng):
    codes, label, a, b = drawn(rng, [0.5, 0.2, 0.3], [0.3, 0.3, 0.2], [800, 800, 800], agree=0.95)
    found = compared(codes, label, a, b, rng=rng)["selection_rate"]
    assert found.difference.interval.high < 0
    worse = found.groups[2]
    assert worse.interval.high < -0.05
    assert worse.p_value < 1e-6


def test_other_people_are_refused(rng):
    codes, label, a, b = drawn(rng, [0.5, 0.3], [0.5, 0.3], [50, 50])
    with pytest.raises(DataError, match="100 people, 100 labels, 100 and 99 predictions"):
        compared(codes, label, a, b[1:], rng=rng)
