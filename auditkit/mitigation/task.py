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
from auditkit.fairness.people import group_texts, is_unknown
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
        sensitive: each attribute's (n,) values as texts; None, NaN and NA become "(missing)", as in an audit.
        texts: (n,) each person described in words; None where there are only numbers.
        ids: (n,) who they are.
        weights: (n,) how many people each one stands for when learned from, as in a survey; None for one each.

    Raises:
        DataError: a label is neither true nor false, or a weight is no number above 0.
    """

    features: Floats
    label: Bools
    sensitive: Mapping[str, Texts]
    texts: tuple[str, ...] | None
    ids: Texts
    weights: Floats | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", yes_no(self.label, "label"))
        known = {name: group_texts(values) for name, values in self.sensitive.items()}
        object.__setattr__(self, "sensitive", known)
        if self.weights is not None:
            object.__setattr__(self, "weights", _checked_weights(self.weights, len(self.label)))

    def __len__(self) -> int:
        return len(self.label)

    def groups(self, attribute: str) -> Texts:
        """(n,) the values of one attribute, or of several crossed ("sex+race").

        Raises:
            UnknownName: no such attribute.
            DataError: all whose value is known have the same, so that there is nothing to compare.
        """
        crossed = self.values(attribute)
        known = crossed[~is_unknown(crossed)]
        if len(set(known)) < 2:
            of = f"all {len(known)} people" if len(known) == len(self) else f"the {len(known)} people of a known group"
            raise DataError(
                f"{attribute}: {of} are {str(known[0]) if len(known) else ''!r}; expected two groups or more"
            )
        return crossed

    def values(self, attribute: str) -> Texts:
        """As `groups`, of however many: to decide about a single person takes no second group.

        Raises:
            UnknownName: no such attribute.
        """
        names = attribute.split("+")
        for name in names:
            if name not in self.sensitive:
                raise UnknownName("sensitive column", name, self.sensitive)
        columns = [self.sensitive[name] for name in names]
        return np.array(["+".join(map(str, v)) for v in zip(*columns, strict=True)], dtype=object)

    @property
    def counts(self) -> Floats:
        """(n,) how many people each one stands for: the weights, or ones."""
        return np.ones(len(self)) if self.weights is None else self.weights


@dataclass(frozen=True, slots=True)
class Task:
    """A decision about people. `train` and `test` share no person.

    Attributes:
        name: as in a report: "adult, tabular".
        train: people to learn from, perhaps with weights.
        test: people to judge by; each counts once.
        columns: names of the features.
        source: where the data come from.

    Raises:
        DataError: the people to judge by have weights.
    """

    name: str
    train: Split
    test: Split
    columns: tuple[str, ...]
    source: str

    def __post_init__(self) -> None:
        if self.test.weights is not None:
            raise DataError(
                "the people to judge by have weights, and whoever is judged counts once; expected weights of those to "
                "learn from alone (test without weights)"
            )


def _checked_weights(weights: Floats, n: int) -> Floats:
    given = np.asarray(weights, dtype=np.float64)
    if given.shape != (n,) or not (np.isfinite(given) & (given > 0)).all():
        raise DataError(f"weights of shape {given.shape}; expected {n} finite numbers above 0, one for each person")
    return given


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
