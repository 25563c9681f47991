"""Every model keeps the contract of `auditkit.models.protocols`; the checks themselves notice when one does not."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from auditkit.models.protocols import (
    Classifies,
    EmbedsText,
    EmbedsWords,
    FillsMask,
    Generates,
    PredictsTokens,
    ScoresText,
)
from auditkit.testing import (
    ConformanceError,
    FakeCausalLM,
    FakeClassifier,
    FakeEncoder,
    FakeMaskedLM,
    FakeWordVectors,
    check_model,
)

FAKES = {
    FakeMaskedLM: [FillsMask, PredictsTokens],
    FakeCausalLM: [ScoresText, PredictsTokens, Generates],
    FakeEncoder: [EmbedsText],
    FakeWordVectors: [EmbedsWords],
    FakeClassifier: [Classifies],
}


@pytest.mark.parametrize("fake", FAKES)
def test_the_fakes_conform(fake):
    check_model(fake())


@pytest.mark.parametrize("fake", FAKES)
def test_each_fake_has_its_capability_and_no_other(fake):
    every = {FillsMask, ScoresText, PredictsTokens, Generates, EmbedsText, EmbedsWords, Classifies}
    assert {c for c in every if isinstance(fake(), c)} == set(FAKES[fake])


def problems(model):
    with pytest.raises(ConformanceError) as caught:
        check_model(model)
    return "\n".join(caught.value.problems)


def test_an_object_that_is_no_model_is_refused():
    assert "lacks one of name, notices, describe(), randomized()" in problems(object())


def test_a_model_whose_random_twin_is_itself_is_caught():
    class Same(FakeEncoder):
        def randomized(self, seed):
            return self

    assert "do not have three different weights_sha256" in problems(Same())


def test_padding_that_leaks_into_the_result_is_caught():
    class Leaky(FakeEncoder):
        def embed(self, texts):
            vectors = super().embed(texts) + 0.1 * len(texts)
            return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    assert "alone and among others" in problems(Leaky())


def test_vectors_that_are_not_unit_are_caught():
    class Long(FakeEncoder):
        def embed(self, texts):
            return 2 * super().embed(texts)

    assert "expected unit vectors" in problems(Long())


def test_logits_sold_as_log_probabilities_are_caught():
    class Logits(FakeCausalLM):
        def _logprobs(self, context):
            return super()._logprobs(context) + 20

    assert "expected finite log-probabilities, at most 0" in problems(Logits())


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"logprobs": lambda s: s.logprobs + 20}, "expected finite log-probabilities, at most 0"),
        ({"means": lambda s: -s.means}, "means: expected finite log-probabilities, at most 0"),
        ({"stds": lambda s: s.stds - 100}, "stds: expected finite numbers, at least 0"),
        ({"stds": lambda s: s.stds[1:]}, "have different lengths"),
        ({"logprobs": lambda s: s.logprobs - 1}, "other tokens or log-probabilities than those of token_logprobs"),
    ],
)
def test_wrong_token_statistics_are_caught(change, problem):
    class Wrong(FakeCausalLM):
        def token_statistics(self, texts):
            right = super().token_statistics(texts)
            return [replace(s, **{name: wrong(s) for name, wrong in change.items()}) for s in right]

    assert problem in problems(Wrong())


def test_token_statistics_that_depend_on_the_batch_are_caught():
    class Leaky(FakeMaskedLM):
        def token_statistics(self, texts):
            return [replace(s, stds=s.stds + 0.1 * len(texts)) for s in super().token_statistics(texts)]

    assert "token_statistics('Women.'): differs by 0.2 alone and among others" in problems(Leaky())


def test_a_dropped_text_is_caught():
    class Drops(FakeClassifier):
        def classify(self, texts):
            return super().classify(texts[:1])

    assert "classify: 1 results for 3 texts" in problems(Drops())


def test_probabilities_that_do_not_sum_to_one_are_caught():
    class Half(FakeClassifier):
        def classify(self, texts):
            return super().classify(texts) / 2

    assert "not probabilities" in problems(Half())


def test_every_problem_is_listed():
    class Twice(FakeEncoder):
        def __init__(self):
            super().__init__()
            self.notices = {}

        def describe(self):
            return {k: v for k, v in super().describe().items() if k != "dtype"} | {"context": float("inf")}

        def randomized(self, seed):
            twin = super().randomized(seed)
            twin.notices = Counter()
            return twin

    assert "describe() is not plain JSON" in problems(Twice())
    assert "describe() lacks dtype" in problems(Twice())
    assert "notices is a dict" in problems(Twice())


# --- the fakes mean what they say -------------------------------------------------------------------------------


def test_a_planted_association_is_all_that_differs_between_two_masked_models():
    plain, planted = FakeMaskedLM(), FakeMaskedLM(associations={("nurse", "she"): 3.0})
    text = "the {} said that [MASK] was old."

    def log_odds(model, subject):
        fills = {f.words[0]: f.logprob for f in model.fill([text.format(subject)], k=500)[0]}
        return fills["she"] - fills["he"]

    assert log_odds(planted, "nurse") - log_odds(plain, "nurse") == pytest.approx(3.0)
    assert log_odds(planted, "doctor") == pytest.approx(log_odds(plain, "doctor"))


def test_unknown_words_are_spelled_out_and_truncation_is_counted():
    model = FakeCausalLM(context=6)
    (score,) = model.token_logprobs(["Zoë ran far"])
    assert len(score.ids) == 4
    assert model.notices == {"texts truncated to 6 tokens": 1}
    assert model.word_id("nurse") is not None
    assert model.word_id("zebra") is None


def test_probabilities_of_the_whole_vocabulary_sum_to_one():
    model = FakeCausalLM()
    assert np.exp(model._logprobs([3, 5])).sum() == pytest.approx(1.0)
    table = model.next_token_logprobs(["the doctor"], ["he", "zoo"])
    assert table.shape == (1, 2)
    assert table[0, 1] == pytest.approx(model.token_logprobs(["the doctor zoo"])[0].logprobs[-3:].sum())


@pytest.mark.parametrize("fake", [FakeCausalLM, FakeMaskedLM])
def test_token_statistics_describe_the_distribution_that_the_token_was_drawn_from(fake):
    model = fake()
    (found,) = model.token_statistics(["the zoo"])
    assert [model.vocabulary[i] for i in found.ids] == ["the", "z", "##o", "##o"]
    ids = found.ids.tolist()
    seen = ids[:2] if fake is FakeCausalLM else [model.ids["[CLS]"], *ids[:2], ids[3], model.ids["[SEP]"]]
    logp = model._logprobs(seen)  # at the third token: a causal model has read two, a masked one all others
    mean = np.exp(logp) @ logp
    assert found.logprobs[2] == pytest.approx(logp[ids[2]])
    assert found.means[2] == pytest.approx(mean)
    assert found.stds[2] == pytest.approx(np.sqrt(np.exp(logp) @ logp**2 - mean**2))
    assert len(model.token_statistics([" "])[0].ids) == 0
