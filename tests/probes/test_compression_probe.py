"""The probe over compression keeps the contract of all probes, and its names are there without importing torch."""

import json
import subprocess
import sys

import numpy as np
import pytest

import auditkit.compression
from auditkit import plugins
from auditkit.models.protocols import HasModule
from auditkit.probes.compression import Compression
from auditkit.testing import check_probe
from tests.privacy import tiny_models

HALF = {"magnitude": {"ratio": 0.5}}


@pytest.mark.parametrize("kind", ["char-gpt", "causal", "masked", "classifier"])
def test_it_keeps_the_contract_on_every_kind_of_model(kind):
    make, records = tiny_models.KINDS[kind]
    rows = [
        {"text": text, "label": label, "noun": text.split()[1]}
        for text, label in (r if isinstance(r, tuple) else (r, "good") for r in records)
    ]
    probe = Compression(specs=[HALF, []], texts=rows, groups=["noun"], costs=False, drift=kind == "classifier")
    result = check_probe(probe, make())
    ids = {m.id for m in result.measurements}
    assert {"compression/all/recommendation", "compression/all/pareto_front"} <= ids
    assert "compression/unchanged-copy/group=noun=nurse/quality_loss" in ids
    json.dumps([m.to_json() for m in result.measurements], allow_nan=False)


def test_every_point_has_what_a_page_draws():
    probe = Compression(specs=[HALF], texts=tiny_models.TEXTS, costs=False)
    result = check_probe(probe, tiny_models.gpt2())
    front = next(m for m in result.measurements if m.id == "compression/all/pareto_front").details
    assert front["axes"] == ["bytes_in_memory", "quality_loss"]
    keys = {"slug", "label", "on_front", "safe", "flags", "values", "intervals", "groups"}
    assert [p.keys() for p in front["points"]] == [keys, keys]
    slug = front["points"][1]["slug"]
    harms = next(m for m in result.measurements if m.id == f"compression/{slug}/hidden_harms").details
    assert {"label", "steps", "flags", "notices", "probes", "overall", "harms", "candidates"} <= harms.keys()
    assert harms["steps"][0]["step"] == harms["label"]


def test_without_texts_the_shipped_pairs_are_read():
    probe = Compression(specs=[HALF], costs=False)
    result = probe.measure(tiny_models.char_gpt(context=160), np.random.default_rng(0))
    assert any(m.id.startswith("compression/dense/group=") for m in result.measurements)
    loss = next(m for m in result.measurements if m.id == "compression/dense/loss")
    assert loss.n > 1000


def test_its_options_come_from_yaml():
    options = {"specs": ["int8", [HALF, "int8"]], "probes": [{"stereotype_pairs": {"groups": ["gender"]}}]}
    probe = plugins.probe("auditkit.probes.compression:Compression", options)
    assert probe.needs == (HasModule,)
    assert [p.id for p in probe.built_probes()] == ["stereotype_pairs"]


@pytest.mark.parametrize("name", auditkit.compression.__all__)
def test_every_name_is_there(name):
    assert getattr(auditkit.compression, name) is not None
    assert name in dir(auditkit.compression)


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, auditkit.compression, auditkit.probes.compression; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
