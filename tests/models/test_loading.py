"""What `load_model` accepts, and how it refuses: a checkpoint with gaps must never be audited with random numbers."""

import json

import pytest
import torch

from auditkit.errors import InputError, ModelError, UnknownName
from auditkit.models import load_model
from auditkit.models.catalog import aliases
from auditkit.models.protocols import Classifies, EmbedsText, EmbedsWords, FillsMask, Generates, Predicts, ScoresText
from auditkit.testing import FakeMaskedLM, check_model

from .conftest import SMALL, build, tiny_bert_masked_lm, tiny_llama, transformers, word_piece_tokenizer


def saved(folder, module, tokenizer):
    module.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def masked_folder(tmp_path):
    return saved(tmp_path / "mlm", *tiny_bert_masked_lm())


def encoder_without_head(folder):
    module, tokenizer = tiny_bert_masked_lm()
    return saved(folder, module.bert, tokenizer)


def test_the_task_is_found_from_the_config(masked_folder, tmp_path):
    assert isinstance(load_model(str(masked_folder)), FillsMask)
    assert isinstance(load_model(str(saved(tmp_path / "llama", *tiny_llama()))), ScoresText)


def test_a_classifier_keeps_its_labels_and_gives_probabilities(tmp_path):
    tokenizer = word_piece_tokenizer()
    config = transformers.BertConfig(**SMALL, vocab_size=len(tokenizer), max_position_embeddings=40, num_labels=3)
    config.id2label, config.label2id = {0: "no", 1: "yes", 2: "maybe"}, {"no": 0, "yes": 1, "maybe": 2}
    module = build(transformers.AutoModelForSequenceClassification, config)
    model = load_model(str(saved(tmp_path / "cls", module, tokenizer)))
    assert isinstance(model, Classifies)
    assert model.labels == ("no", "yes", "maybe")
    check_model(model)
    texts = ["the nurse was tired", "she"]
    with torch.no_grad():
        for text, row in zip(texts, model.classify(texts), strict=True):
            logits = model.module(**tokenizer(text, return_tensors="pt", return_token_type_ids=False)).logits[0]
            assert row == pytest.approx(logits.softmax(-1).numpy(), abs=1e-5)


def test_a_seq2seq_model_generates_like_the_plain_one(tmp_path):
    tokenizer = word_piece_tokenizer()
    config = transformers.T5Config(
        vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4,
        decoder_start_token_id=0, pad_token_id=0, eos_token_id=3,
    )  # fmt: skip
    module = build(transformers.AutoModelForSeq2SeqLM, config)
    model = load_model(str(saved(tmp_path / "t5", module, tokenizer)))
    assert isinstance(model, Generates)
    check_model(model)
    texts = ["the nurse was tired", "she said that he was old"]
    for text, written in zip(texts, model.generate(texts, max_new_tokens=6), strict=True):
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        expected = model.module.generate(ids, max_new_tokens=6, do_sample=False, num_beams=1)[0]
        assert written == tokenizer.decode(expected, skip_special_tokens=True)


def test_a_checkpoint_without_the_head_is_refused(tmp_path):
    folder = encoder_without_head(tmp_path / "encoder")
    with pytest.raises(ModelError, match="they would be random numbers"):
        load_model(str(folder), task="masked-lm")


def test_damaged_weights_are_one_clear_error(masked_folder):
    weights = masked_folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="cannot load"):
        load_model(str(masked_folder))


def test_pickled_weights_are_not_read(masked_folder):
    module, _ = tiny_bert_masked_lm()
    (masked_folder / "model.safetensors").unlink()
    torch.save(module.state_dict(), masked_folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="safetensors"):
        load_model(str(masked_folder))


def test_a_damaged_config_is_one_clear_error(masked_folder):
    (masked_folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config\.json is damaged"):
        load_model(str(masked_folder))


def test_an_unknown_architecture_asks_for_the_task(masked_folder):
    config = json.loads((masked_folder / "config.json").read_text())
    (masked_folder / "config.json").write_text(json.dumps(config | {"architectures": ["BertForSomething"]}))
    with pytest.raises(ModelError, match="cannot tell the task"):
        load_model(str(masked_folder))


def test_an_empty_folder_is_no_model(tmp_path):
    with pytest.raises(ModelError, match=r"no config\.json"):
        load_model(str(tmp_path))


def test_names_that_nearly_exist_are_suggested():
    with pytest.raises(UnknownName, match="did you mean 'minilm-mlm'"):
        load_model("minilm-mml")
    with pytest.raises(UnknownName, match="did you mean 'masked-lm'"):
        load_model("minilm-mlm", task="masked_lm")


def test_an_alias_is_not_forced_into_another_task():
    with pytest.raises(ModelError, match="remove `task: causal-lm`"):
        load_model("minilm", task="causal-lm")


def test_an_unknown_device_or_dtype_is_refused(masked_folder):
    with pytest.raises(InputError, match="dtype 'float8'"):
        load_model(str(masked_folder), dtype="float8")
    with pytest.raises(InputError, match="device 'gpu'"):
        load_model(str(masked_folder), device="gpu")


def test_half_precision_is_in_memory_when_asked_for(masked_folder):
    model = load_model(str(masked_folder), dtype="bfloat16")
    assert model.describe()["dtype"] == "bfloat16"


def test_a_factory_may_be_named():
    assert isinstance(load_model("auditkit.testing:FakeMaskedLM"), FakeMaskedLM)
    with pytest.raises(ModelError, match="cannot load 'no_such_module:thing'"):
        load_model("no_such_module:thing")


def test_saving_and_loading_keeps_the_weights_hash(masked_folder, tmp_path):
    module, tokenizer = tiny_bert_masked_lm(seed=5)
    one = load_model(str(masked_folder)).describe()["weights_sha256"]
    other = load_model(str(saved(tmp_path / "other", module, tokenizer))).describe()["weights_sha256"]
    assert one == load_model(str(masked_folder)).describe()["weights_sha256"]
    assert one != other


@pytest.mark.parametrize(
    ("alias", "capability"),
    [
        ("char-gpt", ScoresText),
        ("minilm-mlm", FillsMask),
        ("minilm", EmbedsText),
        ("glove", EmbedsWords),
        ("hiring", Predicts),
        pytest.param("smollm2", ScoresText, marks=pytest.mark.slow),
    ],
)
def test_the_aliases_load_offline_and_keep_the_contract(alias, capability):
    entry = aliases()[alias]
    if entry.package and entry.installed() is None:
        pytest.skip(f"the package {entry.package} is not installed")
    model = load_model(alias)
    assert isinstance(model, capability)
    check_model(model)
