"""Values with their intervals, a row for each.

Plots of one report have one width and one place for the labels, so that they line up under each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from auditkit.rendering import drawing
from auditkit.rendering.drawing import ROW_HEIGHT
from auditkit.rendering.formatting import MINUS

LABEL_WIDTH, PLOT_WIDTH = 150, 290
MARGIN = 24
"""Right of the plot: half of the last tick's number stands there."""
AXIS_HEIGHT = 44
LABEL_LENGTH, TITLE_LENGTH = 22, 60
"""Characters that have room at 11 pixels."""
TICK_COUNTS = (6, 4, 3, 2)
CHARACTER = 7.7
"""Pixels of a digit, and a little more, at the 13 pixels that a narrow screen gets."""
LARGEST, SMALLEST = 1e300, 1e-300
"""Beyond the one, a number is drawn at the edge, for differences have no value; below the other, at zero."""
CORNERS = {"FAIL": "M-4.5,0L0,-4.5L4.5,0L0,4.5Z", "INCONCLUSIVE": "M-4.5,-4.5h9v9h-9Z"}
"""Of the marks that are no circle."""


@dataclass(frozen=True, slots=True)
class IntervalRow:
    """One row of an interval plot.

    Attributes:
        label: the category.
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

    def numbers(self) -> list[float]:
        """All of its numbers."""
        given = (self.value, self.low, self.high, self.null, self.null_low, self.null_high)
        return [number for number in given if number is not None]


def interval_plot(rows: Sequence[IntervalRow], *, axis: str, ideal: float | None) -> str:
    """Values with their intervals, one row per category, against the ideal line and the random-weights null.

    What failed is a diamond, what is undecided a square, everything else a circle: no meaning hangs on colour.

    Args:
        rows: from top to bottom.
        axis: what the numbers are, with their unit.
        ideal: where the dashed line stands; none where None.

    Returns:
        An SVG in the colours of `svg.PALETTE`.
    """
    shown = [number for row in rows for number in row.numbers()] + ([] if ideal is None else [ideal])
    start, end = domain(shown)

    def x(value: float) -> float:
        return round(LABEL_WIDTH + PLOT_WIDTH * (_clamped(value) - start) / (end - start), 1)

    height = ROW_HEIGHT * len(rows)
    parts = [*_axis(axis, ticks(start, end), x, height)]
    if ideal is not None:
        parts.append(drawing.upright(x(ideal), 0, height))
    for i, row in enumerate(rows):
        parts += _row(row, x, ROW_HEIGHT // 2 + ROW_HEIGHT * i)
    return drawing.picture(LABEL_WIDTH + PLOT_WIDTH + MARGIN, height + AXIS_HEIGHT, parts, roomy=True)


def domain(numbers: Iterable[float]) -> tuple[float, float]:
    """From where to where the axis runs: all `numbers` and a little room on both sides."""
    shown = [_clamped(number) for number in numbers]
    low, high = min(shown), max(shown)
    size = max(abs(low), abs(high))
    alike = high - low <= 1e-9 * size  # too near each other for a tick between them
    room = (0.08 * size or 1.0) if alike else 0.03 * (high - low)
    return low - room, high + room


def ticks(start: float, end: float) -> list[tuple[float, str]]:
    """Round numbers from `start` to `end`, as many as have room, with their texts."""
    found: list[tuple[float, str]] = []
    for count in TICK_COUNTS:
        found = _ticks(start, end, count)
        if max(len(text) for _, text in found) * CHARACTER * len(found) <= PLOT_WIDTH:
            break
    return found


def _ticks(start: float, end: float, count: int) -> list[tuple[float, str]]:
    """The multiples of 1, 2 or 5 times a power of ten that are nearest to `count` steps."""
    rough = (end - start) / count
    power = math.floor(math.log10(rough))
    step, places = min(
        ((factor * 10.0**p, -p) for p in (power, power + 1) for factor in (1, 2, 5)),
        key=lambda candidate: abs(math.log(candidate[0] / rough)),
    )
    values = [k * step for k in range(math.ceil(start / step), math.floor(end / step) + 1)]
    size = max(abs(value) for value in values) if values else 0.0
    if size >= 1e6 or places > 4:  # as powers of ten, with the digits that tell two ticks apart
        digits = max(0, math.floor(math.log10(size)) + places) if size else 0
        return [(value, _signed(f"{abs(value):.{digits}e}" if value else "0", value)) for value in values]
    return [(value, _signed(f"{abs(value):,.{max(0, places)}f}", value)) for value in values]


def _signed(text: str, value: float) -> str:
    return MINUS + text if value < 0 else text


def _clamped(value: float) -> float:
    return max(-LARGEST, min(LARGEST, value)) if abs(value) > SMALLEST else 0.0


def _axis(title: str, shown: Sequence[tuple[float, str]], x: Callable[[float], float], height: int) -> Iterator[str]:
    """The grid, the base line, the ticks' numbers and what they count."""
    yield drawing.grid((x(value) for value, _ in shown), 0, height + 5)
    yield drawing.base(LABEL_WIDTH, LABEL_WIDTH + PLOT_WIDTH, height)
    for value, words in shown:
        yield drawing.text(x(value), height + 17, words, room=TITLE_LENGTH)
    middle = LABEL_WIDTH + PLOT_WIDTH / 2
    yield drawing.text(middle, height + 36, title, room=TITLE_LENGTH, colour="muted")


def _row(row: IntervalRow, x: Callable[[float], float], y: int) -> Iterator[str]:
    """A label, the null's range and mean, the interval, and the value on top of them."""
    yield drawing.text(LABEL_WIDTH - 10, y + 4, row.label.replace("_", " "), room=LABEL_LENGTH, anchor="end")
    if row.null_low is not None and row.null_high is not None:
        yield drawing.across(x(row.null_low), x(row.null_high), y, "null", 'stroke-width="9" opacity="0.3"')
    if row.null is not None:
        yield drawing.ring(x(row.null), y, 3.7, "null")
    colour = "fail" if row.outcome == "FAIL" else "measured"
    yield drawing.across(x(row.low), x(row.high), y, colour, 'stroke-width="2.2"')
    corners = CORNERS.get(row.outcome)
    at = x(row.value)
    yield drawing.polygon(at, y, corners, colour) if corners else drawing.dot(at, y, 4.5, colour)
