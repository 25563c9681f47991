import dataclasses

import numpy as np
import pytest

from auditkit.mitigation.task import Split


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def made_up():
    """Makes people of two groups or more, whose group shows in the features and, by `bias`, in the outcomes.

    Feature 0 is merit, feature 1 tells the group, and the others are noise; later groups fare worse.
    """

    def make(n=2000, *, seed=0, groups=("A", "B"), bias=2.5, width=20):
        rng = np.random.default_rng(seed)
        code = rng.integers(len(groups), size=n)
        features = rng.normal(size=(n, width))
        features[:, 1] = code + 0.5 * features[:, 1]
        odds = 1.5 * features[:, 0] - bias * (code - (len(groups) - 1) / 2)
        label = rng.random(n) < 1 / (1 + np.exp(-odds))
        sensitive = {
            "group": np.array(groups, dtype=object)[code],
            "coin": np.array(["heads", "tails"], dtype=object)[rng.integers(2, size=n)],
        }
        return Split(features, label, sensitive, None, np.array([f"person {i}" for i in range(n)], dtype=object))

    return make


@pytest.fixture(scope="session")
def gap():
    """The largest difference among groups in the share of people whom a decision favours."""

    def measure(decided, people, attribute="group"):
        groups = people.groups(attribute)
        rates = [decided[groups == g].mean() for g in set(groups)]
        return max(rates) - min(rates)

    return measure


@pytest.fixture(scope="session")
def adult():
    """UCI Adult as columns of a table; the published split."""
    from auditkit.fairness.tasks import adult_task

    return adult_task()


def unusable(people):
    """Ways to spoil people, each with what the error says of it."""
    same = dataclasses.replace(people, label=np.ones(len(people), dtype=bool))
    alone = dataclasses.replace(people, sensitive={"group": np.full(len(people), "A", dtype=object)})
    label = people.label.copy()
    label[people.sensitive["group"] == "B"] = False
    never = dataclasses.replace(people, label=label)
    holes = people.features.copy()
    holes[7, 1] = np.nan
    unknown = dataclasses.replace(people, features=holes)
    return {
        "one outcome": (same, "outcomes are favourable"),
        "one group": (alone, "expected two groups or more"),
        "a group that never succeeds": (never, r"group 'B' nobody has a favourable outcome; merge"),
        "NaN": (unknown, r"1 of 2000 people .* \(first: person 7\); fill"),
    }


@pytest.fixture(params=["one outcome", "one group", "a group that never succeeds", "NaN"])
def spoiled(request, made_up):
    """People whom no mitigation can learn from, and what the error says."""
    return unusable(made_up())[request.param]
