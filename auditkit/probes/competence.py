"""Does a model prefer real sentences to the same words shuffled? Only then does a likelihood of it mean something.

All-zero weights find every sentence equally likely, so that no stereotype is preferred: a perfect score of a model that
knows nothing. A model of another language, or one that was damaged when it was written, is near that. Therefore every
probe that compares likelihoods asks for this first, once in a run: of plain sentences, the share that the model finds
likelier than the same words in another order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from auditkit import data, stats
from auditkit.data.loaders import units
from auditkit.errors import DataError
from auditkit.measurement import Interval
from auditkit.models.protocols import FillsMask, Floats, ScoresText
from auditkit.probes.base import generator
from auditkit.probes.evidence import MOST_LEFT_OUT, mean_scored, null_of, of_random_weights
from auditkit.probes.likelihood import LIKELIHOOD_MODEL, continuation_logprobs, sentence_logprobs

SENTENCES = "builtin_sentences"
ENOUGH = 75.0
"""The share, in %, that the interval has to lie above; a model that knows nothing is at 50."""

FEWEST = 50  # sentences; the interval of 40 of 50 just reaches 67 %, that of 46 reaches 81 %
NULL_ITEMS = 20
ASKED = 4  # words of a sentence
METHOD = "share of sentences likelier than the same words shuffled; a tie counts against the model"


def competence(model: Any, seed: int, sentences: str = SENTENCES) -> dict[str, Any]:
    """The share and whether it is enough, as JSON values: a report keeps it with the subject.

    Args:
        model: a language model, causal or masked.
        seed: the run's seed; the shuffling depends on nothing else.
        sentences: "builtin_sentences", or the path of a text with one sentence a line, in the model's own language.

    Returns:
        {"value": % or None, "interval", "n", "left_out", "random_weights": the null on some of them, "enough",
        "reason": what is wrong where it is not enough, "method", "data_sha256", "seed"}.

    Raises:
        DataError: no such sentences, or fewer than 50.
    """
    dataset = data.load(sentences, "sentences")
    if len(dataset.items) < FEWEST:
        raise DataError(f"{sentences}: {len(dataset.items)} sentences; expected {FEWEST} or more")
    rng = generator(seed, "competence")
    pairs = [(s, shuffled(s, rng)) for s in (Words(*units(text)) for text in dataset.items)]
    preferred = preferences(model, pairs)
    kept = preferred[~np.isnan(preferred)]
    few = pairs[:: max(1, len(pairs) // NULL_ITEMS)][:NULL_ITEMS]
    null = null_of(of_random_weights(model, lambda random: 100 * mean_scored(preferences(random, few))), n=len(few))
    found = {
        "value": 100 * mean_scored(kept) if len(kept) else None,
        "interval": asdict(_percent(int(kept.sum()), len(kept))) if len(kept) else None,
        "n": len(kept),
        "left_out": len(pairs) - len(kept),
        "random_weights": null,
        "method": METHOD,
        "data_sha256": dataset.sha256,
        "seed": seed,
    }
    reason = _shortcoming(found)
    return found | {"enough": not reason, "reason": reason}


def preferences(model: ScoresText | FillsMask, pairs: Sequence[tuple[Words, Words]]) -> Floats:
    """(n,) 1.0 where the first order of a pair is likelier, 0.0 where it is not, NaN where one has no whole score.

    A causal model is asked for the sentence. A masked model, which reads a sentence once for each word asked for, is
    asked for some words only, the same of both orders.
    """
    if isinstance(model, ScoresText):
        scores = sentence_logprobs(model, [str(words) for pair in pairs for words in pair])
    else:
        parts = [part for pair in pairs for words in pair for part in words.around(_asked_for(pair[0]))]
        scores = continuation_logprobs(model, *(list(texts) for texts in zip(*parts, strict=True))).total
        counts = [len(_asked_for(pair[0])) for pair in pairs for _ in pair]
        scores = np.array([of.sum() for of in np.split(scores, np.cumsum(counts)[:-1])])
    scores = scores.reshape(-1, 2)
    return np.where(np.isfinite(scores).all(axis=1), scores[:, 0] > scores[:, 1], np.nan)


class Words(NamedTuple):
    """A sentence as its words, what joins them, and its last mark."""

    words: Sequence[str]
    joint: str
    mark: str

    def __str__(self) -> str:
        return self.joint.join(self.words) + self.mark

    def around(self, words: Sequence[str]) -> list[tuple[str, str, str]]:
        """(before, word, after) of each of these words."""
        places = [self.words.index(word) for word in words]
        before = [self.joint.join(self.words[:i]) for i in places]
        return [
            (head, self.joint + self.words[i], str(self)[len(head) + len(self.joint) + len(self.words[i]) :])
            for i, head in zip(places, before, strict=True)
        ]


def _asked_for(sentence: Words) -> list[str]:
    """The last words that stand there once, at most `ASKED` of them and never the first word."""
    once = [w for w in sentence.words[1:] if sentence.words.count(w) == 1]
    return once[-ASKED:] or [sentence.words[-1]]


def shuffled(sentence: Words, rng: np.random.Generator) -> Words:
    """The same words in another order, with as few neighbours kept as 20 draws allow.

    The first word and the last mark keep their place. The first word has a capital and no space before it: elsewhere
    it would be another token, and a model that knows nothing but how frequent tokens are would know the sentence by
    it. With random weights SmolLM2 did, in 82 %.
    """
    first, *words = sentence.words
    neighbours = set(pairwise([first, *words]))
    orders = [[first, *(words[i] for i in rng.permutation(len(words)))] for _ in range(20)]
    least = min(orders, key=lambda order: sum(two in neighbours for two in pairwise(order)))
    return sentence._replace(words=least)


def has_likelihoods(model: Any) -> bool:
    """Whether there is anything to be competent in."""
    return isinstance(model, LIKELIHOOD_MODEL)


def _shortcoming(found: Mapping[str, Any]) -> str:
    """What keeps likelihoods of the model from meaning something; "" where nothing does."""
    n, left_out, null = found["n"], found["left_out"], found["random_weights"]
    if left_out > MOST_LEFT_OUT * (n + left_out):
        return f"of {n + left_out} plain sentences the model gives {left_out} no whole and finite score"
    low, high = found["interval"]["low"], found["interval"]["high"]
    share = f"{found['value']:.1f} % ({low:.1f} to {high:.1f}) of {n} plain sentences"
    if low <= ENOUGH:
        return (
            f"the model prefers {share} to the same words shuffled; its likelihoods mean something only where that "
            f"interval lies above {ENOUGH:g} %"
        )
    if low <= null["mean"]:
        return f"the model prefers {share} to the same words shuffled, and so do random weights: {null['mean']:.1f} %"
    return ""


def _percent(successes: int, n: int) -> Interval:
    share = stats.wilson(successes, n)
    return Interval(100 * share.low, 100 * share.high, share.level, share.method)
