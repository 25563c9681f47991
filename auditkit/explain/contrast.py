"""Which shared words carry a preference for one sentence of a pair, and which words drive the gap over many pairs.

What is explained, as a function of the words that both sentences share:

    masked LM      log p(the words of `more` that differ) - log p(those of `less`), all of them masked at once
    causal, char   log p(more) - log p(less), whole sentences
    classifier     logit(more) - logit(less) of the class that is predicted for `more`
    encoder        the cosine of the two sentences

A positive value pushes towards the more stereotyping sentence. The words that differ are the question, and get none.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from auditkit import stats
from auditkit.data.types import Pair
from auditkit.errors import DataError, InputError, MissingCapability
from auditkit.explain.attribution import Attributions, explain
from auditkit.explain.layers import Tokens
from auditkit.explain.methods import Method, Settings
from auditkit.explain.questions import Branch, Question, branch, question
from auditkit.explain.readers import reader_of
from auditkit.explain.targets import Similarity, ask, with_predictions
from auditkit.explain.texts import untruncated
from auditkit.measurement import Interval
from auditkit.models.causal_lm import CausalLM
from auditkit.models.char_gpt import CharGPT
from auditkit.models.classifier import Classifier
from auditkit.models.masked_lm import MaskedLM
from auditkit.models.protocols import Ints
from auditkit.models.sentence_encoder import SentenceEncoder
from auditkit.models.words import word_of_token
from auditkit.probes.evidence import sign_flip_test

FEWEST = 5  # clusters that a word must stand in to be tested


@dataclass(frozen=True, slots=True)
class Driver:
    """A word that pushes a preference, over all texts that hold it.

    Attributes:
        word: case folded.
        n: texts that hold it.
        mean: its value where it stands.
        interval: of the mean; None where its texts do not bound it.
        share_of_gap: its part of the summed change from the baselines, in [-inf, inf]; 1 is all of it.
        p_value: of a mean of 0 (clusters flip sign).
        p_value_holm: the same, adjusted by Holm over all words tested.
    """

    word: str
    n: int
    mean: float
    interval: Interval | None
    share_of_gap: float
    p_value: float
    p_value_holm: float


def ask_pairs(model: Any, pairs: Sequence[Pair]) -> tuple[list[Question], list[Pair]]:
    """The question about each pair that can be put, and those pairs; what is left out is counted in `notices`.

    Left out are pairs that do not fit into the context, that share no word, and for a masked model those in which one
    sentence only has words more.

    Raises:
        InputError: a sentence is empty, or no pair is left.
        MissingCapability: no contrast for this kind of model.
    """
    reader_of(model)  # raises where nothing can be explained
    if isinstance(model, SentenceEncoder):
        return ask(model, [p.more for p in pairs], [Similarity(to=p.less) for p in pairs]), list(pairs)
    if not isinstance(model, MaskedLM | CausalLM | CharGPT | Classifier):
        raise MissingCapability(f"a pair of sentences cannot be contrasted by a {model.task}; explain single texts")
    more, less = (untruncated(model, [getattr(p, side) for p in pairs]) for side in ("more", "less"))
    sides = [(p, a, b) for p, a, b in zip(pairs, more, less, strict=True) if a is not None and b is not None]
    found = [(_contrast(model, p, a, b), p) for p, a, b in sides]
    kept = [(q, p) for q, p in found if q is not None]
    for reason, number in (
        ("longer than the context", len(pairs) - len(sides)),
        ("without shared or without differing words", len(sides) - len(kept)),
    ):
        if number:
            model.notices[f"pairs {reason} left out of the explanation"] += number
    if not kept:
        raise InputError(f"none of {len(pairs)} pairs fits and has both shared and differing words; give minimal pairs")
    return with_predictions(model, [q for q, _ in kept]), [p for _, p in kept]


def contrast_pairs(
    model: Any,
    pairs: Sequence[Pair],
    *,
    method: str | Method = "integrated_gradients",
    baseline: str = "auto",
    settings: Settings | None = None,
    batch_tokens: int | None = None,
) -> Attributions:
    """Explain the preference of a model in each pair; see the module.

    Raises:
        InputError, MissingCapability: as `ask_pairs` and `attribute`.
    """
    questions, _ = ask_pairs(model, pairs)
    chosen = settings or Settings()
    return explain(model, questions, method=method, baseline=baseline, settings=chosen, batch_tokens=batch_tokens)


def _contrast(model: Any, pair: Pair, more: Tokens, less: Tokens) -> Question | None:
    here, there = _shared(pair, more, less)
    plain = [np.flatnonzero(~t.special & (np.isin(np.arange(len(t.ids)), at, invert=True))) for t, at in
             ((more, here), (less, there))]  # fmt: skip
    if not len(here) or (isinstance(model, MaskedLM) and not all(map(len, plain))):
        return None
    sides = ((more, here, plain[0], 1.0), (less, there, plain[1], -1.0))
    rows = [_row(model, tokens, at, here, differing, sign) for tokens, at, differing, sign in sides]
    if len(rows[0].ids) == len(rows[1].ids) and all(
        (getattr(rows[0], part) == getattr(rows[1], part)).all() for part in ("ids", "feature")
    ):
        rows = [_merged(*rows)]
    held = np.isin(np.arange(len(more.ids)), here, invert=True)
    return question(pair.more, _asks(model), replace(more, special=held), rows, contrast=True)


def _merged(more: Branch, less: Branch) -> Branch:
    """Where the masked sentences are the same, one reading answers for both."""
    both = {part: np.concatenate([getattr(more, part), getattr(less, part)]) for part in ("positions", "targets")}
    return replace(more, **both, weights=np.concatenate([more.weights, less.weights]))


def _asks(model: Any) -> str:
    if isinstance(model, MaskedLM):
        return "log p of the differing words: more - less"
    return "logit of {}: more - less" if isinstance(model, Classifier) else "log p of the sentence: more - less"


def _shared(pair: Pair, more: Tokens, less: Tokens) -> tuple[Ints, Ints]:
    """Positions of the tokens of the words that both sentences share, in each."""
    sides = [_by_word(pair.more, more), _by_word(pair.less, less)]
    keys = [[tuple(t.ids[at].tolist()) for at in words] for words, t in zip(sides, (more, less), strict=True)]
    blocks = difflib.SequenceMatcher(None, keys[0], keys[1], autojunk=False).get_matching_blocks()
    none = [np.zeros(0, dtype=np.int64)]
    here = [sides[0][block.a + i] for block in blocks for i in range(block.size)]
    there = [sides[1][block.b + i] for block in blocks for i in range(block.size)]
    return np.concatenate(here or none), np.concatenate(there or none)


def _by_word(text: str, tokens: Tokens) -> list[Ints]:
    owner, words = word_of_token(text, tokens.offsets, tokens.special)
    return [np.flatnonzero(owner == w) for w in range(len(words))]


def _row(model: Any, tokens: Tokens, at: Ints, features: Ints, differing: Ints, sign: float) -> Branch:
    """One sentence; the token at `at[i]` is feature `features[i]`, all others are held."""
    feature = np.full(len(tokens.ids), -1, dtype=np.int64)
    feature[at] = features
    if isinstance(model, Classifier):
        return branch(tokens.ids, feature, [(0, -1, sign)])
    if isinstance(model, MaskedLM):
        ids = tokens.ids.copy()
        ids[differing] = model.mask_id
        return branch(ids, feature, [(p, int(tokens.ids[p]), sign) for p in differing.tolist()])
    following = [(p - 1, int(tokens.ids[p]), sign) for p in range(1, len(tokens.ids))]
    return branch(tokens.ids[:-1], feature[:-1], following)  # the last token is predicted, never read


def drivers(
    attributions: Attributions, *, rng: np.random.Generator, clusters: Sequence[str] | None = None, fewest: int = FEWEST
) -> list[Driver]:
    """The words that drive what was explained, those with the largest part of it first.

    Args:
        attributions: of `contrast_pairs`, or of a difference (`versus`) between two pronouns or classes.
        rng: draws the bootstrap and the sign flips.
        clusters: one label for each text: texts of one label are not independent.
        fewest: clusters that a word must stand in to be tested.

    Raises:
        DataError: not as many clusters as texts.
    """
    labels = [str(i) for i in range(len(attributions))] if clusters is None else list(clusters)
    if len(labels) != len(attributions):
        raise DataError(f"{len(labels)} clusters for {len(attributions)} texts; give one label for each text")
    where: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for i, item in enumerate(attributions):
        for word, value in zip(item.words, item.values.tolist(), strict=True):
            if any(c.isalnum() for c in word):
                where[word.casefold()][i] += value
    tested = {w: at for w, at in where.items() if len({labels[i] for i in at}) >= fewest}
    gap = sum(item.value - item.baseline_value for item in attributions)
    found = [_driver(word, at, labels, gap, rng) for word, at in sorted(tested.items())]
    adjusted = stats.holm([d.p_value for d in found]).tolist() if found else []
    ranked = [replace(d, p_value_holm=p) for d, p in zip(found, adjusted, strict=True)]
    return sorted(ranked, key=lambda d: -abs(d.mean) * d.n)


def _driver(word: str, at: dict[int, float], labels: Sequence[str], gap: float, rng: np.random.Generator) -> Driver:
    values, clusters = np.array([*at.values()], dtype=np.float64), [labels[i] for i in at]
    try:
        interval = stats.cluster_bootstrap(values, clusters, rng=rng)
    except DataError:  # its clusters do not differ
        interval = None
    p = sign_flip_test(values, clusters, 0.0, rng)
    share = float(values.sum() / gap) if gap else 0.0
    return Driver(word, len(values), float(values.mean()), interval, share, p, p)
