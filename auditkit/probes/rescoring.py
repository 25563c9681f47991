"""Preferences of a rough and fast reading, made those of the exact one.

The error of the rough reading is measured on pairs read in both ways. A pair is read again exactly if its scores lie
closer to each other than 1.5 times the largest error seen, or if it may be among the extremes that a report shows. A
larger error found on the way widens the bound; the search ends when no pair is within it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from auditkit.models.protocols import Floats, Ints
from auditkit.probes.evidence import EXTREMES
from auditkit.probes.pair_scores import PairScores

PILOT = 24  # pairs, spread evenly over all: no randomness, so that the run's draws are those of an exact run
MARGIN = 1.5  # times the largest error seen; of the 60 to 200 errors that are in the end, about 4 standard deviations
TOO_MANY = 0.5  # undecided pairs in the pilot: more, and reading all of them roughly costs more than it saves
WORTH = 1.5  # times as fast as exact the rough products must be: what is read again takes a part of the gain

Scores = dict[str, PairScores]
Read = Callable[[Ints], Scores]
"""(k,) indices of pairs -> their scores by each method."""

Chosen = npt.NDArray[np.bool_]


def settle(exact: Read, rough: Read, n: int, ranked: Sequence[Chosen] = ()) -> tuple[Scores, Chosen]:
    """Scores of n pairs whose every decision (preferred, tied) is that of `exact`, most of them read by `rough`.

    Args:
        exact: reads pairs exactly. It is asked first: some models find out by a first exact reading how they may read.
        rough: reads the same more quickly.
        n: how many pairs there are.
        ranked: sets of pairs, (n,) each; the largest differences in each set, by the first method, are exact too.

    Returns:
        The scores, and (n,) which pairs were read exactly.
    """
    pilot = np.unique(np.linspace(0, n - 1, min(n, PILOT)).astype(np.int64))
    found, errors, known = _pilot(exact(pilot), rough(pilot), pilot, n)
    rest = np.flatnonzero(~known)
    if np.mean(_undecided(found, errors)[pilot]) > TOO_MANY:
        again = rest
    else:
        if len(rest):
            _put(found, rest, rough(rest))
        again = _doubtful(found, errors, known, ranked)
    while len(again):
        sure = exact(again)
        for method, scores in sure.items():
            if np.isfinite(found[method].difference[again]).all():
                errors[method] = np.maximum(errors[method], _error(scores, found[method].difference[again]))
        _put(found, again, sure)
        known[again] = True
        again = _doubtful(found, errors, known, ranked)
    return found, known


def _pilot(sure: Scores, quick: Scores, rows: Ints, n: int) -> tuple[Scores, dict[str, float], Chosen]:
    """Scores of n pairs, NaN where not yet read, the largest error by each method, and which pairs are exact."""
    found = {m: replace(s, more=np.full(n, np.nan), less=np.full(n, np.nan)) for m, s in sure.items()}
    _put(found, rows, sure)
    known = np.zeros(n, dtype=bool)
    known[rows] = True
    return found, {m: _error(s, quick[m].difference) for m, s in sure.items()}, known


def _put(into: Scores, rows: Ints, found: Scores) -> None:
    for method, scores in found.items():
        into[method].more[rows], into[method].less[rows] = scores.more, scores.less


def _error(sure: PairScores, quick: Floats) -> float:
    """The largest error of a difference; NaN where a reading is, and then every pair is undecided."""
    return float(np.abs(sure.difference - quick).max())


def _doubtful(found: Scores, errors: dict[str, float], known: Chosen, ranked: Sequence[Chosen]) -> Ints:
    primary = next(iter(found))
    doubtful = _undecided(found, errors)
    for members in ranked:
        doubtful |= _may_be_extreme(found[primary].difference, MARGIN * errors[primary], known, members)
    return np.flatnonzero(doubtful & ~known)


def _undecided(found: Scores, errors: dict[str, float]) -> Chosen:
    """(n,) True where by some method the error may reach across a tie, the rounding to `decimals` included."""
    near = [~(np.abs(s.difference) > MARGIN * errors[m] + 10.0**-s.decimals) for m, s in found.items()]
    return np.any(near, axis=0)


def _may_be_extreme(difference: Floats, bound: float, known: Chosen, members: Chosen) -> Chosen:
    """(n,) True for the `EXTREMES` seemingly largest of a set; once those are known, for all that may be larger."""
    size = np.where(members, np.abs(difference), -np.inf)
    largest = np.argsort(-size, kind="stable")[: min(EXTREMES, int(members.sum()))]
    least = size[largest].min(initial=np.inf)
    return np.asarray(size + (bound if known[largest].all() else 0.0) >= least)


def gain(model: Any) -> float:
    """How many times faster the model's linear maps are in bfloat16, measured; 1 where it has none to measure."""
    from torch import nn

    from auditkit.compression.half_precision import gain_of_bfloat16, shapes
    from auditkit.models.mixed_precision import body_maps

    maps = body_maps(model)
    return gain_of_bfloat16(shapes(nn.ModuleList(maps)), model.device) if maps else 1.0
