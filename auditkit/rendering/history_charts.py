"""The trend of one measurement over reports, in the grammar of `charts`: static SVG, every number in a table beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from auditkit.rendering.charts import FONT_SIZE, SHAPES, outcome_colour, reference_line, to_svg
from auditkit.rendering.formatting import printable
from auditkit.rendering.svg import PALETTE

WIDTH, HEIGHT = 420, 150
INITIALS = {"model": "M", "data": "D", "versions": "V"}


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """One report: its number, the value and its interval (both ends the value where there is none), what is marked."""

    number: int
    value: float
    low: float
    high: float
    outcome: str = ""
    marks: str = ""


def trend(points: Sequence[TrendPoint], *, reports: int, axis: str, ideal: float | None) -> str:
    """Values with their intervals in the order of the reports, against the ideal line.

    A dotted line marks where model (M), data (D) or versions (V) changed; the thin line between the points ends there,
    because what lies before and after is not one and the same thing.

    Args:
        points: those with a value, in order.
        reports: how many reports the history has; the axis shows all, so that a gap shows too.
        axis: what is measured, with its unit.
        ideal: of the measurement.

    Returns:
        An SVG in the colours of `svg.PALETTE`.
    """
    import altair as alt

    data, stretch = [], 0
    for p in points:
        stretch += bool(p.marks)
        data.append(asdict(p) | {"shape": SHAPES.get(p.outcome, SHAPES[""]), "stretch": stretch})
    ticks = alt.Axis(grid=False, tickMinStep=1, format="d")
    base = alt.Chart(alt.InlineData(values=data)).encode(
        x=alt.X("number:Q", title="report", scale=alt.Scale(domain=[0.5, reports + 0.5], nice=False), axis=ticks)
    )
    y = {"title": printable(axis), "scale": alt.Scale(zero=False, nice=True, padding=8)}
    marked = base.transform_filter("datum.marks != ''")
    layers = [
        marked.mark_rule(strokeDash=[1, 3], strokeWidth=1.4, color=PALETTE["muted"]),
        marked.mark_text(dy=-6, fontSize=FONT_SIZE - 1, color=PALETTE["muted"]).encode(
            y=alt.YValue(0), text=alt.Text("marks:N")
        ),
        base.mark_line(strokeWidth=1, color=PALETTE["null"]).encode(y=alt.Y("value:Q", **y), detail="stretch:N"),
        base.mark_rule(strokeWidth=2.2).encode(y=alt.Y("low:Q", **y), y2=alt.Y2("high:Q"), color=outcome_colour()),
        base.mark_point(filled=True, size=70, opacity=1).encode(
            y=alt.Y("value:Q", **y), color=outcome_colour(), shape=alt.Shape("shape:N", scale=None)
        ),
    ]
    if ideal is not None:
        layers.insert(0, reference_line(y=ideal))
    return to_svg(alt.layer(*layers), width=WIDTH, height=HEIGHT)
