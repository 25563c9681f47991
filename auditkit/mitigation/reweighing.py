"""Reweighing: people count more or less in training, so that outcome and group are independent.

A person of group s with outcome y gets the weight P(s) P(y) / P(s, y): how frequent such people would be if the
outcome did not depend on the group, over how frequent they are. Kamiran & Calders (2012), algorithm 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditkit.fairness.people import is_unknown
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
        weights = reweighing_weights(groups, train.label, train.counts)
        return ClassifierDecider(fit_logistic(train.features, train.label, weights, counts=train.weights))


def reweighing_weights(groups: Texts, label: Bools, counts: Floats | None = None) -> Floats:
    """(n,) weight of each person; times the counts they sum to the people of every group, every outcome, and all.

    Args:
        groups: (n,) each person's group; every group has people of both outcomes. Who has no known one gets 1.
        label: (n,) whether the outcome is the favourable one.
        counts: (n,) how many people each one stands for; None for one each.
    """
    known, weights = ~is_unknown(groups), np.ones(len(groups))
    each = np.ones(len(groups)) if counts is None else counts
    _, group = np.unique(groups[known].astype(str), return_inverse=True)
    outcome, each = label[known].astype(int), each[known]
    in_group, with_outcome = np.bincount(group, each), np.bincount(outcome, each, minlength=2)
    cells = np.bincount(2 * group + outcome, each, minlength=2 * len(in_group))
    expected = in_group[group] * with_outcome[outcome] / each.sum()
    weights[known] = expected / cells[2 * group + outcome]
    return weights
