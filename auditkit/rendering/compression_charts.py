"""The chart of compression, in the grammar of `charts`: every point by its cost and its quality, the front marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from auditkit.rendering.charts import FONT_SIZE, to_svg
from auditkit.rendering.svg import PALETTE

WIDTH, HEIGHT = 400, 260
SIDE_BY_SIDE = 0.034  # of the width: points of one size are drawn so far apart
SHAPES = {"safe": "circle", "open": "square", "worse": "triangle-down", "hidden": "diamond", "harmed": "diamond"}
ALARMING = ("worse", "hidden", "harmed")


@dataclass(frozen=True, slots=True)
class PlacedPoint:
    """One point of a sweep.

    Attributes:
        name: its number in the tables, or "dense".
        x, y: where it stands.
        low, high: the interval of `y`; both equal to it where there is none.
        band_low, band_high: the least and the greatest `y` of any group; both equal to `y` without groups.
        finding: a key of SHAPES.
        on_front: whether no other point beats it.
    """

    name: str
    x: float
    y: float
    low: float
    high: float
    band_low: float
    band_high: float
    finding: str
    on_front: bool


def pareto_plot(points: Sequence[PlacedPoint], *, x: str, y: str, margin: float | None) -> str:
    """Points by cost and quality, each with its interval and the range of its groups; the front is a dashed line.

    What was found is a shape: safe a circle, open a square, worse a triangle, harm a diamond; what is on the front is
    filled, everything else hollow. Points of (nearly) one `x` are drawn side by side.

    Args:
        points: at least one, the dense model first.
        x: title of the axis of cost.
        y: title of the axis of quality.
        margin: the changes of `y` that count as none, as a grey band; beyond it the scale is logarithmic. None for a
            linear scale without band.

    Returns:
        An SVG in the colours of `svg.PALETTE`.
    """
    import altair as alt

    marks = [asdict(p) | {"x": at, **_look(p)} for p, at in zip(points, _apart([p.x for p in points]), strict=True)]
    across = {"title": x, "scale": alt.Scale(zero=False, nice=True, padding=14), "axis": alt.Axis(format=",~r")}
    up: dict[str, Any] = {"title": y, **_vertical(points, margin)}
    base = alt.Chart(alt.InlineData(values=marks)).encode(
        x=alt.X("x:Q", **across), color=alt.Color("colour:N", scale=None)
    )
    steps = base.transform_filter("datum.on_front").mark_line(
        interpolate="step-after", strokeDash=[4, 3], strokeWidth=1.2, color=PALETTE["ink"]
    )
    dots = base.encode(y=alt.Y("y:Q", **up), shape=alt.Shape("shape:N", scale=None))
    layers = [
        *_margin(margin, up),
        steps.encode(y=alt.Y("y:Q", **up), color=alt.ColorValue(PALETTE["ink"]), order=alt.Order("x:Q")),
        base.mark_rule(strokeWidth=9, opacity=0.3).encode(
            y=alt.Y("band_low:Q", **up), y2=alt.Y2("band_high:Q"), color=alt.ColorValue(PALETTE["null"])
        ),
        base.mark_rule(strokeWidth=2).encode(y=alt.Y("low:Q", **up), y2=alt.Y2("high:Q")),
        dots.transform_filter("datum.on_front").mark_point(filled=True, size=80, opacity=1),
        dots.transform_filter("!datum.on_front").mark_point(filled=False, size=70, strokeWidth=1.8),
        *_names(base, up),
    ]
    return to_svg(alt.layer(*layers), width=WIDTH, height=HEIGHT)


def _look(p: PlacedPoint) -> dict[str, Any]:
    colour = PALETTE["fail"] if p.finding in ALARMING else PALETTE["measured"]
    return {"shape": SHAPES[p.finding], "colour": colour, "top": max(p.high, p.band_high, p.y)}


def _apart(places: Sequence[float]) -> list[float]:
    """The same places, each moved to the right until it stands clear of those before it."""
    gap = SIDE_BY_SIDE * ((max(places) - min(places)) or abs(places[0]) or 1.0)
    taken: list[float] = []
    for place in places:
        while any(abs(place - other) < 0.999 * gap for other in taken):
            place = min(other for other in taken if abs(place - other) < 0.999 * gap) + gap
        taken.append(place)
    return taken


def _vertical(points: Sequence[PlacedPoint], margin: float | None) -> dict[str, Any]:
    """Scale and ticks: linear within the margin, then 2, 5, 10, 20, ... times as much."""
    import altair as alt

    if margin is None:
        return {"scale": alt.Scale(zero=False, nice=True, padding=14)}
    ends = [v for p in points for v in (p.low, p.high, p.band_low, p.band_high)]
    steps = [margin * k * 10**e for e in range(5) for k in (1, 2, 5)]
    ticks = [0.0, *(sign * s for s in steps for sign in (1, -1) if min(ends) <= sign * s <= max(ends) or s == margin)]
    domain = [min(min(ends), -margin) * 1.5, max(max(ends), margin) * 1.5]
    scale = alt.Scale(type="symlog", constant=margin, domain=domain, nice=False)
    return {"scale": scale, "axis": alt.Axis(values=sorted(ticks), format="~r")}


def _margin(margin: float | None, up: dict[str, Any]) -> list[Any]:
    import altair as alt

    if margin is None:
        return []
    band = alt.Chart(alt.InlineData(values=[{"from": -margin, "to": margin}]))
    shade = band.mark_rect(color=PALETTE["null"], opacity=0.13)
    zero = alt.Chart(alt.InlineData(values=[{"at": 0}])).mark_rule(strokeWidth=1, color=PALETTE["muted"])
    across = {"x": alt.value(0), "x2": alt.value(WIDTH)}
    return [
        shade.encode(y=alt.Y("from:Q", **up), y2=alt.Y2("to:Q"), **across),
        zero.encode(y=alt.Y("at:Q", **up), **across),
    ]


def _names(base: Any, up: dict[str, Any]) -> list[Any]:
    """Numbers above the points; the dense model's name below it, where no number is."""
    import altair as alt

    text = {"fontSize": FONT_SIZE, "align": "center"}
    ink = alt.value(PALETTE["ink"])
    return [
        base.transform_filter("datum.name != 'dense'")
        .mark_text(dy=-10, fontWeight="bold", **text)
        .encode(y=alt.Y("top:Q", **up), text=alt.Text("name:N"), color=ink),
        base.transform_filter("datum.name == 'dense'")
        .mark_text(dy=15, **text)
        .encode(y=alt.Y("y:Q", **up), text=alt.Text("name:N"), color=ink),
    ]
