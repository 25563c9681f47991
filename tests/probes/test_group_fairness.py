"""The probe on a predictions file and on a classifier: what it finds, and what it says of bad input."""

import json

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import MetricFrame, demographic_parity_difference, demographic_parity_ratio, selection_rate
from typer.testing import CliRunner

from auditkit import audit
from auditkit.cli import app
from auditkit.errors import DataError, InputError, UnknownName
from auditkit.models.predictions import Predictions
from auditkit.probes.base import generator
from auditkit.probes.group_fairness import GroupFairness
from auditkit.testing import FakeClassifier, FakeEncoder, check_probe


def people(n=900, *, seed=0, harm=0.2):
    """Made-up people; women of race B are selected less often by `harm`."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"sex": rng.choice(["F", "M"], n), "race": rng.choice(["A", "B"], n, p=[0.7, 0.3])})
    rate = 0.5 - harm * ((table["sex"] == "F") & (table["race"] == "B"))
    label = rng.random(n) < 0.5
    score = np.clip(rate + 0.3 * (label - 0.5) + rng.normal(0, 0.2, n), 0, 1)
    return table.assign(label=label.astype(int), prediction=(rng.random(n) < rate).astype(int), score=score)


def measured(table, model=None, **options):
    probe = GroupFairness(**{"sensitive": ["sex", "race"]} | options)
    return {m.id: m for m in check_probe(probe, model or Predictions(table, name="m")).measurements}


def test_the_values_are_those_of_fairlearn():
    table = people()
    found = measured(table)
    given = {"y_true": table["label"], "y_pred": table["prediction"], "sensitive_features": table["sex"]}
    assert found["group_fairness/sex/selection_rate_difference"].value == demographic_parity_difference(**given)
    assert found["group_fairness/sex/selection_rate_ratio"].value == demographic_parity_ratio(**given)
    frame = MetricFrame(metrics=selection_rate, **given | {"sensitive_features": table[["sex", "race"]]})
    assert found["group_fairness/sex=F+race=B/selection_rate"].value == frame.by_group["F", "B"]
    assert found["group_fairness/sex+race/selection_rate_difference"].value == frame.difference()
    assert found["group_fairness/all/selection_rate"].value == frame.overall


def test_a_harmed_group_is_named_and_every_number_has_what_a_reader_needs():
    found = measured(people(3_000))
    worst = found["group_fairness/sex+race/selection_rate_difference"]
    assert worst.details["lowest"] == "sex=F+race=B"
    assert "sex=F+race=B" in worst.details["flagged_groups"]
    group = found["group_fairness/sex=F+race=B/selection_rate"]
    assert group.details["p_value"] <= group.details["p_value_bh"] <= group.details["p_value_holm"] < 0.05
    for m in found.values():
        assert m.status == "ok"
        assert m.value in m.interval
        assert m.n > 0
    assert found["group_fairness/sex=F/accuracy"].ideal == 1
    assert found["group_fairness/sex/selection_rate_difference"].details["flagged_groups"]


def test_nothing_is_flagged_where_nothing_is_planted():
    found = measured(people(harm=0.0))
    assert {g for m in found.values() for g in m.details.get("flagged_groups", ())} == set()


def test_both_rules_on_disparate_impact_stand_beside_the_ratio():
    details = measured(people())["group_fairness/race/selection_rate_ratio"].details
    assert {row["group"] for row in details["four_fifths"]} == {row["group"] for row in details["local_law_144"]}
    assert {row["below"] for row in details["local_law_144"]} == {None}


def test_without_scores_there_is_no_calibration():
    assert not [id for id in measured(people().drop(columns="score")) if "calibration" in id]


# --- bad input: one clear error, or a flag ----------------------------------------------------------------------


def measure(table, **options):
    probe = GroupFairness(**{"sensitive": ["sex"]} | options)
    return probe.measure(Predictions(table, name="m"), generator(0, probe.id))


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        ({}, {"sensitive": ["gender"]}, UnknownName, "unknown column 'gender'"),
        ({}, {"sensitive": []}, DataError, "no sensitive column was named"),
        ({"label": "maybe"}, {}, DataError, "say which of them is the favourable one"),
        ({"score": np.nan}, {}, DataError, "900 of 900 are no probability"),
        ({"prediction": None}, {}, DataError, "900 of 900 people have none"),
        ({}, {"data": "people.csv"}, InputError, "a table of decisions already; leave out data='people.csv'"),
    ],
)
def test_wrong_input_is_named(change, options, error, message):
    with pytest.raises(error) as caught:
        measure(people().assign(**change), **options)
    assert message in str(caught.value)


def test_crossing_no_attribute_at_all_is_refused():
    with pytest.raises(InputError, match="max_order=0; expected 1"):
        GroupFairness(sensitive=["sex"], max_order=0)


def test_a_constant_attribute_is_flagged_and_the_others_are_measured():
    found = measured(people().assign(race="A"))
    for metric in ("selection_rate_difference", "selection_rate_ratio", "calibration_gap_difference"):
        m = found[f"group_fairness/race/{metric}"]
        assert (m.status, m.value) == ("undefined", None)
        assert m.details["reason"] == "all 900 people have race=A: there is nobody to compare them with"
    assert found["group_fairness/sex/selection_rate_difference"].status == "ok"
    assert not [id for id in found if "+" in id]


def test_three_people_and_missing_values_are_shown_and_counted():
    table = people()
    table.loc[:2, "race"] = "C"
    table.loc[3:60, "race"] = None
    model = Predictions(table, name="m")
    probe = GroupFairness(sensitive=["race"])
    found = {m.id: m for m in probe.measure(model, generator(0, probe.id)).measurements}
    assert found["group_fairness/race=C/selection_rate"].details["small_cell"] is True
    assert found["group_fairness/race=(missing)/selection_rate"].n == 58
    assert "race=C" in found["group_fairness/race/selection_rate_difference"].details["small_cells"]
    assert model.notices == {
        "people without a value of race, kept as a group of their own": 58,
        "groups of fewer than 30 people, shown but not compared": 1,
    }


# --- two models -------------------------------------------------------------------------------------------------


def test_a_second_model_is_compared_on_the_same_people(tmp_path):
    table = people(3_000)
    other = tmp_path / "before.parquet"
    harmed = (table["sex"] == "F") & (np.arange(len(table)) % 3 == 0)
    table.assign(prediction=table["prediction"].where(~harmed, 0)).to_parquet(other)
    found = measured(table, compare_with=str(other))
    change = found["group_fairness/sex/selection_rate_difference_change"]
    assert change.interval.high < 0
    women = next(row for row in change.details["changes"] if row["group"] == "sex=F")
    assert women["after"] > women["before"]
    assert women["p_value"] <= women["p_value_holm"] < 1e-6


def test_misaligned_people_are_refused(tmp_path):
    table = people()
    other = tmp_path / "other.csv"
    table.iloc[::-1].to_csv(other, index=False)
    with pytest.raises(DataError, match="not the same people in the same order; give both tables a column id"):
        measure(table, compare_with=str(other))


# --- a classifier -----------------------------------------------------------------------------------------------


def texts(tmp_path):
    rows = [
        {"text": f"the {who} of team {team} is a good {job}", "label": label, "sex": who}
        for who in ("man", "woman")
        for job in ("nurse", "doctor", "engineer", "teacher", "lawyer", "cook", "manager", "scientist")
        for team, label in enumerate(("positive", "negative") * 3)
    ]
    path = tmp_path / "people.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return str(path)


def test_a_planted_bias_of_a_classifier_is_found(tmp_path):
    options = {"sensitive": ["sex"], "data": texts(tmp_path), "positive": "positive"}
    planted = FakeClassifier(associations={("woman", "negative"): 9.0, ("man", "positive"): 9.0})
    found = measured(None, planted, **options)
    assert found["group_fairness/sex/selection_rate_difference"].value == 1
    assert found["group_fairness/sex/selection_rate_difference"].interval.low > 0.8
    assert found["group_fairness/sex=woman/calibration_gap"].value < -0.4


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, DataError, "needs texts about people to classify; give data"),
        ({"data": "absent.csv"}, DataError, "no such file: absent.csv"),
        ({"positive": "good"}, UnknownName, "known: negative, positive"),
    ],
)
def test_what_a_classifier_needs_is_said(tmp_path, options, error, message):
    given = {"sensitive": ["sex"], **({"data": texts(tmp_path)} if "positive" in options else {}), **options}
    probe = GroupFairness(**given)
    with pytest.raises(error) as caught:
        probe.measure(FakeClassifier(), generator(0, probe.id))
    assert message in str(caught.value)


def test_texts_without_a_text_are_refused(tmp_path):
    path = tmp_path / "people.csv"
    people().to_csv(path, index=False)
    probe = GroupFairness(sensitive=["sex"], data=str(path), positive="positive")
    with pytest.raises(DataError, match="column 'text' is missing"):
        probe.measure(FakeClassifier(), generator(0, probe.id))


def test_a_model_that_decides_nothing_is_skipped():
    report = audit(FakeEncoder(), [GroupFairness(sensitive=["sex"])])
    assert [(run.status, "Predicts or Classifies" in run.reason) for run in report.runs] == [("skipped", True)]


# --- the command line -------------------------------------------------------------------------------------------


def test_a_predictions_file_is_audited_from_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    people(3_000, harm=0.4).to_csv("predictions.csv", index=False)
    (tmp_path / "audit.yaml").write_text(
        "model: predictions.csv\nprobes:\n  - group_fairness: {sensitive: [sex, race]}\n"
        "gate:\n  - {measurement: group_fairness/*/selection_rate_difference, max: 0.1}\n"
    )
    result = CliRunner().invoke(app, ["run"])
    assert result.exit_code == 1
    report = json.loads((tmp_path / "audit-out" / "report.json").read_text())
    outcomes = {v["measurement"]: v["outcome"] for v in report["verdicts"]}
    assert outcomes["group_fairness/sex+race/selection_rate_difference"] == "FAIL"
    assert report["subject"]["task"] == "predictions"
    page = (tmp_path / "audit-out" / "report.html").read_text()
    assert "Four-fifths rule" in page
    assert "Local Law 144" in page
