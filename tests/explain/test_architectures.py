"""Exact on every architecture: the number explained is the adapter's own, and the values add up to its change."""

import numpy as np
import pytest
import transformers

from auditkit.explain import Continuation, Filler, attribute
from auditkit.models.causal_lm import CausalLM
from auditkit.models.masked_lm import MaskedLM
from auditkit.models.protocols import MaskQuery
from tests.models.conftest import CAUSAL, CONTEXT, MASKED, build, byte_tokenizer, word_piece_tokenizer

TEXTS = ["the [MASK] said that she was tired .", "the [MASK] was old", "[MASK] are good at mathematics and work ."]


@pytest.mark.parametrize("name", MASKED)
def test_masked_language_models(name):
    config_class, options = MASKED[name]
    words = word_piece_tokenizer()
    config = config_class(**{"max_position_embeddings": CONTEXT, **options}, vocab_size=len(words))
    model = MaskedLM(build(transformers.AutoModelForMaskedLM, config), words, name=name)
    found = attribute(model, TEXTS, target=Filler("nurse", versus="doctor"))
    targets = (model.word_id("nurse"), model.word_id("doctor"))
    for item, encoded in zip(found, model.encode(TEXTS), strict=True):
        ids = tuple(encoded.ids.tolist())
        a, b = model.masked_logprobs([MaskQuery(ids, ids.index(model.mask_id), targets)])[0]
        assert item.value == pytest.approx(a - b, abs=1e-4)
        assert item.error < 0.01
        assert np.abs(item.values).max() > 1e-3  # something depends on the words
    _same_in_any_batch(model, TEXTS, Filler("nurse", versus="doctor"))


@pytest.mark.parametrize("name", CAUSAL)
def test_causal_language_models(name):
    config_class, options = CAUSAL[name]
    words = byte_tokenizer()
    config = config_class(**options, vocab_size=len(words), bos_token_id=0, eos_token_id=1, pad_token_id=1)
    model = CausalLM(build(transformers.AutoModelForCausalLM, config), words, name=name)
    texts = ["the nurse said that", "the doctor", "women and men are good at"]
    found = attribute(model, texts, target=Continuation(" she was tired"))
    for item, text in zip(found, texts, strict=True):
        scores = model.token_logprobs([text + " she was tired"])[0]
        assert item.value == pytest.approx(scores.logprobs[scores.offsets[:, 1] > len(text)].sum(), abs=1e-3)
        assert item.error < 0.01
        assert np.abs(item.values).max() > 1e-3
    _same_in_any_batch(model, texts, Continuation(" she was tired"))


def _same_in_any_batch(model, texts, target):
    together = attribute(model, texts, target=target, method="occlusion")
    for item, text in zip(together, texts, strict=True):
        [alone] = attribute(model, [text], target=target, method="occlusion")
        assert item.values == pytest.approx(alone.values, abs=1e-4 * max(1.0, float(np.abs(alone.values).max())))
