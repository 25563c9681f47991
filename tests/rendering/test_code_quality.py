"""GitLab code quality: what does not pass, known by its rule and not by the numbers."""

import json

import pytest

from auditkit.measurement import Interval, Measurement
from auditkit.rendering.code_quality import render_code_quality
from auditkit.report import ProbeRun

ID = "p/g/s"


def issues(make, *rules, value=60.0, runs=(), lines=None):
    m = Measurement(id=ID, value=value, interval=Interval(value - 5, value + 5), n=100)
    report = make([m], rules=[{"measurement": ID} | rule for rule in rules], runs=runs)
    return json.loads(render_code_quality(report, "audit.yaml", lines and {report.verdicts[0].rule: lines}))


def test_the_severity_says_what_blocks(make):
    rules = [{"max": 70}, {"max": 50}, {"max": 60}, {"max": 60, "on_inconclusive": "warn"}, {"max_worsening": 1}]
    runs = [ProbeRun("c", "error", "boom"), ProbeRun("s", "skipped", "no mask")]
    found = issues(make, *rules, runs=runs)
    assert [i["severity"] for i in found] == ["critical", "major", "minor", "blocker", "blocker", "info"]
    assert set(found[0]) == {"description", "check_name", "fingerprint", "severity", "location"}
    assert found[0]["description"].startswith(f"FAIL: {ID} (<= 50): the value is 60, its interval 55 to 65")


def test_the_fingerprint_stays_while_the_numbers_move(make):
    (before,), (after,) = issues(make, {"max": 50}), issues(make, {"max": 50}, value=61.0)
    assert before["description"] != after["description"]
    assert before["fingerprint"] == after["fingerprint"]
    (reworded,) = issues(make, {"max": 50, "reason": "because"})
    assert before["fingerprint"] == reworded["fingerprint"]
    assert before["fingerprint"] != issues(make, {"max": 40})[0]["fingerprint"]


def test_the_same_rule_twice_gives_two_fingerprints(make):
    found = issues(make, {"max": 50}, {"max": 50})
    assert len({i["fingerprint"] for i in found}) == 2


@pytest.mark.parametrize(("lines", "expected"), [(None, 1), (12, 12)])
def test_an_issue_points_at_its_rule(make, lines, expected):
    assert issues(make, {"max": 50}, lines=lines)[0]["location"] == {
        "path": "audit.yaml",
        "lines": {"begin": expected},
    }


def test_nothing_to_say(make):
    assert issues(make, {"max": 70}) == []
