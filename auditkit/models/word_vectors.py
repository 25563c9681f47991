"""Static word vectors (GloVe, word2vec)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from auditkit.errors import DataError, VocabularyError


class WordVectors:
    """Adapter over a (vocabulary, matrix); implements EmbedsWords."""

    task = "word-vectors"

    def __init__(self, words: Sequence[str], matrix: npt.NDArray[np.float32], *, name: str) -> None:
        if len(words) != len(matrix):
            raise DataError(f"{name}: {len(words)} words but {len(matrix)} vectors; expected one vector a word")
        self.name = name
        self.matrix = matrix
        self.notices: Counter[str] = Counter()
        self._row = {word: i for i, word in enumerate(words)}

    def __contains__(self, word: str) -> bool:
        return word in self._row

    def vectors(self, words: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n, d) vectors, not normalised.

        Raises:
            VocabularyError: names every word that is missing.
        """
        missing = [w for w in words if w not in self._row]
        if missing:
            raise VocabularyError(f"{self.name} has no vector for: {', '.join(missing)}; leave these words out")
        return np.ascontiguousarray(self.matrix[[self._row[w] for w in words]])

    @cached_property
    def weights_sha256(self) -> str:
        """Hash of the words and the matrix, computed once."""
        digest = hashlib.sha256("\n".join(self._row).encode())
        digest.update(np.ascontiguousarray(self.matrix).tobytes())
        return digest.hexdigest()

    def describe(self) -> dict[str, Any]:
        """Identity of what is in memory; JSON values."""
        return {
            "name": self.name,
            "task": self.task,
            "architecture": f"{self.matrix.shape[1]}-dimensional static vectors",
            "device": "cpu",
            "dtype": str(self.matrix.dtype),
            "parameters": int(self.matrix.size),
            "weights_sha256": self.weights_sha256,
            "context": 1,
            "revision": None,
        }

    def randomized(self, seed: int) -> Self:
        """The same vocabulary with its vectors dealt out at random."""
        shuffled = self.matrix[np.random.default_rng(seed).permutation(len(self.matrix))]
        return type(self)(list(self._row), shuffled, name=f"{self.name} (vectors shuffled, seed {seed})")
