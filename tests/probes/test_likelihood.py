"""Likelihoods against hand-computed ones."""

import math
from dataclasses import replace

import numpy as np
import pytest

from auditkit.models.masked_lm import MaskedLM
from auditkit.probes.likelihood import continuation_logprobs, sentence_logprobs, spans
from auditkit.testing import FakeCausalLM, FakeMaskedLM
from tests.models.conftest import tiny_bert_masked_lm


class Recording(FakeMaskedLM):
    """Remembers its queries; every token has probability 1/2."""

    def masked_logprobs(self, queries):
        self.queries = list(queries)
        return [np.full(len(q.targets), math.log(0.5)) for q in queries]

    def words(self, ids):
        return [self.vocabulary[i] for i in ids]


class Counting(FakeCausalLM):
    """The n-th token of a text has log-probability -n."""

    def token_logprobs(self, texts):
        scores = super().token_logprobs(texts)
        return [replace(s, logprobs=-np.arange(1.0, len(s.ids) + 1)) for s in scores]


def test_pseudo_log_likelihood_masks_every_ordinary_token_once():
    model = Recording()
    assert sentence_logprobs(model, ["She is old.", "He"]) == pytest.approx([4 * math.log(0.5), math.log(0.5)])
    masked = [model.words(q.ids) for q in model.queries]
    assert masked[0] == ["[CLS]", "[MASK]", "is", "old", ".", "[SEP]"]
    assert masked[3] == ["[CLS]", "she", "is", "old", "[MASK]", "[SEP]"]
    assert [model.vocabulary[q.targets[0]] for q in model.queries] == ["she", "is", "old", ".", "he"]
    assert all(q.ids[q.position] == model.mask_id for q in model.queries)


def test_causal_sentences_are_summed():
    assert sentence_logprobs(Counting(), ["she is old", "he"]).tolist() == [-6.0, -1.0]


def test_masked_continuation_hides_its_own_later_tokens_and_reads_the_ending():
    model = Recording()
    scores = continuation_logprobs(model, ["She is"], [" zzz"], [" man."])
    assert [model.words(q.ids)[3:-1] for q in model.queries] == [
        ["[MASK]", "[MASK]", "[MASK]", "man", "."],
        ["z", "[MASK]", "[MASK]", "man", "."],
        ["z", "##z", "[MASK]", "man", "."],
    ]
    assert scores.total == pytest.approx([3 * math.log(0.5)])
    assert scores.mean == pytest.approx([math.log(0.5)])


def test_causal_continuation_counts_only_its_own_tokens():
    scores = continuation_logprobs(Counting(), ["she is a", ""], [" good nurse", "he"], [" ignored.", ""])
    assert scores.total.tolist() == [-9.0, -1.0]
    assert scores.mean.tolist() == [-4.5, -1.0]


@pytest.mark.parametrize(
    ("before", "inside", "after", "found"),
    [
        ("", "she", " is old.", ["she"]),
        ("she is", " old", "", ["old"]),
        ("she is", " very old", ".", ["very", "old"]),
        ("old", " old", " old", ["old"]),
        ("[MASK] is a", " nurse", ".", ["nurse"]),
    ],
)
def test_spans_finds_the_inside(before, inside, after, found):
    model = FakeMaskedLM()
    ((ids, start, stop),) = spans(model, [before], [inside], [after])
    assert [model.vocabulary[i] for i in ids[start:stop]] == found


@pytest.mark.parametrize("fake", [FakeMaskedLM, FakeCausalLM])
def test_what_is_longer_than_the_model_reads_has_no_score_and_costs_the_others_nothing(fake):
    model, whole = fake(context=6), fake()
    contexts, words = ["she is a good old", "she is a"], [" nurse"] * 2
    cut = continuation_logprobs(model, contexts, words)
    assert np.isnan([cut.total[0], cut.mean[0]]).all()
    assert cut.total[1] == continuation_logprobs(whole, contexts[1:], words[1:]).total[0]
    # Here the last word alone is lost: what is left of the text has a score, which is not the text's.
    texts = ["she is a good nurse", "she is a nurse"]
    short = sentence_logprobs(model, texts)
    assert np.isnan(short[0])
    assert short[1] == sentence_logprobs(whole, texts[1:])[0]


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_none(number):
    class Broken(FakeCausalLM):
        def token_logprobs(self, texts):
            return [
                replace(s, logprobs=s.logprobs + (number if "nurse" in t else 0))
                for s, t in zip(super().token_logprobs(texts), texts, strict=True)
            ]

    assert np.isnan(sentence_logprobs(Broken(), ["the nurse", "the man"])).tolist() == [True, False]
    assert np.isnan(continuation_logprobs(Broken(), ["the", "the"], [" nurse", " man"]).mean).tolist() == [True, False]


def test_a_full_stop_that_is_another_token_when_alone_stays_outside_the_span():
    """SentencePiece-style vocabularies write "▁." for a lone full stop and "." for one behind a word."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = ["<pad>", "<unk>", "<mask>", "▁she", "▁is", "▁a", "▁nurse", ".", "▁."]
    tokenizer = Tokenizer(models.Unigram([(p, -1.0) for p in pieces], unk_id=1))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, mask_token="<mask>", pad_token="<pad>", unk_token="<unk>", model_max_length=40
    )
    model = MaskedLM(tiny_bert_masked_lm()[0], fast, name="unigram")
    ((ids, start, stop),) = spans(model, ["she is a"], [" nurse"], ["."])
    assert [pieces[i] for i in ids[start:stop]] == ["▁nurse"]
