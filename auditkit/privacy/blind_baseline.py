"""Can members be told from non-members without the model? Then an attack's success says nothing about the model.

A bag-of-words logistic regression reads the texts alone, cross-validated. If it beats chance, members and non-members
are not from one distribution (another time, topic, source), and an attack may pick up that difference instead of
membership; many published benchmarks fail this (Das et al., 2024, "Blind baselines beat membership inference
attacks"; Meeus et al., 2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auditkit import extras
from auditkit.errors import DataError
from auditkit.measurement import Interval
from auditkit.privacy.roc import Floats, auc

FOLDS = 5
WORD = r"\w+|[^\w\s]"  # single letters and punctuation too: a character-level model's texts may hold little else


@dataclass(frozen=True, slots=True)
class BlindBaseline:
    """How well the texts alone tell members from non-members.

    Attributes:
        auc: of the cross-validated scores.
        interval: its interval.
        contributions: (members + nonmembers,) as in `roc.Auc`.
        telltale: the words whose weights point most to members, and most to non-members.
    """

    auc: float
    interval: Interval
    contributions: Floats
    telltale: tuple[tuple[str, ...], tuple[str, ...]]

    @property
    def beats_chance(self) -> bool:
        """Whether the whole interval lies above 0.5."""
        return self.interval.low > 0.5


@extras.explained()
def blind_baseline(
    members: Sequence[str], nonmembers: Sequence[str], *, rng: np.random.Generator, level: float = 0.95
) -> BlindBaseline:
    """Fit the baseline in five stratified folds and judge each text by a fit that has not seen it.

    Folds share most of their training texts, so their errors are not independent: the variance of the AUC is inflated
    by 1 + K / (K - 1) for K folds (Nadeau & Bengio, 2003).

    Args:
        members: texts that the model was trained on.
        nonmembers: texts that it was not.
        rng: deals the texts to the folds.
        level: of the interval.

    Raises:
        DataError: fewer members or non-members than folds.
    """
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    m, n = len(members), len(nonmembers)
    if min(m, n) < FOLDS:
        raise DataError(f"{m} members and {n} non-members; the blind baseline needs {FOLDS} of each at least")
    vectorizer = CountVectorizer(token_pattern=WORD, binary=True)
    words, target = vectorizer.fit_transform([*members, *nonmembers]), np.repeat([1, 0], [m, n])
    model = LogisticRegression(solver="liblinear", class_weight="balanced", random_state=0)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=int(rng.integers(2**31)))
    scores = cross_val_predict(model, words, target, cv=folds, method="decision_function")
    found = auc(scores[:m], scores[m:], level=level, variance_factor=1 + FOLDS / (FOLDS - 1))
    order = np.argsort(model.fit(words, target).coef_[0])
    vocabulary = vectorizer.get_feature_names_out()
    telltale = tuple(tuple(str(vocabulary[i]) for i in side) for side in (order[::-1][:5], order[:5]))
    return BlindBaseline(found.value, found.interval, found.contributions, (telltale[0], telltale[1]))
