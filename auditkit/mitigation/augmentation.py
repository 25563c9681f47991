"""Counterfactual data augmentation: people described in words are learned from twice, as they are and as others.

"A single woman of 30 asks for a loan" and "A single man of 30 asks for a loan" get the same label, so that what a text
says of the group carries no information about the outcome. After Lu et al. (2020), Gender bias in neural NLP; Zhao et
al. (2018), NAACL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from auditkit.errors import DataError
from auditkit.mitigation.baseline import ClassifierDecider, check_train, fit_logistic
from auditkit.mitigation.task import Floats, Split
from auditkit.models.protocols import EmbedsText

CHECKED = 4  # people whose features are embedded anew, to see that the encoder is theirs
TOLERANCE = 1e-3  # a text's embedding differs by rounding with the texts that it shares a batch with


class Swaps(Protocol):
    """Rewrites a text as if it were about somebody of another group; see `auditkit.mitigation.swaps`."""

    def swap(self, text: str) -> Any:
        """The rewritten text as the attribute `text`, and as `left` what of it was left as it is, unsure."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterfactualAugmentation:
    """Logistic regression on embeddings of texts and of their swapped twins, each of a pair counting one half.

    Attributes:
        encoder: the one whose embeddings the features of the people are.
        swapper: exchanges the words that say who somebody is; its kinds should fit the sensitive attribute.
    """

    name: ClassVar[str] = "counterfactual augmentation"
    stage: ClassVar[Literal["before"]] = "before"
    source: ClassVar[str] = "Lu et al. (2020), Gender bias in neural natural language processing"

    encoder: EmbedsText
    swapper: Swaps

    def fit(self, train: Split, *, sensitive: str, rng: np.random.Generator) -> ClassifierDecider:
        """Learn from `train` and its twins; nothing is drawn.

        Raises:
            DataError: as every mitigation; there are no texts, no text is changed by the swap, or the features are not
                the encoder's embeddings.
        """
        check_train(train, sensitive)
        twins, unsure = swapped_texts(train, self.swapper)
        changed = np.array([a != b for a, b in zip(train.texts or (), twins, strict=True)])
        check_encoder(train, self.encoder)
        embedded = np.asarray(self.encoder.embed([t for t, c in zip(twins, changed, strict=True) if c]), np.float64)
        features = np.concatenate([train.features, embedded])
        label = np.concatenate([train.label, train.label[changed]])
        weight = np.concatenate([np.where(changed, 0.5, 1.0), np.full(len(embedded), 0.5)])
        counts = None if train.weights is None else np.concatenate([train.weights, train.weights[changed]])
        about = {"texts_swapped": int(changed.sum()), "texts_left_unsure": unsure}
        return ClassifierDecider(fit_logistic(features, label, weight, counts=counts), about)


def swapped_texts(people: Split, swapper: Swaps) -> tuple[tuple[str, ...], int]:
    """Everybody's text with the group's words exchanged; and how many stay whole, since the swap of a part is unsure.

    Raises:
        DataError: there are no texts, or none that the swap changes.
    """
    if people.texts is None:
        raise DataError("these people are columns of numbers; expected a text of each (a task with features='text')")
    swapped = [swapper.swap(text) for text in people.texts]
    twins = tuple(text if s.left else str(s.text) for text, s in zip(people.texts, swapped, strict=True))
    if twins == people.texts:
        raise DataError(
            f"none of {len(twins)} texts is changed by the swap, so nobody has a counterfactual: expected texts that "
            "say the sensitive attribute, and a swapper of its kind"
        )
    return twins, sum(bool(s.left) for s in swapped)


def embedded_twins(people: Split, encoder: EmbedsText, swapper: Swaps) -> Floats:
    """(n, d) embeddings of everybody's swapped text.

    Raises:
        DataError: as `swapped_texts` and `check_encoder`.
    """
    twins, _ = swapped_texts(people, swapper)
    check_encoder(people, encoder)
    return np.asarray(encoder.embed(twins), dtype=np.float64)


def check_encoder(people: Split, encoder: EmbedsText) -> None:
    """DataError where the features are not what the encoder makes of the texts."""
    expected = np.asarray(encoder.embed((people.texts or ())[:CHECKED]), dtype=np.float64)
    given = people.features[:CHECKED]
    if given.shape != expected.shape or np.abs(given - expected).max() > TOLERANCE:
        raise DataError(
            f"features with {given.shape[1]} columns are not what this encoder makes of the texts ({expected.shape[1]} "
            "columns); give the mitigation the encoder that the task was made with"
        )
