"""Every door through which a model comes in: what is behind it is the model that was saved, or one line says why not.

The checks of heads, shards and gaps are the same for every door, so that most are tried on one small model.
"""

import json
import os
import shutil
import warnings
from importlib import util

import numpy as np
import peft
import pytest
import torch
from safetensors.torch import load_file, save_file

from auditkit.errors import InputError, MissingExtra, ModelError, UnknownName
from auditkit.models import load_model, quantized_checkpoints
from auditkit.models.causal_lm import CausalLM
from auditkit.models.load_options import LoadOptions
from tests.privacy import tiny_models

from .conftest import SMALL, build, tiny_bert_masked_lm, tiny_llama, transformers, word_piece_tokenizer

TEXTS = ["the nurse said that she was tired .", "the doctor"]
SHARD = "model-00002-of-00003.safetensors"
INDEX = "model.safetensors.index.json"


def saved(folder, module, tokenizer, **options):
    module.save_pretrained(folder, **options)
    tokenizer.save_pretrained(folder)
    return folder


def copied(folder, to):
    return shutil.copytree(folder, to)


def changed(path, change):
    """Write a JSON file anew, as `change` leaves it."""
    content = json.loads(path.read_text())
    path.write_text(json.dumps(change(content) or content))


def weights_changed(path, change):
    """Write a safetensors file anew, with what `change` makes of its tensors."""
    save_file({k: v.clone() for k, v in change(load_file(path)).items()}, path, metadata={"format": "pt"})


def hashed(where, **options):
    return load_model(str(where), **options).describe()["weights_sha256"]


def scores(model):
    return np.concatenate([s.logprobs for s in model.token_logprobs(TEXTS)])


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """In three shards."""
    return saved(tmp_path_factory.mktemp("llama"), *tiny_llama(), max_shard_size="60KB")


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("bert"), *tiny_bert_masked_lm())


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A sentence encoder with a dense part behind the pooling."""
    from sentence_transformers.sentence_transformer.modules import Dense

    model = tiny_models.sentence_encoder()
    torch.manual_seed(0)
    model.module.append(Dense(16, 8))
    return model.save(tmp_path_factory.mktemp("encoder"))


# --- sentence encoders ------------------------------------------------------------------------------------------


def prefixed(tensors):
    return {f"backbone.{key}": value for key, value in tensors.items()}


def without_a_layer(tensors):
    return {key: value for key, value in tensors.items() if ".layer.0." not in key}


@pytest.mark.parametrize("change", [prefixed, without_a_layer])
@pytest.mark.parametrize("listed", [True, False], ids=["of parts", "plain"])
def test_an_encoder_with_missing_weights_is_refused(encoder, tmp_path, change, listed):
    folder = copied(encoder, tmp_path / "encoder")
    weights_changed(folder / "model.safetensors", change)
    if not listed:
        (folder / "modules.json").unlink()
    with pytest.raises(ModelError, match="they would be random numbers"):
        load_model(str(folder), task="sentence-encoder")


def test_what_an_encoders_own_file_changes_is_checked_too(encoder, tmp_path):
    """Its `config_args` ask for more layers than there are: a second load to look for gaps would find none."""
    folder = copied(encoder, tmp_path / "encoder")
    changed(folder / "sentence_bert_config.json", lambda c: c | {"config_args": {"num_hidden_layers": 3}})
    with pytest.raises(ModelError, match="does not fill 32 weights"):
        load_model(str(folder))


def test_a_pooler_that_nobody_trained_gives_no_load_another_hash(bert):
    first, second = (load_model(str(bert), task="sentence-encoder") for _ in range(2))
    assert first.describe()["subject_sha256"] == second.describe()["subject_sha256"]
    assert not first.module[0].model.pooler.dense.weight.any()


def lacking(tensors):
    return {key: value for key, value in tensors.items() if "bias" not in key}


def with_more(tensors):
    return tensors | {"more": torch.zeros(2)}


@pytest.mark.parametrize(
    ("change", "said"), [(lacking, r"Missing key.*linear\.bias"), (with_more, "Unexpected key.*more")]
)
def test_the_other_parts_of_an_encoder_must_fit_too(encoder, tmp_path, change, said):
    folder = copied(encoder, tmp_path / "encoder")
    weights_changed(folder / "2_Dense" / "model.safetensors", change)
    with pytest.raises(ModelError, match=said):
        load_model(str(folder))


def test_a_part_in_a_pickle_is_not_read(encoder, tmp_path):
    folder = copied(encoder, tmp_path / "encoder")
    torch.save(load_file(folder / "2_Dense" / "model.safetensors"), folder / "2_Dense" / "pytorch_model.bin")
    (folder / "2_Dense" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"2_Dense/pytorch_model\.bin is a pickle"):
        load_model(str(folder))


def test_an_encoder_that_begins_with_no_transformer_is_refused(encoder, tmp_path):
    folder = copied(encoder, tmp_path / "encoder")
    changed(folder / "modules.json", lambda parts: parts[1:])
    with pytest.raises(ModelError, match="its first part is a Pooling"):
        load_model(str(folder))


# --- files ------------------------------------------------------------------------------------------------------


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def not_listed_there(index):
    names = sorted(index["weight_map"])
    index["weight_map"][names[0]] = next(f for f in index["weight_map"].values() if f != index["weight_map"][names[0]])


BROKEN = {
    "a shard is missing": (lambda d: (d / SHARD).unlink(), f"1 of its 3 weight files is missing: {SHARD}"),
    "a shard broke off": (lambda d: (d / SHARD).rename(d / f"{SHARD}.incomplete"), "a download that broke off"),
    "a shard is cut": (lambda d: cut(d / SHARD), f"{SHARD} is half-downloaded"),
    "a shard is empty": (lambda d: (d / SHARD).write_bytes(b""), f"{SHARD} is damaged"),
    "a page in its place": (lambda d: (d / SHARD).write_text("<html>Not found</html>"), f"{SHARD} is damaged"),
    "a pointer of git-lfs": (lambda d: (d / SHARD).write_text("version https://git-lfs.github.com/"), "git lfs pull"),
    "no index": (lambda d: (d / INDEX).unlink(), f"{INDEX}, which lists them, is missing"),
    "an index of another": (lambda d: changed(d / INDEX, not_listed_there), "but it is not"),
    "an index without a map": (lambda d: changed(d / INDEX, lambda i: {"metadata": {}}), "no weight_map"),
    "an index that leads out": (
        lambda d: changed(d / INDEX, lambda i: {"weight_map": {"a": "../a.safetensors"}}),
        "expected files of the same folder",
    ),
    "nothing but a config": (lambda d: [path.unlink() for path in d.glob("model*")], "there are no weights in it"),
    "a pickle": (
        lambda d: [*(p.unlink() for p in d.glob("model*")), (d / "pytorch_model.bin").write_bytes(b"")],
        r"pytorch_model\.bin is a pickle",
    ),
    "no tokenizer": (lambda d: [path.unlink() for path in d.glob("tokenizer*")], "its tokenizer is missing"),
    "no vocabulary": (lambda d: (d / "tokenizer.json").unlink(), "its tokenizer is missing"),
}


@pytest.mark.parametrize(("damage", "said"), BROKEN.values(), ids=BROKEN)
def test_a_folder_that_is_not_whole_is_one_line(llama, tmp_path, damage, said):
    folder = copied(llama, tmp_path / "llama")
    damage(folder)
    with pytest.raises(ModelError, match=said) as caught:
        load_model(str(folder))
    assert "\n" not in str(caught.value)


def test_an_empty_folder_says_that_it_is_empty(tmp_path):
    with pytest.raises(ModelError, match="no config"):
        load_model(str(tmp_path))


def test_no_tokenizer_is_made_up(bert, tmp_path):
    """Without files, transformers builds one in which every word is unknown."""
    folder = copied(bert, tmp_path / "bert")
    for path in folder.glob("tokenizer*"):
        path.unlink()
    assert len(transformers.AutoTokenizer.from_pretrained(folder)) == 5
    with pytest.raises(ModelError, match="its tokenizer is missing"):
        load_model(str(folder))


# --- heads ------------------------------------------------------------------------------------------------------


def test_of_two_heads_one_must_be_chosen(llama, tmp_path):
    folder = copied(llama, tmp_path / "llama")
    both = {"architectures": ["LlamaForSequenceClassification", "LlamaForCausalLM"]}
    changed(folder / "config.json", lambda config: config | both)
    with pytest.raises(ModelError, match="say task: causal-lm, classifier"):
        load_model(str(folder))
    assert hashed(folder, task="causal-lm") == hashed(llama)


def test_a_masked_model_is_not_read_as_a_causal_one(bert):
    """Their weights have the same names: the library would load one as the other."""
    assert transformers.AutoModelForCausalLM.from_pretrained(bert)
    with pytest.raises(ModelError, match="its head is that of BertForMaskedLM, and not one for task: causal-lm"):
        load_model(str(bert), task="causal-lm")


# --- adapters of peft -------------------------------------------------------------------------------------------


def adapted(base, folder, auto_class=transformers.AutoModelForCausalLM, **options):
    """Adapters that do something, on a base in a folder; the model with them."""
    options = {"task_type": "CAUSAL_LM", "target_modules": ["q_proj", "v_proj"]} | options
    torch.manual_seed(0)
    base_module = auto_class.from_pretrained(base, num_labels=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what peft calls that transformers no longer likes
        model = peft.get_peft_model(base_module, peft.LoraConfig(r=2, **options)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.normal_(0, 0.1)
    model.save_pretrained(folder)
    return model


@pytest.fixture(scope="module")
def lora(llama, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lora") / "adapter"
    return folder, adapted(llama, folder)


def logits(module):
    with torch.no_grad():
        return module(torch.arange(5, 15)[None]).logits


def test_adapters_in_a_folder_are_the_model_with_them(lora, llama):
    folder, given = lora
    model = load_model(str(folder))
    assert (model.task, model.name) == ("causal-lm", str(folder))
    torch.testing.assert_close(logits(model.module), logits(given), atol=1e-5, rtol=0)
    assert model.weights_sha256 != hashed(llama)
    assert all(p.requires_grad for p in model.module.parameters())


def test_a_peft_model_in_memory_is_the_same_and_stays_as_it_was(lora, llama):
    folder, given = lora
    before = {name: p.clone() for name, p in given.named_parameters()}
    model = load_model(given, tokenizer=transformers.AutoTokenizer.from_pretrained(llama))
    assert model.weights_sha256 == hashed(folder)
    assert all(torch.equal(p, before[name]) for name, p in given.named_parameters())


def test_an_adapter_around_a_peft_model_reads_what_is_inside(lora, llama):
    """The wrapper passes names on: the body of the model would be looked for one level too high."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(llama)
    inside, merged = CausalLM(lora[1], tokenizer, name="m"), load_model(str(lora[0]))
    np.testing.assert_allclose(scores(inside), scores(merged), atol=1e-5)
    words = inside.next_token_logprobs(["the nurse"], ["was", "said"])
    np.testing.assert_allclose(words, merged.next_token_logprobs(["the nurse"], ["was", "said"]), atol=1e-5)


def test_a_base_may_be_told_from_the_adapters_folder(lora, llama, tmp_path):
    copied(llama, tmp_path / "base")
    folder = copied(lora[0], tmp_path / "adapter")
    changed(folder / "adapter_config.json", lambda c: c | {"base_model_name_or_path": "../base"})
    assert hashed(folder) == hashed(lora[0])


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("/moved/away/base", "looked in /moved/away/base; correct base_model_name_or_path"),
        ("./base", "its base './base' is not there; looked in"),
        ("nobody/such-model", "in none of .*nobody/such-model, nor on the hub"),
        (None, "names no base_model_name_or_path"),
    ],
)
def test_a_base_that_is_not_there_says_where_it_was_looked_for(lora, tmp_path, base, said):
    folder = copied(lora[0], tmp_path / "adapter")
    changed(folder / "adapter_config.json", lambda c: c | {"base_model_name_or_path": base})
    with pytest.raises(ModelError, match=said):
        load_model(str(folder))


def half(tensors):
    return {key: value for key, value in tensors.items() if "lora_B" not in key}


def of_another_layer(tensors):
    return tensors | {"base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight": torch.zeros(2, 32)}


@pytest.mark.parametrize(
    ("change", "said"), [(half, "lacks .*lora_B"), (of_another_layer, r"holds .*layers\.7.*fit nowhere")]
)
def test_adapters_that_are_not_those_of_their_configuration_are_refused(lora, tmp_path, change, said):
    """Peft only warns: without the second half of every pair the base alone would be audited."""
    folder = copied(lora[0], tmp_path / "adapter")
    weights_changed(folder / "adapter_model.safetensors", change)
    with pytest.raises(ModelError, match=said):
        load_model(str(folder))


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"r": 4}, "its adapters do not fit the base"),
        ({"peft_type": "PROMPT_TUNING"}, "of the kind PROMPT_TUNING, which cannot be merged"),
        ({"alora_invocation_tokens": [3]}, "that waits for a token"),
        ({"task_type": "TOKEN_CLS"}, "task_type: TOKEN_CLS"),
        ({"a_setting_of_tomorrow": 2}, "pip install -U peft"),
        ({"megatron_config": {"a": 1}, "megatron_core": "antigravity"}, "megatron_core.*not run"),
    ],
    ids=["another rank", "prompts", "waits for a token", "another task", "from a newer peft", "names code"],
)
def test_a_configuration_of_other_adapters_is_refused(lora, tmp_path, entries, said):
    folder = copied(lora[0], tmp_path / "adapter")
    changed(folder / "adapter_config.json", lambda c: c | entries)
    with pytest.raises(ModelError, match=said):
        load_model(str(folder))


def test_adapters_of_a_weight_that_stands_in_two_places_are_not_merged(llama, tmp_path):
    """Replicated layers share their weights: merged into one, both pairs of adapters would work in both layers."""
    given = adapted(llama, tmp_path / "replicated", layer_replication=[[0, 2], [0, 2]])
    with pytest.raises(ModelError, match="stands in two places"):
        load_model(str(tmp_path / "replicated"))
    with pytest.raises(ModelError, match="stands in two places"):
        load_model(given, tokenizer=transformers.AutoTokenizer.from_pretrained(llama))


@pytest.mark.parametrize("whole", [None, ["embed_tokens", "lm_head"]], ids=["as they were drawn", "trained"])
def test_tokens_that_were_added_with_the_adapters(llama, tmp_path, whole):
    tokenizer = transformers.AutoTokenizer.from_pretrained(llama)
    tokenizer.add_tokens(["zork", "blip"])
    base = transformers.AutoModelForCausalLM.from_pretrained(llama)
    base.resize_token_embeddings(len(tokenizer))
    saved(tmp_path / "grown", base, tokenizer)
    given = adapted(tmp_path / "grown", tmp_path / "adapter", modules_to_save=whole)
    given.save_pretrained(tmp_path / "adapter", save_embedding_layers=True)
    tokenizer.save_pretrained(tmp_path / "adapter")
    changed(tmp_path / "adapter" / "adapter_config.json", lambda c: c | {"base_model_name_or_path": str(llama)})
    model = load_model(str(tmp_path / "adapter"))
    torch.testing.assert_close(logits(model.module), logits(given), atol=1e-5, rtol=0)
    weights_changed(
        tmp_path / "adapter" / "adapter_model.safetensors",
        lambda tensors: {k: v for k, v in tensors.items() if "lm_head" not in k},
    )
    with pytest.raises(ModelError, match=r"lm_head|lacks"):
        load_model(str(tmp_path / "adapter"))


def test_pickled_adapters_are_not_read(lora, tmp_path):
    folder = copied(lora[0], tmp_path / "adapter")
    torch.save(load_file(folder / "adapter_model.safetensors"), folder / "adapter_model.bin")
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"adapter_model\.bin is a pickle"):
        load_model(str(folder))


def test_adapters_beside_a_whole_model_are_refused(lora, llama, tmp_path):
    folder = copied(llama, tmp_path / "both")
    shutil.copy(lora[0] / "adapter_config.json", folder)
    with pytest.raises(ModelError, match="either may be meant"):
        load_model(str(folder))


def test_a_head_that_was_trained_with_adapters_fills_that_of_the_base(tmp_path):
    tokenizer = word_piece_tokenizer()
    config = transformers.BertConfig(**SMALL, vocab_size=len(tokenizer), max_position_embeddings=40)
    saved(tmp_path / "body", build(transformers.AutoModel, config), tokenizer)
    classify = transformers.AutoModelForSequenceClassification
    given = adapted(tmp_path / "body", tmp_path / "cls", classify, task_type="SEQ_CLS", target_modules=["query"])
    model = load_model(str(tmp_path / "cls"))
    assert len(model.labels) == 3
    torch.testing.assert_close(logits(model.module), logits(given), atol=1e-5, rtol=0)
    weights_changed(tmp_path / "cls" / "adapter_model.safetensors", lambda t: {k: t[k] for k in t if "lora_" in k})
    with pytest.raises(ModelError, match="they would be random numbers"):
        load_model(str(tmp_path / "cls"))


@pytest.mark.parametrize("kind", ["masked", "char-gpt", "classifier", "sentence-encoder"])
def test_the_adapters_of_a_private_training_are_the_trained_model(kind, tmp_path):
    make, records = tiny_models.KINDS[kind]
    task = "sentence-encoder" if kind == "sentence-encoder" else None
    base = load_model(str(make().save(tmp_path / "base")), task=task)
    tiny_models.train(base, records, lora=2, learning_rate=3e-2, out=tmp_path / "run")
    model = load_model(str(tmp_path / "run" / "model" / "adapter"))
    merged = load_model(str(tmp_path / "run" / "model"))
    assert model.task == merged.task == base.task
    for (name, one), (other, two) in zip(
        model.module.named_parameters(), merged.module.named_parameters(), strict=True
    ):
        assert name == other
        torch.testing.assert_close(one, two, atol=1e-6, rtol=0)


# --- modules in memory ------------------------------------------------------------------------------------------


def test_a_module_in_memory_is_used_as_it_is(llama):
    module, tokenizer = tiny_llama()
    model = load_model(module, tokenizer=tokenizer)
    assert model.module is module
    assert model.weights_sha256 == hashed(llama)
    encoder = tiny_models.sentence_encoder()
    assert load_model(encoder.module).weights_sha256 == encoder.weights_sha256


def test_a_module_that_cannot_be_one_is_refused():
    module, tokenizer = tiny_llama()
    for given, options, said in [
        (3, {}, "model: a int; expected a name"),
        (torch.nn.Linear(2, 2), {}, "model: a Linear"),
        (module, {}, "tokenizer: missing"),
        (module, {"tokenizer": tokenizer, "dtype": "float16"}, "used as it is"),
        (module.model, {"tokenizer": tokenizer}, "cannot tell the task"),
        (module, {"tokenizer": tokenizer, "task": "masked-lm"}, "not one for task: masked-lm"),
        (tiny_llama()[0].to("meta"), {"tokenizer": tokenizer}, "has no values"),
    ]:
        with pytest.raises(InputError, match=said):
            load_model(given, **options)


# --- the hub ----------------------------------------------------------------------------------------------------


@pytest.fixture
def hub(llama, tmp_path, monkeypatch):
    """What a hub would have left in the cache: me/tiny, and the same once more in a subfolder."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    kept = tmp_path / "models--me--tiny"
    copied(copied(llama, kept / "snapshots" / commit), kept / "snapshots" / commit / "inner")
    (kept / "refs").mkdir()
    for ref in ("main", "v1"):
        (kept / "refs" / ref).write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return kept / "snapshots" / commit


def test_a_copy_of_the_hub_loads_by_revision_and_subfolder(hub, llama):
    expected = hashed(llama)
    assert hashed("me/tiny") == hashed("me/tiny", subfolder="inner") == expected
    assert load_model("me/tiny", revision="v1").describe()["revision"] == "v1"
    with pytest.raises(ModelError, match="no subfolder 'innr' in it; there is: inner"):
        load_model("me/tiny", subfolder="innr")
    with pytest.raises(ModelError, match="cannot load me/tiny"):
        load_model("me/tiny", revision="v2")


def test_a_copy_of_the_hub_is_checked_like_a_folder(hub):
    (hub / SHARD).unlink()
    with pytest.raises(ModelError, match=f"weight files is missing: {SHARD}"):
        load_model("me/tiny")
    changed(hub / "config.json", lambda c: c | {"auto_map": {"AutoModelForCausalLM": "evil.Evil"}})
    with pytest.raises(ModelError, match="runs no code"):
        load_model("me/tiny")


def test_a_revision_means_nothing_in_a_folder(llama):
    with pytest.raises(ModelError, match="revision belongs to a hub"):
        load_model(str(llama), revision="main")


def test_a_subfolder_of_a_folder(llama, tmp_path):
    copied(llama, tmp_path / "outer" / "step-3")
    assert hashed(tmp_path / "outer", subfolder="step-3") == hashed(llama)


# --- weights that do not all fit into memory --------------------------------------------------------------------


@pytest.mark.parametrize("limit", [110_000, "60KB"], ids=["a part on disk", "all on disk"])
def test_weights_on_disk_are_the_same_weights(llama, limit, tmp_path):
    plain = load_model(str(llama))
    model = load_model(str(llama), max_memory={"cpu": limit}, offload_folder=tmp_path / "off")
    assert "disk" in model.module.hf_device_map.values()
    assert any(p.device.type == "meta" for p in model.module.parameters())
    np.testing.assert_allclose(scores(model), scores(plain), atol=1e-6)
    assert model.describe() == plain.describe()


def test_tied_weights_and_half_precision_on_disk(bert):
    plain, model = (load_model(str(bert), dtype="bfloat16", **o) for o in ({}, {"max_memory": {"cpu": "30KB"}}))
    assert model.weights_sha256 == plain.weights_sha256
    assert model.fill(["the [MASK] was tired"], 1) == plain.fill(["the [MASK] was tired"], 1)


def test_an_encoder_on_disk(bert):
    plain, model = (load_model(str(bert), task="sentence-encoder", **o) for o in ({}, {"max_memory": {"cpu": 30_000}}))
    assert model.describe()["device"] == "cpu"
    np.testing.assert_allclose(model.embed(TEXTS), plain.embed(TEXTS), atol=1e-6)


def test_a_map_of_devices_may_be_told(llama):
    parts = ("model.embed_tokens", "model.norm", "model.rotary_emb", "lm_head", "model.layers.0")
    model = load_model(str(llama), device_map=dict.fromkeys(parts, "cpu") | {"model.layers.1": "disk"})
    assert model.weights_sha256 == hashed(llama)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"device_map": "cuda:0"}, "for one device use `device`"),
        ({"device_map": "auto", "device": "cpu"}, "remove `device`"),
        ({"max_memory": {"cpu": "much"}}, "max_memory cpu: 'much'; expected bytes"),
        ({"quantization": "int8"}, "quant_method: bitsandbytes"),
    ],
    ids=["one device", "two answers", "no amount", "no mapping"],
)
def test_wrong_ways_to_place_a_model_are_refused(options, said):
    with pytest.raises(InputError, match=said):
        LoadOptions(**options)


@pytest.mark.parametrize("spec", ["char-gpt", "auditkit.testing:FakeMaskedLM", "people.csv"])
def test_what_would_do_nothing_is_said(spec):
    for options in ({"revision": "main"}, {"max_memory": {"cpu": "1GB"}}, {"subfolder": "x"}):
        with pytest.raises(InputError, match=f"{next(iter(options))} would do nothing"):
            load_model(spec, **options)


def test_without_accelerate_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="pip install accelerate"):
        LoadOptions(device_map="auto")


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="memory is read from /proc")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_no_more_memory_than_the_limit(tmp_path, dtype):
    """Of 220 MB of weights at most 60 MB are in memory, 10 % more allowed; the hash makes no second copy."""
    import subprocess
    import sys

    _, tokenizer = tiny_llama()
    sizes = {"hidden_size": 512, "num_hidden_layers": 16, "num_attention_heads": 8, "intermediate_size": 1536}
    config = transformers.LlamaConfig(**sizes, vocab_size=len(tokenizer), bos_token_id=0, eos_token_id=1)
    module = build(transformers.AutoModelForCausalLM, config)
    saved(tmp_path / "big", module.to(dtype), tokenizer, max_shard_size="40MB")
    saved(tmp_path / "small", *tiny_llama())
    watched = subprocess.run(
        [sys.executable, "-c", WATCHED, str(tmp_path / "small"), str(tmp_path / "big")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert float(watched.stdout.split()[-1]) < 66


WATCHED = """
import sys, threading, time
from auditkit.models import load_model

def megabytes():  # what the process itself holds; pages of the files belong to the system
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024

def use(folder, limit):
    model = load_model(folder, max_memory={"cpu": limit})
    return model.describe(), model.token_logprobs(["the nurse was tired ."])

use(sys.argv[1], "100KB")
before, most, done = megabytes(), [0.0], threading.Event()
def watch():
    while not done.is_set():
        most[0] = max(most[0], megabytes())
        time.sleep(0.002)
watcher = threading.Thread(target=watch)
watcher.start()
use(sys.argv[2], "60MB")
done.set()
watcher.join()
print(most[0] - before)
"""


# --- weights in few bits ----------------------------------------------------------------------------------------


def few_bits(llama, tmp_path, **config):
    folder = copied(llama, tmp_path / "bits")
    changed(folder / "config.json", lambda c: c | {"quantization_config": config})
    return folder


METHODS = {
    "gptq": ({"quant_method": "gptq", "bits": 4}, MissingExtra, "pip install optimum gptqmodel"),
    "awq": ({"quant_method": "awq", "bits": 4}, MissingExtra, "pip install gptqmodel"),
    "bitsandbytes": ({"load_in_4bit": True}, MissingExtra, "pip install bitsandbytes"),
    "compressed": ({"quant_method": "compressed-tensors"}, MissingExtra, "pip install compressed-tensors"),
    "kernels of a hub": ({"quant_method": "eetq"}, ModelError, "fetched from a hub and run"),
    "unknown": ({"quant_method": "modelopt"}, ModelError, "config.json says quant_method: modelopt"),
}


@pytest.mark.parametrize(("config", "error", "said"), METHODS.values(), ids=METHODS)
def test_few_bits_load_where_their_package_is_there_else_one_line(llama, tmp_path, monkeypatch, config, error, said):
    monkeypatch.setattr(quantized_checkpoints, "_installed", lambda module: False)
    with pytest.raises(error, match=said):
        load_model(str(few_bits(llama, tmp_path, **config)))


def test_fp8_is_unpacked_without_kernels(llama, tmp_path):
    """A weight is its number in eight bits times the scale of its block of 16 by 16."""
    folder = few_bits(llama, tmp_path, quant_method="fp8", weight_block_size=[16, 16])
    tensors = {k: v for path in folder.glob("*-of-*") for k, v in load_file(path).items()}
    for path in folder.glob("model*"):
        path.unlink()
    scales = {k: v.abs().max() / 448 for k, v in tensors.items() if "_proj" in k}
    packed = {k: (tensors[k] / scale).to(torch.float8_e4m3fn) for k, scale in scales.items()}
    blocks = {k: torch.full([n // 16 for n in tensors[k].shape], float(scale)) for k, scale in scales.items()}
    stored = tensors | packed | {f"{key}_scale_inv": block for key, block in blocks.items()}
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    found = load_model(str(folder)).module.state_dict()
    for key, scale in scales.items():
        torch.testing.assert_close(found[key], packed[key].float() * scale)


@pytest.mark.skipif(util.find_spec("torchao") is None, reason="needs torchao")
def test_torchao_loads_what_was_saved_and_quantises_while_it_loads(llama, tmp_path):
    from torchao.quantization import Int8WeightOnlyConfig

    how = transformers.TorchAoConfig(Int8WeightOnlyConfig())
    auto = transformers.AutoModelForCausalLM
    module = auto.from_pretrained(llama, quantization_config=how, device_map={"": "cpu"}, dtype=torch.float32)
    folder = saved(tmp_path / "q", module, transformers.AutoTokenizer.from_pretrained(llama))
    config = json.loads((folder / "config.json").read_text())["quantization_config"]
    stored, now = load_model(str(folder)), load_model(str(llama), quantization=config)
    assert stored.weights_sha256 == now.weights_sha256 == hashed(folder)
    torch.testing.assert_close(logits(stored.module), logits(module), atol=0, rtol=0)
    with pytest.raises(ModelError, match="quantised already"):
        load_model(str(folder), quantization=config)


def test_a_wrong_wish_for_few_bits_is_one_line(llama):
    with pytest.raises(UnknownName, match="did you mean 'torchao'"):
        load_model(str(llama), quantization={"quant_method": "torchoa"})
    with pytest.raises(InputError, match="expected what transformers writes under `quantization_config`"):
        quantized_checkpoints.loading(None, {"quant_method": "fp8", "weight_block_size": "wide"}, "m")
