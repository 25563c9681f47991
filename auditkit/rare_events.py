"""The interval of a mean that a few clusters decide: of 100 answers that a model changes, or gets wrong, it is three.

Nothing that resamples the items can tell how often something rare happens: of 60 items and a share of 5 % the
bootstrap-t covers 82 %, because it takes the spread of three for known. Wilson's interval takes it from the share. Here
the mean is the commonest value, plus what others lie above it, less what others lie below; each of these is a share of
the farthest that any lies away, over as many trials as give it the variance that it has between clusters (Kish, 1965:
the effective sample size). Both are put together as Zou & Donner (2008, Statistics in Medicine 27) put differences.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FEW = 30  # clusters that differ; of more the bootstrap-t knows the spread


class _Part(NamedTuple):
    """How far the mean lies from the commonest value on one side, and how much nearer and farther it may."""

    nearer: float
    farther: float


def ends(y: Floats, group: Ints, bounds: tuple[float, float], level: float) -> tuple[float, float] | None:
    """The interval of the mean of y (n,) in clusters (n,) from 0; None where clusters that differ are not few.

    Args:
        y: values, not all equal.
        group: the cluster of each.
        bounds: the smallest and largest value that is possible, or infinite.
        level: the confidence level.
    """
    values, counts = np.unique(y, return_counts=True)
    common = float(values[counts.argmax()])
    differ = len(np.unique(group[y != common]))
    if differ >= FEW or 2 * differ >= group.max() + 1:
        return None
    farthest = float(np.abs(y - common).max())
    above = _part(np.maximum(y - common, 0.0), group, min(farthest, bounds[1] - common), level)
    below = _part(np.maximum(common - y, 0.0), group, min(farthest, common - bounds[0]), level)
    mean = float(y.mean())
    return mean - math.hypot(above.nearer, below.farther), mean + math.hypot(above.farther, below.nearer)


def of_changes(won: int, lost: int, n: int, level: float) -> tuple[float, float]:
    """How far below and above its estimate the change of a share may lie, of n answers with `won` and `lost` ones."""
    up, down = _wilson(won / n, n, level), _wilson(lost / n, n, level)
    return math.hypot(up.nearer, down.farther), math.hypot(up.farther, down.nearer)


def _part(distance: Floats, group: Ints, farthest: float, level: float) -> _Part:
    if farthest <= 0:  # the commonest value is the last possible one
        return _Part(0.0, 0.0)
    share = float(distance.mean()) / farthest
    errors = np.bincount(group, distance / farthest - share)
    variance = float(errors @ errors) / len(distance) ** 2
    found = _wilson(share, share * (1 - share) / variance if variance > 0 else float(group.max() + 1), level)
    return _Part(farthest * found.nearer, farthest * found.farther)


def _wilson(share: float, trials: float, level: float) -> _Part:
    """Of a share; the number of trials need not be whole."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    shrink = 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / trials + (z / (2 * trials)) ** 2)
    return _Part(max(0.0, share - centre + half), max(0.0, centre + half - share))
