"""DP-SGD by group: the budget is kept, a small group carried by rare features loses more, and equal groups do not."""

import dataclasses
import math

import numpy as np
import pytest

from auditkit.errors import DataError, InputError
from auditkit.mitigation.baseline import LogisticBaseline
from auditkit.mitigation.private import PrivateClassifier, _mean, accuracy_by_group
from auditkit.mitigation.task import Split, Task
from auditkit.privacy.ledger import Ledger

RARE = 0.03


def people(n, seed, rare=RARE):
    """What decides about the few is in columns that are zero for the many, and the other way round."""
    rng = np.random.default_rng(seed)
    few = rng.random(n) < rare
    merit = rng.normal(size=(n, 10))
    features = np.concatenate([merit * ~few[:, None], merit * few[:, None]], axis=1)
    label = rng.random(n) < 1 / (1 + np.exp(-4 * merit.mean(axis=1) * math.sqrt(10)))
    group = np.where(few, "few", "many").astype(object)
    return Split(features, label, {"group": group}, None, np.arange(n).astype(object))


def effects(rare, **options):
    task = Task("planted", people(2500, 0, rare), people(8000, 1, rare), tuple("abcdefghijklmnopqrst"), "made up")
    chosen = {"epsilons": (0.5,), "runs": 3, "epochs": 6, "batch_size": 128, "learning_rate": 0.04, **options}
    found = accuracy_by_group(task, sensitive="group", rng=np.random.default_rng(0), **chosen)
    return {(e.epsilon, e.rate, e.group): e for e in found}


@pytest.mark.slow
def test_a_small_group_carried_by_rare_features_loses_more():
    found = effects(RARE, runs=5)
    few, many = (found[0.5, "accuracy", g] for g in ("few", "many"))
    assert few.before > 0.8  # without privacy it is served well
    assert few.change.interval.high < -0.02
    assert few.excess.interval.high < -0.02
    assert few.excess.value == pytest.approx(few.change.value - many.change.value)
    assert abs(many.change.value) < 0.05
    assert (few.n, many.n) == (np.sum(people(8000, 1).sensitive["group"] == "few"), 8000 - few.n)


def test_groups_of_one_size_lose_alike():
    found = effects(0.5)
    for group in ("few", "many"):
        assert 0.0 in found[0.5, "accuracy", group].excess.interval, found


def test_the_interval_covers_the_mean_change_over_people_and_runs():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        runs, each = rng.normal(0, 0.05, size=(4, 1)), rng.normal(0, 0.3, size=(1, 150))
        covered += 0.02 in _mean(0.02 + runs + each + rng.normal(0, 0.3, size=(4, 150))).interval
    assert covered / 400 > 0.93


def test_the_budget_is_kept_and_written_down(made_up, tmp_path):
    method = PrivateClassifier(epsilon=1.5, epochs=2, ledger=tmp_path / "ledger.json")
    assert (method.name, PrivateClassifier.name) == ("dp-sgd (epsilon 1.5)", "dp-sgd")
    found = method.fit(made_up(1500), sensitive="group", rng=np.random.default_rng(0))
    assert 1.4 < found.epsilon <= 1.5
    ledger = Ledger(tmp_path / "ledger.json", delta=1e-5, target_epsilon=1.5)
    assert ledger.cost().epsilon == found.epsilon
    assert ledger.steps == 18  # 2 epochs of 1500 people in batches of an eighth of them, 187


def test_without_a_budget_it_is_a_logistic_regression(made_up, rng):
    train, test = made_up(4000), made_up(4000, seed=1)
    plain = LogisticBaseline().fit(train, sensitive="group", rng=rng)
    found = PrivateClassifier(epsilon=math.inf).fit(train, sensitive="group", rng=rng)
    assert found.epsilon == math.inf
    assert (found.decide(test) == plain.decide(test)).mean() > 0.96


@pytest.mark.slow
def test_equal_generators_give_equal_decisions(made_up):
    train = made_up(600)
    first, second, other = (
        PrivateClassifier(epsilon=4.0, epochs=1)
        .fit(train, sensitive="group", rng=np.random.default_rng(s))
        .scores(train)
        for s in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


def test_people_it_cannot_learn_from(spoiled, made_up, rng):
    damaged, message = spoiled
    with pytest.raises(DataError, match=message):
        PrivateClassifier().fit(damaged, sensitive="group", rng=rng)
    dollars = made_up(500)
    dollars = dataclasses.replace(dollars, features=dollars.features * np.array([1, 1, 1e5] + [1] * 17))
    with pytest.raises(DataError, match="column 3 of the features reaches"):
        PrivateClassifier().fit(dollars, sensitive="group", rng=rng)


def test_settings_that_make_no_sense(made_up, rng):
    with pytest.raises(InputError, match="epsilon and a learning_rate above 0"):
        PrivateClassifier(epsilon=0.0)
    with pytest.raises(InputError, match="2 or more"):
        effects(RARE, runs=1)
    with pytest.raises(InputError, match="delta"):
        PrivateClassifier(delta=0.5).fit(made_up(500), sensitive="group", rng=rng)
