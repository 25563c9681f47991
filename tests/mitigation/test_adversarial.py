"""Adversarial debiasing: better than its own no-op where bias was planted, within its budget, and repeatable."""

import numpy as np
import pytest
import torch

from auditkit.errors import InputError, UnknownName
from auditkit.fairness.paired import compare
from auditkit.fairness.people import cross
from auditkit.mitigation.adversarial import AdversarialDebiasing, _Reversed
from auditkit.mitigation.baseline import LogisticBaseline
from auditkit.mitigation.network import Training
from auditkit.mitigation.strength import STRENGTHS

SHORT = Training(hidden=(8,), epochs=60)


def of_group(people):
    return next(p for p in cross(people.sensitive, 1) if p.columns == ("group",))


def change(metric, people, before, after, rng):
    """Change of a rate's largest difference among groups, with its paired interval."""
    return {c.metric: c for c in compare(of_group(people), people.label, before, after, rng=rng)}[metric].difference


@pytest.mark.parametrize("groups", ["AB", "ABC"])
def test_it_beats_its_own_no_op_on_planted_bias(made_up, gap, rng, groups):
    train, test = made_up(4000, groups=tuple(groups)), made_up(4000, seed=1, groups=tuple(groups))
    before, after = (
        AdversarialDebiasing(strength=s, training=SHORT)
        .fit(train, sensitive="group", rng=np.random.default_rng(3))
        .decide(test)
        for s in (0.0, 3.0)
    )
    assert gap(before, test) > 0.3
    assert change("selection_rate", test, before, after, rng).interval.high < -0.1
    assert gap(after, test) < 0.5 * gap(before, test)
    assert (after == test.label).mean() > 0.6  # it still decides by merit


def test_without_strength_it_is_as_good_as_a_logistic_regression(made_up, rng):
    train, test = made_up(4000), made_up(4000, seed=1)
    plain = LogisticBaseline().fit(train, sensitive="group", rng=rng).decide(test)
    ours = AdversarialDebiasing(strength=0.0, training=SHORT).fit(train, sensitive="group", rng=rng).decide(test)
    assert (ours == test.label).mean() > (plain == test.label).mean() - 0.015


def test_equalized_odds_closes_error_rates_and_leaves_what_is_due_to_the_outcome(made_up, gap, rng):
    train, test = made_up(6000), made_up(20_000, seed=1)
    no_op, odds = (
        AdversarialDebiasing(target="equalized_odds", strength=s, training=SHORT)
        .fit(train, sensitive="group", rng=np.random.default_rng(0))
        .decide(test)
        for s in (0.0, 3.0)
    )
    assert change("false_positive_rate", test, no_op, odds, rng).interval.high < 0
    assert change("true_positive_rate", test, no_op, odds, rng).interval.high < 0
    assert gap(odds, test) > 0.1


@pytest.mark.parametrize("budget", [0.0, 0.03, 1.0])
def test_the_strength_follows_the_stated_rule(made_up, rng, budget):
    training = Training(hidden=(), epochs=6)
    found = AdversarialDebiasing(budget=budget, training=training).fit(made_up(1500), sensitive="group", rng=rng)
    assert [t.strength for t in found.trials] == [0.0, *STRENGTHS]
    eligible = [t for t in found.trials if t.accuracy >= found.trials[0].accuracy - budget]
    chosen = next(t for t in found.trials if t.strength == found.strength)
    assert chosen in eligible
    assert chosen.gap == min(t.gap for t in eligible)
    assert chosen.gap == min(t.gap for t in found.trials) or budget < 1


def test_equal_generators_give_equal_decisions_and_leave_torch_as_it_was(made_up):
    people = made_up(800)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second, other = (
        AdversarialDebiasing(strength=1.0, training=SHORT)
        .fit(people, sensitive="group", rng=np.random.default_rng(seed))
        .scores(people)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()
    assert torch.equal(torch.rand(3), expected)


def test_the_gradient_is_reversed():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    (_Reversed.apply(x, 3.0) ** 2).sum().backward()
    assert torch.equal(x.grad, -3.0 * 2 * x)


def test_people_it_cannot_learn_from(spoiled, rng):
    people, message = spoiled
    with pytest.raises(InputError, match=message):
        AdversarialDebiasing(strength=1.0, training=SHORT).fit(people, sensitive="group", rng=rng)


def test_options_that_make_no_sense():
    with pytest.raises(UnknownName, match="equalized_odds"):
        AdversarialDebiasing(target="equalised_odds")
    with pytest.raises(InputError, match="strength of 0 or more"):
        AdversarialDebiasing(strength=-1.0)
    with pytest.raises(InputError, match="share held_out"):
        Training(held_out=1.0)


@pytest.mark.data
@pytest.mark.slow
def test_adult_within_two_points(adult, gap, rng):
    plain = LogisticBaseline().fit(adult.train, sensitive="sex", rng=rng).decide(adult.test)
    ours = AdversarialDebiasing().fit(adult.train, sensitive="sex", rng=rng).decide(adult.test)
    lost = (plain == adult.test.label).mean() - (ours == adult.test.label).mean()
    assert lost <= 0.02
    assert gap(ours, adult.test, "sex") <= 0.4 * gap(plain, adult.test, "sex")
