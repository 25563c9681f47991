"""Reweighing: people count more or less in training, so that outcome and group are independent.

A person of group s with outcome y gets the weight P(s) P(y) / P(s, y): how frequent such people would be if the
outcome did not depend on the group, over how frequent they are. Kamiran & Calders (2012), algorithm 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditkit.mitigation.baseline import ClassifierDecider, Stage, check_train, fit_logistic
from auditkit.mitigation.task import Bools, Floats, Split, Texts


@dataclass(frozen=True, slots=True, kw_only=True)
class Reweighing:
    """Logistic regression on reweighed people."""

    name: ClassVar[str] = "reweighing"
    stage: ClassVar[Stage] = "before"
    source: ClassVar[str] = "Kamiran & Calders (2012), Knowl. Inf. Syst. 33"

    def fit(self, train: Split, *, sensitive: str, rng: np.random.Generator) -> ClassifierDecider:
        """Learn from `train`, weighted; nothing is drawn."""
        groups = check_train(train, sensitive)
        weights = reweighing_weights(groups, train.label)
        return ClassifierDecider(fit_logistic(train.features, train.label, weights))


def reweighing_weights(groups: Texts, label: Bools) -> Floats:
    """(n,) weight of each person; they sum to n, over all people and within every group and every outcome.

    Args:
        groups: (n,) each person's group; every group has people of both outcomes.
        label: (n,) whether the outcome is the favourable one.
    """
    _, group, in_group = np.unique(groups.astype(str), return_inverse=True, return_counts=True)
    outcome = label.astype(int)
    with_outcome = np.bincount(outcome, minlength=2)
    cells = np.bincount(2 * group + outcome, minlength=2 * len(in_group))
    expected = in_group[group] * with_outcome[outcome] / len(label)
    return np.asarray(expected / cells[2 * group + outcome], dtype=np.float64)
