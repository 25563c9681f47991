"""Exposure: by how many bits a model has narrowed down a canary among all that it could have been.

    exposure = log2 |R| - log2 rank        Carlini et al. (2019), https://arxiv.org/abs/1802.08232

The rank is the canary's place when all |R| candidates are sorted by their likelihood. An attacker who tries candidates
in that order needs 2^exposure times fewer attempts. A canary that the model never saw has a uniform rank, and thereby
a mean exposure of 1 / ln 2 = 1.44 bits; one whose rank is 1 can be read off the model: log2 |R| bits.

Where |R| is too large to score every candidate, a sample of them is, and a skew-normal distribution is fitted to their
log-perplexity; then exposure = -log2 P(a candidate is at least as likely as the canary).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np

from auditkit.errors import DataError, MissingCapability
from auditkit.models.protocols import FillsMask, Floats, ScoresText
from auditkit.privacy.canaries import CandidateSpace
from auditkit.probes.likelihood import sentence_logprobs
from auditkit.stats import clopper_pearson

MAX_EXACT = 1_000_000
SAMPLES = 10_000
RESAMPLES = 200
SMALLEST_SAMPLE = 100
CHUNK = 8192  # candidates whose texts are held at a time
TIE = 1e-9  # nats; what lies closer together differs by rounding
MAX_SKEWNESS = 0.99  # a skew-normal's stays below 0.9953


@dataclass(frozen=True, slots=True)
class Exposures:
    """The exposure of some canaries of one space.

    Attributes:
        values: (n,) in bits, from 0 to log2 |R|.
        errors: (n,) their standard errors in bits, from drawing the sample anew by bootstrap; 0 where exact.
        ends: (n, 2) between what the exposure of each lies at 95 %, whatever the candidates' distribution; twice the
            value where exact.
        exact: whether every candidate was ranked.
        candidates: how many were scored.
        fit_p_value: Kolmogorov-Smirnov p-value of the fitted skew-normal; None where exact. The fit is to the same
            sample, so a small value speaks against it, and a large one does not speak for it.
    """

    values: Floats
    errors: Floats
    ends: Floats
    exact: bool
    candidates: int
    fit_p_value: float | None = None


def exposure(
    model: ScoresText | FillsMask,
    space: CandidateSpace,
    secrets: Sequence[str],
    *,
    rng: np.random.Generator,
    max_exact: int = MAX_EXACT,
    samples: int = SAMPLES,
) -> Exposures:
    """`exact_exposure` where the space has at most `max_exact` candidates, else `estimated_exposure`."""
    if space.size <= max_exact:
        return exact_exposure(model, space, secrets)
    return estimated_exposure(model, space, secrets, rng=rng, samples=samples)


def exact_exposure(model: ScoresText | FillsMask, space: CandidateSpace, secrets: Sequence[str]) -> Exposures:
    """Rank the secrets among all candidates, each of which is scored once.

    Candidates that the model finds equally likely share the mean of their ranks.

    Args:
        model: a causal model is asked for the log-likelihood, a masked one for the pseudo-log-likelihood.
        space: where the secrets come from.
        secrets: some of its candidates.

    Raises:
        MissingCapability: the model's context is too short for a candidate.
    """
    scores = _logprobs(model, space, space.candidates(), space.size)
    wanted = set(secrets)
    place = {candidate: i for i, candidate in enumerate(space.candidates()) if candidate in wanted}
    ranks = rank(scores[[place[secret] for secret in secrets]], scores)
    values = math.log2(space.size) - np.log2(ranks)
    return Exposures(values, np.zeros(len(ranks)), np.stack([values, values], axis=1), True, space.size)


def estimated_exposure(
    model: ScoresText | FillsMask,
    space: CandidateSpace,
    secrets: Sequence[str],
    *,
    rng: np.random.Generator,
    samples: int = SAMPLES,
    resamples: int = RESAMPLES,
) -> Exposures:
    """Extrapolate the rank of the secrets from a sample of candidates by a skew-normal distribution.

    The standard error says how much another sample would change the value. It does not say whether the tail of the
    true distribution is that of a skew-normal.

    Raises:
        DataError: fewer than 100 samples.
        MissingCapability: the model's context is too short for a candidate.
    """
    from scipy import stats

    if samples < SMALLEST_SAMPLE:
        raise DataError(f"{samples} samples; expected at least {SMALLEST_SAMPLE} to fit a distribution to")
    drawn = -_logprobs(model, space, space.sample(samples, rng), samples)
    own = -_logprobs(model, space, secrets, len(secrets))
    fit = skew_normal(drawn)
    again = skew_normal(np.stack([rng.choice(drawn, size=samples) for _ in range(resamples)]))
    errors = np.std([_bits_below(own, SkewNormal(*row), space) for row in zip(*again, strict=True)], axis=0, ddof=1)
    p = float(stats.kstest(drawn, stats.skewnorm(fit.shape, fit.location, fit.scale).cdf).pvalue)
    return Exposures(_bits_below(own, fit, space), errors, _ends(own, drawn, space), False, samples, p)


def rank(scores: Floats, candidates: Floats) -> Floats:
    """The place of each score among those of all candidates, itself included, 1 being the largest; ties share."""
    ascending = np.sort(candidates)
    below = np.searchsorted(ascending, scores - TIE, side="left")
    upto = np.searchsorted(ascending, scores + TIE, side="right")
    return np.asarray(len(ascending) - upto + (upto - below + 1) / 2, dtype=np.float64)


def expected_exposure(space: CandidateSpace) -> float:
    """The mean exposure, in bits, of a secret that the model never saw: its rank is uniform on 1, ..., |R|."""
    if space.bits > 40:
        return 1 / math.log(2)
    return math.log2(space.size) - math.lgamma(space.size + 1) / math.log(2) / space.size


class SkewNormal(NamedTuple):
    """Parameters of skew-normal distributions (Azzalini, 1985), each of the same shape (...)."""

    location: Floats
    scale: Floats
    shape: Floats


def skew_normal(values: Floats) -> SkewNormal:
    """Fit by the method of moments, over the last axis of `values` (..., n)."""
    mean, deviation = values.mean(-1), np.maximum(values.std(-1), 1e-12)
    skewness = (((values - mean[..., None]) / deviation[..., None]) ** 3).mean(-1)
    third = np.minimum(np.abs(skewness), MAX_SKEWNESS) ** (2 / 3)
    delta = np.sign(skewness) * np.sqrt(math.pi / 2 * third / (third + ((4 - math.pi) / 2) ** (2 / 3)))
    scale = deviation / np.sqrt(1 - 2 * delta**2 / math.pi)
    return SkewNormal(mean - scale * delta * math.sqrt(2 / math.pi), scale, delta / np.sqrt(1 - delta**2))


def _bits_below(perplexity: Floats, fit: SkewNormal, space: CandidateSpace) -> Floats:
    """-log2 P(a candidate's log-perplexity is at most this); no rank lies before the first."""
    from scipy import stats

    share = stats.skewnorm.cdf(perplexity, fit.shape, fit.location, fit.scale)
    return np.asarray(-np.log2(np.clip(share, 2.0**-space.bits, 1)), dtype=np.float64)


def _ends(own: Floats, drawn: Floats, space: CandidateSpace) -> Floats:
    """(n, 2) bits, from how many of the sample are at least as likely: Clopper & Pearson's interval of that share.

    The standard error of the fit says how the sample varies, not how far the tail of the candidates is from that of a
    skew-normal: at 13 bits the fit is 1.5 bits off, and 1.96 of its standard errors hold the truth in 15 to 54 %. Of
    a canary that is likelier than all of the sample only a lower end is known; the upper one is log2 |R|.
    """
    counts = (drawn <= own[:, None] + TIE).sum(axis=1).tolist()
    shares = [clopper_pearson(k, len(drawn)) for k in counts]
    bits = [[-math.log2(end) if end > 0 else math.inf for end in (share.high, share.low)] for share in shares]
    return np.clip(np.array(bits), 0.0, space.bits)


def _logprobs(model: ScoresText | FillsMask, space: CandidateSpace, secrets: Iterable[str], n: int) -> Floats:
    """(n,) log-likelihood of the context with each secret, in nats, a few thousand texts at a time."""
    out, source, done = np.empty(n), iter(secrets), 0
    while chunk := [space.context + secret for secret in islice(source, CHUNK)]:
        if not done:
            _refuse_short_context(model, chunk)
        out[done : done + len(chunk)] = sentence_logprobs(model, chunk)
        done += len(chunk)
    return out


def _refuse_short_context(model: ScoresText | FillsMask, texts: Sequence[str]) -> None:
    """Raise MissingCapability where the model does not read the longest of these texts to its end."""
    longest = max(texts, key=len)
    (read,) = model.token_logprobs([longest]) if isinstance(model, ScoresText) else model.encode([longest])
    if read.offsets.max(initial=0) < len(longest.rstrip()):
        raise MissingCapability(
            f"the model reads only the first {read.offsets.max(initial=0)} of the {len(longest)} characters of a "
            "canary and what stands before it; use a shorter context or format"
        )
