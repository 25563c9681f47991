"""Epsilon against dp-accounting, a closed form and a published value; and what cannot be accounted for is refused."""

import math

import dp_accounting
import pytest
from dp_accounting.pld import PLDAccountant
from scipy.stats import norm

from auditkit.privacy import accounting
from auditkit.privacy.accounting import (
    AccountantsDisagree,
    Phase,
    account,
    affordable_steps,
    noise_multiplier_for,
    refuse_disagreement,
    would_overspend,
)
from auditkit.privacy.sampling import PoissonSampler, ShuffledSampler
from auditkit.privacy.settings import PrivacySettingError

POISSON = PoissonSampler(1000, 50)
SHUFFLED = ShuffledSampler(1000, 50, seed=0)  # 20 steps an epoch
DELTA = 1e-4


def by_dp_accounting(sampler: PoissonSampler, noise_multiplier: float, steps: int, delta: float) -> float:
    accountant = PLDAccountant(
        neighboring_relation=dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE, value_discretization_interval=2e-4
    )
    event = dp_accounting.PoissonSampledDpEvent(sampler.rate, dp_accounting.GaussianDpEvent(noise_multiplier))
    accountant.compose(event, steps)
    return accountant.get_epsilon(delta)


SETTINGS = [
    # units, batch, noise multiplier, steps, delta
    (1_000, 10, 1.0, 100, 1e-4),
    pytest.param(1_000, 10, 0.7, 300, 1e-4, marks=pytest.mark.slow),
    (1_000, 50, 1.0, 200, 1e-4),
    pytest.param(1_000, 50, 2.0, 200, 1e-5, marks=pytest.mark.slow),
    (1_000, 100, 1.5, 50, 1e-5),
    pytest.param(1_000, 500, 4.0, 20, 1e-5, marks=pytest.mark.slow),
    (1_000, 1_000, 5.0, 10, 1e-5),
    pytest.param(1_000, 1_000, 2.0, 1, 1e-6, marks=pytest.mark.slow),
    (10_000, 64, 0.8, 1_000, 1e-5),
    pytest.param(10_000, 64, 1.2, 2_000, 1e-5, marks=pytest.mark.slow),
    (10_000, 256, 1.0, 400, 1e-5),
    pytest.param(10_000, 256, 3.0, 800, 1e-6, marks=pytest.mark.slow),
    (50_000, 250, 1.1, 2_000, 1e-6),
    pytest.param(50_000, 250, 0.6, 500, 1e-6, marks=pytest.mark.slow),
    (50_000, 1_000, 2.5, 1_000, 1e-6),
    pytest.param(100_000, 32, 0.6, 3_000, 1e-6, marks=pytest.mark.slow),
    (100_000, 512, 0.9, 1_000, 1e-6),
    pytest.param(100_000, 2_048, 1.3, 500, 1e-7, marks=pytest.mark.slow),
    (500, 5, 0.5, 20, 1e-3),
    pytest.param(500, 5, 0.4, 10, 1e-3, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("units", "batch", "noise", "steps", "delta"), SETTINGS)
def test_epsilon_equals_that_of_dp_accounting_within_one_percent(units, batch, noise, steps, delta):
    sampler = PoissonSampler(units, batch)
    cost = account([Phase(sampler, noise, steps)], delta)
    reference = by_dp_accounting(sampler, noise, steps, delta)
    assert reference > 0.25  # below that the tolerance is absolute, which the next test holds
    assert cost.epsilon == pytest.approx(reference, rel=0.01)
    assert cost.pld == pytest.approx(reference, rel=1e-3)  # the grid follows the steps; that of the reference is finer
    assert cost.rdp >= reference


def test_a_tiny_epsilon_is_exact_to_a_thousandth_and_errs_upwards():
    cost = account([Phase(PoissonSampler(1000, 10), 20.0, 100)], 1e-5)
    reference = by_dp_accounting(PoissonSampler(1000, 10), 20.0, 100, 1e-5)
    assert 0.01 < reference <= cost.epsilon <= reference + 2e-3


def test_the_moments_accountant_of_abadi_et_al_is_bettered():
    """Their section 5: q = 0.01, sigma = 4, 10,000 steps, delta = 1e-5 give epsilon = 1.26."""
    cost = account([Phase(PoissonSampler(60_000, 600), 4.0, 10_000)], 1e-5)
    assert 0.8 < cost.epsilon < cost.rdp < 1.26


def gaussian_delta(epsilon: float, mu: float) -> float:
    """Balle and Wang (2018), theorem 8, for a Gaussian mechanism with sensitivity / noise = mu."""
    return norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu)


@pytest.mark.parametrize(("steps", "epochs"), [(1, 1), (20, 1), (21, 2), (100, 5)])
def test_shuffled_batches_cost_one_gaussian_of_sensitivity_two_for_every_epoch_begun(steps, epochs):
    epsilon = account([Phase(SHUFFLED, 6.0, steps)], DELTA).epsilon
    mu = 2 * math.sqrt(epochs) / 6.0
    assert gaussian_delta(epsilon, mu) <= DELTA <= gaussian_delta(epsilon * 0.99 - 1e-3, mu)


def test_shuffled_batches_may_not_claim_the_poisson_epsilon():
    shuffled, poisson = (account([Phase(s, 2.0, 100)], DELTA) for s in (SHUFFLED, POISSON))
    assert shuffled.epsilon > 3 * poisson.epsilon
    assert shuffled.adjacency == "replace one"
    assert "not amplified" in shuffled.method
    assert poisson.adjacency == "add or remove one"


def test_the_unit_of_privacy_is_stated():
    cost = account([Phase(PoissonSampler(1000, 50, unit="user"), 1.0, 10)], DELTA)
    assert (cost.unit, cost.units) == ("user", 1000)
    assert "add or remove one user" in cost.method


def test_phases_compose_like_one_run():
    whole = account([Phase(POISSON, 1.0, 100)], DELTA).epsilon
    parts = account([Phase(POISSON, 1.0, 60), Phase(POISSON, 1.0, 40)], DELTA).epsilon
    assert parts == pytest.approx(whole, rel=2e-3)
    assert account([Phase(POISSON, 1.0, 60), Phase(POISSON, 0.8, 40)], DELTA).epsilon > whole * 1.05


def test_nothing_done_costs_nothing():
    assert account([Phase(POISSON, 1.0, 0)], DELTA).epsilon == 0


def test_hardly_any_noise_is_bounded_by_rdp_and_says_so():
    cost = account([Phase(POISSON, 0.05, 50)], DELTA)
    assert cost.epsilon > 1000
    assert cost.pld is None
    assert cost.method.startswith("RDP bound")


@pytest.mark.parametrize("sampler", [POISSON, SHUFFLED])
def test_the_calibrated_noise_meets_the_target_and_hardly_more(sampler):
    noise = noise_multiplier_for(3.0, DELTA, sampler, 200)
    assert account([Phase(sampler, noise, 200)], DELTA).epsilon <= 3.0
    assert account([Phase(sampler, noise * 0.995, 200)], DELTA).epsilon > 3.0
    assert affordable_steps(3.0, DELTA, sampler, noise) >= 200


@pytest.mark.parametrize(("sampler", "noise"), [(POISSON, 0.9), (SHUFFLED, 4.0)])
def test_affordable_steps_are_exact(sampler, noise):
    steps = affordable_steps(5.0, DELTA, sampler, noise)
    assert account([Phase(sampler, noise, steps)], DELTA).epsilon <= 5.0
    assert account([Phase(sampler, noise, steps + 1)], DELTA).epsilon > 5.0


@pytest.mark.slow
def test_affordable_steps_after_what_was_spent():
    fresh = affordable_steps(5.0, DELTA, POISSON, 0.9)
    later = affordable_steps(5.0, DELTA, POISSON, 0.9, spent=(Phase(POISSON, 0.9, 20),))
    assert later == pytest.approx(fresh - 20, abs=1)
    assert affordable_steps(1.0, DELTA, POISSON, 0.9, spent=(Phase(POISSON, 0.9, fresh),)) == 0
    assert affordable_steps(5.0, DELTA, POISSON, 0.9, at_most=7) == 7


def test_a_run_that_asks_before_every_step_stops_at_the_last_affordable_one():
    steps = 0
    while not would_overspend([Phase(POISSON, 0.9, steps)], 5.0, DELTA):
        steps += 1
    assert steps == affordable_steps(5.0, DELTA, POISSON, 0.9) > 0


@pytest.mark.slow
def test_what_earlier_phases_spent_counts_against_the_next_step():
    limit = affordable_steps(5.0, DELTA, POISSON, 0.9)
    assert not would_overspend([Phase(POISSON, 2.0, 1), Phase(POISSON, 0.9, 0)], 5.0, DELTA)
    assert would_overspend([Phase(POISSON, 0.9, limit), Phase(POISSON, 0.8, 0)], 5.0, DELTA)


@pytest.mark.parametrize(("prv", "rdp", "pld"), [(1.0, 2.0, 1.1), (1.1, 2.0, 1.0), (1.0, 0.9, 1.0), (math.nan, 2, 1)])
def test_accountants_that_disagree_are_named_with_their_numbers(prv, rdp, pld):
    with pytest.raises(AccountantsDisagree, match=f"{prv:.5g} by PRV, {pld:.5g} by PLD and {rdp:.5g} by RDP"):
        refuse_disagreement(prv, rdp, pld)
    refuse_disagreement(1.005, 1.2, 1.0)


def test_a_broken_accountant_is_found(monkeypatch):
    honest = accounting._prv_to_within
    monkeypatch.setattr(accounting, "_prv_to_within", lambda *given: 0.9 * honest(*given))
    accounting._prv.cache_clear()
    with pytest.raises(AccountantsDisagree):
        account([Phase(POISSON, 1.0, 77)], DELTA)
    accounting._prv.cache_clear()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: account([], DELTA), "no phase"),
        (lambda: account([Phase(POISSON, 1.0, 1)], 1e-3), "expected 0 < delta < 1/1000"),
        (lambda: account([Phase(POISSON, 1.0, 1)], 0.0), "expected 0 < delta"),
        (lambda: Phase(POISSON, 0.0, 1), "noise_multiplier = 0.0"),
        (lambda: Phase(POISSON, math.nan, 1), "noise_multiplier = nan"),
        (lambda: Phase(POISSON, 1.0, -1), "steps = -1"),
        (lambda: Phase([1, 2, 3], 1.0, 1), "batches drawn by list have no known epsilon"),
        (lambda: account([Phase(POISSON, 1.0, 1), Phase(SHUFFLED, 1.0, 1)], DELTA), "no common epsilon"),
        (
            lambda: account([Phase(POISSON, 1.0, 1), Phase(PoissonSampler(1000, 50, "user"), 1.0, 1)], DELTA),
            "of 1000 example; add or remove one of 1000 user",
        ),
        (lambda: noise_multiplier_for(0.0, DELTA, POISSON, 100), "target_epsilon = 0.0"),
        (lambda: noise_multiplier_for(math.inf, DELTA, POISSON, 100), "target_epsilon = inf"),
        (lambda: noise_multiplier_for(1e-4, DELTA, POISSON, 100), "out of reach: 100 steps"),
        (lambda: noise_multiplier_for(1e-9, 1e-3, PoissonSampler(20, 4), 5), "out of reach: 5 steps"),
        (lambda: affordable_steps(-1.0, DELTA, POISSON, 1.0), "target_epsilon = -1.0"),
    ],
)
def test_bad_settings_get_one_clear_error(wrong, message):
    with pytest.raises(PrivacySettingError, match=message):
        wrong()
