"""Verbatim extraction: given the beginning of a training text, does the model write the rest of it?

After Carlini et al. (2023), Quantifying memorization across neural language models,
https://arxiv.org/abs/2202.07646: a text counts as extractable with k tokens of context where the greedy continuation
of its first k tokens is its true continuation. Texts that the model never saw are put through the same, because some
continuations can be guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from auditkit.errors import DataError
from auditkit.models.protocols import Generates, ScoresText
from auditkit.privacy.canaries import Canaries, Canary


@runtime_checkable
class ContinuesText(ScoresText, Generates, Protocol):
    """A causal language model that both scores text and writes on from it."""


@dataclass(frozen=True, slots=True)
class Split:
    """One text, cut in two: does the model write `suffix` after `prefix`? `id` names it in the report."""

    id: str
    prefix: str
    suffix: str


def split_tokens(
    model: ScoresText, texts: Sequence[tuple[str, str]], *, prefix_tokens: int, suffix_tokens: int
) -> list[Split]:
    """Cut texts after their first `prefix_tokens` tokens, and keep the next `suffix_tokens`.

    Args:
        model: whose tokens are counted.
        texts: (id, text) pairs. One that is too short is left out.
        prefix_tokens: tokens that the attacker knows; a start token that the model adds does not count.
        suffix_tokens: tokens that must follow verbatim.

    Raises:
        DataError: a number of tokens below 1.
    """
    if prefix_tokens < 1 or suffix_tokens < 1:
        raise DataError(f"{prefix_tokens} prefix and {suffix_tokens} suffix tokens; expected at least 1 of each")
    splits = []
    for (id, text), scores in zip(texts, model.token_logprobs([text for _, text in texts]), strict=True):
        # Without a start token the first token of the text is not scored; it ends where the first scored one begins.
        unscored = scores.offsets[:1, 0][scores.offsets[:1, 0] > 0].tolist()
        ends = unscored + scores.offsets[:, 1].tolist()
        if prefix_tokens + suffix_tokens <= len(ends):
            splits.append(_split(id, text[: ends[prefix_tokens + suffix_tokens - 1]], ends[prefix_tokens - 1]))
    return splits


def split_canaries(canaries: Canaries, chosen: Sequence[Canary], *, known: float) -> list[Split]:
    """Cut canaries inside the secret: the attacker knows the context and the first share `known` of the characters.

    Every canary of a kind has the same context, after which a greedy model writes the same each time: with `known=0`
    at most one of them can be found.
    """
    splits = []
    for canary in chosen:
        context, secret = canaries.space(canary.kind).context, canary.secret
        splits.append(_split(canary.id, context + secret, len(context) + int(known * len(secret))))
    return splits


def completed(model: ContinuesText, splits: Sequence[Split]) -> list[bool]:
    """Whether the greedy continuation of each prefix begins with its suffix. Space between the two does not count."""
    if not splits:
        return []
    scores = model.token_logprobs([s.prefix + s.suffix for s in splits])
    wanted = [int((t.offsets[:, 1] > len(s.prefix)).sum()) for t, s in zip(scores, splits, strict=True)]
    written = model.generate([s.prefix for s in splits], max_new_tokens=max(1, *wanted))
    return [w.lstrip().startswith(s.suffix.lstrip()) for w, s in zip(written, splits, strict=True)]


def _split(id: str, text: str, cut: int) -> Split:
    """Space before the cut goes to the suffix: a tokenizer that glues it to the next word would stumble over it."""
    cut = len(text[:cut].rstrip())
    if not cut:
        raise DataError(f"{id}: nothing but space before the cut; a model needs something to continue")
    return Split(id, text[:cut], text[cut:])
