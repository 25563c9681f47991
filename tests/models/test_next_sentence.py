"""The adapter of next-sentence heads, against transformers alone, one pair of texts at a time."""

import json

import numpy as np
import pytest
import torch
import transformers
from tokenizers import processors

from auditkit.errors import InputError, ModelError
from auditkit.models import load_model
from auditkit.models.next_sentence import NextSentence
from auditkit.models.protocols import FillsMask, HasModule, JudgesNextSentence
from auditkit.testing import check_model
from tests.conformance.tokenizers import word_piece

from .conftest import SMALL, build

CONTEXTS = ("She was old.", "The nurse said that she was tired.", "He left.", "Women and men are good at work", "She")
SENTENCES = ("He left.", "Yesterday he bought some bread; she bought milk, and left.", "She was tired.", "Men", "")
HEADS = {
    "bert": {},
    "megatron-bert": {},
    "ernie": {},
    "fnet": {},
    "mobilebert": {"embedding_size": 16, "intra_bottleneck_size": 32, "true_hidden_size": 32},
}


def pair_tokenizer():
    tokenizer = word_piece(True)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def module(auto_class, tokenizer, kind="bert"):
    size = {**SMALL, **HEADS[kind], "max_position_embeddings": 64}
    config = transformers.AutoConfig.for_model(kind, **size, vocab_size=len(tokenizer))
    return build(auto_class, config)


def next_sentence(kind="bert"):
    """The adapter over a tiny model, in float64."""
    tokenizer = pair_tokenizer()
    head = module(transformers.AutoModelForNextSentencePrediction, tokenizer, kind)
    return NextSentence(head.double(), tokenizer, name="tiny")


@pytest.mark.parametrize("kind", HEADS)
def test_pairs_in_ragged_batches_are_read_as_one_at_a_time(kind):
    model = next_sentence(kind)
    found = model.next_sentence_logprobs(CONTEXTS, SENTENCES)
    for context, sentence, logprob in zip(CONTEXTS, SENTENCES, found, strict=True):
        inputs = model.tokenizer(context, sentence, return_token_type_ids=True, return_tensors="pt")
        with torch.no_grad():
            expected = (
                model.module(inputs["input_ids"], token_type_ids=inputs["token_type_ids"]).logits[0].log_softmax(-1)
            )
        assert logprob == pytest.approx(float(expected[0]), abs=1e-5), (context, sentence)
    assert np.ptp(found) > 0.01


def test_which_text_is_the_second_matters():
    one, other = next_sentence().next_sentence_logprobs(["She was old.", "He left."], ["He left.", "She was old."])
    assert abs(one - other) > 1e-3


def test_a_tokenizer_that_marks_no_border_is_refused():
    tokenizer = word_piece(True)  # knows how to frame one text
    with pytest.raises(ModelError, match="marks no border between two texts"):
        NextSentence(module(transformers.AutoModelForNextSentencePrediction, tokenizer), tokenizer, name="tiny")


@pytest.mark.parametrize("auto_class", ["AutoModelForNextSentencePrediction", "AutoModelForPreTraining"])
def test_a_module_in_memory_is_read_by_its_next_sentence_head(auto_class):
    tokenizer = pair_tokenizer()
    given = module(getattr(transformers, auto_class), tokenizer)
    model = load_model(given, tokenizer=tokenizer, task="next-sentence")
    inputs = tokenizer(CONTEXTS[0], SENTENCES[0], return_token_type_ids=True, return_tensors="pt")
    with torch.no_grad():
        output = given(**inputs)
    expected = output.get("seq_relationship_logits", output.get("logits"))[0].log_softmax(-1)[0]
    found = model.next_sentence_logprobs(CONTEXTS, SENTENCES)
    assert found[0] == pytest.approx(float(expected), abs=1e-5)


def test_a_module_without_such_a_head_is_refused():
    tokenizer = pair_tokenizer()
    with pytest.raises(ModelError, match="a BertForMaskedLM says nothing of what follows what"):
        load_model(module(transformers.AutoModelForMaskedLM, tokenizer), tokenizer=tokenizer, task="next-sentence")


def test_it_conforms_and_fills_no_masks():
    model = next_sentence()
    check_model(model)
    assert isinstance(model, JudgesNextSentence)
    assert isinstance(model, HasModule)
    assert not isinstance(model, FillsMask)


def test_what_is_too_long_is_not_read_but_counted():
    model = next_sentence()
    found = model.next_sentence_logprobs(["He went home . " * 30, "He left."], ["She was old."] * 2)
    assert np.isnan(found).tolist() == [True, False]
    assert model.notices == {"pairs of texts longer than 64 tokens, not read": 1}
    assert np.isnan(model.next_sentence_logprobs(["He left."], ["She was old. " * 30])).all()
    with pytest.raises(InputError, match="half of a surrogate pair"):
        model.next_sentence_logprobs(["He left."], ["\ud800"])


def test_a_next_sentence_head_is_loaded_from_where_bert_keeps_it(tmp_path):
    tokenizer = pair_tokenizer()
    both = module(transformers.AutoModelForPreTraining, tokenizer)
    both.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for named in ("BertForPreTraining", "BertForMaskedLM", "BertForNextSentencePrediction"):  # as files of BERT say
        (tmp_path / "config.json").write_text(json.dumps({**config, "architectures": [named]}))
        model = load_model(str(tmp_path), task="next-sentence", device="cpu")
        inputs = model.tokenizer("She was old.", "He left.", return_token_type_ids=True, return_tensors="pt")
        with torch.no_grad():
            expected = both(**inputs).seq_relationship_logits[0].log_softmax(-1)[0]
        assert model.next_sentence_logprobs(["She was old."], ["He left."])[0] == pytest.approx(
            float(expected), abs=1e-5
        )
    assert load_model(str(tmp_path), device="cpu").describe()["task"] == "next-sentence"
    assert isinstance(model, JudgesNextSentence)
    check_model(model)


def test_a_head_that_is_not_in_the_checkpoint_is_not_made_up(tmp_path):
    tokenizer = pair_tokenizer()
    module(transformers.AutoModelForMaskedLM, tokenizer).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="does not fill"):
        load_model(str(tmp_path), task="next-sentence", device="cpu")
