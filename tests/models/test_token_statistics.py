"""Token statistics of every kind of language model against the definition, and whatever they are batched with."""

import numpy as np
import pytest
import torch

from auditkit.models import token_statistics
from auditkit.models.causal_lm import CausalLM
from auditkit.models.char_gpt import CharGPT
from auditkit.models.char_transformer import ALPHABET, CharGPTConfig, CharTransformer
from auditkit.models.masked_lm import MaskedLM
from auditkit.models.protocols import PredictsTokens
from auditkit.models.token_statistics import statistics

TEXTS = ["the nurse said that she was tired .", "the nurse said that he was old .", "women are good at work .", "a b"]


def expected(logits, tokens):
    """(T, 3) by the definition, in float64: log p, its mean, its deviation."""
    logp = logits.double().log_softmax(-1)
    p = logp.exp()
    mean = (p * logp).sum(-1)
    deviation = ((p * logp**2).sum(-1) - mean**2).clamp(min=0).sqrt()
    return torch.stack([logp[torch.arange(len(tokens)), tokens], mean, deviation], 1).numpy()


def table(found):
    return np.stack([found.logprobs, found.means, found.stds], 1)


def test_two_outcomes_by_hand():
    """p = (3/4, 1/4): mean = 3/4 log 3/4 + 1/4 log 1/4, deviation = sqrt(3)/4 log 3."""
    row = torch.log(torch.tensor([[0.75, 0.25]], dtype=torch.float64))
    mean = 0.75 * np.log(0.75) + 0.25 * np.log(0.25)
    assert statistics(row, torch.tensor([1])).tolist() == [
        pytest.approx([np.log(0.25), mean, np.sqrt(3) / 4 * np.log(3)])
    ]


def test_certainty_has_no_deviation_and_no_nan():
    found = statistics(torch.tensor([[200.0, 0.0, 0.0]]), torch.tensor([0]))
    assert found.tolist() == [[0.0, 0.0, 0.0]]


def test_blocks_change_nothing(monkeypatch):
    logits, tokens = torch.randn(37, 11, dtype=torch.float64), torch.arange(37) % 11
    whole = statistics(logits, tokens)
    monkeypatch.setitem(token_statistics.CELLS, "cpu", 40)
    assert np.array_equal(statistics(logits, tokens), whole)
    assert statistics(logits[:0], tokens[:0]).shape == (0, 3)


def test_causal_models(causal_module):
    model = CausalLM(*causal_module, name="tiny")
    assert isinstance(model, PredictsTokens)
    for text, found, scores in zip(TEXTS, model.token_statistics(TEXTS), model.token_logprobs(TEXTS), strict=True):
        ids = torch.tensor([model.tokenizer.bos_token_id, *model.tokenizer(text)["input_ids"]])
        with torch.no_grad():
            logits = model.module(ids[None]).logits[0, :-1]
        np.testing.assert_allclose(table(found), expected(logits, ids[1:]), atol=2e-4)
        np.testing.assert_allclose(found.logprobs, scores.logprobs, atol=1e-5)
        assert found.ids.tolist() == ids[1:].tolist()


def test_masked_models(masked_module):
    model = MaskedLM(*masked_module, name="tiny")
    for text, found in zip(TEXTS, model.token_statistics(TEXTS), strict=True):
        ids = torch.tensor(model.tokenizer(text)["input_ids"])
        rows = []
        for at in range(1, len(ids) - 1):
            masked = ids.clone()
            masked[at] = model.mask_id
            with torch.no_grad():
                rows.append(expected(model.module(masked[None]).logits[0, at][None], ids[at][None])[0])
        np.testing.assert_allclose(table(found), rows, atol=2e-4)


def test_texts_that_differ_in_the_masked_word_only_do_not_share_its_statistics(masked_module):
    model = MaskedLM(*masked_module, name="tiny")
    she, he = model.token_statistics(["she is old", "he is old"])
    assert she.means[0] == pytest.approx(he.means[0], abs=1e-6)
    assert she.logprobs[0] != pytest.approx(he.logprobs[0], abs=1e-3)


@pytest.fixture
def char_gpt():
    torch.manual_seed(0)
    config = CharGPTConfig(
        vocabulary="\n" + ALPHABET, hidden=16, layers=1, heads=2, context=24, causal=True, positions=True, scaled=True,
        pre_norm=True,
    )  # fmt: skip
    return CharTransformer(config)


def test_the_char_gpt(char_gpt):
    model = CharGPT(char_gpt)
    for text, found in zip(TEXTS, model.token_statistics(TEXTS), strict=True):
        ids = torch.tensor([0, *model.tokenizer.encode(text[:24])[0]])
        with torch.no_grad():
            logits = char_gpt.double()(ids[None, :-1])[0]
        char_gpt.float()
        np.testing.assert_allclose(table(found), expected(logits, ids[1:]), atol=1e-9)
    assert model.notices == {"texts truncated to 24 characters": 2, "characters outside the vocabulary read as ' '": 1}


def test_the_batch_changes_nothing(char_gpt, causal_module):
    for model, tolerance in ((CharGPT(char_gpt), 1e-12), (CausalLM(*causal_module, name="tiny"), 1e-4)):
        together = model.token_statistics([*TEXTS, ""])
        for text, found in zip([*TEXTS, ""], together, strict=True):
            np.testing.assert_allclose(table(found), table(model.token_statistics([text])[0]), atol=tolerance)


def test_nothing_to_predict_gives_empty_statistics(causal_module, masked_module):
    for model in (CausalLM(*causal_module, name="tiny"), MaskedLM(*masked_module, name="tiny")):
        assert table(model.token_statistics([""])[0]).shape == (0, 3)
        assert model.token_statistics([]) == []
