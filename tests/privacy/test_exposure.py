"""Exposure: equal to brute force, near log2 |R| for what was memorised, 1 / ln 2 for what was not."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from auditkit import stats
from auditkit.errors import DataError, MissingCapability
from auditkit.models.char_gpt import CharGPT
from auditkit.models.char_gpt_training import train
from auditkit.models.char_transformer import CharGPTConfig
from auditkit.models.protocols import TokenScores
from auditkit.privacy import canaries as planted
from auditkit.privacy.exposure import (
    estimated_exposure,
    exact_exposure,
    expected_exposure,
    exposure,
    rank,
    skew_normal,
)
from auditkit.testing import FakeCausalLM, FakeMaskedLM

CONTEXT = "id is "
SPACE = planted.chosen_format("##-#", context=CONTEXT)
VOCABULARY = "\n abcdefghijklmnopqrstuvwxyz0123456789-"
WORDS = ("the", "cat", "dog", "sees", "a", "bird", "in", "tree", "my", "house")


def overtrained(secrets, repetitions):
    """A tiny char-GPT that read each secret many times, among simple sentences."""
    rng = np.random.default_rng(0)
    lines = [" ".join(rng.choice(WORDS, 5)) for _ in range(60)] + [CONTEXT + s for s in secrets] * repetitions
    text = "\n".join(rng.permutation(lines).tolist())
    config = CharGPTConfig(
        vocabulary=VOCABULARY, hidden=32, layers=2, heads=2, context=32, causal=True, positions=True, scaled=True,
        pre_norm=True,
    )  # fmt: skip
    return train(text, config, epochs=25, batch_size=8, lr=4e-3, validation=0).model


@pytest.fixture(scope="module")
def memorised():
    return overtrained(["48-1"], 40)


class Prescribed:
    """A causal model that finds each text exactly as likely as it is told."""

    def __init__(self, logprob):
        self.logprob = logprob

    def token_logprobs(self, texts):
        whole = np.array([[0, 99]])
        return [TokenScores(np.zeros(1, int), np.array([self.logprob(t.removeprefix(CONTEXT))]), whole) for t in texts]

    def next_token_logprobs(self, prefixes, words):
        raise NotImplementedError


# --- exact ------------------------------------------------------------------------------------------------------


def test_ranks_by_hand():
    # In order: 5, 3, 3, 1. The 3s stand at 2 and 3.
    assert rank(np.array([5.0, 3.0, 1.0]), np.array([3.0, 1.0, 5.0, 3.0])).tolist() == [1, 2.5, 4]


def test_exposure_by_hand():
    space = planted.chosen_format("#", context=CONTEXT)  # 10 candidates, "9" the likeliest, "0" the least
    found = exact_exposure(Prescribed(float), space, ["9", "8", "0"])
    assert found.values == pytest.approx([math.log2(10), math.log2(10) - 1, 0])
    assert found.errors.tolist() == [0, 0, 0]
    assert found.exact
    assert found.candidates == 10
    assert found.fit_p_value is None


def test_a_model_that_knows_nothing_exposes_nothing():
    found = exact_exposure(Prescribed(lambda _: -1.0), SPACE, ["48-1", "00-0"])
    assert found.values == pytest.approx([math.log2(1000 / 500.5)] * 2)  # all share the middle rank


@pytest.mark.parametrize("model", [FakeCausalLM(), FakeMaskedLM()])
def test_exposure_equals_brute_force(model):
    jobs, traits = ("nurse", "doctor", "cook", "lawyer"), ("good", "bad", "rude", "smart")
    space = planted.CandidateSpace("words", (traits, (" ",), jobs), "the person is a ")
    secrets = list(space.candidates())

    def score(text):  # one text at a time, straight from the definition
        if isinstance(model, FakeCausalLM):
            return model.token_logprobs([text])[0].total
        (encoded,) = model.encode([text])
        ids = encoded.ids.tolist()
        return sum(model._around(ids, i)[ids[i]] for i in np.flatnonzero(~encoded.special))

    ordered = sorted(secrets, key=lambda secret: -score(space.context + secret))
    expected = [math.log2(16) - math.log2(ordered.index(secret) + 1) for secret in secrets]
    assert exact_exposure(model, space, secrets).values == pytest.approx(expected)


def test_exposure_equals_brute_force_on_a_trained_model(memorised):
    secrets = list(SPACE.candidates())
    scores = {s: memorised.token_logprobs([CONTEXT + s])[0].total for s in secrets}
    ordered = sorted(secrets, key=lambda s: -scores[s])
    expected = {s: math.log2(1000) - math.log2(place) for place, s in enumerate(ordered, start=1)}
    found = exact_exposure(memorised, SPACE, secrets).values
    assert dict(zip(secrets, found, strict=True)) == pytest.approx(expected)


def test_any_batch_size_gives_the_same(memorised):
    secrets = ["48-1", "00-0", "93-7"]
    results = [
        exact_exposure(CharGPT(memorised.module, batch_tokens=tokens), SPACE, secrets).values
        for tokens in (7, 64, 100_000)
    ]
    assert results[0].tolist() == results[1].tolist() == results[2].tolist()


def test_a_planted_canary_is_found(memorised):
    assert exact_exposure(memorised, SPACE, ["48-1"]).values[0] == pytest.approx(math.log2(1000))


def test_canaries_that_were_never_inserted_are_not_exposed(memorised):
    never = [s for s in SPACE.candidates() if s != "48-1"]
    values = exact_exposure(memorised, SPACE, never).values
    rng = np.random.default_rng(0)
    intervals = [stats.bootstrap(rng.choice(values, 60, replace=False), rng=rng, resamples=999) for _ in range(60)]
    assert sum(expected_exposure(SPACE) in interval for interval in intervals) >= 52  # 57 expected at 95 %
    assert max(interval.high for interval in intervals) < 3


def test_what_an_unseen_canary_is_expected_to_have():
    # Over 4 candidates the ranks 1 to 4 are equally likely: the mean of 2, 1, 2 - log2 3 and 0.
    assert expected_exposure(planted.characters(1, alphabet="abcd", context="x")) == pytest.approx(
        (2 + 1 + 2 - math.log2(3)) / 4
    )
    assert expected_exposure(SPACE) == pytest.approx(1 / math.log(2), abs=0.01)
    assert expected_exposure(planted.characters(500, context="x")) == 1 / math.log(2)


# --- estimated --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "location", "scale"), [(3.0, -20.0, 4.0), (-2.0, 5.0, 0.5), (0.0, 0.0, 1.0)])
def test_the_fit_recovers_a_skew_normal(shape, location, scale):
    drawn = scipy_stats.skewnorm.rvs(shape, location, scale, size=200_000, random_state=1)
    truth = scipy_stats.skewnorm(shape, location, scale)
    fit = skew_normal(drawn)
    for share in (1e-3, 0.1, 0.5, 0.9, 0.999):
        at = truth.ppf(share)
        assert scipy_stats.skewnorm.cdf(at, fit.shape, fit.location, fit.scale) == pytest.approx(share, rel=0.1)


def digits_weighted(secret):
    """-log p is the sum of 9 weighted digits: its distribution over all 10^9 candidates can be computed."""
    return -sum(w * int(c) for w, c in zip((3, 4, 5, 3, 4, 5, 3, 4, 5), secret.replace("-", ""), strict=True))


def exact_share(perplexity):
    distribution = np.ones(1)
    for weight in (3, 4, 5, 3, 4, 5, 3, 4, 5):
        one = np.zeros(9 * weight + 1)
        one[::weight] = 0.1
        distribution = np.convolve(distribution, one)
    return distribution[: perplexity + 1].sum()


def test_the_estimate_is_near_the_exact_value_of_a_space_too_large_to_list():
    space = planted.chosen_format("###-##-####", context=CONTEXT)
    secrets = ["555-55-5555", "333-33-3333", "222-22-3333", "222-22-2222"]
    found = estimated_exposure(Prescribed(digits_weighted), space, secrets, rng=np.random.default_rng(0))
    exact = [-math.log2(exact_share(-digits_weighted(s))) for s in secrets]
    assert exact[0] < 1
    assert exact[-1] > 7
    assert found.values == pytest.approx(exact, abs=0.5)
    assert not found.exact
    assert found.candidates == 10_000


def test_the_standard_error_is_the_spread_over_samples():
    space = planted.chosen_format("###-##-####", context=CONTEXT)
    secrets = ["333-33-3333", "222-22-2222"]
    runs = [
        estimated_exposure(
            Prescribed(digits_weighted), space, secrets, rng=np.random.default_rng(seed), samples=500, resamples=100
        )
        for seed in range(60)
    ]
    spread = np.std([r.values for r in runs], axis=0, ddof=1)
    assert np.mean([r.errors for r in runs], axis=0) == pytest.approx(spread, rel=0.3)


def test_a_poor_fit_shows_in_its_p_value():
    space = planted.chosen_format("###-##-####", context=CONTEXT)
    rng = np.random.default_rng(0)

    def two_lumps(secret):
        return -100.0 * (int(secret[0]) < 5) + digits_weighted(secret) / 100

    assert estimated_exposure(Prescribed(two_lumps), space, ["333-33-3333"], rng=rng).fit_p_value < 1e-6


def test_an_estimate_never_exceeds_the_size_of_the_space(memorised):
    found = estimated_exposure(memorised, SPACE, ["48-1", "11-1"], rng=np.random.default_rng(0), samples=500)
    assert 7 < found.values[0] <= SPACE.bits
    assert found.values[1] < 4


def test_the_size_of_the_space_decides(memorised):
    rng = np.random.default_rng(0)
    assert exposure(memorised, SPACE, ["48-1"], rng=rng, max_exact=1000).exact
    assert not exposure(memorised, SPACE, ["48-1"], rng=rng, max_exact=999, samples=100).exact


def test_bad_input_is_refused(memorised):
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="99 samples; expected at least 100"):
        estimated_exposure(memorised, SPACE, ["48-1"], rng=rng, samples=99)
    long = planted.chosen_format("##", context="x" * 40)
    with pytest.raises(MissingCapability, match="reads only the first 32 of the 42 characters"):
        exact_exposure(memorised, long, ["11"])


def test_the_ends_hold_the_exact_value_where_the_fit_does_not():
    """-log2 of the true share is 0.5, 7.8 and 13.2 bits; the fit is 1.5 bits below the last."""
    space = planted.chosen_format("###-##-####", context=CONTEXT)
    secrets = ["555-55-5555", "222-22-2222", "111-11-1112"]
    truth = np.array([-math.log2(exact_share(-digits_weighted(s))) for s in secrets])
    held, by_fit = [], []
    for seed in range(60):
        found = estimated_exposure(
            Prescribed(digits_weighted), space, secrets, rng=np.random.default_rng(seed), samples=500, resamples=20
        )
        held.append((found.ends[:, 0] <= truth) & (truth <= found.ends[:, 1]))
        by_fit.append(np.abs(found.values - truth) <= 1.96 * found.errors)
    assert np.mean(held, axis=0).min() >= 0.95 - 2.5 * math.sqrt(0.05 * 0.95 / 60)
    assert np.mean(by_fit, axis=0)[-1] < 0.8  # the positive control


def test_an_exact_rank_has_no_width(memorised):
    found = exact_exposure(memorised, SPACE, ["48-1"])
    assert found.ends.tolist() == [[found.values[0]] * 2]
