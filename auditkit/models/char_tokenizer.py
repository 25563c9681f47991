"""Characters to token ids and back."""

from __future__ import annotations

from collections.abc import Sequence


def vocabulary_of(text: str) -> str:
    """The distinct characters of `text`, in code point order."""
    return "".join(sorted(set(text)))


class CharTokenizer:
    """One token per character (Unicode code point).

    Attributes:
        vocabulary: the symbols in the order of their ids.
        fallback: what a character outside the vocabulary is read as: a space, or the first symbol if there is none.
        start: the ids put before a text so that its first character has a predecessor: a newline, since a text
            stands at the beginning of a line; nothing where the vocabulary has no newline.
    """

    def __init__(self, vocabulary: str) -> None:
        self.vocabulary = vocabulary
        self.fallback = " " if " " in vocabulary else vocabulary[0]
        self._ids = {symbol: i for i, symbol in enumerate(vocabulary)}
        self.start = [self._ids["\n"]] if "\n" in self._ids else []

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._ids

    def encode(self, text: str) -> tuple[list[int], int]:
        """The id of every character, and how many characters were read as `fallback`."""
        unknown = self._ids[self.fallback]
        return [self._ids.get(c, unknown) for c in text], sum(c not in self._ids for c in text)

    def decode(self, ids: Sequence[int]) -> str:
        """Inverse of `encode` for texts inside the vocabulary."""
        return "".join(self.vocabulary[i] for i in ids)
