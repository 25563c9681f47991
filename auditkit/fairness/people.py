"""People and what was decided about them: a checked table, and its attributes crossed into groups."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from auditkit.errors import DataError, UnknownName
from auditkit.fairness.copies import refuse_copies
from auditkit.fairness.spelling import ABSENT, TRUTH, alike, folded, is_absent
from auditkit.fairness.yes_no import yes_no

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.object_]

MISSING = "(missing)"
MAX_VALUES = 100  # of one attribute; more are a measurement, not groups of people
BINARY = frozenset(("0", "1"))
NO_GROUP = ABSENT - {"none"}
"""Folded names of groups that say that nothing is known; "none", as of children, says something."""


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

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", yes_no(self.label, "label"))
        object.__setattr__(self, "prediction", yes_no(self.prediction, "prediction"))

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
    def sizes(self) -> Ints:
        """(G,) how many people each group has."""
        return np.bincount(self.codes, minlength=len(self.groups))

    @property
    def unknown(self) -> Bools:
        """(G,) whether the group is of people whose value of an attribute is missing."""
        endings = tuple(f"={MISSING}{after}" for after in ("", "+"))
        return np.array([g.endswith(endings[0]) or endings[1] in g for g in self.groups])


def read_people(
    table: pd.DataFrame,
    sensitive: Sequence[str],
    *,
    positive: str = "",
    predictable: Sequence[str] = (),
    groups_as_written: bool = False,
) -> People:
    """Check a table with the columns label, prediction, perhaps score, and the sensitive attributes.

    Labels and predictions of more than two kinds are read as "`positive` or not". Every prediction must be a value of
    the label, letter by letter: what is only spelled like one is never counted as another.

    Args:
        table: one row a person.
        sensitive: the columns that say who people are.
        positive: the favourable value of label and prediction; may be left out where they are 0/1 or true/false.
        predictable: values that predictions may take though no label does: the names of a classifier's labels.
        groups_as_written: whether groups whose names differ in spelling only are different groups.

    Raises:
        DataError: no rows, a column or a value missing, two columns of one name, a value or a group in two spellings,
            the same people more than once, values that are not 0/1 without `positive`, a prediction that no label
            has, a score that is no probability, or an attribute with more than 100 values.
        UnknownName: no such sensitive column, or nobody's label is `positive`.
    """
    if not len(table):
        raise DataError("the table of people has no rows; expected one row for each person")
    if not sensitive:
        raise DataError("no sensitive column was named; name those that say who people are, e.g. sensitive: [sex]")
    _refuse_two_columns_of_one_name(table, ("id", "label", "prediction", "score", *sensitive))
    label, prediction = (_complete(table, name) for name in ("label", "prediction"))
    chosen = _positive(label, prediction, positive, predictable)
    refuse_copies(table)
    return People(
        label=label == chosen,
        prediction=prediction == chosen,
        score=_score(table),
        sensitive={name: _attribute(table, name, groups_as_written) for name in sensitive},
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


def _refuse_two_columns_of_one_name(table: pd.DataFrame, used: Sequence[str]) -> None:
    """Of two columns that are called alike nobody can say which is meant; pandas calls the second of a file x.1."""
    names = [str(c) for c in table.columns]
    if twice := [n for n in names if names.count(n) > 1]:
        raise DataError(f"two columns are named {twice[0]!r}; keep one of them, or give the other another name")
    for name in set(used) & set(names):
        again = re.compile(rf"{re.escape(folded(name))}(\.\d+)?")
        if others := [n for n in names if n != name and again.fullmatch(folded(n))]:
            raise DataError(
                f"two columns are named {name!r}, one of them spelled {others[0]!r}; keep one of them, or give the "
                "other another name"
            )


def _texts(column: pd.Series[Any]) -> tuple[Texts, Bools]:
    """The values as texts, 1 and 0 for true and false, whole numbers without a point; and where there are none."""
    return np.array([_text(v) for v in column], dtype=object), column.isna().to_numpy()


def _text(value: Any) -> str:
    """Equal values are one text, whatever their type; what is a text already keeps its spelling."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return {"True": "1", "False": "0"}.get(str(value), str(value))


def group_texts(values: Iterable[Any]) -> Texts:
    """(n,) what says who people are, as texts: as `_text` writes them, and `MISSING` for None, NaN and NA."""
    import pandas as pd

    given = list(values)
    missing = pd.isna(np.array([None if v is pd.NA else v for v in given], dtype=object))
    return np.array([MISSING if none else _text(v) for v, none in zip(given, missing, strict=True)], dtype=object)


def is_unknown(groups: Texts) -> Bools:
    """(n,) whose group, perhaps of crossed attributes ("F+(missing)"), is not known."""
    return np.array([MISSING in str(group).split("+") for group in groups], dtype=bool)


def _complete(table: pd.DataFrame, name: str) -> Texts:
    """The values of a column that everybody must have."""
    texts, missing = _texts(_column(table, name))
    absent = np.isin(texts, [t for t in set(texts) if is_absent(t)])
    if none := int((missing | absent).sum()):
        first = int((missing | absent).argmax())
        written = "" if missing[first] else f", written {texts[first]!r}"
        raise DataError(
            f"{name}: {none} of {len(texts)} people have none (first in row {first + 1}{written}); give everybody a "
            f"{name}, or leave these people out; if it is an outcome, write it in another word"
        )
    return texts


def _positive(label: Texts, prediction: Texts, given: str, predictable: Sequence[str]) -> str:
    """Which value counts as positive."""
    labels, predictions = set(label), set(prediction)
    given = given if given in labels else TRUTH.get(given.casefold(), given)
    _refuse_spellings(labels, predictions | set(predictable))
    known = BINARY if labels <= BINARY else labels
    if given and given not in known:
        raise UnknownName("value of label and prediction", given, sorted(known)[:20])
    if not given and known is labels:
        shown = ", ".join(sorted(labels)[:5])
        raise DataError(f"label takes the values {shown}; say which of them is the favourable one with `positive`")
    strange = sorted(predictions - known - set(predictable))
    if strange:
        raise DataError(
            f"prediction holds {strange[0]!r}, label holds {', '.join(sorted(labels)[:5])}; expected the same values "
            "in both (probabilities belong into the column score)"
        )
    return given or "1"


def _refuse_spellings(labels: set[str], predictions: set[str]) -> None:
    """One outcome in two spellings would count as two."""
    for ways in alike(labels | predictions):
        where = ", ".join(
            f"{way!r} ({' and '.join(n for n, v in (('label', labels), ('prediction', predictions)) if way in v)})"
            for way in ways
        )
        raise DataError(f"one outcome is spelled in {len(ways)} ways: {where}; write it alike in label and prediction")


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


def _attribute(table: pd.DataFrame, name: str, as_written: bool) -> Texts:
    if name not in table:
        raise UnknownName("column", name, map(str, table.columns))
    texts = group_texts(table[name])
    values = set(texts)
    if len(values) > MAX_VALUES:
        raise DataError(f"sensitive column {name!r} has {len(values)} values; cut it into at most {MAX_VALUES} groups")
    if not as_written:
        _refuse_groups_alike(name, texts, values)
    return texts


def _refuse_groups_alike(name: str, texts: Texts, values: set[str]) -> None:
    """Two spellings of one group divide its people, perhaps into parts that are too small to be compared."""
    absent = sorted(v for v in values if v == MISSING or folded(v) in NO_GROUP)
    found = [*alike(values - set(absent)), *([tuple(absent)] if len(absent) > 1 else [])]
    if found:
        written = "; ".join(" and ".join(f"{w!r} ({(texts == w).sum()})" for w in ways) for ways in found[:5])
        raise DataError(
            f"sensitive column {name!r}: groups that differ in spelling only: {written}; write them alike, or say "
            "groups_as_written: true where they are different people"
        )


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
