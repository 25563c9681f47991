"""A classifier in rules that can be read aloud: a shallow tree over the presence of words, and anchors.

A surrogate is not the model: how often the two agree is measured on texts that the rules were not made from, beside
what always naming the commonest label would reach. Trees after Craven & Shavlik (1996, NIPS), anchors after Ribeiro et
al. (2018, AAAI).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from auditkit import extras, stats
from auditkit.errors import DataError, InputError
from auditkit.measurement import Interval
from auditkit.models.protocols import Classifies, Ints

HELD_OUT = 0.3  # share of the texts
FEWEST_TEXTS = 20  # distinct ones
FEWEST_IN_RULE = 5  # texts that a leaf of the tree, or a word that it asks for, must at least have
MAX_WORDS = 2000  # the commonest; more only slow the tree down
MAX_ANCHOR = 4  # words
VARIANTS = 1000  # of one text, when its anchor is searched
CHECKS = 300  # further variants on which a found anchor is checked

Presence = npt.NDArray[np.bool_]
"""(texts, words) True where a text has a word."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One path of the tree.

    Attributes:
        present: the words that a text must have.
        absent: the words that it must not have.
        label: what the tree then says.
        texts: to how many held-out texts the rule applies.
        agreeing: for how many of those the model says the same.
        interval: of the share agreeing/texts; None where the rule applies to none.
    """

    present: tuple[str, ...]
    absent: tuple[str, ...]
    label: str
    texts: int
    agreeing: int
    interval: Interval | None

    def __str__(self) -> str:
        have, lack = (" and ".join(map(repr, words)) for words in (self.present, self.absent))
        when = " and ".join(part for part in (f"with {have}" * bool(have), f"without {lack}" * bool(lack)) if part)
        return f"texts {when or 'of any kind'}: {self.label}"


@dataclass(frozen=True, slots=True)
class Surrogate:
    """A tree that imitates a classifier.

    Attributes:
        rules: its paths, the one for most held-out texts first.
        fidelity: share of the held-out texts to which tree and model give the same label, and its interval.
        majority: the same share for always naming the label that is commonest among the other texts.
        gain: fidelity - majority, paired by text, and its interval: what the rules know at all.
        n: how many texts were held out.
    """

    rules: tuple[Rule, ...]
    fidelity: tuple[float, Interval]
    majority: float
    gain: tuple[float, Interval]
    n: int


@dataclass(frozen=True, slots=True)
class Anchor:
    """Words that hold a prediction in place, whatever else the text says.

    Attributes:
        words: in the order in which they were found; empty where the label holds without any.
        label: what the model says about the text.
        precision: share of fresh variants with these words that keep the label, and its exact interval.
        sure: whether the interval lies above the precision asked for; else no anchor of at most four words was found,
            and these are the best ones.
        n: how many fresh variants.
    """

    words: tuple[str, ...]
    label: str
    precision: tuple[float, Interval]
    sure: bool
    n: int


def words_of(text: str) -> list[str]:
    """The distinct words of a text in lower case, in order; apostrophes and hyphens inside a word belong to it."""
    return list(dict.fromkeys(re.findall(r"\w+(?:['\N{RIGHT SINGLE QUOTATION MARK}-]\w+)*", text.lower())))


# --- tree ---------------------------------------------------------------------------------------------------------


def fit_tree(
    model: Classifies,
    texts: Sequence[str],
    *,
    rng: np.random.Generator,
    depth: int = 3,
    clusters: Sequence[str] | None = None,
) -> Surrogate:
    """Imitate a classifier by a tree over the presence of words, and measure how well on held-out texts.

    Args:
        model: the classifier. Only its answers are used.
        texts: at least 20 distinct ones, of the kind that it will be used on; repeated texts count once.
        rng: chooses the held-out texts and draws the bootstrap.
        depth: how many words a rule may ask for.
        clusters: one label for each text: texts of one label (a template, an author) are held out together.

    Raises:
        DataError: too few texts or clusters, or the model gives all of them one label: there is nothing to explain.
    """
    texts, groups = _distinct(texts, clusters)
    said = np.argmax(model.classify(texts), axis=1)
    held = _held_out(groups, rng)
    if len(set(said[~held].tolist())) < 2:
        raise DataError(
            f"the model gives every text the label {model.labels[said[0]]!r}; give texts that it tells apart"
        )
    words, presence = _presence(texts, held)
    tree = _grown(presence[~held], said[~held], depth)
    same = (tree.predict(presence[held]) == said[held]).astype(np.float64)
    common = Counter(said[~held].tolist()).most_common(1)[0][0]
    by_majority = (said[held] == common).astype(np.float64)
    clusters_held = groups[held]
    return Surrogate(
        rules=_rules(tree, words, presence[held], said[held], model.labels),
        fidelity=(float(same.mean()), stats.cluster_bootstrap(same, clusters_held, bounds=(0, 1), rng=rng)),
        majority=float(by_majority.mean()),
        gain=(
            float((same - by_majority).mean()),
            stats.cluster_bootstrap(same - by_majority, clusters_held, bounds=(-1, 1), rng=rng),
        ),
        n=int(held.sum()),
    )


def _distinct(texts: Sequence[str], clusters: Sequence[str] | None) -> tuple[list[str], Ints]:
    """Each text once, with the number of its cluster: a text on both sides would make any rule look faithful."""
    first = {text: i for i, text in reversed(list(enumerate(texts)))}
    kept = sorted(first.values())
    labels = np.arange(len(texts)) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    if len(labels) != len(texts) or len(kept) < FEWEST_TEXTS or len(np.unique(labels[kept])) < 4:
        raise DataError(
            f"{len(kept)} distinct texts in {len(np.unique(labels))} clusters; "
            f"expected at least {FEWEST_TEXTS} in at least 4"
        )
    return [texts[i] for i in kept], labels[kept].astype(np.int64)


def _held_out(groups: Ints, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """(n,) True for about 30 % of the texts, whole clusters, never none of them and never all."""
    names = rng.permutation(np.unique(groups))
    return np.isin(groups, names[: max(1, round(HELD_OUT * len(names)))])


def _presence(texts: Sequence[str], held: npt.NDArray[np.bool_]) -> tuple[list[str], Presence]:
    """The words that enough of the other texts have, commonest first, and which text has which."""
    sets = [set(words_of(text)) for text in texts]
    counts = Counter(word for own, h in zip(sets, held.tolist(), strict=True) if not h for word in sorted(own))
    words = [word for word, n in counts.most_common(MAX_WORDS) if n >= FEWEST_IN_RULE]
    if not words:
        raise DataError(f"no word stands in {FEWEST_IN_RULE} of the texts; give more texts, or longer ones")
    return words, np.array([[word in own for word in words] for own in sets])


@extras.explained()
def _grown(presence: Presence, said: Ints, depth: int) -> Any:
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(max_depth=depth, min_samples_leaf=FEWEST_IN_RULE, random_state=0).fit(presence, said)


def _rules(tree: Any, words: Sequence[str], presence: Presence, said: Ints, labels: Sequence[str]) -> tuple[Rule, ...]:
    """The paths of the tree, each with the held-out texts that it applies to."""
    nodes, leaves = tree.tree_, tree.apply(presence)
    found = []

    def walk(node: int, present: tuple[str, ...], absent: tuple[str, ...]) -> None:
        if nodes.children_left[node] != nodes.children_right[node]:
            word = words[nodes.feature[node]]
            walk(nodes.children_left[node], present, (*absent, word))  # presence <= 0.5
            walk(nodes.children_right[node], (*present, word), absent)
            return
        label = int(tree.classes_[nodes.value[node][0].argmax()])
        here = leaves == node
        n, agreeing = int(here.sum()), int((said[here] == label).sum())
        found.append(Rule(present, absent, labels[label], n, agreeing, stats.wilson(agreeing, n) if n else None))

    walk(0, (), ())
    return tuple(sorted(found, key=lambda rule: -rule.texts))


# --- anchors ------------------------------------------------------------------------------------------------------


def anchor(model: Classifies, text: str, *, rng: np.random.Generator, precision: float = 0.95) -> Anchor:
    """The fewest words of a text that hold its label while every other word is dropped with a chance of one half.

    Words are added greedily, each time the one that keeps the label in most variants; then the anchor is checked on
    fresh variants, since the best of many candidates looks better than it is.

    Args:
        model: the classifier.
        text: at least one word.
        rng: draws the variants.
        precision: in which share of the variants the label must hold, surely at 95 %.

    Raises:
        InputError: a text without words, or a precision outside (0, 1).
    """
    parts = re.findall(r"\S+", text)
    own = [set(words_of(part)) for part in parts]
    candidates = words_of(text)
    if not candidates or not 0 < precision < 1:
        raise InputError(f"anchor of {text[:80]!r} at precision {precision}; expected words, and a share inside (0, 1)")
    label = int(np.argmax(model.classify([text])[0]))
    fixed = {word: np.array([word in words for words in own]) for word in candidates}

    def kept_by(keep: Presence) -> npt.NDArray[np.bool_]:
        return _label_holds(model, label, parts, keep)

    keep = _variants(VARIANTS, len(parts), rng)
    chosen = _search(keep, kept_by(keep), fixed, precision)
    fresh = _variants(CHECKS, len(parts), rng)
    for word in chosen:
        fresh |= fixed[word]
    holds = int(kept_by(fresh).sum())
    interval = stats.clopper_pearson(holds, CHECKS)
    return Anchor(chosen, model.labels[label], (holds / CHECKS, interval), interval.low >= precision, CHECKS)


def _variants(n: int, parts: int, rng: np.random.Generator) -> Presence:
    """(n, parts) which parts of the text a variant keeps: each with a chance of one half, and at least one."""
    keep = rng.random((n, parts)) < 0.5
    empty = np.flatnonzero(~keep.any(axis=1))
    keep[empty, rng.integers(0, parts, len(empty))] = True
    return keep


def _label_holds(model: Classifies, label: int, parts: Sequence[str], keep: Presence) -> npt.NDArray[np.bool_]:
    """(variants,) whether the model still says `label`; equal variants are asked once."""
    texts = [" ".join(part for part, k in zip(parts, row, strict=True) if k) for row in keep.tolist()]
    distinct = sorted(set(texts))
    answers = dict(zip(distinct, np.argmax(model.classify(distinct), axis=1).tolist(), strict=True))
    return np.array([answers[text] == label for text in texts])


def _search(
    keep: Presence, holds: npt.NDArray[np.bool_], fixed: dict[str, npt.NDArray[np.bool_]], precision: float
) -> tuple[str, ...]:
    """Words whose variants keep the label often enough: the fewest that a greedy search finds."""
    has = {word: keep[:, places].all(axis=1) for word, places in fixed.items()}
    chosen: tuple[str, ...] = ()
    among = np.ones(len(keep), dtype=bool)

    def share(rows: npt.NDArray[np.bool_]) -> float:
        return float(holds[rows].mean()) if rows.any() else 0.0

    while share(among) < (1 + precision) / 2 and len(chosen) < min(MAX_ANCHOR, len(fixed)):
        best = max((w for w in fixed if w not in chosen), key=lambda w: share(among & has[w]))
        chosen, among = (*chosen, best), among & has[best]
    return chosen


def anchor_fidelity(
    model: Classifies, anchors: Sequence[Anchor], texts: Sequence[str]
) -> list[tuple[Anchor, int, Interval | None]]:
    """How far anchors reach beyond their own texts.

    Args:
        model: the classifier that they explain.
        anchors: from `anchor`; those without words apply to every text.
        texts: other ones than the anchors were made from.

    Returns:
        Of each anchor, how many texts have all its words, and the interval of the share of those that the model gives
        its label; None where no text has.
    """
    said = np.argmax(model.classify(texts), axis=1)
    own = [set(words_of(text)) for text in texts]
    out: list[tuple[Anchor, int, Interval | None]] = []
    for a in anchors:
        rows = [i for i, words in enumerate(own) if words.issuperset(a.words)]
        agreeing = sum(model.labels[said[i]] == a.label for i in rows)
        out.append((a, len(rows), stats.wilson(agreeing, len(rows)) if rows else None))
    return out
