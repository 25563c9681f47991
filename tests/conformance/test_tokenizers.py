"""Every kind of tokenizer, under a masked and a causal model: equal to transformers alone, one text at a time."""

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel

from auditkit.errors import InputError, ModelError, VocabularyError
from auditkit.explain.targets import Filler, ask
from auditkit.models.causal_lm import CausalLM
from auditkit.models.loading import load_model
from auditkit.models.masked_lm import MaskedLM
from auditkit.models.masking import slots
from auditkit.probes.likelihood import continuation_logprobs, sentence_logprobs
from auditkit.probes.pair_scores import within_word_queries
from tests.conformance.tokenizers import CONTEXT, KINDS, PythonWords

TEXTS = (
    "The nurse said that she left.",
    "the doctor, and her 漢 cafe\u0301",
    "he\r\nwas \u200f\u05e9\u05dc\u05d5\u05dd \x00 old",
)
BEFORE, AFTER = "The nurse said that ", " was tired."
WITHOUT_WORDS = ("Metaspace Unigram", "characters", "Python bytes")
"""Kinds in whose vocabulary no pronoun is one token, its space included."""

tokenizers = pytest.mark.parametrize("kind", KINDS)


def masked(kind, **options):
    tokenizer = KINDS[kind](True)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=max(tokenizer.get_vocab().values()) + 1, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=CONTEXT, initializer_range=0.5, **options,
    )  # fmt: skip
    return MaskedLM(BertForMaskedLM(config).double(), tokenizer, name=kind)


def causal(kind):
    tokenizer = KINDS[kind](False)
    torch.manual_seed(0)
    size = max(tokenizer.get_vocab().values()) + 1
    config = GPT2Config(
        vocab_size=size, n_embd=16, n_layer=1, n_head=2, n_positions=CONTEXT, initializer_range=0.5,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    return CausalLM(GPT2LMHeadModel(config).double(), tokenizer, name=kind)


# --- the reference: transformers alone ---------------------------------------------------------------------------


@torch.no_grad()
def log_p(module, ids, position, token):
    logits = module(torch.tensor([ids])).logits[0, position]
    return float(logits.log_softmax(-1)[token])


def pseudo_log_likelihood(module, tokenizer, text):
    ids, plain = (tokenizer(text, add_special_tokens=special)["input_ids"] for special in (True, False))
    start = next(i for i in range(len(ids)) if ids[i : i + len(plain)] == plain)
    places = range(start, start + len(plain))
    return sum(log_p(module, [*ids[:i], tokenizer.mask_token_id, *ids[i + 1 :]], i, ids[i]) for i in places)


def log_likelihood(module, tokenizer, text):
    start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    ids = [*start, *tokenizer(text, add_special_tokens=False)["input_ids"]]
    return sum(log_p(module, ids[:i], i - 1, ids[i]) for i in range(1, len(ids)))


def pronouns(module, tokenizer):
    """log p(she) - log p(he): the one place where the two filled sentences differ; None where it is not one place."""
    she, he = (tokenizer(BEFORE + word + AFTER)["input_ids"] for word in ("she", "he"))
    places = [i for i, (a, b) in enumerate(zip(she, he, strict=False)) if a != b]
    if len(she) != len(he) or len(places) != 1:
        return None
    (at,) = places
    ids = [*she[:at], tokenizer.mask_token_id, *she[at + 1 :]]
    return log_p(module, ids, at, she[at]) - log_p(module, ids, at, he[at])


# --- scores ------------------------------------------------------------------------------------------------------


@tokenizers
def test_a_masked_model_scores_texts_as_transformers_alone(kind):
    model = masked(kind)
    expected = [pseudo_log_likelihood(model.module, model.tokenizer, text) for text in TEXTS]
    assert sentence_logprobs(model, TEXTS) == pytest.approx(expected, abs=1e-5)


@tokenizers
def test_a_causal_model_scores_texts_as_transformers_alone(kind):
    model = causal(kind)
    expected = [log_likelihood(model.module, model.tokenizer, text) for text in TEXTS]
    assert sentence_logprobs(model, TEXTS) == pytest.approx(expected, abs=1e-5)
    prefix = "The nurse said that"
    of_prefix = log_likelihood(model.module, model.tokenizer, prefix)
    follows = [log_likelihood(model.module, model.tokenizer, f"{prefix} {w}") - of_prefix for w in ("she", "he")]
    assert model.next_token_logprobs([prefix], ["she", "he"])[0] == pytest.approx(follows, abs=1e-5)
    assert continuation_logprobs(model, [prefix], [" she"]).total == pytest.approx(follows[:1], abs=1e-5)


@tokenizers
def test_a_mask_stands_where_the_word_stood(kind):
    model = masked(kind)
    expected = pronouns(model.module, model.tokenizer)
    text = BEFORE + model.mask_token + AFTER
    (slot,) = slots(model, [BEFORE], ["she", "he"], [AFTER])
    (encoded,) = model.encode([text])
    assert (encoded.ids == model.mask_id).sum() == 1
    assert text[slice(*encoded.offsets[encoded.ids.tolist().index(model.mask_id)])] == model.mask_token
    if kind in WITHOUT_WORDS:
        assert None in slot.targets
        assert model.word_id("she") is None or model.word_id("he") is None
        with pytest.raises(VocabularyError, match="is not one token"):
            ask(model, [text], Filler("she", versus="he"))
        return
    assert encoded.ids.tolist() == list(slot.ids)
    assert slot.targets == (model.word_id("she"), model.word_id("he"))
    found = [log_p(model.module, list(slot.ids), slot.position, target) for target in slot.targets]
    assert found[0] - found[1] == pytest.approx(expected, abs=1e-5)
    (question,) = ask(model, [text], Filler("she", versus="he"))
    assert question.branches[0].ids.tolist() == list(slot.ids)
    assert question.branches[0].targets.tolist() == list(slot.targets)


@tokenizers
def test_what_is_filled_in_is_written_as_words_are(kind):
    model = masked(kind)
    text = f"The {model.mask_token} said that {model.mask_token} left."
    ids = model.encode([text])[0].ids
    assert (ids == model.mask_id).sum() == 2
    (fills,) = model.fill([text], k=2)
    for fill in fills:
        assert fill.text.startswith("The")
        assert fill.text.endswith(" left.")
        assert model.mask_token not in fill.text


# --- words -------------------------------------------------------------------------------------------------------

WORDS = {
    "punctuation": ("The nurse saw her.", ["The", "nurse", "saw", "her", "."]),
    "an apostrophe": ("she said, don't", ["she", "said", ",", "don", "'", "t"]),
    "a combining mark": ("the cafe\u0301 was old", ["the", "cafe\u0301", "was", "old"]),
    "an emoji of several characters": ("she 👩\u200d⚕\ufe0f left", ["she", "👩\u200d⚕\ufe0f", "left"]),
    "right to left": ("he said \u05e9\u05dc\u05d5\u05dd.", ["he", "said", "\u05e9\u05dc\u05d5\u05dd", "."]),
    "line ends": ("he\r\nsaid\nthat", ["he", "said", "that"]),
}


@tokenizers
@pytest.mark.parametrize("case", WORDS)
def test_words_are_found_by_where_tokens_stand(kind, case):
    text, expected = WORDS[case]
    (encoded,) = masked(kind).encode([text])
    spans = {}
    for word, (start, end) in zip(encoded.word.tolist(), encoded.offsets.tolist(), strict=True):
        first, last = spans.get(word, (start, end))
        spans[word] = min(first, start), max(last, end)
    assert (encoded.word == -1).tolist() == encoded.special.tolist()
    found = [text[a:b].strip() for word, (a, b) in spans.items() if word >= 0]
    # A tokenizer may drop marks and variation selectors.
    seen = [w.strip("\u0301\ufe0f") if f != w else w for f, w in zip(found, expected, strict=True)]
    assert found == seen


def test_the_later_pieces_of_a_word_are_masked_with_it_whatever_the_tokenizer_calls_a_word():
    """A byte-fallback tokenizer takes the whole text for one word."""
    model = masked("byte fallback")
    (encoded,) = model.encode(["the doctors left."])
    names = model.tokenizer.convert_ids_to_tokens(encoded.ids.tolist())
    start = names.index("▁doctor")
    (query,) = [q for q in within_word_queries(encoded, model.mask_id) if q.position == start]
    hidden = np.flatnonzero(np.array(query.ids) == model.mask_id).tolist()
    assert [names[i] for i in hidden] == ["▁doctor", "s"]


# --- what is refused ---------------------------------------------------------------------------------------------


class Unspellable(PythonWords):
    """As those that look words up in a dictionary of roots: its tokens are not in the text."""

    def _tokenize(self, text, **_):
        return ["the" for _ in text.split()]


@pytest.mark.parametrize(("adapter", "build"), [(MaskedLM, masked), (CausalLM, causal)], ids=["masked", "causal"])
def test_a_python_tokenizer_whose_tokens_do_not_spell_the_text_is_refused_at_load(adapter, build):
    with pytest.raises(ModelError, match=r"odd: the tokenizer \(Unspellable\) gives no offsets, and its tokens do not"):
        adapter(build("Python only").module, Unspellable(mask_token="<mask>"), name="odd")


@tokenizers
def test_half_of_a_surrogate_pair_is_refused(kind):
    model = masked(kind)
    with pytest.raises(InputError, match=r"text 1 .* is not valid Unicode at character 4: half of a surrogate pair"):
        model.encode(["he left", "she \ud83d left"])


@pytest.mark.parametrize("kind", ["WordPiece", "Python only"])
def test_an_added_token_without_a_row_is_refused(kind, tmp_path):
    model = masked(kind)
    model.tokenizer.add_tokens(["zaxy"])
    with pytest.raises(ModelError, match=r"^odd: the tokenizer writes ids up to \d+, but the model has .* \(zaxy\)"):
        MaskedLM(model.module, model.tokenizer, name="odd")
    if model.tokenizer.is_fast:
        model.save(tmp_path / "odd")
        with pytest.raises(ModelError, match="1 tokens have none"):
            load_model(str(tmp_path / "odd"))


def test_a_config_that_lies_about_the_vocabulary_is_refused(tmp_path):
    folder = masked("WordPiece").save(tmp_path / "odd")
    said = (folder / "config.json").read_text()
    (folder / "config.json").write_text(said.replace('"vocab_size": ', '"vocab_size": 1'))
    with pytest.raises(ModelError, match=r"says vocab_size: 1,\d+, but .*embeddings.weight .* has \d+ rows; expected"):
        load_model(str(folder))


@tokenizers
def test_long_texts_are_cut_between_the_special_tokens(kind):
    model = masked(kind)
    (encoded,) = model.encode(["she said that he left, " * 20])
    (short,) = model.encode(["she"])
    assert len(encoded.ids) == CONTEXT
    assert encoded.ids[encoded.special].tolist() == short.ids[short.special].tolist()
    assert model.notices == {f"texts truncated to {CONTEXT} tokens": 1}
