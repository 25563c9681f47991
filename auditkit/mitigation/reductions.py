"""The exponentiated-gradient reduction: a fair classifier as a lottery over classifiers that were weighted unfairly.

Agarwal et al. (2018), by fairlearn's `ExponentiatedGradient`. Each step fits an ordinary logistic regression to people
whose weights and labels were changed so that breaking the constraint is expensive; the result draws one of these
regressions for each person. Deciding does not need the group. What is drawn for somebody follows from their id, as in
`auditkit.mitigation.postprocess`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from auditkit import extras
from auditkit.errors import InputError
from auditkit.mitigation.baseline import MAX_ITERATIONS, Stage, check_train, known, known_features, repeated
from auditkit.mitigation.postprocess import person_draws
from auditkit.mitigation.task import Bools, Floats, Split, Texts

MOST_ROWS = 200_000
CONSTRAINTS = {"demographic_parity": "DemographicParity", "equalized_odds": "EqualizedOdds"}


@dataclass(frozen=True, slots=True)
class LotteryDecider:
    """A lottery over classifiers.

    Attributes:
        scaler: standardises the features.
        classifiers: those that may be drawn.
        weights: (m,) the probability of each; they sum to 1.
        seed: of the lottery.
        gap: how far the lottery is from the best one possible, in units of the error rate (the duality gap).
    """

    scaler: Any
    classifiers: tuple[Any, ...]
    weights: Floats
    seed: int
    gap: float

    def scores(self, people: Split) -> Floats:
        """(n,) the classifiers' mean probability of the favourable outcome.

        They learned from changed labels, so that this ranks people and is not calibrated.
        """
        x = self._standardized(people)
        return np.asarray(sum(w * _probability(c, x) for w, c in zip(self.weights, self.classifiers, strict=True)))

    def chances(self, people: Split) -> Floats:
        """(n,) probability of a yes before the lottery."""
        x = self._standardized(people)
        return np.asarray(sum(w * c.predict(x) for w, c in zip(self.weights, self.classifiers, strict=True)))

    def decide(self, people: Split) -> Bools:
        """(n,) the decision; the same for the same person each time."""
        return person_draws(people.ids, self.seed) < self.chances(people)

    def _standardized(self, people: Split) -> Floats:
        return np.asarray(self.scaler.transform(known_features(people, self.scaler.n_features_in_)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExponentiatedGradientReduction:
    """A lottery over logistic regressions that keeps a fairness constraint on the people learned from.

    Attributes:
        constraint: "demographic_parity" for equal selection rates, "equalized_odds" for equal true and false positive
            rates.
        bound: how far a group's rate may be from that of everybody.
        max_iterations: at most so many regressions are fitted by the gradient steps.
    """

    name: ClassVar[str] = "exponentiated gradient"
    stage: ClassVar[Stage] = "during"
    source: ClassVar[str] = "Agarwal et al. (2018), ICML"

    constraint: Literal["demographic_parity", "equalized_odds"] = "demographic_parity"
    bound: float = 0.01
    max_iterations: int = 50

    def __post_init__(self) -> None:
        if self.constraint not in CONSTRAINTS:
            raise InputError(f"constraint={self.constraint!r}; expected {' or '.join(CONSTRAINTS)}")
        if not 0 < self.bound < 1 or self.max_iterations < 1:
            raise InputError(
                f"bound={self.bound}, max_iterations={self.max_iterations}; expected a difference of rates between 0 "
                "and 1 and one iteration or more"
            )

    @extras.explained()
    def fit(self, train: Split, *, sensitive: str, rng: np.random.Generator) -> LotteryDecider:
        """Learn from `train`; `rng` draws the seed of the lottery, and nothing else is drawn.

        Whoever's group is not known is not learned from. fairlearn counts rows, so that whole weights are exact and
        others rounded (see `repeated`).
        """
        from sklearn.preprocessing import StandardScaler

        train, groups = known(train, check_train(train, sensitive))
        rows = repeated(train.weights, len(train), max(len(train), MOST_ROWS))
        scaler = StandardScaler().fit(train.features[rows])
        found = self._reduce(scaler.transform(train.features[rows]), train.label[rows], groups[rows])
        weights = found.weights_.sort_index()
        drawn = weights[weights > 0]
        classifiers = tuple(found.predictors_[i] for i in drawn.index)
        shares = drawn.to_numpy(dtype=np.float64)
        return LotteryDecider(scaler, classifiers, shares / shares.sum(), int(rng.integers(2**63)), found.best_gap_)

    @extras.explained()
    def _reduce(self, x: Floats, label: Bools, groups: Texts) -> Any:
        """The algorithm of fairlearn, fitted."""
        from fairlearn import reductions
        from sklearn.linear_model import LogisticRegression

        reduction = reductions.ExponentiatedGradient(
            LogisticRegression(max_iter=MAX_ITERATIONS),
            getattr(reductions, CONSTRAINTS[self.constraint])(difference_bound=self.bound),
            eps=self.bound,
            max_iter=self.max_iterations,
        )
        with warnings.catch_warnings():
            # fairlearn 0.15 fills a Series in ways that pandas 3 deprecates; the results are right.
            warnings.filterwarnings("ignore", "Setting an? (value|item)", DeprecationWarning)
            return reduction.fit(x, label.astype(int), sensitive_features=groups)


def _probability(classifier: Any, x: Floats) -> Floats:
    """Of label 1, by a classifier that may know only one label: where all labels became alike, fairlearn fits none."""
    if len(classifier.classes_) == 1:
        return np.full(len(x), float(classifier.classes_[0]))
    return np.asarray(classifier.predict_proba(x)[:, 1], dtype=np.float64)
