"""Making a chart part of the page: colours that follow light and dark, the page's font, a title and a description."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from xml.etree import ElementTree

from auditkit.rendering.formatting import LONGEST, shortened

# The palette of every chart. Each colour is drawn as the page's variable of that name, so that one picture serves
# light, dark and print. Blue against orange is told apart by all common kinds of colour vision (Okabe and Ito 2008);
# shape says the same as colour.
PALETTE = {
    "ink": "#1a1d21",
    "muted": "#5b6470",
    "rule": "#dde1e6",
    "measured": "#0b5cad",
    "fail": "#a63c00",
    "null": "#777f8a",
}
_VARIABLE = {colour: f"var(--{name})" for name, colour in PALETTE.items()}

# What only an interactive chart needs; half of the bytes.
_DROPPED = {"role", "class", "pointer-events", "font-family", "stroke-miterlimit", "version", "width", "height"}
_DECIMALS = re.compile(r"-?\d+\.\d{2,}")
_PLACE = {"transform", "x1", "y1", "x2", "y2"}
_UNMOVED = "translate(0,0)"
_TRANSLATE = re.compile(r"translate\(([-\d.]+),([-\d.]+)\)")
# What an attribute says anyhow: said again on every element it is a tenth of the bytes. `inline` gives the font size.
_FONT_SIZE = "11px"
_DEFAULTS = {("opacity", "1"), ("stroke-width", "1"), ("transform", _UNMOVED), ("font-size", _FONT_SIZE)}


def inline(svg: str, *, id: str, title: str, description: str) -> str:
    """`svg` as an element of an html page.

    Args:
        svg: a picture drawn in the colours of `PALETTE`.
        id: unique in the page; every id inside starts with it.
        title: what the picture is, for readers who do not see it.
        description: what it shows.

    Returns:
        An `<svg role="img">` without a width or height of its own, every text in it escaped.
    """
    root = ElementTree.fromstring(svg)
    size, look = root.attrib.get("viewBox", ""), "chart roomy" if root.get("class") == "roomy" else "chart"
    _clean(root, id)
    labels = {"role": "img", "class": look, "aria-labelledby": f"{id}-title {id}-desc"}
    root.attrib |= {"viewBox": size, "font-size": _FONT_SIZE, **labels}
    for name, text in (("desc", description), ("title", title)):
        element = ElementTree.Element(name, {"id": f"{id}-{name}"})
        element.text = shortened(text, LONGEST)
        root.insert(0, element)
    return ElementTree.tostring(root, encoding="unicode")


def _clean(element: ElementTree.Element, id: str) -> None:
    """Drop what a static picture does not need, from `element` down."""
    element.tag = element.tag.rpartition("}")[2]
    element.attrib = {
        name: _value(name, value, id)
        for name, value in element.attrib.items()
        if name not in _DROPPED and not name.startswith("aria-") and (name, value) not in _DEFAULTS
    }
    kept: list[ElementTree.Element] = []
    for child in element:
        _clean(child, id)
        if child.tag == "g" and not child.attrib:  # a group that says nothing: its children stand for it
            kept += child
        elif not _invisible(child, element) and not (kept and _covers(child, kept[-1])):
            kept.append(child)
    element[:] = _joined(kept)


def _joined(marks: Sequence[ElementTree.Element]) -> Iterator[ElementTree.Element]:
    """Neighbouring lines of one look as one path: a grid is one element instead of a dozen."""
    for look, alike in groupby(marks, _look):
        lines = list(alike)
        if look is None or len(lines) == 1:
            yield from lines
        else:
            yield ElementTree.Element("path", {**look, "d": "".join(map(_stroke, lines))})


def _look(mark: ElementTree.Element) -> dict[str, str] | None:
    """How a line looks, wherever it lies; None where `mark` is no line, is turned, or shines through another."""
    if mark.tag != "line" or len(mark) or any("opacity" in name for name in mark.attrib):
        return None
    if not _TRANSLATE.fullmatch(mark.get("transform", _UNMOVED)):
        return None
    return {name: value for name, value in mark.attrib.items() if name not in _PLACE}


def _stroke(line: ElementTree.Element) -> str:
    """The line as a part of a path."""
    x1, y1, x2, y2 = (float(line.get(end, 0)) for end in ("x1", "y1", "x2", "y2"))
    x, y = map(float, _TRANSLATE.findall(line.get("transform", _UNMOVED))[0])
    return f"M{x + x1:g},{y + y1:g}l{x2 - x1:g},{y2 - y1:g}"


def _value(name: str, value: str, id: str) -> str:
    if name == "id":
        return f"{id}-{value}"
    if value.startswith("url(#"):
        return value.replace("url(#", f"url(#{id}-")
    return _VARIABLE.get(value.lower()) or _DECIMALS.sub(_rounded, value)


def _rounded(match: re.Match[str]) -> str:
    return f"{float(match[0]):.1f}".removesuffix(".0")


def _covers(mark: ElementTree.Element, before: ElementTree.Element) -> bool:
    """Whether `mark` is `before` drawn once more: a reference line is, for every datum of its panel."""
    same = (mark.tag, mark.attrib, mark.text) == (before.tag, before.attrib, before.text)
    return same and len(mark) == len(before) == 0 and not any("opacity" in name for name in mark.attrib)


def _invisible(element: ElementTree.Element, parent: ElementTree.Element) -> bool:
    """A group without children, or a path that draws nothing and clips nothing."""
    if element.tag == "g":
        return len(element) == 0
    return element.tag == "path" and parent.tag != "clipPath" and not {"fill", "stroke"} & set(element.attrib)
