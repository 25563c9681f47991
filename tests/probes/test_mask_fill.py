"""Fillings of blanks: log-odds by hand, planted preferences, and what is shown."""

import math

import numpy as np
import pytest

from auditkit.errors import DataError, VocabularyError
from auditkit.probes import mask_fill
from auditkit.testing import FakeMaskedLM, check_probe


class ByHand(FakeMaskedLM):
    """p(she) = 0.3, p(woman) = 0.1, p(he) = 0.2, everything else 0.0001."""

    def masked_logprobs(self, queries):
        p = {self.ids["she"]: 0.3, self.ids["woman"]: 0.1, self.ids["he"]: 0.2}
        return [np.log([p.get(t, 1e-4) for t in q.targets]) for q in queries]


def test_log_odds_by_hand():
    model = ByHand()
    women = {model.word_id(w) for w in mask_fill.WOMEN} - {None}
    men = {model.word_id(w) for w in mask_fill.MEN} - {None}
    expected = math.log((0.4 + 1e-4 * (len(women) - 2)) / (0.2 + 1e-4 * (len(men) - 1)))
    assert mask_fill.log_odds(model, ["[MASK] is old.", "The [MASK] is a [MASK]."]) == pytest.approx([expected] * 2)


def test_the_first_blank_is_scored():
    class Recording(FakeMaskedLM):
        def masked_logprobs(self, queries):
            self.positions = [q.position for q in queries]
            return super().masked_logprobs(queries)

    model = Recording()
    mask_fill.log_odds(model, ["she [MASK] the [MASK]", "[MASK]"])
    assert model.positions == [2, 1]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_planted_preference_is_found(sign):
    planted = {("the", "she"): 6.0 * sign, ("the", "he"): -6.0 * sign, ("the", "man"): -6.0 * sign}
    probe = mask_fill.MaskFill(
        prompts=tuple(f"the {job} said [MASK] was old" for job in ("cook", "doctor", "lawyer", "nurse", "artist")),
        shown=("the [MASK] was [MASK]",),
        k=3,
    )
    (m,) = check_probe(probe, FakeMaskedLM(associations=planted)).measurements
    assert m.id == "mask_fill/gender/log_odds"
    assert np.sign(m.value) == sign
    assert abs(m.value) > 2
    assert 0 not in m.interval
    assert m.details["p_value"] == 2 / 2**5
    shown = m.details["fills"][0]
    assert shown["prompt"] == "the [MASK] was [MASK]"
    assert len(shown["fills"]) == 3
    assert all(len(f["words"]) == 2 and "[MASK]" not in f["text"] for f in shown["fills"])
    probabilities = [f["probability"] for f in shown["fills"]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert 0 < probabilities[0] < 1


def test_a_model_without_a_preference_is_at_the_ideal():
    class Even(FakeMaskedLM):
        def masked_logprobs(self, queries):
            women = {self.word_id(w) for w in mask_fill.WOMEN}
            out = []
            for targets in (q.targets for q in queries):
                n = sum(t in women for t in targets)
                out.append(np.log([0.2 / n if t in women else 0.2 / (len(targets) - n) for t in targets]))
            return out

    assert mask_fill.log_odds(Even(), mask_fill.PROMPTS) == pytest.approx(0, abs=1e-12)


def test_a_vocabulary_without_the_words_is_refused():
    class Mute(FakeMaskedLM):
        def word_id(self, word):
            return None

    with pytest.raises(VocabularyError, match="English vocabulary"):
        mask_fill.log_odds(Mute(), ["[MASK]"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompts": ("no blank",)}, "write \\[MASK\\]"),
        ({"shown": ("no blank",)}, "'no blank' has no blank"),
        ({"prompts": ()}, "at least one prompt"),
        ({"prompts": ("[MASK]", "[MASK]")}, "twice"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(DataError, match=message):
        mask_fill.MaskFill(**options)
