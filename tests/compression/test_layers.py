"""The linear maps inside the stack of blocks are found in every kind of model, and nothing else."""

import peft
import pytest
import torch
from torch import nn

from auditkit.compression.layers import linear_layers, refuse_quantised, sparsity
from auditkit.errors import InputError, UnknownName
from tests.compression.conftest import tiny

PER_BLOCK = {"char-gpt": 6, "causal": 4, "masked": 6, "classifier": 6, "sentence-encoder": 6}
BLOCKS = {"char-gpt": 2, "causal": 2, "masked": 2, "classifier": 1, "sentence-encoder": 1}


@pytest.mark.parametrize("kind", BLOCKS)
def test_every_linear_map_of_every_block_is_found_and_no_other(kind):
    layers = linear_layers(tiny(kind).module)
    assert len(layers) == PER_BLOCK[kind] * BLOCKS[kind]
    assert not [name for name in layers if any(word in name for word in ("head", "cls", "pooler", "classifier"))]


def test_an_encoder_and_a_decoder_are_both_found():
    layers = linear_layers(tiny("seq2seq").module)
    assert len([name for name in layers if name.startswith("encoder.")]) == 6
    assert len([name for name in layers if name.startswith("decoder.")]) == 10


def test_a_weight_is_out_by_in_whichever_way_it_is_stored(adapter):
    for layer in linear_layers(adapter.module).values():
        x = torch.randn(3, layer.weight.shape[1])
        bias = 0 if layer.part.bias is None else layer.part.bias
        torch.testing.assert_close(layer.part(x), x @ layer.weight.T + bias)


def test_what_is_written_into_the_view_is_in_the_model():
    module = tiny("causal").module
    layer = linear_layers(module)["transformer.h.0.mlp.c_fc"]
    layer.weight[1, 2] = 42.0
    assert layer.transposed
    assert module.transformer.h[0].mlp.c_fc.weight[2, 1] == 42.0


def test_layers_are_chosen_by_glob_or_by_full_name():
    module = tiny("masked").module
    query = "bert.encoder.layer.1.attention.self.query"
    assert list(linear_layers(module, ["*.1.*query", "cls.predictions.decoder"])) == [query, "cls.predictions.decoder"]
    assert list(linear_layers(module, query)) == [query]


def test_a_glob_does_not_reach_outside_the_stack():
    assert len(linear_layers(tiny("masked").module, ["*"])) == 12


def test_an_unknown_layer_is_refused_with_those_that_are_close():
    with pytest.raises(UnknownName, match=r"did you mean 'blocks\.0\.attention\.q'"):
        linear_layers(tiny("char-gpt").module, ["blocks.0.atention.q"])
    with pytest.raises(UnknownName, match="unknown layer"):
        linear_layers(tiny("char-gpt").module, ["*nothing*"])


def test_a_network_without_blocks_is_refused():
    with pytest.raises(InputError, match="no stack of blocks"):
        linear_layers(nn.Sequential(nn.Linear(2, 2)))


def test_zeros_are_counted():
    module = tiny("char-gpt").module
    module.blocks[0].attention.q.weight.data[:4] = 0  # 4 of 16 rows, of 12 layers with 4096 weights together
    found = sparsity(module)
    assert (found.zeros, found.weights) == (64, 4096)
    assert found.fraction == 64 / 4096
    assert found.layers["blocks.0.attention.q"] == 0.25
    assert found.layers["blocks.1.attention.q"] == 0


def test_unmerged_low_rank_adapters_are_refused():
    module = tiny("masked").module
    peft.tuners.lora.LoraModel(module, peft.LoraConfig(r=2, target_modules=["query"]), "default")
    with pytest.raises(InputError, match="merge the adapters first"):
        linear_layers(module)


def test_packed_weights_are_refused():
    module = tiny("masked").module
    module.bert.encoder.layer[0].output.dense.weight = nn.Parameter(
        torch.zeros(16, 24, dtype=torch.int8), requires_grad=False
    )
    with pytest.raises(InputError, match=r"layer bert\.encoder\.layer\.0\.output\.dense .* already quantised"):
        linear_layers(module)


def test_a_tensor_subclass_counts_as_packed():
    class Packed(torch.Tensor):
        pass

    module = tiny("char-gpt").module
    refuse_quantised(module)
    weight = module.head.weight.detach().as_subclass(Packed)
    module.head.weight = nn.Parameter(weight, requires_grad=False)
    with pytest.raises(InputError, match="layer head"):
        refuse_quantised(module)
