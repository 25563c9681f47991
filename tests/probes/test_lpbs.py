"""LPBS: the formula by hand, what is masked, and planted associations."""

import math

import numpy as np
import pytest

from auditkit.errors import UnknownName, VocabularyError
from auditkit.probes import lpbs
from auditkit.testing import FakeMaskedLM, check_probe

COMPARISON = lpbs.Comparison(
    "c", ("she",), ("he",), ("I know that {target} is {attribute}.",), ("a nurse", "kind"), ("an engineer", "rude")
)


def test_formula_by_hand():
    # p(she) rises from 1/10 to 4/10 with the attribute, p(he) falls from 5/10 to 2/10: log 4 - log(2/5) = log 10
    bias = lpbs.log_probability_bias(*np.log([[0.4], [0.1], [0.2], [0.5]]))
    assert bias == pytest.approx([math.log(10)])


def test_attributes_of_both_sides_are_signed_by_their_stereotype():
    zero = np.zeros((4, 1, 1))
    towards_a = np.array([1.0, 2.0, -3.0, 4.0]).reshape(4, 1, 1)
    assert lpbs.stereotype_bias(COMPARISON, towards_a, zero, zero, zero).tolist() == [1.0, 2.0, 3.0, -4.0]


def test_target_and_attribute_are_masked_article_and_rest_are_not():
    class Recording(FakeMaskedLM):
        def masked_logprobs(self, queries):
            self.seen = [" ".join(self.vocabulary[i] for i in q.ids[1:-1]) for q in queries]
            return super().masked_logprobs(queries)

    model = Recording(associations={("know", "i"): 0.0})
    found = lpbs.target_logprobs(model, COMPARISON)
    assert all(f.shape == (4, 1, 1) for f in found)
    assert model.seen[0] == "i know that [MASK] is a nurse ."
    assert model.seen[4] == "i know that [MASK] is a [MASK] ."
    assert model.seen[6] == "i know that [MASK] is an [MASK] ."


def test_an_attribute_of_several_tokens_takes_several_masks():
    model = FakeMaskedLM()
    (given,), (masked,) = lpbs._queries(model, ["{target} is {attribute}."], ["a xyz"], ["he"])
    assert given.position == masked.position == 1
    assert [i == model.mask_id for i in masked.ids] == [False, True, False, False, True, True, True, False, False]
    assert given.ids.count(model.mask_id) == 1


def model(strength, **options):
    female = lpbs.COMPARISONS[0].of_a
    male = lpbs.COMPARISONS[0].of_b
    planted = {(a.split(" ")[-1], "she"): strength for a in female} | {(a.split(" ")[-1], "he"): strength for a in male}
    return FakeMaskedLM(associations=planted, **options)


@pytest.mark.parametrize("strength", [2.0, -2.0])
def test_a_planted_stereotype_is_found_with_its_sign(strength):
    result = check_probe(lpbs.LogProbabilityBias(comparisons=("gender_pronouns",)), model(strength))
    (m,) = result.measurements
    assert m.id == "lpbs/gender_pronouns/stereotype_bias"
    assert m.value == pytest.approx(strength, abs=0.5)  # the planted logit, plus what the fake's vectors add
    assert 0 not in m.interval
    assert m.details["p_value"] < 0.001
    assert m.n == 32
    assert abs(m.details["validity"]["null"]["mean"]) < 0.5
    assert {r["group"] for r in m.details["extremes"]} <= {"she", "he"}


def test_balanced_models_are_rarely_flagged():
    probe = lpbs.LogProbabilityBias(comparisons=("gender_pronouns",))
    flagged = [
        probe.measure(model(0.0, seed=s), np.random.default_rng(s)).measurements[0].details["p_value"] <= 0.05
        for s in range(12)
    ]
    assert sum(flagged) <= 3


def test_a_constant_preference_for_one_pronoun_is_no_bias():
    """That "he" is likelier everywhere cancels: the prior has it too."""

    class PrefersHe(FakeMaskedLM):
        def masked_logprobs(self, queries):
            return [np.array([-5.0 if t == self.ids["she"] else -1.0 for t in q.targets]) for q in queries]

    (m,) = (
        lpbs.LogProbabilityBias(comparisons=("gender_pronouns",))
        .measure(PrefersHe(), np.random.default_rng(0))
        .measurements
    )
    assert m.value == 0
    assert m.interval is None
    assert m.details["validity"]["tie_rate"] == 1


def test_word_pairs_that_the_vocabulary_lacks():
    class NoPronouns(FakeMaskedLM):
        def word_id(self, word):
            return None if word in ("she", "Muslim", "Jewish") else super().word_id(word)

    with pytest.raises(VocabularyError, match=r"no pair of \['she'\] and \['he'\]"):
        lpbs.LogProbabilityBias(comparisons=("gender_pronouns",)).measure(NoPronouns(), np.random.default_rng(0))
    probe = lpbs.LogProbabilityBias(comparisons=("gender_pronouns", "gender_nouns"))
    skipped, found = probe.measure(NoPronouns(), np.random.default_rng(0)).measurements
    assert (skipped.status, found.status) == ("skipped", "ok")
    assert "single tokens" in skipped.details["reason"]
    assert found.details["word_pairs"] == "4 of 5 in the vocabulary"


def test_unknown_comparisons_are_refused():
    with pytest.raises(UnknownName, match="did you mean 'religion'"):
        lpbs.LogProbabilityBias(comparisons=("religon",))


def test_the_built_in_comparisons_are_balanced():
    for comparison in lpbs.COMPARISONS:
        assert len(comparison.a) == len(comparison.b)
        assert len(comparison.of_a) == len(comparison.of_b)
        assert len(set(comparison.of_a + comparison.of_b)) == 2 * len(comparison.of_a)
        assert all("{target}" in t and "{attribute}" in t for t in comparison.templates)
