"""The gate as annotations of a GitHub workflow: lines that GitHub reads from a step's output.

The format: https://docs.github.com/actions/reference/workflow-commands-for-github-actions. GitHub shows at most ten
annotations of each kind per step and drops the others without a word; here the tenth says how many there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from auditkit import conclusion
from auditkit.gate import Rule, Verdict
from auditkit.rendering import narrative
from auditkit.rendering.formatting import one_line
from auditkit.report import AuditReport

Level = Literal["error", "warning", "notice"]
LEVELS: tuple[Level, ...] = ("error", "warning", "notice")
MOST = 10
LONGEST_TITLE = 200


class Annotation(NamedTuple):
    """One remark. `line` is that of the rule in the file with the rules; 0 where none is known."""

    level: Level
    title: str
    message: str
    line: int = 0


def annotate(report: AuditReport, lines: Mapping[Rule, int] | None = None) -> list[Annotation]:
    """What does not pass: errors for what keeps the gate shut, warnings for what is undecided but does not, notices.

    Args:
        report: judged.
        lines: where each rule stands in its file.
    """
    found = [*_of_verdicts(report, lines or {}), *_of_runs(report), _overall(report)]
    return [a for level in LEVELS for a in _at_most([a for a in found if a.level == level])]


def render_annotations(found: Sequence[Annotation], file: str = "") -> str:
    """The lines for GitHub, each ended by a newline; `file` is the path of the file with the rules."""
    return "".join(f"::{a.level} {_properties(a, file)}::{_data(one_line(a.message))}\n" for a in found)


def level_of(verdict: Verdict) -> Level | None:
    """None for a verdict that passes."""
    if verdict.outcome == "PASS":
        return None
    return "error" if verdict.blocking else "warning"


def _of_verdicts(report: AuditReport, lines: Mapping[Rule, int]) -> Iterator[Annotation]:
    for v in narrative.worst_first(report.verdicts):
        if level := level_of(v):
            message = f"{v.measurement} ({v.limit}): {v.explanation}"
            yield Annotation(level, f"{v.outcome} {v.measurement}", message, lines.get(v.rule, 0))


def _of_runs(report: AuditReport) -> Iterator[Annotation]:
    for run in report.runs:
        if run.status == "error":
            yield Annotation("error", f"ERROR {run.probe}", f"the probe crashed: {run.reason or 'no reason recorded'}")
        elif run.status == "invalid":
            yield Annotation("error", f"no valid number: {run.probe}", run.reason or "no reason recorded")
        elif run.status == "skipped":
            yield Annotation("notice", f"not measured: {run.probe}", run.reason or "no reason recorded")
    if conclusion.measured_nothing(report):
        yield Annotation("error", "ERROR nothing measured", conclusion.NOTHING_MEASURED)


def _overall(report: AuditReport) -> Annotation:
    return Annotation("notice", f"audit: {conclusion.outcome(report)}", narrative.headline_of(report))


def _at_most(found: Sequence[Annotation]) -> list[Annotation]:
    """All of one level, or the first nine and how many more there are. The overall remark, the last, is kept."""
    if len(found) <= MOST:
        return list(found)
    keep = [found[-1]] if found[0].level == "notice" else []
    shown = list(found[: MOST - 1 - len(keep)])
    rest = len(found) - len(shown) - len(keep)
    more = Annotation(found[0].level, f"{rest} more", f"{rest} more of this kind; the report lists all of them.")
    return [*shown, *keep, more]


def _properties(a: Annotation, file: str) -> str:
    given = {"title": one_line(a.title, LONGEST_TITLE)}
    if file:
        given |= {"file": file, "line": str(a.line or 1)}
    return ",".join(f"{name}={_property(value)}" for name, value in given.items())


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
