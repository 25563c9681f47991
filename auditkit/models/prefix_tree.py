"""Texts that begin alike, packed as one sequence in which the common beginning stands once.

A stereotyped pair, or a template with its words exchanged, shares most of its left context. A causal model need
not read that twice: the texts form a tree of tokens, written out depth first; each token attends to its ancestors
only and takes its depth as its position. The log-probabilities are those of the separate texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from auditkit.models.protocols import Ints


@dataclass
class PrefixTree:
    """Grows by `add`; `ids`, `parent` and `depth` describe its nodes in depth-first order."""

    ids: list[int] = field(default_factory=list)
    parent: list[int] = field(default_factory=list)
    depth: list[int] = field(default_factory=list)
    paths: list[list[int]] = field(default_factory=list)
    texts: list[int] = field(default_factory=list)

    def shared(self, ids: Sequence[int]) -> int:
        """How many leading tokens `ids` has in common with the text added last."""
        if not self.paths:
            return 0
        last = self.paths[-1]
        n = 0
        while n < min(len(last), len(ids)) and self.ids[last[n]] == ids[n]:
            n += 1
        return n

    def add(self, ids: Sequence[int], text: int) -> None:
        """Add one text; in sorted order of texts the longest common prefix is always with the last one."""
        common = self.shared(ids)
        path = self.paths[-1][:common] if self.paths else []
        for depth in range(common, len(ids)):
            self.parent.append(path[-1] if path else -1)
            path.append(len(self.ids))
            self.ids.append(ids[depth])
            self.depth.append(depth)
        self.paths.append(path)
        self.texts.append(text)

    def ancestors(self) -> npt.NDArray[np.bool_]:
        """(N, N) True where the column is the row itself or one of its ancestors."""
        mask = np.eye(len(self.ids), dtype=bool)
        for node, parent in enumerate(self.parent):
            if parent >= 0:
                mask[node] |= mask[parent]
        return mask


def grow(texts: Sequence[Ints], limit: int) -> list[PrefixTree]:
    """Pack texts into trees of at most `limit` nodes (a single longer text still gets a tree of its own).

    A text joins the tree of its neighbour in sorted order when they share more than the start token: packing unrelated
    texts would only lengthen the rows, and attention is quadratic in that.
    """
    order = sorted(range(len(texts)), key=lambda i: texts[i].tolist())
    trees: list[PrefixTree] = []
    for i in order:
        ids = texts[i].tolist()
        common = trees[-1].shared(ids) if trees else 0
        fits = bool(trees) and len(trees[-1].ids) + len(ids) - common <= limit
        if not (fits and common > 1):
            trees.append(PrefixTree())
        trees[-1].add(ids, i)
    return trees
