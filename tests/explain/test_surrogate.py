"""A planted rule is recovered by the tree and by the anchors; where there is none, none is claimed."""

import numpy as np
import pytest

from auditkit.errors import DataError, InputError
from auditkit.explain import surrogate
from auditkit.testing import FakeClassifier

FILLER = ("the", "film", "was", "long", "and", "quiet", "with", "music", "people", "talk", "red", "old")


class ByRule:
    """Says what a rule over the words of the text says; `noise` is the share of texts on which it does not."""

    labels = ("negative", "positive")

    def __init__(self, rule, noise=0.0):
        self.rule, self.noise, self.asked = rule, noise, 0

    def classify(self, texts):
        self.asked += len(texts)
        out = np.zeros((len(texts), 2))
        for i, text in enumerate(texts):
            positive = self.rule(set(surrogate.words_of(text)))
            flipped = (hash_of(text) % 1000) / 1000 < self.noise
            out[i, int(positive != flipped)] = 1
        return out


def hash_of(text):
    return sum(ord(c) * 31**i for i, c in enumerate(text)) % 1_000_003


def good_but_not_boring(words):
    return "good" in words and "boring" not in words


def reviews(n=400, seed=0):
    rng = np.random.default_rng(seed)
    texts = []
    for _ in range(n):
        words = rng.choice(FILLER, size=6, replace=False).tolist()
        words += [w for w in ("good", "boring", "bad") if rng.random() < 0.5]
        texts.append(" ".join(rng.permutation(words).tolist()))
    return texts


# --- tree -------------------------------------------------------------------------------------------------------


def test_a_planted_rule_is_recovered():
    found = surrogate.fit_tree(ByRule(good_but_not_boring), reviews(), rng=np.random.default_rng(0), depth=2)
    assert found.fidelity[0] == 1
    assert found.fidelity[1].low > 0.95
    assert found.gain[1].low > 0.1
    positive = [r for r in found.rules if r.label == "positive"]
    assert [(r.present, r.absent) for r in positive] == [(("good",), ("boring",))]
    assert {word for r in found.rules for word in (*r.present, *r.absent)} == {"good", "boring"}
    assert sum(r.texts for r in found.rules) == found.n
    assert all(r.agreeing == r.texts for r in found.rules)
    assert "texts with 'good' and without 'boring': positive" in map(str, found.rules)


def test_a_rule_that_no_word_carries_is_not_claimed():
    """Labels by coin: a tree fitted to them does no better than the commonest label on texts held out."""
    coin = ByRule(lambda words: False, noise=0.5)
    gains = [
        surrogate.fit_tree(coin, reviews(seed=seed), rng=np.random.default_rng(seed)).gain[1] for seed in range(12)
    ]
    assert sum(g.low > 0 for g in gains) <= 2


def test_fidelity_counts_what_the_rules_miss():
    noisy, texts = ByRule(good_but_not_boring, noise=0.1), reviews(1000)
    found = surrogate.fit_tree(noisy, texts, rng=np.random.default_rng(0), depth=2)
    regular = np.mean(noisy.classify(texts).argmax(1) == ByRule(good_but_not_boring).classify(texts).argmax(1))
    assert 0.8 < regular < 0.95
    assert regular in found.fidelity[1]


def test_repeated_texts_cannot_flatter():
    texts = reviews(60) * 5
    assert surrogate.fit_tree(ByRule(good_but_not_boring), texts, rng=np.random.default_rng(0)).n == 18


def test_clusters_are_held_out_whole():
    groups = np.repeat(np.arange(10), 3)
    held = surrogate._held_out(groups, np.random.default_rng(0))
    assert held.sum() == 9
    assert all(len(set(held[groups == g].tolist())) == 1 for g in range(10))


def test_bad_input_is_named():
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="3 distinct texts"):
        surrogate.fit_tree(ByRule(good_but_not_boring), ["a", "b", "c"] * 10, rng=rng)
    with pytest.raises(DataError, match="every text the label 'negative'"):
        surrogate.fit_tree(ByRule(lambda words: False), reviews(), rng=rng)
    texts = [f"w{i} x{i}" for i in range(30)]
    with pytest.raises(DataError, match="no word stands in 5"):
        surrogate.fit_tree(ByRule(lambda words: sorted(words)[0] < "w2"), texts, rng=rng)
    with pytest.raises(InputError, match="expected words"):
        surrogate.anchor(ByRule(good_but_not_boring), " ... ", rng=rng)
    with pytest.raises(InputError, match="precision 1"):
        surrogate.anchor(ByRule(good_but_not_boring), "good", rng=rng, precision=1)


def test_a_model_of_the_package_is_imitated():
    model = FakeClassifier(associations={("nurse", "negative"): 9.0, ("doctor", "positive"): 9.0})
    rng = np.random.default_rng(1)
    texts = [" ".join(rng.choice([*FILLER, "nurse", "doctor"], size=6, replace=False)) for _ in range(300)]
    found = surrogate.fit_tree(model, texts, rng=rng)
    assert {"nurse", "doctor"} <= {w for r in found.rules for w in (*r.present, *r.absent)}


# --- anchors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words", "label"),
    [
        ("The film was GOOD, and quiet.", ("good",), "positive"),
        ("a good but boring old film", ("boring",), "negative"),
        ("a long and quiet film", (), "negative"),
    ],
)
def test_a_planted_rule_is_the_anchor(text, words, label):
    found = surrogate.anchor(ByRule(good_but_not_boring), text, rng=np.random.default_rng(0))
    assert set(found.words) == set(words)
    assert found.label == label
    assert found.sure
    assert found.precision[0] == 1


def test_an_anchor_of_two_words():
    both = ByRule(lambda words: {"good", "music"} <= words)
    found = surrogate.anchor(both, "the good film with quiet music", rng=np.random.default_rng(0))
    assert set(found.words) == {"good", "music"}
    assert found.sure


def test_what_no_few_words_hold_is_not_sure():
    many = ByRule(lambda words: len(words) >= 8)
    found = surrogate.anchor(many, "one two three four five six seven eight", rng=np.random.default_rng(0))
    assert not found.sure
    assert len(found.words) == surrogate.MAX_ANCHOR
    assert found.precision[1].high < 0.95


def test_anchors_are_measured_on_other_texts():
    model = ByRule(good_but_not_boring)
    rng = np.random.default_rng(0)
    good = surrogate.anchor(model, "a good old film", rng=rng)
    boring = surrogate.anchor(model, "a good but boring film", rng=rng)
    texts = reviews(200, seed=9)
    (_, n_good, of_good), (_, n_boring, of_boring) = surrogate.anchor_fidelity(model, [good, boring], texts)
    assert n_good == sum("good" in t.split() for t in texts)
    # "good" alone does not settle other texts: in about half of them "boring" stands too
    assert 0.5 in of_good
    assert n_boring == sum("boring" in t.split() for t in texts)
    assert of_boring.high == 1
    ((_, none, interval),) = surrogate.anchor_fidelity(model, [good], ["nothing here"])
    assert (none, interval) == (0, None)


def test_one_question_for_each_distinct_variant():
    model = ByRule(good_but_not_boring)
    surrogate.anchor(model, "good film here", rng=np.random.default_rng(0))
    assert model.asked <= 1 + 2 * 2**3
