"""How likely is a text, or a continuation? Asked in the same way of either kind of language model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from auditkit.models.masking import held
from auditkit.models.protocols import FillsMask, Floats, MaskQuery, ScoresText
from auditkit.models.words import with_spaces

LIKELIHOOD_MODEL = (ScoresText, FillsMask)
"""What a probe `needs` that compares likelihoods."""


class Continuations(NamedTuple):
    """Log-probabilities of continuations in nats: summed over their tokens, and per token; both shape (n,)."""

    total: Floats
    mean: Floats


def preferences(model: ScoresText | FillsMask, ones: Sequence[str], others: Sequence[str]) -> Floats:
    """How much likelier each sentence is than the other one of its pair: log p - log p, in nats; (n,).

    The two share everything but some words, so for a masked model the ratio of their probabilities is that of these
    words given the rest of the sentence.
    """
    if isinstance(model, ScoresText):
        both = [s for pair in zip(ones, others, strict=True) for s in pair]
        scores = sentence_logprobs(model, both).reshape(-1, 2)
        return scores[:, 0] - scores[:, 1]
    cut = [side for one, other in zip(ones, others, strict=True) for side in cut_out(one, other)]
    before, different, after = zip(*cut, strict=True)
    total = continuation_logprobs(model, before, different, after).total.reshape(-1, 2)
    return total[:, 0] - total[:, 1]


def cut_out(one: str, other: str) -> tuple[tuple[str, str, str], tuple[str, str, str]]:
    """(before, words that differ, after) of each sentence; punctuation beside a word is no part of it."""
    a, b = with_spaces(one), with_spaces(other)
    shortest = min(len(a), len(b))
    start = next((i for i in range(shortest) if a[i] != b[i]), shortest - 1)
    same_end = next((i for i in range(shortest - start) if a[-1 - i] != b[-1 - i]), shortest - start - 1)
    sides = []
    for words in (a, b):
        stop = len(words) - same_end
        sides.append(("".join(words[:start]), "".join(words[start:stop]), "".join(words[stop:])))
    return sides[0], sides[1]


class Span(NamedTuple):
    """Where a piece of text stands among the token ids of the whole: `ids[start:stop]`; empty where that was cut."""

    ids: tuple[int, ...]
    start: int
    stop: int


def sentence_logprobs(model: ScoresText | FillsMask, texts: Sequence[str]) -> Floats:
    """Total log-likelihood of each text, in nats.

    A causal model is summed over log p(token | everything before it); a masked model over log p(token | all other
    tokens), one token masked at a time, special tokens left out (pseudo-log-likelihood, Salazar et al. 2020).

    Returns:
        (n,) in the order of `texts`; NaN for a text longer than the model reads, of which only a part has a score.
    """
    if isinstance(model, ScoresText):
        found = model.token_logprobs(texts)
        return whole([s.total for s in found], [s.cut for s in found])
    queries, owner = [], []
    encoded = model.encode(texts)
    for i, text in enumerate(encoded):
        ids = tuple(text.ids.tolist())
        for position in np.flatnonzero(~text.special).tolist():
            masked = (*ids[:position], model.mask_id, *ids[position + 1 :])
            queries.append(MaskQuery(masked, position, (ids[position],)))
            owner.append(i)
    return whole(_sums(model.masked_logprobs(queries), owner, len(texts)), [e.cut for e in encoded])


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

    Returns:
        NaN where the whole text is longer than the model reads.
    """
    if isinstance(model, ScoresText):
        return _causal_continuations(model, contexts, continuations)
    queries, owner = [], []
    found = spans(model, contexts, continuations, endings or [""] * len(contexts))
    for i, (ids, start, stop) in enumerate(found):
        for position in range(start, stop):
            masked = (*ids[:position], *[model.mask_id] * (stop - position), *ids[stop:])
            queries.append(MaskQuery(masked, position, (ids[position],)))
            owner.append(i)
    total = _sums(model.masked_logprobs(queries), owner, len(contexts))
    total = whole(total, [span.start == span.stop for span in found])
    return Continuations(total, total / np.maximum(np.bincount(owner, minlength=len(contexts)), 1))


def spans(model: FillsMask, before: Sequence[str], inside: Sequence[str], after: Sequence[str]) -> list[Span]:
    """Find the tokens of `inside` within before + inside + after, by where they stand in the text.

    Empty where the whole is longer than the model reads: what it would say of a part is not what was asked.
    """
    whole = model.encode([b + i + a for b, i, a in zip(before, inside, after, strict=True)])
    found: list[Span] = []
    for text, head, own in zip(whole, before, inside, strict=True):
        space = head[-1:].isspace() and not own[:1].isspace()  # it is part of the word, for some tokenizers
        start, stop = (0, 0) if text.cut else held(text, len(head) - space, len(head) + len(own), repr(own[:60]))
        found.append(Span(tuple(text.ids.tolist()), start, stop))
    return found


def _causal_continuations(model: ScoresText, contexts: Sequence[str], continuations: Sequence[str]) -> Continuations:
    texts = [a + b for a, b in zip(contexts, continuations, strict=True)]
    total, count = np.empty(len(texts)), np.empty(len(texts))
    scored = model.token_logprobs(texts)
    for i, scores in enumerate(scored):
        own = scores.logprobs[scores.offsets[:, 1] > len(contexts[i])]
        total[i], count[i] = own.sum(), max(len(own), 1)
    total = whole(total, [s.cut for s in scored])
    return Continuations(total, total / count)


def whole(scores: Sequence[float] | Floats, cut: Sequence[bool]) -> Floats:
    """(n,) the scores, NaN in place of those that are not finite or belong to a text of which only a part was read."""
    values = np.asarray(scores, dtype=np.float64)
    return np.where(np.isfinite(values) & ~np.array(cut, dtype=bool), values, np.nan)


def _sums(values: Sequence[Floats], owner: Sequence[int], n: int) -> Floats:
    """Sum single-element arrays by the text that they belong to."""
    flat = np.array([v[0] for v in values], dtype=np.float64)
    return np.asarray(np.bincount(np.asarray(owner, dtype=np.int64), weights=flat, minlength=n), dtype=np.float64)
