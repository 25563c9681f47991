"""Which tokens make up a word, in any script and for any tokenizer: byte-level BPE, WordPiece, SentencePiece, letters.

Found from where tokens stand in the text, not from how a tokenizer marks them. A word is a run of letters, marks and
digits, with apostrophes and hyphens inside; a punctuation mark is a word of its own. Where a script puts no spaces
between words (Chinese, Japanese, Thai, Khmer, Lao, Burmese), each token is one, and never less than a character.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from auditkit.models.protocols import Ints

UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
LETTER = rf"[\p{{L}}\p{{M}}\p{{N}}_--[{UNSPACED}]]"
SEGMENT = rf"\[[A-Z]+\]|<[a-z]+>|{LETTER}+(?:['\u2019\-]{LETTER}+)*|[{UNSPACED}]\p{{M}}*|[^\s]"
"""In this order: a special token written into the text, a word, a character of an unspaced script, anything else."""


@cache
def _pattern() -> Any:
    import regex  # type: ignore[import-untyped, unused-ignore]  # knows Unicode's scripts, as `re` does not

    return regex.compile(SEGMENT, regex.V1)


def word_of_token(text: str, offsets: Ints, special: npt.NDArray[np.bool_]) -> tuple[Ints, tuple[str, ...]]:
    """The word that each token belongs to, and the words as they are written.

    Args:
        text: what was tokenized.
        offsets: (T, 2) where each token stands in it, in characters.
        special: (T,) True at special tokens, which belong to no word.

    Returns:
        (T,) index into the words, -1 at special tokens; and the words in their order. White space that is a token
        by itself is a word too.
    """
    segments = _Segments(text)
    spans: list[tuple[int, int]] = []
    owner = np.full(len(offsets), -1, dtype=np.int64)
    for t in np.flatnonzero(~special).tolist():
        span = segments.covering(*offsets[t].tolist())
        if spans and (span[0] < spans[-1][1] or span[0] == span[1]):  # shares a segment, or is a piece of a character
            spans[-1] = (spans[-1][0], max(spans[-1][1], span[1]))
        else:
            spans.append(span)
        owner[t] = len(spans) - 1
    return owner, tuple(text[a:b] for a, b in spans)


class _Segments:
    """The segments of a text, by the characters they hold."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.spans = [m.span() for m in _pattern().finditer(text)]
        self.at = {c: i for i, (a, b) in enumerate(self.spans) for c in range(a, b)}

    def covering(self, start: int, end: int) -> tuple[int, int]:
        """From the beginning of the first segment in [start, end) to the end of the last one; itself if white space."""
        touched = [self.at[c] for c in range(start, end) if c in self.at]
        return (self.spans[touched[0]][0], self.spans[touched[-1]][1]) if touched else (start, end)


def sum_over_words(values: npt.NDArray[Any], owner: Ints, words: int) -> npt.NDArray[np.float64]:
    """(words,) sums of the tokens' values; those of special tokens are left out."""
    inside = owner >= 0
    return np.bincount(owner[inside], values[inside], minlength=words).astype(np.float64)
