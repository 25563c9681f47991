"""The gate as JUnit XML, which every CI system shows: one test case per verdict and per probe that did not run."""

from __future__ import annotations

from xml.etree import ElementTree

from auditkit import conclusion
from auditkit.gate import Verdict
from auditkit.rendering.formatting import interval, number, one_line
from auditkit.report import AuditReport, ProbeRun


def render_junit(report: AuditReport) -> str:
    """An XML document. FAIL and a blocking INCONCLUSIVE are failures; ERROR and a crash are errors; the rest passes.

    A probe that was skipped is a skipped case, and one error more where nothing was measured at all.

    A rule with a pattern has a case for each measurement that it judges. Every case says in its output what it was
    judged by, so that a passing one can be checked too.
    """
    suite = ElementTree.Element("testsuite", name="auditkit gate")
    tags = [_add_case(suite, v) for v in report.verdicts]
    tags += [_add_gap(suite, run) for run in report.runs if run.status != "ok"]
    if conclusion.measured_nothing(report):
        tags.append(_add_nothing(suite))
    kinds = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    counts = {"tests": len(tags)} | {name: tags.count(tag) for name, tag in kinds.items()}
    suite.attrib |= {name: str(n) for name, n in counts.items()}
    root = ElementTree.Element("testsuites", suite.attrib)
    root.append(suite)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _add_case(suite: ElementTree.Element, verdict: Verdict) -> str:
    """Append the case of `verdict`; returns the tag that says how it went, "" where it passes."""
    probe = verdict.measurement.split("/")[0]
    name = one_line(f"{verdict.measurement} ({verdict.limit})")
    case = ElementTree.SubElement(suite, "testcase", classname=one_line(f"auditkit.{probe}"), name=name)
    tag = _tag(verdict)
    if tag:
        message = one_line(f"{verdict.outcome}: {verdict.explanation}")
        ElementTree.SubElement(case, tag, type=verdict.outcome, message=message).text = _evidence(verdict)
    ElementTree.SubElement(case, "system-out").text = f"{verdict.outcome}: {_evidence(verdict)}"
    return tag


def _add_gap(suite: ElementTree.Element, run: ProbeRun) -> str:
    """Append the case of a probe that crashed, was skipped or has no valid number; returns its tag."""
    name = one_line(f"{run.probe} (runs)")
    case = ElementTree.SubElement(suite, "testcase", classname=one_line(f"auditkit.{run.probe}"), name=name)
    reason = one_line(run.reason or "no reason recorded")
    if run.status == "skipped":
        ElementTree.SubElement(case, "skipped", message=reason)
        return "skipped"
    what = "no valid number" if run.status == "invalid" else "the probe crashed"
    ElementTree.SubElement(case, "error", type="ERROR", message=f"{what}: {reason}").text = reason
    return "error"


def _add_nothing(suite: ElementTree.Element) -> str:
    case = ElementTree.SubElement(suite, "testcase", classname="auditkit", name="something is measured")
    ElementTree.SubElement(case, "error", type="ERROR", message=conclusion.NOTHING_MEASURED)
    return "error"


def _tag(verdict: Verdict) -> str:
    if verdict.outcome == "ERROR":
        return "error"
    return "failure" if verdict.blocking else ""


def _evidence(verdict: Verdict) -> str:
    found = f"value {number(verdict.value)}, interval {interval(verdict.interval)}, n = {number(verdict.n)}"
    return f"{one_line(verdict.explanation)} ({found}, limit {one_line(verdict.limit)})"
