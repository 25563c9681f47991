"""A report at the end of a notebook cell: the verdict and at most `ROWS` measurements, without style or script."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

from auditkit import conclusion
from auditkit.rendering import narrative
from auditkit.rendering.formatting import interval, number, printable, quantity, shortened
from auditkit.rendering.headlines import headlines, outcomes
from auditkit.report import AuditReport

ROWS = 12
LONGEST = 200
"""Characters of a text that are shown: a model's name can be of any length."""
HEADER = ("Measurement", "Value", "Interval", "n", "Verdict")


def summary(report: AuditReport) -> str:
    """A heading, one sentence and a table."""
    judged = outcomes(report)
    shown = headlines(report)[:ROWS]
    rows = [
        (m.id, quantity(m.value, m.unit), interval(m.interval), number(m.n), judged.get(m.id, "not judged"))
        for m in shown
    ]
    name = _text(report.subject.get("name", "unnamed model"))
    rest = f"{len(shown)} of {len(report.measurements)} measurements; all are in to_frame() and to_html(path)."
    return printable(
        Markup("<div><p><strong>{}: audit of {}</strong><br>{}</p>{}<p>{}</p></div>").format(
            conclusion.outcome(report), name, _text(narrative.headline_of(report)), _table(rows), rest
        )
    )


def _table(rows: Iterable[Iterable[str]]) -> Markup:
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(title) for title in HEADER)
    body = Markup("").join(Markup("<tr>{}</tr>").format(Markup("").join(map(_cell, row))) for row in rows)
    return Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(head, body)


def _cell(text: str) -> Markup:
    return Markup("<td>{}</td>").format(_text(text))


def _text(value: object) -> Markup:
    return escape(shortened(str(value), LONGEST))
