import numpy as np
import pandas as pd
import pytest

COLUMNS = (
    *("age", "workclass", "fnlwgt", "education", "education_num", "marital", "occupation", "relationship", "race"),
    *("sex", "gain", "loss", "hours", "country", "label"),
)


@pytest.fixture(scope="session")
def adult(published):
    """UCI Adult: who people are, whether they earn more than 50,000, and what a logistic regression says of it."""
    folder = published("adult")
    read = {"names": list(COLUMNS), "skipinitialspace": True}
    parts = [pd.read_csv(folder / "adult.data", **read), pd.read_csv(folder / "adult.test", skiprows=1, **read)]
    table = pd.concat(parts, ignore_index=True)
    label = table["label"].str.strip(".").eq(">50K").astype(int)
    numbers = table[["age", "education_num", "gain", "loss", "hours"]].to_numpy(dtype=float)
    numbers = (numbers - numbers.mean(axis=0)) / numbers.std(axis=0)
    from sklearn.linear_model import LogisticRegression

    score = LogisticRegression().fit(numbers, label).predict_proba(numbers)[:, 1]
    age = pd.cut(table["age"], [0, 24, 34, 49, 64, 120], labels=["under 25", "25 to 34", "35 to 49", "50 to 64", "65+"])
    people = table[["sex", "race"]].assign(age=age.astype(str))
    return people.assign(label=label, prediction=(score > 0.5).astype(int), score=score)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def people():
    """A table of made-up people with a seed of its own."""

    def make(n=600, *, seed=0, rates=None, base=0.4):
        rng = np.random.default_rng(seed)
        sex, race = rng.choice(["F", "M"], n), rng.choice(["A", "B", "C"], n)
        rate = np.full(n, 0.3)
        for (s, r), value in (rates or {}).items():
            rate[((sex == s) | (s == "*")) & ((race == r) | (r == "*"))] = value
        label = rng.random(n) < base
        prediction = rng.random(n) < rate
        return pd.DataFrame(
            {"label": label.astype(int), "prediction": prediction.astype(int), "sex": sex, "race": race}
        )

    return make
