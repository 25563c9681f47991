"""People and what was decided about them: a checked table, and its attributes crossed into groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from auditkit.errors import DataError, UnknownName

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.object_]

MISSING = "(missing)"
MAX_VALUES = 100  # of one attribute; more are a measurement, not groups of people
TRUTH = {"True": "1", "False": "0"}


@dataclass(frozen=True, slots=True)
class People:
    """One entry a person.

    Attributes:
        label: (n,) whether the true outcome is the positive one.
        prediction: (n,) whether the positive outcome was predicted.
        score: (n,) the predicted probability of the positive outcome; None where it was not given.
        sensitive: each attribute's (n,) values as texts; `MISSING` where there is none.
        positive: the value of the label that counts as positive.
    """

    label: Bools
    prediction: Bools
    score: Floats | None
    sensitive: Mapping[str, Texts]
    positive: str

    def __len__(self) -> int:
        return len(self.label)


@dataclass(frozen=True, slots=True)
class Partition:
    """People divided by one attribute, or by several crossed.

    Attributes:
        columns: the attributes.
        groups: the name of each group that somebody belongs to, as in "sex=Female+race=Black".
        codes: (n,) the position in `groups` of each person's group.
    """

    columns: tuple[str, ...]
    groups: tuple[str, ...]
    codes: Ints

    @property
    def name(self) -> str:
        """The attributes, as in "sex+race"."""
        return "+".join(self.columns)

    @property
    def unknown(self) -> Bools:
        """(G,) whether the group is of people whose value of an attribute is missing."""
        endings = tuple(f"={MISSING}{after}" for after in ("", "+"))
        return np.array([g.endswith(endings[0]) or endings[1] in g for g in self.groups])


def read_people(table: pd.DataFrame, sensitive: Sequence[str], *, positive: str = "") -> People:
    """Check a table with the columns label, prediction, perhaps score, and the sensitive attributes.

    Labels and predictions of more than two kinds are read as "`positive` or not".

    Args:
        table: one row a person.
        sensitive: the columns that say who people are.
        positive: the favourable value of label and prediction; may be left out where they are 0/1 or true/false.

    Raises:
        DataError: no rows, a column or a value missing, values that are not 0/1 without `positive`, a score that is
            no probability, or an attribute with more than 100 values.
        UnknownName: no such sensitive column, or nobody has the value `positive`.
    """
    if not len(table):
        raise DataError("the table of people has no rows; expected one row for each person")
    if not sensitive:
        raise DataError("no sensitive column was named; name those that say who people are, e.g. sensitive: [sex]")
    label, prediction = (_complete(table, name) for name in ("label", "prediction"))
    chosen = _positive(label, prediction, positive)
    return People(
        label=label == chosen,
        prediction=prediction == chosen,
        score=_score(table),
        sensitive={name: _attribute(table, name) for name in sensitive},
        positive=chosen,
    )


def cross(sensitive: Mapping[str, Texts], max_order: int = 3) -> Iterator[Partition]:
    """People divided by each attribute, then by each pair, up to `max_order` attributes at once.

    An attribute that is the same for everybody divides nobody, so it is not crossed with others.
    """
    varying = [name for name, values in sensitive.items() if len(set(values)) > 1]
    yield from (_partition({name: values}) for name, values in sensitive.items())
    for order in range(2, min(max_order, len(varying)) + 1):
        for names in combinations(varying, order):
            yield _partition({name: sensitive[name] for name in names})


def _partition(attributes: Mapping[str, Texts]) -> Partition:
    import pandas as pd

    codes: Ints = np.zeros(len(next(iter(attributes.values()))), dtype=np.int64)
    names = [""]
    for attribute, values in attributes.items():
        found, uniques = pd.factorize(values, sort=True)
        crossed, codes = np.unique(codes * len(uniques) + found, return_inverse=True)
        pairs = [divmod(int(c), len(uniques)) for c in crossed]
        names = [f"{names[before]}+{attribute}={uniques[value]}".lstrip("+") for before, value in pairs]
    # "/" divides the parts of a measurement's id.
    return Partition(tuple(attributes), tuple(n.replace("/", "|") for n in names), codes.astype(np.int64))


def _column(table: pd.DataFrame, name: str) -> pd.Series[Any]:
    if name not in table:
        found = ", ".join(map(repr, table.columns))
        raise DataError(f"no column {name!r} among {found}; give your column this name, one row for each person")
    return table[name]


def _texts(column: pd.Series[Any]) -> tuple[Texts, Bools]:
    """The values as texts, 1 and 0 for true and false, whole numbers without a point; and where there are none."""
    missing = column.isna().to_numpy()
    if column.dtype.kind == "f":
        texts = np.array([str(int(v)) if v == v and float(v).is_integer() else str(v) for v in column], dtype=object)
    else:
        texts = np.array([TRUTH.get(t, t) for t in column.astype(str)], dtype=object)
    return texts, missing


def _complete(table: pd.DataFrame, name: str) -> Texts:
    texts, missing = _texts(_column(table, name))
    if missing.any():
        raise DataError(
            f"{name}: {missing.sum()} of {len(texts)} people have none (first in row {missing.argmax() + 1}); "
            f"give everybody a {name}, or leave these people out"
        )
    return texts


def _positive(label: Texts, prediction: Texts, given: str) -> str:
    """Which value counts as positive."""
    labels, predictions = set(label), set(prediction)
    given = TRUTH.get(given.capitalize(), given)
    if given and given not in labels | predictions:
        raise UnknownName("value of label and prediction", given, [str(v) for v in labels | predictions][:20])
    if not given and not labels <= {"0", "1"}:
        shown = ", ".join(sorted(map(str, labels))[:5])
        raise DataError(f"label takes the values {shown}; say which of them is the favourable one with `positive`")
    strange = sorted(predictions - ({"0", "1"} if not given else labels | {given}))
    if strange and (not given or not predictions & labels):
        expected = ", ".join(sorted(labels)[:5])
        raise DataError(
            f"prediction holds {strange[0]!r}, label holds {expected}; expected the same values in both "
            "(probabilities belong into the column score)"
        )
    return given or "1"


def _score(table: pd.DataFrame) -> Floats | None:
    if "score" not in table:
        return None
    import pandas as pd

    scores = pd.to_numeric(table["score"], errors="coerce").to_numpy(dtype=np.float64)
    wrong = ~((scores >= 0) & (scores <= 1))  # NaN compares false
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"score: {wrong.sum()} of {len(scores)} are no probability (first in row {row + 1}: "
            f"{table['score'].iloc[row]}); expected numbers from 0 to 1 for everybody, or no column score"
        )
    return scores


def _attribute(table: pd.DataFrame, name: str) -> Texts:
    if name not in table:
        raise UnknownName("column", name, map(str, table.columns))
    texts, missing = _texts(table[name])
    texts[missing] = MISSING
    values = len(set(texts))
    if values > MAX_VALUES:
        raise DataError(f"sensitive column {name!r} has {values} values; cut it into at most {MAX_VALUES} groups")
    return texts


def align(table: pd.DataFrame, other: pd.DataFrame, sensitive: Sequence[str]) -> pd.DataFrame:
    """The rows of `other` in the order of `table`, by the column id where both have it, else as they stand.

    Raises:
        DataError: they are not about the same people: other ids, another number of rows, other labels or attributes.
    """
    by_id = "id" in table and "id" in other
    if by_id:
        for which in (table, other):
            if not which["id"].is_unique:
                raise DataError(f"id {which['id'][which['id'].duplicated()].iloc[0]} appears twice; expected it once")
        if set(table["id"]) != set(other["id"]):
            strangers = len(set(table["id"]) ^ set(other["id"]))
            raise DataError(f"{strangers} people are in one of the two tables only; compare models on the same people")
        other = other.set_index("id").loc[table["id"]].reset_index()
    if len(table) != len(other):
        raise DataError(f"{len(table)} people here, {len(other)} there; compare two models on the same people")
    for name in ("label", *(s for s in sensitive if s in other)):
        here, there = (_texts(_column(t, name))[0] for t in (table, other))
        differs = (here != there) & ~(table[name].isna().to_numpy() & other[name].isna().to_numpy())
        if differs.any():
            row = int(differs.argmax())
            raise DataError(
                f"row {row + 1} has {name} {here[row]} in one table and {there[row]} in the other: not the same people "
                f"in the same order{'' if by_id else '; give both tables a column id'}"
            )
    return other
