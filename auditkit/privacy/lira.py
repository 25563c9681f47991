"""Membership attacks that compare a model with shadow models: LiRA and RMIA.

Both read mean log-likelihoods per token, in nats: of the records under the model that is attacked, (n,), and under
the shadows, (S, n), with the matrix of who was in, (S, n). A language model gives a record many probabilities where a
classifier gives one; the record's confidence is here their geometric mean, p = exp(mean log-likelihood).

Scores are higher for records that look like members. A score is no probability: compare it with the scores of records
known to be out.

Sources: Carlini et al. (2022), Membership inference attacks from first principles; Zarifzadeh et al. (2024), Low-cost
high-power membership inference attacks.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from auditkit.errors import DataError, InputError, ModelError
from auditkit.models.protocols import Floats

Bools = npt.NDArray[np.bool_]
Variance = Literal["auto", "per_record", "global"]

ENOUGH = 32
"""Shadows with, and as many without, a record from which its own variance is better than the pooled one (Carlini)."""


class _Gaussians(NamedTuple):
    mean: Floats  # (n,)
    deviation: Floats  # (n,)

    def log_density(self, x: Floats) -> Floats:
        return -0.5 * ((x - self.mean) / self.deviation) ** 2 - np.log(self.deviation)


def confidence_logit(mean_logprobs: Floats) -> Floats:
    """The logit phi = log(p / (1 - p)) with p = exp(mean log-likelihood): near a Gaussian where p itself is not.

    A p of 1 to the last bit counts as the next smaller number, about phi = 36.
    """
    logp = np.minimum(mean_logprobs, -np.finfo(np.float64).eps)
    return logp - np.log(-np.expm1(logp))


def lira(
    target: Floats, shadows: Floats, membership: Bools, *, online: bool = True, variance: Variance = "auto"
) -> Floats:
    """Likelihood-ratio attack: how much better phi fits the shadows that saw the record than those that did not.

    Args:
        target: (n,) mean log-likelihoods under the model that is attacked.
        shadows: (S, n) the same under each shadow.
        membership: (S, n) whether shadow s was trained on record i.
        online: use the shadows with the record as well as those without. Offline, only those without.
        variance: of the Gaussians: each record's own ("per_record"), or one for all records, pooled from the deviations
            from each record's mean ("global"); "auto" is the former from 32 shadows with and 32 without each record.

    Returns:
        (n,) scores. Online: log N(phi; in) - log N(phi; out). Offline: (phi - mean) / deviation of the Gaussian out,
        which orders records as the paper's one-sided test does without rounding to 1.

    Raises:
        DataError: the arrays do not fit each other, or a record has fewer than 2 shadows with it or without it.
        ModelError: a log-likelihood is positive, infinite or NaN.
        InputError: no such variance.
    """
    if variance not in ("auto", "per_record", "global"):
        raise InputError(f"variance {variance!r}; expected 'auto', 'per_record' or 'global'")
    _refuse_misfits(target, shadows, membership)
    _refuse_few(membership, least=2, online=online)
    phi, known = confidence_logit(target), confidence_logit(shadows)
    if variance == "auto":
        fewest = min(side.sum(0).min() for side in ((membership, ~membership) if online else (~membership,)))
        variance = "per_record" if fewest >= ENOUGH else "global"
    out = _fit(known, ~membership, variance)
    if not online:
        return (phi - out.mean) / out.deviation
    return _fit(known, membership, variance).log_density(phi) - out.log_density(phi)


def rmia(
    target: Floats,
    shadows: Floats,
    membership: Bools,
    *,
    population_target: Floats,
    population_shadows: Floats,
    online: bool = True,
    gamma: float = 1.0,
    offline_a: float = 0.3,
) -> Floats:
    """Robust attack: the share of population records z whose likelihood ratio the record's own exceeds gamma-fold.

    The ratio of x is p_target(x) / p(x), where p(x) is the average over models with and without x. It needs few
    shadows: one with and one without each record, or offline one without.

    Args:
        target: (n,) mean log-likelihoods of the records under the model that is attacked.
        shadows: (S, n) the same under each shadow.
        membership: (S, n) whether shadow s was trained on record i.
        population_target: (m,) mean log-likelihoods of other records, which neither the model nor a shadow has seen.
        population_shadows: (S, m) the same under each shadow.
        online: average p(x) over shadows with and without the record. Offline, those with it are approximated from
            those without: p_in = offline_a * p_out + 1 - offline_a.
        gamma: how many times the record's ratio must exceed that of z.
        offline_a: in [0, 1]; smaller where models memorise more. Not used online.

    Returns:
        (n,) scores in [0, 1].

    Raises:
        DataError: the arrays do not fit each other, or a record has no shadow with it or without it.
        ModelError: a log-likelihood is positive, infinite or NaN.
        InputError: gamma or offline_a is out of range.
    """
    if not (gamma > 0 and 0 <= offline_a <= 1):
        raise InputError(f"gamma {gamma} and offline_a {offline_a}; expected a positive number, and one in [0, 1]")
    nobody = np.zeros(np.shape(population_shadows), dtype=np.bool_)
    _refuse_misfits(target, shadows, membership)
    _refuse_misfits(population_target, population_shadows, nobody)
    _refuse_few(membership, least=1, online=online)
    p, p_population = np.exp(shadows), np.exp(population_shadows).mean(0)
    p_out = _mean(p, ~membership)
    p_in = _mean(p, membership) if online else _memorised(p_out, offline_a)
    # Nobody has seen z: online its average is over the models that there are, offline it is corrected as x's is.
    p_z = p_population if online else (p_population + _memorised(p_population, offline_a)) / 2
    ratio_x = np.exp(target) / ((p_in + p_out) / 2)
    ratio_z = np.sort(np.exp(population_target) / p_z)
    return np.searchsorted(ratio_z, ratio_x / gamma, side="right") / len(ratio_z)


def _memorised(p_out: Floats, a: float) -> Floats:
    return a * p_out + 1 - a


def _fit(phi: Floats, chosen: Bools, variance: Variance) -> _Gaussians:
    """Mean of phi over the chosen shadows of each record, and the unbiased deviation from it."""
    mean = _mean(phi, chosen)
    squares = np.where(chosen, phi - mean, 0.0) ** 2
    freedom = chosen.sum(0) - 1
    own = squares.sum(0) / freedom if variance == "per_record" else np.full_like(mean, squares.sum() / freedom.sum())
    return _Gaussians(mean, np.sqrt(np.maximum(own, np.finfo(np.float64).eps)))


def _mean(values: Floats, chosen: Bools) -> Floats:
    return np.where(chosen, values, 0.0).sum(0) / chosen.sum(0)


def _refuse_misfits(target: Floats, shadows: Floats, membership: Bools) -> None:
    shapes = np.shape(target), np.shape(shadows), np.shape(membership)
    if len(shapes[0]) != 1 or len(shapes[1]) != 2 or shapes[1][1:] != shapes[0] or shapes[2] != shapes[1]:
        raise DataError(
            f"records of shape {shapes[0]} under the model, {shapes[1]} under the shadows, and a membership matrix "
            f"{shapes[2]}; expected (n,), (S, n) and (S, n): shadows trained on a split of these very records"
        )
    if membership.dtype != np.bool_:
        raise DataError(f"a membership matrix of {membership.dtype}; expected booleans: shadow s has seen record i")
    for values in (target, shadows):
        if not (np.isfinite(values) & (values <= 0)).all():
            raise ModelError(
                f"mean log-likelihoods from {np.min(values)} to {np.max(values)}; expected finite numbers up to 0: "
                "the model gives no probabilities, or losses were given instead of log-likelihoods"
            )


def _refuse_few(membership: Bools, *, least: int, online: bool) -> None:
    """Each record needs `least` shadows without it and, online, as many with it."""
    fewest_out, fewest_in = (~membership).sum(0).min(), membership.sum(0).min()
    if fewest_out < least or (online and fewest_in < least):
        short = ((~membership).sum(0) < least) | (online & (membership.sum(0) < least))
        raise DataError(
            f"{short.sum()} of {short.size} records, the first of them record {short.argmax()}, have fewer than "
            f"{least} shadows without them{' or with them' if online else ''}; train more shadows"
            f"{', or attack offline' if online and fewest_out >= least else ''}"
        )
