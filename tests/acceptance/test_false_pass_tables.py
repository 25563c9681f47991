"""Tables of people that once passed, or could: each row a broken audit, its exit code, and the sentence on it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from auditkit import cli

DIFFERENCE = "group_fairness/sex/selection_rate_difference"


def people(n=400, *, unfair=0.0, seed=0, score=True):
    """n people of either sex; women are selected less often by `unfair`."""
    rng = np.random.default_rng(seed)
    women, label = np.arange(n) % 2 == 0, rng.random(n) < 0.5
    table = pd.DataFrame({"id": np.arange(n), "sex": np.where(women, "F", "M"), "label": label.astype(int)})
    table["prediction"] = (rng.random(n) < 0.5 - unfair * women).astype(int)
    return table.assign(score=rng.uniform(0.3, 0.7, n).round(3)) if score else table


def plus(table, n, *, prediction=0, label=0, **columns):
    """The same table and n more people who are all alike, save their ids and scores."""
    more = people(n, seed=9).assign(label=label, prediction=prediction, **columns)
    more["id"] += len(table)
    return pd.concat([table, more[list(dict.fromkeys([*table.columns, *columns]))]], ignore_index=True)


def run(table, folder, *, options="", rules=(), **files):
    """The exit code of an audit, and everything that it says: on the terminal, on stderr, and in its verdicts."""
    table if isinstance(table, str) else table.to_csv(folder / "people.csv", index=False)
    if isinstance(table, str):
        (folder / "people.csv").write_text(table)
    for name, content in files.items():
        (folder / f"{name}.csv").write_text(content)
    probe = "{sensitive: [sex]" + (f", {options}" if options else "") + "}"
    gate = "".join(f"  - {{{rule}}}\n" for rule in rules)
    (folder / "audit.yaml").write_text(f"model: people.csv\nprobes:\n  - group_fairness: {probe}\ngate:\n{gate}")
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", "audit.yaml"])
    report = Path("audit-out/report.json")
    verdicts = json.loads(report.read_text())["verdicts"] if report.exists() else []
    return ended.value.code, "\n".join(f"{v['outcome']}: {v['measurement']}: {v['explanation']}" for v in verdicts)


@pytest.fixture
def audited(tmp_path, monkeypatch, capsys):
    """Audits a table in a folder of its own: (exit code, all that was said)."""
    monkeypatch.chdir(tmp_path)

    def audit(table, **more):
        code, verdicts = run(table, tmp_path, **{"rules": (f"measurement: {DIFFERENCE}, max: 0.2",)} | more)
        return code, capsys.readouterr().err + verdicts

    return audit


def words(table, label=("no", "yes"), prediction=("no", "yes")):
    """The same decisions in words."""
    return table.assign(
        label=np.array(label, dtype=object)[table["label"]],
        prediction=np.array(prediction, dtype=object)[table["prediction"]],
    )


def missing(table, column, text, rows=60):
    """The same table, in which some people have no value."""
    return table.astype({column: object}).assign(
        **{column: table[column].astype(object).where(table.index >= rows, text)}
    )


UNFAIR = people(unfair=0.3)

SPELLED = {
    "another case": (words(UNFAIR, prediction=("no", "Yes")), "'Yes' (prediction), 'yes' (label)"),
    "a space": (words(UNFAIR, prediction=("no", "yes ")), "'yes' (label), 'yes ' (prediction)"),
    "a space that does not break": (words(UNFAIR, prediction=("no", "yes\u00a0")), "one outcome is spelled in 2 ways"),
    "full width": (words(UNFAIR, prediction=("no", "\uff59\uff45\uff53")), "one outcome is spelled in 2 ways"),
    "an invisible character": (words(UNFAIR, prediction=("no", "\u200byes")), "one outcome is spelled in 2 ways"),
    "a full stop": (
        words(UNFAIR, prediction=("no", "yes.")),
        "one outcome is spelled in 2 ways: 'yes' (label), 'yes.'",
    ),
    "the labels alone": (words(UNFAIR, label=("NO", "yes")), "'NO' (label), 'no' (prediction)"),
    "another word": (words(UNFAIR, prediction=("no", "hired")), "prediction holds 'hired', label holds no, yes"),
    "numbers for words": (words(UNFAIR, prediction=(0, 1)), "prediction holds '0', label holds no, yes"),
    "R's NA in the label": (missing(words(UNFAIR), "label", "NA"), "label: 60 of 400 people have none (first in row 1"),
    "nan in the label": (missing(words(UNFAIR), "label", "nan"), "label: 60 of 400 people have none"),
    "None in the prediction": (missing(words(UNFAIR), "prediction", "None"), "prediction: 60 of 400 people have none"),
    "an empty cell": (missing(words(UNFAIR), "label", ""), "label: 60 of 400 people have none"),
    "a blank cell": (missing(words(UNFAIR), "label", " "), "label: 60 of 400 people have none"),
    "a question mark": (missing(words(UNFAIR), "prediction", "?"), "leave these people out"),
}


@pytest.mark.parametrize(("table", "sentence"), SPELLED.values(), ids=SPELLED)
def test_what_is_only_spelled_otherwise_is_no_other_outcome(audited, table, sentence):
    code, said = audited(table, options="positive: 'yes'")
    assert code == 2
    assert sentence in said


def test_the_labels_of_uci_adult_are_one_label(audited):
    code, said = audited(words(UNFAIR, ("<=50K.", ">50K."), ("<=50K", ">50K")), options="positive: '>50K'")
    assert code == 2
    assert "'<=50K' (prediction), '<=50K.' (label)" in said


@pytest.mark.parametrize("column", ["label", "prediction"])
def test_na_among_numbers_is_no_negative(audited, column):
    code, said = audited(missing(UNFAIR, column, "NA"), options="positive: 1")
    assert code == 2
    assert f"{column}: 60 of 400 people have none (first in row 1, written 'NA')" in said


def test_spelled_alike_the_decisions_fail(audited):
    code, said = audited(words(UNFAIR), options="positive: 'yes'")
    assert code == 1
    assert f"FAIL: {DIFFERENCE}" in said


def test_a_favourable_value_that_no_label_has_is_refused_with_those_there_are(audited):
    code, said = audited(words(UNFAIR), options="positive: 'Yes'")
    assert code == 2
    assert "unknown value of label and prediction 'Yes'" in said
    assert "'yes'" in said


SMALL = {
    "a whole group": (plus(people(), 29, sex="X"), DIFFERENCE, "sex=X (29 people); with them the value is 0.5"),
    "two people": (plus(people(), 2, sex="X"), DIFFERENCE, "sex=X (2 people); with them the value is"),
    "few positives": (
        plus(plus(people(), 100, sex="X", prediction=1), 20, sex="X", label=1),
        "group_fairness/sex/true_positive_rate_difference",
        "sex=X (120 people); with them the value is",
    ),
    "few scores": (
        plus(people(), 20, sex="X", label=1),
        "group_fairness/sex/calibration_gap_difference",
        "sex=X (20 people); with them the value is",
    ),
    "no negatives at all": (
        plus(people(), 200, sex="X", label=1),
        "group_fairness/sex/roc_auc_difference",
        "sex=X (200 people); with them the value is",
    ),
    "people without a sex": (plus(people(), 12, sex=None), DIFFERENCE, "sex=(missing) (12 people)"),
}


@pytest.mark.parametrize(("table", "measurement", "sentence"), SMALL.values(), ids=SMALL)
def test_a_group_that_was_left_out_keeps_the_gate_shut(audited, table, measurement, sentence):
    rule = f"measurement: {measurement}, max: 0.45"
    code, said = audited(table, rules=[rule])
    assert code == 1
    assert f"INCONCLUSIVE: {measurement}" in said
    assert sentence in said
    assert audited(table, rules=[f"{rule}, small_groups: ignore"])[0] == 0


def test_ratios_leave_nobody_out_either(audited):
    code, said = audited(plus(people(), 29, sex="X"), rules=["measurement: group_fairness/sex/*_rate_ratio, min: 0.01"])
    assert code == 1
    assert "INCONCLUSIVE: group_fairness/sex/selection_rate_ratio" in said
    assert "sex=X (29 people); with them the value is 0 " in said


def test_a_difference_that_is_too_large_stays_so_whoever_was_left_out(audited):
    code, said = audited(
        plus(people(1_000, unfair=0.5), 29, sex="X"),
        rules=[f"measurement: {DIFFERENCE}, max: 0.1, on_inconclusive: warn"],
    )
    assert code == 1
    assert f"FAIL: {DIFFERENCE}" in said


NAMES = {
    "case and space": ("Black", "black "),
    "inner spaces": ("Pacific Islander", "Pacific  Islander"),
    "hyphens": ("Asian-Pac-Islander", "Asian Pac Islander"),
    "Unicode forms": ("Jos\u00e9", "Jose\u0301"),
    "an invisible character": ("Black", "Bl\u00adack"),
    "two ways to say nothing": ("", "NA"),
}


@pytest.mark.parametrize("ways", NAMES.values(), ids=NAMES)
def test_a_group_in_two_spellings_is_named(audited, ways):
    table = plus(plus(people(), 29, sex=ways[0]), 29, sex=ways[1])
    code, said = audited(table)
    assert code == 2
    assert "groups that differ in spelling only" in said
    assert "(29)" in said
    code, said = audited(table, options="groups_as_written: true")
    assert code == 1
    assert "(29 people)" in said


@pytest.mark.parametrize(("prediction", "who"), [(0, "nobody"), (1, "everybody")])
@pytest.mark.parametrize("metric", ["selection_rate", "true_positive_rate", "false_positive_rate"])
def test_a_model_that_decides_alike_about_everybody_is_not_shown_to_be_fair(audited, prediction, who, metric):
    measurement = f"group_fairness/sex/{metric}_difference"
    code, said = audited(people().assign(prediction=prediction), rules=[f"measurement: {measurement}, max: 0.2"])
    assert code == 1
    assert f"INCONCLUSIVE: {measurement}" in said
    assert f"{who} of 400 people was predicted '1'" in said


def test_a_rate_of_nought_everywhere_is_no_equality(audited):
    table = people()
    table["prediction"] = 1 - table["label"]
    rule = "measurement: group_fairness/sex/true_positive_rate_difference, max: 0.2"
    code, said = audited(table, rules=[rule])
    assert code == 1
    assert "the true positive rate is 0 in every group compared, so that the ratio is undefined" in said


def again(table, times, *, new_ids):
    """The table, so many times."""
    copies = pd.concat([table] * times, ignore_index=True)
    return copies.assign(id=range(len(copies))) if new_ids else copies


FEW = people(60)

COPIES = {
    "the same ids": (again(FEW, 30, new_ids=False), "1,740 of 1,800 rows repeat an id"),
    "one id twice": (plus(FEW, 1).assign(id=[*range(60), 7]), "id 7 appears more than once"),
    "new ids": (again(FEW, 30, new_ids=True), "stand 30 times or a multiple"),
    "doubled": (again(FEW, 2, new_ids=True), "stand 2 times or a multiple"),
    "no ids": (again(FEW, 30, new_ids=True).drop(columns="id"), "the 1,800 rows of the table are 59 different ones"),
    "ids of another name": (again(FEW, 30, new_ids=True).rename(columns={"id": "person"}), "stand 30 times"),
    "shuffled": (again(FEW, 30, new_ids=True).sample(frac=1, random_state=0), "stand 30 times or a multiple"),
    "and one more": (plus(again(FEW, 30, new_ids=True), 1), "stand 30 times or a multiple"),
    "half of them": (
        pd.concat([again(FEW, 30, new_ids=True), people(60, seed=5).assign(id=range(5000, 5060))]),
        "stand 30 times",
    ),
    "few columns": (again(people(60, score=False), 30, new_ids=True), "stand 30 times or a multiple"),
    "few columns, in runs": (
        again(people(60, score=False), 30, new_ids=True).sort_values("id", key=lambda i: i % 60).assign(id=range(1800)),
        "stand 30 times or a multiple",
    ),
}


@pytest.mark.parametrize(("table", "sentence"), COPIES.values(), ids=COPIES)
def test_copies_are_not_people(audited, table, sentence):
    code, said = audited(table)
    assert code == 2
    assert sentence in said


def test_people_who_are_alike_are_people(audited):
    """Eight different rows among 4,000 people: few columns, and no copies."""
    assert audited(people(4_000, score=False))[0] == 0


HEADERS = {
    "twice": ("sex,label,prediction,prediction", "two columns are named 'prediction'"),
    "with a space": ("sex,label,prediction, prediction", "two columns are named 'prediction'"),
    "the label": ("sex,label,prediction,label", "two columns are named 'label'"),
    "the group": ("sex,label,prediction,sex", "two columns are named 'sex'"),
    "as pandas names it": ("sex,label,prediction,prediction.1", "spelled 'prediction.1'"),
    "in another case": ("sex,label,prediction,Prediction", "spelled 'Prediction'"),
    "cells without a name": ("sex,label,prediction", "its rows have more cells than its header has names"),
}


@pytest.mark.parametrize(("header", "sentence"), HEADERS.values(), ids=HEADERS)
def test_of_two_columns_of_one_name_none_is_chosen(audited, header, sentence):
    rows = people(score=False)[["sex", "label", "prediction"]].assign(other=lambda t: 1 - t["prediction"])
    code, said = audited("\n".join([header, *(",".join(map(str, row)) for row in rows.to_numpy())]) + "\n")
    assert code == 2
    assert said.count("auditkit:") == 1
    assert sentence in said


def test_an_area_over_ten_positives_is_not_judged(audited):
    table = plus(people(), 200, sex="X", prediction=1)
    table.loc[table.index[-10:], ["label", "score"]] = [1, 0.99]
    code, said = audited(table, rules=["measurement: group_fairness/sex=X/roc_auc, min: 0.5"])
    assert code == 3
    assert "has no interval" in said


def test_pairs_under_new_ids_are_no_more_evidence(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pairs = [f"The {job} is bad.,The {job} is good.,job,stereo" for job in ("nurse", "cook", "clerk", "judge")]
    rows = [f"p{i},{pairs[i % 4]}" for i in range(32)]
    (tmp_path / "pairs.csv").write_text("\n".join(["id,more,less,group,direction", *rows]) + "\n")
    (tmp_path / "audit.yaml").write_text(
        "model: auditkit.testing:FakeMaskedLM\nprobes:\n  - stereotype_pairs: {data: pairs.csv}\n"
        "gate:\n  - {measurement: stereotype_pairs/all/metric_score, max: 100}\n"
    )
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", "audit.yaml"])
    assert ended.value.code == 2
    assert "28 of 32 pairs are copies of another under a new id ('p4' is 'p0')" in capsys.readouterr().err
