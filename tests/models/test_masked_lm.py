"""The masked-LM adapter against the plain procedure: one full forward pass per query."""

import numpy as np
import pytest
import torch

from auditkit.errors import InputError, ModelError
from auditkit.models.masked_lm import MaskedLM
from auditkit.models.protocols import FillsMask, HasModule, MaskQuery
from auditkit.testing import check_model

from .conftest import tiny_bert_masked_lm, word_piece_tokenizer

TEXTS = [
    "the nurse said that she was tired .",
    "women are good .",
    "my sister is a good engineer and people like her .",
]


def queries(model, texts):
    """Every ordinary token of every text masked in turn, asking for the token and for two others."""
    out = []
    for text in model.encode(texts):
        for position in np.flatnonzero(~text.special):
            ids = text.ids.copy()
            ids[position] = model.mask_id
            out.append(MaskQuery(tuple(ids.tolist()), int(position), (int(text.ids[position]), 7, 11)))
    return out


@torch.no_grad()
def one_at_a_time(module, query):
    logits = module(torch.tensor([query.ids])).logits[0, query.position]
    return logits.log_softmax(-1)[list(query.targets)].numpy()


def test_batched_queries_equal_one_forward_pass_each(masked_module):
    model = MaskedLM(*masked_module, name="tiny")
    asked = queries(model, TEXTS)
    for query, found in zip(asked, model.masked_logprobs(asked), strict=True):
        np.testing.assert_allclose(found, one_at_a_time(model.module, query), atol=2e-5)


def test_the_module_is_left_as_it_was(masked_module):
    module, tokenizer = masked_module
    ids = torch.tensor([[2, 5, 6, 7, 3]])
    with torch.no_grad():
        before = module(ids).logits
    model = MaskedLM(module, tokenizer, name="tiny")
    model.masked_logprobs(queries(model, TEXTS[:1]))
    with torch.no_grad():
        assert torch.equal(module(ids).logits, before)


def test_every_architecture_keeps_the_contract(masked_module):
    model = MaskedLM(*masked_module, name="tiny")
    assert isinstance(model, FillsMask)
    assert isinstance(model, HasModule)
    if model.module.config.model_type != "deberta-v2":  # its eager attention is its only one
        check_model(model)


def test_the_same_query_twice_gets_the_same_answer_and_different_targets_their_own():
    model = MaskedLM(*tiny_bert_masked_lm(), name="tiny")
    query = queries(model, TEXTS[:1])[2]
    one, two, three = model.masked_logprobs([query, query, query._replace(targets=(11,))])
    assert one.tolist() == two.tolist()
    assert three.tolist() == [one[2]]


def test_targets_sum_to_one_over_the_vocabulary():
    model = MaskedLM(*tiny_bert_masked_lm(), name="tiny")
    query = queries(model, TEXTS[:1])[0]._replace(targets=tuple(range(len(model.tokenizer))))
    assert np.exp(model.masked_logprobs([query])[0]).sum() == pytest.approx(1, abs=1e-5)


def test_unmasked_scores_and_attention_equal_the_plain_model():
    model = MaskedLM(*tiny_bert_masked_lm(), name="tiny")
    before = model.module.config._attn_implementation
    found = model.unmasked_logprobs(TEXTS)
    assert model.module.config._attn_implementation == before
    model.module.set_attn_implementation("eager")
    for text, scores in zip(TEXTS, found, strict=True):
        ids = torch.tensor(model.tokenizer(text)["input_ids"])
        with torch.no_grad():
            output = model.module(ids[None], output_attentions=True)
        logprobs = output.logits[0].log_softmax(-1)[torch.arange(len(ids)), ids]
        attention = torch.cat(output.attentions).mean((0, 1)).mean(0)  # layers and heads, then querying tokens
        np.testing.assert_allclose(scores.logprobs, logprobs[1:-1], atol=2e-5)
        np.testing.assert_allclose(scores.attention, attention[1:-1], atol=2e-5)


def test_filling_two_masks_finds_the_best_pair_of_words():
    model = MaskedLM(*tiny_bert_masked_lm(), name="tiny")
    text = "the [MASK] said that [MASK] was tired ."
    best = model.fill([text], k=3)[0]
    # Exhaustive: the first mask by its own probability, the second given the first.
    encoded = model.encode([text])[0]
    ids, (first, second) = encoded.ids, np.flatnonzero(encoded.ids == model.mask_id)
    everything = tuple(range(len(model.tokenizer)))
    start = model.masked_logprobs([MaskQuery(tuple(ids.tolist()), int(first), everything)])[0]
    joint = []
    for word in everything:
        filled = ids.copy()
        filled[first] = word
        given = model.masked_logprobs([MaskQuery(tuple(filled.tolist()), int(second), everything)])[0]
        joint.append(start[word] + given)
    assert best[0].logprob == pytest.approx(np.max(joint), abs=1e-4)
    assert best[0].logprob >= best[1].logprob >= best[2].logprob
    assert model.mask_token not in best[0].text


def test_the_same_text_may_be_filled_twice():
    model = MaskedLM(*tiny_bert_masked_lm(), name="tiny")
    one, two = model.fill(["the [MASK] was old .", "the [MASK] was old ."], k=2)
    assert one == two


def test_a_text_without_a_mask_cannot_be_filled():
    model = MaskedLM(*tiny_bert_masked_lm(), name="tiny")
    with pytest.raises(InputError, match=r"no \[MASK\] in the first 40 tokens of 'the nurse'"):
        model.fill(["the nurse"])


def test_long_texts_are_cut_and_counted():
    model = MaskedLM(*tiny_bert_masked_lm(), name="tiny")
    encoded = model.encode(["the nurse", "the " * 100, "old " * 60])
    assert [len(e.ids) for e in encoded] == [4, 40, 40]
    assert model.notices == {"texts truncated to 40 tokens": 2}


def test_word_ids_are_for_whole_words_only():
    model = MaskedLM(*tiny_bert_masked_lm(), name="tiny")
    assert model.word_id("nurse") == model.tokenizer.vocab["nurse"]
    assert model.word_id("nursing") is None
    assert model.word_id("漢") is None  # unknown


def test_case_is_found_by_asking():
    module, tokenizer = tiny_bert_masked_lm()
    assert MaskedLM(module, tokenizer, name="uncased").lower_cases
    assert not MaskedLM(module, word_piece_tokenizer(lower=False), name="cased").lower_cases


def test_a_tokenizer_without_a_mask_token_is_refused():
    module, _ = tiny_bert_masked_lm()
    with pytest.raises(ModelError, match="has no mask token"):
        MaskedLM(module, word_piece_tokenizer(mask=None), name="tiny")


def test_the_random_twin_has_other_weights_and_depends_on_the_seed_only():
    model = MaskedLM(*tiny_bert_masked_lm(), name="tiny")
    torch.manual_seed(1)
    one = model.randomized(3)
    torch.manual_seed(2)
    again, other = model.randomized(3), model.randomized(4)
    assert one.weights_sha256 == again.weights_sha256
    assert len({model.weights_sha256, one.weights_sha256, other.weights_sha256}) == 3
