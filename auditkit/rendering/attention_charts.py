"""The pictures of attention, in the grammar of `charts`: static SVG, every number in a table beside it.

A weight is the area of a square, so that it can be read in any colour scheme, on paper, and by readers who see no
colours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from auditkit.rendering.charts import FONT_SIZE, to_svg
from auditkit.rendering.formatting import printable, shortened
from auditkit.rendering.svg import PALETTE

CELL = 15  # px, of a weight
HEAD = 22  # px, of a head
LEAST = 0.005  # a smaller weight is no visible square
MAX_LABEL = 14  # characters
LETTERS = {"previous_token": "P", "first_token": "F", "same_token": "S"}


def attention_matrix(tokens: Sequence[str], weights: Sequence[Sequence[float]]) -> str:
    """Who attends to whom: one row for each token that looks, one column for each that is looked at.

    Args:
        tokens: T names, in order; they may repeat.
        weights: (T, T) in [0, 1]; a full square is 1.

    Returns:
        An SVG in the colours of `svg.PALETTE`.
    """
    import altair as alt

    names = _distinct(tokens)
    cells = [
        {"from": names[i], "to": names[j], "weight": float(w)}
        for i, row in enumerate(weights)
        for j, w in enumerate(row)
        if w >= LEAST
    ]
    marks = alt.Chart(alt.InlineData(values=cells)).mark_square(color=PALETTE["measured"], opacity=1, strokeWidth=0)
    chart = marks.encode(
        x=_tokens("to", "looked at", names, labelAngle=-90, orient="top"),
        y=_tokens("from", "looks", names),
        size=_area("weight", CELL),
    )
    return to_svg(chart, width=CELL * len(names), height=CELL * len(names))


def head_grid(entropy: Sequence[Sequence[float]], roles: Sequence[Sequence[str]]) -> str:
    """Every head of every layer: a large square attends to few tokens, a letter names what it looks at.

    Args:
        entropy: (layers, heads) as a share of that of even attention.
        roles: (layers, heads) keys of `LETTERS`, or "" for none.
    """
    import altair as alt

    cells = [
        {"layer": i, "head": j, "focus": 1 - e, "letter": LETTERS.get(role, "")}
        for i, (row, names) in enumerate(zip(entropy, roles, strict=True), 1)
        for j, (e, role) in enumerate(zip(row, names, strict=True), 1)
    ]
    quiet: dict[str, Any] = {"domain": False, "ticks": False, "grid": False, "labelAngle": 0}
    base = alt.Chart(alt.InlineData(values=cells)).encode(
        x=alt.X("head:O", title="head", axis=alt.Axis(**quiet, orient="top")),
        y=alt.Y("layer:O", title="layer", axis=alt.Axis(**quiet)),
    )
    squares = base.mark_square(color=PALETTE["measured"], opacity=0.45, strokeWidth=0).encode(size=_area("focus", HEAD))
    letters = base.mark_text(fontSize=FONT_SIZE, fontWeight=600, color=PALETTE["ink"]).encode(text=alt.Text("letter:N"))
    height, width = len(entropy), max(len(row) for row in entropy)
    return to_svg(alt.layer(squares, letters), width=HEAD * width, height=HEAD * height)


def _area(field: str, cell: int) -> Any:
    """Areas up to a whole cell, less a hair between neighbours, for a share in [0, 1]."""
    import altair as alt

    scale = alt.Scale(domain=[0, 1], range=[0, (cell - 1) ** 2], clamp=True)
    return alt.Size(f"{field}:Q", scale=scale, legend=None)


def _tokens(field: str, title: str, names: Sequence[str], **axis: Any) -> Any:
    import altair as alt

    quiet = alt.Axis(domain=False, ticks=False, grid=False, labelLimit=120, labelOverlap=False, **axis)
    channel = alt.X if field == "to" else alt.Y
    return channel(f"{field}:N", title=title, scale=alt.Scale(domain=list(names)), axis=quiet)


def _distinct(tokens: Sequence[str]) -> list[str]:
    """Labels that look the same but are not: a repeated one gets invisible spaces, since an axis merges equal names."""
    seen: Counter[str] = Counter()
    out = []
    for token in tokens:
        name = shortened(printable(token), MAX_LABEL)
        out.append(name + "\N{ZERO WIDTH SPACE}" * seen[name])
        seen[name] += 1
    return out
