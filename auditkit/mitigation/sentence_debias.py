"""SentenceDebias: the directions in which counterfactual sentences differ, taken out of sentence vectors.

Liang et al. (2020). For pairs of texts that differ only in the group ("He is a nurse." / "She is a nurse.") the
principal components of each text's vector less the mean of its pair span the bias subspace. The two texts of a pair
lie opposite each other, so that these are the singular vectors of the differences, not centred again: centring would
take out the direction that all pairs share, which is the bias itself.

It promises nothing about what is left: counterparts differ by a little more than the subspace, and a classifier may
find the group in that little. LEACE does promise.

`DebiasedEncoder` puts this projection, or that of LEACE or INLP, on an encoder, whose bias can then be measured anew.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from auditkit.errors import DataError, InputError
from auditkit.mitigation.baseline import Stage, check_train
from auditkit.mitigation.erasure import ProjectedDecider, Projection, projected_logistic
from auditkit.mitigation.task import Split
from auditkit.models.protocols import EmbedsText, Model

SAME = 1e-6  # two vectors of unit length nearer than this are the same


class Encoder(Model, EmbedsText, Protocol):
    """A model that embeds texts."""


class DebiasedEncoder:
    """A sentence encoder with directions taken out of its vectors, which are then scaled to unit length again.

    Implements EmbedsText. Notices are the encoder's, and count vectors of which nothing is left.

    Args:
        encoder: the encoder.
        projection: what is taken out of its vectors.

    Raises:
        DataError: the projection is of vectors of another length.
    """

    task = "sentence-encoder"

    def __init__(self, encoder: Encoder, projection: Projection) -> None:
        dimension = encoder.embed(["a"]).shape[1]
        if dimension != len(projection.mean):
            raise DataError(
                f"{encoder.name} gives vectors of length {dimension}, the projection {projection.method} is of length "
                f"{len(projection.mean)}; fit the projection to vectors of this encoder"
            )
        self.encoder = encoder
        self.projection = projection
        self.name = f"{encoder.name} less {projection.method}"
        self.notices: Counter[str] = encoder.notices

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n, d) unit vectors; a zero vector where nothing is left."""
        vectors = self.projection.apply(self.encoder.embed(texts).astype(np.float64))
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        nothing = norms < SAME
        if nothing.any():
            self.notices[f"vectors of which {self.projection.method} left nothing"] += int(nothing.sum())
        return np.where(nothing, 0.0, vectors / np.where(nothing, 1.0, norms)).astype(np.float32)

    def describe(self) -> dict[str, Any]:
        """That of the encoder, and what was taken out; the hash is of both."""
        described, projection = self.encoder.describe(), self.projection
        taken = f"{projection.rank} directions taken out ({projection.method})"
        hashes = f"{described['weights_sha256']}|{projection.sha256}"
        return {
            **described,
            "name": self.name,
            "architecture": f"{described['architecture']}, {taken}",
            "weights_sha256": hashlib.sha256(hashes.encode()).hexdigest(),
            "projection": {"method": projection.method, "rank": projection.rank, "sha256": projection.sha256},
        }

    def randomized(self, seed: int) -> DebiasedEncoder:
        """The encoder with fresh weights, under the same projection."""
        twin: Any = self.encoder.randomized(seed)
        return DebiasedEncoder(twin, self.projection)


def bias_subspace(
    one: npt.NDArray[np.floating[Any]], other: npt.NDArray[np.floating[Any]], *, components: int = 1
) -> Projection:
    """The projection that takes out the subspace in which counterparts differ most.

    Args:
        one: (n, d) vectors of texts.
        other: (n, d) vectors of their counterparts.
        components: how many directions the subspace has.

    Raises:
        DataError: not as many counterparts as texts, or fewer independent differences than `components`.
    """
    if one.shape != other.shape:
        raise DataError(f"vectors of shape {one.shape} and counterparts of {other.shape}; expected the same shape")
    differences = one.astype(np.float64) - other.astype(np.float64)
    _, sizes, rows = np.linalg.svd(differences, full_matrices=False)
    found = int((sizes > SAME).sum())
    if found < components:
        raise DataError(
            f"{len(one)} pairs differ in {found} independent directions; {components} were to be taken out: give more "
            "pairs that differ, or ask for fewer components"
        )
    return Projection.orthogonal("SentenceDebias", rows[:components])


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceDebias:
    """Logistic regression on text vectors from which the directions of swapped group words were taken out.

    The people's features must be the vectors that `encoder` gives their texts.

    Attributes:
        encoder: embeds texts.
        pairs: texts that differ only in the group; None swaps the gendered words in the texts of people.
        components: how many directions are taken out.
        max_pairs: swap the texts of at most so many people, drawn at random.
    """

    name: ClassVar[str] = "SentenceDebias"
    stage: ClassVar[Stage] = "before"
    source: ClassVar[str] = "Liang et al. (2020), ACL"

    encoder: EmbedsText
    pairs: Sequence[tuple[str, str]] | None = None
    components: int = 1
    max_pairs: int = 1000

    def __post_init__(self) -> None:
        if self.components < 1 or self.max_pairs < 1:
            raise InputError(f"components={self.components}, max_pairs={self.max_pairs}; expected 1 or more of both")
        if self.pairs is not None and not self.pairs:
            raise InputError("no pairs; give texts that differ only in the group, or None to swap words in people's")

    def fit(self, train: Split, *, sensitive: str, rng: np.random.Generator) -> ProjectedDecider:
        """Find the subspace, take it out of the features of `train`, then learn from them.

        Raises:
            DataError: as every mitigation; people without texts, or none that names a group; another encoder.
        """
        check_train(train, sensitive)
        pairs = self.pairs if self.pairs is not None else swapped_pairs(train, self.max_pairs, rng)
        one, other = (self.encoder.embed([pair[side] for pair in pairs]) for side in (0, 1))
        self._check_features(train, one.shape[1])
        return projected_logistic(bias_subspace(one, other, components=self.components), train)

    def _check_features(self, train: Split, dimension: int) -> None:
        """The features are the encoder's vectors: checked on the first few people with texts."""
        few = min(len(train), 4)
        if train.features.shape[1] == dimension and (
            train.texts is None or np.allclose(self.encoder.embed(train.texts[:few]), train.features[:few], atol=1e-3)
        ):
            return
        raise DataError(
            "the people's features are not the vectors that the encoder gives their texts; make the task with "
            "features='text' and the same encoder"
        )


def swapped_pairs(train: Split, at_most: int, rng: np.random.Generator) -> list[tuple[str, str]]:
    """Texts of people and the same with gendered words swapped; those without, or whose swap is unsure, are left out.

    Raises:
        DataError: people without texts, or none with a gendered word.
    """
    from auditkit.mitigation.swaps import Swapper

    if train.texts is None:
        raise DataError("people without texts; give pairs of texts, or make the task with features='text'")
    swapper = Swapper(kinds=("gender",))
    chosen = [train.texts[i] for i in np.sort(rng.permutation(len(train))[:at_most])]
    swapped = [(text, swapper.swap(text)) for text in chosen]
    pairs = [(text, twin.text) for text, twin in swapped if twin.changes and not twin.left]
    if not pairs:
        raise DataError(f"no gendered word in the texts of {len(chosen)} people; give pairs of texts that differ")
    return pairs
