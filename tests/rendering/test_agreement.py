"""Whatever the verdicts are, HTML, JUnit, Markdown, JSON, annotations, code quality, terminal and exit code agree."""

import json
import re
from collections import Counter
from dataclasses import replace
from xml.etree import ElementTree

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditkit import conclusion
from auditkit.console import show_verdicts
from auditkit.gate import Verdict
from auditkit.measurement import Interval, Measurement
from auditkit.rendering.annotations import annotate
from auditkit.rendering.code_quality import render_code_quality
from auditkit.rendering.html import render
from auditkit.rendering.junit import render_junit
from auditkit.rendering.markdown import render_summary
from auditkit.report import AuditReport, ProbeRun

IDS = ("one/all/score", "two/all/score", "three/group/score")
OUTCOMES = "PASS|FAIL|INCONCLUSIVE|ERROR"


@st.composite
def reports(draw):
    """Up to nine rules, each on one measurement, on a missing one or on all; some probes crashed or were skipped."""
    measurements = [
        Measurement(id=id, value=value, interval=Interval(value - 1, value + 1) if interval else None, n=10)
        for id in IDS
        for value, interval in [(draw(st.integers(-3, 3)) * 1.0, draw(st.booleans()))]
    ]
    rules = draw(
        st.lists(
            st.fixed_dictionaries(
                {
                    "measurement": st.sampled_from([*IDS, "absent", "t*/score"]),
                    "max": st.sampled_from([-9.0, -2.0, 0.0, 2.0, 9.0]),
                    "on_inconclusive": st.sampled_from(["fail", "warn"]),
                }
            ),
            max_size=4,
        )
    )
    runs = [ProbeRun(f"probe{i}", s) for i, s in enumerate(draw(st.lists(st.sampled_from(["ok", "error", "skipped"]))))]
    subject = {"name": "m"}
    report = AuditReport(
        subject=subject, environment={}, config={}, seed=0, runs=runs[:4], measurements=measurements, created=""
    )
    return replace(report, verdicts=tuple(report.gate(rules)))


def expected(report):
    """Outcome and exit code, said again in other words than those of the code."""
    found = {v.outcome for v in report.verdicts}
    if "ERROR" in found or "error" in {run.status for run in report.runs}:
        return "ERROR", 3
    if not found:
        return "NOT JUDGED", 0
    blocked = any(v.outcome == "FAIL" or (v.outcome == "INCONCLUSIVE" and v.blocking) for v in report.verdicts)
    worst = next(o for o in ("FAIL", "INCONCLUSIVE", "PASS") if o in found)
    return worst, 1 if blocked else 0


def judged(report):
    return Counter((v.measurement, v.outcome) for v in report.verdicts)


def crashes(report):
    return sum(run.status == "error" for run in report.runs)


many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@many
@given(reports())
def test_exit_code_and_json(report):
    outcome, code = expected(report)
    assert (conclusion.outcome(report), conclusion.exit_code(report)) == (outcome, code)
    data = json.loads(json.dumps(conclusion.to_json(report, code)))
    assert (data["outcome"], data["exit_code"]) == (outcome, code)
    assert Counter((v["measurement"], v["outcome"]) for v in data["verdicts"]) == judged(report)
    assert [Verdict.from_json(v) for v in data["verdicts"]] == list(report.verdicts)
    assert sum(run["status"] == "error" for run in data["not_measured"]) == crashes(report)


@many
@given(reports())
def test_junit(report):
    root = ElementTree.fromstring(render_junit(report))
    cases = root.findall("testsuite/testcase")
    of_rules = [case for case in cases if case.find("system-out") is not None]
    found = Counter((c.attrib["name"].split(" (")[0], c.find("system-out").text.split(":")[0]) for c in of_rules)
    assert found == judged(report)
    skips = sum(run.status == "skipped" for run in report.runs)
    assert len(cases) - len(of_rules) == crashes(report) + skips
    assert int(root.attrib["skipped"]) == len(root.findall("testsuite/testcase/skipped")) == skips
    errors, failures = (sum(case.find(tag) is not None for case in cases) for tag in ("error", "failure"))
    assert (errors, failures) == (int(root.attrib["errors"]), int(root.attrib["failures"]))
    assert conclusion.exit_code(report) == (3 if errors else 1 if failures else 0)


@many
@given(reports())
def test_markdown(report):
    text = render_summary(report).replace("\\", "")
    assert re.match(r"## \S+ ([A-Z ]+): audit of m\n", text)[1] == expected(report)[0]
    rows = re.findall(rf"^\| \S+ ({OUTCOMES}) \| ([^ |]+) \|", text, re.M)
    assert Counter((id, outcome) for outcome, id in rows) == judged(report)
    badges = {kind: int(n) for kind, n in re.findall(r"\*\*([A-Z]+)\*\* (\d+)", text.split("\n\n")[1])}
    counts = Counter(v.outcome for v in report.verdicts) + Counter({"CRASHED": crashes(report)})
    assert {k: n for k, n in badges.items() if k != "SKIPPED"} == dict(counts)


@many
@given(reports())
def test_annotations_and_code_quality(report):
    levels = Counter(a.level for a in annotate(report) if not a.title.startswith("audit"))
    blocking = sum(v.blocking for v in report.verdicts) + crashes(report)
    assert levels["error"] == min(blocking, 10)
    assert levels["warning"] == sum(v.outcome == "INCONCLUSIVE" and not v.blocking for v in report.verdicts)
    issues = json.loads(render_code_quality(report, "audit.yaml"))
    severities = Counter(issue["severity"] for issue in issues)
    assert severities["info"] == sum(run.status == "skipped" for run in report.runs)
    assert severities["minor"] == levels["warning"]
    assert severities["critical"] + severities["major"] + severities["blocker"] == blocking
    code = 3 if severities["blocker"] else 1 if severities["critical"] + severities["major"] else 0
    assert code == conclusion.exit_code(report)


@settings(many, max_examples=12)
@given(reports())
def test_html(report):
    page = render(report).replace("<wbr>", "")
    assert re.search(r"<h2 id=\"verdict\">.*?</svg>([A-Z ]+)</h2>", page)[1] == expected(report)[0]
    gate = page.partition('aria-labelledby="gate"')[2].partition("</section>")[0]
    rows = re.findall(rf"</svg>({OUTCOMES})</span>.*?<code class=\"block\">([^<]+)</code>", gate, re.S)
    assert Counter((id, outcome) for outcome, id in rows) == judged(report)
    assert gate.count("does not block") == sum(v.outcome == "INCONCLUSIVE" and not v.blocking for v in report.verdicts)


@many
@given(reports())
def test_terminal(capsys, report):
    capsys.readouterr()
    show_verdicts(report, report.verdicts)
    out = capsys.readouterr().out
    rows = re.findall(rf"^│ ({OUTCOMES}) +│ (\S+)", out, re.M)
    assert Counter((id, outcome) for outcome, id in rows) == judged(report)


def test_the_strategy_reaches_every_exit_code():
    from hypothesis import find

    for code in (0, 1, 3):
        assert expected(find(reports(), lambda r, code=code: expected(r)[1] == code and len(r.verdicts) > 1))[1] == code
