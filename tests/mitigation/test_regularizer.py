"""The fairness penalties: hand-computed, unbiased for small groups, and effective on planted bias."""

import dataclasses

import numpy as np
import pytest
import torch

from auditkit.errors import DataError, InputError, UnknownName
from auditkit.mitigation.baseline import LogisticBaseline
from auditkit.mitigation.network import Training
from auditkit.mitigation.regularizer import PAIRING, FairnessRegularizer, other_group, unlikeness
from auditkit.mitigation.swaps import Swapper

SHORT = Training(hidden=(8,), epochs=12)


def fitted(people, strength=10.0, seed=0, **options):
    chosen = FairnessRegularizer(strength=strength, training=SHORT, **options)
    return chosen.fit(people, sensitive="group", rng=np.random.default_rng(seed))


def saying(people):
    """The same people, with columns in front that say the group."""
    says = [people.sensitive["group"] == g for g in sorted(set(people.sensitive["group"]))]
    return dataclasses.replace(people, features=np.column_stack([*says, people.features]).astype(float))


def test_the_penalty_by_hand():
    scores = torch.tensor([0.2, 0.4, 0.6, 0.8])
    group = torch.tensor([0, 0, 1, 1])
    # Means 0.3 and 0.7 around 0.5; each varies by 0.02, over 2 people, half of which shows in the deviation.
    assert unlikeness(scores, group, torch.zeros(4)).item() == pytest.approx(2 * (0.04 - 0.02 / 2 / 2), abs=1e-6)


def test_the_penalty_of_groups_alike_is_zero_on_average_however_small_they_are():
    generator = torch.Generator().manual_seed(0)
    group = torch.cat([torch.zeros(500), torch.ones(5), torch.full((8,), 2)]).long()
    values = [unlikeness(torch.rand(513, generator=generator), group, torch.zeros(513)).item() for _ in range(3000)]
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values)) < 4 * error
    assert error < 0.001  # without the correction the mean is about 0.02


def test_equalized_odds_compares_within_outcomes():
    group = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
    label = torch.tensor([0, 0, 1, 1, 0, 0, 0, 0])
    scores = label * 1.0  # alike within each outcome; different overall
    assert unlikeness(scores, group, label).item() == 0.0
    assert unlikeness(scores, group, torch.zeros(8)).item() > 0.05


@pytest.mark.parametrize("groups", ["AB", "ABC"])
def test_demographic_parity_cuts_the_planted_gap(made_up, gap, groups):
    train, test = made_up(4000, groups=tuple(groups)), made_up(4000, seed=1, groups=tuple(groups))
    before, after = (fitted(train, s).decide(test) for s in (0.0, 10.0))
    assert gap(before, test) > 0.3
    assert gap(after, test) < 0.3 * gap(before, test)
    assert (after == test.label).mean() > 0.6


def test_equalized_odds_cuts_the_gap_of_error_rates(made_up):
    train, test = made_up(6000), made_up(6000, seed=1)
    group = test.groups("group")

    def odds(decided):
        rates = [[decided[(group == g) & (test.label == y)].mean() for g in "AB"] for y in (False, True)]
        return max(abs(a - b) for a, b in rates)

    before, after = (fitted(train, s, penalty="equalized_odds").decide(test) for s in (0.0, 10.0))
    assert odds(before) > 0.12
    assert odds(after) < 0.5 * odds(before)


def test_logit_pairing_makes_the_groups_column_irrelevant(made_up, rng):
    train, test = saying(made_up(4000)), saying(made_up(2000, seed=1))
    swapped = dataclasses.replace(test, features=other_group(test, "group", rng)(test))
    before, after = (fitted(train, s, penalty=PAIRING) for s in (0.0, 10.0))
    moved = [(d.decide(test) != d.decide(swapped)).mean() for d in (before, after)]
    assert moved[0] > 0.2
    assert moved[1] < 0.1 * moved[0]
    assert (after.decide(test) == test.label).mean() > 0.65


def test_the_counterfactual_of_a_table_changes_the_columns_that_say_the_group_and_nothing_else(made_up):
    people = saying(made_up(300, groups=("A", "B", "C")))
    twins = other_group(people, "group", np.random.default_rng(8))(people)
    np.testing.assert_array_equal(twins[:, 3:], people.features[:, 3:])
    assert (twins[:, :3].sum(axis=1) == 1).all()
    assert (twins[:, :3].argmax(axis=1) != people.features[:, :3].argmax(axis=1)).all()
    counts = np.bincount(3 * people.features[:, :3].argmax(axis=1) + twins[:, :3].argmax(axis=1), minlength=9)
    assert (counts[[1, 2, 3, 5, 6, 7]] > 20).all()  # everybody's two other groups both occur


def test_no_counterfactual_is_an_error(made_up):
    with pytest.raises(DataError, match="include_sensitive=True"):
        fitted(made_up(500), penalty=PAIRING)


def test_people_it_cannot_learn_from(spoiled):
    people, message = spoiled
    for penalty in ("demographic_parity", PAIRING):
        with pytest.raises(DataError, match=message):
            fitted(people, penalty=penalty)


def test_options_that_make_no_sense():
    with pytest.raises(UnknownName, match="demographic_parity"):
        FairnessRegularizer(penalty="demographic parity")
    with pytest.raises(InputError, match="budget from 0 to 1"):
        FairnessRegularizer(budget=2.0)
    with pytest.raises(InputError, match="both of them"):
        FairnessRegularizer(penalty=PAIRING, swapper=Swapper())


def test_other_columns_than_in_training(made_up):
    found = fitted(made_up(500), 0.0)
    with pytest.raises(DataError, match=r"\(500, 20\)"):
        found.scores(made_up(500, width=7))


@pytest.mark.data
@pytest.mark.slow
def test_adult_within_two_points(adult, gap, rng):
    plain = LogisticBaseline().fit(adult.train, sensitive="sex", rng=rng).decide(adult.test)
    ours = FairnessRegularizer().fit(adult.train, sensitive="sex", rng=rng).decide(adult.test)
    lost = (plain == adult.test.label).mean() - (ours == adult.test.label).mean()
    assert lost <= 0.02
    assert gap(ours, adult.test, "sex") <= 0.4 * gap(plain, adult.test, "sex")
