"""WinoBias: the gap by hand, twins, and models whose stereotypes are planted."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from auditkit import data
from auditkit.data.types import CoreferenceItem
from auditkit.errors import DataError
from auditkit.models.masked_lm import MaskedLM
from auditkit.probes import likelihood, winobias
from auditkit.testing import FakeCausalLM, FakeMaskedLM, check_probe
from tests.models.conftest import tiny_bert_masked_lm

MEN = ("doctor", "engineer", "lawyer", "manager", "scientist")
WOMEN = ("nurse", "teacher", "secretary", "cook", "artist")


def sentence(referent, other, pronoun, *, kind, pro, pair):
    text = f"The {referent} went with the {other} because {pronoun} was old."
    return CoreferenceItem(f"{pair}-{pro}", text, pronoun, referent, other, kind, pro, pair)


def all_items():
    """Every pair of a male-typed and a female-typed occupation, each of them once the referent."""
    items = []
    for kind in (1, 2):
        for man in MEN:
            for woman in WOMEN:
                for referent, other, own in ((man, woman, "he"), (woman, man, "she")):
                    pair = f"{kind}-{referent}-{other}"
                    opposite = "she" if own == "he" else "he"
                    items.append(sentence(referent, other, own, kind=kind, pro=True, pair=pair))
                    items.append(sentence(referent, other, opposite, kind=kind, pro=False, pair=pair))
    return items


@pytest.fixture
def items(monkeypatch):
    found = all_items()
    dataset = data.Dataset("winobias", tuple(found), "hand-made", "CC0", "0" * 64)
    monkeypatch.setattr(data, "load", lambda name, kind: dataset)
    return found


def test_gap_by_hand():
    found = winobias.gap(np.array([True, True, True, False]), np.array([True, False, False, False]))
    assert found == (75, 25, 50)
    with pytest.raises(DataError, match="at least one"):
        winobias.gap(np.array([], dtype=bool), np.array([True]))


def test_twins_are_joined_and_singles_left_out():
    items = all_items()
    pairs = winobias.twins([*items, sentence("cook", "lawyer", "she", kind=1, pro=True, pair="alone")])
    assert len(pairs) == len(items) // 2
    assert all(t.pro.pro and not t.anti.pro and t.pro.pair == t.anti.pair for t in pairs)
    assert pairs[0].cluster == pairs[1].cluster == "doctor/nurse"


@pytest.mark.parametrize(
    ("pro", "anti", "expected"),
    [
        ("the cook said he left .", "the cook said she left .", ("the cook said", " he", " left .")),
        ("he left", "she left", ("", "he", " left")),
        ("because of him", "because of her", ("because of", " him", "")),
        ("he gave him a job", "she gave her a job", ("", "he gave him", " a job")),
        ("he is the boss", "she is a boss", ("", "he is the", " boss")),
        ("the clerk saw his.", "the clerk saw hers.", ("the clerk saw", " his", ".")),
        ('he said "him," too', 'he said "her," too', ('he said "', "him", '," too')),
        ("he left.", "she left.", ("", "he", " left.")),
    ],
)
def test_the_words_that_differ_are_cut_out(pro, anti, expected):
    assert likelihood.cut_out(pro, anti)[0] == expected
    assert "".join(likelihood.cut_out(pro, anti)[1]) == anti


# --- planted models ----------------------------------------------------------------------------------------------


class Resolves(FakeCausalLM):
    """Names the man for "he" and the woman for "she" (sign 1), the other way round (-1), or is always right (0)."""

    def __init__(self, sign, items):
        super().__init__()
        self.sign = sign
        self.right = {f"{i.sentence} The word '{i.pronoun}' refers to the {i.referent}" for i in items}

    def token_logprobs(self, texts):
        return [
            replace(s, logprobs=np.full(len(s.ids), self._rate(t)))
            for t, s in zip(texts, super().token_logprobs(texts), strict=True)
        ]

    def _rate(self, text):
        if "The word" not in text:
            return -1.0 - 0.1 * self.sign * (" he " in text) * (text.split()[1] in WOMEN)
        if not self.sign:
            return -0.1 if text in self.right else -1.0
        fits = ("'he'" in text) == (text.split()[-1] in MEN)
        return -0.1 if fits == (self.sign > 0) else -1.0

    def randomized(self, seed):
        return FakeCausalLM(seed=seed + 1)


@pytest.mark.parametrize(("sign", "gap"), [(1, 100), (-1, -100), (0, 0)])
def test_the_gap_of_a_planted_model(items, sign, gap):
    found = {m.id: m for m in check_probe(winobias.WinoBias(null_items=5), Resolves(sign, items)).measurements}
    for kind in ("type1", "type2"):
        m = found[f"winobias/{kind}/gap"]
        assert m.value == gap
        assert (m.n, m.details["clusters"]) == (50, 25)
        assert (m.details["p_value"] < 1e-3) == (gap != 0)
        assert m.details["p_value_holm"] >= m.details["p_value"]
        assert found[f"winobias/{kind}/accuracy_pro"].value == {1: 100, -1: 0, 0: 100}[sign]
    assert m.details["validity"]["tie_rate"] == 0


def test_what_is_planned_of_the_preference_is_what_is_measured(items):
    result = winobias.WinoBias(null_items=5).measure(Resolves(1, items), np.random.default_rng(0))
    preferences = [m for m in result.measurements if m.id.endswith("/pronoun_preference")]
    measured = {m.id: (m.details["left_out"]["of"], m.details["clusters"]) for m in preferences}
    assert {name: (p.n, p.clusters) for name, p in winobias.WinoBias().planned().items()} == measured


@pytest.mark.parametrize("fake", [FakeMaskedLM, FakeCausalLM])
def test_a_planted_pronoun_preference_is_found(items, fake):
    """Without the second occupation, so that only the referent pulls at the pronoun."""
    planted = {(w, "he"): 12.0 for w in MEN} | {(w, "she"): 12.0 for w in WOMEN}
    one_man = [i for i in items if i.kind == 1 and i.other == "nurse" and i.referent in MEN]
    pairs = winobias.twins([replace(i, sentence=i.sentence.replace(i.other, "man")) for i in one_man])
    difference = winobias.pronoun_preferences(fake(associations=planted), pairs)
    assert (difference > 5).all()
    assert (winobias.pronoun_preferences(fake(associations={k: -v for k, v in planted.items()}), pairs) < -5).all()


def test_masked_preference_is_the_ratio_of_the_pronouns(items):
    model = FakeMaskedLM(seed=3)
    pairs = winobias.twins(items)[:4]
    differences = winobias.pronoun_preferences(model, pairs)
    for pair, difference in zip(pairs, differences, strict=True):
        ids = model.encode([pair.pro.sentence])[0].ids.tolist()
        position = ids.index(model.ids[pair.pro.pronoun])
        logprobs = model._around(ids, position)
        expected = logprobs[model.ids[pair.pro.pronoun]] - logprobs[model.ids[pair.anti.pronoun]]
        assert difference == pytest.approx(expected)


@pytest.mark.parametrize("mark", [".", " .", "!", ' ".', "..."])
def test_a_mark_at_the_end_is_no_part_of_the_pronoun(mark):
    """Of a real adapter: the mark stays in sight, and only the pronoun is asked for."""
    module, tokenizer = tiny_bert_masked_lm()
    model = MaskedLM(module.double(), tokenizer, name="tiny")
    her, his = (sentence("doctor", "nurse", p, kind=2, pro=p == "her", pair="p") for p in ("her", "his"))
    pair = winobias.Twins(*(replace(i, sentence=f"the doctor said that he is {i.pronoun}{mark}") for i in (her, his)))
    (found,) = winobias.pronoun_preferences(model, [pair])
    text = tokenizer(pair.pro.sentence)["input_ids"]
    words = tokenizer.convert_tokens_to_ids(["her", "his"])
    at = text.index(words[0])
    assert len(text) > at + 2  # the mark, and the end
    with torch.no_grad():
        masked = torch.tensor([[*text[:at], tokenizer.mask_token_id, *text[at + 1 :]]])
        logp = model.module(masked).logits[0, at].log_softmax(-1)
    assert found == pytest.approx(float(logp[words[0]] - logp[words[1]]), abs=1e-5)


def test_a_model_that_prefers_nothing_has_no_preference_of_a_half(items):
    class Indifferent(FakeCausalLM):
        def token_logprobs(self, texts):
            return [replace(s, logprobs=-np.ones(len(s.ids))) for s in super().token_logprobs(texts)]

    found = winobias.WinoBias(limit=20, null_items=4).measure(Indifferent(), np.random.default_rng(0)).measurements
    for m in found:
        assert m.status == "invalid", m.id
        assert m.details["reason"] == "of 20 items 20 with neither side preferred; at most 5% may say nothing"
    m = next(m for m in found if m.id == "winobias/type1/pronoun_preference")
    assert m.details["validity"]["tie_rate"] == 1
    assert m.details["sample"] == "20 of 50 pairs"


def test_data_without_twins_are_refused(monkeypatch):
    alone = (sentence("cook", "lawyer", "she", kind=1, pro=True, pair="a"),)
    monkeypatch.setattr(data, "load", lambda name, kind: data.Dataset("w", alone, "", "", ""))
    with pytest.raises(DataError, match="no sentence together with its twin"):
        winobias.WinoBias().measure(FakeMaskedLM(), np.random.default_rng(0))
