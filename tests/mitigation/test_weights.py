"""Weights of people: a whole one is so many equal rows, in everything that counts them; the rest refuses them."""

import dataclasses

import numpy as np
import pytest

from auditkit.errors import DataError
from auditkit.mitigation.augmentation import CounterfactualAugmentation
from auditkit.mitigation.baseline import LogisticBaseline, repeated, take
from auditkit.mitigation.erasure import LEACE, LeaceEraser, one_hot
from auditkit.mitigation.inlp import INLP
from auditkit.mitigation.network import Training
from auditkit.mitigation.postprocess import GroupThresholds, isotonic, platt
from auditkit.mitigation.reductions import ExponentiatedGradientReduction
from auditkit.mitigation.regularizer import FairnessRegularizer
from auditkit.mitigation.reweighing import Reweighing, reweighing_weights
from auditkit.mitigation.task import Task

EXACT = [LogisticBaseline(), Reweighing(), LEACE()]


@pytest.fixture
def weighted(made_up):
    """People with whole weights, and the same with as many equal rows; the weights say something of the outcome."""

    def make(n=400):
        people = made_up(n, width=4)
        times = np.random.default_rng(1).integers(1, 4, size=n) + 2 * people.label
        rows = np.repeat(np.arange(n), times)
        who = {name: values[rows] for name, values in people.sensitive.items()}
        many = dataclasses.replace(
            people, features=people.features[rows], label=people.label[rows], sensitive=who, ids=people.ids[rows]
        )
        return people, dataclasses.replace(people, weights=times.astype(float)), many

    return make


@pytest.mark.parametrize("method", EXACT, ids=lambda m: m.name)
def test_a_whole_weight_is_so_many_equal_rows(method, weighted, rng):
    plain, once, many = weighted()
    scores = [method.fit(p, sensitive="group", rng=rng).scores(plain) for p in (plain, once, many)]
    np.testing.assert_allclose(scores[1], scores[2], atol=2e-4)  # both stop where the gradient is small
    assert np.abs(scores[0] - scores[1]).max() > 0.05


def test_the_reduction_counts_rows(weighted, rng):
    plain, once, many = weighted(300)
    method = ExponentiatedGradientReduction(bound=0.05, max_iterations=10)
    chances = [method.fit(p, sensitive="group", rng=rng).chances(plain) for p in (plain, once, many)]
    np.testing.assert_allclose(chances[1], chances[2], atol=1e-9)
    assert np.abs(chances[0] - chances[1]).max() > 0.05


class Known:
    """A base whose scores are the first feature, whoever it learns from."""

    name, stage, source = "known", "none", "made up (2026)"

    def fit(self, train, *, sensitive, rng):
        return self

    def scores(self, people):
        return 1 / (1 + np.exp(-people.features[:, 0]))

    def decide(self, people):
        return self.scores(people) >= 0.5


def test_thresholds_of_weighted_people_are_those_of_the_rows(weighted, monkeypatch):
    from auditkit.mitigation import postprocess

    plain, once, many = weighted()

    def everybody(train, groups, share, rng):
        return train, train

    monkeypatch.setattr(postprocess, "hold_out", everybody)  # the draw of whom to hold out is by rows
    method = GroupThresholds(base=Known())
    found = [method.fit(p, sensitive="group", rng=np.random.default_rng(0)).chances(plain) for p in (plain, once, many)]
    np.testing.assert_allclose(found[1], found[2], atol=1e-12)
    assert np.abs(found[0] - found[1]).max() > 0.5


def test_reweighing_by_hand():
    # F+ 3, F- 1, M+ 1 + 2 (weights 1 and 2), M- 3: 10 people. F+ expects 4 * 6 / 10 = 2.4 of 3.
    groups = np.array(list("FFMMM"), dtype=object)
    label, counts = np.array([1, 0, 1, 1, 0], dtype=bool), np.array([3.0, 1.0, 1.0, 2.0, 3.0])
    expected = [2.4 / 3, 1.6 / 1, 3.6 / 3, 3.6 / 3, 2.4 / 3]
    np.testing.assert_allclose(reweighing_weights(groups, label, counts), expected)


def test_the_erased_correlation_is_that_of_the_people_they_stand_for(weighted):
    plain, once, many = weighted()
    z = one_hot(plain.groups("group"))
    erased = LeaceEraser.fit(plain.features, z, once.weights)
    by_rows = LeaceEraser.fit(many.features, one_hot(many.groups("group")))
    np.testing.assert_allclose(erased.apply(plain.features), by_rows.apply(plain.features), atol=1e-9)
    assert np.abs(erased.apply(plain.features) - LeaceEraser.fit(plain.features, z).apply(plain.features)).max() > 1e-3


@pytest.mark.parametrize("fit", [isotonic, platt])
def test_calibration_counts_them(fit):
    rng = np.random.default_rng(0)
    scores, times = rng.uniform(0.05, 0.95, 80), rng.integers(1, 5, size=80)
    label, rows, grid = rng.random(80) < scores**2, np.repeat(np.arange(80), times), np.linspace(0.1, 0.9, 9)
    expected = fit(scores[rows], label[rows])(grid)
    np.testing.assert_allclose(fit(scores, label, times.astype(float))(grid), expected, atol=1e-5)
    assert np.abs(fit(scores, label)(grid) - expected).max() > 1e-3


def test_rows_of_weights_that_are_not_whole():
    np.testing.assert_array_equal(repeated(np.array([1.0, 3.0]), 2, 100), [0, 1, 1, 1])
    shares = np.bincount(repeated(np.array([0.5, 1.25, 2.0]), 3, 1500)) / 1500
    np.testing.assert_allclose(shares, np.array([0.5, 1.25, 2.0]) / 3.75, atol=1e-3)
    np.testing.assert_array_equal(repeated(None, 3, 1), [0, 1, 2])


def test_augmentation_gives_each_of_a_pair_half_of_what_the_person_counts(made_up, rng):
    from auditkit.mitigation.swaps import Swapper

    class Length:
        def embed(self, texts):
            return np.array([[len(t), "She" in t.split()] for t in texts], dtype=np.float32)

    people = made_up(60)
    texts = tuple(f"{'She' if i % 2 else 'He'} has {'x' * (i % 7)}" for i in range(60))
    people = dataclasses.replace(people, texts=texts, features=np.asarray(Length().embed(texts), dtype=float))
    method = CounterfactualAugmentation(encoder=Length(), swapper=Swapper())
    double = dataclasses.replace(people, weights=np.full(60, 2.0))
    one, two = (method.fit(p, sensitive="group", rng=rng) for p in (people, double))
    assert two.about == {"texts_swapped": 60, "texts_left_unsure": 0}
    assert np.abs(two.scores(people) - one.scores(people)).max() > 1e-6  # twice as many against the same penalty


@pytest.mark.parametrize(
    "method", [INLP(), FairnessRegularizer(strength=0.1, training=Training(epochs=1))], ids=lambda m: m.name
)
def test_who_does_not_count_weights_says_so(method, weighted, rng):
    with pytest.raises(DataError, match="does not count weights"):
        method.fit(weighted(120)[1], sensitive="group", rng=rng)


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [1.0, 0.0], [1.0, np.nan], [1.0, np.inf]], ids=str)
def test_weights_that_make_no_sense_are_refused(weights, made_up):
    people = take(made_up(10), np.arange(10) < 2)
    with pytest.raises(DataError, match="expected 2 finite numbers above 0"):
        dataclasses.replace(people, weights=np.array(weights))


def test_the_people_to_judge_by_count_once(weighted):
    _, once, many = weighted(60)
    with pytest.raises(DataError, match="whoever is judged counts once"):
        Task("made up", many, once, tuple("abcd"), "made up")
    assert take(once, np.arange(60) < 5).weights.tolist() == once.weights[:5].tolist()
