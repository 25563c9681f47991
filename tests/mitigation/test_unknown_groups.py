"""People whose group is not known: "(missing)" as in an audit, and no group that is treated as one."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from auditkit.errors import DataError
from auditkit.fairness.people import MISSING, group_texts, is_unknown, read_people
from auditkit.mitigation import compare
from auditkit.mitigation.baseline import LogisticBaseline, hold_out
from auditkit.mitigation.postprocess import GroupCalibration, GroupThresholds
from auditkit.mitigation.registry import METHODS, mitigation
from auditkit.mitigation.reweighing import reweighing_weights
from auditkit.mitigation.task import Task, predictions

NOTHING = [None, np.nan, float("nan"), pd.NA, pd.NaT, np.float32("nan")]
FAST = sorted(set(METHODS) - {"adversarial", "regularizer"})


def with_unknown(people, every=5):
    """Every few people's group is taken away, in all the ways in which a table can have none."""
    group = people.sensitive["group"].copy()
    group[::every] = [NOTHING[i % len(NOTHING)] for i in range(len(group[::every]))]
    return dataclasses.replace(people, sensitive={"group": group, "coin": people.sensitive["coin"]})


@pytest.mark.parametrize("nothing", NOTHING, ids=repr)
def test_every_kind_of_nothing_is_missing(nothing):
    assert group_texts(["F", nothing, 1.0, True]).tolist() == ["F", MISSING, "1", "1"]


def test_a_task_and_an_audit_read_the_same_groups(made_up):
    people = with_unknown(made_up(300))
    table = predictions(
        LogisticBaseline().fit(people, sensitive="group", rng=np.random.default_rng(0)), people, name="m"
    )
    read = read_people(table.predictions(), ["group"])
    np.testing.assert_array_equal(read.sensitive["group"], people.sensitive["group"])
    assert set(people.groups("group")) == {"A", "B", MISSING}
    unknown = is_unknown(people.groups("group+coin"))
    np.testing.assert_array_equal(unknown, np.arange(300) % 5 == 0)


def test_one_known_group_is_not_two(made_up):
    people = made_up(40)
    group = np.where(np.arange(40) < 9, None, "A").astype(object)
    with pytest.raises(DataError, match="group: the 31 people of a known group are 'A'; expected two groups or more"):
        dataclasses.replace(people, sensitive={"group": group}).groups("group")


def test_nobody_unknown_is_held_out_and_everybody_known_can_be(made_up, rng):
    people = with_unknown(made_up(500))
    learn, held = hold_out(people, people.groups("group"), 0.4, rng)
    assert len(learn) + len(held) == 500
    assert not is_unknown(held.groups("group")).any()
    assert is_unknown(learn.groups("group")).sum() == 100


def test_reweighing_gives_them_weight_one_and_the_others_what_they_had(made_up):
    people = made_up(500)
    spoiled = with_unknown(people)
    known = ~is_unknown(spoiled.groups("group"))
    weights = reweighing_weights(spoiled.groups("group"), spoiled.label)
    alone = reweighing_weights(people.groups("group")[known], people.label[known])
    np.testing.assert_allclose(weights[known], alone)
    assert (weights[~known] == 1).all()


@pytest.mark.parametrize("method", [GroupThresholds(), GroupCalibration()])
def test_no_rule_is_made_for_them(method, made_up, rng):
    train, test = with_unknown(made_up(2500)), made_up(600, seed=1)
    decider = method.fit(train, sensitive="group", rng=rng)
    assert set(getattr(decider, "rules", None) or decider.corrections) == {"A", "B"}
    nobody = dataclasses.replace(test, sensitive={"group": np.array([pd.NA] * 600, dtype=object)})
    np.testing.assert_array_equal(decider.decide(nobody), decider.base.decide(nobody))


@pytest.mark.parametrize("name", FAST)
def test_every_method_learns_and_decides_with_unknown_groups(name, made_up, gap, rng):
    train, test = with_unknown(made_up(1500, width=4), every=20), with_unknown(made_up(1000, seed=1, width=4), every=20)
    decider = mitigation(name).fit(train, sensitive="group", rng=rng)
    assert decider.decide(test).shape == (1000,)
    if name not in ("gradient_boosting", "calibration"):
        known = ~is_unknown(test.groups("group"))
        before = LogisticBaseline().fit(train, sensitive="group", rng=rng).decide(test)
        rates = [[d[known & (test.groups("group") == g)].mean() for g in "AB"] for d in (before, decider.decide(test))]
        assert abs(np.diff(rates[1])) < 0.7 * abs(np.diff(rates[0]))


def test_the_report_counts_them_as_an_audit_does(made_up):
    parts = [with_unknown(made_up(1200, seed=s, width=4)) for s in (0, 1)]
    report = compare(Task("made up", *parts, tuple("abcd"), "made up"), ["reweighing"], sensitive="group")
    rows = report["mitigation/reweighing/selection_rate_difference"].details["by_group"]
    assert {r["group"]: r["n"] for r in rows}[f"group={MISSING}"] == 240
