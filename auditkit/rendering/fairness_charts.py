"""The charts of group fairness, in the grammar of `charts`: static SVG, every number in a table beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from auditkit.rendering import drawing
from auditkit.rendering.charts import FONT_SIZE, to_svg
from auditkit.rendering.drawing import ROW_HEIGHT
from auditkit.rendering.formatting import printable
from auditkit.rendering.svg import PALETTE

LABEL_WIDTH = 110
LABEL_LENGTH = 17  # characters that have room at 11 pixels
PANEL_WIDTH = 74
PANEL_LENGTH = 15
PANELS_START = LABEL_WIDTH + 12
PANEL_STEP = PANEL_WIDTH + 16
HEADER_HEIGHT, TICKS_HEIGHT = 20, 24
CURVE_HEIGHT = 120
CURVES_WIDTH = 420  # of a row
CURVES_A_ROW = 3
TICKS = [0, 0.5, 1]


@dataclass(frozen=True, slots=True)
class GroupDot:
    """One metric of one group.

    Attributes:
        group: its name; unique within a metric.
        metric: the panel that it is drawn in.
        value: the rate.
        low, high: its interval.
        small: whether it rests on fewer people than the groups that are compared.
    """

    group: str
    metric: str
    value: float
    low: float
    high: float
    small: bool


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The people of a group with scores in one bin: their mean score, the share of positives, and its interval."""

    group: str
    score: float
    share: float
    low: float
    high: float


def group_dots(dots: Sequence[GroupDot], *, overall: Mapping[str, float]) -> str:
    """Rates with their intervals: a row for each group, a panel for each metric, all on one scale from 0 to 1.

    Args:
        dots: in the order of the rows and panels.
        overall: the rate over everybody by metric: the dashed line of its panel.

    Returns:
        An SVG in the colours of `svg.PALETTE`.
    """
    metrics, groups = (list(dict.fromkeys(getattr(dot, name) for dot in dots)) for name in ("metric", "group"))
    bottom = HEADER_HEIGHT + ROW_HEIGHT * len(groups)
    rows = {group: HEADER_HEIGHT + ROW_HEIGHT // 2 + ROW_HEIGHT * i for i, group in enumerate(groups)}
    panels = {metric: PANELS_START + PANEL_STEP * i for i, metric in enumerate(metrics)}
    parts = [drawing.text(LABEL_WIDTH, y + 4, g, room=LABEL_LENGTH, anchor="end") for g, y in rows.items()]
    for metric, start in panels.items():
        parts += _panel(metric, start, bottom, overall.get(metric))
    for dot in dots:
        parts += _dot(dot, panels[dot.metric], rows[dot.group])
    return drawing.picture(PANELS_START + PANEL_STEP * len(metrics), bottom + TICKS_HEIGHT, parts)


def _panel(metric: str, start: float, bottom: float, overall: float | None) -> Iterator[str]:
    """The name, the grid from 0 to 1 and the line for everybody of one panel."""
    at = {tick: start + PANEL_WIDTH * tick for tick in TICKS}
    yield drawing.text(start + PANEL_WIDTH / 2, HEADER_HEIGHT - 6, metric, room=PANEL_LENGTH)
    yield drawing.grid(at.values(), HEADER_HEIGHT, bottom + 5)
    yield drawing.base(start, start + PANEL_WIDTH, bottom)
    for tick, x in at.items():
        yield drawing.text(x, bottom + 17, f"{tick:g}", room=3)
    if overall is not None:
        yield drawing.upright(_across(start, overall), HEADER_HEIGHT, bottom)


def _dot(dot: GroupDot, start: float, y: float) -> Iterator[str]:
    yield drawing.across(_across(start, dot.low), _across(start, dot.high), y, "measured", 'stroke-width="2"')
    mark, radius = (drawing.ring, 3.4) if dot.small else (drawing.dot, 3.7)
    yield mark(_across(start, dot.value), y, radius, "measured")


def _across(start: float, rate: float) -> float:
    """Where a rate lies in the panel that begins at `start`."""
    return round(start + PANEL_WIDTH * max(0.0, min(1.0, rate)), 1)


def calibration_curves(points: Sequence[CurvePoint]) -> str:
    """The share of positives against the score, a panel for each group; a calibrated score follows the dashed line.

    Args:
        points: of every group at least one, in the order of the panels, by score.
    """
    import altair as alt

    groups = list(dict.fromkeys(printable(p.group) for p in points))
    columns = min(CURVES_A_ROW, len(groups))
    width = CURVES_WIDTH // columns
    marks = [asdict(p) | {"group": printable(p.group)} for p in points]
    share = {"scale": alt.Scale(domain=[0, 1]), "axis": alt.Axis(values=TICKS, format="~g")}
    base = alt.Chart().encode(x=alt.X("score:Q", title="mean score", **share))
    y: dict[str, Any] = {"title": "share of positives", **share}
    diagonal = alt.Chart().mark_rule(strokeDash=[4, 3], strokeWidth=1.2, color=PALETTE["ink"])
    layers = [
        diagonal.encode(x=alt.XValue(0), x2=alt.X2Value(width), y=alt.YValue(CURVE_HEIGHT), y2=alt.Y2Value(0)),
        base.mark_rule(strokeWidth=1.8, color=PALETTE["measured"]).encode(y=alt.Y("low:Q", **y), y2=alt.Y2("high:Q")),
        base.mark_line(strokeWidth=1.2, color=PALETTE["measured"], opacity=0.6).encode(y=alt.Y("share:Q", **y)),
        base.mark_point(filled=True, size=32, opacity=1, color=PALETTE["measured"]).encode(y=alt.Y("share:Q", **y)),
    ]
    panel = alt.layer(*layers).properties(width=width, height=CURVE_HEIGHT)
    facet = alt.Facet("group:N", sort=groups, title=None, header=_header())
    return to_svg(panel.facet(facet=facet, columns=columns, data=alt.InlineData(values=marks), spacing=16))


def roc_curves(curves: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """The ROC of each group, a panel each, beside the dashed line of a score that knows nothing.

    Args:
        curves: (false positive rate, true positive rate) along the curve, by group, in the order of the panels.
    """
    import altair as alt

    groups = [printable(group) for group in curves]
    columns = min(CURVES_A_ROW, len(groups))
    width = CURVES_WIDTH // columns
    marks = [
        {"group": printable(group), "at": i, "fpr": fpr, "tpr": tpr}
        for group, points in curves.items()
        for i, (fpr, tpr) in enumerate(points)
    ]
    share = {"scale": alt.Scale(domain=[0, 1]), "axis": alt.Axis(values=TICKS, format="~g")}
    line = alt.Chart().mark_line(strokeWidth=2, color=PALETTE["measured"])
    diagonal = alt.Chart().mark_rule(strokeDash=[4, 3], strokeWidth=1.2, color=PALETTE["ink"])
    layers = [
        diagonal.encode(x=alt.XValue(0), x2=alt.X2Value(width), y=alt.YValue(CURVE_HEIGHT), y2=alt.Y2Value(0)),
        line.encode(
            x=alt.X("fpr:Q", title="false positive rate", **share),
            y=alt.Y("tpr:Q", title="true positive rate", **share),
            order=alt.Order("at:Q"),
        ),
    ]
    panel = alt.layer(*layers).properties(width=width, height=CURVE_HEIGHT)
    facet = alt.Facet("group:N", sort=groups, title=None, header=_header())
    return to_svg(panel.facet(facet=facet, columns=columns, data=alt.InlineData(values=marks), spacing=16))


def _header() -> Any:
    import altair as alt

    return alt.Header(labelFontSize=FONT_SIZE, labelColor=PALETTE["ink"], labelLimit=LABEL_WIDTH, labelPadding=6)
