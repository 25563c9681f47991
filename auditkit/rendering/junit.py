"""The gate as JUnit XML, which every CI system shows: one test case per verdict and per probe that crashed."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from auditkit.gate import Verdict
from auditkit.rendering.formatting import interval, number, one_line
from auditkit.report import ProbeRun


def render_junit(verdicts: Sequence[Verdict], runs: Sequence[ProbeRun] = ()) -> str:
    """An XML document. FAIL and a blocking INCONCLUSIVE are failures, ERROR and a crash are errors; the rest passes.

    A rule with a pattern has a case for each measurement that it judges. Every case says in its output what it was
    judged by, so that a passing one can be checked too.
    """
    suite = ElementTree.Element("testsuite", name="auditkit gate")
    tags = [_add_case(suite, v) for v in verdicts]
    tags += [_add_crash(suite, run) for run in runs if run.status == "error"]
    counts = {"tests": len(tags), "failures": tags.count("failure"), "errors": tags.count("error")}
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


def _add_crash(suite: ElementTree.Element, run: ProbeRun) -> str:
    name = one_line(f"{run.probe} (runs)")
    case = ElementTree.SubElement(suite, "testcase", classname=one_line(f"auditkit.{run.probe}"), name=name)
    reason = one_line(run.reason or "no reason recorded")
    ElementTree.SubElement(case, "error", type="ERROR", message=f"the probe crashed: {reason}").text = reason
    return "error"


def _tag(verdict: Verdict) -> str:
    if verdict.outcome == "ERROR":
        return "error"
    return "failure" if verdict.blocking else ""


def _evidence(verdict: Verdict) -> str:
    found = f"value {number(verdict.value)}, interval {interval(verdict.interval)}, n = {number(verdict.n)}"
    return f"{one_line(verdict.explanation)} ({found}, limit {one_line(verdict.limit)})"
