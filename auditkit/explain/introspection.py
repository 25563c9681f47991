"""Whether a group can be read off each layer linearly, and whether that is more than memory.

A linear probe on each layer's states, against control tasks (Hewitt & Liang 2019, EMNLP). Shapes: n texts, L blocks
(layer 0 is what enters the first), D hidden.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from auditkit import extras, stats
from auditkit.errors import DataError, InputError
from auditkit.explain.layers import Reading, read, tokenize
from auditkit.measurement import Interval
from auditkit.models.protocols import Floats, Ints

FOLDS = 5
CONTROLS = 99  # the smallest p-value is 1 / (1 + controls)
PENALTIES = tuple(10.0**k for k in range(-2, 6))

Span = tuple[int, int]
"""Characters [start, end) of a text."""


@dataclass(frozen=True, slots=True)
class LayerProbe:
    """How well a linear probe of one layer tells groups apart, on texts that it was not fitted to.

    Attributes:
        layer: 0 is what enters the first block.
        correct: (n,) 1 where the probe names the group of a text in a frame that it never saw, else 0.
        control: (n,) the same for random labels of the words, averaged over the control tasks.
        accuracy: mean of `correct`, and its interval.
        selectivity: accuracy less that on the control tasks, and its interval: what the layer says about the group
            beyond what a probe of this kind learns by heart.
        new_words: (n,) 1 where the probe names the group of a word that it never saw, else 0.
        generalization: mean of `new_words`, and its interval.
        chance: mean of the same over the control tasks.
        p_value: of new words being no easier to name than under random labels.
        p_value_any_layer: the same, against the best of all layers under each random labelling: corrected for having
            looked at every layer (Westfall & Young 1993).
    """

    layer: int
    correct: Floats
    control: Floats
    accuracy: tuple[float, Interval]
    selectivity: tuple[float, Interval]
    new_words: Floats
    generalization: tuple[float, Interval]
    chance: float
    p_value: float
    p_value_any_layer: float


def layer_vectors(model: Any, texts: Sequence[str], without: Sequence[Span] | None = None) -> npt.NDArray[np.float32]:
    """(L + 1, n, D): the mean state of each text's tokens in every layer, special tokens left out.

    Args:
        model: an adapter of auditkit over a transformer.
        texts: at least one word each.
        without: of each text, characters whose tokens are left out too. Leaving out the words that name a group shows
            what the *other* tokens have taken up about it.

    Raises:
        InputError: nothing is left of a text.
    """
    tokens = tokenize(model, texts)
    kept = [~t.special for t in tokens]
    for i, (start, end) in enumerate(without or ()):
        kept[i] &= (tokens[i].offsets[:, 1] <= start) | (tokens[i].offsets[:, 0] >= end)
    if empty := [text for text, k in zip(texts, kept, strict=True) if not k.any()]:
        raise InputError(f"no token of {empty[0][:80]!r} is left; give a longer text")
    found: list[Any] = [None] * len(texts)

    def take(i: int, reading: Reading) -> None:
        found[i] = reading.hidden[:, kept[i]].mean(axis=1)

    read(model, tokens, take)
    return np.stack(found, axis=1)


def probe_layers(
    vectors: npt.NDArray[np.float32],
    labels: Sequence[str],
    types: Sequence[str],
    frames: Sequence[str],
    *,
    rng: np.random.Generator,
) -> list[LayerProbe]:
    """Fit a linear probe to every layer, and to control tasks that can be solved by memory alone.

    In a control task every type (the word that names the group) gets a label of its own, the same in all its texts: the
    labels of the types shuffled. A representation that only tells words apart solves both tasks equally well: its
    selectivity is 0, and it knows nothing of words that were held out. The probe is ridge regression, its penalty
    chosen by the leave-one-out error for each task, on states less the mean of their frame, which knows no label: else
    what the sentences say would drown what the words do.

    Args:
        vectors: (L + 1, n, D) from `layer_vectors`.
        labels: the group of each text.
        types: the word that names the group in each text; every word belongs to one group. Words are the independent
            units of the intervals.
        frames: the sentence around it; every word stands in every frame once.
        rng: draws the control labels, the folds and the bootstrap.

    Raises:
        DataError: fewer than two groups, two words in one, or two frames; a word in two groups; or not every word in
            every frame.
    """
    group_of = _groups(labels, types, frames)
    words, index = np.unique(np.asarray(types), return_inverse=True)
    _, frame = np.unique(np.asarray(frames), return_inverse=True)
    truth = np.unique([group_of[w] for w in words.tolist()], return_inverse=True)[1]
    word_folds, frame_folds = _balanced_folds(truth, rng), _folds(int(frame.max()) + 1, FOLDS, rng)[frame]
    tasks = np.stack([truth, *(_shuffled(truth, word_folds, rng) for _ in range(CONTROLS))])[:, index]
    centred = [_without_frames(states.astype(np.float64), frame) for states in vectors]
    seen = [_held_out(states, tasks, frame_folds).astype(np.float64) for states in centred]
    new = [_held_out(states, tasks, word_folds[index]).astype(np.float64) for states in centred]
    reached = np.array([answers.mean(axis=1) for answers in new])  # (L + 1, 1 + controls)
    found = []
    for layer, (correct, answers) in enumerate(zip(seen, new, strict=True)):
        at_least = reached[layer, 0] - stats.TIE
        found.append(
            LayerProbe(
                layer=layer,
                correct=correct[0],
                control=correct[1:].mean(axis=0),
                accuracy=_share(correct[0], types, rng),
                selectivity=_selectivity(correct, index),
                new_words=answers[0],
                generalization=_share(answers[0], types, rng),
                chance=float(reached[layer, 1:].mean()),
                p_value=float((reached[layer] >= at_least).mean()),
                p_value_any_layer=float((reached.max(axis=0) >= at_least).mean()),
            )
        )
    return found


def _share(correct: Floats, types: Sequence[str], rng: np.random.Generator) -> tuple[float, Interval]:
    return float(correct.mean()), stats.cluster_bootstrap(correct, types, bounds=(0, 1), rng=rng)


def _without_frames(states: Floats, frame: Ints) -> Floats:
    """(n, D) states less the mean of their frame."""
    sums = np.zeros((frame.max() + 1, states.shape[1]))
    np.add.at(sums, frame, states)
    return np.asarray(states - (sums / np.bincount(frame)[:, None])[frame])


def _selectivity(correct: Floats, types: Ints) -> tuple[float, Interval]:
    """Accuracy on the group less the mean on the controls, from the (1 + controls, n) answers.

    Two things could have come out otherwise: which words stand for the groups, and which labels these words happen to
    have. The first shows in how the words differ, the second in how the control tasks do; the variances add up.
    """
    from scipy import stats as distributions

    gain = correct[0] - correct[1:].mean(axis=0)
    sums = np.bincount(types, gain - gain.mean())
    n, value = len(sums), float(gain.mean())
    error = np.sqrt(n / (n - 1) * (sums**2).sum() / len(gain) ** 2 + correct[1:].mean(axis=1).var(ddof=1))
    half = float(distributions.t.ppf(0.975, n - 1) * error)
    method = f"t interval, {n} words, with the spread of {CONTROLS} control tasks"
    return value, Interval(max(-1.0, value - half), min(1.0, value + half), 0.95, method)


def _groups(labels: Sequence[str], types: Sequence[str], frames: Sequence[str]) -> dict[str, str]:
    """The group of each word."""
    group_of = dict(zip(types, labels, strict=True))
    if two := [t for t, label in zip(types, labels, strict=True) if group_of[t] != label]:
        raise DataError(f"{two[0]!r} names two groups; every word must belong to one, or no control task exists")
    sizes = Counter(group_of.values())
    if len(sizes) < 2 or len(set(frames)) < 2 or min(sizes.values()) < 2:
        raise DataError(
            f"{len(sizes)} groups of {', '.join(map(str, sizes.values()))} words, in {len(set(frames))} frames; "
            "a probe needs at least 2 groups of 2 words, in 2 frames"
        )
    pairs = set(zip(types, frames, strict=True))
    if not len(pairs) == len(types) == len(group_of) * len(set(frames)):
        raise DataError(
            f"{len(group_of)} words and {len(set(frames))} frames in {len(types)} texts; give every pair once"
        )
    return group_of


def _folds(size: int, folds: int, rng: np.random.Generator) -> Ints:
    """(size,) the fold in which each of `size` things is held out, spread evenly."""
    return rng.permutation(size) % min(folds, size)


def _balanced_folds(truth: Ints, rng: np.random.Generator) -> Ints:
    """(words,) folds over which every group is spread evenly: else what is left in names the others too seldom."""
    smallest = int(np.bincount(truth).min())
    folds = np.empty_like(truth)
    for group in np.unique(truth):
        folds[truth == group] = _folds(int((truth == group).sum()), min(FOLDS, smallest), rng)
    return folds


def _shuffled(truth: Ints, folds: Ints, rng: np.random.Generator) -> Ints:
    """(words,) labels shuffled within each fold, so that a control task is as balanced as the real one."""
    labels = truth.copy()
    for fold in np.unique(folds):
        labels[folds == fold] = rng.permutation(truth[folds == fold])
    return labels


@extras.explained()
def _held_out(states: Floats, tasks: Ints, folds: Ints) -> npt.NDArray[np.bool_]:
    """(tasks, n): whether a ridge classifier that never saw the fold of a text names its label.

    Args:
        states: (n, D).
        tasks: (tasks, n) labels 0, 1, ...
        folds: (n,).
    """
    from sklearn.linear_model import RidgeCV

    classes = int(tasks.max()) + 1
    indicators = (tasks[..., None] == np.arange(classes)).transpose(1, 0, 2).reshape(len(states), -1).astype(np.float64)
    named = np.empty(tasks.shape, dtype=np.int64)
    for fold in np.unique(folds):
        held = folds == fold
        mean, spread = states[~held].mean(axis=0), states[~held].std(axis=0)
        scaled = (states - mean) / np.where(spread > 0, spread, 1.0)
        ridge = RidgeCV(PENALTIES, alpha_per_target=True).fit(scaled[~held], indicators[~held])
        scores = ridge.predict(scaled[held]).reshape(held.sum(), len(tasks), classes)
        named[:, held] = scores.argmax(axis=2).T
    return named == tasks
