"""Embedding inversion: the words come back from the encoder's own vectors, and not from vectors of another encoder."""

import numpy as np
import pytest

from auditkit.errors import DataError
from auditkit.privacy.embedding_inversion import EmbeddingInverter, invert_embeddings, tokens
from auditkit.testing import FakeEncoder

WORDS = (
    *("doctor", "nurse", "engineer", "teacher", "lawyer", "manager", "cook", "artist", "good", "bad", "smart", "lazy"),
    *("kind", "rude", "rich", "poor", "old", "young", "work", "job", "home", "family", "science", "art"),
)


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(0)
    drawn = [" ".join(rng.choice(WORDS, rng.integers(3, 6), replace=False)) for _ in range(430)]
    return list(dict.fromkeys(drawn))


@pytest.fixture(scope="module")
def inverter(texts):
    return EmbeddingInverter.fit(FakeEncoder(), texts[25:])


@pytest.fixture(scope="module")
def measured(inverter, texts):
    embeddings = FakeEncoder().embed(texts[:25])
    return {m.id: m for m in invert_embeddings(inverter, texts[:25], embeddings, rng=np.random.default_rng(0))}


@pytest.mark.parametrize("attack", ["words", "text"])
def test_words_are_recovered_from_embeddings(measured, attack):
    found = measured[f"inversion/{attack}/tokens"]
    assert found.value > 70
    assert found.details["no_access"] < 25
    assert found.details["gain_low"] > 40
    assert found.ideal == found.details["no_access"]
    assert found.n == 25


def test_nothing_is_recovered_from_vectors_that_say_nothing(inverter, texts):
    other = FakeEncoder(seed=9).embed(texts[:25])
    found = {m.id: m for m in invert_embeddings(inverter, texts[:25], other, rng=np.random.default_rng(0))}
    for attack in ("words", "text"):
        recovered = found[f"inversion/{attack}/tokens"]
        assert recovered.details["gain_low"] < 0
        assert recovered.value < 25
        assert found[f"inversion/{attack}/exact"].value == 0


def test_the_search_comes_nearer_than_any_public_text(inverter, texts):
    model = FakeEncoder()
    (target,) = model.embed(texts[:1])
    start = float((inverter.embeddings @ target).max())
    assert float(model.embed([inverter.text(target)])[0] @ target) > start
    assert inverter.text(target, rounds=0) in [" ".join(tokens(t)) for t in inverter.texts]


def test_the_decoder_is_ridge_regression(inverter):
    # Against the normal equations solved with an explicit column of ones for the intercept.
    x = np.hstack([inverter.embeddings.astype(float), np.ones((len(inverter.texts), 1))])
    y = np.array([[*(w in tokens(t) for w in inverter.vocabulary), len(tokens(t))] for t in inverter.texts], float)
    penalty = 1e-4 * len(x) * np.diag([1.0] * (x.shape[1] - 1) + [0.0])
    expected = np.linalg.solve(x.T @ x + penalty, x.T @ y)
    assert inverter.weights == pytest.approx(expected, abs=1e-3)


def test_the_guess_without_access_is_the_most_frequent_words():
    texts = [f"a b word{i}" for i in range(10)] + [f"a word{i} c" for i in range(10, 25)]
    inverter = EmbeddingInverter.fit(FakeEncoder(), texts)
    assert inverter.no_access() == ["a", "c", "b"]


def test_tokens_are_words_without_punctuation():
    assert tokens('She said: "Well, it\'s fine (really)."') == ["she", "said", "well", "it's", "fine", "really"]


def test_bad_input_is_refused(inverter, texts):
    with pytest.raises(DataError, match="19 public texts; expected at least 20"):
        EmbeddingInverter.fit(FakeEncoder(), texts[:19])
    with pytest.raises(DataError, match="1 of the private texts are among the public ones"):
        invert_embeddings(inverter, texts[-1:], FakeEncoder().embed(texts[-1:]), rng=np.random.default_rng(0))
