"""A logistic head on a frozen encoder is a classifier like any other."""

import numpy as np
import pytest
import torch

from auditkit.errors import DataError
from auditkit.fairness.heads import MeanPooled, TextHead
from auditkit.testing import FakeEncoder, check_model
from tests.privacy.tiny_models import char_gpt

TEXTS = [f"{who} is a {what}." for who in ("He", "She", "The man", "The woman") for what in ("doctor", "nurse", "cook")]
LABELS = ["yes" if "nurse" in t else "no" for t in TEXTS]


class Counting(FakeEncoder):
    calls = 0

    def embed(self, texts):
        Counting.calls += 1
        return super().embed(texts)


def test_it_learns_what_sklearn_learns():
    from sklearn.linear_model import LogisticRegression

    encoder = FakeEncoder()
    head = TextHead.fit(encoder, TEXTS, LABELS)
    assert head.labels == ("no", "yes")
    embedded = encoder.embed(TEXTS).astype(np.float64)
    expected = LogisticRegression(C=10, max_iter=1_000).fit(embedded, LABELS).predict_proba(embedded)
    np.testing.assert_allclose(head.classify(TEXTS), expected, atol=1e-9)
    assert [head.labels[i] for i in head.classify(TEXTS).argmax(axis=1)] == LABELS


def test_three_labels():
    labels = [("a", "b", "c")[i % 3] for i in range(len(TEXTS))]
    head = TextHead.fit(FakeEncoder(), TEXTS, labels, regularization=0.01)
    assert head.classify(TEXTS).shape == (len(TEXTS), 3)
    assert [head.labels[i] for i in head.classify(TEXTS).argmax(axis=1)] == labels


@pytest.mark.parametrize("encoder", [FakeEncoder, lambda: MeanPooled(char_gpt(context=32))])
def test_it_conforms(encoder):
    head = TextHead.fit(encoder(), TEXTS, LABELS)
    check_model(head)
    assert head.describe()["weights_sha256"] != head.encoder.describe()["weights_sha256"]
    assert np.abs(head.randomized(0).classify(TEXTS) - head.classify(TEXTS)).max() > 1e-3


def test_a_set_of_texts_is_embedded_once():
    head = TextHead.fit(Counting(), TEXTS, LABELS)
    before = Counting.calls
    head.classify(TEXTS)
    head.classify(TEXTS)
    assert Counting.calls == before + 1


def test_pooling_is_the_mean_of_the_hidden_states_and_skips_padding():
    model = char_gpt(context=32)
    pooled = MeanPooled(model)
    text = "a man and a woman"
    alone = pooled.embed([text])[0]
    together = pooled.embed([text, "x " * 15])[0]
    np.testing.assert_allclose(alone, together, atol=1e-6)
    states = []
    hook = model.module.norm.register_forward_hook(lambda *a: states.append(a[2]))
    with torch.no_grad():
        model.module(torch.tensor([model.tokenizer.encode(text)[0]]))
    hook.remove()
    mean = states[0][0].mean(dim=0).numpy()
    np.testing.assert_allclose(alone, mean / np.linalg.norm(mean), atol=1e-5)


def test_a_long_text_is_read_to_its_end():
    pooled = MeanPooled(char_gpt(context=32))
    long = "a" * 32 + "the end"
    assert np.abs(pooled.embed([long]) - pooled.embed([long[:32]])).max() > 1e-4


def test_bad_input():
    with pytest.raises(DataError, match="2 texts with 1 labels"):
        TextHead.fit(FakeEncoder(), TEXTS[:2], ["yes"])
    with pytest.raises(DataError, match="1 of them different"):
        TextHead.fit(FakeEncoder(), TEXTS[:2], ["yes", "yes"])
    with pytest.raises(DataError, match="empty text"):
        MeanPooled(char_gpt(context=32)).embed([""])
