"""Verbatim extraction: 100 % of what was memorised, nothing of what was not; texts cut where they should be."""

import numpy as np
import pytest

from auditkit.errors import DataError
from auditkit.models.char_gpt import CharGPT
from auditkit.models.char_gpt_training import train
from auditkit.models.char_transformer import CharGPTConfig, CharTransformer
from auditkit.models.protocols import TokenScores
from auditkit.privacy import canaries as planted
from auditkit.privacy.extraction import ContinuesText, Split, completed, split_canaries, split_tokens
from auditkit.testing import FakeCausalLM, FakeMaskedLM

VOCABULARY = "\n abcdefghijklmnopqrstuvwxyz0123456789-"
LINES = ("the cat sees a bird in the tree", "my house is old and the dog likes it", "a man went home because of work")


def config(vocabulary=VOCABULARY):
    return CharGPTConfig(
        vocabulary=vocabulary, hidden=32, layers=2, heads=2, context=64, causal=True, positions=True, scaled=True,
        pre_norm=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def memorised():
    """Has read three lines and nothing else, over and over."""
    text = "\n".join(np.random.default_rng(0).choice(LINES, 120).tolist())
    return train(text, config(), epochs=25, batch_size=8, lr=4e-3, validation=0).model


class Echo:
    """Writes what it is told after each prefix; its tokens are words, each with the space before it."""

    def __init__(self, written=None, start=True):
        self.written, self.start = written or {}, start

    def token_logprobs(self, texts):
        return [self._score(text) for text in texts]

    def _score(self, text):
        ends = [i for i in range(1, len(text) + 1) if i == len(text) or text[i] == " "]
        offsets = np.array(list(zip([0, *ends[:-1]], ends, strict=True)))[0 if self.start else 1 :]
        return TokenScores(np.arange(len(offsets)), np.zeros(len(offsets)), offsets)

    def next_token_logprobs(self, prefixes, words):
        raise NotImplementedError

    def generate(self, texts, max_new_tokens=64):
        self.asked = max_new_tokens
        return [self.written[text] for text in texts]


# --- cutting ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [True, False])
def test_texts_are_cut_between_tokens_by_hand(start):
    texts = [("a", "one two three four five six"), ("b", "one two three four five"), ("c", "one two three")]
    splits = split_tokens(Echo(start=start), texts, prefix_tokens=2, suffix_tokens=3)
    assert splits == [Split("a", "one two", " three four five"), Split("b", "one two", " three four five")]


@pytest.mark.parametrize("vocabulary", [VOCABULARY, VOCABULARY.replace("\n", "")])
def test_the_tokens_of_a_char_gpt_are_characters(vocabulary):
    model = CharGPT(CharTransformer(config(vocabulary)))
    splits = split_tokens(model, [("a", "abcdefg"), ("b", "abcde"), ("c", "abcd")], prefix_tokens=2, suffix_tokens=3)
    assert splits == [Split("a", "ab", "cde"), Split("b", "ab", "cde")]
    assert split_tokens(model, [("a", "abc")], prefix_tokens=1, suffix_tokens=1) == [Split("a", "a", "b")]


def test_a_cut_never_ends_on_a_space():
    model = CharGPT(CharTransformer(config()))
    assert split_tokens(model, [("a", "ab cd")], prefix_tokens=3, suffix_tokens=2) == [Split("a", "ab", " cd")]


def test_canaries_are_cut_inside_the_secret():
    canaries = planted.draw([planted.chosen_format("####", context="id is ")], 20, seed=0)
    (one,) = split_canaries(canaries, canaries.canaries[:1], known=0.5)
    secret = canaries.canaries[0].secret
    assert one == Split("format-0", f"id is {secret[:2]}", secret[2:])
    (none,) = split_canaries(canaries, canaries.canaries[:1], known=0)
    assert none == Split("format-0", "id is", f" {secret}")


# --- completing -------------------------------------------------------------------------------------------------


def test_only_the_whole_suffix_counts():
    model = Echo({"a b": " c d e", "x": " y", "p": " q  r", "s": "t u"})
    splits = [Split("0", "a b", " c d"), Split("1", "x", " y z"), Split("2", "p", " q r"), Split("3", "s", " t u")]
    assert completed(model, splits) == [True, False, False, True]
    assert model.asked == 2  # tokens of the longest suffix
    assert completed(model, []) == []


def test_a_memorised_line_is_completed_from_every_prefix_that_tells_it_from_the_others(memorised):
    for k in (2, 8, 16):
        splits = split_tokens(memorised, [(line, line) for line in LINES], prefix_tokens=k, suffix_tokens=14)
        assert completed(memorised, splits) == [True] * 3


def test_a_line_that_was_never_seen_is_not(memorised):
    unseen = [
        "the dog sees a man in the house",
        "my cat is home and the bird likes it",
        "a tree went old because of it",
    ]
    splits = split_tokens(memorised, [(line, line) for line in unseen], prefix_tokens=8, suffix_tokens=14)
    assert completed(memorised, splits) == [False] * 3
    untrained = memorised.randomized(0)
    splits = split_tokens(untrained, [(line, line) for line in LINES], prefix_tokens=8, suffix_tokens=14)
    assert completed(untrained, splits) == [False] * 3


def test_company_changes_nothing(memorised):
    splits = split_tokens(memorised, [(line, line) for line in LINES], prefix_tokens=8, suffix_tokens=14)
    splits.append(Split("never", "a cat", " on the moon"))
    assert completed(memorised, splits) == [completed(memorised, [one])[0] for one in splits]


def test_the_capability_is_that_of_causal_models():
    assert isinstance(FakeCausalLM(), ContinuesText)
    assert not isinstance(FakeMaskedLM(), ContinuesText)


def test_bad_input_is_refused(memorised):
    with pytest.raises(DataError, match="0 prefix and 3 suffix tokens"):
        split_tokens(memorised, [("a", "abc")], prefix_tokens=0, suffix_tokens=3)
    with pytest.raises(DataError, match="nothing but space before the cut"):
        split_tokens(memorised, [("a", "   abc")], prefix_tokens=2, suffix_tokens=2)
