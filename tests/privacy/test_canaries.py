"""Canaries: spaces that can be counted, fair coins, exact insertion, and refusals."""

import json
import math
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from auditkit.errors import DataError, VocabularyError
from auditkit.models.char_gpt import CharGPT
from auditkit.models.char_transformer import CharGPTConfig, CharTransformer
from auditkit.privacy import canaries as planted

CONTEXT = "my national id is "
PIN = planted.chosen_format("##", context=CONTEXT)
TEXTS = [f"text {i}" for i in range(50)]


@pytest.mark.parametrize(
    ("space", "size"),
    [
        (planted.characters(3, alphabet="abcd", context=CONTEXT), 4**3),
        (planted.words(2, ["red", "green", "blue"], context=CONTEXT), 3**2),
        (planted.rare_words(2, ["a b b c c c", "d 7"], context=CONTEXT, rarest=2), 2**2),
        (planted.chosen_format("#-@", context=CONTEXT), 260),
        (planted.chosen_format("###-##-####", context=CONTEXT), 10**9),
    ],
)
def test_the_size_of_a_space_is_its_number_of_candidates(space, size):
    assert space.size == size
    assert space.bits == pytest.approx(math.log2(size))
    if size < 1000:
        listed = list(space.candidates())
        assert len(set(listed)) == len(listed) == size
        assert all(candidate in space for candidate in listed)
        assert set(space.sample(50 * size, np.random.default_rng(0))) == set(listed)


def test_rare_words_are_the_rarest_of_the_texts():
    space = planted.rare_words(2, ["the the the cat cat dog", "bird the 77"], context=CONTEXT, rarest=2)
    assert set(space.candidates()) == {"bird bird", "bird dog", "dog bird", "dog dog"}


def test_a_format_is_followed_to_the_letter():
    space = planted.chosen_format("###-##-####", context=CONTEXT)
    assert "123-45-6789" in space
    assert not any(wrong in space for wrong in ("123-45-678", "123-45-67890", "12a-45-6789", "123 45 6789"))


def test_candidates_are_drawn_uniformly():
    drawn = Counter(PIN.sample(20_000, np.random.default_rng(0)))
    assert len(drawn) == 100
    assert stats.chisquare(list(drawn.values())).pvalue > 0.001


def test_canaries_are_different_and_their_coins_fair():
    canaries = planted.draw([planted.chosen_format("######", context=CONTEXT)], 2000, seed=0).canaries
    assert len({c.secret for c in canaries}) == 2000
    assert stats.binomtest(sum(c.inserted for c in canaries), 2000).pvalue > 0.001


def test_a_whole_small_space_can_be_drawn():
    assert {c.secret for c in planted.draw([PIN], 100, seed=0).canaries} == set(PIN.candidates())


def test_the_seed_decides_everything():
    first, again, other = (planted.draw([PIN], 30, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert planted.insert(TEXTS, first, seed=5) == planted.insert(TEXTS, again, seed=5)
    assert planted.insert(TEXTS, first, seed=5) != planted.insert(TEXTS, first, seed=6)


def test_inserted_canaries_stand_in_the_texts_as_often_as_they_say_and_the_others_not_at_all():
    canaries = planted.draw([PIN, planted.characters(6, context="code ")], 20, repetitions=3, seed=4)
    texts = planted.insert(TEXTS, canaries, seed=0)
    inside, outside = ([c for c in canaries.canaries if c.inserted is side] for side in (True, False))
    assert inside
    assert outside
    counted = Counter(texts)
    assert all(counted[canaries.text(c)] == 3 for c in inside)
    assert all(canaries.text(c) not in counted for c in outside)
    assert [t for t in texts if t in TEXTS] == TEXTS
    assert len(texts) == len(TEXTS) + 3 * len(inside)


def test_canaries_are_spread_over_the_texts():
    canaries = planted.draw([PIN], 100, repetitions=4, seed=0)
    texts = planted.insert(["x"] * 800, canaries, seed=0)
    places = np.flatnonzero([t != "x" for t in texts]) / len(texts)
    assert stats.kstest(places, "uniform").pvalue > 0.001


def test_a_file_gives_back_what_was_saved(tmp_path):
    canaries = planted.draw([PIN, planted.words(5, ["rouge", "été"], context="Mot: ")], 20, seed=1)
    path = planted.save(canaries, tmp_path / "canaries.json")
    assert planted.load(path) == canaries


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["canaries"].clear(), "0 canaries; expected at least 20"),
        (lambda d: d.update(schema=9), "schema 9; this version reads schema 1"),
        (lambda d: d["canaries"][0].update(secret="1x"), "the secret of format-0 is none of its candidates"),
        (lambda d: d["canaries"][0].update(kind="other"), "is not a file of canaries"),
        (lambda d: d.pop("spaces"), "is not a file of canaries"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, change, message):
    path = planted.save(planted.draw([PIN], 20, seed=1), tmp_path / "canaries.json")
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(DataError, match=message):
        planted.load(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"canaries\.save writes one"):
        planted.load(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: planted.draw([PIN], 19, seed=0), "19 canaries; expected at least 20"),
        (lambda: planted.draw([PIN], 101, seed=0), "101 canaries of kind 'format', which has 100 candidates"),
        (lambda: planted.draw([PIN, PIN], 20, seed=0), "give each a kind of its own"),
        (lambda: planted.draw([PIN], 20, repetitions=0, seed=0), "repetitions 0; expected at least 1"),
        (lambda: planted.chosen_format("##", context=" "), "no context"),
        (lambda: planted.chosen_format("fixed", context=CONTEXT), r"1 candidate\(s\)"),
        (lambda: planted.characters(3, alphabet="aab", context=CONTEXT), "expected different choices"),
        (lambda: planted.words(2, ["ice cream", "tea"], context=CONTEXT), "word 'ice cream'; expected words without"),
        (lambda: planted.chosen_format("##", context=CONTEXT, kind="a/b"), "expected a name without '/'"),
    ],
)
def test_what_could_prove_nothing_is_refused(make, message):
    with pytest.raises(DataError, match=message):
        make()


# --- vocabulary -------------------------------------------------------------------------------------------------


def char_gpt(vocabulary):
    config = CharGPTConfig(
        vocabulary=vocabulary, hidden=8, layers=1, heads=1, context=32, causal=True, positions=True, scaled=True,
        pre_norm=True,
    )  # fmt: skip
    return CharGPT(CharTransformer(config))


def test_a_char_gpt_must_have_every_symbol():
    canaries = planted.draw([PIN], 20, seed=0)
    planted.refuse_inexpressible(canaries, char_gpt("abcdefghijklmnopqrstuvwxyz 0123456789"))
    with pytest.raises(VocabularyError, match=r"kind 'format': the vocabulary of char-gpt cannot express '8', '9'"):
        planted.refuse_inexpressible(canaries, char_gpt("abcdefghijklmnopqrstuvwxyz 01234567"))
    with pytest.raises(VocabularyError, match="cannot express 'national'"):
        planted.refuse_inexpressible(canaries, char_gpt("bcdefghijklmnopqrstuvwxyz 0123456789"))


def test_a_word_piece_model_must_tell_the_choices_apart():
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    vocabulary = {w: i for i, w in enumerate(("[UNK]", "code", "red", "green", "blue"))}
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.normalizer = tokenizers.normalizers.Lowercase()
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()

    class Model:
        name = "word-level"
        tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]")

    def canaries(*vocabulary):
        return planted.draw([planted.words(5, vocabulary, context="code ")], 20, seed=0)

    planted.refuse_inexpressible(canaries("red", "green", "blue"), Model())
    with pytest.raises(VocabularyError, match="cannot express 'mauve'"):
        planted.refuse_inexpressible(canaries("red", "mauve"), Model())
    with pytest.raises(VocabularyError, match="cannot express 'RED', 'red', or not as something different"):
        planted.refuse_inexpressible(canaries("red", "RED", "green"), Model())
