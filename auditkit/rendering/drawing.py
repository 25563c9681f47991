"""The strokes of the charts that are drawn here and not by Vega: those of which a report has dozens.

Sixty interval plots take 20 ms this way instead of 4 s, and half of the bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from unicodedata import east_asian_width
from xml.sax.saxutils import escape

from auditkit.rendering.formatting import printable, shortened
from auditkit.rendering.svg import PALETTE

ROW_HEIGHT = 24
"""Of a chart with a row for each category."""


def picture(width: float, height: float, parts: Iterable[str], *, roomy: bool = False) -> str:
    """The strokes as one SVG of this size in pixels, for `svg.inline`; a roomy one has room for larger words."""
    size, look = f"0 0 {width:g} {height:g}", ' class="roomy"' if roomy else ""
    return f'<svg xmlns="http://www.w3.org/2000/svg"{look} viewBox="{size}" fill="none">{"".join(parts)}</svg>'


def text(x: float, y: float, words: str, *, room: int, anchor: str = "middle", colour: str = "ink") -> str:
    """As much of `words` as has room.

    Args:
        x: of its start, middle or end.
        y: of its base line.
        words: any text.
        room: in characters; an ideograph takes the room of two.
        anchor: which of the three, as in SVG.
        colour: a name in `svg.PALETTE`.
    """
    wide = sum(east_asian_width(character) in "WF" for character in words[:room])
    shown = escape(printable(shortened(words, room - wide // 2)))
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{PALETTE[colour]}">{shown}</text>'


def across(start: float, end: float, y: float, colour: str, style: str) -> str:
    """A line from `start` to `end`; nothing where it would have no length."""
    if end <= start:
        return ""
    return f'<line x1="{start:g}" x2="{end:g}" y1="{y:g}" y2="{y:g}" stroke="{PALETTE[colour]}" {style}/>'


def upright(x: float, top: float, bottom: float) -> str:
    """The dashed line that values are compared with."""
    style = f'stroke="{PALETTE["ink"]}" stroke-width="1.4" stroke-dasharray="4,3"'
    return f'<line x1="{x:g}" x2="{x:g}" y1="{top:g}" y2="{bottom:g}" {style}/>'


def grid(at: Iterable[float], top: float, bottom: float) -> str:
    """A faint upright line at each place."""
    lines = "".join(f"M{x:g},{top:g}V{bottom:g}" for x in at)
    return f'<path d="{lines}" stroke="{PALETTE["rule"]}"/>'


def base(start: float, end: float, y: float) -> str:
    """The line that an axis stands on."""
    return f'<path d="M{start:g},{y:g}H{end:g}" stroke="{PALETTE["muted"]}"/>'


def dot(x: float, y: float, radius: float, colour: str) -> str:
    """A filled circle."""
    return f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{PALETTE[colour]}"/>'


def ring(x: float, y: float, radius: float, colour: str) -> str:
    """A hollow circle."""
    return f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" stroke="{PALETTE[colour]}" stroke-width="1.6"/>'


def polygon(x: float, y: float, corners: str, colour: str) -> str:
    """A filled shape around (x, y); `corners` is its path seen from there."""
    return f'<path transform="translate({x:g},{y:g})" d="{corners}" fill="{PALETTE[colour]}"/>'
