"""A decision about people to be made fairer, and what a mitigation is.

A `Task` holds people to learn from and people to judge by. A mitigation is fitted to the first and decides about
anybody; its decisions, as a table, are an ordinary audited model:

    decider = Reweighing().fit(task.train, sensitive="sex", rng=rng)
    ak.audit(predictions(decider, task.test, name="reweighed"), [GroupFairness(sensitive=["sex", "race"])])
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt

from auditkit.errors import DataError, UnknownName
from auditkit.fairness.yes_no import yes_no

if TYPE_CHECKING:
    from auditkit.models.predictions import Predictions

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Split:
    """People with known outcomes.

    Attributes:
        features: (n, d) what a model may know of each: columns of a table, or an embedding of a text.
        label: (n,) whether the true outcome is the favourable one; 0/1 in any type is read as that.
        sensitive: each attribute's (n,) values as texts.
        texts: (n,) each person described in words; None where there are only numbers.
        ids: (n,) who they are.

    Raises:
        DataError: a label is neither true nor false.
    """

    features: Floats
    label: Bools
    sensitive: Mapping[str, Texts]
    texts: tuple[str, ...] | None
    ids: Texts

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", yes_no(self.label, "label"))

    def __len__(self) -> int:
        return len(self.label)

    def groups(self, attribute: str) -> Texts:
        """(n,) the values of one attribute, or of several crossed ("sex+race").

        Raises:
            UnknownName: no such attribute.
            DataError: everybody has the same value, so that there is nothing to compare.
        """
        names = attribute.split("+")
        for name in names:
            if name not in self.sensitive:
                raise UnknownName("sensitive column", name, self.sensitive)
        crossed = np.array(["+".join(map(str, v)) for v in zip(*(self.sensitive[n] for n in names), strict=True)])
        if len(set(crossed)) < 2:
            raise DataError(f"{attribute}: all {len(self)} people are {str(crossed[0])!r}; expected two groups or more")
        return crossed.astype(object)


@dataclass(frozen=True, slots=True)
class Task:
    """A decision about people. `train` and `test` share no person.

    Attributes:
        name: as in a report: "adult, tabular".
        train: people to learn from.
        test: people to judge by.
        columns: names of the features.
        source: where the data come from.
    """

    name: str
    train: Split
    test: Split
    columns: tuple[str, ...]
    source: str


class Decider(Protocol):
    """A fitted model of a decision: the result of every mitigation, and of none."""

    def scores(self, people: Split) -> Floats:
        """(n,) probability of the favourable outcome."""
        ...

    def decide(self, people: Split) -> Bools:
        """(n,) the decision; thresholds may differ by group."""
        ...


class Mitigation(Protocol):
    """A way to make a decision fairer: a frozen keyword-only dataclass whose fields are its options.

    Attributes:
        name: as in a report, e.g. "reweighing".
        stage: before, during or after training.
        source: the publication that defines it.
    """

    name: ClassVar[str]
    stage: ClassVar[Literal["none", "before", "during", "after"]]
    source: ClassVar[str]

    def fit(self, train: Split, *, sensitive: str, rng: np.random.Generator) -> Decider:
        """Learn from `train`, treating the groups of the attribute `sensitive` alike.

        Raises:
            DataError: fewer than two groups, only one outcome, or a group without either outcome.
        """
        ...


def predictions(decider: Decider, people: Split, *, name: str) -> Predictions:
    """The decisions about `people` as an audited model: columns id, label, prediction, score, and who they are."""
    import pandas as pd

    from auditkit.models.predictions import Predictions

    table = {"id": people.ids, "label": people.label.astype(int), "prediction": decider.decide(people).astype(int)}
    scores = np.clip(decider.scores(people), 0.0, 1.0)
    return Predictions(pd.DataFrame({**table, "score": scores, **people.sensitive}), name=name)
