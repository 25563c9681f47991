"""Which tokens make up a word, in any script and for any tokenizer: byte-level BPE, WordPiece, SentencePiece, letters.

Found from where tokens stand in the text, not from how a tokenizer marks them. A punctuation mark is a word of its own,
an emoji of several characters is one, and a mark that combines with a letter is part of it. Where a script puts no
spaces between words (Chinese, Japanese, Thai, Khmer, Lao, Burmese), each token is one, and never less than a character.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from auditkit.models.protocols import Ints

UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
SPECIAL = r"\[[A-Z]+\]|<[a-z]+>"
JOINERS = r"\u200c\u200d"
"""Written between the letters of one word, in Persian and in the scripts of India."""
LETTER = rf"[\p{{L}}\p{{M}}\p{{N}}{JOINERS}_--[{UNSPACED}]]"
REST = rf"[{UNSPACED}]\p{{M}}*|(?!\s)\X"
WORD = rf"{SPECIAL}|{LETTER}+(?:['\u2019\-]{LETTER}+)*|{REST}"
"""As readers see words: letters, marks and digits, with apostrophes and hyphens inside.

In this order: a special token written into the text, a word, a character of an unspaced script, anything else.
"""
RUN = rf"{SPECIAL}|[{LETTER}--_]+|{REST}"
"""As WordPiece sees them, which the published scores by word are computed with: nothing but letters, marks, digits."""


@cache
def _pattern(words: str) -> Any:
    import regex  # type: ignore[import-untyped, unused-ignore]  # knows Unicode's scripts, as `re` does not

    return regex.compile(words, regex.V1)


def word_spans(text: str, words: str = WORD) -> list[tuple[int, int]]:
    """Start and end of each word, in characters; white space is between them. `words`: WORD or RUN."""
    return [found.span() for found in _pattern(words).finditer(text)]


def with_spaces(text: str) -> list[str]:
    """The text cut into words, each with the white space before it; together they are the text."""
    ends = [0, *(end for _, end in word_spans(text))]
    ends += [len(text)] if ends[-1] < len(text) else []
    return [text[a:b] for a, b in pairwise(ends)]


def word_of_token(
    text: str, offsets: Ints, special: npt.NDArray[np.bool_], words: str = WORD
) -> tuple[Ints, tuple[str, ...]]:
    """The word that each token belongs to, and the words as they are written.

    Args:
        text: what was tokenized.
        offsets: (T, 2) where each token stands in it, in characters.
        special: (T,) True at special tokens, which belong to no word.
        words: WORD or RUN.

    Returns:
        (T,) index into the words, -1 at special tokens; and the words in their order. White space that is a token
        by itself is a word too.
    """
    segments = _Segments(text, words)
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


def scored_words(text: str, offsets: Ints, special: npt.NDArray[np.bool_]) -> Ints:
    """(T,) the word (RUN) that each token is scored with; -1 at special tokens.

    White space that is a token by itself belongs to the word after it: "▁" before the pieces of a word says no more
    than that a word begins, and with its pieces in sight that is no question.
    """
    owner, words = word_of_token(text, offsets, special, RUN)
    blank = np.array([not word.strip() for word in words], dtype=bool)
    after = np.arange(len(words))
    for w in reversed(range(len(words) - 1)):
        after[w] = after[w + 1] if blank[w] else w
    return np.where(owner >= 0, after[owner], -1) if len(words) else owner


class _Segments:
    """The segments of a text, by the characters they hold."""

    def __init__(self, text: str, words: str) -> None:
        self.text = text
        self.spans = word_spans(text, words)
        self.at = {c: i for i, (a, b) in enumerate(self.spans) for c in range(a, b)}

    def covering(self, start: int, end: int) -> tuple[int, int]:
        """From the beginning of the first segment in [start, end) to the end of the last one; itself if white space."""
        touched = [self.at[c] for c in range(start, end) if c in self.at]
        return (self.spans[touched[0]][0], self.spans[touched[-1]][1]) if touched else (start, end)


def sum_over_words(values: npt.NDArray[Any], owner: Ints, words: int) -> npt.NDArray[np.float64]:
    """(words,) sums of the tokens' values; those of special tokens are left out."""
    inside = owner >= 0
    return np.bincount(owner[inside], values[inside], minlength=words).astype(np.float64)
