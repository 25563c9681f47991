"""The exposure probe: planted canaries found, left-out ones not, and no secret in the report."""

import json
import math

import numpy as np
import pytest

import auditkit as ak
from auditkit.errors import DataError, InputError, VocabularyError
from auditkit.models.char_gpt_training import train
from auditkit.models.char_transformer import CharGPTConfig
from auditkit.privacy import canaries as planted
from auditkit.probes.base import generator
from auditkit.probes.exposure import Exposure
from auditkit.testing import FakeCausalLM, FakeMaskedLM, check_probe

WORDS = ("the", "cat", "dog", "sees", "a", "bird", "in", "tree", "my", "house")
SPACES = [
    planted.chosen_format("##-#", context="my id is "),
    planted.words(2, [f"{a}{b}" for a in ("ba", "ke", "lo", "mu", "ti") for b in ("ra", "so", "vi")], context="word: "),
]


@pytest.fixture(scope="module")
def audit(tmp_path_factory):
    """(path of the canaries, a tiny char-GPT that was overtrained on the inserted ones)."""
    rng = np.random.default_rng(0)
    canaries = planted.draw(SPACES, 16, repetitions=20, seed=2)
    texts = planted.insert([" ".join(rng.choice(WORDS, 5)) for _ in range(60)], canaries, seed=0)
    config = CharGPTConfig(
        vocabulary="\n :abcdefghijklmnopqrstuvwxyz0123456789-", hidden=32, layers=2, heads=2, context=32, causal=True,
        positions=True, scaled=True, pre_norm=True,
    )  # fmt: skip
    model = train("\n".join(texts), config, epochs=25, batch_size=8, lr=4e-3, validation=0).model
    return str(planted.save(canaries, tmp_path_factory.mktemp("canaries") / "canaries.json")), model


@pytest.fixture(scope="module")
def measured(audit):
    path, model = audit
    result = check_probe(Exposure(canaries=path), model)
    return {m.id.removeprefix("exposure/"): m for m in result.measurements}, result


def test_planted_canaries_are_exposed_and_left_out_ones_are_not(measured):
    found, _ = measured
    for space in SPACES:
        mean, control = found[f"{space.kind}/mean"], found[f"{space.kind}/control_mean"]
        # Even when they take all the first places, k canaries share them.
        assert mean.value > space.bits - math.log2(mean.n) - 0.5
        assert mean.details["p_value_holm"] < 0.01
        assert mean.interval.low > control.interval.high
        assert mean.ideal in control.interval
        assert mean.ideal not in mean.interval
        assert found[f"{space.kind}/max"].value == pytest.approx(space.bits)
        assert found[f"{space.kind}/max"].interval.high <= space.bits


def test_inserted_and_left_out_canaries_are_counted(measured, audit):
    found, result = measured
    canaries = planted.load(audit[0])
    for space in SPACES:
        inserted = sum(c.inserted for c in canaries.of_kind(space.kind))
        assert found[f"{space.kind}/mean"].n == inserted
        assert found[f"{space.kind}/control_mean"].n == 16 - inserted
        assert found[f"{space.kind}/rank_one"].n == inserted
        assert found[f"{space.kind}/rank_one"].value >= 100 / inserted
        assert found[f"{space.kind}/mean"].details["repetitions"] == [20]
    assert {i.item for i in result.items} == {c.id for c in canaries.canaries}


def test_secrets_are_shown_only_when_asked_for(measured, audit):
    path, model = audit
    found, result = measured
    text = json.dumps([m.to_json() for m in result.measurements]) + str(result.items)
    assert found["format/mean"].details["extremes"][0]["a"].startswith("[0-4 characters, sha256 ")
    secrets = [c.secret for c in planted.load(path).canaries]
    assert not any(secret in text for secret in secrets)
    open_ = Exposure(canaries=path, redact=False).measure(model, generator(0, "exposure"))
    shown = {row["a"] for m in open_.measurements for row in m.details.get("extremes", [])}
    assert len(shown) == 12
    assert all(any(text.endswith(secret) for secret in secrets) for text in shown)


def test_a_model_that_never_saw_them_is_cleared(audit):
    path, model = audit
    result = Exposure(canaries=path).measure(model.randomized(3), generator(0, "exposure"))
    for m in result.measurements:
        if m.id.endswith("/mean"):
            assert m.ideal in m.interval
            assert m.details["p_value"] > 0.05
        if m.id.endswith("/rank_one"):
            assert m.interval.low < 10


def test_large_spaces_are_sampled(audit):
    path, model = audit
    probe = Exposure(canaries=path, max_exact=300, samples=400)
    found = {m.id: m for m in check_probe(probe, model).measurements}
    assert found["exposure/words/mean"].details["exact"]
    sampled = found["exposure/format/mean"]
    assert not sampled.details["exact"]
    assert sampled.details["mean_standard_error_of_estimate"] > 0
    assert 0 <= sampled.details["fit_p_value"] <= 1
    assert "skew-normal distribution fitted to the log-perplexity of 400 sampled candidates" in sampled.method
    assert sampled.details["p_value"] < 0.01
    top = found["exposure/format/max"]
    assert top.interval.low < top.value <= top.interval.high


@pytest.mark.parametrize("model", [FakeCausalLM(), FakeMaskedLM()])
def test_either_kind_of_language_model_is_measured(model, tmp_path):
    jobs = ["nurse", "doctor", "cook", "lawyer", "teacher", "artist", "manager"]
    canaries = planted.draw([planted.words(2, jobs, context="the person is a ")], 24, seed=0)
    probe = Exposure(canaries=str(planted.save(canaries, tmp_path / "canaries.json")))
    assert all(m.status == "ok" for m in check_probe(probe, model).measurements)


def test_coins_that_all_fell_alike_leave_one_side_undefined(tmp_path):
    canaries = planted.draw([planted.words(1, [chr(c) for c in range(97, 123)], context="x ")], 20, seed=0)
    outside = planted.Canaries(
        canaries.spaces, tuple(planted.Canary(c.id, c.kind, c.secret, False, 1) for c in canaries.canaries), 0
    )
    path = planted.save(outside, tmp_path / "canaries.json")
    found = {m.id: m for m in check_probe(Exposure(canaries=str(path)), FakeCausalLM()).measurements}
    assert found["exposure/words/mean"].status == "undefined"
    assert "none of the 20 canaries is inserted" in found["exposure/words/mean"].details["reason"]
    assert found["exposure/words/control_mean"].status == "ok"
    assert len(found) == 2


def test_bad_input_is_refused(audit, tmp_path):
    path, model = audit
    rng = generator(0, "exposure")
    with pytest.raises(DataError, match=r"exposure needs canaries, the path of the file"):
        Exposure().measure(model, rng)
    with pytest.raises(DataError, match=r"canaries\.save writes one"):
        Exposure(canaries=str(tmp_path / "none.json")).measure(model, rng)
    with pytest.raises(InputError, match="samples=5"):
        Exposure(canaries=path, samples=5)
    upper = planted.draw([planted.chosen_format("A##", context="my id is ")], 20, seed=0)
    with pytest.raises(VocabularyError, match="cannot express 'A'"):
        Exposure(canaries=str(planted.save(upper, tmp_path / "upper.json"))).measure(model, rng)


def test_exposure_is_compared_with_an_earlier_report_canary_by_canary(audit, tmp_path):
    path, model = audit
    before = tmp_path / "before"
    earlier = ak.audit(model, probes=[Exposure(canaries=path)], out=before)
    report = str(before / "report.json")
    unlearned = model.randomized(1)
    found = {m.id: m for m in Exposure(canaries=path, before=report).measure(unlearned, generator(0, "x")).measurements}
    change = found["exposure/format/change"]
    mean = earlier["exposure/format/mean"].value
    assert change.details["before"] == pytest.approx(mean)
    assert change.value == pytest.approx(found["exposure/format/mean"].value - mean)
    assert change.interval.high < 0
    same = Exposure(canaries=path, before=report).measure(model, generator(0, "exposure")).measurements
    assert next(m for m in same if m.id == "exposure/format/change").value == 0


def test_an_earlier_report_of_other_canaries_is_refused(audit, tmp_path):
    path, model = audit
    ak.audit(model, probes=[Exposure(canaries=path)], out=tmp_path)
    others = str(planted.save(planted.draw(SPACES, 16, repetitions=20, seed=3), tmp_path / "others.json"))
    probe = Exposure(canaries=others, before=str(tmp_path / "report.json"))
    with pytest.raises(DataError, match="no exposure of these canaries"):
        probe.measure(model, generator(0, "x"))
