"""Weights with zeros take less room on disk, and come back bit for bit."""

import numpy as np
import pytest
import torch

from auditkit.compression.layers import linear_layers
from auditkit.compression.packing import pack, unpack
from auditkit.compression.sparse import FILE, load_sparse, save_sparse, storage
from auditkit.compression.spec import compress
from auditkit.errors import InputError, ModelError
from tests.compression.conftest import same_bytes, state, tiny
from tests.privacy.tiny_models import char_gpt, gpt2


def size(parts):
    return sum(part.nbytes for part in parts.values())


def sparse_matrix(shape, nonzero, dtype=torch.float32, seed=0):
    """`nonzero` elements that are not zero, one of them -0.0 and one NaN, at random places."""
    rng = np.random.default_rng(seed)
    flat = torch.zeros(int(np.prod(shape)), dtype=dtype)
    where = torch.from_numpy(rng.permutation(len(flat))[:nonzero])
    flat[where] = torch.from_numpy(rng.normal(size=nonzero) + 3).to(dtype)
    if nonzero > 1 and dtype.is_floating_point:
        flat[where[:2]] = torch.tensor([-0.0, float("nan")]).to(dtype)
    return flat.reshape(shape)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int8])
@pytest.mark.parametrize("shape", [(8, 16), (7, 13), (1, 9), (3, 5, 4), (64, 100)])
@pytest.mark.parametrize("density", [0.0, 0.004, 0.1, 0.5, 1.0])
def test_every_way_is_lossless(dtype, shape, density):
    tensor = sparse_matrix(shape, round(density * np.prod(shape)), dtype)
    kind, parts = pack(tensor)
    again = unpack(kind, parts, shape)
    assert same_bytes({"": tensor}, {"": again})
    assert size(parts) <= tensor.nbytes


@pytest.mark.parametrize(
    ("nonzero", "kind", "expected"),
    [
        (64 * 100, "dense", 25600),
        (640, "bitmap", 800 + 4 * 640),  # a bit for each of 6400, and 640 float32
        (20, "csr", 4 * 65 + 20 * (4 + 2)),  # 65 row starts; a value and an int16 column each
    ],
)
def test_the_smallest_way_is_taken(nonzero, kind, expected):
    found, parts = pack(sparse_matrix((64, 100), nonzero))
    assert (found, size(parts)) == (kind, expected)


@pytest.mark.parametrize("transposed", [False, True])
def test_two_of_four_is_half_the_values_and_two_bits_each(transposed):
    matrix = torch.randn(8, 12).view(8, 3, 4)
    matrix[..., 1::2] = 0
    matrix[0, 0] = torch.tensor([0.0, 7.0, 0.0, -0.0])
    matrix = matrix.view(8, 12).T.contiguous() if transposed else matrix.view(8, 12)
    kind, parts = pack(matrix)
    assert kind == ("2:4 transposed" if transposed else "2:4")
    assert size(parts) == 48 * 4 + 96 / 8
    assert same_bytes({"": unpack(kind, parts, tuple(matrix.shape))}, {"": matrix})


def test_one_value_fewer_is_no_exact_two_of_four_and_the_bitmap_is_smaller():
    matrix = torch.tensor([[1.0, 0.0, 2.0, 0.0] * 8, [1.0, 0.0, 2.0, 0.0] * 7 + [0.0, 0.0, 0.0, 1.0]])
    kind, parts = pack(matrix)
    assert (kind, size(parts)) == ("bitmap", 31 * 4 + 8)
    assert torch.equal(unpack(kind, parts, (2, 32)), matrix)


def test_exact_two_of_four_is_stored_as_such():
    model = compress(tiny("causal"), {"magnitude": {"pattern": "2:4"}})
    kinds = {storage(model.module)[f"{name}.weight"].kind for name in linear_layers(model.module)}
    assert kinds == {"2:4 transposed"}  # GPT-2 keeps its weights (in, out)


def test_columns_beyond_int16_are_kept():
    matrix = torch.zeros(2, 2**15 + 2)
    matrix[1, 2**15 + 1] = 7.0
    kind, parts = pack(matrix)
    assert kind == "csr"
    assert parts["columns"].dtype == torch.int32
    assert torch.equal(unpack(kind, parts, (2, 2**15 + 2)), matrix)
    assert pack(matrix[:, : 2**15])[1]["columns"].dtype == torch.int16


@pytest.mark.parametrize(
    "spec",
    [
        [],
        {"magnitude": {"ratio": 0.9}},
        {"magnitude": {"pattern": "2:4"}},
        {"random": {"ratio": 0.99}},
        [{"neurons": {"ratio": 0.5}}, {"random": {"ratio": 0.5}}],
    ],
    ids=str,
)
def test_every_kind_of_model_comes_back(adapter, spec, tmp_path):
    smaller = compress(adapter, spec)
    written = save_sparse(smaller, tmp_path)
    again = load_sparse(tmp_path, adapter)
    assert written == (tmp_path / FILE).stat().st_size
    assert same_bytes(state(again), state(smaller))
    assert again.name == smaller.name
    assert again.compression == smaller.compression
    assert again.describe() == smaller.describe()


def test_a_loaded_model_does_not_touch_the_one_given(tmp_path):
    model = tiny("causal")
    before = state(model)
    save_sparse(compress(model, {"magnitude": {"ratio": 0.9}}), tmp_path)
    load_sparse(tmp_path, model)
    assert same_bytes(before, state(model))


def test_nine_tenths_pruned_take_a_quarter_at_most(tmp_path):
    model = compress(char_gpt(hidden=64, ff_multiple=4, layers=2), {"magnitude": {"ratio": 0.9}})
    stored = storage(model.module)
    weights = [stored[f"{name}.weight"] for name in linear_layers(model.module)]
    share = sum(s.bytes for s in weights) / sum(s.dense_bytes for s in weights)
    assert share <= 0.25
    assert share == pytest.approx(1 / 32 + 0.1, abs=0.002)
    everything = sum(s.bytes for s in stored.values())
    assert everything < save_sparse(model, tmp_path) < everything + 12_000  # the header


def test_tied_weights_are_stored_once_and_stay_tied(tmp_path):
    model = gpt2()
    assert model.module.lm_head.weight is model.module.transformer.wte.weight
    assert len([n for n in storage(model.module) if n in ("lm_head.weight", "transformer.wte.weight")]) == 1
    save_sparse(model, tmp_path)
    again = load_sparse(tmp_path, model).module
    assert again.lm_head.weight is again.transformer.wte.weight


def test_the_number_format_of_the_file_wins(tmp_path):
    half = tiny("masked")
    half.module.to(torch.bfloat16)
    save_sparse(half, tmp_path)
    again = load_sparse(tmp_path, tiny("masked"))
    assert again.module.dtype == torch.bfloat16
    assert same_bytes(state(again), state(half))


def test_a_file_of_another_model_is_refused(tmp_path):
    save_sparse(char_gpt(), tmp_path)
    with pytest.raises(ModelError, match=r"no blocks\.1\.attention.* in the file"):
        load_sparse(tmp_path, char_gpt(layers=2))
    with pytest.raises(ModelError, match=r"is \(29, 16\) in the file, \(29, 8\) in the model"):
        load_sparse(tmp_path, char_gpt(hidden=8))


def test_a_model_that_is_narrower_than_the_file_is_refused(tmp_path):
    model = tiny("char-gpt")
    save_sparse(compress(model, {"neurons": {"ratio": 0.25}}), tmp_path)
    with pytest.raises(ModelError, match="should have 24 units, but it has 16"):
        load_sparse(tmp_path, compress(model, {"neurons": {"ratio": 0.5}}))


def test_a_missing_or_damaged_file_is_refused(tmp_path):
    with pytest.raises(ModelError, match="is not there"):
        load_sparse(tmp_path, char_gpt())
    save_sparse(compress(char_gpt(), {"magnitude": {"ratio": 0.9}}), tmp_path)
    file = tmp_path / FILE
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    with pytest.raises(ModelError, match="is damaged"):
        load_sparse(tmp_path, char_gpt())
    content = bytearray(whole)
    content[8 + int.from_bytes(whole[:8], "little")] ^= 1  # the first bit of the first weight
    file.write_bytes(content)
    with pytest.raises(ModelError, match="weights are not those that were saved"):
        load_sparse(tmp_path, char_gpt())
    file.write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError, match="is damaged"):
        load_sparse(tmp_path, char_gpt())


def test_another_safetensors_file_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2)}, tmp_path / FILE)
    with pytest.raises(ModelError, match="another format than 1"):
        load_sparse(tmp_path, char_gpt())


def test_a_weight_that_is_no_plain_tensor_is_refused(tmp_path):
    class Packed(torch.Tensor):
        pass

    model = char_gpt()
    model.module.head.weight = torch.nn.Parameter(model.module.head.weight.detach().as_subclass(Packed))
    with pytest.raises(InputError, match=r"head\.weight is a Packed, not a plain tensor"):
        save_sparse(model, tmp_path)
