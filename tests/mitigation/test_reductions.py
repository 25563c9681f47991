import time

import numpy as np
import pytest

from auditkit.errors import InputError
from auditkit.mitigation.baseline import LogisticBaseline, take
from auditkit.mitigation.reductions import ExponentiatedGradientReduction


def rates(decided, people, outcome=None):
    chosen = np.ones(len(people), dtype=bool) if outcome is None else people.label == outcome
    return [decided[chosen & (people.groups("group") == g)].mean() for g in "AB"]


def test_the_constraint_holds_on_the_people_learned_from(made_up, rng):
    people = made_up(4000)
    decider = ExponentiatedGradientReduction(bound=0.02).fit(people, sensitive="group", rng=rng)
    overall = decider.chances(people).mean()
    assert max(abs(rate - overall) for rate in rates(decider.chances(people), people)) <= 0.02 + 2 * decider.gap + 1e-9
    assert decider.gap < 0.02


def test_equal_error_rates_hold_too(made_up, rng):
    people = made_up(4000)
    before = LogisticBaseline().fit(people, sensitive="group", rng=rng).decide(people)
    mitigation = ExponentiatedGradientReduction(constraint="equalized_odds", bound=0.02)
    after = mitigation.fit(people, sensitive="group", rng=rng).chances(people)
    for outcome in (True, False):
        assert abs(np.diff(rates(before, people, outcome)))[0] > 0.12
        assert abs(np.diff(rates(after, people, outcome)))[0] < 0.06


def test_the_gap_shrinks_on_new_people_without_knowing_their_group(made_up, gap, rng):
    train, test = made_up(5000), made_up(5000, seed=1)
    decider = ExponentiatedGradientReduction().fit(train, sensitive="group", rng=rng)
    before = LogisticBaseline().fit(train, sensitive="group", rng=rng).decide(test)
    hidden = type(test)(test.features, test.label, {}, None, test.ids)
    assert gap(before, test) > 0.3
    assert gap(decider.decide(hidden), test) < 0.1


def test_a_looser_bound_keeps_more_of_the_gap_and_of_the_accuracy(made_up, gap, rng):
    people = made_up(5000)
    strict, loose = (
        ExponentiatedGradientReduction(bound=b).fit(people, sensitive="group", rng=rng).chances(people)
        for b in (0.01, 0.1)
    )
    assert gap(strict, people) < 0.05 < 0.15 < gap(loose, people)
    accuracy = [np.where(people.label, c, 1 - c).mean() for c in (strict, loose)]
    assert accuracy[1] > accuracy[0]


def test_the_lottery_draws_one_ticket_a_person_and_keeps_its_odds(made_up, rng):
    train, test = made_up(1500, bias=4), made_up(20_000, seed=1)
    decider = ExponentiatedGradientReduction(bound=0.005).fit(train, sensitive="group", rng=rng)
    assert decider.weights.sum() == pytest.approx(1.0)
    assert (decider.weights > 0).all()
    chances, decided = decider.chances(test), decider.decide(test)
    drawn = (chances > 1e-9) & (chances < 1 - 1e-9)
    assert drawn.sum() > 100
    assert abs(decided.sum() - chances.sum()) < 4 * np.sqrt((chances * (1 - chances)).sum())
    np.testing.assert_array_equal(decider.decide(take(test, drawn)), decided[drawn])
    np.testing.assert_array_equal(decided[~drawn], chances[~drawn] > 0.5)


@pytest.mark.parametrize(
    "options", [{"constraint": "parity"}, {"bound": 0.0}, {"bound": 1.5}, {"max_iterations": 0}], ids=str
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(InputError, match=next(iter(options))):
        ExponentiatedGradientReduction(**options)


@pytest.mark.data
@pytest.mark.slow
def test_adult_takes_less_than_a_minute_and_loses_most_of_the_gap(adult, gap, rng):
    before = LogisticBaseline().fit(adult.train, sensitive="sex", rng=rng).decide(adult.test)
    start = time.process_time()
    after = ExponentiatedGradientReduction().fit(adult.train, sensitive="sex", rng=rng).decide(adult.test)
    assert time.process_time() - start < 60
    assert gap(after, adult.test, "sex") < 0.4 * gap(before, adult.test, "sex")
    assert (after == adult.test.label).mean() > (before == adult.test.label).mean() - 0.025
