"""The reject option: whom the model is least sure of is decided in favour of the group that fares worse."""

import dataclasses

import numpy as np
import pytest

from auditkit.errors import DataError, InputError
from auditkit.mitigation import compare
from auditkit.mitigation.baseline import LogisticBaseline
from auditkit.mitigation.reject_option import RejectOption, choose_margin, with_margin
from auditkit.mitigation.task import Task


def test_the_decisions_of_a_worked_example():
    # Kamiran et al. (2012), algorithm 1: within the margin the group decides, outside it the score does.
    scores = np.array([0.2, 0.45, 0.55, 0.9, 0.2, 0.45, 0.55, 0.9])
    shift = np.array([0.1] * 4 + [-0.1] * 4)
    assert with_margin(scores, shift).tolist() == [False, True, True, True, False, False, False, True]
    assert with_margin(scores, np.zeros(8)).tolist() == [False, False, True, True] * 2


def test_the_narrowest_margin_that_is_enough_is_chosen():
    # F: one of four selected; M: three. Within 0.04 stand the third of F and the second of M: then two of four each.
    scores = np.array([0.1, 0.2, 0.46, 0.9, 0.1, 0.54, 0.8, 0.9])
    groups = np.array(list("FFFFMMMM"), dtype=object)
    favoured, margin, gap = choose_margin(scores, groups, np.ones(8), tolerance=0.0)
    assert favoured == {"F": False, "M": True}
    assert gap == 0.0
    assert margin == pytest.approx(0.0425)  # the first of the grid above 0.04
    assert choose_margin(scores, groups, np.ones(8), tolerance=0.6)[1:] == (0.0, 0.5)


def test_whole_weights_are_repeated_people():
    rng = np.random.default_rng(0)
    scores, groups = rng.random(60), np.array(list("FM"), dtype=object)[rng.integers(2, size=60)]
    scores[groups == "F"] *= 0.8
    counts = rng.integers(1, 5, size=60)
    weighted = choose_margin(scores, groups, counts.astype(float), tolerance=0.01)
    rows = np.repeat(np.arange(60), counts)
    repeated = choose_margin(scores[rows], groups[rows], np.ones(len(rows)), tolerance=0.01)
    assert weighted[:2] == repeated[:2]
    assert weighted[2] == pytest.approx(repeated[2])
    assert weighted[2] != pytest.approx(choose_margin(scores, groups, np.ones(60), tolerance=0.01)[2])


def test_the_planted_gap_closes_on_new_people_and_nobody_sure_is_moved(made_up, gap, rng):
    train, test = made_up(8000), made_up(8000, seed=1)
    before = LogisticBaseline().fit(train, sensitive="group", rng=rng)
    after = RejectOption().fit(train, sensitive="group", rng=rng)
    assert gap(before.decide(test), test) > 0.3
    assert gap(after.decide(test), test) < 0.06
    moved = after.decide(test) != (after.scores(test) >= 0.5)
    assert moved.any()
    assert np.abs(after.scores(test)[moved] - 0.5).max() < after.margin
    assert set(test.groups("group")[moved & after.decide(test)]) == {"B"}  # the planted one that fares worse
    assert after.about["disfavoured"] == ["B"]


def test_without_a_gap_nothing_moves(made_up, rng):
    people = made_up(4000, bias=0.0)
    assert RejectOption(tolerance=0.1).fit(people, sensitive="group", rng=rng).margin == 0.0


def test_who_has_no_known_group_is_left_to_the_model(made_up, rng):
    decider = RejectOption().fit(made_up(3000), sensitive="group", rng=rng)
    test = made_up(500, seed=1)
    unknown = dataclasses.replace(test, sensitive={"group": np.array([None] * 500, dtype=object)})
    np.testing.assert_array_equal(decider.decide(unknown), decider.scores(unknown) >= 0.5)
    with pytest.raises(DataError, match="group 'C', which nobody learned from"):
        decider.decide(made_up(50, groups=("A", "C")))


def test_it_is_judged_before_and_after_as_the_others(made_up):
    task = Task("made up", made_up(2500, width=4), made_up(1500, seed=1, width=4), tuple("abcd"), "made up")
    report = compare(task, ["reject_option"], sensitive="group")
    assert report["mitigation/reject_option/selection_rate_difference_change"].interval.high < 0
    details = report["mitigation/reject_option/accuracy"].details
    assert details["needs_group"]
    assert 0 < details["margin"] <= 0.5


@pytest.mark.parametrize("options", [{"tolerance": -0.1}, {"tolerance": 1.0}, {"held_out": 0.0}], ids=str)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(InputError, match=next(iter(options))):
        RejectOption(**options)
