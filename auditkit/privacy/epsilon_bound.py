"""What an audit shows: the least epsilon that is consistent with how well an attack did, and how far it could see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from auditkit import extras
from auditkit.errors import InputError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpsilonBound:
    """A lower bound on epsilon: at `level`, a mechanism with a smaller one does not let an attack do so well.

    A small bound is not a proof of privacy: it may only say that the attack was weak or the trials few. `ceiling`
    tells these apart.

    Attributes:
        epsilon: the lower bound, 0 or more.
        ceiling: what a perfect attacker would have reached with the same number of trials or guesses.
        level: the confidence level; the bound exceeds the true epsilon with probability at most 1 - level.
        delta: the delta at which epsilon is bounded.
        method: how the bound was obtained, in words a paper would use.
        source: the publication that proves it.
        n: how many trials, or canaries of one run, it rests on.
        details: what the attack did (counts), and "budget", the same in words.
    """

    epsilon: float
    ceiling: float
    level: float
    delta: float
    method: str
    source: str
    n: int
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def power(self) -> str:
        """What the audit could have shown at most, as a sentence."""
        return f"with {self.details['budget']} the audit could at most have shown epsilon {self.ceiling:.2f}"


def check_bound_settings(delta: float, level: float, *, gaussian: bool = False) -> None:
    """Refuse a delta or a confidence level with which no bound is defined.

    Raises:
        InputError: `level` is not in (0, 1), or `delta` not in [0, 1); for a `gaussian` bound it may not be 0 either.
    """
    if not 0 < level < 1:
        raise InputError(f"level = {level}; expected a share between 0 and 1, for instance 0.95")
    if not 0 <= delta < 1:
        raise InputError(f"delta = {delta}; expected 0 <= delta < 1: the delta of the claim that is audited")
    if gaussian and delta == 0:
        raise InputError(
            "delta = 0, but a Gaussian mechanism has no finite epsilon there; give the delta of the claim, "
            "or use clopper_pearson_epsilon or one_run_epsilon, which assume no Gaussian"
        )


@extras.explained()
def gaussian_epsilon(mu: float, delta: float) -> float:
    """The epsilon at `delta` of a mechanism that is exactly mu-GDP: a Gaussian of sensitivity mu and variance 1.

    Sources: Balle & Wang (2018), Improving the Gaussian mechanism for differential privacy, Theorem 8; Dong, Roth & Su
    (2019), Gaussian differential privacy, arXiv:1905.02383.
    """
    import dp_accounting

    if mu <= 0:
        return 0.0
    with np.errstate(divide="ignore"):  # for a tiny mu, delta at large epsilon underflows to 0, which is right
        return float(dp_accounting.get_epsilon_gaussian(1 / mu, delta))


def canary_scores(scores: npt.ArrayLike, name: str) -> Floats:
    """(n,) scores, n >= 1, none NaN. Infinite ones are fine: only their order counts.

    Raises:
        InputError: scores of another shape, none, or some that are NaN.
    """
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim != 1 or len(array) == 0:
        raise InputError(f"{name} has shape {array.shape}; expected one score for each canary")
    if missing := int(np.isnan(array).sum()):
        raise InputError(f"{missing} of {len(array)} {name} are NaN; a canary without a score cannot be guessed about")
    return array
