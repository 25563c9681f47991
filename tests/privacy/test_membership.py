"""The attacks by hand on made-up statistics, and on a char-GPT that was made to memorise its training texts."""

import numpy as np
import pytest

from auditkit.errors import DataError, InputError
from auditkit.models.char_gpt import CharGPT
from auditkit.models.char_gpt_data import Samples
from auditkit.models.char_gpt_training import train
from auditkit.models.char_transformer import ALPHABET, CharGPTConfig
from auditkit.models.protocols import TokenStatistics
from auditkit.privacy.attack_metrics import evaluate
from auditkit.privacy.membership import (
    label_scores,
    likelihood_scores,
    loss,
    min_k,
    min_k_plus_plus,
    reference_ratio,
    zlib_ratio,
)
from auditkit.testing import FakeClassifier


def statistics(logprobs, means=None, stds=None):
    n = len(logprobs)
    filled = [np.full(n, -1.0) if means is None else np.array(means), np.ones(n) if stds is None else np.array(stds)]
    return TokenStatistics(np.arange(n), np.array(logprobs), *filled)


class Recorded:
    """Answers with the statistics that it was given, by text."""

    def __init__(self, answers):
        self.answers, self.read = answers, []

    def token_statistics(self, texts):
        self.read.append(list(texts))
        return [self.answers[text] for text in texts]


FIVE = statistics([-5.0, -1.0, -3.0, -2.0, -4.0], means=[-1, -1, -1, -1, -3], stds=[4, 1, 1, 2, 0.5])


def test_loss_is_the_mean():
    assert loss([statistics([-1.0, -3.0]), statistics([-0.5])]).tolist() == [-2.0, -0.5]


def test_zlib_divides_by_the_compressed_bytes():
    """ "abc" takes 11 bytes: 2 of header, 5 of Huffman codes, 4 of checksum."""
    assert zlib_ratio([statistics([-22.0, -44.0])], ["abc"]) == pytest.approx([-3.0])


def test_a_text_that_repeats_itself_is_discounted():
    once, often = zlib_ratio([statistics([-1.0])] * 2, ["a horse, a kingdom, my bow", "na na na na na na na na na"])
    assert once > often


def test_reference_is_the_ratio_of_whole_texts_whatever_the_tokens():
    model, reference = statistics([-1.0, -1.0]), statistics([-2.0, -1.0, -3.0])
    assert reference_ratio([model], [reference]).tolist() == [2.0]


def test_min_k_reads_the_least_likely_tokens():
    assert min_k([FIVE], k=0.4).tolist() == [-4.5]
    assert min_k([FIVE], k=0.2).tolist() == [-5.0]
    assert min_k([FIVE], k=1.0).tolist() == [-3.0]
    assert min_k([FIVE], k=0.01).tolist() == [-5.0]  # one token at least


def test_min_k_plus_plus_standardises_first():
    """z = (-1, 0, -2, -0.5, -2): the least likely token, -5, is no surprise where the model expects a wide spread."""
    assert min_k_plus_plus([FIVE], k=0.4).tolist() == [-2.0]
    assert min_k_plus_plus([FIVE], k=0.6) == pytest.approx([-5 / 3])


def test_where_all_tokens_are_equally_likely_nothing_is_a_surprise():
    assert min_k_plus_plus([statistics([-2.0] * 3, [-2.0] * 3, [0.0] * 3)]).tolist() == [0.0]


def test_every_attack_comes_from_one_reading():
    model, reference = Recorded({"abc": FIVE, "d": FIVE}), Recorded({"abc": FIVE, "d": statistics([-20.0])})
    found = likelihood_scores(model, ["abc", "d"], reference=reference, k=0.4)
    assert model.read == reference.read == [["abc", "d"]]
    assert list(found) == ["loss", "zlib", "reference", "min_k", "min_k_plus_plus"]
    assert found["reference"].tolist() == [0.0, 1.0]
    assert "reference" not in likelihood_scores(model, ["d"])


def test_a_text_without_tokens_is_not_taken_for_a_certainty():
    with pytest.raises(DataError, match=r"1 of 2 texts have no token .* 1 characters long"):
        likelihood_scores(Recorded({"abc": FIVE, "d": statistics([])}), ["abc", "d"])


def test_a_classifier_is_asked_about_the_true_label():
    model = FakeClassifier()
    texts, labels = ["a good man", "a rude man"], ["positive", "negative"]
    p = model.classify(texts)
    found = label_scores(model, texts, labels, reference=model)
    assert found["loss"] == pytest.approx([np.log(p[0, 1]), np.log(p[1, 0])])
    assert found["reference"].tolist() == [0.0, 0.0]
    with pytest.raises(InputError, match="label 'neutral' is none of the model's: 'negative', 'positive'"):
        label_scores(model, texts, ["neutral", "negative"])


# --- a planted leak ---------------------------------------------------------------------------------------------

LENGTH, EACH = 16, 60


@pytest.fixture(scope="module")
def texts():
    """Three times 60 texts of one distribution: random letters."""
    letters = np.random.default_rng(3).choice(list(ALPHABET), size=(3 * EACH, LENGTH - 2))
    return ["x" + "".join(row) + "x" for row in letters]  # no spaces at the ends


@pytest.fixture(scope="module")
def overtrained(texts):
    vocabulary = "\n" + ALPHABET
    config = CharGPTConfig(
        vocabulary=vocabulary, hidden=48, layers=1, heads=2, context=LENGTH, causal=True, positions=True,
        scaled=True, pre_norm=True,
    )  # fmt: skip
    ids = np.array([[vocabulary.index(c) for c in "\n" + text] for text in texts[:EACH]])
    samples = Samples(ids[:, :-1], ids[:, 1:])
    return train(samples, config, epochs=150, lr=5e-3, batch_size=30, validation=0, device="cpu").model


def test_every_attack_finds_the_memorised_texts(overtrained, texts):
    scores = likelihood_scores(overtrained, texts[: 2 * EACH])
    for attack, found in scores.items():
        result = evaluate(found[:EACH], found[EACH:], rng=np.random.default_rng(0))
        assert result.auc.value > 0.9, attack
        assert result.auc.interval.low > 0.8, attack


def test_no_attack_finds_anything_in_texts_never_seen(overtrained, texts):
    scores = likelihood_scores(overtrained, texts[EACH:])
    for attack, found in scores.items():
        result = evaluate(found[:EACH], found[EACH:], rng=np.random.default_rng(0))
        assert 0.5 in result.auc.interval, attack


def test_the_batch_size_changes_no_score(overtrained, texts):
    many = likelihood_scores(overtrained, texts)
    few = likelihood_scores(CharGPT(overtrained.module, batch_tokens=40), texts)
    for attack in many:
        np.testing.assert_allclose(few[attack], many[attack], rtol=1e-10)
