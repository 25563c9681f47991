"""Texts and their swapped counterparts, classified both ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auditkit.errors import MissingCapability
from auditkit.mitigation.swaps import Swapped, Swapper
from auditkit.models.protocols import Classifies, Floats

SAME = 1e-9  # two probabilities that differ by less are one
FEWEST_TEXTS = 5  # different ones; fewer may happen to look the same to a good classifier


@dataclass(frozen=True, slots=True)
class Flips:
    """What became of the texts of one kind of swap.

    Attributes:
        kind: the kind of swap.
        rows: (n,) which texts of the table hold a word to exchange, and only such whose counterpart is sure.
        unsure: which texts of the table hold one whose counterpart is not; nothing is asked about them.
        texts: those texts.
        swapped: their counterparts.
        before: (n,) probability of the favourable label for the texts as they are, and
        after: (n,) for their counterparts.
        chosen: (n, 2) whether the favourable label was decided, before and after.
        flipped: (n,) whether the decision changed, to whichever label.
    """

    kind: str
    rows: list[int]
    unsure: list[int]
    texts: list[str]
    swapped: list[Swapped]
    before: Floats
    after: Floats
    chosen: Floats
    flipped: Floats

    def about(self, first: bool) -> list[int]:
        """Positions of the texts most of whose group words name the first, or the second, of the two groups."""
        side = 1 if first else -1
        return [i for i, s in enumerate(self.swapped) if side * sum(1 if c.first else -1 for c in s.changes) > 0]


def find_flips(model: Classifies, texts: Sequence[str], kind: str, column: int) -> Flips:
    """Swap every text, and classify those that change both ways.

    Args:
        model: a text classifier.
        texts: the texts.
        kind: the kind of swap.
        column: position of the favourable label.
    """
    swapper = Swapper((kind,))
    swapped = [swapper.swap(text) for text in texts]
    rows = [i for i, s in enumerate(swapped) if s.changes and not s.left]
    kept, originals = [swapped[i] for i in rows], [texts[i] for i in rows]
    probabilities = model.classify([*originals, *(s.text for s in kept)]) if rows else np.zeros((0, len(model.labels)))
    both = probabilities.reshape(2, len(rows), len(model.labels))
    decided = both.argmax(axis=2)
    return Flips(
        kind=kind,
        rows=rows,
        unsure=[i for i, s in enumerate(swapped) if s.left],
        texts=originals,
        swapped=kept,
        before=both[0, :, column],
        after=both[1, :, column],
        chosen=np.equal(decided.T, column).astype(np.float64),
        flipped=(decided[0] != decided[1]).astype(np.float64),
    )


def refuse_constant(flips: Flips) -> None:
    """Raise MissingCapability for a classifier that says the same of all texts: it flips none, and knows nothing."""
    told = np.concatenate([flips.before, flips.after])
    if len(set(flips.texts)) >= FEWEST_TEXTS and np.ptp(told) < SAME:
        raise MissingCapability(
            f"the classifier gives each of {len(flips.texts)} texts the same probability, {told[0]:.4g}, and their "
            "counterparts too; a decision that does not depend on the text says nothing about the group words in it"
        )
