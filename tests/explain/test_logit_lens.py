"""The lens ends at the model's own answer, and shows each layer's own state before."""

import numpy as np
import pytest
import torch

from auditkit.errors import InputError, MissingCapability, VocabularyError
from auditkit.explain.logit_lens import logit_lens
from tests.explain.test_attention import causal, char_gpt, masked, models
from tests.models.conftest import CAUSAL, MASKED
from tests.privacy.tiny_models import sentence_encoder, t5

MASKED_TEXTS = ["the nurse said that [MASK] was tired .", "[MASK] was old ."]


@pytest.mark.parametrize("kind", [k for k in MASKED if k != "albert"])
def test_the_last_layer_of_a_masked_model_answers_as_the_model_does(kind):
    model = masked(kind)
    lens = logit_lens(model, MASKED_TEXTS, ["she", "he"])
    assert lens.logprobs.shape == (2, 3, 2)
    for i, text in enumerate(MASKED_TEXTS):
        (fill,) = model.fill([text], k=1)[0]
        assert lens.best[i][-1] == fill.words[0]
        ids = torch.tensor(model.encode([text])[0].ids)[None]
        with torch.inference_mode():
            row = model.module(input_ids=ids).logits[0, ids[0].tolist().index(model.mask_id)].log_softmax(-1)
        expected = [float(row[model.word_id(w)]) for w in ("she", "he")]
        assert lens.logprobs[i, -1] == pytest.approx(expected, abs=1e-5)
        assert not np.allclose(lens.logprobs[i, 0], expected, atol=1e-3)


@pytest.mark.parametrize("kind", CAUSAL)
def test_the_last_layer_of_a_causal_model_answers_as_the_model_does(kind):
    model = causal(kind)
    texts = ["the nurse said that", "women"]
    lens = logit_lens(model, texts, ["she", "he"])
    assert lens.logprobs[:, -1] == pytest.approx(model.next_token_logprobs(texts, ["she", "he"]), abs=1e-4)


def test_the_last_layer_of_a_char_gpt_answers_as_the_model_does():
    model = char_gpt()
    lens = logit_lens(model, ["the nur"], ["s", "t"])
    ids = torch.tensor([[*model.tokenizer.start, *model.tokenizer.encode("the nur")[0]]])
    with torch.inference_mode():
        expected = model.module(ids)[0, -1].log_softmax(-1)[[model.tokenizer.encode(c)[0][0] for c in "st"]]
    assert lens.logprobs[0, -1] == pytest.approx(expected.numpy(), abs=1e-5)


def test_a_classifier_answers_with_its_labels():
    model = list(models())[-1]
    texts = ["the nurse was tired .", "women are good at mathematics ."]
    lens = logit_lens(model, texts)
    assert lens.words == model.labels
    assert np.exp(lens.logprobs[:, -1]) == pytest.approx(model.classify(texts), abs=1e-5)
    assert np.exp(lens.logprobs).sum(axis=-1) == pytest.approx(np.ones((2, 3)), abs=1e-6)
    with pytest.raises(InputError, match="answers with its labels LABEL_0, LABEL_1; give no words"):
        logit_lens(model, texts, ["she"])


def test_a_layer_is_answered_with_its_own_state_by_hand():
    """A pre-norm char-GPT: the lens of layer l is head(norm(state l))."""
    model = char_gpt()
    lens = logit_lens(model, ["she"], ["a"])
    ids = torch.tensor([[*model.tokenizer.start, *model.tokenizer.encode("she")[0]]])
    with torch.inference_mode():
        x = model.module.tokens(ids) + model.module.positions.weight[: ids.shape[1]]
        for layer in range(3):
            row = model.module.head(model.module.norm(x))[0, -1].log_softmax(-1)
            assert lens.logprobs[0, layer, 0] == pytest.approx(float(row[model.tokenizer.encode("a")[0][0]]), abs=1e-5)
            x = model.module.blocks[layer](x) if layer < 2 else x


def test_afterwards_the_model_computes_as_before():
    model = masked("bert")
    before = model.masked_logprobs([])
    text = MASKED_TEXTS[:1]
    before = model.fill(text, k=2)
    logit_lens(model, text, ["she"])
    assert model.fill(text, k=2) == before
    assert all("forward" not in vars(layer) for layer in model.module.bert.encoder.layer)


def test_what_a_lens_cannot_show_is_refused():
    with pytest.raises(VocabularyError, match="'sisterly': not a single token"):
        logit_lens(masked("bert"), MASKED_TEXTS, ["she", "sisterly"])
    with pytest.raises(VocabularyError, match="'she': not a single token"):
        logit_lens(char_gpt(), ["the nurse said that "], ["she"])
    with pytest.raises(InputError, match="2 times"):
        logit_lens(masked("bert"), ["[MASK] and [MASK]"], ["she"])
    for model in (sentence_encoder(), t5()):
        with pytest.raises(MissingCapability, match="predicts neither a class nor a token"):
            logit_lens(model, ["the"])
