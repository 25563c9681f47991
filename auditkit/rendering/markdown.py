"""A report in Markdown, for the summary page of a CI job."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from auditkit.gate import Verdicts
from auditkit.measurement import Measurement
from auditkit.rendering import narrative
from auditkit.rendering.formatting import interval, limit, number, printable, quantity
from auditkit.report import AuditReport

MAX_BYTES = 1_000_000  # GitHub drops a step's summary of more than 1 MiB

SIGNS = {"PASS": "✅", "FAIL": "❌", "INCONCLUSIVE": "❔", "ERROR": "⚠️", narrative.NO_GATE: "⚪"}

_BREAKS = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~-])")


def escape(text: str) -> str:
    """`text` as one line of Markdown that shows it literally: no markup, no html, no new cell."""
    return _SPECIAL.sub(r"\\\1", html.escape(_BREAKS.sub(" ", printable(text)), quote=False))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table; every cell is escaped."""
    lines = [header, ["---"] * len(header)]
    return [f"| {' | '.join(line)} |" for line in (*lines, *(map(escape, row) for row in rows))]


def render_summary(report: AuditReport) -> str:
    """The verdict, the gate table, what is not known, and the measurements, in at most `MAX_BYTES` bytes of UTF-8."""
    verdicts = Verdicts(tuple(report.verdicts))
    outcome = verdicts.outcome if verdicts else narrative.NO_GATE
    lines = [
        f"## {SIGNS[outcome]} {outcome}: audit of {escape(str(report.subject.get('name', 'unnamed model')))}",
        "",
        escape(narrative.headline(verdicts)),
        "",
        *_gate(verdicts),
        *_unknowns(report),
        f"### {len(report.measurements)} measurement{'s' if len(report.measurements) != 1 else ''}",
        "",
        *table(("Measurement", "Value", "95 % interval", "n", "Ideal"), map(_measurement, report.measurements)),
    ]
    return within(lines, MAX_BYTES)


def _gate(verdicts: Verdicts) -> list[str]:
    if not verdicts:
        return []
    rows = [
        (
            f"{SIGNS[v.outcome]} {v.outcome}",
            v.measurement,
            number(v.value),
            interval(v.interval),
            limit(v.limit),
            number(v.n),
            v.explanation,
        )
        for v in narrative.worst_first(verdicts)
    ]
    return [*table(("Verdict", "Measurement", "Value", "95 % interval", "Limit", "n", "Why"), rows), ""]


def _unknowns(report: AuditReport) -> list[str]:
    found = [f"* {escape(sentence)}" for sentence in narrative.unknowns(report)]
    return ["### What is not known", "", *found, ""] if found else []


def _measurement(m: Measurement) -> tuple[str, str, str, str, str]:
    value = quantity(m.value, m.unit) if m.status == "ok" else f"{m.status}: {narrative.reason_of(m)}"
    return m.id, value, interval(m.interval), number(m.n), number(m.ideal)


def within(lines: Sequence[str], budget: int) -> str:
    """As many whole lines as fit into `budget` bytes; says how many were left out."""
    kept, used = 0, 200  # room for the last sentence
    while kept < len(lines) and used + len(lines[kept].encode()) + 1 <= budget:
        used += len(lines[kept].encode()) + 1
        kept += 1
    left_out = len(lines) - kept
    tail = (
        ["", f"{left_out} more lines were left out to keep this summary short; the report has them."]
        if left_out
        else []
    )
    return "\n".join([*lines[:kept], *tail]) + "\n"
