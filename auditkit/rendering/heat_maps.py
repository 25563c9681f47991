"""One explained text as a heat map: signed words in their text, and whether they can be trusted.

A sign is shown by colour and by the kind of underline, its strength by the depth of both: no meaning hangs on colour.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditkit.rendering.evidence import is_number
from auditkit.rendering.formatting import number
from auditkit.rendering.private_runs import Grid

VERDICTS = {"trusted": "PASS", "not trusted": "FAIL", "undecided": "INCONCLUSIVE"}
"""What was found about a set of explanations, and the icon that says so."""
UNCHECKED = "not checked"
LEVELS = 4  # of colour and underline on each side of zero
FAINT = 0.05  # of the strongest word: below, a word is shown without a mark
MAX_WORDS = 200  # of one heat map
MEANINGS = {
    "trusted": "Every check that decides passed: they may be read as what moved this model.",
    "not trusted": "At least one check that decides failed. Do not read them as what moved this model.",
    "undecided": "The texts are too few to tell. Do not rely on them yet.",
    UNCHECKED: "Nothing was found out about whether they can be relied on.",
}


@dataclass(frozen=True, slots=True)
class Trust:
    """A verdict on explanations: its words, its icon, and what it means for a reader."""

    verdict: str
    outcome: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a heat map.

    Attributes:
        text: the word.
        before: what stands between it and the word before it.
        value: its signed value as text.
        mark: "p1" (weakly for) to "p4", "n1" (weakly against) to "n4"; "" for next to nothing.
    """

    text: str
    before: str
    value: str
    mark: str


@dataclass(frozen=True, slots=True)
class HeatMap:
    """One explained text: what was asked, whether the explanation is trusted, and its words."""

    id: str
    asks: str
    trust: Trust
    summary: str
    words: Sequence[Word]
    grid: Grid
    cut: int


def trust(verdict: object) -> Trust:
    """How a verdict is shown; anything but the three known ones counts as not checked."""
    known = verdict if isinstance(verdict, str) and verdict in VERDICTS else UNCHECKED
    return Trust(known, VERDICTS.get(known, "NONE"), MEANINGS[known])


def word_values(entry: Mapping[str, Any]) -> list[tuple[str, float]]:
    """The words of a heat map with their values; none where the two do not fit together."""
    words, values = entry.get("words"), entry.get("values")
    if not (isinstance(words, list) and isinstance(values, list) and len(words) == len(values)):
        return []
    pairs = [(str(word), float(v)) for word, v in zip(words, values, strict=True) if is_number(v) and math.isfinite(v)]
    return pairs if len(pairs) == len(words) else []


def heat_map(id: str, entry: Mapping[str, Any], verdict: Trust) -> HeatMap:
    """Arrange one entry that has `word_values`.

    Args:
        id: unique in the page.
        entry: {"text", "asks", "words", "values", "value", "baseline_value", "error"}; all but the words and values
            may be absent.
        verdict: on the set that it belongs to.
    """
    pairs = word_values(entry)
    strongest = max((abs(v) for _, v in pairs), default=0.0)
    gaps = _gaps(str(entry.get("text", "")), [word for word, _ in pairs])
    shown = [
        Word(word, before, _signed(v), mark(v, strongest))
        for (word, v), before in zip(pairs[:MAX_WORDS], gaps, strict=False)
    ]
    rows = [[word, _signed(v)] for word, v in pairs]
    asks = str(entry.get("asks") or "the prediction")
    return HeatMap(
        id=id,
        asks=asks,
        trust=verdict,
        summary=_summary(entry),
        words=shown,
        grid=Grid(f"The part of every word in {asks}", ("Word", "Value"), rows),
        cut=len(pairs) - len(shown),
    )


def mark(value: float, strongest: float) -> str:
    """Sign and strength of a word: "p" or "n" and 1 to 4 in quarters of the strongest; "" below 5 % of it."""
    share = abs(value) / strongest if strongest else 0.0
    if share < FAINT:
        return ""
    return f"{'p' if value > 0 else 'n'}{min(LEVELS, math.ceil(LEVELS * share))}"


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + number(value)


def _gaps(text: str, words: Sequence[str]) -> Iterator[str]:
    """What stands before each word in the text; a space where a word is not found in it."""
    at = 0
    for word in words:
        found = text.find(word, at)
        yield text[at:found] if found >= 0 else " "
        at = found + len(word) if found >= 0 else at


def _summary(entry: Mapping[str, Any]) -> str:
    """What was explained, in numbers."""
    value, start, error = (entry.get(key) for key in ("value", "baseline_value", "error"))
    said = []
    if is_number(value) and is_number(start):
        said.append(f"The words add up from {number(start)} without them to {number(value)}.")
    if is_number(error):
        said.append(f"Of that change {number(100.0 * abs(error))} % is unaccounted for.")
    return " ".join(said)
