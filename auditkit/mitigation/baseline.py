"""Models that mitigate nothing: what every mitigation is compared with, and what most are built from.

logistic regression    linear in the features; the model that LEACE, INLP and the reductions fit too
gradient boosting      the usual choice for tables (Friedman 2001), to show what a stronger model would give
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from auditkit import extras
from auditkit.errors import DataError
from auditkit.fairness.people import Ints, is_unknown
from auditkit.mitigation.task import Bools, Floats, Split, Texts

Stage = Literal["none", "before", "during", "after"]

MAX_ITERATIONS = 2000  # of L-BFGS; on standardised features a few dozen are enough


@dataclass(frozen=True, slots=True)
class ClassifierDecider:
    """A fitted scikit-learn classifier that says yes where yes is at least as probable as no.

    Attributes:
        classifier: of labels False and True, with `predict_proba`; reads the features of a `Split`.
        about: what a report should say of how it was made.
    """

    classifier: Any
    about: Mapping[str, Any] = field(default_factory=dict)

    def scores(self, people: Split) -> Floats:
        """(n,) probability of the favourable outcome.

        Raises:
            DataError: features are missing, or are not those of the people learned from.
        """
        return favourable(self.classifier, known_features(people, self.classifier.n_features_in_))

    def decide(self, people: Split) -> Bools:
        """(n,) whether the score is at least one half."""
        return self.scores(people) >= 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class LogisticBaseline:
    """Logistic regression on standardised features (L2 penalty, C = 1), as it comes."""

    name: ClassVar[str] = "logistic regression"
    stage: ClassVar[Stage] = "none"
    source: ClassVar[str] = "Cox (1958), J. R. Stat. Soc. B 20"

    def fit(self, train: Split, *, sensitive: str, rng: np.random.Generator) -> ClassifierDecider:
        """Learn from `train`; the groups are checked and not used."""
        check_train(train, sensitive)
        return ClassifierDecider(fit_logistic(train.features, train.label, counts=train.weights))


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientBoosting:
    """Histogram gradient boosting with scikit-learn's defaults.

    Above 10,000 people a tenth of them, drawn under `rng`, decides when to stop.
    """

    name: ClassVar[str] = "gradient boosting"
    stage: ClassVar[Stage] = "none"
    source: ClassVar[str] = "Friedman (2001), Ann. Stat. 29; Ke et al. (2017), NeurIPS"

    @extras.explained()
    def fit(self, train: Split, *, sensitive: str, rng: np.random.Generator) -> ClassifierDecider:
        """Learn from `train`; the groups are checked and not used."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        check_train(train, sensitive)
        model = HistGradientBoostingClassifier(random_state=int(rng.integers(2**31)))
        return ClassifierDecider(model.fit(train.features, train.label, sample_weight=train.weights))


@extras.explained()
def fit_logistic(
    features: Floats,
    label: Bools | Texts,
    weight: Floats | None = None,
    *,
    counts: Floats | None = None,
    **options: Any,
) -> Any:
    """Logistic regression after standardising the features.

    Args:
        features: (n, d).
        label: (n,) what to predict; of several classes too.
        weight: (n,) how much each person counts in the regression; None for all alike.
        counts: (n,) how many people each one stands for, there and in standardising; None for one each.
        options: of `sklearn.linear_model.LogisticRegression`.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(**{"max_iter": MAX_ITERATIONS, **options}))
    both = weight if counts is None else counts if weight is None else weight * counts
    return model.fit(features, label, logisticregression__sample_weight=both, standardscaler__sample_weight=counts)


def favourable(classifier: Any, features: Floats) -> Floats:
    """(n,) the classifier's probability of the label True."""
    return np.asarray(classifier.predict_proba(features)[:, list(classifier.classes_).index(True)], dtype=np.float64)


def check_train(train: Split, sensitive: str) -> Texts:
    """Each person's group, after checking that there is something to learn and to compare.

    Who has no known group ("(missing)") is learned from where groups make no difference, and is no group.

    Args:
        train: the people.
        sensitive: an attribute, or several crossed ("sex+race").

    Raises:
        UnknownName: no such attribute.
        DataError: a feature is not a finite number, fewer than two groups, only one outcome, or a group without
            either outcome.
    """
    known_features(train, train.features.shape[-1])
    if train.label.all() or not train.label.any():
        outcome = "favourable" if train.label.any() else "unfavourable"
        raise DataError(f"all {len(train)} outcomes are {outcome}; expected people with either outcome to learn from")
    groups = train.groups(sensitive)
    for group in sorted(set(groups[~is_unknown(groups)])):
        outcomes = train.label[groups == group]
        if outcomes.all() or not outcomes.any():
            missing = "an unfavourable" if outcomes.any() else "a favourable"
            raise DataError(
                f"{sensitive}: of the {len(outcomes)} people of group {group!r} nobody has {missing} outcome; merge "
                "the group with another, or leave its people out"
            )
    return groups


def known_features(people: Split, expected: int) -> Floats:
    """The (n, d) features, checked.

    Raises:
        DataError: not `expected` columns, or values that are no finite numbers.
    """
    features = people.features
    if features.ndim != 2 or features.shape[1] != expected:
        raise DataError(f"features of shape {features.shape}; expected ({len(people)}, {expected}), a row a person")
    damaged = ~np.isfinite(features).all(axis=1)
    if damaged.any():
        raise DataError(
            f"{damaged.sum()} of {len(people)} people have a feature that is no finite number (first: "
            f"{people.ids[damaged.argmax()]}); fill the gaps in, or leave these people out"
        )
    return features


def hold_out(train: Split, groups: Texts, share: float, rng: np.random.Generator) -> tuple[Split, Split]:
    """Two parts of `train`; each outcome of each group is divided in the same proportion.

    Whoever's group is not known stays in the first part: nothing is judged by them.

    Args:
        train: the people.
        groups: (n,) their groups.
        share: of the people that go to the second part; at least one of each outcome and group does.
        rng: draws them.

    Raises:
        DataError: a group has only one person with an outcome, who cannot be in both parts.
    """
    held = np.zeros(len(train), dtype=bool)
    for group in sorted(set(groups[~is_unknown(groups)])):
        for outcome in (False, True):
            members = np.flatnonzero((groups == group) & (train.label == outcome))
            if len(members) < 2:
                raise DataError(
                    f"group {group!r} has {len(members)} people with outcome {outcome}; expected 2 or more, one to "
                    "learn from and one to hold out; merge the group with another, or leave its people out"
                )
            count = min(max(1, round(share * len(members))), len(members) - 1)
            held[rng.permutation(members)[:count]] = True
    return take(train, ~held), take(train, held)


def take(people: Split, chosen: Bools) -> Split:
    """Those of the people for whom `chosen` is true."""
    sensitive: Mapping[str, Texts] = {name: values[chosen] for name, values in people.sensitive.items()}
    texts = None if people.texts is None else tuple(t for t, c in zip(people.texts, chosen, strict=True) if c)
    weights = None if people.weights is None else people.weights[chosen]
    return Split(people.features[chosen], people.label[chosen], sensitive, texts, people.ids[chosen], weights)


def known(train: Split, groups: Texts) -> tuple[Split, Texts]:
    """Those of the people whose group is known, and their groups."""
    chosen = ~is_unknown(groups)
    return (train, groups) if chosen.all() else (take(train, chosen), groups[chosen])


def refuse_weights(method: str, train: Split) -> None:
    """DataError where people have weights that this method would not count."""
    if train.weights is not None:
        raise DataError(f"{method} does not count weights; leave them out, or give each person as often as they count")


def repeated(weights: Floats | None, n: int, at_most: int) -> Ints:
    """(m,) positions of n people, each as often as it counts, for a method that counts rows.

    Whole weights are exact. Others are scaled to about `at_most` rows in all, each weight rounded, to one row at least.
    """
    if weights is None:
        return np.arange(n)
    whole = bool((weights == np.round(weights)).all()) and weights.sum() <= at_most
    times = weights if whole else np.maximum(1, np.round(weights * at_most / weights.sum()))
    return np.repeat(np.arange(n), times.astype(np.int64))
