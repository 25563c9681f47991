"""Lower bounds on epsilon from a single training run: m canaries, each included by a fair coin of its own.

The canaries of one run are not independent trials: whatever happens to the run happens to all of them. Both bounds here
are proved for that case. The auditor sees the run, then guesses the coins of r canaries of its choice and abstains on
the others; v guesses are right.

    run = OneRun(scores, included)
    bound = one_run_epsilon(*run.guess(200), delta=1e-5)
    print(bound.epsilon, bound.power)

Sources: Steinke, Nasr & Jagielski (2023), Privacy auditing with one (1) training run, arXiv:2305.08846; Mahloujifar,
Melis & Chaudhuri (2024), Auditing f-differential privacy in one run, arXiv:2410.22235.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from auditkit.errors import InputError
from auditkit.privacy.epsilon_bound import EpsilonBound, canary_scores, check_bound_settings, gaussian_epsilon

STEINKE = "Steinke, Nasr & Jagielski (2023), arXiv:2305.08846"
MAHLOUJIFAR = "Mahloujifar, Melis & Chaudhuri (2024), arXiv:2410.22235"
_UNFAIR = 1e-6  # coins that fall so unevenly with less than this probability were not fair


class Guesses(NamedTuple):
    """`m` canaries in the run, guesses about `r` of them, `v` of these right."""

    m: int
    r: int
    v: int


@dataclass(frozen=True, slots=True, eq=False)
class OneRun:
    """What one training run says about its canaries.

    Attributes:
        scores: (m,) the higher, the more a canary looks included.
        included: (m,) whether it was; decided by a fair coin for each canary, independently, before the training.

    Raises:
        InputError: not one score and one yes or no for each canary, or coins that cannot have been fair.
    """

    scores: npt.NDArray[np.float64]
    included: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        object.__setattr__(self, "scores", canary_scores(self.scores, "scores"))
        included = np.asarray(self.included)
        if included.shape != self.scores.shape or not np.isin(included, (0, 1)).all():
            raise InputError(
                f"included has shape {included.shape} for {len(self.scores)} scores; "
                "expected True or False for each canary, in the order of the scores"
            )
        object.__setattr__(self, "included", included.astype(bool))
        _refuse_unfair_coins(int(self.included.sum()), len(included))

    def guess(self, r: int) -> Guesses:
        """Guess that the r/2 highest scores were included and the r/2 lowest were not.

        Choose `r` before looking at the scores, or pay for looking with `best_guesses_epsilon`. Among equal scores the
        wrong guesses are made first, so that no order of the canaries can flatter the audit.

        Raises:
            InputError: `r` is not in 0..m.
        """
        m = len(self.scores)
        if not 0 <= r <= m:
            raise InputError(f"r = {r} guesses about {m} canaries; expected 0 to {m}")
        order = np.lexsort((~self.included, self.scores))
        low, high = order[: r // 2], order[m - (r - r // 2) :]
        return Guesses(m, r, int((~self.included[low]).sum() + self.included[high].sum()))


def one_run_epsilon(m: int, r: int, v: int, *, delta: float, level: float = 0.95) -> EpsilonBound:
    """The largest epsilon at which v right guesses out of r are too many for an (epsilon, delta)-private training.

    With W ~ Binomial(r, 1 / (1 + e^epsilon)) wrong guesses and w = r - v, their p-value is
    P[W <= w] + 2 m delta max_i P[w < W <= w + i] / i, for i in 1..v.

    Args:
        m: canaries in the run, each included by a fair coin.
        r: how many of them were guessed about. Choose it before looking at the scores.
        v: how many guesses were right.
        delta: the delta of the claim that is audited; 0 for pure differential privacy.
        level: the confidence level.

    Raises:
        InputError: not 0 <= v <= r <= m with m >= 1, or a delta or level out of range.

    Source: Steinke, Nasr & Jagielski (2023).
    """
    return EpsilonBound(
        epsilon=_steinke(m, r, v, delta, level),
        ceiling=one_run_ceiling(m, r, delta=delta, level=level),
        level=level,
        delta=delta,
        method=f"one-run bound; {v} of {r} guesses right about {m} canaries",
        source=STEINKE,
        n=m,
        details=_details(m, r, v),
    )


def one_run_ceiling(m: int, r: int, *, delta: float, level: float = 0.95) -> float:
    """The `one_run_epsilon` of an attacker whose r guesses are all right. Raises what that raises."""
    return _steinke(m, r, r, delta, level)


def f_dp_one_run_epsilon(m: int, r: int, v: int, *, delta: float, level: float = 0.95) -> EpsilonBound:
    """The same for mechanisms that behave like a Gaussian: the largest mu that is refuted, as epsilon at `delta`.

    DP-SGD of many steps does so; the bound is then much closer to the truth than `one_run_epsilon`, which must also
    hold for mechanisms that leak everything with probability delta. For any other mechanism it bounds the mu of
    Gaussian differential privacy, not epsilon.

    Args:
        m: canaries in the run, each included by a fair coin.
        r: how many of them were guessed about. Choose it before looking at the scores.
        v: how many guesses were right.
        delta: the delta of the claim that is audited, above 0.
        level: the confidence level.

    Raises:
        InputError: not 0 <= v <= r <= m with m >= 1, or a delta or level out of range.

    Source: Mahloujifar, Melis & Chaudhuri (2024), with the trade-off function of a Gaussian.
    """
    mu = _mahloujifar(m, r, v, delta, level)
    return EpsilonBound(
        epsilon=gaussian_epsilon(mu, delta),
        ceiling=f_dp_one_run_ceiling(m, r, delta=delta, level=level),
        level=level,
        delta=delta,
        method=f"one-run bound for Gaussian f-DP; {v} of {r} guesses right about {m} canaries",
        source=MAHLOUJIFAR,
        n=m,
        details=_details(m, r, v) | {"mu": mu},
    )


def f_dp_one_run_ceiling(m: int, r: int, *, delta: float, level: float = 0.95) -> float:
    """The `f_dp_one_run_epsilon` of an attacker whose r guesses are all right. Raises what that raises."""
    return gaussian_epsilon(_mahloujifar(m, r, r, delta, level), delta)


def best_guesses_epsilon(
    run: OneRun,
    tried: Sequence[int],
    *,
    delta: float,
    level: float = 0.95,
    bound: Callable[..., EpsilonBound] = one_run_epsilon,
) -> EpsilonBound:
    """The best bound over several numbers of guesses, each at the level that makes all of them hold (Bonferroni).

    Args:
        run: scores and coins.
        tried: the numbers of guesses, chosen before looking at the scores; every one costs some confidence.
        delta: the delta of the claim that is audited.
        level: the confidence level of the result.
        bound: `one_run_epsilon` or `f_dp_one_run_epsilon`.

    Raises:
        InputError: nothing to try, or what `OneRun.guess` and the bound raise.
    """
    if not tried:
        raise InputError("no number of guesses to try; expected some, for instance (m // 20, m // 5, m)")
    check_bound_settings(delta, level)
    corrected = 1 - (1 - level) / len(tried)
    bounds = [bound(*run.guess(r), delta=delta, level=corrected) for r in tried]
    best = max(bounds, key=lambda b: b.epsilon)
    words = f"{len(run.scores)} canaries and {' or '.join(map(str, tried))} guesses"
    return replace(
        best,
        ceiling=max(b.ceiling for b in bounds),
        level=level,
        method=f"{best.method}, the best of {len(tried)} numbers of guesses (Bonferroni)",
        details={**best.details, "tried": list(tried), "budget": words},
    )


def _steinke(m: int, r: int, v: int, delta: float, level: float) -> float:
    from scipy import optimize, special

    _check_guesses(m, r, v)
    check_bound_settings(delta, level)
    if v == 0:
        return 0.0
    # At delta = 0 the bound is that of Clopper and Pearson on the share of right guesses; a positive delta lowers it.
    error = float(special.betainccinv(r - v + 1, v, 1 - level))
    pure = math.log1p(-error) - math.log(error)
    excess = _p_value(m, r, v, delta, 1 - level)
    if pure <= 0 or excess(0.0) >= 0:
        return 0.0
    return pure if excess(pure) <= 0 else float(optimize.brentq(excess, 0.0, pure, xtol=1e-12))


def _p_value(m: int, r: int, v: int, delta: float, threshold: float) -> Callable[[float], float]:
    """Epsilon -> by how much the p-value of v right guesses out of r exceeds `threshold`.

    It has one zero at most: where the p-value is below a usual threshold, it grows with epsilon.
    """
    from scipy.special import gammaln

    wrong = np.arange(r + 1)
    log_choose = gammaln(r + 1) - gammaln(wrong + 1) - gammaln(r - wrong + 1)
    w, i = r - v, np.arange(1, v + 1)

    def excess(epsilon: float) -> float:
        mass = np.exp(log_choose - epsilon * wrong - r * np.log1p(np.exp(-epsilon)))
        leak = (np.cumsum(mass[w + 1 :]) / i).max()
        return float(mass[: w + 1].sum() + 2 * m * delta * leak) - threshold

    return excess


def _mahloujifar(m: int, r: int, v: int, delta: float, level: float) -> float:
    """The largest mu, to 1e-12, at which v right guesses out of r are too many for Gaussian differential privacy."""
    _check_guesses(m, r, v)
    check_bound_settings(delta, level, gaussian=True)
    low, high = 0.0, 1.0
    if not _refuted(low, m, r, v, 1 - level):
        return 0.0
    while _refuted(high, m, r, v, 1 - level):
        low, high = high, 2 * high
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _refuted(middle, m, r, v, 1 - level) else (low, middle)
    return low


def _refuted(mu: float, m: int, r: int, v: int, threshold: float) -> bool:
    """Whether v right guesses out of r have a probability below `threshold` under mu-GDP.

    `right` bounds from below the mean share of canaries that are guessed rightly in runs with at least i right guesses,
    and `wrong` that of canaries guessed wrongly, for i = v, v - 1, ..., 0. If together they exceed r/m, all guesses
    there are, then runs with v right guesses cannot be as frequent as `threshold`.
    """
    from scipy.special import cython_special as special  # on single numbers, ten times as fast as scipy.special

    right, wrong = threshold * v / m, threshold * (r - v) / m
    for i in range(v - 1, -1, -1):
        needed = special.ndtr(special.ndtri(right) - mu)
        if needed <= wrong:
            break  # neither grows any more
        right, wrong = right + i / (r - i) * (needed - wrong), needed
        if right + wrong > r / m:
            return True
    return False


def _check_guesses(m: int, r: int, v: int) -> None:
    if not (0 <= v <= r <= m and m >= 1):
        raise InputError(f"m = {m} canaries, r = {r} guesses, v = {v} right; expected 0 <= v <= r <= m and m >= 1")


def _refuse_unfair_coins(included: int, m: int) -> None:
    from scipy.special import bdtr

    if 2 * bdtr(min(included, m - included), m, 0.5) < _UNFAIR:
        raise InputError(
            f"{included} of {m} canaries were included; fair coins do not fall like that, and the bound is proved for "
            "fair coins only: include each canary with probability 1/2, independently, before the training"
        )


def _details(m: int, r: int, v: int) -> dict[str, int | str]:
    return {"m": m, "r": r, "v": v, "budget": f"{m} canaries and {r} guesses"}
