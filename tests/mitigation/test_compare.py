"""Before and after: numbers are those counted by hand and fairlearn's, and no method hangs on the others."""

import pytest

from auditkit.errors import DataError, InputError, UnknownName
from auditkit.measurement import Measurement
from auditkit.mitigation.comparison import compare, named, slug
from auditkit.mitigation.reweighing import Reweighing
from auditkit.mitigation.task import Task
from auditkit.probes.base import ProbeResult
from tests.mitigation.planted import (
    AFTER,
    BEFORE,
    COIN,
    SMALL,
    WITHOUT,
    Drawn,
    Failing,
    Planted,
    people,
    task_of,
    value,
)


@pytest.fixture(scope="module")
def small():
    return compare(task_of(SMALL), [Planted()], sensitive="sex", baseline=WITHOUT)


def test_the_numbers_are_those_counted_by_hand(small):
    assert value(small, "accuracy", "as_it_is") == 90.0
    assert value(small, "accuracy") == 85.0
    assert value(small, "accuracy_change") == -5.0
    assert value(small, "selection_rate_difference", "as_it_is") == pytest.approx(0.3)
    assert value(small, "selection_rate_difference") == pytest.approx(0.1)
    change = small["mitigation/planted/selection_rate_difference_change"]
    assert change.value == pytest.approx(-0.2)
    assert change.details["before"] == pytest.approx(0.3)
    assert change.details["cut_percent"] == pytest.approx(100 * 2 / 3)
    assert change.interval.high < 0
    # 20 people of whom the model is right only before or only after: 15 lost, 5 won. Exact McNemar.
    assert small["mitigation/planted/accuracy_change"].details["p_value"] == pytest.approx(2 * 21700 / 2**20)


def test_the_numbers_are_those_of_fairlearn(small):
    from fairlearn import metrics

    who = people(SMALL)
    found = {
        "selection_rate_difference": metrics.demographic_parity_difference,
        "true_positive_rate_difference": lambda *a, **k: metrics.MetricFrame(
            metrics=metrics.true_positive_rate, y_true=a[0], y_pred=a[1], **k
        ).difference(),
        "false_positive_rate_difference": lambda *a, **k: metrics.MetricFrame(
            metrics=metrics.false_positive_rate, y_true=a[0], y_pred=a[1], **k
        ).difference(),
    }
    for metric, measure in found.items():
        after, before = (
            measure(
                who.label.astype(int), (who.features[:, c] > 0.5).astype(int), sensitive_features=who.sensitive["sex"]
            )
            for c in (AFTER, BEFORE)
        )
        assert value(small, metric) == pytest.approx(after, abs=1e-12)
        assert value(small, f"{metric}_change") == pytest.approx(after - before, abs=1e-12)


def test_items_pair_two_reports_person_by_person(small):
    items = small.items
    mine = items[items["measurement"] == "mitigation/planted/accuracy"]
    assert len(mine) == 200
    assert mine["value"].mean() == 85.0


def test_the_front_is_what_no_other_beats(small):
    better = compare(
        task_of(SMALL), {"same": Planted(), "coin": Planted(column=COIN)}, sensitive="sex", baseline=WITHOUT
    )
    front = {m.id.split("/")[1]: m.details["on_front"] for m in better.measurements if m.id.endswith("/accuracy")}
    assert value(better, "accuracy", "coin") < 85
    assert value(better, "selection_rate_difference", "coin") < 0.01
    assert front == {"as_it_is": True, "same": True, "coin": True}
    worse = compare(task_of(SMALL), [Planted(column=BEFORE)], sensitive="sex", baseline=Planted(name="good"))
    assert {m.details.get("on_front") for m in worse.measurements if m.id.endswith("/accuracy")} == {True}
    flipped = task_of({(s, r, y, 1 - b, a): n for (s, r, y, b, a), n in SMALL.items()})
    beaten = compare(flipped, [Planted(column=BEFORE)], sensitive="sex", baseline=Planted(name="good"))
    assert beaten["mitigation/planted/accuracy"].details["on_front"] is False


# --- one method does not hang on the others ---------------------------------------------------------------------


def lines(report, method):
    return [m.to_json() for m in report.measurements if f"/{method}/" in m.id]


def without_front(found):
    return [m | {"details": {k: v for k, v in m["details"].items() if k != "on_front"}} for m in found]


def test_equal_seeds_give_equal_reports_and_others_do_not():
    task = task_of(SMALL)
    first, again, other = (compare(task, [Drawn()], sensitive="sex", baseline=WITHOUT, seed=s) for s in (3, 3, 4))
    assert [m.to_json() for m in first.measurements] == [m.to_json() for m in again.measurements]
    assert value(first, "accuracy") != value(other, "accuracy")


def test_what_is_drawn_for_a_method_does_not_depend_on_the_others(made_up):
    task = Task("made up", made_up(600), made_up(500, seed=1), ("x",) * 20, "made up")
    alone = compare(task, [Drawn(), "leace"], sensitive="group")
    among = compare(task, ["leace", Planted(name="other"), "reweighing", Drawn()], sensitive="group")
    for method in ("planted", "leace", "logistic_regression"):
        assert without_front(lines(alone, method)) == without_front(lines(among, method))


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (DataError("nobody to learn from"), "undefined", "nobody to learn from"),
        (UnknownName("thing", "abc", ["abd"]), "undefined", "did you mean 'abd'?"),
        (ZeroDivisionError("by zero"), "error", "ZeroDivisionError: by zero"),
    ],
)
def test_a_method_that_fails_says_so_and_costs_the_others_nothing(error, status, reason):
    failing = Failing(name="broken", error=error)
    report = compare(task_of(SMALL), [failing, Planted()], sensitive="sex", baseline=WITHOUT)
    m = report["mitigation/broken/accuracy"]
    assert (m.value, m.status) == (None, status)
    assert reason in m.details["reason"]
    assert value(report, "accuracy") == 85.0


def test_groups_too_small_to_compare_are_said_to_be():
    report = compare(
        task_of({**SMALL, ("F", "x", 1, 1, 1): 3, ("F", "x", 1, 0, 1): 2}), [Planted()], sensitive="sex",
        baseline=WITHOUT,
    )  # fmt: skip
    m = report["mitigation/planted/true_positive_rate_difference"]
    assert m.status == "undefined"
    assert "too few people" in m.details["reason"]
    assert report["mitigation/planted/selection_rate_difference"].status == "ok"


def test_a_gate_can_judge_every_number(small):
    rules = [{"measurement": "mitigation/planted/gaps_grown", "max": 0}]
    rules += [{"measurement": "mitigation/planted/accuracy_change", "min": -20}]
    rules += [{"measurement": "mitigation/planted/selection_rate_difference_change", "max": 0}]
    # One attribute leaves nothing that a gap could have grown in: nothing was compared, so nothing passes.
    assert [v.outcome for v in small.gate(rules)] == ["ERROR", "PASS", "PASS"]


def test_further_probes_of_the_baseline_stand_in_the_same_report():
    class Further:
        id = "further"
        needs = ()
        source = "made up"

        def measure(self, model, rng):
            return ProbeResult([Measurement(id="further/n", value=1.0, n=1, details={"model": model.name})])

    report = compare(task_of(SMALL), [Planted()], sensitive="sex", baseline=WITHOUT, also=[Further()])
    assert report["further/n"].details["model"] == "as it is, planted"
    assert value(report, "accuracy") == 85.0


# --- names and bad input ----------------------------------------------------------------------------------------


def test_ids_are_the_names_that_were_given():
    found = named(["thresholds", Planted(name="DP-SGD (epsilon 2)"), Reweighing()])
    assert list(found) == ["thresholds", "dp_sgd_epsilon_2", "reweighing"]
    assert list(named({"Very weak": "leace", "strong": "leace"})) == ["very_weak", "strong"]
    assert slug("LEACE") == "leace"
    report = compare(task_of(SMALL), {"mine": Planted()}, sensitive="sex", baseline=WITHOUT)
    assert report["mitigation/mine/accuracy"].details["mitigation"] == "mine (planted)"


@pytest.mark.parametrize(
    ("methods", "error", "message"),
    [
        ([], InputError, "at least one, as in \\['leace'\\]"),
        ({}, InputError, "at least one"),
        ("leace", InputError, "expected a list of at least one, as in \\['leace'\\]"),
        (["leace", "leace"], InputError, "'leace' is there twice"),
        (["reweighing", Reweighing()], InputError, "'reweighing' is there twice"),
        (["reweighting"], UnknownName, "did you mean 'reweighing'"),
        ([Reweighing], InputError, "is a class; expected an object of it: Reweighing\\(\\)"),
        ([WITHOUT], InputError, "as it is is what methods are compared with"),
    ],
)
def test_methods_that_cannot_be_compared(methods, error, message):
    with pytest.raises(error, match=message):
        compare(task_of(SMALL), methods, sensitive="sex", baseline=WITHOUT)


def test_groups_that_cannot_be_compared():
    with pytest.raises(UnknownName, match="unknown sensitive column 'sx'; did you mean 'sex'"):
        compare(task_of(SMALL), ["leace"], sensitive="sx")
    with pytest.raises(DataError, match=r"race: all 200 people .* expected two groups or more"):
        compare(task_of(SMALL), [Planted()], sensitive="race", baseline=WITHOUT)


def test_a_task_that_cannot_be_learned_from(spoiled, made_up):
    damaged, message = spoiled
    with pytest.raises(DataError, match=message):
        compare(Task("spoiled", damaged, made_up(300, seed=1), ("x",), "made up"), ["leace"], sensitive="group")
