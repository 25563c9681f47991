"""Who is worse off: a harm that only moved is found, a cure is none, and chance alone harms nobody."""

from itertools import product

import numpy as np
import pytest

from auditkit.mitigation.comparison import compare
from auditkit.mitigation.judging import Judged
from auditkit.mitigation.task import Split, Task
from tests.mitigation.planted import AFTER, BEFORE, WITHOUT, Decisions, Planted, task_of, value


def crossed(shares_after, n=200):
    """Labels by a coin; before, men are favoured everywhere; after, the share favoured of each (sex, race)."""
    cells = {}
    for (sex, race), after in shares_after.items():
        before = 0.3 if sex == "F" else 0.7
        # Before and after are independent of each other and of the label.
        for y, b, a in product((0, 1), repeat=3):
            share = (before if b else 1 - before) * (after if a else 1 - after)
            cells[sex, race, y, b, a] = round(n * share / 2)
    return task_of(cells)


def test_fairness_gerrymandering_is_found():
    gerrymandered = {("F", "x"): 0.9, ("M", "x"): 0.1, ("F", "y"): 0.1, ("M", "y"): 0.9}
    report = compare(crossed(gerrymandered), [Planted()], sensitive="sex", baseline=WITHOUT)
    assert value(report, "selection_rate_difference") == pytest.approx(0, abs=1e-9)  # sex is fixed
    grown = report["mitigation/planted/gaps_grown"]
    found = {(f["attribute"], f["metric"]): f for f in grown.details["found"]}
    assert set(found) == {("sex+race", m) for m in ("selection_rate", "true_positive_rate", "false_positive_rate")}
    assert found["sex+race", "selection_rate"]["change"] == pytest.approx(0.4, abs=0.01)
    assert found["sex+race", "selection_rate"]["low"] > 0
    assert (grown.value, grown.n, grown.interval.low) == (3, 6, 3)  # race, and sex crossed with race


def test_an_honest_cure_grows_no_gap():
    report = compare(crossed(dict.fromkeys(product("FM", "xy"), 0.5)), [Planted()], sensitive="sex", baseline=WITHOUT)
    assert value(report, "selection_rate_difference") == pytest.approx(0, abs=1e-9)
    assert report["mitigation/planted/gaps_grown"].details["found"] == []


def test_the_attribute_mitigated_is_no_other_attribute_in_whatever_order_it_is_written():
    gerrymandered = crossed({("F", "x"): 0.9, ("M", "x"): 0.1, ("F", "y"): 0.1, ("M", "y"): 0.9})
    report = compare(gerrymandered, [Planted()], sensitive="race+sex", baseline=WITHOUT)
    grown = report["mitigation/planted/gaps_grown"]
    assert (grown.value, grown.n) == (0, 6)
    assert value(report, "selection_rate_difference_change") == pytest.approx(0.4, abs=0.01)


def test_a_group_that_pays_is_named():
    cells = {**{(s, r, y, y, y): 60 for s, r, y in product("FM", "xy", (0, 1))}, ("F", "y", 1, 1, 0): 40}
    report = compare(task_of(cells), [Planted()], sensitive="sex", baseline=WITHOUT)
    worse = {f["group"]: f for f in report["mitigation/planted/groups_less_accurate"].details["found"]}
    assert set(worse) == {"sex=F", "race=y", "sex=F+race=y"}
    assert (worse["sex=F+race=y"]["before"], worse["sex=F+race=y"]["after"]) == (1.0, 0.75)
    assert worse["sex=F+race=y"]["p_value_holm"] < 1e-9


def test_a_group_that_gains_does_not_pay():
    cells = {**{(s, r, y, y, y): 60 for s, r, y in product("FM", "xy", (0, 1))}, ("F", "y", 1, 0, 1): 40}
    report = compare(task_of(cells), [Planted()], sensitive="sex", baseline=WITHOUT)
    assert value(report, "accuracy_change") > 7
    assert report["mitigation/planted/groups_less_accurate"].details["found"] == []


@pytest.mark.slow
def test_chance_alone_harms_nobody():
    """Before and after err as often as each other, in every group; three attributes, crossed."""
    alarms = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        n = 1000
        sensitive = {a: rng.choice(list("pqr"), n).astype(object) for a in ("sex", "race", "age")}
        label = rng.random(n) < 0.4
        chance = np.where(label, 0.7, 0.2)
        columns = [(rng.random(n) < chance).astype(float) for _ in range(2)]
        who = Split(np.column_stack(columns), label, sensitive, None, np.arange(n).astype(object))
        task = Task("null", who, who, ("before", "after"), "made up")
        before, after = (
            Judged(
                at="m", name="m", method=WITHOUT, decider=Decisions(c), task=task, sensitive="sex", seed=seed, before=b
            )
            for c, b in ((BEFORE, None), (AFTER, None))
        )
        alarms += sum(m.value for m in after._elsewhere(before)) > 0
    assert alarms <= 3  # P(more than 3 of 20) < 2 % at 5 %
