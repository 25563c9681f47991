"""A group planted in one layer is found there and nowhere else; random labels are not."""

import numpy as np
import pytest
import torch
from torch import nn

from auditkit.errors import DataError, InputError
from auditkit.explain import introspection
from auditkit.models.char_gpt import wrap
from auditkit.models.char_transformer import CharGPTConfig, CharTransformer

FRAMES = ("{} ate bread", "the day {} left", "{} has gone", "it is {} again", "then {} took it", "we see {} do it")
TYPES = {"f": ("fab", "fled", "ofa", "ufi", "lefto", "fig"), "m": ("mab", "lem", "oma", "umi", "temo", "mig")}
PLAIN = tuple(frame.replace("f", "p").replace("m", "n") for frame in FRAMES)  # neither f nor m outside the types


class Speaks(nn.Module):
    """Every position takes up, in feature 1, how many "f" less how many "m" the text has (feature 0)."""

    def forward(self, x):
        out = x.clone()
        out[..., 1] += x[..., 0].sum(dim=1, keepdim=True)
        return out


class Forgets(nn.Module):
    """Feature 1 is erased."""

    def forward(self, x):
        out = x.clone()
        out[..., 1] = 0
        return out


def planted_model():
    """Three blocks: nothing, group information in every position, and nothing again."""
    config = CharGPTConfig(
        vocabulary="abcdefghijklmnopqrstuvwxyz ", hidden=16, layers=3, heads=1, context=40, causal=True,
        positions=False, scaled=True, pre_norm=True,
    )  # fmt: skip
    torch.manual_seed(0)
    module = CharTransformer(config)
    with torch.no_grad():
        module.tokens.weight.normal_()
        module.tokens.weight[:, :2] = 0
        for letter, value in (("f", 1.0), ("m", -1.0)):
            module.tokens.weight[config.vocabulary.index(letter), 0] = value
    module.blocks = nn.ModuleList([nn.Identity(), Speaks(), Forgets()])
    return wrap(module)


def grid():
    rows = [
        (frame.format(word), group, word, frame, (frame.index("{"), frame.index("{") + len(word)))
        for frame in PLAIN
        for group, words in TYPES.items()
        for word in words
    ]
    return tuple(zip(*rows, strict=True))


def test_only_the_layer_that_holds_the_group_shows_it():
    texts, groups, words, frames, spans = grid()
    vectors = introspection.layer_vectors(planted_model(), texts, spans)
    assert vectors.shape == (4, len(texts), 16)
    found = introspection.probe_layers(vectors, groups, words, frames, rng=np.random.default_rng(0))
    selective = {p.layer for p in found if p.selectivity[1].low > 0}
    assert selective == {2}
    assert found[2].accuracy[0] == 1
    assert found[2].generalization[0] == 1
    assert found[2].p_value == found[2].p_value_any_layer == pytest.approx(0.01)
    for layer in (0, 1, 3):
        assert found[layer].accuracy[0] == pytest.approx(0.5, abs=0.1)
        assert 0 in found[layer].selectivity[1]
        assert found[layer].p_value > 0.05


def test_with_the_group_word_left_in_every_layer_knows_it():
    texts, groups, words, frames, _ = grid()
    vectors = introspection.layer_vectors(planted_model(), texts)
    found = introspection.probe_layers(vectors, groups, words, frames, rng=np.random.default_rng(0))
    assert all(p.accuracy[0] == 1 for p in found)


def made(labels_of, seed, *, types=16, frames=8, width=24, identity=1.0, group=0.0):
    """(1, n, D) states: a vector of each type, one of its group, and noise."""
    rng = np.random.default_rng(seed)
    words = [f"w{i}" for i in range(types)]
    of = dict(zip(words, labels_of(rng, types), strict=True))
    vector = dict(zip(words, rng.normal(size=(types, width)) * identity, strict=True))
    direction = rng.normal(size=width) * group
    rows = [(w, f"frame{k}") for w in words for k in range(frames)]
    states = [vector[w] + direction * (1 if of[w] == "a" else -1) + rng.normal(size=width) for w, _ in rows]
    labels, names, sentences = [of[w] for w, _ in rows], [w for w, _ in rows], [f for _, f in rows]
    found = introspection.probe_layers(np.array([states]), labels, names, sentences, rng=rng)
    return found[0]


def random_labels(rng, n):
    return rng.permutation(["a", "b"] * (n // 2)).tolist()


def test_random_labels_are_learned_by_heart_and_show_no_selectivity():
    found = [made(random_labels, seed, identity=2.0) for seed in range(40)]
    assert np.mean([p.accuracy[0] for p in found]) > 0.9  # a high accuracy, and yet it says nothing:
    assert np.mean([p.selectivity[0] for p in found]) == pytest.approx(0, abs=0.02)
    assert sum(0 in p.selectivity[1] for p in found) >= 35  # at 95 %, 34 or fewer has probability 0.003
    # ... and of words that the probe never saw it knows nothing
    assert np.mean([p.generalization[0] - p.chance for p in found]) == pytest.approx(0, abs=0.05)
    assert sum(p.p_value <= 0.1 for p in found) <= 10  # 4 expected; 11 or more has probability 0.001


def test_a_group_direction_is_selective():
    found = made(random_labels, 0, identity=0.0, group=1.0)
    assert found.accuracy[0] > 0.95
    assert found.selectivity[1].low > 0.1
    assert found.generalization[0] > 0.95
    assert found.p_value == pytest.approx(0.01)


@pytest.mark.slow
def test_looking_at_many_layers_is_paid_for():
    """Ten layers of noise: the smallest p-value over them is corrected to that of one test."""
    small, corrected = 0, 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        words = [f"w{i}" for i in range(10)]
        rows = [(w, f"f{k}") for w in words for k in range(4)]
        vectors = np.repeat(rng.normal(size=(10, 10, 6)), 4, axis=1) + 0.3 * rng.normal(size=(10, 40, 6))
        labels = ["ab"[int(w[1:]) % 2] for w, _ in rows]
        found = introspection.probe_layers(vectors, labels, [w for w, _ in rows], [f for _, f in rows], rng=rng)
        small += min(p.p_value for p in found) <= 0.1
        corrected += min(p.p_value_any_layer for p in found) <= 0.1
    assert small >= 12
    assert corrected <= 8  # 3 expected; 9 or more has probability 0.002


def test_groups_are_spread_evenly_over_the_folds_and_stay_so_in_a_control_task():
    truth, rng = np.array([0] * 10 + [1] * 15), np.random.default_rng(0)
    folds = introspection._balanced_folds(truth, rng)
    for labels in (truth, introspection._shuffled(truth, folds, rng)):
        assert [np.bincount(labels[folds == f]).tolist() for f in range(introspection.FOLDS)] == [[2, 3]] * 5


def test_three_groups_are_told_apart():
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(12)]
    of = dict(zip(words, "abc" * 4, strict=True))
    centres = dict(zip("abc", rng.normal(size=(3, 8)) * 3, strict=True))
    rows = [(w, f"f{k}") for w in words for k in range(6)]
    states = np.array([[centres[of[w]] + rng.normal(size=8) for w, _ in rows]])
    (found,) = introspection.probe_layers(
        states, [of[w] for w, _ in rows], [w for w, _ in rows], [f for _, f in rows], rng=rng
    )
    assert found.accuracy[0] > 0.95
    assert found.control.mean() < 0.7
    assert found.generalization[0] > 0.95


@pytest.mark.parametrize(
    ("labels", "types", "frames", "message"),
    [
        ("ab", ["x", "x"], "12", "'x' names two groups"),
        ("aa", ["x", "y"], "12", "1 groups of 2 words, in 2 frames"),
        ("ababab", ["w", "x", "y", "z", "w", "x"], "111122", "4 words and 2 frames in 6 texts; give every pair once"),
        ("abab", ["w", "x", "y", "z"], "1111", "2 groups of 2, 2 words, in 1 frames"),
    ],
)
def test_too_little_to_probe_is_refused(labels, types, frames, message):
    vectors = np.zeros((1, len(labels), 2))
    with pytest.raises(DataError, match=message):
        introspection.probe_layers(vectors, list(labels), types, list(frames), rng=np.random.default_rng(0))


def test_a_text_of_the_group_word_alone_is_refused():
    with pytest.raises(InputError, match="no token of 'mother' is left"):
        introspection.layer_vectors(planted_model(), ["mother"], [(0, 6)])
