"""Differences between groups are found where they are, and not where they are not."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from auditkit import stats
from auditkit.fairness.groups import against_others, measure_groups
from auditkit.fairness.people import cross, read_people


def measured(table, sensitive, *, seed=0, resamples=300):
    people = read_people(table, sensitive)
    rng = np.random.default_rng(seed)
    return {
        (p.name, m.metric): m
        for p in cross(people.sensitive)
        for m in measure_groups(p, people.label, people.prediction, rng=rng, resamples=resamples)
    }


def flagged(found):
    """The groups that the test tells from everybody else, after Holm over all of them."""
    rows = [(m.metric, g.group, g.p_value) for m in found.values() for g in m.groups if g.p_value is not None]
    adjusted = stats.holm([p for *_, p in rows])
    return {(metric, group) for (metric, group, _), p in zip(rows, adjusted, strict=True) if p < 0.05}


def test_the_p_values_are_fishers():
    successes, trials = np.array([8, 1, 4]), np.array([10, 10, 10])
    total, counted = 30, 13
    for p, s, n in zip(against_others(successes, trials), successes, trials, strict=True):
        tails = [
            scipy_stats.fisher_exact([[s, n - s], [counted - s, total - n - counted + s]], alternative=side)[1]
            for side in ("less", "greater")
        ]
        assert p == pytest.approx(min(1, 2 * min(tails)))


def test_random_groups_are_flagged_in_at_most_five_percent_of_the_audits(people):
    alarms = [bool(flagged(measured(people(400, seed=seed), ["sex", "race"], resamples=20))) for seed in range(200)]
    # 5 % of 200 audits, and three standard errors.
    assert np.mean(alarms) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)


def test_a_harm_to_a_crossed_group_is_found_though_each_attribute_alone_is_fair(people):
    # Selected in 1 of 10 where both or neither attribute is unfavourable, in half of the other cases: sex alone and
    # race alone are exactly alike in expectation.
    rates = {("F", "A"): 0.1, ("M", "B"): 0.1, ("F", "B"): 0.5, ("M", "A"): 0.5}
    table = people(3_000, rates=rates).query("race != 'C'")
    found = measured(table, ["sex", "race"])
    for single in ("sex", "race"):
        assert found[single, "selection_rate"].difference.interval.low == 0
    assert not {group for metric, group in flagged(found) if "+" not in group}
    crossed = found["sex+race", "selection_rate"]
    assert crossed.difference.interval.low > 0.3
    assert ("selection_rate", "sex=F+race=A") in flagged(found)
    assert {crossed.lowest.group, crossed.highest.group} & {"sex=F+race=A", "sex=M+race=B"}


def test_three_people_are_shown_with_their_wide_interval_and_compared_with_nobody(people):
    table = people(400)
    table.loc[:2, "race"] = "D"
    table.loc[:2, "prediction"] = 0
    table.loc[table["race"] != "D", "prediction"] = (np.arange((table["race"] != "D").sum()) % 2).astype(int)
    found = measured(table, ["race"])["race", "selection_rate"]
    (small,) = [g for g in found.groups if g.small]
    assert (small.group, small.value, small.trials) == ("race=D", 0.0, 3)
    assert (small.interval.low, small.interval.high) == (0.0, pytest.approx(0.56, abs=0.01))
    assert found.difference.value < 0.15
    assert found.difference_of_all == pytest.approx(0.5, abs=0.1)
    assert "race=D" not in [g.group for g in found.compared]


def test_a_group_without_positives_has_no_true_positive_rate(people):
    table = people(400)
    table.loc[table["race"] == "C", "label"] = 0
    found = measured(table, ["race"])["race", "true_positive_rate"]
    (empty,) = [g for g in found.groups if g.trials == 0]
    assert (empty.group, empty.value, empty.interval, empty.p_value) == ("race=C", None, None, None)
    assert found.difference is not None


def test_one_group_alone_has_no_difference(people):
    table = people(100).assign(sex="F")
    found = measured(table, ["sex"])["sex", "selection_rate"]
    assert found.difference is None
    assert found.ratio is None
    assert found.groups[0].p_value is None


def test_a_ratio_of_nobody_selected_is_undefined_but_the_difference_is_zero(people):
    found = measured(people(200).assign(prediction=0), ["sex"])["sex", "selection_rate"]
    assert found.difference.value == 0
    assert found.ratio is None


def test_the_value_lies_in_its_interval_and_the_seed_repeats_it(people):
    table = people(500, rates={("F", "*"): 0.15, ("*", "C"): 0.6})
    once, again = (measured(table, ["sex", "race"], seed=3) for _ in range(2))
    for key, m in once.items():
        for gap in (m.difference, m.ratio):
            assert gap is None or gap.value in gap.interval
        assert (m.difference, m.ratio, m.groups) == (again[key].difference, again[key].ratio, again[key].groups)
