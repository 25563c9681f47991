"""Heads and neurons are really cut out, and the result is what silencing them gives."""

import copy
import hashlib
import json

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import save

from auditkit.compression.block_layouts import ATTENTION, FEED_FORWARD, blocks
from auditkit.compression.layers import linear_layers
from auditkit.compression.sparse import load_sparse, save_sparse
from auditkit.compression.spec import compress
from auditkit.compression.structured import network_of
from auditkit.errors import InputError, ModelError, UnknownName
from auditkit.models.causal_lm import CausalLM
from auditkit.models.char_gpt import CharModel
from auditkit.models.masked_lm import MaskedLM
from auditkit.models.protocols import MaskQuery
from auditkit.testing import check_model
from tests.compression.conftest import ADAPTERS, TEXTS, architecture, same_bytes, state, tiny
from tests.models.conftest import CAUSAL, MASKED
from tests.privacy.tiny_models import char_gpt

LAYOUTS = {"heads": ATTENTION, "neurons": FEED_FORWARD}
FUSED = ("gpt-neox", "bloom", "deberta-v2")
"""Architectures whose heads cannot be taken apart."""
CASES = [("heads", n) for n in (*MASKED, *CAUSAL, "char-gpt") if n not in FUSED]
CASES += [("neurons", n) for n in (*MASKED, *CAUSAL, "char-gpt", "seq2seq")]


def make(name):
    return tiny(name) if name in ADAPTERS else architecture(name)


def silenced(model, step, ratio):
    """A full copy in which whatever reads the unimportant units multiplies them by zero."""
    model = copy.deepcopy(model)
    for block in blocks(network_of(model), LAYOUTS[step]):
        kept = block.most_important(ratio)
        read = torch.zeros(block.units, block.joined.weight.shape[1] // block.units)
        read[kept] = 1
        block.joined.weight.mul_(read.flatten())
    return model


def logits(model):
    """In double precision, so that the order of summation does not show."""
    module = copy.deepcopy(model.module).double()
    ids = torch.arange(5, 17)[None]
    with torch.no_grad():
        if isinstance(model, CharModel):
            return module(ids)
        options = {"decoder_input_ids": ids} if module.config.is_encoder_decoder else {}
        return module(input_ids=ids, **options).logits


@pytest.mark.parametrize(("step", "name"), CASES)
def test_cutting_equals_silencing(step, name):
    model = make(name)
    smaller = compress(model, {step: {"ratio": 0.5}})
    torch.testing.assert_close(logits(smaller), logits(silenced(model, step, 0.5)), rtol=0, atol=1e-6)
    assert (logits(smaller) - logits(model)).abs().max() > 1e-3, "cutting changed nothing: the test shows nothing"
    done = smaller.compression[0]
    assert done["parameters_after"] == smaller.describe()["parameters"] < model.describe()["parameters"]
    assert done[f"{step}_after"] == done[f"{step}_before"] // 2


@pytest.mark.parametrize(("step", "name"), [case for case in CASES if case[1] != "char-gpt"])
def test_the_random_twin_of_a_transformer_is_as_narrow(step, name):
    smaller = compress(make(name), {step: {"ratio": 0.5}})
    assert smaller.randomized(3).describe()["parameters"] == smaller.describe()["parameters"]


@pytest.mark.parametrize("steps", [["heads"], ["neurons"], ["heads", "neurons"], ["neurons", "heads"]])
@pytest.mark.parametrize("kind", [kind for kind in ADAPTERS if kind != "seq2seq"])
def test_every_kind_of_model_still_conforms_and_is_reloaded(kind, steps, tmp_path):
    model = tiny(kind)
    before = state(model)
    smaller = compress(model, [{step: {"ratio": 0.5}} for step in steps])
    check_model(smaller)
    assert same_bytes(before, state(model)), "the model given was changed"
    save_sparse(smaller, tmp_path)
    again = load_sparse(tmp_path, model)
    assert same_bytes(state(again), state(smaller))
    check_model(again)


@pytest.mark.parametrize("name", ["bert", "roberta", "electra"])
def test_the_last_layer_is_still_read_at_one_position(name):
    """`auditkit.models.narrow` computes it by itself, from the attributes of the attention."""
    smaller = compress(make(name), [{"heads": {"ratio": 0.5}}, {"neurons": {"ratio": 0.5}}])
    ids = (2, smaller.mask_id, 6, 7, 8, 3)
    fast = smaller.masked_logprobs([MaskQuery(ids, 1, (5, 6, 7))])[0]
    with torch.no_grad():
        whole = smaller.module(input_ids=torch.tensor([ids])).logits[0, 1].double().log_softmax(-1)[5:8]
    np.testing.assert_allclose(fast, whole.numpy(), atol=1e-5)


def test_key_value_heads_go_with_the_query_heads_that_share_them():
    model = architecture("llama")  # 4 query heads of width 8 share 2 key-value heads
    first = model.module.model.layers[0].self_attn
    with torch.no_grad():
        first.v_proj.weight[:8] *= 1e-3  # key-value head 0, all of it
        first.k_proj.weight[:8] *= 1e-3
        first.q_proj.weight[:16] *= 1e-3
        first.o_proj.weight[:, :16] *= 1e-3
    cut = compress(model, {"heads": {"ratio": 0.5}}).module.model.layers[0].self_attn
    assert torch.equal(cut.q_proj.weight, first.q_proj.weight[16:])
    assert torch.equal(cut.k_proj.weight, first.k_proj.weight[8:])
    assert torch.equal(cut.v_proj.weight, first.v_proj.weight[8:])
    assert torch.equal(cut.o_proj.weight, first.o_proj.weight[:, 16:])
    assert (cut.q_proj.out_features, cut.o_proj.in_features, cut.num_key_value_groups) == (16, 16, 2)


def test_importance_by_hand():
    model = char_gpt(hidden=4, ff_multiple=1)  # 2 heads of width 2; 4 neurons
    network = model.module
    with torch.no_grad():
        for layer in linear_layers(network).values():
            layer.weight.fill_(1)
        network.blocks[0].attention.k.weight[3, 0] = 3.0  # head 1
        network.blocks[0].feed_forward[2].weight[1, 2] = 0.0  # neuron 2
    attention, feed_forward = blocks(network, ATTENTION)[0], blocks(network, FEED_FORWARD)[0]
    assert attention.importance().tolist() == [4 * 8, 4 * 8 + 8]
    assert feed_forward.importance().tolist() == [8, 8, 7, 8]
    assert attention.most_important(0.5) == [1]
    assert feed_forward.most_important(0.25) == [0, 1, 3]
    assert feed_forward.most_important(0.5) == [0, 1]  # of equal ones the first stay


@pytest.mark.parametrize("step", LAYOUTS)
def test_at_least_one_stays(step):
    smaller = compress(tiny("char-gpt"), {step: {"ratio": 0.99}})
    assert {block.units for block in blocks(smaller.module, LAYOUTS[step])} == {1}
    check_model(smaller)


@pytest.mark.parametrize("step", LAYOUTS)
def test_a_ratio_of_zero_changes_no_byte(step):
    model = architecture("bert")
    same = compress(model, {step: {"ratio": 0}})
    assert same_bytes(state(same), state(model))
    assert type(same.module) is type(model.module)
    assert same.compression[0]["reload_with"] == "from_pretrained"


def test_only_the_blocks_named_are_cut():
    smaller = compress(architecture("bert"), {"neurons": {"ratio": 0.5, "layers": ["*.layer.1.intermediate*"]}})
    assert [block.units for block in blocks(smaller.module, FEED_FORWARD)] == [48, 24]
    assert smaller.compression[0]["reload_with"].endswith("load_sparse")  # one number cannot say two widths
    assert smaller.randomized(0).describe()["parameters"] == smaller.describe()["parameters"]
    with pytest.raises(UnknownName, match="unknown layer"):
        compress(architecture("bert"), {"neurons": {"ratio": 0.5, "layers": ["*nothing*"]}})
    with pytest.raises(InputError, match=r"no neurons of a known layout in \*query"):
        compress(architecture("bert"), {"neurons": {"ratio": 0.5, "layers": ["*query"]}})


@pytest.mark.parametrize("name", FUSED)
def test_heads_that_cannot_be_taken_apart_are_refused(name):
    with pytest.raises(InputError, match="no heads of a known layout"):
        compress(architecture(name), {"heads": {"ratio": 0.5}})


def test_heads_of_t5_share_their_positions_and_are_refused():
    with pytest.raises(InputError, match="no heads of a known layout"):
        compress(tiny("seq2seq"), {"heads": {"ratio": 0.5}})


@pytest.mark.parametrize(
    ("step", "name"), [("heads", "llama"), ("heads", "qwen2"), ("neurons", "llama"), ("neurons", "gpt2")]
)
def test_what_the_configuration_can_say_is_reloaded_as_ever(step, name, tmp_path):
    smaller = compress(architecture(name), {step: {"ratio": 0.5}})
    assert smaller.compression[0]["reload_with"] == "from_pretrained"
    smaller.module.save_pretrained(tmp_path)
    module = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    again = CausalLM(module, smaller.tokenizer, name="again")
    assert same_bytes(state(again), state(smaller))
    assert again.generate(TEXTS[:2], 5) == smaller.generate(TEXTS[:2], 5)


def test_what_it_cannot_say_is_refused_by_from_pretrained(tmp_path):
    smaller = compress(architecture("bert"), {"heads": {"ratio": 0.5}})
    smaller.module.save_pretrained(tmp_path)
    with pytest.raises(RuntimeError, match="size"):
        transformers.AutoModelForMaskedLM.from_pretrained(tmp_path)


def test_a_char_gpt_with_cut_heads_is_neither_saved_nor_loaded_as_a_plain_one(tmp_path):
    model = tiny("char-gpt")
    smaller = compress(model, {"heads": {"ratio": 0.5}})
    with pytest.raises(ModelError, match="not those of its configuration"):
        smaller.save(tmp_path / "refused")
    assert not (tmp_path / "refused").exists()
    weights = save(smaller.module.state_dict())
    config = model.save(tmp_path) / "config.json"
    facts = json.loads(config.read_text()) | {"weights_file_sha256": hashlib.sha256(weights).hexdigest()}
    config.write_text(json.dumps(facts))
    (tmp_path / "model.safetensors").write_bytes(weights)
    with pytest.raises(ModelError, match=r"does not fit its config\.json"):
        CharModel.load(tmp_path)


def test_heads_that_leave_no_valid_configuration_are_remembered_by_the_class():
    """Of 4 heads 3 stay: a width of 32 is no multiple of 3, and the configuration of Llama refuses that."""
    model = architecture("llama", num_key_value_heads=4)
    smaller = compress(model, {"heads": {"ratio": 0.25}})
    assert smaller.compression[0]["heads_after"] == 6
    assert smaller.compression[0]["reload_with"].endswith("load_sparse")
    torch.testing.assert_close(logits(smaller), logits(silenced(model, "heads", 0.25)), rtol=0, atol=1e-6)
    assert smaller.randomized(0).describe()["parameters"] == smaller.describe()["parameters"]


def test_cutting_twice_is_cutting_the_rest():
    model = architecture("bert")
    twice = compress(compress(model, {"heads": {"ratio": 0.5}}), {"heads": {"ratio": 0.5}})
    assert [block.units for block in blocks(twice.module, ATTENTION)] == [1, 1]
    assert [done["heads_after"] for done in twice.compression] == [4, 2]
    assert isinstance(twice, MaskedLM)
    assert twice.describe()["architecture"] == "BertForMaskedLM"
