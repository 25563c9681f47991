import dataclasses

import numpy as np
import pytest

from auditkit.errors import DataError, UnknownName
from auditkit.mitigation.baseline import GradientBoosting, LogisticBaseline, fit_logistic, hold_out, take
from auditkit.mitigation.erasure import LEACE
from auditkit.mitigation.inlp import INLP
from auditkit.mitigation.postprocess import GroupCalibration, GroupThresholds
from auditkit.mitigation.reductions import ExponentiatedGradientReduction
from auditkit.mitigation.reweighing import Reweighing
from auditkit.mitigation.task import predictions

ALL = [
    *(LogisticBaseline(), GradientBoosting(), Reweighing(), LEACE(), INLP(), GroupThresholds()),
    *(GroupThresholds(constraint="equalized_odds"), GroupCalibration(), ExponentiatedGradientReduction()),
]
by_name = pytest.mark.parametrize("mitigation", ALL, ids=lambda m: f"{m.name} {getattr(m, 'constraint', '')}")


@by_name
def test_people_who_cannot_be_learned_from_are_refused(mitigation, spoiled, rng):
    people, message = spoiled
    with pytest.raises(DataError, match=message):
        mitigation.fit(people, sensitive="group", rng=rng)


@by_name
def test_an_unknown_attribute_is_refused(mitigation, made_up, rng):
    with pytest.raises(UnknownName, match="did you mean 'group'"):
        mitigation.fit(made_up(), sensitive="groop", rng=rng)


@by_name
def test_the_same_generator_gives_the_same_decisions_whoever_else_is_asked_about(mitigation, made_up):
    people, others = made_up(), made_up(600, seed=1)
    first, second = (mitigation.fit(people, sensitive="group", rng=np.random.default_rng(5)) for _ in range(2))
    decided = first.decide(others)
    np.testing.assert_array_equal(decided, second.decide(others))
    np.testing.assert_allclose(first.scores(others), second.scores(others), rtol=1e-12)
    backwards = np.arange(len(others))[::-1]
    few = dataclasses.replace(
        others,
        features=others.features[backwards],
        label=others.label[backwards],
        sensitive={k: v[backwards] for k, v in others.sensitive.items()},
        ids=others.ids[backwards],
    )
    np.testing.assert_array_equal(first.decide(few)[::-1], decided)
    alone = take(others, np.arange(len(others)) == 17)
    assert first.decide(alone)[0] == decided[17]


@by_name
def test_crossed_groups_are_groups(mitigation, made_up, rng):
    people = made_up(3000)
    decided = mitigation.fit(people, sensitive="group+coin", rng=rng).decide(people)
    assert decided.shape == (3000,)
    assert (decided == people.label).mean() > 0.6  # chance is 0.5; erasing the coin costs some merit


@by_name
def test_decisions_become_an_audited_model(mitigation, made_up, rng):
    people = made_up()
    model = predictions(mitigation.fit(people, sensitive="group", rng=rng), people, name="decided")
    table = model.predictions()
    assert list(table) == ["id", "label", "prediction", "score", "group", "coin"]
    assert table["score"].between(0, 1).all()
    assert ((table["score"] > 0.5) == (table["label"] == 1)).mean() > 0.65


@by_name
def test_features_of_another_task_or_with_holes_are_refused(mitigation, made_up, rng):
    decider = mitigation.fit(made_up(), sensitive="group", rng=rng)
    with pytest.raises(DataError, match=r"features of shape \(2000, 4\); expected \(2000, 20\)"):
        decider.decide(made_up(width=4))
    people = made_up()
    people.features[3, 0] = np.inf
    with pytest.raises(DataError, match="first: person 3"):
        decider.decide(people)


def test_the_baseline_is_logistic_regression_and_keeps_the_planted_bias(made_up, gap, rng):
    people = made_up(20_000)
    baseline = LogisticBaseline().fit(people, sensitive="group", rng=rng)
    odds = np.log(baseline.scores(people) / (1 - baseline.scores(people)))
    weights = np.linalg.lstsq(np.column_stack([people.features, np.ones(20_000)]), odds, rcond=None)[0]
    np.testing.assert_allclose(odds, np.column_stack([people.features, np.ones(20_000)]) @ weights, atol=1e-8)
    assert gap(baseline.decide(people), people) > 0.25
    assert gap(LogisticBaseline().fit(made_up(bias=0), sensitive="group", rng=rng).decide(people), people) < 0.1


def test_boosting_learns_what_a_line_cannot(made_up, rng):
    people = made_up(4000)
    curved = dataclasses.replace(people, label=np.abs(people.features[:, 2]) > 0.7)
    linear, boosted = (m.fit(curved, sensitive="group", rng=rng) for m in (LogisticBaseline(), GradientBoosting()))
    assert (linear.decide(curved) == curved.label).mean() < 0.6
    assert (boosted.decide(curved) == curved.label).mean() > 0.95


def test_weights_count_people(made_up):
    people = made_up(300)
    twice = np.repeat(np.arange(300), np.where(people.label, 2, 1))
    weighted = fit_logistic(people.features, people.label, np.where(people.label, 2.0, 1.0), tol=1e-10)
    repeated = fit_logistic(people.features[twice], people.label[twice], tol=1e-10)
    scores = [m.steps[-1][1].coef_ / m.steps[0][1].scale_ for m in (weighted, repeated)]
    np.testing.assert_allclose(*scores, rtol=0.02)  # the penalty sees features that were scaled differently


def test_held_out_people_are_others_in_the_same_proportions(made_up, rng):
    people = made_up(1000)
    learn, held = hold_out(people, people.groups("group"), 0.3, rng)
    assert not set(learn.ids) & set(held.ids)
    assert len(learn) + len(held) == 1000
    for group in "AB":
        for outcome in (True, False):
            whole, part = (((p.sensitive["group"] == group) & (p.label == outcome)).sum() for p in (people, held))
            assert part == round(0.3 * whole)


def test_one_person_with_an_outcome_cannot_be_both_learned_from_and_held_out(made_up, rng):
    people = made_up(200)
    label = people.label.copy()
    label[people.sensitive["group"] == "B"] = False
    label[np.argmax(people.sensitive["group"] == "B")] = True
    lonely = dataclasses.replace(people, label=label)
    LogisticBaseline().fit(lonely, sensitive="group", rng=rng)
    with pytest.raises(DataError, match="group 'B' has 1 people with outcome True; expected 2 or more"):
        GroupThresholds().fit(lonely, sensitive="group", rng=rng)
