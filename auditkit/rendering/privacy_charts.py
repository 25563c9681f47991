"""The charts of private trainings, in the grammar of `charts`: static SVG, every number in a table beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from auditkit.rendering.charts import FONT_SIZE, SHAPES, outcome_colour, reference_line, to_svg
from auditkit.rendering.formatting import printable
from auditkit.rendering.svg import PALETTE

WIDTH, HEIGHT = 385, 210
HISTOGRAM_WIDTH, HISTOGRAM_HEIGHT = 270, 130
LABEL_GAP = 0.075  # the least distance of two labels, as a share of the plot's height
SERIES = ("circle", "square", "triangle-up", "diamond", "cross")
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [1, 3])


@dataclass(frozen=True, slots=True)
class Utility:
    """The utility of one training with its interval; both ends equal to `value` where there is none.

    Attributes:
        label: the training's name.
        epsilon: what it spent; above 0.
        outcome: the gate's worst verdict on its epsilon, utility or cost; "" where no rule asked.
    """

    label: str
    epsilon: float
    value: float
    low: float
    high: float
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Level:
    """The utility without privacy, and its interval."""

    label: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Spending:
    """Epsilon of one training after each of its epochs."""

    label: str
    epochs: Sequence[int]
    epsilons: Sequence[float]


def utility_curve(points: Sequence[Utility], *, axis: str, without_privacy: Level | None) -> str:
    """Utility against epsilon on a logarithmic axis; the dashed line with its band is the training without privacy.

    Args:
        points: at least one.
        axis: the title of the vertical axis, with the unit.
        without_privacy: what the others are compared with, if it was measured.

    Returns:
        An SVG in the colours of `svg.PALETTE`.
    """
    import altair as alt

    low, high = min(p.epsilon for p in points) / 1.8, max(p.epsilon for p in points) * 1.8
    ticks = alt.Axis(values=log_ticks(low, high), format="~g")
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    x = alt.X("epsilon:Q", title="epsilon (smaller protects more)", scale=scale, axis=ticks)
    y: dict[str, Any] = {"title": printable(axis), "scale": alt.Scale(zero=False, nice=True, padding=24)}
    marks = [asdict(p) | {"label": printable(p.label), "shape": SHAPES.get(p.outcome, SHAPES[""])} for p in points]
    base = alt.Chart(alt.InlineData(values=marks)).encode(x=x)
    layers = [
        base.mark_line(strokeWidth=1.2, color=PALETTE["measured"], opacity=0.6).encode(y=alt.Y("value:Q", **y)),
        base.mark_rule(strokeWidth=2.2).encode(y=alt.Y("low:Q", **y), y2=alt.Y2("high:Q"), color=outcome_colour()),
        base.mark_point(filled=True, size=80, opacity=1).encode(
            y=alt.Y("value:Q", **y), color=outcome_colour(), shape=alt.Shape("shape:N", scale=None)
        ),
        base.mark_text(dy=-6, baseline="bottom", fontSize=FONT_SIZE, color=PALETTE["ink"]).encode(
            y=alt.Y("high:Q", **y), text=alt.Text("label:N")
        ),
    ]
    if without_privacy is not None:
        layers = [*_level(without_privacy, points, x, y, low, high), *layers]
    return to_svg(alt.layer(*layers), width=WIDTH, height=HEIGHT)


def _level(level: Level, points: Sequence[Utility], x: Any, y: dict[str, Any], left: float, right: float) -> list[Any]:
    """Band, line and name of the utility without privacy; the name on the side on which there are fewer points."""
    import altair as alt

    ends = [{**asdict(level), "label": printable(level.label), "epsilon": e} for e in (left, right)]
    base = alt.Chart(alt.InlineData(values=ends)).encode(x=x)
    above = sum(p.value > level.value for p in points) * 2 < len(points)
    name = base.transform_filter(f"datum.epsilon == {left}").mark_text(
        align="left", dx=4, dy=-6 if above else 6, baseline="bottom" if above else "top", fontSize=FONT_SIZE
    )
    return [
        base.mark_area(color=PALETTE["null"], opacity=0.22).encode(y=alt.Y("low:Q", **y), y2=alt.Y2("high:Q")),
        base.mark_line(strokeDash=[4, 3], strokeWidth=1.4, color=PALETTE["ink"]).encode(y=alt.Y("value:Q", **y)),
        name.encode(
            y=alt.Y(("high" if above else "low") + ":Q", **y),
            text=alt.Text("label:N"),
            color=alt.ColorValue(PALETTE["ink"]),
        ),
    ]


def norm_histogram(edges: Sequence[float], counts: Sequence[int], *, max_grad_norm: float | None) -> str:
    """The norms of single gradients before clipping, on a logarithmic axis; the dashed line is the norm C.

    Args:
        edges: (k + 1,) ascending and positive.
        counts: (k,) how many norms lie between two edges, at least one of them above 0; empty ends are left out.
        max_grad_norm: C; None draws no line.
    """
    import altair as alt

    filled = [i for i, n in enumerate(counts) if n]
    bins = [{"low": edges[i], "high": edges[i + 1], "n": counts[i]} for i in range(filled[0], filled[-1] + 1)]
    inside = [bins[0]["low"], bins[-1]["high"], *([] if max_grad_norm is None else [max_grad_norm])]
    low, high = min(inside) / 1.1, max(inside) * 1.1
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    axis = alt.Axis(values=log_ticks(low, high), format="~g")
    x = alt.X("low:Q", title="norm of one gradient, before clipping", scale=scale, axis=axis)
    bars = alt.Chart(alt.InlineData(values=bins)).mark_rect(color=PALETTE["measured"], opacity=0.75)
    layers = [bars.encode(x=x, x2=alt.X2("high:Q"), y=alt.Y("n:Q", title="gradients"), y2=alt.datum(0))]
    if max_grad_norm is not None:
        left = math.log(max_grad_norm / low) > math.log(high / max_grad_norm)  # the name goes where there is room
        text = alt.Chart(alt.InlineData(values=[{"name": f"C = {max_grad_norm:g}"}])).mark_text(
            align="right" if left else "left", dx=-5 if left else 5, dy=-4, baseline="bottom", fontSize=FONT_SIZE
        )
        place = {"x": alt.datum(max_grad_norm), "y": alt.value(0), "text": "name:N"}
        layers += [reference_line(x=max_grad_norm), text.encode(**place, color=alt.ColorValue(PALETTE["ink"]))]
    return to_svg(alt.layer(*layers), width=HISTOGRAM_WIDTH, height=HISTOGRAM_HEIGHT)


def epsilon_by_epoch(lines: Sequence[Spending]) -> str:
    """What each training had spent after each epoch; lines are told apart by marks, dashes and their names."""
    import altair as alt

    highest, last = max(max(s.epsilons) for s in lines), max(max(s.epochs) for s in lines)
    heights = spread([s.epsilons[-1] / highest for s in lines], LABEL_GAP)
    whole = list(range(0, last + 1, max(1, math.ceil(last / 10))))
    x = alt.X("epoch:Q", title="epoch", scale=alt.Scale(domain=[0, last]), axis=alt.Axis(values=whole, format="d"))
    y: dict[str, Any] = {"title": "epsilon spent", "scale": alt.Scale(domain=[0, 1.08 * highest], nice=True)}
    layers = []
    for i, (line, height) in enumerate(zip(lines, heights, strict=True)):
        steps = [{"epoch": e, "epsilon": v} for e, v in zip(line.epochs, line.epsilons, strict=True)]
        base = alt.Chart(alt.InlineData(values=steps)).encode(x=x, y=alt.Y("epsilon:Q", **y))
        layers.append(base.mark_line(strokeWidth=1.6, strokeDash=DASHES[i % len(DASHES)], color=PALETTE["measured"]))
        layers.append(base.mark_point(filled=True, size=38, shape=SERIES[i % len(SERIES)], color=PALETTE["measured"]))
        end = [{"epoch": line.epochs[-1], "at": height * highest, "name": printable(line.label)}]
        name = alt.Chart(alt.InlineData(values=end)).mark_text(align="left", dx=8, fontSize=FONT_SIZE)
        layers.append(
            name.encode(x=x, y=alt.Y("at:Q", **y), text=alt.Text("name:N"), color=alt.ColorValue(PALETTE["ink"]))
        )
    return to_svg(alt.layer(*layers), width=WIDTH - 80, height=HEIGHT)


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """The same heights, in the same order, pushed up where two are nearer than `gap`."""
    placed = list(heights)
    below = -math.inf
    for i in sorted(range(len(placed)), key=lambda i: placed[i]):
        placed[i] = below = max(placed[i], below + gap)
    return placed


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten from `low` to `high`; the powers alone where that would be many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if math.log10(high / low) < 2 else (1,)
    found = [float(f"{factor}e{power}") for power in powers for factor in factors]
    return [tick for tick in found if low <= tick <= high]
