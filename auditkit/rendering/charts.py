"""The charts of the report, as static SVG. Every chart has a table beside it, so none is the only place of a number."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from auditkit.rendering.formatting import printable
from auditkit.rendering.svg import PALETTE

PLOT_WIDTH = 290
ROW_HEIGHT = 24
SCATTER_WIDTH, SCATTER_HEIGHT = 385, 240
FONT_SIZE = 11
LABEL_WIDTH = 140
MAX_NAMED = 8
LONGEST_TEXT = 500
SHAPES = {"FAIL": "diamond", "INCONCLUSIVE": "square", "": "circle"}

# The interval plot, of which a report has dozens, is written in Vega-Lite itself: Altair's objects take twice the time
# that drawing takes. The other charts are few.
_ROW_AXIS = {
    "labelExpr": "replace(datum.label, /_/g, ' ')",
    "labelLimit": LABEL_WIDTH,
    "domain": False,
    "ticks": False,
    "grid": False,
    "labelPadding": 10,
    "minExtent": LABEL_WIDTH,
    "maxExtent": LABEL_WIDTH,
}
_NULL_RANGE = {"type": "rule", "strokeWidth": 9, "color": PALETTE["null"], "opacity": 0.3}
_NULL_DOT = {"type": "point", "filled": False, "size": 55, "color": PALETTE["null"], "strokeWidth": 1.6}
_INTERVAL = {"type": "rule", "strokeWidth": 2.2}
_VALUE = {"type": "point", "filled": True, "size": 80, "opacity": 1}
_OUTCOME_COLOUR = {
    "condition": {"test": "datum.outcome === 'FAIL'", "value": PALETTE["fail"]},
    "value": PALETTE["measured"],
}
_STYLE = {
    "background": "transparent",
    "padding": 4,
    "config": {
        # Descriptions for screen readers are ours (`svg.inline`); Vega's are expressions made of titles, which a line
        # break or a backslash in a title breaks.
        "aria": False,
        "view": {"continuousWidth": 300, "continuousHeight": 300, "stroke": None},
        "axis": {
            "domainColor": PALETTE["muted"],
            "grid": True,
            "gridColor": PALETTE["rule"],
            "tickColor": PALETTE["muted"],
            "labelColor": PALETTE["ink"],
            "titleColor": PALETTE["muted"],
            "labelFontSize": FONT_SIZE,
            "titleFontSize": FONT_SIZE,
            "titleFontWeight": "normal",
            "titlePadding": 8,
        },
        "axisX": {"tickCount": 6},
    },
}


@dataclass(frozen=True, slots=True)
class IntervalRow:
    """One row of an interval plot.

    Attributes:
        label: the category; unique in the plot.
        value: the measured value.
        low, high: its interval; both equal to `value` where there is none.
        null: the same score from random weights, if it was measured.
        null_low, null_high: the range of that score over its seeds.
        outcome: the gate's verdict on it, "" where no rule asked.
    """

    label: str
    value: float
    low: float
    high: float
    null: float | None = None
    null_low: float | None = None
    null_high: float | None = None
    outcome: str = ""


def interval_plot(rows: Sequence[IntervalRow], *, axis: str, ideal: float | None) -> str:
    """Values with their intervals, one row per category, against the ideal line and the random-weights null.

    What failed is a diamond, what is undecided a square, everything else a circle: no meaning hangs on colour.

    Returns:
        An SVG in the colours of `svg.PALETTE`.
    """
    marks = [_mark(row) for row in rows]
    shared = {"title": printable(axis), "scale": {"zero": False, "nice": True, "padding": 6}, "type": "quantitative"}
    labels = {"field": "label", "type": "nominal", "title": None, "axis": _ROW_AXIS}
    y = {**labels, "scale": {"domain": [mark["label"] for mark in marks]}}

    def layer(mark: Mapping[str, Any], x: str, x2: str = "", **more: Any) -> dict[str, Any]:
        ends = {"x2": {"field": x2}} if x2 else {}
        return {"mark": mark, "encoding": {"x": {"field": x, **shared}, **ends, "y": y, **more}}

    shape = {"field": "shape", "type": "nominal", "scale": None}
    known = {"transform": [{"filter": "isValid(datum.null)"}]}
    layers = [
        *([_reference(ideal)] if ideal is not None else []),
        layer(_NULL_RANGE, "null_low", "null_high") | known,
        layer(_NULL_DOT, "null") | known,
        layer(_INTERVAL, "low", "high", color=_OUTCOME_COLOUR),
        layer(_VALUE, "value", color=_OUTCOME_COLOUR, shape=shape),
    ]
    spec = {"data": {"values": marks}, "layer": layers, "width": PLOT_WIDTH, "height": ROW_HEIGHT * len(rows)}
    return _drawn(spec | _STYLE)


def gap_scatter(points: Sequence[Mapping[str, Any]]) -> str:
    """The pronoun gap of each occupation against its real share of women.

    Args:
        points: {"occupation", "female_share" in [0, 1], "gap" in nats}; the largest gaps are named, as far
            as their names have room.
    """
    import altair as alt

    named = _named(points)
    data = [
        {
            "x": 100 * p["female_share"],
            "y": p["gap"],
            "name": printable(str(p["occupation"])) if i in named else "",
            "side": _side(p),
        }
        for i, p in enumerate(points)
    ]
    base = alt.Chart(alt.InlineData(values=data)).encode(
        x=alt.X("x:Q", title="women in the occupation, %", scale=alt.Scale(domain=[0, 100])),
        y=alt.Y("y:Q", title="log p(she) − log p(he), nats"),  # noqa: RUF001 - a minus sign is what is meant
    )
    dots = base.mark_point(filled=True, size=34, opacity=0.75, color=PALETTE["measured"])
    names = [
        base.transform_filter(f"datum.name && datum.side == '{side}'")
        .mark_text(align=side, dx=7 if side == "left" else -7, fontSize=FONT_SIZE - 1, color=PALETTE["ink"])
        .encode(text="name:N")
        for side in ("left", "right")
    ]
    return to_svg(alt.layer(reference_line(y=0), dots, *names), width=SCATTER_WIDTH, height=SCATTER_HEIGHT)


def _mark(row: IntervalRow) -> dict[str, Any]:
    """The row as the chart's datum; a value without a judgement is a circle like one that passed."""
    fields = asdict(row)
    return fields | {"label": printable(row.label), "shape": SHAPES.get(row.outcome, SHAPES[""])}


def _named(points: Sequence[Mapping[str, Any]]) -> set[int]:
    """Which points get a name: from the largest gap down, each one whose name stands clear of all other points."""
    height = max(abs(p["gap"]) for p in points)

    def free(i: int) -> bool:
        side = 1 if _side(points[i]) == "left" else -1
        others = [
            (side * (p["female_share"] - points[i]["female_share"]), p["gap"]) for p in points if p is not points[i]
        ]
        return not any(-0.02 < ahead < 0.2 and abs(gap - points[i]["gap"]) < 0.08 * height for ahead, gap in others)

    ranked = sorted(range(len(points)), key=lambda i: -abs(points[i]["gap"]))
    return set([i for i in ranked if free(i)][:MAX_NAMED])


def _side(point: Mapping[str, Any]) -> str:
    """The alignment of a point's name: to the right of the dot, or to its left where the plot ends soon."""
    return "left" if point["female_share"] < 0.6 else "right"


def _reference(ideal: float) -> dict[str, Any]:
    mark = {"type": "rule", "strokeDash": [4, 3], "strokeWidth": 1.4, "color": PALETTE["ink"]}
    return {"data": {"values": [{}]}, "mark": mark, "encoding": {"x": {"datum": ideal}}}


def outcome_colour() -> Any:
    """The colour channel of a mark: what failed stands out; its shape says so too."""
    import altair as alt

    failed = alt.datum.outcome == "FAIL"
    return alt.condition(failed, alt.value(PALETTE["fail"]), alt.value(PALETTE["measured"]))


def reference_line(**at: float) -> Any:
    """The dashed line that a value is compared with."""
    import altair as alt

    channel, value = next(iter(at.items()))
    rule = alt.Chart(alt.InlineData(values=[{}])).mark_rule(strokeDash=[4, 3], strokeWidth=1.4, color=PALETTE["ink"])
    return rule.encode(**{channel: alt.datum(value)})


def to_svg(chart: Any, **size: int) -> str:
    """Draw `chart` in the house style; `size` is its width and height, unless it consists of panels that have one."""
    return _drawn(chart.properties(**size).to_dict(validate=False) | _STYLE)  # our own marks: checking doubles the time


def _drawn(spec: Mapping[str, Any]) -> str:
    import vl_convert

    return str(vl_convert.vegalite_to_svg(_bounded(spec)))


def _bounded(value: Any) -> Any:
    """A chart without endless texts, which take minutes to draw; different ones stay different."""
    if isinstance(value, dict):
        return {key: _bounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_bounded(inner) for inner in value]
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        digest = hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()
        return f"{value[:LONGEST_TEXT]}… {digest[:8]}"
    return value
