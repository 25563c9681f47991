"""The chart of mitigations, in the grammar of `charts`: accuracy against the gap, an arrow from before to after."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from auditkit.rendering.charts import FONT_SIZE, to_svg
from auditkit.rendering.formatting import printable
from auditkit.rendering.svg import PALETTE

WIDTH, HEIGHT = 430, 320
MARGIN = 0.06  # of the spread of the values, on either side
CLEAR = 9.0  # pixels between an arrow's head and the point that it leads to
SHAPES = {"before": "circle", "smaller": "circle", "open": "square", "larger": "triangle-down", "harm": "diamond"}
ALARMING = ("larger", "harm")
EDGE = 8.0  # pixels from the plot's frame that a name stays away
WIDE = 20.0  # half the width of the words for the model without mitigation
PLACES = ((10, -9), (-10, -9), (10, 11), (-10, 11), (0, -14), (0, 15), (15, 0), (-15, 0))
"""Where a point's name may stand, in pixels from it; the first one that is clear of everything else."""


@dataclass(frozen=True, slots=True)
class MethodPoint:
    """One method.

    Attributes:
        name: its number in the tables, or "without" for the model without mitigation.
        gap, gap_low, gap_high: the difference among groups, with its interval.
        accuracy, accuracy_low, accuracy_high: in per cent.
        finding: a key of SHAPES.
        on_front: whether no other method is both more accurate and less unequal.
    """

    name: str
    gap: float
    gap_low: float
    gap_high: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    finding: str
    on_front: bool


@dataclass(frozen=True, slots=True)
class _Plane:
    """Pixels from values: arrows and names keep their distance in pixels."""

    left: float
    right: float
    bottom: float
    top: float

    @classmethod
    def around(cls, points: Sequence[MethodPoint]) -> _Plane:
        """Zero difference is always in sight: that is where equality lies."""
        gaps = [0.0, *(v for p in points for v in (p.gap_low, p.gap_high, p.gap))]
        accuracies = [v for p in points for v in (p.accuracy_low, p.accuracy_high, p.accuracy)]
        (left, right), (bottom, top) = ((min(v), max(v)) for v in (gaps, accuracies))
        across, up = MARGIN * ((right - left) or 1.0), MARGIN * ((top - bottom) or 1.0)
        return cls(left - across / 3, right + across, bottom - up, top + up)

    def pixel(self, gap: float, accuracy: float) -> tuple[float, float]:
        return (
            WIDTH * (gap - self.left) / (self.right - self.left),
            HEIGHT * (self.top - accuracy) / (self.top - self.bottom),
        )

    def value(self, x: float, y: float) -> tuple[float, float]:
        return (
            self.left + x / WIDTH * (self.right - self.left),
            self.top - y / HEIGHT * (self.top - self.bottom),
        )


def accuracy_plane(points: Sequence[MethodPoint], *, x: str, y: str) -> str:
    """Every method by its gap and its accuracy, with both intervals, and an arrow that leads there from no mitigation.

    What was found is a shape: a gap that surely shrank a circle, an open question a square, a gap that grew a triangle,
    harm to others a diamond. What is on the Pareto front is filled, everything else hollow; the front is a dashed line.

    Args:
        points: at least one.
        x: title of the axis of the gap; zero is equality.
        y: title of the axis of accuracy.

    Returns:
        An SVG in the colours of `svg.PALETTE`.
    """
    import altair as alt

    plane = _Plane.around(points)
    across = alt.X("gap:Q", title=printable(x), scale=alt.Scale(domain=[plane.left, plane.right], nice=False))
    up = alt.Y("accuracy:Q", title=printable(y), scale=alt.Scale(domain=[plane.bottom, plane.top], nice=False))
    colour, shape = alt.Color("colour:N", scale=None), alt.Shape("shape:N", scale=None)
    base = alt.Chart(alt.InlineData(values=[_mark(p) for p in points])).encode(x=across, y=up)
    whisker: dict[str, Any] = {"strokeWidth": 1.6, "opacity": 0.45}
    layers = [
        alt.Chart(alt.InlineData(values=[{"gap": 0}]))
        .mark_rule(strokeDash=[4, 3], strokeWidth=1.2, color=PALETTE["ink"])
        .encode(x=across),
        base.transform_filter("datum.on_front")
        .mark_line(interpolate="step-after", strokeDash=[4, 3], strokeWidth=1.2, color=PALETTE["ink"])
        .encode(order=alt.Order("gap:Q")),
        base.mark_rule(**whisker).encode(x=alt.X("gap_low:Q"), x2=alt.X2("gap_high:Q"), color=colour),
        base.mark_rule(**whisker).encode(y=alt.Y("accuracy_low:Q"), y2=alt.Y2("accuracy_high:Q"), color=colour),
        *_arrows(plane, points, across, up),
        base.transform_filter("datum.on_front")
        .mark_point(filled=True, size=85, opacity=1)
        .encode(color=colour, shape=shape),
        base.transform_filter("!datum.on_front")
        .mark_point(filled=False, size=72, strokeWidth=1.8)
        .encode(color=colour, shape=shape),
        _names(plane, points, across, up),
    ]
    return to_svg(alt.layer(*layers), width=WIDTH, height=HEIGHT)


def _mark(p: MethodPoint) -> dict[str, Any]:
    colour = "fail" if p.finding in ALARMING else "ink" if p.finding == "before" else "measured"
    return {
        **{name: getattr(p, name) for name in MethodPoint.__slots__},
        "colour": PALETTE[colour],
        "shape": SHAPES[p.finding],
    }


def _heads(plane: _Plane, points: Sequence[MethodPoint]) -> Iterator[tuple[float, float, float]]:
    """Of every arrow: where its head is, in pixels, and how far it is turned, in degrees clockwise from upwards."""
    before = next((p for p in points if p.finding == "before"), None)
    if before is None:
        return
    x, y = plane.pixel(before.gap, before.accuracy)
    for p in points:
        to_x, to_y = plane.pixel(p.gap, p.accuracy)
        length = math.hypot(to_x - x, to_y - y)
        if length > 2 * CLEAR:  # nearer points all but touch: nothing fits between
            share = 1 - CLEAR / length
            yield x + share * (to_x - x), y + share * (to_y - y), math.degrees(math.atan2(to_x - x, y - to_y))


def _arrows(plane: _Plane, points: Sequence[MethodPoint], across: Any, up: Any) -> Iterator[Any]:
    """From the model without mitigation towards every method, up to a little before its point."""
    import altair as alt

    start = next(({"from_gap": p.gap, "from_accuracy": p.accuracy} for p in points if p.finding == "before"), {})
    marks = []
    for x, y, turned in _heads(plane, points):
        gap, accuracy = plane.value(x, y)
        marks.append({"gap": gap, "accuracy": accuracy, "turned": turned, **start})
    if not marks:
        return
    arrows = alt.Chart(alt.InlineData(values=marks)).encode(x=across, y=up)
    shaft = arrows.mark_rule(strokeWidth=1.1, color=PALETTE["null"], opacity=0.6)
    yield shaft.encode(x2=alt.X2("from_gap:Q"), y2=alt.Y2("from_accuracy:Q"))
    head = arrows.mark_point(filled=True, shape="triangle", size=42, opacity=1, color=PALETTE["null"])
    yield head.encode(angle=alt.Angle("turned:Q", scale=None))


def _names(plane: _Plane, points: Sequence[MethodPoint], across: Any, up: Any) -> Any:
    """Every point's name, where it stands clear of the points and of the names before it."""
    import altair as alt

    taken = [plane.pixel(p.gap, p.accuracy) for p in points]
    taken += [(x, y) for x, y, _ in _heads(plane, points)]
    marks = []
    for p in points:
        x, y = plane.pixel(p.gap, p.accuracy)
        others = [t for t in taken if t != (x, y)]
        half = WIDE if p.finding == "before" else 0
        spots = [(x + dx + math.copysign(half, dx) * bool(dx), y + dy) for dx, dy in PLACES]
        spots = [s for s in spots if EDGE + half < s[0] < WIDTH - EDGE - half and EDGE < s[1] < HEIGHT - EDGE] or spots
        spot = max(spots, key=lambda s: min((min(22.0, math.dist(s, o)) for o in others), default=0.0))
        taken.append(spot)
        gap, accuracy = plane.value(*spot)
        marks.append({"gap": gap, "accuracy": accuracy, "name": printable(p.name)})
    base = alt.Chart(alt.InlineData(values=marks)).encode(x=across, y=up, text=alt.Text("name:N"))
    return base.mark_text(
        fontSize=FONT_SIZE, fontWeight="bold", align="center", baseline="middle", color=PALETTE["ink"]
    )
