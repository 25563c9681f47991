"""The charts of group fairness, in the grammar of `charts`: static SVG, every number in a table beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from auditkit.rendering.charts import FONT_SIZE, ROW_HEIGHT, to_svg
from auditkit.rendering.formatting import printable
from auditkit.rendering.svg import PALETTE

PANEL_WIDTH = 82
LABEL_WIDTH = 120
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
    import altair as alt

    metrics, groups = (list(dict.fromkeys(printable(getattr(d, name)) for d in dots)) for name in ("metric", "group"))
    marks = [
        asdict(d) | {"group": printable(d.group), "metric": printable(d.metric), "overall": overall.get(d.metric)}
        for d in dots
    ]
    axis = alt.Axis(
        labelLimit=LABEL_WIDTH, domain=False, ticks=False, grid=False, labelPadding=8, minExtent=LABEL_WIDTH
    )
    y = alt.Y("group:N", scale=alt.Scale(domain=groups), title=None, axis=axis)
    base = alt.Chart().encode(y=y)
    x: dict[str, Any] = {"title": None, "scale": alt.Scale(domain=[0, 1]), "axis": alt.Axis(values=TICKS, format="~g")}
    points = base.encode(x=alt.X("value:Q", **x), color=alt.value(PALETTE["measured"]))
    layers = [
        base.transform_filter("isValid(datum.overall)")
        .mark_rule(strokeDash=[4, 3], strokeWidth=1.2, color=PALETTE["ink"])
        .encode(x=alt.X("overall:Q", **x), y=alt.value(0), y2=alt.value(ROW_HEIGHT * len(groups))),
        base.mark_rule(strokeWidth=2, color=PALETTE["measured"]).encode(x=alt.X("low:Q", **x), x2="high:Q"),
        points.transform_filter("!datum.small").mark_point(filled=True, size=55, opacity=1),
        points.transform_filter("datum.small").mark_point(filled=False, size=45, strokeWidth=1.5),
    ]
    panel = alt.layer(*layers).properties(width=PANEL_WIDTH, height=ROW_HEIGHT * len(groups))
    column = alt.Column("metric:N", sort=metrics, title=None, header=_header())
    return to_svg(panel.facet(column=column, data=alt.InlineData(values=marks), spacing=12))


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
        diagonal.encode(x=alt.value(0), x2=alt.value(width), y=alt.value(CURVE_HEIGHT), y2=alt.value(0)),
        base.mark_rule(strokeWidth=1.8, color=PALETTE["measured"]).encode(y=alt.Y("low:Q", **y), y2="high:Q"),
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
        diagonal.encode(x=alt.value(0), x2=alt.value(width), y=alt.value(CURVE_HEIGHT), y2=alt.value(0)),
        line.encode(
            x=alt.X("fpr:Q", title="false positive rate", **share),
            y=alt.Y("tpr:Q", title="true positive rate", **share),
            order="at:Q",
        ),
    ]
    panel = alt.layer(*layers).properties(width=width, height=CURVE_HEIGHT)
    facet = alt.Facet("group:N", sort=groups, title=None, header=_header())
    return to_svg(panel.facet(facet=facet, columns=columns, data=alt.InlineData(values=marks), spacing=16))


def _header() -> Any:
    import altair as alt

    return alt.Header(labelFontSize=FONT_SIZE, labelColor=PALETTE["ink"], labelLimit=LABEL_WIDTH, labelPadding=6)
