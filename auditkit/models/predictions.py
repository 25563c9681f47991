"""Decisions that a model has already made, as a table: a fairness audit then needs no model."""

from __future__ import annotations

import hashlib
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from auditkit import extras
from auditkit.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".parquet")
DECIDED = ("prediction", "score")


class Predictions:
    """A table with one row a person; implements Predicts.

    Args:
        table: the columns `label` (what is true), `prediction` (what the model decided), perhaps `score` (its
            probability of the favourable outcome) and `id`, and those that say who people are.
        name: what the report calls the model.
    """

    task = "predictions"

    def __init__(self, table: pd.DataFrame, *, name: str) -> None:
        self._table = table
        self.name = name
        self.notices: Counter[str] = Counter()

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a .csv or .parquet file.

        Raises:
            DataError: as `read_table`.
        """
        return cls(read_table(path), name=str(path))

    @classmethod
    def of_estimator(cls, estimator: Any, features: Any, people: pd.DataFrame, *, name: str = "") -> Self:
        """What a fitted scikit-learn classifier of two classes decides about people.

        Args:
            estimator: has `predict`, `classes_` and perhaps `predict_proba`; the second class is the favourable one.
            features: what it reads, one row a person.
            people: the columns `label` and those that say who people are, in the order of `features`.
            name: what the report calls it; the estimator's class by default.

        Raises:
            DataError: not as many people as rows of features, or more than two classes.
        """
        classes = list(getattr(estimator, "classes_", ()))
        if len(classes) != 2:
            raise DataError(f"{type(estimator).__name__} has the classes {classes}; expected a fitted one with two")
        decided = np.asarray(estimator.predict(features))
        if len(decided) != len(people):
            raise DataError(f"{len(decided)} rows of features, {len(people)} people; expected one row a person")
        table = people.assign(prediction=decided)
        if hasattr(estimator, "predict_proba"):
            table["score"] = estimator.predict_proba(features)[:, 1]
        return cls(table, name=name or type(estimator).__name__)

    def predictions(self) -> pd.DataFrame:
        """The table."""
        return self._table

    @cached_property
    def sha256(self) -> str:
        """Hash of the table's contents, computed once."""
        return hashlib.sha256(self._table.to_csv(index=False).encode()).hexdigest()

    def describe(self) -> dict[str, Any]:
        """Identity of the table; what only a network has is None."""
        return {
            "name": self.name,
            "task": self.task,
            "architecture": f"predictions for {len(self._table):,} people",
            "device": None,
            "dtype": None,
            "parameters": None,
            "weights_sha256": self.sha256,
            "context": None,
            "revision": None,
        }

    def randomized(self, seed: int) -> Self:
        """The same decisions, dealt out to the people at random."""
        order = np.random.default_rng(seed).permutation(len(self._table))
        dealt = {c: self._table[c].to_numpy()[order] for c in DECIDED if c in self._table}
        return type(self)(self._table.assign(**dealt), name=f"{self.name} (dealt out at random, seed {seed})")


def read_table(path: str | Path) -> pd.DataFrame:
    """A .csv or .parquet file as a table; in a csv an empty cell, and nothing else, is a missing value.

    Raises:
        DataError: no such file, another kind of file, a damaged one, or one with two columns of one name.
        MissingExtra: a .parquet file, and no pyarrow.
    """
    import pandas as pd

    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise DataError(f"{path}: expected a table of people as a file that ends in {' or '.join(SUFFIXES)}")
    if not path.is_file():
        raise DataError(f"no such file: {path}; expected a table with one row for each person")
    try:
        if path.suffix == ".parquet":
            with extras.explained():
                import pyarrow  # noqa: F401 - what pandas says without it names no way out
            return pd.read_parquet(path)
        _refuse_repeated_names(path)
        table = pd.read_csv(path, keep_default_na=False, na_values=[""], low_memory=False)
        _refuse_shifted_rows(path, table)
        return table
    except (OSError, ValueError) as e:  # what pandas and pyarrow raise on damaged files derives from these
        raise DataError(f"{path} cannot be read: {' '.join(str(e).split())}; write the table again") from e


def _refuse_repeated_names(path: Path) -> None:
    """Pandas would call the second of two columns of one name x.1, and read the first as if it were the only one."""
    import pandas as pd

    header = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False).iloc[0].str.strip()
    named = header[header != ""]
    if named.duplicated().any():
        twice = named[named.duplicated()].iloc[0]
        raise DataError(f"{path}: two columns are named {twice!r}; keep one of them, or give the other another name")


def _refuse_shifted_rows(path: Path, table: pd.DataFrame) -> None:
    """Where rows have more cells than the header, pandas takes the first for row names and shifts all the others."""
    import pandas as pd

    if not isinstance(table.index, pd.RangeIndex):
        raise DataError(f"{path}: its rows have more cells than its header has names; name every column")
