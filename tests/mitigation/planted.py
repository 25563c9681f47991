"""People and methods for comparisons, so small that every number can be counted by hand."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from auditkit.errors import DataError
from auditkit.mitigation.task import Split, Task

BEFORE, AFTER, COIN = range(3)


class Decisions:
    """Decides as a column of the features says."""

    def __init__(self, column):
        self.column = column

    def scores(self, people):
        return people.features[:, self.column]

    def decide(self, people):
        return self.scores(people) > 0.5


@dataclass(frozen=True, kw_only=True)
class Planted:
    """Fits nothing."""

    name: str = "planted"
    stage: ClassVar[str] = "none"
    source: ClassVar[str] = "made up"
    column: int = AFTER

    def fit(self, train, *, sensitive, rng):
        return Decisions(self.column)


@dataclass(frozen=True, kw_only=True)
class Drawn(Planted):
    """Decides by lot."""

    def fit(self, train, *, sensitive, rng):
        lots = rng.random(4)

        class Lots(Decisions):
            def scores(self, people):
                return (np.arange(len(people)) * lots[0] + lots[1]) % 1

        return Lots(0)


@dataclass(frozen=True, kw_only=True)
class Failing(Planted):
    error: Exception = field(default_factory=lambda: DataError("nobody to learn from"))

    def fit(self, train, *, sensitive, rng):
        raise self.error


WITHOUT = Planted(name="as it is", column=BEFORE)


def people(cells):
    """People from {(sex, race, label, before, after): how many}."""
    rows = [cell for cell, count in cells.items() for _ in range(count)]
    sex, race, label, before, after = (np.array(column, dtype=object) for column in zip(*rows, strict=True))
    features = np.column_stack([before, after, np.arange(len(rows)) % 2]).astype(float)
    ids = np.array([f"p{i}" for i in range(len(rows))], dtype=object)
    return Split(features, label.astype(bool), {"sex": sex, "race": race}, None, ids)


def task_of(cells):
    everybody = people(cells)
    return Task("planted", everybody, everybody, ("before", "after", "coin"), "made up")


# Selection: F 0.4 before and 0.6 after, M 0.7 both times. Right: F 90 of 100 before and 80 after, M 90 both times.
SMALL = {
    ("F", "x", 1, 1, 1): 40,
    ("F", "x", 1, 0, 1): 5,
    ("F", "x", 1, 0, 0): 5,
    ("F", "x", 0, 0, 0): 35,
    ("F", "x", 0, 0, 1): 15,
    ("M", "x", 1, 1, 1): 60,
    ("M", "x", 0, 1, 1): 10,
    ("M", "x", 0, 0, 0): 30,
}


def value(report, metric, method="planted"):
    return report[f"mitigation/{method}/{metric}"].value
