"""Reading most pairs in bfloat16 changes no decision: planted near-ties are found, and without re-scoring they flip."""

import numpy as np
import pytest
import torch
import transformers

from auditkit import data, load_model
from auditkit.data.types import Pair
from auditkit.errors import InputError
from auditkit.models.causal_lm import CausalLM
from auditkit.models.masked_lm import MaskedLM
from auditkit.models.mixed_precision import body_maps, multiplying_in_bfloat16
from auditkit.probes.base import generator
from auditkit.probes.pair_scores import PairScores
from auditkit.probes.pairs import StereotypePairs, shown_together
from auditkit.probes.rescoring import settle
from auditkit.testing import FakeCausalLM
from tests.models.conftest import GPT, WORDS, build, byte_tokenizer, tiny_bert_masked_lm, tiny_llama

ERROR = 0.05


def tiny():
    return MaskedLM(*tiny_bert_masked_lm(), name="tiny")


class Readings:
    """Scores of `n` pairs, and of the same with a normal error of `sd` nats a pair."""

    def __init__(self, rng, n, sd=ERROR, decimals=12):
        difference = rng.normal(size=n)
        difference[:: n // 20] = rng.uniform(-sd, sd, len(difference[:: n // 20]))  # near-ties
        self.less, self.decimals = rng.normal(-40, 5, n), decimals
        self.more = self.less + difference
        self.wrong = self.more + rng.normal(0, sd, n)
        self.exactly_read = 0

    def exact(self, rows):
        self.exactly_read += len(rows)
        return {"m": PairScores(self.more[rows], self.less[rows], self.decimals)}

    def rough(self, rows):
        return {"m": PairScores(self.wrong[rows], self.less[rows], self.decimals)}


def flips(a, b):
    return int(np.count_nonzero((a.preferred != b.preferred) | (a.tied != b.tied)))


@pytest.mark.parametrize("decimals", [12, 3, 1])
def test_no_decision_of_many_differs_and_most_pairs_are_read_once(decimals):
    wrong, changed, again = 0, 0, 0
    for seed in range(300):
        readings = Readings(np.random.default_rng(seed), 400, decimals=decimals)
        every = np.arange(400)
        found, known = settle(readings.exact, readings.rough, 400)
        assert readings.exactly_read == known.sum()  # nothing is read twice
        expected = readings.exact(every)["m"]
        changed += flips(found["m"], expected)
        wrong += flips(readings.rough(every)["m"], expected)
        again += int(known.sum())
    assert changed == 0
    assert wrong > 300 * 5
    assert again < 300 * 400 * 0.4


def test_the_largest_differences_of_every_set_are_those_of_the_exact_reading():
    rng = np.random.default_rng(0)
    readings = Readings(rng, 400)
    sets = [np.ones(400, dtype=bool), np.arange(400) % 7 == 0, np.arange(400) < 4]
    found, known = settle(readings.exact, readings.rough, 400, sets)
    for rows in map(np.flatnonzero, sets):
        expected, shown = (np.abs(d[rows]) for d in (readings.more - readings.less, found["m"].difference))
        assert np.argsort(-shown)[:6].tolist() == np.argsort(-expected)[:6].tolist()
        assert np.sort(shown)[::-1][:6].tolist() == np.sort(expected)[::-1][:6].tolist()
    assert known.mean() < 0.5


@pytest.mark.parametrize("sd", [3.0, np.nan])
def test_a_reading_too_rough_to_decide_is_not_used(sd):
    readings = Readings(np.random.default_rng(0), 200)
    readings.wrong = readings.more + np.random.default_rng(1).normal(size=200) * sd
    found, known = settle(readings.exact, readings.rough, 200)
    assert known.all()
    assert found["m"].more.tolist() == readings.more.tolist()


def test_one_reading_that_failed_is_read_again():
    readings = Readings(np.random.default_rng(0), 200)
    readings.wrong[101] = np.nan
    found, known = settle(readings.exact, readings.rough, 200)
    assert known[101]
    assert not known.all()
    assert found["m"].more[101] == readings.more[101]


def random_pairs(n=150):
    """Pairs that differ in one word; some name the same word twice, which is a tie in any precision."""
    rng = np.random.default_rng(0)
    words = np.array([w for w in WORDS if w.isalpha()])
    pairs = []
    for i in range(n):
        text, at = rng.choice(words, 9), rng.integers(9)
        other = text.copy()
        other[at] = text[at] if i % 50 == 0 else rng.choice(words)
        kind = ("stereo", "antistereo", "control")[i % 3]
        pairs.append(Pair(str(i), " ".join(text), " ".join(other), "xy"[i % 2], kind, str(i)))
    return pairs


def test_the_decisions_of_a_model_are_those_of_float32():
    model, pairs, probe = tiny(), random_pairs(), StereotypePairs()
    found = probe.score_mixed(model, pairs, shown_together(pairs))
    expected = probe.score(tiny(), pairs)  # a new model: nothing that the first reading left behind
    with multiplying_in_bfloat16(model):
        rough = probe.score(model, pairs)
    assert list(found) == list(expected)
    for method, scores in expected.items():
        assert flips(found[method], scores) == 0
    assert sum(flips(rough[method], scores) for method, scores in expected.items()) > 0
    [(notice, exact)] = model.notices.items()
    assert notice == f"of {150 * len(found)} scores of a pair computed in float32, the others in bfloat16"
    assert 0 < exact < 150 * len(found)


def test_a_block_in_bfloat16_leaves_the_model_as_it_was():
    model = tiny()
    texts = ["the nurse said that she was tired ."]
    before, weights = model.unmasked_logprobs(texts)[0].logprobs, model.weights_sha256
    head = model.module.get_output_embeddings()
    with multiplying_in_bfloat16(model):
        inside = model.unmasked_logprobs(texts)[0].logprobs
        assert head(torch.ones(1, 32)).dtype == torch.float32
        assert "forward" not in vars(head)
    assert 1e-5 < np.abs(inside - before).max() < 0.5
    assert model.unmasked_logprobs(texts)[0].logprobs.tolist() == before.tolist()
    assert tiny().weights_sha256 == weights
    assert not any("forward" in vars(part) for part in model.module.modules())


def test_only_float32_maps_of_the_body_are_rounded():
    model = tiny()
    assert len(body_maps(model)) == 2 * 6 + 1  # two layers of six, and the head's own transform
    gpt2 = build(transformers.AutoModelForCausalLM, transformers.GPT2Config(**GPT, vocab_size=340))
    assert body_maps(CausalLM(gpt2, byte_tokenizer(), name="t")) == []  # transposed maps only
    assert body_maps(FakeCausalLM()) == []
    model.module.to(torch.bfloat16)
    assert body_maps(model) == []


@pytest.fixture
def shipped_like(tmp_path):
    path = tmp_path / "pairs.csv"
    rows = [f"{p.id},{p.more},{p.less},{p.group},{p.direction}" for p in random_pairs() if p.more != p.less]
    path.write_text("\n".join(["id,more,less,group,direction", *rows]))
    return str(path)


def test_a_report_in_mixed_precision_holds_the_numbers_of_float32(shipped_like, monkeypatch):
    def measured(precision, gain):
        monkeypatch.setattr("auditkit.compression.half_precision.gain_of_bfloat16", lambda *_: gain)
        model = tiny()
        probe = StereotypePairs(data=shipped_like, precision=precision)
        found = [m.to_json() for m in probe.measure(model, generator(0, probe.id)).measurements]
        agreement = [m["details"].get("validity", {}).pop("agreement", None) for m in found]
        scores = [shown.pop("score") for m in found for shown in m["details"].get("extremes", ())]
        assert len(scores) >= 48
        return found, scores, agreement, model.notices

    plain, largest, ranks, silent = measured("float32", 9.0)
    mixed, shown, unranked, notices = measured("mixed", 9.0)
    slow, _, same_ranks, refused = measured("mixed", 1.2)
    assert mixed == plain == slow
    assert shown == pytest.approx(largest, abs=2e-3)  # rounded to 1e-3; batches change the last digit
    assert same_ranks == ranks != unranked
    assert not any(unranked)
    assert not silent
    assert ["the others in bfloat16" in n for n in notices] == [True]
    pairs = sum(p.more != p.less for p in random_pairs())
    assert dict(refused) == {
        "pairs scored in float32 alone, not in precision mixed: bfloat16 is not fast enough here": pairs
    }


def test_a_causal_model_is_read_in_float32_and_that_is_said(shipped_like, monkeypatch):
    monkeypatch.setattr("auditkit.compression.half_precision.gain_of_bfloat16", lambda *_: 9.0)
    found = []
    for precision in ("float32", "mixed"):
        model = CausalLM(*tiny_llama(), name="tiny")
        probe = StereotypePairs(data=shipped_like, precision=precision, null_items=2)
        found.append([m.to_json() for m in probe.measure(model, generator(0, probe.id)).measurements])
    assert found[0] == found[1]
    assert "only metric and pll may be read otherwise" in next(iter(model.notices))


def test_an_unknown_precision_is_refused():
    with pytest.raises(InputError, match="precision 'fast': expected float32 or mixed"):
        StereotypePairs(precision="fast")


@pytest.mark.slow
@pytest.mark.parametrize("pairs_of", ["builtin_pairs", pytest.param("crows_pairs", marks=pytest.mark.data)])
def test_no_decision_on_real_pairs_differs(pairs_of):
    """Every fifth pair: all take a quarter of an hour where bfloat16 is slow, and had no other decision either."""
    model, pairs = load_model("minilm-mlm", device="cpu"), data.load(pairs_of, kind="pairs").items[::5]
    probe = StereotypePairs(methods=("metric", "pll"))
    found, expected = probe.score_mixed(model, pairs), probe.score(model, pairs)
    assert [flips(found[m], expected[m]) for m in expected] == [0, 0]
    assert next(iter(model.notices.values())) < 0.6 * 2 * len(pairs)
