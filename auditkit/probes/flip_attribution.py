"""Which words carry a decision that changed with the group: how much of its attribution the exchanged words have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from auditkit.mitigation.swaps import Swapped
from auditkit.models.protocols import Floats

METHOD = "share of the absolute attribution that falls on the exchanged words, of texts whose decision changed"
SOURCE = "Sundararajan et al. (2017), ICML (integrated gradients); Garg et al. (2019), AIES"
NAMED = 8  # words, at most


def shares_of_exchanged_words(
    model: Any, texts: Sequence[str], swapped: Sequence[Swapped], label: str, *, seed: int
) -> tuple[Floats, dict[str, Any]]:
    """Explain the favourable label of each text, and add up what its exchanged words have.

    Args:
        model: a classifier with weights.
        texts: what was classified.
        swapped: their counterparts, with the words that were exchanged.
        label: whose log-odds are explained.
        seed: of what the explanation draws.

    Returns:
        (n,) per cent of each text's absolute attribution; and how it was found: `method`, `baseline`, the mean share
        that the exchanged words would have if every word had the same (`even_share`), the largest completeness error
        in per cent, and which exchanged words have most (`words`, word: mean per cent).

    Raises:
        InputError: a text that cannot be explained.
        MissingCapability: the model has no gradients.
    """
    from auditkit.explain import Label, attribute

    found = attribute(model, texts, target=Label(label), seed=seed)
    shares, even = np.zeros(len(texts)), np.zeros(len(texts))
    by_word: dict[str, list[float]] = defaultdict(list)
    for i, (item, counterpart) in enumerate(zip(found, swapped, strict=True)):
        size = np.abs(item.values)
        exchanged = _exchanged(texts[i], item.words, counterpart)
        share = 100 * size / (size.sum() or 1.0)
        shares[i], even[i] = share[exchanged].sum(), 100 * exchanged.mean()
        for at in np.flatnonzero(exchanged).tolist():
            by_word[item.words[at].lower()].append(float(share[at]))
    means = {word: sum(values) / len(values) for word, values in by_word.items()}
    details = {
        "method": found.method,
        "baseline": " + ".join(found.baseline),
        "even_share": float(even.mean()),
        "completeness_error": 100 * max(item.error for item in found),
        "words": {word: round(means[word], 1) for word in sorted(means, key=lambda w: (-means[w], w))[:NAMED]},
    }
    return shares, details


def _exchanged(text: str, words: Sequence[str], counterpart: Swapped) -> Any:
    """(words,) which of the words of a text overlap a part of it that was exchanged."""
    spans = [(change.start, change.start + len(change.before)) for change in counterpart.changes]
    out, end = np.zeros(len(words), dtype=bool), 0
    for i, word in enumerate(words):
        start = text.find(word, end)
        if start < 0:  # a tokenizer that rewrites what it reads; the next word may be found again
            continue
        end = start + len(word)
        out[i] = any(start < stop and begin < end for begin, stop in spans)
    return out
