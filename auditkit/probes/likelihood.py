"""How likely is a text, or a continuation? Asked in the same way of either kind of language model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from auditkit.errors import MissingCapability
from auditkit.models.masking import held
from auditkit.models.protocols import FillsMask, Floats, MaskQuery, ScoresText

LIKELIHOOD_MODEL = (ScoresText, FillsMask)
"""What a probe `needs` that compares likelihoods."""


class Continuations(NamedTuple):
    """Log-probabilities of continuations in nats: summed over their tokens, and per token; both shape (n,)."""

    total: Floats
    mean: Floats


class Span(NamedTuple):
    """Where a piece of text stands among the token ids of the whole: `ids[start:stop]`."""

    ids: tuple[int, ...]
    start: int
    stop: int


def sentence_logprobs(model: ScoresText | FillsMask, texts: Sequence[str]) -> Floats:
    """Total log-likelihood of each text, in nats.

    A causal model is summed over log p(token | everything before it); a masked model over log p(token | all other
    tokens), one token masked at a time, special tokens left out (pseudo-log-likelihood, Salazar et al. 2020).

    Returns:
        (n,) in the order of `texts`.
    """
    if isinstance(model, ScoresText):
        return np.array([scores.total for scores in model.token_logprobs(texts)])
    queries, owner = [], []
    for i, text in enumerate(model.encode(texts)):
        ids = tuple(text.ids.tolist())
        for position in np.flatnonzero(~text.special).tolist():
            masked = (*ids[:position], model.mask_id, *ids[position + 1 :])
            queries.append(MaskQuery(masked, position, (ids[position],)))
            owner.append(i)
    return _sums(model.masked_logprobs(queries), owner, len(texts))


def continuation_logprobs(
    model: ScoresText | FillsMask,
    contexts: Sequence[str],
    continuations: Sequence[str],
    endings: Sequence[str] | None = None,
) -> Continuations:
    """Log p(continuation | context), by the chain rule over the continuation's tokens.

    The text is context + continuation + ending, joined as they are: a continuation that starts a word brings its own
    space. A masked model reads the ending too, and predicts each token with itself and the continuation's later
    tokens masked, so that a long word is not given away by its own end (Kauf & Ivanova 2023). A causal model reads
    no further than the continuation.

    Args:
        model: any language model.
        contexts: n texts.
        continuations: n texts.
        endings: n texts that follow; nothing follows where left out.

    Raises:
        MissingCapability: a context leaves no room for its continuation in the model's input.
    """
    if isinstance(model, ScoresText):
        return _causal_continuations(model, contexts, continuations)
    queries, owner = [], []
    for i, (ids, start, stop) in enumerate(spans(model, contexts, continuations, endings or [""] * len(contexts))):
        for position in range(start, stop):
            masked = (*ids[:position], *[model.mask_id] * (stop - position), *ids[stop:])
            queries.append(MaskQuery(masked, position, (ids[position],)))
            owner.append(i)
    total = _sums(model.masked_logprobs(queries), owner, len(contexts))
    return Continuations(total, total / np.bincount(owner, minlength=len(contexts)))


def spans(model: FillsMask, before: Sequence[str], inside: Sequence[str], after: Sequence[str]) -> list[Span]:
    """Find the tokens of `inside` within before + inside + after, by where they stand in the text.

    Raises:
        MissingCapability: truncation cut off the whole of `inside`.
    """
    whole = model.encode([b + i + a for b, i, a in zip(before, inside, after, strict=True)])
    found: list[Span] = []
    for text, head, own in zip(whole, before, inside, strict=True):
        space = head[-1:].isspace() and not own[:1].isspace()  # it is part of the word, for some tokenizers
        start, stop = held(text, len(head) - space, len(head) + len(own), f"the context {head[:60]!r}")
        found.append(Span(tuple(text.ids.tolist()), start, stop))
    return found


def _causal_continuations(model: ScoresText, contexts: Sequence[str], continuations: Sequence[str]) -> Continuations:
    texts = [a + b for a, b in zip(contexts, continuations, strict=True)]
    total, mean = np.empty(len(texts)), np.empty(len(texts))
    for i, scores in enumerate(model.token_logprobs(texts)):
        own = scores.logprobs[scores.offsets[:, 1] > len(contexts[i])]
        if not len(own):
            raise MissingCapability(f"the model's context is too short for {contexts[i][:60]!r}...")
        total[i], mean[i] = own.sum(), own.mean()
    return Continuations(total, mean)


def _sums(values: Sequence[Floats], owner: Sequence[int], n: int) -> Floats:
    """Sum single-element arrays by the text that they belong to."""
    flat = np.array([v[0] for v in values], dtype=np.float64)
    return np.asarray(np.bincount(np.asarray(owner, dtype=np.int64), weights=flat, minlength=n), dtype=np.float64)
