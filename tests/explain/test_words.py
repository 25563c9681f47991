"""Subwords become words by where they stand in the text, whatever the tokenizer and the script."""

import numpy as np
import pytest
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from auditkit.models.words import sum_over_words, word_of_token
from tests.models.conftest import byte_tokenizer, word_piece_tokenizer

SPACED = [
    ("the unworkables said: she's OK!", ["the", "unworkables", "said", ":", "she's", "OK", "!"]),
    ("well-known  facts", ["well-known", "facts"]),
    ("a naïve Ärztin 42", ["a", "naïve", "Ärztin", "42"]),
    ("врач сказала", ["врач", "сказала"]),
    ("الطبيبة متعبة", ["الطبيبة", "متعبة"]),
    ("डॉक्टर थकी", ["डॉक्टर", "थकी"]),
    ("cafe\u0301 old", ["cafe\u0301", "old"]),
    ("می\u200cروم", ["می\u200cروم"]),
]


def grouped(tokenizer, text):
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    offsets = np.array(encoded["offset_mapping"]).reshape(-1, 2)
    return word_of_token(text, offsets, np.zeros(len(offsets), dtype=bool))


def sentence_piece():
    """With all characters that are needed: neighbouring unknown ones would be one token, and so one word."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    corpus = ["the nurse said that she was tired .", "don't worry, be happy"] * 4
    alphabet = sorted(set("".join(text for text, _ in SPACED).replace(" ", "▁")))
    trainer = trainers.UnigramTrainer(
        vocab_size=200, unk_token="<unk>", special_tokens=["<unk>"], initial_alphabet=alphabet
    )
    tokenizer.train_from_iterator(corpus, trainer)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")


@pytest.mark.parametrize("tokenizer", [byte_tokenizer(), word_piece_tokenizer(), sentence_piece()])
@pytest.mark.parametrize(
    ("text", "words"),
    SPACED,
)
def test_spaced_scripts_give_the_words_as_written(tokenizer, text, words):
    owner, found = grouped(tokenizer, text)
    assert [w for w in found if w.strip()] == words
    assert (np.diff(owner) >= 0).all()


def test_pieces_of_one_character_are_one_word_in_a_script_without_spaces():
    owner, words = grouped(byte_tokenizer(), "医生说")  # each character is three byte-level tokens
    assert words == ("医", "生", "说")
    assert owner.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("emoji", ["👩\u200d⚕\ufe0f", "👍🏽", "🇩🇪"], ids=["joined", "with a skin tone", "a flag"])
def test_an_emoji_of_several_characters_is_one_word(emoji):
    _, words = grouped(byte_tokenizer(), f"the {emoji} said")
    assert [w.strip() for w in words if w.strip()] == ["the", emoji, "said"]


def test_a_token_of_two_characters_keeps_them_together():
    owner, words = word_of_token("医生说", np.array([[0, 2], [2, 3]]), np.zeros(2, dtype=bool))
    assert (owner.tolist(), words) == ([0, 1], ("医生", "说"))


def test_an_emoji_of_several_bytes_is_one_word():
    assert [w for w in grouped(byte_tokenizer(), "ok 🙂 ok")[1] if w.strip()] == ["ok", "🙂", "ok"]


def test_special_tokens_belong_to_no_word():
    owner, words = word_of_token("a b", np.array([[0, 0], [0, 1], [2, 3], [0, 0]]), np.array([1, 0, 0, 1], dtype=bool))
    assert (owner.tolist(), words) == ([-1, 0, 1, -1], ("a", "b"))
    assert sum_over_words(np.array([9.0, 1.0, 2.0, 9.0]), owner, 2).tolist() == [1.0, 2.0]
