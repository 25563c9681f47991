"""The gate as JUnit XML, which every CI system shows: one test case per verdict."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from auditkit.gate import Verdict
from auditkit.rendering.formatting import interval, number, printable


def render_junit(verdicts: Sequence[Verdict]) -> str:
    """An XML document. FAIL and a blocking INCONCLUSIVE are failures, ERROR is an error; the rest passes.

    Every case says in its output what it was judged by, so that a passing one can be checked too.
    """
    suite = ElementTree.Element("testsuite", name="auditkit gate", tests=str(len(verdicts)))
    tags = [_add_case(suite, v) for v in verdicts]
    suite.attrib |= {"failures": str(tags.count("failure")), "errors": str(tags.count("error"))}
    root = ElementTree.Element("testsuites", suite.attrib)
    root.append(suite)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _add_case(suite: ElementTree.Element, verdict: Verdict) -> str:
    """Append the case of `verdict`; returns the tag that says how it went, "" where it passes."""
    probe = verdict.measurement.split("/")[0]
    name = printable(f"{verdict.measurement} ({verdict.limit})")
    case = ElementTree.SubElement(suite, "testcase", classname=printable(f"auditkit.{probe}"), name=name)
    tag = _tag(verdict)
    if tag:
        message = printable(f"{verdict.outcome}: {verdict.explanation}")
        ElementTree.SubElement(case, tag, type=verdict.outcome, message=message).text = _evidence(verdict)
    ElementTree.SubElement(case, "system-out").text = f"{verdict.outcome}: {_evidence(verdict)}"
    return tag


def _tag(verdict: Verdict) -> str:
    if verdict.outcome == "ERROR":
        return "error"
    return "failure" if verdict.blocking else ""


def _evidence(verdict: Verdict) -> str:
    found = f"value {number(verdict.value)}, interval {interval(verdict.interval)}, n = {number(verdict.n)}"
    return printable(f"{verdict.explanation} ({found}, limit {verdict.limit})")
