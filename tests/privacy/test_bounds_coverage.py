"""Lower bounds hold in at least 95 of 100 audits of mechanisms whose epsilon is known, and are not empty there."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import optimize, stats

from auditkit.privacy.bounds import (
    EpsilonBound,
    IndependentTrials,
    OneRun,
    best_guesses_epsilon,
    best_threshold_epsilon,
    clopper_pearson_epsilon,
    f_dp_one_run_epsilon,
    gdp_epsilon,
    one_run_epsilon,
)
from auditkit.privacy.independent_trials import _best_threshold

RUNS = 200
DELTA = 1e-4


def true_epsilon(mu: float, delta: float) -> float:
    """Of a Gaussian of sensitivity mu and variance 1 (Balle & Wang, 2018, Theorem 8)."""

    def excess(epsilon: float) -> float:
        a, b = mu / 2 - epsilon / mu, -mu / 2 - epsilon / mu
        return stats.norm.cdf(a) - math.exp(epsilon) * stats.norm.cdf(b) - delta

    return optimize.brentq(excess, 0, 100) if mu > 0 and excess(0) > 0 else 0.0


def gaussian_trials(mu: float, n: int, rng: np.random.Generator) -> IndependentTrials:
    return IndependentTrials(rng.normal(mu, 1, n), rng.normal(0, 1, n), models=2 * n)


def gaussian_run(mu: float, m: int, rng: np.random.Generator) -> OneRun:
    included = rng.random(m) < 0.5
    return OneRun(rng.normal(mu * included, 1), included)


def leaking_run(m: int, probability: float, rng: np.random.Generator) -> OneRun:
    """(0, probability)-private: publishes every coin with that probability, and else nothing at all."""
    included = rng.random(m) < 0.5
    return OneRun(included + 0.0 if rng.random() < probability else rng.random(m), included)


def pooled(run: OneRun, **settings: float) -> EpsilonBound:
    """The mistake: the canaries of one run counted as if each were a model of its own."""
    trials = IndependentTrials(run.scores[run.included], run.scores[~run.included], models=len(run.scores))
    return clopper_pearson_epsilon(*trials.counts(0.5), **settings)


def coverage(audit: Callable[[np.random.Generator], EpsilonBound], truth: float) -> tuple[float, float]:
    """Share of 200 seeded audits whose bound is at most the truth, and the median bound."""
    found = np.array([audit(np.random.default_rng(seed)).epsilon for seed in range(RUNS)])
    return float((found <= truth).mean()), float(np.median(found))


@pytest.mark.parametrize("mu", [0.0, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("bound", [clopper_pearson_epsilon, gdp_epsilon])
def test_independent_gaussian_trials(bound, mu):
    truth = true_epsilon(mu, DELTA)
    covered, median = coverage(lambda rng: bound(*gaussian_trials(mu, 1000, rng).counts(1.5), delta=DELTA), truth)
    assert covered >= 0.95
    assert median >= (0.5 if bound is gdp_epsilon else 0.15) * truth


@pytest.mark.parametrize("mu", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("name", ["clopper_pearson", "gdp"])
def test_threshold_chosen_on_the_other_half(name, mu):
    def audit(rng):
        return best_threshold_epsilon(gaussian_trials(mu, 500, rng), rng=rng, delta=DELTA, bound=name)

    truth = true_epsilon(mu, DELTA)
    covered, median = coverage(audit, truth)
    assert covered >= 0.95
    assert median >= (0.5 if name == "gdp" else 0.2) * truth


@pytest.mark.parametrize("mu", [0.0, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("bound", [one_run_epsilon, f_dp_one_run_epsilon])
def test_gaussian_canaries_of_one_run(bound, mu):
    truth = true_epsilon(mu, DELTA)
    covered, median = coverage(lambda rng: bound(*gaussian_run(mu, 1000, rng).guess(100), delta=DELTA), truth)
    assert covered >= 0.95
    assert median >= (0.3 if bound is f_dp_one_run_epsilon else 0.2) * truth


def test_one_run_is_exact_on_randomized_response():
    """At delta = 0 right guesses are Binomial(r, q): the bound fails almost 5 times in 100, and no more."""
    r, epsilon = 200, 1.5
    right = stats.binom(r, 1 / (1 + math.exp(-epsilon)))
    failing = [v for v in range(r + 1) if one_run_epsilon(r, r, v, delta=0).epsilon > epsilon]
    assert 0.03 < right.pmf(failing).sum() <= 0.05


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 1.0])
def test_clopper_pearson_on_randomized_response(epsilon):
    """Over all outcomes, each with its probability."""
    n, q = 20, 1 / (1 + math.exp(-epsilon))
    probability = np.outer(stats.binom(n, q).pmf(range(n + 1)), stats.binom(n, 1 - q).pmf(range(n + 1)))
    failing = [
        [clopper_pearson_epsilon(hits, n, false, n, delta=0).epsilon > epsilon for false in range(n + 1)]
        for hits in range(n + 1)
    ]
    assert 0 < probability[np.array(failing)].sum() <= 0.05


def test_pooling_one_run_fails_where_the_one_run_bounds_hold():
    """The planted mistake: a leak with probability delta hits all canaries of a run at once."""
    covered, _ = coverage(lambda rng: pooled(leaking_run(200, 0.2, rng), delta=0.2), truth=0.0)
    assert covered < 0.9
    covered, _ = coverage(lambda rng: one_run_epsilon(*leaking_run(200, 0.2, rng).guess(100), delta=0.2), truth=0.0)
    assert covered == 1


def test_looking_for_the_best_threshold_has_its_price():
    """At level 0.5, where the mistake is plain to see."""

    def free(rng):
        trials = gaussian_trials(1.0, 500, rng)
        threshold = _best_threshold(trials.scores_in, trials.scores_out, DELTA, 0.5, gaussian=True)
        return gdp_epsilon(*trials.counts(threshold), delta=DELTA, level=0.5)

    def paid(rng):
        trials = gaussian_trials(1.0, 500, rng)
        return best_threshold_epsilon(trials, rng=rng, delta=DELTA, level=0.5, bound="gdp")

    truth = true_epsilon(1.0, DELTA)
    assert coverage(free, truth)[0] < 0.3
    assert coverage(paid, truth)[0] >= 0.5


def test_looking_for_the_best_number_of_guesses_has_its_price():
    tried = list(range(50, 1001, 50))

    def free(rng):
        run = gaussian_run(0.0, 1000, rng)
        return max((one_run_epsilon(*run.guess(r), delta=0) for r in tried), key=lambda b: b.epsilon)

    def paid(rng):
        return best_guesses_epsilon(gaussian_run(0.0, 1000, rng), tried, delta=0)

    assert coverage(free, truth=0.0)[0] < 0.9
    assert coverage(paid, truth=0.0)[0] >= 0.95
