import dataclasses

import numpy as np
import pytest
from fairlearn.postprocessing import ThresholdOptimizer

from auditkit.errors import DataError, InputError, UnknownName
from auditkit.fairness.calibration import calibration_by_group
from auditkit.fairness.people import cross
from auditkit.mitigation.baseline import GradientBoosting, LogisticBaseline, hold_out, take
from auditkit.mitigation.postprocess import GroupCalibration, GroupThresholds, isotonic, person_draws, platt


@dataclasses.dataclass
class Fitted:
    """A decider whose scores are given."""

    given: np.ndarray

    def scores(self, people):
        return self.given

    def decide(self, people):
        return self.given >= 0.5


def error_gap(decided, people):
    """The larger of the differences in true and in false positive rates."""
    group, label = people.groups("group"), people.label
    rates = [[decided[(group == g) & (label == y)].mean() for g in "AB"] for y in (True, False)]
    return max(abs(a - b) for a, b in rates)


def test_equal_selection_rates_on_new_people(made_up, gap, rng):
    train, test = made_up(8000), made_up(8000, seed=1)
    before, after = (
        m.fit(train, sensitive="group", rng=rng).decide(test) for m in (LogisticBaseline(), GroupThresholds())
    )
    assert gap(before, test) > 0.3
    assert gap(after, test) < 0.05
    assert (after == test.label).mean() > 0.6


def test_equal_error_rates_on_new_people(made_up, rng):
    train, test = made_up(8000), made_up(8000, seed=1)
    mitigations = (LogisticBaseline(), GroupThresholds(constraint="equalized_odds"))
    before, after = (m.fit(train, sensitive="group", rng=rng).decide(test) for m in mitigations)
    assert error_gap(before, test) > 0.15
    assert error_gap(after, test) < 0.07


def test_a_tolerance_leaves_so_much_of_the_gap_and_costs_less(made_up, gap):
    train, test = made_up(8000), made_up(8000, seed=1)
    strict, mild = (
        GroupThresholds(tolerance=t).fit(train, sensitive="group", rng=np.random.default_rng(0)).decide(test)
        for t in (0.0, 0.2)
    )
    assert gap(strict, test) < 0.05
    assert 0.12 < gap(mild, test) < 0.25
    assert (mild == test.label).mean() > (strict == test.label).mean()


@pytest.mark.parametrize("constraint", ["demographic_parity", "equalized_odds"])
def test_the_chances_are_fairlearn_s(made_up, constraint):
    train, test = made_up(), made_up(seed=1)
    decider = GroupThresholds(constraint=constraint).fit(train, sensitive="group", rng=np.random.default_rng(0))
    learn, held = hold_out(train, train.groups("group"), 0.3, np.random.default_rng(0))
    model = LogisticBaseline().fit(learn, sensitive="group", rng=np.random.default_rng(0)).classifier
    theirs = ThresholdOptimizer(estimator=model, constraints=constraint, prefit=True, predict_method="predict_proba")
    theirs.fit(held.features, held.label.astype(int), sensitive_features=held.groups("group"))
    expected = theirs._pmf_predict(test.features, sensitive_features=test.groups("group"))[:, 1]
    np.testing.assert_allclose(decider.chances(test), expected, atol=1e-12)
    assert len(np.unique(expected)) >= 2


def test_the_lottery_keeps_its_odds_and_gives_each_person_one_ticket(made_up):
    train, test = made_up(), made_up(20_000, seed=1)
    mitigation = GroupThresholds(constraint="equalized_odds")
    decider = mitigation.fit(train, sensitive="group", rng=np.random.default_rng(0))
    chances, decided = decider.chances(test), decider.decide(test)
    drawn = (chances > 0) & (chances < 1)
    assert drawn.sum() > 1000  # else there is no lottery to be tested
    error = np.sqrt((chances * (1 - chances)).sum())
    assert abs(decided.sum() - chances.sum()) < 4 * error
    assert not decided[chances == 0].any()
    assert decided[chances == 1].all()
    for _ in range(3):
        np.testing.assert_array_equal(decider.decide(take(test, drawn)), decided[drawn])
    redrawn = dataclasses.replace(decider, seed=decider.seed + 1).decide(test)
    assert (redrawn != decided)[drawn].mean() > 0.01
    np.testing.assert_array_equal(redrawn[~drawn], decided[~drawn])


def test_draws_are_uniform_and_belong_to_the_person():
    draws = person_draws((f"person {i}" for i in range(20_000)), seed=3)
    assert (draws >= 0).all()
    assert (draws < 1).all()
    counts = np.histogram(draws, bins=20, range=(0, 1))[0]
    assert ((counts - 1000) ** 2 / 1000).sum() < 45  # chi-squared with 19 degrees of freedom, p = 0.0007
    np.testing.assert_array_equal(person_draws(["person 7", "person 3"], 3), draws[[7, 3]])
    assert abs(np.corrcoef(draws, person_draws((f"person {i}" for i in range(20_000)), seed=4))[0, 1]) < 0.03


def test_any_model_can_be_corrected(made_up, gap, rng):
    train, test = made_up(8000), made_up(8000, seed=1)
    boosted = GroupThresholds(base=GradientBoosting()).fit(train, sensitive="group", rng=rng)
    assert gap(boosted.base.decide(test), test) > 0.3
    assert gap(boosted.decide(test), test) < 0.05
    np.testing.assert_array_equal(boosted.scores(test), boosted.base.scores(test))


@pytest.mark.parametrize("mitigation", [GroupThresholds(), GroupCalibration()])
def test_the_group_must_be_known(mitigation, made_up, rng):
    assert mitigation.needs_group
    decider = mitigation.fit(made_up(), sensitive="group", rng=rng)
    strangers = made_up(300, groups=("A", "C"))
    with pytest.raises(DataError, match="people of group 'C', which nobody learned from belongs to; expected A, B"):
        decider.decide(strangers)
    with pytest.raises(UnknownName, match="unknown sensitive column 'group'"):
        decider.decide(dataclasses.replace(strangers, sensitive={"coin": strangers.sensitive["coin"]}))


def skewed(scores):
    """Scores that are too sure of themselves."""
    odds = 3 * np.log(scores / (1 - scores))
    return 1 / (1 + np.exp(-odds))


def errors_by_group(people, scores):
    partition = next(iter(cross({"group": people.sensitive["group"]})))
    found = calibration_by_group(partition, people.label, scores)
    return np.array([abs(g.gap) for g in found]), np.array([g.error for g in found])


@pytest.mark.parametrize("isotonic_from", [1, 10**9], ids=["isotonic", "Platt"])
def test_the_calibration_of_every_group_improves_on_new_people(made_up, rng, isotonic_from):
    train, test = made_up(16_000), made_up(16_000, seed=1)
    blind, blind_test = (dataclasses.replace(p, features=p.features[:, [0, 2]]) for p in (train, test))
    decider = GroupCalibration(isotonic_from=isotonic_from).fit(blind, sensitive="group", rng=rng)
    gaps, errors = errors_by_group(test, decider.base.scores(blind_test))
    assert gaps.min() > 0.15  # a model that sees merit alone is too hard on A and too kind to B
    after, errors_after = errors_by_group(test, decider.scores(blind_test))
    assert after.max() < 0.03
    assert errors_after.max() < 0.04 < errors.min()


@pytest.mark.parametrize("fit", [isotonic, platt])
def test_scores_that_are_too_sure_become_probabilities(fit):
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.02, 0.98, 40_000)
    label = rng.random(40_000) < truth
    corrected = fit(skewed(truth[:20_000]), label[:20_000])(skewed(truth[20_000:]))
    assert np.abs(skewed(truth[20_000:]) - truth[20_000:]).mean() > 0.1
    assert np.abs(corrected - truth[20_000:]).mean() < 0.03
    assert (np.diff(corrected[np.argsort(skewed(truth[20_000:]))]) >= 0).all()


def test_platt_is_the_fit_to_smoothed_targets():
    # Platt (1999): of 3 positives and 2 negatives the targets are 4/5 and 1/4; a constant score gets their mean.
    corrected = platt(np.full(5, 0.5), np.array([True, True, True, False, False]))
    assert corrected(np.array([0.5])) == pytest.approx((3 * 4 / 5 + 2 * 1 / 4) / 5, abs=1e-6)
    separated = platt(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True]))
    assert separated(np.array([0.0, 1.0])) == pytest.approx([0.0, 1.0], abs=0.05)


def test_small_groups_get_platt_and_large_ones_isotonic(made_up, rng):
    people = made_up(3000)
    few = (people.sensitive["group"] == "A") | (np.arange(3000) < 300)
    decider = GroupCalibration(isotonic_from=300).fit(take(people, few), sensitive="group", rng=rng)
    grid = np.linspace(0.01, 0.99, 500)
    steps = {group: len(np.unique(correct(grid))) for group, correct in decider.corrections.items()}
    assert steps["A"] < 200  # isotonic regression is flat between steps
    assert steps["B"] == 500


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"constraint": "fairness"}, "expected demographic_parity or equalized_odds"),
        ({"tolerance": -0.1}, "tolerance=-0.1"),
        ({"tolerance": 0.1, "constraint": "equalized_odds"}, "0 for equalized odds"),
        ({"held_out": 1.0}, "held_out=1.0"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        GroupThresholds(**options)


@pytest.mark.data
@pytest.mark.slow
def test_adult_loses_little_accuracy_and_most_of_the_gap(adult, gap, rng):
    before, after = (
        m.fit(adult.train, sensitive="sex", rng=rng).decide(adult.test) for m in (LogisticBaseline(), GroupThresholds())
    )
    assert gap(after, adult.test, "sex") < 0.4 * gap(before, adult.test, "sex")
    assert (after == adult.test.label).mean() > (before == adult.test.label).mean() - 0.025
