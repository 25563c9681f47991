"""What all charts drawn by Altair share, and one of them, as static SVG.

Every chart has a table beside it, so none is the only place of a number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from auditkit.rendering.formatting import printable
from auditkit.rendering.svg import PALETTE

SCATTER_WIDTH, SCATTER_HEIGHT = 385, 240
FONT_SIZE = 11
MAX_NAMED = 8
LONGEST_TEXT = 500
SHAPES = {"FAIL": "diamond", "INCONCLUSIVE": "square", "": "circle"}

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
        .encode(text=alt.Text("name:N"))
        for side in ("left", "right")
    ]
    return to_svg(alt.layer(reference_line(y=0), dots, *names), width=SCATTER_WIDTH, height=SCATTER_HEIGHT)


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
    import vl_convert

    # Checking our own marks, or copying them to set a size, would double the time.
    spec = chart.to_dict(validate=False) | size | _STYLE
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
