"""Tasks from real data: what a model may know, fitted on those to learn from, and no person in both parts."""

import numpy as np
import pytest

from auditkit.errors import InputError, UnknownName
from auditkit.fairness.tasks import adult_task, german_credit_task
from auditkit.testing import FakeEncoder

pytestmark = pytest.mark.data


@pytest.mark.parametrize("make", [adult_task, german_credit_task])
def test_columns_are_standardised_on_the_people_to_learn_from(make):
    task = make(limit=400)
    assert task.train.features.shape[1] == task.test.features.shape[1] == len(task.columns) == len(set(task.columns))
    numbers = [i for i, c in enumerate(task.columns) if "=" not in c]
    learned = task.train.features[:, numbers]
    np.testing.assert_allclose(learned.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(learned.std(axis=0), 1, atol=1e-9)
    assert np.abs(task.test.features[:, numbers].mean(axis=0)).max() > 1e-4
    assert set(task.train.ids).isdisjoint(task.test.ids)
    assert "UCI" in task.source


def test_who_somebody_is_stays_out_unless_asked_for():
    assert not any(c.startswith(("sex", "race", "age")) for c in adult_task(limit=200).columns)
    assert not any(c.startswith(("status_sex", "foreign", "age")) for c in german_credit_task().columns)
    known = adult_task(limit=200, include_sensitive=True).columns
    assert {"age", "sex=Female", "race=Black"} <= set(known)


def test_the_published_parts_and_a_drawn_one():
    task = german_credit_task()
    assert (len(task.train), len(task.test)) == (700, 300)
    assert task.train.label.mean() == pytest.approx(task.test.label.mean(), abs=0.01)
    assert task.train.texts is None
    assert set(german_credit_task(seed=1).test.ids) != set(task.test.ids)
    assert list(german_credit_task().test.ids) == list(task.test.ids)


def test_a_logistic_regression_learns_from_it():
    from sklearn.linear_model import LogisticRegression

    task = adult_task(limit=3_000)
    learned = LogisticRegression(max_iter=1_000).fit(task.train.features, task.train.label)
    assert learned.score(task.test.features, task.test.label) > 0.82 > 1 - task.test.label.mean() + 0.04


@pytest.mark.parametrize("make", [adult_task, german_credit_task])
def test_texts_and_their_embeddings(make):
    encoder = FakeEncoder()
    task = make(features="text", encoder=encoder, limit=20)
    assert task.name.endswith("text")
    assert len(task.train.texts) == len(task.train) == 20
    np.testing.assert_allclose(task.test.features, encoder.embed(task.test.texts))
    women = task.train.sensitive["sex"] == ("Female" if make is adult_task else "female")
    np.testing.assert_array_equal([t.startswith("She") for t in task.train.texts], women)


def test_bad_options():
    with pytest.raises(UnknownName, match="tabular"):
        adult_task(features="table")
    with pytest.raises(InputError, match="features='text'"):
        adult_task(encoder=FakeEncoder())
    with pytest.raises(InputError, match="limit=0"):
        german_credit_task(limit=0)
