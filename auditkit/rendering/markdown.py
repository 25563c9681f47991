"""A report in Markdown, for the summary page of a CI job."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from auditkit import conclusion
from auditkit.gate import Verdict
from auditkit.measurement import Measurement
from auditkit.rendering import narrative
from auditkit.rendering.formatting import interval, limit, number, one_line, quantity
from auditkit.report import AuditReport

MAX_BYTES = 1_000_000  # GitHub drops a step's summary of more than 1 MiB

SIGNS = {"PASS": "✅", "FAIL": "❌", "INCONCLUSIVE": "❔", "ERROR": "⚠️", conclusion.NO_GATE: "⚪"}

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~-])")


def escape(text: str) -> str:
    """`text` as one line of Markdown that shows it literally: no markup, no html, no new cell."""
    return _SPECIAL.sub(r"\\\1", html.escape(one_line(text), quote=False))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table; every cell below the header is escaped."""
    lines = [header, ["---"] * len(header)]
    return [f"| {' | '.join(line)} |" for line in (*lines, *(map(escape, row) for row in rows))]


def render_summary(report: AuditReport) -> str:
    """The verdict, the gate table, what is not known, and the measurements, in at most `MAX_BYTES` bytes of UTF-8."""
    outcome = conclusion.outcome(report)
    lines = [
        f"## {SIGNS[outcome]} {outcome}: audit of {escape(str(report.subject.get('name', 'unnamed model')))}",
        "",
        *_badges(report),
        escape(narrative.headline_of(report)),
        "",
        *_gate(report.verdicts),
        *_unknowns(report),
        f"### {len(report.measurements)} measurement{'s' if len(report.measurements) != 1 else ''}",
        "",
        *table(("Measurement", "Value", "95 % interval", "n", "Ideal"), map(_measurement, report.measurements)),
    ]
    return within(lines, MAX_BYTES)


def _badges(report: AuditReport) -> list[str]:
    """How many verdicts of each kind, and probes that did not run: bold text, because a picture would be fetched."""
    counts = Counter(v.outcome for v in report.verdicts)
    found = [f"{SIGNS[o]} **{o}** {counts[o]}" for o in narrative.WORST_FIRST if counts[o]]
    runs = Counter(run.status for run in report.runs)
    found += [f"{SIGNS['ERROR']} **CRASHED** {runs['error']}"] if runs["error"] else []
    found += [f"{SIGNS['ERROR']} **INVALID** {runs['invalid']}"] if runs["invalid"] else []
    found += [f"{SIGNS[conclusion.NO_GATE]} **SKIPPED** {runs['skipped']}"] if runs["skipped"] else []
    return [" · ".join(found), ""] if found else []


def _gate(verdicts: Sequence[Verdict]) -> list[str]:
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
