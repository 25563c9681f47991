"""Broken audits that once passed, or ended in a traceback: reports that contradict themselves, or cannot be read.

Each row is one damage to a report that passes. The exit code and the sentence are asserted, since 1 would say that a
rule failed, and 0 that all is well.
"""

import json
import re
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest

from auditkit.cli import main
from auditkit.measurement import Interval, Measurement
from auditkit.report import AuditReport, ProbeRun, items_path

RULES = "gate:\n  - {measurement: '*/all/s', max: 60}\n"
WORSENING = "gate:\n  - {measurement: pairs/all/s, max_worsening: 5}\n"
REPORT, AUDIT = "report.json", "audit.yaml"


def measured(id, **more):
    given = {"value": 50.0, "interval": Interval(45.0, 55.0), "n": 100, "unit": "%", "ideal": 50.0, "method": "share"}
    return Measurement(id=id, **given | more)


def whole():
    """Two probes that measured, each as the configuration promises; its rule passes."""
    report = AuditReport(
        subject={"name": "a model"},
        environment={"python": "3.13"},
        config={"model": {"spec": "a-model"}, "seed": 0, "probes": [{"pairs": {"id": "pairs"}}, {"words": {}}]},
        seed=0,
        runs=[ProbeRun("pairs", "ok"), ProbeRun("words", "ok")],
        measurements=[measured("pairs/all/s"), measured("words/all/s", details={"p_value": 0.4})],
        created="2026-01-01T00:00:00+00:00",
    )
    return json.loads(json.dumps(report.to_json()))


def gate(capsys, *more):
    """Judge the report in the current folder: its exit code, and all that was said, in one line without tracebacks."""
    with pytest.raises(SystemExit) as ended:
        main(["gate", REPORT, "--rules", AUDIT, *more])
    said = capsys.readouterr()
    problems = [line for line in said.err.splitlines() if line.startswith("auditkit: ")]
    assert len(problems) == (ended.value.code == 2), said.err
    return ended.value.code, " ".join(re.sub(r"[│┃\n]", " ", said.out + said.err).split())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")  # a sentence in one line of the table
    (tmp_path / AUDIT).write_text(RULES)
    return tmp_path


def refused(folder, capsys, text, sentence, code=2):
    """Whether gate says this of a report with this text; a refusal is one line."""
    (folder / REPORT).write_text(text)
    given, said = gate(capsys)
    assert given == code, said
    assert sentence in said
    return True


def test_the_whole_report_passes(folder, capsys):
    (folder / REPORT).write_text(json.dumps(whole()))
    assert gate(capsys)[0] == 0


# --- one measurement ----------------------------------------------------------------------------------------------

MEASUREMENTS = {
    "the value lies above its interval": ({"value": 99}, "lies outside of its interval [45, 55]"),
    "the value lies below its interval": ({"value": 1.0}, "lies outside of its interval [45, 55]"),
    "the value lies just outside": ({"value": 55.001}, "lies outside of its interval"),
    "no item": ({"n": 0}, "with n = 0"),
    "fewer than no item": ({"n": -5}, "n is -5"),
    "half an item": ({"n": 0.5}, "n is of type float"),
    "true items": ({"n": True}, "n is of type bool"),
    "a level of 1 %": ({"interval": {"low": 45, "high": 55, "level": 0.01}}, "holds at level 0.01; expected 0.95"),
    "a level of 90 %": ({"interval": {"low": 45, "high": 55, "level": 0.9}}, "holds at level 0.9; expected 0.95"),
    "a level of 95": ({"interval": {"low": 45, "high": 55, "level": 95}}, "expected a share in (0, 1]"),
    "a level that is true": ({"interval": {"low": 45, "high": 55, "level": True}}, "level is of type bool"),
    "an interval upside down": ({"interval": {"low": 55, "high": 45}}, "low <= high"),
    "an interval of text": ({"interval": {"low": "45", "high": 55}}, "low is of type str"),
    "an interval that is true": ({"interval": {"low": True, "high": 55}}, "low is of type bool"),
    "an interval with a third end": ({"interval": {"low": 45, "high": 55, "middle": 50}}, "damaged"),
    "a value that is true": ({"value": True, "interval": {"low": 0, "high": 2}}, "value is of type bool"),
    "a value in words": ({"value": "50"}, "value is of type str"),
    "250 %": ({"value": 250, "interval": {"low": 240, "high": 260}}, "value 250 %; expected 0 to 100"),
    "-3 %": ({"value": -3, "interval": {"low": -5, "high": 1}}, "value -3 %; expected 0 to 100"),
    "an ideal that is true": ({"ideal": True}, "ideal is of type bool"),
    "no value, and ok": ({"value": None, "interval": None}, "status 'ok' needs a value"),
    "a value, and skipped": ({"status": "skipped"}, "may not carry a value"),
    "an interval without a value": ({"value": None, "status": "undefined"}, "without a value"),
    "a status nobody knows": ({"status": "ERROR"}, "status 'ERROR'; expected one of"),
    "an empty status": ({"status": ""}, "status ''; expected one of"),
    "a negative seed": ({"seed": -1}, "seed is -1"),
    "a key nobody knows": ({"values": 50}, "unexpected keyword argument 'values'"),
    "details in a list": ({"details": []}, "details is of type list"),
}


@pytest.mark.parametrize(("damage", "sentence"), MEASUREMENTS.values(), ids=MEASUREMENTS)
def test_a_measurement_that_contradicts_itself(folder, capsys, damage, sentence):
    report = whole()
    report["measurements"][0] |= damage
    assert refused(folder, capsys, json.dumps(report), sentence)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"value": 99.0}, "outside of its interval"),
        ({"n": 0}, "n = 0"),
        ({"interval": Interval(45, 55, 0.5)}, "level 0.5"),
        ({"value": 101.0, "interval": None}, "expected 0 to 100"),
        ({"value": 10**400, "interval": None, "unit": ""}, "an integer beyond 1e308"),
    ],
)
def test_nor_can_it_be_made(wrong, message):
    with pytest.raises(ValueError, match=message):
        measured("pairs/all/s", **wrong)


def test_rounding_and_differences_are_no_contradiction():
    measured("a/b/c", value=0.1 + 0.2, interval=Interval(0.3, 0.3), unit="")
    measured("a/b/c", value=100.00000000000001, interval=Interval(90, 100))
    measured("a/b/c", value=-12.0, interval=Interval(-20, 0), unit="points")
    measured("a/b/c", value=-1.7, interval=Interval(-3, 0), method="usable information of a fresh linear model")


# --- the report as a whole ----------------------------------------------------------------------------------------


def doubled(report):
    report["measurements"].append(deepcopy(report["measurements"][0]))


def skipped(report, status="skipped"):
    """The second probe measured nothing, as the runner would record it."""
    report["runs"][1] |= {"status": status, "reason": "no word vectors"}
    report["measurements"][1] |= {
        "id": "words", "value": None, "interval": None, "n": 0, "status": status, "details": {"reason": "no vectors"},
    }  # fmt: skip


def everything_skipped(report):
    skipped(report)
    report["runs"][0] |= {"status": "skipped", "reason": "no mask"}
    report["measurements"][0] |= {"id": "pairs", "value": None, "interval": None, "n": 0, "status": "skipped"}


def undefined(report, status="undefined"):
    for m in report["measurements"]:
        m |= {"value": None, "interval": None, "status": status, "details": {"reason": "no answer"}}


REPORTS = {
    "no runs": (lambda r: r.update(runs=[]), "names 2 probes, and 0 are said to have run"),
    "no runs and no promise": (lambda r: r.update(runs=[], config={}), "was measured by a probe that has no run"),
    "a probe without a run": (lambda r: r["runs"].pop(), "names 2 probes, and 1 are said to have run"),
    "a run without a probe": (lambda r: r["config"]["probes"].pop(), "names 1 probes, and 2 are said to have run"),
    "a run of another probe": (
        lambda r: r["config"].update(probes=["weat", "words"]), "names the probe 'weat', a run of 'pairs' stands",
    ),
    "probes in a sentence": (lambda r: r["config"].update(probes="pairs"), "does not list the probes"),
    "an empty entry": (lambda r: r["config"].update(probes=[{}, "words"]), "names the probe ''"),
    "a probe run twice": (lambda r: r["runs"][1].update(probe="pairs"), "two runs of the probe 'pairs'"),
    "an ok run that measured nothing": (lambda r: r["measurements"].pop(), "'words' is ok and measured nothing"),
    "two measurements of one name": (doubled, "two measurements are called 'pairs/all/s'"),
    "a skipped probe with a value": (lambda r: r["runs"][1].update(status="skipped"), "and its probe is skipped"),
    "a crashed probe with a value": (lambda r: r["runs"][1].update(status="error"), "and its probe is error"),
    "a crash called ok": (
        lambda r: (skipped(r, "error"), r["runs"][1].update(status="ok")), "is ok as a run and error as a measurement",
    ),
    "a run of unknown status": (lambda r: r["runs"][1].update(status="ERROR"), "status 'ERROR'; expected ok, skipped"),
    "a run of empty status": (lambda r: r["runs"][1].update(status=""), "status ''; expected ok, skipped, error"),
    "a run that took true seconds": (lambda r: r["runs"][1].update(seconds=True), "seconds is of type bool"),
    "a notice without a count": (lambda r: r["runs"][1].update(notices={"cut": "3"}), "notice 'cut' has no count"),
    "a notice counted below zero": (lambda r: r["runs"][1].update(notices={"cut": -3}), "notice 'cut' has no count"),
    "a negative seed": (lambda r: r.update(seed=-1), "seed -1; expected 0 or more"),
    "a seed that is true": (lambda r: r.update(seed=True), "seed is of type bool"),
    "a configuration in a list": (lambda r: r.update(config=[]), "config is of type list"),
    "no list of verdicts": (lambda r: r.update(verdicts=3), "damaged report"),
    "schema true": (lambda r: r.update(schema=True), "schema True"),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "sentence"), REPORTS.values(), ids=REPORTS)
def test_a_report_that_contradicts_itself(folder, capsys, damage, sentence):
    report = whole()
    damage(report)
    assert refused(folder, capsys, json.dumps(report), sentence)


UNJUDGED = {
    "a skipped probe under a pattern": (skipped, "its probe is skipped: no word vectors"),
    "all skipped": (everything_skipped, "nothing was measured"),
    "all undefined": (undefined, "nothing was measured"),
    "all errors": (lambda r: undefined(r, "error"), "nothing was measured"),
    "nothing at all": (lambda r: r.update(runs=[], measurements=[], config={}), "nothing was measured"),
    "another undefined": (
        lambda r: r["measurements"][1].update(id="words/all/t", value=None, interval=None, status="undefined"),
        "its probe gave no value",
    ),
}


@pytest.mark.parametrize(("damage", "sentence"), UNJUDGED.values(), ids=UNJUDGED)
def test_what_was_not_measured_is_incomplete(folder, capsys, damage, sentence):
    report = whole()
    damage(report)
    assert refused(folder, capsys, json.dumps(report), sentence, code=3)


@pytest.mark.parametrize(
    "pattern", ["*/all/s", "*", "[pw]*/all/s", "?????/*", "*s/all/s", "w*/a*", "**s/all/s", "[!x]*/all/?"]
)
def test_a_pattern_asks_about_every_probe_that_it_can_match(folder, capsys, pattern):
    report = whole()
    skipped(report)
    (folder / AUDIT).write_text(f"gate:\n  - {{measurement: '{pattern}', max: 60}}\n")
    assert refused(folder, capsys, json.dumps(report), "words", code=3)


@pytest.mark.parametrize("pattern", ["pairs/*", "p*/all/s", "[!w]*/all/s", "pairs/all/s"])
def test_and_about_no_other(folder, capsys, pattern):
    report = whole()
    skipped(report)
    (folder / AUDIT).write_text(f"gate:\n  - {{measurement: '{pattern}', max: 60}}\n")
    (folder / REPORT).write_text(json.dumps(report))
    assert gate(capsys)[0] == 0


# --- verdicts that a page would show ------------------------------------------------------------------------------

VERDICTS = {
    "a FAIL called PASS": ({"outcome": "PASS", "blocking": False}, "PASS, and its interval is not inside"),
    "a FAIL that does not block": ({"blocking": False}, "FAIL that is said not to block"),
    "another limit": ({"limit": "<= 90"}, "limit '<= 90', and its rule's is '<= 40'"),
    "another value": ({"value": 46.0}, "judges 'pairs/all/s' as 46, and it is 50"),
    "no such measurement": ({"measurement": "pairs/none/s"}, "judges 'pairs/none/s', which has no value here"),
    "no interval": ({"interval": None}, "FAIL without value, interval or items"),
    "an outcome nobody knows": ({"outcome": "OK"}, "outcome 'OK'"),
    "a value that is true": ({"value": True}, "value is of type bool"),
    "blocking in words": ({"blocking": "no"}, "blocking is of type str"),
}


@pytest.mark.parametrize(("damage", "sentence"), VERDICTS.values(), ids=VERDICTS)
def test_a_verdict_that_contradicts_itself(folder, capsys, damage, sentence):
    (folder / REPORT).write_text(json.dumps(whole()))
    loaded = AuditReport.load(folder / REPORT)
    (verdict,) = loaded.gate([{"measurement": "pairs/all/s", "max": 40}])
    report = whole() | {"verdicts": [verdict.to_json() | damage]}
    assert refused(folder, capsys, json.dumps(report), sentence)


# --- what is no JSON, or no YAML ----------------------------------------------------------------------------------


def replaced(old, new):
    return lambda text: text.replace(old, new, 1)


def deep(n, ends="[]"):
    return ends[0] * n + ends[1] * n


TEXTS = {
    "a key given twice": (replaced('"value": 50.0', '"value": 99.0, "value": 50.0'), "'value' is given twice"),
    "a top key given twice": (replaced("{", '{"runs": [], ', ), "'runs' is given twice"),
    "NaN": (replaced('"value": 50.0', '"value": NaN'), "NaN is not a JSON number"),
    "Infinity": (replaced('"high": 55.0', '"high": Infinity'), "Infinity is not a JSON number"),
    "-Infinity": (replaced('"low": 45.0', '"low": -Infinity'), "-Infinity is not a JSON number"),
    "1e999": (replaced('"high": 55.0', '"high": 1e999'), "high is of type Decimal"),
    "an integer of 400 digits": (replaced('"value": 50.0', f'"value": {"9" * 400}'), "beyond 1e308"),
    "an integer of 5,000 digits": (replaced('"n": 100', f'"n": {"9" * 5000}'), "an integer of 5000 digits"),
    "400 digits in the details": (replaced('"p_value": 0.4', f'"p": {"9" * 400}'), "beyond 1e308"),
    "400 digits in the subject": (replaced('"name": "a model"', f'"p": {"9" * 400}'), "beyond 1e308"),
    "deep details": (replaced('"p_value": 0.4', f'"p": {deep(90)}'), "nested more than 64 deep"),
    "deeper details": (replaced('"p_value": 0.4', f'"p": {deep(500)}'), "nested more than 100 deep"),
    "100,000 levels": (lambda _: deep(100_000), "is not a readable report"),
    "a million open brackets": (lambda _: "[" * 1_000_000, "is not a readable report"),
    "nothing": (lambda _: "", "is not a readable report"),
    "cut in half": (lambda text: text[: len(text) // 2], "is not a readable report"),
    "a list": (lambda _: "[]", "expected a JSON object, found list"),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "sentence"), TEXTS.values(), ids=TEXTS)
def test_a_report_that_cannot_be_read(folder, capsys, damage, sentence):
    assert refused(folder, capsys, damage(json.dumps(whole())), sentence)


BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{b}: &{b} [{', '.join(10 * [f'*{a}'])}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
YAMLS = {
    "deep": ("gate: " + deep(100_000), "nested too deep"),
    "an integer of 5,000 digits": (f"gate:\n  - {{measurement: a, max: {'9' * 5000}}}\n", "too many digits"),
    "an integer of 400 digits": (f"gate:\n  - {{measurement: a, max: {'9' * 400}}}\n", "too many digits"),
    "no such day": ("gate: [2026-99-99]\n", "expected keys and values"),
    "aliases of aliases": (BOMB + "gate: *i\n", "stand for more than 100,000 values"),
    "a list within itself": ("gate: &g [*g]\n", "nested too deeply"),
    "a number that is none": ("gate: !!int abc\n", "abc is no number"),
    "infinite": (RULES.replace("60", ".inf"), "expected a finite number"),
    "no number": (RULES.replace("60", ".nan"), "expected a finite number"),
    "true": (RULES.replace("60", "true"), "expected a finite number"),
    "no rule": ("gate: []\n", "no rules"),
}


@pytest.mark.parametrize(("text", "sentence"), YAMLS.values(), ids=YAMLS)
def test_rules_that_cannot_be_read(folder, capsys, text, sentence):
    (folder / AUDIT).write_text(text)
    assert refused(folder, capsys, json.dumps(whole()), sentence)


# --- item scores --------------------------------------------------------------------------------------------------

SCORES = {
    "measurement": ["pairs/all/s"] * 100, "item": [f"i{i}" for i in range(100)], "value": [0.0, 100.0] * 50,
    "cluster": [""] * 100, "x": [np.nan] * 100,
}  # fmt: skip
ITEMS = {
    "scores in words": ({"value": ["0", "100"] * 50}, 2, "its column value"),
    "scores in a mixture": ({"value": [0.0] * 99 + [np.nan]}, 2, "a value is not a finite number"),
    "an infinite score": ({"value": [0.0] * 99 + [np.inf]}, 2, "a value is not a finite number"),
    "true scores": ({"value": [False, True] * 50}, 2, "its column value is of type bool"),
    "items by number": ({"item": range(100)}, 2, "its column item holds something else than text"),
    "items without a name": ({"item": [None] * 100}, 2, "its column item holds something else than text"),
    "clusters by number": ({"cluster": range(100)}, 2, "its column cluster holds something else than text"),
    "a covariate in words": ({"x": ["a"] * 100}, 2, "its column x"),
    "an infinite covariate": ({"x": [np.inf] * 100}, 2, "an x is infinite"),
    "an item twice": ({"item": ["i"] * 100}, 3, "holds an item of it twice"),
    "scores of another value": ({"value": [0.0, 90.0] * 50}, 3, "but its item scores give 45"),
}


@pytest.mark.parametrize(("damage", "code", "sentence"), ITEMS.values(), ids=ITEMS)
def test_item_scores_of_a_wrong_type(folder, capsys, damage, code, sentence):
    (folder / AUDIT).write_text(WORSENING)
    earlier = whole() | {"created": "2025-01-01T00:00:00+00:00"}
    (folder / "baseline.json").write_text(json.dumps(earlier))
    pd.DataFrame(SCORES).to_parquet(items_path(folder / "baseline.json"))
    (folder / REPORT).write_text(json.dumps(whole()))
    pd.DataFrame(SCORES | damage).to_parquet(items_path(folder / REPORT))
    given, said = gate(capsys, "--baseline", "baseline.json")
    assert (given, sentence in said) == (code, True), said
