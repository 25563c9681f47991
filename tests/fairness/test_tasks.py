"""Tasks from published tables: what a model may know, fitted on those to learn from, no person in both parts.

What holds for any people is shown on made-up ones in the two published formats.
"""

import json
from functools import partial

import numpy as np
import pytest

from auditkit.errors import InputError, UnknownName
from auditkit.fairness.tasks import adult_task, german_credit_task
from auditkit.testing import FakeEncoder

TASKS = [adult_task, german_credit_task]


def adult_line(rng, end=""):
    """Somebody whose income depends on the hours of work alone."""
    sex, hours = rng.choice(["Female", "Male"]), int(rng.integers(10, 70))
    work, race = rng.choice(["Private", "Local-gov", "?"]), rng.choice(["White", "Black"])
    income = ">50K" if hours > 40 else "<=50K"
    cells = [rng.integers(18, 80), work, 1, "Bachelors", rng.integers(5, 16), "Never-married", "Sales"]
    return (
        ", ".join(
            map(str, [*cells, "Not-in-family", race, sex, *rng.integers(0, 3, 2), hours, "United-States", income])
        )
        + end
    )


def german_line(rng):
    status, credit = rng.choice(["A92", "A93"]), rng.choice(["1", "2"])
    months, amount, age, rate, years, credits, others = rng.integers(
        (6, 250, 19, 1, 1, 1, 1), (60, 9_000, 70, 5, 5, 4, 3)
    )
    return (
        f"A11 {months} A34 A43 {amount} A65 A75 {rate} {status} A101 {years} A121 {age} A143 A152 {credits} A173 "
        f"{others} A192 A201 {credit}"
    )


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    """A folder with 600 and 300 people as in Adult, and 400 as in German Credit."""
    root, rng = tmp_path_factory.mktemp("tables"), np.random.default_rng(0)
    (root / "adult").mkdir()
    (root / "adult" / "adult.data").write_text("\n".join(adult_line(rng) for _ in range(600)))
    (root / "adult" / "adult.test").write_text("\n".join(adult_line(rng, ".") for _ in range(300)))
    (root / "adult" / "adult.names").write_text("")
    (root / "german_credit").mkdir()
    (root / "german_credit" / "german.data").write_text("\n".join(german_line(rng) for _ in range(400)))
    meanings = {
        "status_sex": {"A92": "female : divorced", "A93": "male : single"},
        "foreign_worker": {"A201": True},
        "credit": {"1": "good", "2": "bad"},
    }
    (root / "german_credit" / "values_maps.json").write_text(json.dumps(meanings))
    return root


@pytest.mark.parametrize("make", TASKS)
def test_columns_of_made_up_people_are_standardised_on_those_to_learn_from(make, made_up):
    standardised(partial(make, made_up))


@pytest.mark.data
@pytest.mark.parametrize("make", TASKS)
def test_columns_are_standardised_on_the_people_to_learn_from(make):
    standardised(make)


def standardised(make):
    task = make(limit=400)
    assert task.train.features.shape[1] == task.test.features.shape[1] == len(task.columns) == len(set(task.columns))
    numbers = [i for i, c in enumerate(task.columns) if "=" not in c]
    learned = task.train.features[:, numbers]
    np.testing.assert_allclose(learned.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(learned.std(axis=0), 1, atol=1e-9)
    assert np.abs(task.test.features[:, numbers].mean(axis=0)).max() > 1e-4
    assert set(task.train.ids).isdisjoint(task.test.ids)
    assert "UCI" in task.source


def test_who_somebody_is_stays_out_unless_asked_for(made_up):
    assert not any(c.startswith(("sex", "race", "age")) for c in adult_task(made_up).columns)
    assert not any(c.startswith(("status_sex", "foreign", "age")) for c in german_credit_task(made_up).columns)
    known = adult_task(made_up, include_sensitive=True).columns
    assert {"age", "sex=Female", "race=Black"} <= set(known)


def test_a_part_is_drawn_by_outcome_and_sex_and_the_seed_decides_who(made_up):
    task = german_credit_task(made_up)
    assert (len(task.train), len(task.test)) == pytest.approx((280, 120), abs=2)  # each stratum is rounded
    for value in ("female", "male"):
        shares = [part.label[part.sensitive["sex"] == value].mean() for part in (task.train, task.test)]
        assert shares[0] == pytest.approx(shares[1], abs=0.02)
    assert set(german_credit_task(made_up, seed=1).test.ids) != set(task.test.ids)
    assert list(german_credit_task(made_up).test.ids) == list(task.test.ids)


@pytest.mark.data
def test_the_published_parts_and_a_drawn_one():
    task = german_credit_task()
    assert (len(task.train), len(task.test)) == (700, 300)
    assert task.train.label.mean() == pytest.approx(task.test.label.mean(), abs=0.01)
    assert task.train.texts is None
    assert set(german_credit_task(seed=1).test.ids) != set(task.test.ids)
    assert list(german_credit_task().test.ids) == list(task.test.ids)


def test_a_logistic_regression_finds_what_was_planted(made_up):
    from sklearn.linear_model import LogisticRegression

    task = adult_task(made_up)
    learned = LogisticRegression(max_iter=1_000).fit(task.train.features, task.train.label)
    assert learned.score(task.test.features, task.test.label) > 0.95
    assert task.columns[int(np.abs(learned.coef_[0]).argmax())] == "hours_per_week"


@pytest.mark.data
def test_a_logistic_regression_learns_from_it():
    from sklearn.linear_model import LogisticRegression

    task = adult_task(limit=3_000)
    learned = LogisticRegression(max_iter=1_000).fit(task.train.features, task.train.label)
    assert learned.score(task.test.features, task.test.label) > 0.82 > 1 - task.test.label.mean() + 0.04


def test_texts_of_made_up_people_and_their_embeddings(made_up):
    embedded(partial(adult_task, made_up), "Female")


@pytest.mark.data
@pytest.mark.parametrize(("make", "woman"), [(adult_task, "Female"), (german_credit_task, "female")])
def test_texts_and_their_embeddings(make, woman):
    embedded(make, woman)


def embedded(make, woman):
    encoder = FakeEncoder()
    task = make(features="text", encoder=encoder, limit=20)
    assert task.name.endswith("text")
    assert len(task.train.texts) == len(task.train) == 20
    np.testing.assert_allclose(task.test.features, encoder.embed(task.test.texts))
    women = task.train.sensitive["sex"] == woman
    np.testing.assert_array_equal([t.startswith("She") for t in task.train.texts], women)


def test_bad_options(made_up):
    with pytest.raises(UnknownName, match="tabular"):
        adult_task(features="table")
    with pytest.raises(InputError, match="features='text'"):
        adult_task(encoder=FakeEncoder())
    with pytest.raises(InputError, match="limit=0"):
        german_credit_task(made_up, limit=0)
