"""Iterated nullspace projection: take out what a linear classifier tells the groups by, until none can.

Ravfogel et al. (2020). Each round fits a logistic regression of the group to the features as they are by then, and
projects them on the nullspace of its weights. LEACE reaches the same end in one step and moves the features less;
INLP is here because much published work uses it.

Stopping rule: part of the people are held out. The rounds end when on them the classifier's balanced accuracy (the mean
over groups of the share that it recognises) no longer exceeds chance, 1/groups, by 1.645 standard errors, a one-sided
test at 5 %. The directions of that last classifier stay in: they tell nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import ClassVar

import numpy as np

from auditkit import extras
from auditkit.errors import DataError, InputError
from auditkit.mitigation.baseline import MAX_ITERATIONS, Stage, check_train, known, refuse_weights
from auditkit.mitigation.erasure import ProjectedDecider, Projection, projected_logistic
from auditkit.mitigation.task import Bools, Floats, Split, Texts

Z = NormalDist().inv_cdf(0.95)


@dataclass(frozen=True, slots=True)
class NullspaceProjection(Projection):
    """The projection of INLP.

    Attributes:
        recognition: balanced accuracy on the held-out people, before the first round and after each.
        reached_chance: whether the rounds ended by the stopping rule, not by their number.
    """

    recognition: tuple[float, ...]
    reached_chance: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class INLP:
    """Logistic regression on features from which the groups were projected away, round by round.

    Attributes:
        max_rounds: end after so many, even if the groups can still be told apart.
        held_out: share of the people on whom the classifiers of the group are judged.
    """

    name: ClassVar[str] = "INLP"
    stage: ClassVar[Stage] = "before"
    source: ClassVar[str] = "Ravfogel et al. (2020), ACL"

    max_rounds: int = 100
    held_out: float = 0.3

    def __post_init__(self) -> None:
        if self.max_rounds < 1 or not 0 < self.held_out < 1:
            raise InputError(
                f"max_rounds={self.max_rounds}, held_out={self.held_out}; expected 1 or more rounds and a share "
                "between 0 and 1"
            )

    def fit(self, train: Split, *, sensitive: str, rng: np.random.Generator) -> ProjectedDecider:
        """Project the groups away from the standardised features of `train`, then learn from them.

        `rng` draws whom to hold out.
        """
        refuse_weights(self.name, train)
        people, groups = known(train, check_train(train, sensitive))
        mean, spread = people.features.mean(axis=0), people.features.std(axis=0)
        scale = np.where(spread > 0, spread, 1.0)
        found = self.project((people.features - mean) / scale, groups, rng=rng)
        # The same map in the units of the features; there it is oblique.
        return projected_logistic(
            replace(found, mean=mean, left=scale[:, None] * found.left, right=found.right / scale), train
        )

    def project(self, x: Floats, groups: Texts, *, rng: np.random.Generator) -> NullspaceProjection:
        """The orthogonal projection alone, as published; for embeddings, say.

        Args:
            x: (n, d) features of similar scale.
            groups: (n,) the group of each; two groups or more, each of two people or more.
            rng: draws whom to hold out.

        Raises:
            DataError: a group of one person, who cannot be both learned from and held out.
        """
        held = _held_out(groups, self.held_out, rng)
        x = x / (x.std(axis=0).mean() or 1.0)  # so that the penalty of the regression means the same in any unit
        directions, recognition = np.zeros((0, x.shape[1])), []
        while True:
            projection = Projection.orthogonal("INLP", directions)
            recognized, at_chance, weights = _recognize(projection.apply(x), groups, held)
            recognition.append(recognized)
            if at_chance or len(recognition) > self.max_rounds:
                break
            directions = np.vstack([directions, weights])
        return NullspaceProjection(
            *("INLP", projection.mean, projection.left, projection.right), tuple(recognition), at_chance
        )


def _held_out(groups: Texts, share: float, rng: np.random.Generator) -> Bools:
    """Of every group `share` of the people, at least one and not all."""
    held = np.zeros(len(groups), dtype=bool)
    for group in sorted(set(groups)):
        members = rng.permutation(np.flatnonzero(groups == group))
        if len(members) < 2:
            raise DataError(
                f"group {group!r} has 1 person; expected 2 or more, one to learn from and one to hold out; merge the "
                "group with another"
            )
        held[members[: min(max(1, round(share * len(members))), len(members) - 1)]] = True
    return held


@extras.explained()
def _recognize(x: Floats, groups: Texts, held: Bools) -> tuple[float, bool, Floats]:
    """Held-out balanced accuracy of a classifier of the group, whether that is chance, and its (k, d) weights."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(class_weight="balanced", max_iter=MAX_ITERATIONS).fit(x[~held], groups[~held])
    names, right = sorted(set(groups)), model.predict(x[held]) == groups[held]
    recalls = np.array([right[groups[held] == g].mean() for g in names])
    counts = np.array([(groups[held] == g).sum() for g in names])
    error = math.sqrt(float((recalls * (1 - recalls) / counts).sum())) / len(names)
    recognized = float(recalls.mean())
    return recognized, recognized - 1 / len(names) <= Z * error, model.coef_
