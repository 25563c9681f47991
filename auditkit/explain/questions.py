"""What is explained, down to the rows that the model reads and the numbers that are read off its output.

A *question* is one number that the model computes from one text, as a function of how much of each token is there:
v(a), a in [0, 1]^F. Where a_f = 1 the model sees the embedding of token f, where a_f = 0 that of the baseline, and in
between a mixture. All methods need v and its gradient, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from auditkit.models.protocols import Ints
from auditkit.models.words import word_of_token


@dataclass(frozen=True, slots=True)
class Branch:
    """One row that the model reads; two of them where two continuations or two sentences are compared.

    Attributes:
        ids: (T,) token ids.
        feature: (T,) which token of the question stands at each position; -1 where the row is held as it is.
        positions: (k,) where the output is read.
        targets: (k,) whose score is read there: a token of the vocabulary, or a class.
        weights: (k,) what each counts in the sum.
        forced: (m,) ids that the decoder of a sequence-to-sequence model is made to write; empty for the others.
    """

    ids: Ints
    feature: Ints
    positions: Ints
    targets: Ints
    weights: npt.NDArray[np.float64]
    forced: Ints

    @property
    def input(self) -> bytes:
        """The same for branches that put the same before the model, whatever they read off its output."""
        return b"|".join(x.tobytes() for x in (self.ids, self.feature, self.forced))


def merged(parallel: Sequence[Branch]) -> Branch:
    """One branch that reads all that branches of the same input read, one after the other."""
    if len(parallel) == 1:
        return parallel[0]
    reads = {name: np.concatenate([getattr(b, name) for b in parallel]) for name in ("positions", "targets", "weights")}
    return replace(parallel[0], **reads)


def branch(
    ids: Sequence[int] | Ints,
    feature: Sequence[int] | Ints,
    reads: Sequence[tuple[int, int, float]] = (),
    forced: Sequence[int] = (),
) -> Branch:
    """A Branch from plain lists; `reads` holds (position, target, weight)."""
    places = np.array([read[:2] for read in reads], dtype=np.int64).reshape(-1, 2)
    weights = np.array([read[2] for read in reads], dtype=np.float64)
    row, tokens, written = (np.array(x, dtype=np.int64) for x in (ids, feature, forced))
    return Branch(row, tokens, places[:, 0], places[:, 1], weights, written)


@dataclass(frozen=True, slots=True)
class Question:
    """One number to be explained; see the module.

    Attributes:
        text: what the user gave.
        asks: the number in words, e.g. "log p('she') - log p('he')".
        tokens: (F,) the piece of the text that each token stands for, or the name of a special token.
        special: (F,) True at special tokens.
        owner: (F,) the word of each token; -1 at special tokens.
        words: the words as they are written.
        branches: the rows; the number is the weighted sum of all that is read off them.
        contrast: whether the number is a difference between two alternatives.
    """

    text: str
    asks: str
    tokens: tuple[str, ...]
    special: npt.NDArray[np.bool_]
    owner: Ints
    words: tuple[str, ...]
    branches: tuple[Branch, ...]
    contrast: bool = False

    @property
    def ordinary(self) -> list[int]:
        """Indices of the tokens that are not special: those that can be switched off."""
        return np.flatnonzero(~self.special).tolist()

    @property
    def length(self) -> int:
        """Tokens that one evaluation makes the model read, padding between the branches included."""
        return len(self.branches) * max(len(b.ids) + len(b.forced) for b in self.branches)

    def without(self, words: Sequence[int]) -> Question:
        """The same question about the text with some words taken out, so that it is shorter.

        The kept tokens are renumbered; what is read stays with its token.
        """
        gone = np.isin(self.owner, list(words))
        number = np.where(gone, -2, np.cumsum(~gone) - 1)
        kept = np.flatnonzero(~gone).tolist()
        branches = tuple(_shortened(b, gone, number) for b in self.branches)
        tokens = tuple(self.tokens[i] for i in kept)
        return replace(self, tokens=tokens, special=self.special[kept], owner=self.owner[kept], branches=branches)


def _shortened(b: Branch, gone: npt.NDArray[np.bool_], number: Ints) -> Branch:
    keep = (b.feature < 0) | ~gone[b.feature]
    moved = np.cumsum(keep) - 1
    feature = np.where(b.feature >= 0, number[b.feature], -1)[keep]
    positions = b.positions if len(b.forced) else moved[b.positions]
    return replace(b, ids=b.ids[keep], feature=feature, positions=positions)


def question(text: str, asks: str, tokens: Any, branches: Sequence[Branch], *, contrast: bool = False) -> Question:
    """A Question about one text.

    Args:
        text: what the user gave.
        asks: the number in words.
        tokens: `auditkit.explain.layers.Tokens` of the text.
        branches: features are the indices of `tokens`.
        contrast: see Question.
    """
    owner, words = word_of_token(text, tokens.offsets, tokens.special)
    return Question(text, asks, tuple(tokens.names), tokens.special, owner, words, tuple(branches), contrast)
