"""After training: other thresholds, or other probabilities, for each group.

    GroupThresholds     thresholds by group that equalise selection rates or error rates (Hardt et al. 2016), found by
                        fairlearn's `ThresholdOptimizer`
    GroupCalibration    scores that mean the same in every group (Platt 1999; Zadrozny & Elkan 2002)

Both must know somebody's group to decide about them, which the law forbids for some decisions; `needs_group` says so.
Both learn the model from one part of the people, and the thresholds or the calibration from another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from auditkit import extras
from auditkit.errors import DataError, InputError
from auditkit.fairness.people import is_unknown
from auditkit.mitigation.baseline import LogisticBaseline, Stage, check_train, hold_out, repeated
from auditkit.mitigation.task import Bools, Decider, Floats, Mitigation, Split, Texts

MOST_ROWS = 1_000_000
ISOTONIC_FROM = 1000
"""Held-out people of a group from which isotonic regression beats Platt's two parameters (Niculescu-Mizil & Caruana
2005)."""


@dataclass(frozen=True, slots=True)
class ThresholdDecider:
    """Thresholds by group, between two of which a lottery may decide.

    Equal rates are often possible only if some people with scores between two thresholds are drawn. What is drawn for
    somebody follows from `seed` and their id alone: asked again, or among others, they get the same decision, and
    nobody can try again until it suits them. People are therefore expected to have ids of their own.

    Attributes:
        base: the model whose scores are compared with thresholds.
        sensitive: the attribute that must be known of everybody.
        rules: for each group, the rule that fairlearn found.
        seed: of the lottery.
    """

    base: Decider
    sensitive: str
    rules: Mapping[str, Any]
    seed: int

    def scores(self, people: Split) -> Floats:
        """(n,) probability of the favourable outcome, which the thresholds leave as the base model gives it."""
        return self.base.scores(people)

    def chances(self, people: Split) -> Floats:
        """(n,) probability of a yes before the lottery: 0 or 1 for most, and for whoever's group is not known.

        Raises:
            DataError: somebody is of a group that the thresholds were not fitted to.
        """
        rules = {g: _chance(r) for g, r in self.rules.items()}
        return by_group(
            people, self.sensitive, self.scores(people), rules, otherwise=lambda s: (s >= 0.5).astype(float)
        )

    def decide(self, people: Split) -> Bools:
        """(n,) the decision; the same for the same person each time."""
        return person_draws(people.ids, self.seed) < self.chances(people)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupThresholds:
    """Thresholds by group that equalise rates and cost the least accuracy on people held out.

    Deciding needs the group of the person: see `needs_group`.

    Attributes:
        constraint: "demographic_parity" for equal selection rates, "equalized_odds" for equal true and false positive
            rates.
        tolerance: how far selection rates may still differ; 0 for not at all. Demographic parity only.
        held_out: share of the people by whom thresholds are chosen; the base model learns from the others.
        base: the model to correct.
    """

    name: ClassVar[str] = "group thresholds"
    stage: ClassVar[Stage] = "after"
    source: ClassVar[str] = "Hardt et al. (2016), NeurIPS"
    needs_group: ClassVar[bool] = True

    constraint: Literal["demographic_parity", "equalized_odds"] = "demographic_parity"
    tolerance: float = 0.0
    held_out: float = 0.3
    base: Mitigation = field(default_factory=LogisticBaseline)

    def __post_init__(self) -> None:
        if self.constraint not in ("demographic_parity", "equalized_odds"):
            raise InputError(f"constraint={self.constraint!r}; expected demographic_parity or equalized_odds")
        if not 0 <= self.tolerance < 1 or (self.tolerance and self.constraint == "equalized_odds"):
            raise InputError(
                f"tolerance={self.tolerance} for {self.constraint}; expected a difference of selection rates from 0 to "
                "1, and 0 for equalized odds"
            )
        check_share(self.held_out)

    @extras.explained()
    def fit(self, train: Split, *, sensitive: str, rng: np.random.Generator) -> ThresholdDecider:
        """Learn the base model and then the thresholds; `rng` draws whom to hold out, and the seed of the lottery."""
        from fairlearn.postprocessing import ThresholdOptimizer

        base, held, groups = fit_base(self.base, train, sensitive, self.held_out, rng)
        optimizer = ThresholdOptimizer(
            estimator=_scored(),
            constraints=self.constraint,
            tol=self.tolerance or None,
            predict_method="predict_proba",
        )
        rows = repeated(held.weights, len(held), MOST_ROWS)  # fairlearn counts rows
        scores, outcome = base.scores(held)[rows, None], held.label[rows].astype(int)
        optimizer.fit(scores, outcome, sensitive_features=groups[rows])
        rules = dict(optimizer.interpolated_thresholder_.interpolation_dict)
        return ThresholdDecider(base, sensitive, rules, int(rng.integers(2**63)))


@dataclass(frozen=True, slots=True)
class CalibratedDecider:
    """A model whose scores are corrected group by group.

    Attributes:
        base: the model.
        sensitive: the attribute that must be known of everybody.
        corrections: for each group, from scores to probabilities.
    """

    base: Decider
    sensitive: str
    corrections: Mapping[str, Callable[[Floats], Floats]]

    def scores(self, people: Split) -> Floats:
        """(n,) probability of the favourable outcome.

        Raises:
            DataError: somebody is of a group that was not calibrated.
        """
        return by_group(people, self.sensitive, self.base.scores(people), self.corrections, otherwise=lambda s: s)

    def decide(self, people: Split) -> Bools:
        """(n,) whether the corrected score is at least one half."""
        return self.scores(people) >= 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupCalibration:
    """Scores recalibrated in each group on people held out: isotonic regression, Platt's sigmoid for small groups.

    It makes a score mean the same in every group. It does not make selection rates alike, and where the groups' rates
    of favourable outcomes differ it cannot (Kleinberg et al. 2017). Deciding needs the group of the person.

    Attributes:
        isotonic_from: people held out of a group from which isotonic regression is used.
        held_out: share of the people by whom scores are calibrated; the base model learns from the others.
        base: the model to correct.
    """

    name: ClassVar[str] = "group calibration"
    stage: ClassVar[Stage] = "after"
    source: ClassVar[str] = "Platt (1999); Zadrozny & Elkan (2002), KDD"
    needs_group: ClassVar[bool] = True

    isotonic_from: int = ISOTONIC_FROM
    held_out: float = 0.3
    base: Mitigation = field(default_factory=LogisticBaseline)

    def __post_init__(self) -> None:
        check_share(self.held_out)

    def fit(self, train: Split, *, sensitive: str, rng: np.random.Generator) -> CalibratedDecider:
        """Learn the base model and then the corrections; `rng` draws whom to hold out."""
        base, held, groups = fit_base(self.base, train, sensitive, self.held_out, rng)
        scores, corrections = base.scores(held), {}
        for group in sorted(set(groups)):
            members = groups == group
            fit = isotonic if members.sum() >= self.isotonic_from else platt
            corrections[group] = fit(scores[members], held.label[members], held.counts[members])
        return CalibratedDecider(base, sensitive, corrections)


@extras.explained()
def isotonic(scores: Floats, label: Bools, counts: Floats | None = None) -> Callable[[Floats], Floats]:
    """The non-decreasing step function from scores to probabilities with the least squared error.

    Args:
        scores: (n,) of people.
        label: (n,) whether their outcome is the favourable one.
        counts: (n,) how many people each stands for; None for one each.
    """
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(scores, label, sample_weight=counts)
    return lambda s: np.asarray(model.predict(s), dtype=np.float64)


@extras.explained()
def platt(scores: Floats, label: Bools, counts: Floats | None = None) -> Callable[[Floats], Floats]:
    """A logistic regression of the outcome on the log-odds of the score, towards Platt's smoothed targets.

    The targets (n1 + 1) / (n1 + 2) and 1 / (n0 + 2) in place of 1 and 0 keep it finite where the scores separate the
    outcomes. A target t is two people, one of each outcome, who count t and 1 - t.
    """
    from sklearn.linear_model import LogisticRegression

    each = np.ones(len(label)) if counts is None else counts
    positives, negatives = each[label].sum(), each[~label].sum()
    target = np.where(label, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    odds, outcome = np.tile(_log_odds(scores), (2, 1)), np.repeat([True, False], len(label))
    model = LogisticRegression(C=np.inf, max_iter=1000, tol=1e-9)
    model.fit(odds, outcome, sample_weight=np.concatenate([each * target, each * (1 - target)]))
    return lambda s: np.asarray(model.predict_proba(_log_odds(s))[:, 1], dtype=np.float64)


def person_draws(ids: Iterable[object], seed: int) -> Floats:
    """(n,) a number from [0, 1) for each person, uniform over seeds and people, and fixed for each of both."""
    digests = (hashlib.blake2b(f"{seed}|{id}".encode(), digest_size=8).digest() for id in ids)
    return np.array([int.from_bytes(d, "big") >> 11 for d in digests], dtype=np.float64) * 2.0**-53


@extras.explained()
def _scored() -> Any:
    """What fairlearn takes for a classifier: its only feature is already the score."""
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Scored(ClassifierMixin, BaseEstimator):
        def fit(self, features: Floats, label: Any) -> Any:
            self.classes_ = np.unique(label)  # there is nothing else to learn
            return self

        def predict_proba(self, features: Floats) -> Floats:
            scores = np.asarray(features, dtype=np.float64)[:, 0]
            return np.column_stack([1 - scores, scores])

    return Scored()


def _chance(rule: Any) -> Callable[[Floats], Floats]:
    """From scores to the probability of a yes, as `InterpolatedThresholder` of fairlearn has it."""

    def chance(scores: Floats) -> Floats:
        drawn = rule.p0 * rule.operation0(scores) + rule.p1 * rule.operation1(scores)
        ignored = rule.get("p_ignore", 0.0)
        return np.asarray(ignored * rule.get("prediction_constant", 0.0) + (1 - ignored) * drawn, dtype=np.float64)

    return chance


def by_group(
    people: Split,
    sensitive: str,
    scores: Floats,
    maps: Mapping[str, Callable[[Floats], Floats]],
    *,
    otherwise: Callable[[Floats], Floats],
) -> Floats:
    """(n,) each person's score, mapped as their group's are; where the group is not known ("(missing)"), `otherwise`.

    Raises:
        DataError: somebody is of a group that has no map.
    """
    groups = people.values(sensitive)
    nobody = is_unknown(groups)
    unknown = sorted(set(groups[~nobody]) - set(maps))
    if unknown:
        raise DataError(
            f"{sensitive}: {(groups == unknown[0]).sum()} people of group {unknown[0]!r}, which nobody learned from "
            f"belongs to; expected {', '.join(sorted(maps))}; learn from people of every group"
        )
    out = np.array(otherwise(scores), dtype=np.float64)
    for group in set(groups[~nobody]):
        members = groups == group
        out[members] = maps[group](scores[members])
    return out


def fit_base(
    base: Mitigation, train: Split, sensitive: str, share: float, rng: np.random.Generator
) -> tuple[Decider, Split, Texts]:
    """The base model of one part of the people; the other part, and its groups."""
    learn, held = hold_out(train, check_train(train, sensitive), share, rng)
    return base.fit(learn, sensitive=sensitive, rng=rng), held, held.groups(sensitive)


def check_share(held_out: float) -> None:
    """InputError where it is no share."""
    if not 0 < held_out < 1:
        raise InputError(f"held_out={held_out}; expected a share of the people between 0 and 1")


def _log_odds(scores: Floats) -> Floats:
    """(n, 1) ln(p / (1 - p)), finite at 0 and 1."""
    inside = np.clip(scores, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(inside / (1 - inside))[:, None], dtype=np.float64)
