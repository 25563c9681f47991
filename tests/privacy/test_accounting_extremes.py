"""Epsilon at the ends of what a training may ask for: many steps, tiny rates, tiny deltas, rare large losses."""

import math
import time
import tracemalloc

import dp_accounting
import pytest
from dp_accounting.pld import PLDAccountant

from auditkit.privacy import accounting, saddle_point
from auditkit.privacy.accounting import (
    AccountantsDisagree,
    Phase,
    account,
    account_anyway,
    affordable_steps,
    noise_multiplier_for,
)
from auditkit.privacy.sampling import Composition, PoissonSampler
from tests.privacy.test_accounting import gaussian_delta
from tests.privacy.tiny_models import TEXTS, char_gpt, train

A_MILLION = 10**6


def by_dp_accounting(rate: float, noise: float, steps: int, delta: float, spacing: float) -> float:
    accountant = PLDAccountant(
        neighboring_relation=dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE, value_discretization_interval=spacing
    )
    accountant.compose(dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise)), steps)
    return accountant.get_epsilon(delta)


EXTREMES = [
    # rate, noise multiplier, steps, delta, spacing at which dp-accounting has converged and not yet lost its digits
    (1e-4, 2.0, A_MILLION, 1e-10, 5e-6),
    pytest.param(1e-4, 1.0, 30_000, 1e-8, 1e-5, marks=pytest.mark.slow),
    pytest.param(1e-4, 5.0, A_MILLION, 1e-8, 5e-6, marks=pytest.mark.slow),
    pytest.param(1e-3, 0.8, A_MILLION, 1e-10, 7e-5, marks=pytest.mark.slow),
    pytest.param(1e-3, 1.0, 100_000, 1e-8, 5e-5, marks=pytest.mark.slow),
    (1e-2, 0.8, 1_000, 1e-4, 5e-4),
    pytest.param(1e-2, 5.0, 30_000, 1e-8, 7e-5, marks=pytest.mark.slow),
    (0.1, 0.6, 30, 1e-8, 5e-4),
    pytest.param(0.5, 10.0, 10_000, 1e-6, 1e-3, marks=pytest.mark.slow),
    pytest.param(0.5, 20.0, 1, 1e-8, 5e-4, marks=pytest.mark.slow),
    pytest.param(1.0, 50.0, 10_000, 1e-6, 1e-3, marks=pytest.mark.slow),
    (1.0, 5.0, 30, 1e-8, 1e-3),
]


@pytest.mark.parametrize(("rate", "noise", "steps", "delta", "spacing"), EXTREMES)
def test_epsilon_is_that_of_dp_accounting_and_never_below_the_exact_one(rate, noise, steps, delta, spacing):
    sampler = PoissonSampler(round(1 / rate), 1) if rate < 0.5 else PoissonSampler(2, round(2 * rate))
    cost = account([Phase(sampler, noise, steps)], delta)
    assert cost.epsilon == pytest.approx(by_dp_accounting(rate, noise, steps, delta, spacing), rel=0.01, abs=1e-3)
    assert saddle_point.epsilon([Composition(noise, rate, steps)], delta) <= cost.epsilon <= cost.rdp


def test_a_million_steps_at_a_tiny_delta_take_seconds_and_little_memory():
    """There PRV says .3034 on 27 million points; the central limit gives .3069, dp-accounting .3077, then drifts."""
    sampler, started = PoissonSampler(2_500_000, 256), time.process_time()
    tracemalloc.start()
    cost = account([Phase(sampler, 2.0, A_MILLION)], 1e-10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.3074 < cost.epsilon < 0.3095
    assert cost.method.startswith("saddle point, checked by PLD and RDP")
    assert peak < 500e6
    assert time.process_time() - started < 3


@pytest.mark.slow
def test_of_a_million_steps_noise_and_budget_are_found_as_of_few():
    sampler = PoissonSampler(2_500_000, 256)
    noise = noise_multiplier_for(0.3, 1e-10, sampler, A_MILLION)
    assert 0.297 < account([Phase(sampler, noise, A_MILLION)], 1e-10).epsilon <= 0.3
    assert affordable_steps(0.3, 1e-10, sampler, noise, at_most=2 * A_MILLION) >= A_MILLION


@pytest.mark.parametrize(("noise", "steps", "delta"), [(5.0, 10, 1e-5), (100.0, A_MILLION, 1e-12), (1.0, 1, 1e-12)])
def test_the_saddle_point_gives_the_closed_form_of_the_gaussian_mechanism(noise, steps, delta):
    epsilon = saddle_point.epsilon([Composition(noise, 1.0, steps)], delta)
    assert gaussian_delta(epsilon, math.sqrt(steps) / noise) == pytest.approx(delta, rel=0.01)


def test_the_saddle_point_composes_phases():
    half = Composition(1.0, 0.01, 5_000)
    assert saddle_point.epsilon([half, half], 1e-6) == pytest.approx(
        saddle_point.epsilon([Composition(1.0, 0.01, 10_000)], 1e-6), rel=1e-6
    )


def test_rare_large_losses_get_no_answer_from_the_saddle_point_and_a_bound_all_the_same():
    assert saddle_point.epsilon([Composition(0.6, 1e-6, 30)], 1e-4) is None
    cost = account([Phase(PoissonSampler(1_000_000, 1), 0.6, 30)], 1e-7)
    assert 0 < cost.epsilon <= cost.rdp


def test_a_delta_below_the_rounding_of_pld_is_checked_by_rdp():
    cost = account([Phase(PoissonSampler(100, 1), 5.0, A_MILLION)], 1e-12)
    assert cost.pld is None
    assert 15.83 < cost.epsilon < cost.rdp
    assert cost.method.startswith("saddle point, checked by RDP;")


@pytest.fixture
def broken_pld(monkeypatch):
    honest = accounting._pld
    monkeypatch.setattr(accounting, "_pld", lambda *given: 1.5 * honest(*given) + 0.01)


@pytest.mark.usefixtures("broken_pld")
def test_accountants_that_disagree_on_every_grid_are_refused_in_a_report():
    phases = [Phase(PoissonSampler(1000, 50), 1.0, 55)]
    with pytest.raises(AccountantsDisagree, match="no epsilon is claimed"):
        account(phases, 1e-4)
    cost = account_anyway(phases, 1e-4)
    assert cost.epsilon == cost.pld > cost.rdp / 1.5
    assert cost.method.startswith("largest of bounds that disagree")


@pytest.mark.usefixtures("broken_pld")
def test_a_training_does_not_die_of_accountants_that_disagree():
    result = train(char_gpt(), TEXTS, noise_multiplier=1.0)
    assert result.record["epochs"][-1]["epsilon"] == result.cost.epsilon == result.cost.pld
    assert "disagree" in result.cost.method
