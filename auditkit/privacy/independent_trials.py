"""Lower bounds on epsilon from independent trials: each a model of its own, trained with the canary or without it.

    trials = IndependentTrials(scores_in, scores_out, models=2000)
    bound = clopper_pearson_epsilon(*trials.counts(threshold=0.0), delta=1e-5)

The threshold must not be chosen on the scores that it is then counted on: choose it in advance, or let
`best_threshold_epsilon` choose it on one half of the trials and count on the other.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from auditkit.errors import InputError, UnknownName
from auditkit.privacy.epsilon_bound import EpsilonBound, Floats, canary_scores, check_bound_settings, gaussian_epsilon
from auditkit.privacy.one_run import OneRun

P = ParamSpec("P")
R = TypeVar("R")


class TrialCounts(NamedTuple):
    """Of `positives` trials with the canary and `negatives` without it, how many the attack called included."""

    true_positives: int
    positives: int
    false_positives: int
    negatives: int


@dataclass(frozen=True, slots=True, eq=False)
class IndependentTrials:
    """Attack scores of models trained independently of each other, each with the canary or without it.

    Attributes:
        scores_in: one score for each model trained with the canary; the higher, the more it looks included.
        scores_out: one score for each model trained without it.
        models: how many models were trained, each with randomness of its own.

    Raises:
        InputError: no scores, NaN among them, or fewer models than scores.
    """

    scores_in: Floats
    scores_out: Floats
    models: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "scores_in", canary_scores(self.scores_in, "scores_in"))
        object.__setattr__(self, "scores_out", canary_scores(self.scores_out, "scores_out"))
        trials = len(self.scores_in) + len(self.scores_out)
        if self.models < trials:
            raise InputError(
                f"{trials} scores from {self.models} models are not independent trials: scores of one model rise and "
                "fall together; give one score for each model, or, for many canaries in one training run, "
                "OneRun(scores, included) to one_run_epsilon"
            )

    def counts(self, threshold: float) -> TrialCounts:
        """Call every score of at least `threshold` included. Choose it before looking at the scores."""
        positives, negatives = self.scores_in >= threshold, self.scores_out >= threshold
        return TrialCounts(int(positives.sum()), len(positives), int(negatives.sum()), len(negatives))


def _refusing_one_run(bound: Callable[P, R]) -> Callable[P, R]:
    """`bound`, but a OneRun among its arguments is refused, before Python complains about how many there are."""

    @functools.wraps(bound)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        if any(isinstance(given, OneRun) for given in (*args, *kwargs.values())):
            raise InputError(
                f"{bound.__name__} needs independent trials, and the canaries of one training run are not: whatever "
                "happens to the run happens to all of them, so pooling them would claim far more than the run shows; "
                "use one_run_epsilon(*run.guess(r), delta=...)"
            )
        return bound(*args, **kwargs)

    return checked


@_refusing_one_run
def clopper_pearson_epsilon(
    true_positives: int,
    positives: int,
    false_positives: int,
    negatives: int,
    *,
    delta: float,
    level: float = 0.95,
) -> EpsilonBound:
    """ln((TPR - delta) / FPR), or the same with the roles of included and not swapped, at the ends of exact intervals.

    Each rate's Clopper-Pearson bound may fail with probability (1 - level) / 2, so that both hold at `level`.

    Args:
        true_positives: trials with the canary that the attack called included.
        positives: independent trials with the canary.
        false_positives: trials without it that the attack called included.
        negatives: independent trials without it.
        delta: the delta of the claim that is audited; 0 for pure differential privacy.
        level: the confidence level.

    Raises:
        InputError: counts that cannot be, a delta or level out of range, or the canaries of one run.

    Sources: Jagielski, Ullman & Oprea (2020), Auditing differentially private machine learning; Nasr et al. (2021),
    Adversary instantiation, arXiv:2101.04535.
    """
    counts = TrialCounts(true_positives, positives, false_positives, negatives)
    return EpsilonBound(
        epsilon=_clopper_pearson(counts, delta, level),
        ceiling=clopper_pearson_ceiling(positives, negatives, delta=delta, level=level),
        level=level,
        delta=delta,
        method="Clopper-Pearson bounds of the attack's error rates",
        source="Jagielski, Ullman & Oprea (2020); Nasr et al. (2021), arXiv:2101.04535",
        n=positives + negatives,
        details=_details(counts),
    )


def clopper_pearson_ceiling(positives: int, negatives: int, *, delta: float, level: float = 0.95) -> float:
    """The `clopper_pearson_epsilon` of an attacker who is never wrong. Raises what that raises."""
    return _clopper_pearson(TrialCounts(positives, positives, 0, negatives), delta, level)


@_refusing_one_run
def gdp_epsilon(
    true_positives: int,
    positives: int,
    false_positives: int,
    negatives: int,
    *,
    delta: float,
    level: float = 0.95,
) -> EpsilonBound:
    """The least mu of Gaussian differential privacy inside the Clopper-Pearson region, as epsilon at `delta`.

    mu = inverse normal(1 - FPR) - inverse normal(FNR). Moderate error rates already show a large mu, where
    `clopper_pearson_epsilon` needs enough trials to see errors as rare as e^-epsilon. For a mechanism that is not
    Gaussian it bounds the mu of Gaussian differential privacy, not epsilon.

    Args:
        true_positives: trials with the canary that the attack called included.
        positives: independent trials with the canary.
        false_positives: trials without it that the attack called included.
        negatives: independent trials without it.
        delta: the delta of the claim that is audited, above 0.
        level: the confidence level.

    Raises:
        InputError: counts that cannot be, a delta or level out of range, or the canaries of one run.

    Source: Nasr et al. (2023), Tight auditing of differentially private machine learning, arXiv:2302.07956.
    """
    counts = TrialCounts(true_positives, positives, false_positives, negatives)
    mu = _gdp(counts, delta, level)
    return EpsilonBound(
        epsilon=gaussian_epsilon(mu, delta),
        ceiling=gdp_ceiling(positives, negatives, delta=delta, level=level),
        level=level,
        delta=delta,
        method="Gaussian differential privacy, from Clopper-Pearson bounds of the attack's error rates",
        source="Nasr et al. (2023), arXiv:2302.07956",
        n=positives + negatives,
        details=_details(counts) | {"mu": mu},
    )


def gdp_ceiling(positives: int, negatives: int, *, delta: float, level: float = 0.95) -> float:
    """The `gdp_epsilon` of an attacker who is never wrong. Raises what that raises."""
    return gaussian_epsilon(_gdp(TrialCounts(positives, positives, 0, negatives), delta, level), delta)


@_refusing_one_run
def best_threshold_epsilon(
    trials: IndependentTrials,
    *,
    rng: np.random.Generator,
    delta: float,
    level: float = 0.95,
    bound: Literal["clopper_pearson", "gdp"] = "clopper_pearson",
) -> EpsilonBound:
    """The threshold that is best for one random half of the trials, and the bound that the other half gives with it.

    Args:
        trials: one score for each model.
        rng: what halves them.
        delta: the delta of the claim that is audited.
        level: the confidence level.
        bound: "clopper_pearson" or "gdp".

    Raises:
        InputError: fewer than two trials with or without the canary, the canaries of one run, or what the bound raises.
    """
    if bound not in ("clopper_pearson", "gdp"):
        raise UnknownName("bound", bound, ("clopper_pearson", "gdp"))
    check_bound_settings(delta, level, gaussian=bound == "gdp")
    if min(len(trials.scores_in), len(trials.scores_out)) < 2:
        raise InputError(
            f"{len(trials.scores_in)} trials with the canary and {len(trials.scores_out)} without it; expected two of "
            "each at least, to choose the threshold on one half and count on the other"
        )
    chosen_in, counted_in = _halves(trials.scores_in, rng)
    chosen_out, counted_out = _halves(trials.scores_out, rng)
    threshold = _best_threshold(chosen_in, chosen_out, delta, level, gaussian=bound == "gdp")
    counted = IndependentTrials(counted_in, counted_out, models=trials.models).counts(threshold)
    result = (clopper_pearson_epsilon if bound == "clopper_pearson" else gdp_epsilon)(
        *counted, delta=delta, level=level
    )
    method = f"{result.method}; threshold chosen on the other half of the trials"
    return replace(result, method=method, details={**result.details, "threshold": threshold})


def _best_threshold(scores_in: Floats, scores_out: Floats, delta: float, level: float, *, gaussian: bool) -> float:
    """The score that, as the threshold on these same scores, would give the largest bound."""
    thresholds = np.union1d(scores_in, scores_out)
    missed = np.searchsorted(np.sort(scores_in), thresholds)
    false = len(scores_out) - np.searchsorted(np.sort(scores_out), thresholds)
    rates = _upper_bound(missed, len(scores_in), level), _upper_bound(false, len(scores_out), level)
    merit = _mu(*rates) if gaussian else _log_ratio(*rates, delta)
    return float(thresholds[merit.argmax()])


def _clopper_pearson(counts: TrialCounts, delta: float, level: float) -> float:
    check_bound_settings(delta, level)
    return float(np.maximum(0.0, _log_ratio(*_error_rates(counts, level), delta)))


def _gdp(counts: TrialCounts, delta: float, level: float) -> float:
    check_bound_settings(delta, level, gaussian=True)
    return float(np.maximum(0.0, _mu(*_error_rates(counts, level))))


def _log_ratio(fnr: Floats, fpr: Floats, delta: float) -> Floats:
    """The epsilon of these error rates, of either hypothesis; -inf where delta alone explains them."""
    with np.errstate(divide="ignore"):
        forwards = np.log(np.maximum(1 - fnr - delta, 0)) - np.log(fpr)
        backwards = np.log(np.maximum(1 - fpr - delta, 0)) - np.log(fnr)
    return np.maximum(forwards, backwards)


def _mu(fnr: Floats, fpr: Floats) -> Floats:
    """The mu of the Gaussian whose trade-off curve passes through these error rates (Dong, Roth & Su, 2019)."""
    from scipy.special import ndtri

    return -ndtri(fpr) - ndtri(fnr)


def _error_rates(counts: TrialCounts, level: float) -> tuple[Floats, Floats]:
    """How large the false negative and the false positive rate may be, both at once at `level`."""
    hits, positives, false, negatives = counts
    for successes, n in ((hits, positives), (false, negatives)):
        if not 0 <= successes <= n or n < 1:
            raise InputError(
                f"{hits} of {positives} with the canary and {false} of {negatives} without it were called included; "
                "expected at least one trial of each, and counts from 0 to as many"
            )
    return _upper_bound(positives - hits, positives, level), _upper_bound(false, negatives, level)


def _upper_bound(errors: npt.ArrayLike, n: int, level: float) -> Floats:
    """(k,) upper end of the Clopper-Pearson interval of an error rate, for each number of errors in n trials."""
    from scipy.special import betainccinv

    k = np.asarray(errors, dtype=np.float64)
    return np.where(k < n, betainccinv(k + 1, np.maximum(n - k, 0.5), (1 - level) / 2), 1.0)


def _halves(scores: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    first, second = np.array_split(rng.permutation(scores), 2)
    return second, first  # the half that is counted is the larger one


def _details(counts: TrialCounts) -> dict[str, int | str]:
    budget = f"{counts.positives} trials with the canary and {counts.negatives} without it"
    return {**counts._asdict(), "budget": budget}
