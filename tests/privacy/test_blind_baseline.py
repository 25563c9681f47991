"""The blind baseline: it sees a planted shift between members and non-members, and none in a random split."""

import numpy as np
import pytest

from auditkit.errors import DataError
from auditkit.privacy.blind_baseline import blind_baseline

WORDS = np.array([f"word{i}" for i in range(300)])
ZIPF = 1 / np.arange(1, 301)


def sentences(rng, n, favoured=()):
    """Texts of 12 words with the frequencies of natural language; `favoured` words are ten times as frequent."""
    weights = ZIPF * np.where(np.isin(np.arange(300), favoured), 10, 1)
    return [" ".join(row) for row in rng.choice(WORDS, size=(n, 12), p=weights / weights.sum())]


def test_a_planted_shift_is_flagged_and_named():
    rng = np.random.default_rng(0)
    found = blind_baseline(sentences(rng, 150, favoured=[60]), sentences(rng, 150), rng=rng)
    assert found.beats_chance
    assert found.auc > 0.6
    assert found.telltale[0][0] == "word60"
    assert found.contributions.mean() == pytest.approx(found.auc)


def test_a_random_split_is_not():
    rng = np.random.default_rng(1)
    texts = sentences(rng, 300)
    found = blind_baseline(texts[:150], texts[150:], rng=rng)
    assert not found.beats_chance
    assert 0.5 in found.interval


@pytest.mark.parametrize(
    ("m", "n"),
    [pytest.param(25, 25, marks=pytest.mark.slow), pytest.param(100, 100, marks=pytest.mark.slow), (20, 150)],
)
def test_false_alarms_are_rare(m, n):
    """At most 2.5 % are allowed; without the correction for overlapping folds there are two to five times as many."""
    rng = np.random.default_rng(m + n)
    alarms = sum(blind_baseline(sentences(rng, m), sentences(rng, n), rng=rng).beats_chance for _ in range(120))
    assert alarms <= 6


def test_punctuation_and_single_letters_are_read_too():
    rng = np.random.default_rng(2)
    assert blind_baseline(["a b !"] * 30 + ["a b"] * 10, ["a b"] * 40, rng=rng).beats_chance


def test_the_generator_decides_the_folds():
    texts = sentences(np.random.default_rng(3), 80)
    one, same, other = (
        blind_baseline(texts[:40], texts[40:], rng=np.random.default_rng(seed)).auc for seed in (0, 0, 1)
    )
    assert one == same != other


def test_fewer_texts_than_folds_are_refused():
    with pytest.raises(DataError, match="4 members and 9 non-members; the blind baseline needs 5 of each"):
        blind_baseline(["a"] * 4, ["b"] * 9, rng=np.random.default_rng(0))
