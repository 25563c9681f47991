"""Whether a table of people holds the same people more than once: copies buy precision that nobody measured.

An id that stands twice says so. Copies under new ids do not: where a table has few columns, different people have equal
rows. Three things are never seen in an honest table, and each is refused:

    stacked      the table is one part of at least 20 rows, repeated to its end
    in runs      equal rows follow each other, nearly always a multiple of k of them
    dealt out    nearly every distinct row stands a multiple of k times

If how often a row occurs is no more likely to be divisible by k than 1 in k, then c of D rows are so with a probability
of at most exp(-D KL(c/D, 1/k)) (Chernoff, 1952, Annals of Mathematical Statistics 23); below 1 in 100,000, over all k
tried, the table is taken to be copied. With fewer than 15 different rows (or runs) it is not asked: a table made up by
hand has as many people in each cell as its maker liked. So copies in another order, of a table of few columns, go
unseen; a column that tells people apart, such as a score, makes them visible.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from auditkit.errors import DataError
from auditkit.fairness.spelling import folded

if TYPE_CHECKING:
    import pandas as pd

Ints = npt.NDArray[np.int64]

BY_CHANCE = 1e-5
MOST_TIMES = 1_000
FEWEST_ROWS = 15
SHORTEST_PART = 20


def refuse_copies(table: pd.DataFrame) -> None:
    """Raise DataError where people stand in a table more than once, by their id or by everything but their id."""
    _refuse_repeated_ids(table)
    rows = np.unique(_contents(table), return_inverse=True)[1].astype(np.int64)
    runs = np.diff(np.flatnonzero(np.diff(rows, prepend=-1, append=-1)))
    times = max(_times_stacked(rows), times_copied(runs), times_copied(np.bincount(rows)))
    if times > 1:
        raise DataError(
            f"the {len(rows):,} rows of the table are {rows.max() + 1:,} different ones, and all or nearly all of them "
            f"stand {times} times or a multiple (beside their id): copies are not people, and make intervals too "
            "narrow; leave one row for each person"
        )


def _times_stacked(rows: Ints) -> int:
    """How many times the table is one part of at least 20 rows; 1 where it is not."""
    n = len(rows)
    parts = (n // k for k in range(min(n, MOST_TIMES), 1, -1) if n % k == 0)
    shortest = next((part for part in parts if (rows[part:] == rows[:-part]).all()), n)
    return n // shortest if shortest >= SHORTEST_PART else 1


def times_copied(counts: Ints) -> int:
    """How many times people seem to be repeated, from how many rows are equal; 1 where they are not.

    Args:
        counts: (D,) how often each distinct row occurs, or how long each run of equal rows is.
    """
    if len(counts) < FEWEST_ROWS:
        return 1
    rows, tried = len(counts), range(2, min(int(counts.max()), MOST_TIMES) + 1)
    evidence = {k: _evidence(int((counts % k == 0).sum()), rows, k) for k in tried}
    best = max(evidence, key=lambda k: evidence[k], default=1)
    return best if evidence and evidence[best] - math.log(len(tried)) > -math.log(BY_CHANCE) else 1


def _evidence(divisible: int, rows: int, k: int) -> float:
    """-log of the bound on the chance that so many of the distinct rows occur a multiple of k times."""
    share = divisible / rows
    if share <= 1 / k:
        return 0.0
    rest = (1 - share) * math.log((1 - share) / (1 - 1 / k)) if share < 1 else 0.0
    return rows * (share * math.log(share * k) + rest)


def _refuse_repeated_ids(table: pd.DataFrame) -> None:
    for name in (c for c in table.columns if folded(str(c)) == "id"):
        given = table[name].dropna()
        if copies := int(given.duplicated().sum()):
            twice = given[given.duplicated()].iloc[0]
            raise DataError(
                f"{name} {twice} appears more than once, and so do others: {copies:,} of {len(table):,} rows repeat an "
                "id; expected one row for each person: leave one, or give different people different ids"
            )


def _contents(table: pd.DataFrame) -> npt.NDArray[np.uint64]:
    """(n,) a number for what each row says of a person: without the columns that only count or name people."""
    import pandas as pd

    said = [c for c in table.columns if c == "text" or not _names_people(table, c)]
    hashes = pd.util.hash_pandas_object(table[said].astype(str), index=False)
    return np.asarray(hashes, dtype=np.uint64)


def _names_people(table: pd.DataFrame, column: str) -> bool:
    return folded(str(column)) == "id" or (len(table) > 1 and bool(table[column].astype(str).is_unique))
