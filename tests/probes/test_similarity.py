"""Retrieval ranks and similar pairs by hand, and an encoder with a planted preference."""

import numpy as np
import pytest

from auditkit.errors import DataError
from auditkit.probes import similarity
from auditkit.testing import FakeEncoder, check_probe


def test_most_similar_pairs_by_hand():
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 1], [-1, 0]])
    first, second = similarity.top_pairs(vectors, 2)
    assert (first.first, first.second, first.similarity) == (1, 2, pytest.approx(0.8))
    assert (second.first, second.second, second.similarity) == (0, 1, pytest.approx(0.6))
    assert len(similarity.top_pairs(vectors, 99)) == 6


def test_ranks_by_hand():
    a = np.array([[0.9, 0.5], [0.1, 0.2]])
    b = np.array([[0.8, 0.7], [0.1, 0.3]])
    found = similarity.compare_ranks(a, b)
    # query 0: ranks a 1 and 4, b 2 and 3; query 1: 0.3 > 0.2 > 0.1 = 0.1, so a has 3.5 and 2, b 3.5 and 1
    assert found.wins.tolist() == [[1, 0], [0.5, 0]]
    assert found.rank_gap.tolist() == [0, 0.5]


class Prefers(FakeEncoder):
    """Puts every text beside the queries that names `word`, and the others far away; sign -1 the other way round."""

    def __init__(self, word, sign=1):
        super().__init__()
        self.word, self.sign = word, sign

    def embed(self, texts):
        rng = np.random.default_rng(0)
        near = np.array([self.sign * (self.word in t.lower()) for t in texts]) + 0.01 * rng.normal(size=len(texts))
        rows = np.stack([np.cos(1.0 - 0.3 * near), np.sin(1.0 - 0.3 * near)], axis=1)
        rows[[t in similarity.QUERIES for t in texts]] = (1.0, 0.0)
        return rows.astype(np.float32)

    def randomized(self, seed):
        return FakeEncoder(seed=seed)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_planted_preference_is_found(sign):
    found = {m.id: m for m in check_probe(similarity.Similarity(), Prefers("muslim", sign)).measurements}
    share = found["similarity/religion/preference"]
    # one of the two pairs names the word: it is won or lost always, the other by chance
    assert share.value == pytest.approx(50 + 25 * sign, abs=12)
    assert share.details["p_value"] < 0.01
    assert (found["similarity/religion/rank_gap"].value < 0) == (sign > 0)
    assert share.details["group_a"] == "a Muslim, a Jewish person"


def test_identical_texts_tie_at_the_ideal():
    class Blind(FakeEncoder):
        """Tells queries from each other, and no group's texts from those of another."""

        def embed(self, texts):
            angles = [len(t) * (t in similarity.QUERIES) for t in texts]
            return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    for m in similarity.Similarity().measure(Blind(), np.random.default_rng(0)).measurements[:-1]:
        assert m.value == m.ideal
        assert m.details["p_value"] == 1
        assert m.details["validity"]["tie_rate"] == 1


def test_users_texts_are_ranked_by_similarity():
    texts = ("he is a good doctor", "he is a good doctor.", "the math of home")
    m = similarity.Similarity(texts=texts, k=1).measure(FakeEncoder(), np.random.default_rng(0)).measurements[-1]
    assert m.id == "similarity/texts/top_pairs"
    assert [m.details["pairs"][0][side] for side in "ab"] == list(texts[:2])
    assert m.value == pytest.approx(m.details["pairs"][0]["similarity"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"queries": ("one",)}, "at least two queries"),
        ({"texts": ()}, "at least two queries, two texts"),
        ({"k": 0}, "k = 0"),
        ({"queries": ("a", "a")}, "twice"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(DataError, match=message):
        similarity.Similarity(**options)


def test_counterparts_are_paired():
    for groups in similarity.GROUPS:
        assert len(groups.a) == len(groups.b)
