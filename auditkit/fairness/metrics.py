"""Group metrics of yes/no decisions, computed from counts of people by group, label and prediction.

The definitions and the values are those of fairlearn's `MetricFrame` (Bird et al. 2020; Weerts et al. 2023), with one
exception: a rate over nobody, as the true positive rate of a group without positives, is undefined here, not 0.

All metrics are shares of some people among others, so that a table of counts holds everything about them. Arrays of
counts have the shape (..., G, 2, 2): groups, then label, then prediction, each negative first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from auditkit.errors import DataError
from auditkit.fairness.yes_no import yes_no

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Table = tuple[tuple[int, int], tuple[int, int]]

SMALL_CELL = 30  # below this many people the normal approximation is poor, and a rate says little


@dataclass(frozen=True, slots=True)
class Share:
    """A metric as a share.

    Attributes:
        meaning: what is counted among whom.
        successes: which cells of [label][prediction] are counted.
        trials: which cells they are counted among.
        ideal: the best value for every group; None where none is best.
    """

    meaning: str
    successes: Table
    trials: Table
    ideal: float | None = None


EVERYBODY: Table = ((1, 1), (1, 1))
METRICS = {
    "selection_rate": Share("predicted positive, among all people", ((0, 1), (0, 1)), EVERYBODY),
    "accuracy": Share("predicted as they are, among all people", ((1, 0), (0, 1)), EVERYBODY, 1.0),
    "true_positive_rate": Share("predicted positive, among true positives", ((0, 0), (0, 1)), ((0, 0), (1, 1)), 1.0),
    "false_positive_rate": Share("predicted positive, among true negatives", ((0, 1), (0, 0)), ((1, 1), (0, 0)), 0.0),
    "precision": Share("truly positive, among those predicted positive", ((0, 0), (0, 1)), ((0, 1), (0, 1)), 1.0),
}


def count(codes: npt.ArrayLike, label: npt.ArrayLike, prediction: npt.ArrayLike, *, groups: int) -> Ints:
    """How many people are in each group with each label and prediction.

    Args:
        codes: (n,) each person's group, from 0 to groups - 1.
        label: (n,) 1 where the true outcome is positive.
        prediction: (n,) 1 where the positive outcome was predicted.
        groups: how many groups there are.

    Returns:
        (groups, 2, 2) counts.

    Raises:
        DataError: the three are not about equally many people, or an outcome is neither true nor false.
    """
    outcomes = (yes_no(label, "label"), yes_no(prediction, "prediction"))
    columns = [np.asarray(c, dtype=np.int64) for c in (codes, *outcomes)]
    if len({len(c) for c in columns}) > 1:
        lengths = " and ".join(str(len(c)) for c in columns)
        raise DataError(f"groups, labels and predictions of {lengths} people; expected one of each for every person")
    cells = (columns[0] * 2 + columns[1]) * 2 + columns[2]
    return np.bincount(cells, minlength=4 * groups).reshape(groups, 2, 2)


def shares(counts: Ints, metric: str) -> tuple[Ints, Ints]:
    """Successes and trials of `metric` in every group: (..., G) each, from (..., G, 2, 2) counts."""
    cells = METRICS[metric]
    successes, trials = (np.einsum("...lp,lp->...", counts, np.array(c)) for c in (cells.successes, cells.trials))
    return successes, trials


def rates(successes: Ints, trials: Ints) -> Floats:
    """Each group's successes over its trials; NaN over nobody."""
    out = np.full(np.shape(successes), np.nan)
    return np.divide(successes, trials, out=out, where=trials > 0)


def difference(values: Floats) -> Floats:
    """The largest value of a group less the smallest: (...,) from (..., G)."""
    return np.nanmax(values, axis=-1) - np.nanmin(values, axis=-1)


def ratio(values: Floats) -> Floats:
    """The smallest value of a group over the largest: (...,) from (..., G); NaN where the largest is 0."""
    low, high = np.nanmin(values, axis=-1), np.nanmax(values, axis=-1)
    return np.divide(low, high, out=np.full(np.shape(low), np.nan), where=high > 0)
