"""The probe: verdict first, every check with its interval, the words that drive the gap, and data for heat maps."""

import json
from dataclasses import replace

import pytest

from auditkit import plugins
from auditkit.compression import compress
from auditkit.errors import InputError, MissingCapability, UnknownName
from auditkit.explain.methods import METHODS
from auditkit.models.char_gpt import CharModel
from auditkit.models.char_transformer import CharGPTConfig, CharTransformer
from auditkit.probes.attribution import SOURCES, WordAttribution
from auditkit.probes.base import generator
from auditkit.testing import check_probe
from tests.explain.explained_models import biased_bag, shortcut_classifier
from tests.explain.test_contrast import PAIRS
from tests.privacy import tiny_models


def csv(tmp_path, pairs):
    lines = ["id,more,less,group,direction,cluster"]
    lines += [f"{p.id},{p.more},{p.less},{p.group},{p.direction},{p.cluster}" for p in pairs]
    path = tmp_path / "pairs.csv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def measured(model, **options):
    probe = WordAttribution(**options)
    result = probe.measure(model, generator(0, probe.id))
    return {m.id.removeprefix("attribution/all/"): m for m in result.measurements}, result


def test_the_planted_word_is_named_as_what_drives_the_gap(tmp_path):
    found, _ = measured(biased_bag({"tired": 1.5}), data=csv(tmp_path, PAIRS))
    preference = found["preference"]
    assert preference.value == pytest.approx(1.5, abs=1e-5)
    first = preference.details["drivers"][0]
    assert (first["word"], first["n"]) == ("tired", 8)
    assert first["p_value_holm"] < 0.05
    heat = found["failed_checks"].details["heat_map"][0]
    assert len(heat["words"]) == len(heat["values"])


@pytest.mark.slow
def test_a_good_explanation_of_given_texts_is_trusted_and_a_bad_one_is_not():
    model, planted = shortcut_classifier()
    good, _ = measured(model, texts=tuple(planted), judged=20)
    assert good["failed_checks"].value == 0
    assert good["failed_checks"].details["verdict"] == "trusted"
    assert good["comprehensiveness_over_random"].interval.low > 0
    assert "preference" not in good
    saturated, _ = measured(model, texts=tuple(planted), judged=20, method="gradient_x_activation")
    assert saturated["failed_checks"].details["verdict"] != "trusted"


def test_the_probe_keeps_the_contract_on_every_kind_of_model(tmp_path):
    data = csv(tmp_path, PAIRS)
    for kind in ("char-gpt", "causal", "masked", "classifier", "sentence-encoder", "seq2seq"):
        model = tiny_models.KINDS[kind][0]()
        if kind == "seq2seq":  # what it writes without training has no end
            model.generate = lambda texts, max_new_tokens=64: ["the nurse"] * len(texts)
        result = check_probe(WordAttribution(data=data, explained=4, judged=3, method="occlusion"), model)
        assert any(m.status == "ok" for m in result.measurements)
        json.dumps([m.to_json() for m in result.measurements], allow_nan=False)


def test_texts_come_from_a_file_too(tmp_path):
    (tmp_path / "texts.txt").write_text("the nurse was tired\n\nthe doctor was old\n")
    found, _ = measured(tiny_models.classifier(), texts=str(tmp_path / "texts.txt"), method="occlusion")
    assert found["failed_checks"].n == 2
    with pytest.raises(InputError, match="one text a line"):
        measured(tiny_models.classifier(), texts=str(tmp_path / "none.txt"))


def test_a_model_without_predictions_is_a_missing_capability():
    config = CharGPTConfig.original()
    with pytest.raises(MissingCapability, match="cannot be explained"):
        measured(CharModel(CharTransformer(config)), data="builtin_pairs")


def test_options_are_checked():
    with pytest.raises(InputError, match="judged=1"):
        WordAttribution(judged=1)
    with pytest.raises(UnknownName, match="did you mean 'occlusion'"):
        WordAttribution(method="oclusion")
    assert set(SOURCES) == set(METHODS)
    assert plugins.probe("attribution", {"method": "occlusion"}).method == "occlusion"


@pytest.mark.slow
def test_where_integrated_gradients_do_not_add_up_shapley_sampling_explains(monkeypatch):
    model, planted = shortcut_classifier()
    exact, _ = measured(model, texts=tuple(planted), judged=6)
    assert exact["failed_checks"].method.startswith("integrated_gradients")
    right = METHODS["integrated_gradients"]

    def a_tenth_short(engine, ends, settings):
        return [replace(found, values=0.9 * found.values) for found in right.run(engine, ends, settings)]

    monkeypatch.setitem(METHODS, "integrated_gradients", replace(right, run=a_tenth_short))
    found, _ = measured(model, texts=tuple(planted), judged=6)
    assert found["failed_checks"].method.startswith("shapley_sampling")
    assert found["completeness_error"].interval.high < 1e-4
    assert any("shapley_sampling" in notice for notice in model.notices)
    asked, _ = measured(model, texts=tuple(planted), judged=6, method="integrated_gradients")
    assert "completeness_error" in asked["failed_checks"].details["failed"]


def test_a_model_without_gradients_is_explained_without_them():
    model, planted = shortcut_classifier()
    small = compress(model, {"int8": {"kind": "dynamic", "backend": "int_mm"}})
    found, _ = measured(small, texts=tuple(planted), judged=8)
    assert found["failed_checks"].method.startswith("shapley_sampling")
