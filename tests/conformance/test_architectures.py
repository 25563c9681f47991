"""Every architecture that loads gives the numbers of transformers alone, one text at a time; or it is refused.

The weights are random, so that each answer depends on every token; texts of several lengths share a batch.
"""

import numpy as np
import pytest
import torch
import transformers

from auditkit.errors import ModelError
from auditkit.explain import Label, Output, attribute
from auditkit.models import load_model
from auditkit.models.batching import TRAINING
from auditkit.models.causal_lm import CausalLM
from auditkit.models.classifier import Classifier
from auditkit.models.masked_lm import MaskedLM
from auditkit.models.protocols import MaskQuery
from auditkit.models.seq2seq import Seq2Seq
from tests.conformance.architectures import (
    CAUSAL,
    CLASSIFIERS,
    CONTEXT,
    ENCODERS,
    FOR_ALL,
    MASKED,
    SEQ2SEQ,
    START,
    T5,
    TRANSLATORS,
    build,
    tokenizer,
)

TEXTS = [
    "the nurse said that she was tired .",
    "the doctor",
    "women and men are good at work and my sister is old .",
    "a doctor said that he was bad",
    "she was old",
]
LONG = " ".join(TEXTS[2:3] * 8)
FAST = {
    *("masked-bert", "masked-roberta", "masked-fnet", "masked-mobilebert", "causal-opt", "causal-bloom"),
    *("causal-mamba", "classifier-gpt2 (no pad id)", "classifier-gpt2 (pad id of its own)", "classifier-bart"),
    *("classifier-llama (pad id -1)", "seq2seq-m2m_100", "encoder-roberta", "encoder-gpt2"),
}
SINGLE = ("fsmt", "xglm", "mra")
"""They compute in float32, whatever their weights are."""


def every(kind, table):
    return [
        pytest.param(name, id=name, marks=() if f"{kind}-{name}" in FAST else pytest.mark.slow)
        for name in sorted(table)
    ]


def loaded(folder, auto_class, task, name, options, words=None, **more):
    """Saved, and loaded by `load_model`; both sides then compute in float64."""
    build(auto_class, name, options, **more).save_pretrained(folder)
    (words or tokenizer(marks=task != "causal-lm")).save_pretrained(folder)
    model = load_model(str(folder), task=task, device="cpu")
    if hasattr(model.module, "set_experts_implementation"):
        model.module.set_experts_implementation("eager")  # the others know no float64
    if name not in SINGLE:
        model.module.double()
    return model


@torch.no_grad()
def classified(model, text):
    return model.module(torch.tensor([model.tokenizer(text)["input_ids"]])).logits[0].softmax(-1).numpy()


@torch.no_grad()
def scored(model, text):
    ids = torch.tensor([START, *model.tokenizer(text, add_special_tokens=False)["input_ids"]])
    logp = model.module(ids[None], use_cache=False).logits[0].log_softmax(-1)
    return logp[:-1].gather(1, ids[1:, None])[:, 0].numpy()


@torch.no_grad()
def masked(model, text):
    ids = torch.tensor(model.tokenizer(text)["input_ids"])
    found = []
    for i in range(1, len(ids) - 1):
        row = ids.clone()
        row[i] = model.tokenizer.mask_token_id
        found.append(model.module(row[None]).logits[0, i].log_softmax(-1)[ids[i]])
    return np.array(found)


@torch.no_grad()
def embedded(model, text):
    ids = torch.tensor([model.module.tokenizer(text)["input_ids"]])
    mean = model.module[0].model(ids).last_hidden_state[0].mean(0)
    return (mean / mean.norm()).numpy()


@torch.no_grad()
def written(model, text, new_tokens):
    ids = torch.tensor([model.tokenizer(text)["input_ids"]])
    options = {"max_new_tokens": new_tokens, "do_sample": False, "num_beams": 1}
    out = model.module.generate(ids, attention_mask=torch.ones_like(ids), **options)
    return model.tokenizer.decode(out[0], skip_special_tokens=True)


def compare(found, model, reference):
    for text, numbers in zip(TEXTS, found, strict=True):
        np.testing.assert_allclose(numbers, reference(model, text), rtol=0, atol=1e-5, err_msg=text)


def limited(model):
    """A text over the context is cut and counted; the context is what the positions have room for."""
    if model.context > CONTEXT:
        return not model.notices
    return model.notices == {f"texts truncated to {model.context} tokens": 1}


@pytest.mark.parametrize("name", every("masked", MASKED))
def test_masked(tmp_path, name):
    model = loaded(tmp_path, "AutoModelForMaskedLM", "masked-lm", name, MASKED[name])
    compare([s.logprobs for s in model.token_statistics(TEXTS)], model, masked)
    [encoded] = model.encode([LONG])
    model.masked_logprobs([_query(encoded)])
    assert limited(model)


def _query(encoded):
    return MaskQuery(tuple(encoded.ids.tolist()), 1, (5, 6))


@pytest.mark.parametrize("name", every("causal", CAUSAL))
def test_causal(tmp_path, name):
    model = loaded(tmp_path, "AutoModelForCausalLM", "causal-lm", name, CAUSAL[name])
    if name == "xlnet":  # reads in both directions
        with pytest.raises(ModelError, match="sees the tokens that it would be scored on"):
            model.token_logprobs(TEXTS)
        return
    compare([s.logprobs for s in model.token_logprobs(TEXTS)], model, scored)
    model.token_logprobs([LONG])
    assert limited(model)


@pytest.mark.parametrize("name", every("classifier", CLASSIFIERS))
def test_classifiers(tmp_path, name):
    auto = "AutoModelForSequenceClassification"
    model = loaded(tmp_path, auto, "classifier", name, CLASSIFIERS[name], num_labels=3)
    found = model.classify(TEXTS)
    compare(found, model, classified)
    assert found.std(axis=0).max() > 1e-3  # the texts do matter
    model.classify([LONG])
    assert limited(model)


@pytest.mark.parametrize("name", every("seq2seq", TRANSLATORS))
def test_translators(tmp_path, name):
    model = loaded(tmp_path, "AutoModelForSeq2SeqLM", "seq2seq", name, TRANSLATORS[name])
    for settings in (model.module.generation_config, model.module.config):
        settings.eos_token_id = settings.forced_eos_token_id = None  # all of them write to the end
    assert model.generate(TEXTS, 8) == [written(model, text, 8) for text in TEXTS]
    model.generate([LONG], 2)
    assert limited(model)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("name", every("encoder", ENCODERS))
def test_encoders(tmp_path, name, side):
    model = encoder(tmp_path, name, {**MASKED, **CAUSAL}[name], tokenizer(padding_side=side))
    compare(model.embed(TEXTS), model, embedded)
    model.embed([LONG])
    assert model.describe()["context"] <= CONTEXT
    assert sum(model.notices.values()) == 1


def encoder(folder, name, options, words):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    build("AutoModel", name, options).save_pretrained(folder / "body")
    words.save_pretrained(folder / "body")
    body = Transformer(str(folder / "body"))
    SentenceTransformer(modules=[body, Pooling(FOR_ALL["hidden_size"])]).save(str(folder / "encoder"))
    model = load_model(str(folder / "encoder"), device="cpu")
    model.module.double()
    return model


WORDS = {
    "padded on the left": {"padding_side": "left"},
    "without a padding token": {"pad": False},
    "neither": {"padding_side": "left", "pad": False},
}


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("name", ["gpt2 (no pad id)", "roberta", "bart"])
def test_a_tokenizer(tmp_path, name, words):
    auto, words = "AutoModelForSequenceClassification", tokenizer(**WORDS[words])
    model = loaded(tmp_path, auto, "classifier", name, CLASSIFIERS[name], words, num_labels=3)
    compare(model.classify(TEXTS), model, classified)


def test_a_module_without_a_mask_of_its_own_is_refused_as_a_causal_one(tmp_path):
    build("AutoModelForMaskedLM", "bert", {}).save_pretrained(tmp_path)
    words = tokenizer(marks=False)
    words.save_pretrained(tmp_path)
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    with torch.random.fork_rng():
        transformers.BertLMHeadModel(config).save_pretrained(tmp_path)
    model = load_model(str(tmp_path), task="causal-lm", device="cpu")
    with pytest.raises(ModelError, match="task: masked-lm"):
        model.token_logprobs(TEXTS)


def test_texts_with_unequally_many_end_marks_are_read_row_by_row(tmp_path):
    auto = "AutoModelForSequenceClassification"
    model = loaded(tmp_path, auto, "classifier", "bart", CLASSIFIERS["bart"], num_labels=3)
    texts = ["she was </s> old", "he was very old", "the men are good"]
    np.testing.assert_allclose(model.classify(texts), [classified(model, text) for text in texts], atol=1e-6)


# --- attribution: of the model's own answer, the same in any batch ------------------------------------------------

READ = {"bart": SEQ2SEQ, "t5": T5, "fnet": {}, "gpt2 (no pad id)": CLASSIFIERS["gpt2 (no pad id)"]}


@pytest.mark.parametrize("name", READ)
def test_classifiers_are_explained(name):
    words = tokenizer()
    module = build("AutoModelForSequenceClassification", name, READ[name], num_labels=3)
    model = Classifier(module, words, name=name)
    label = model.labels[0]
    wanted = {"target": Label(label), "method": "gradient_x_activation"}
    found = attribute(model, TEXTS[:3], **wanted)
    for item, text in zip(found, TEXTS, strict=False):
        [alone] = attribute(model, [text], **wanted)
        logits = module(torch.tensor([words(text)["input_ids"]])).logits[0]
        assert item.value == pytest.approx(float(logits[0].detach()), abs=1e-4)
        assert np.abs(item.values).max() > 1e-3
        assert item.values == pytest.approx(alone.values, abs=1e-4)


@pytest.mark.parametrize("name", ["m2m_100", "blenderbot", "nllb-moe", "t5"])
def test_translators_are_explained(name):
    words = tokenizer()
    model = Seq2Seq(build("AutoModelForSeq2SeqLM", name, TRANSLATORS[name]), words, name=name)
    [item] = attribute(model, TEXTS[:1], target=Output("the doctor"), method="occlusion")
    source, labels = (torch.tensor([words(text)["input_ids"]]) for text in (TEXTS[0], "the doctor"))
    with torch.no_grad():
        logp = model.module(source, labels=labels).logits[0].log_softmax(-1)
    assert item.value == pytest.approx(float(logp.gather(1, labels[0][:, None]).sum()), abs=1e-4)
    assert np.abs(item.values).max() > 1e-3


# --- a module left in training mode -------------------------------------------------------------------------------

CALLS = {
    "masked": (MaskedLM, "AutoModelForMaskedLM", "bert", {}, lambda m: m.token_statistics(TEXTS)[0].logprobs),
    "unmasked": (MaskedLM, "AutoModelForMaskedLM", "bert", {}, lambda m: m.unmasked_logprobs(TEXTS)[0].logprobs),
    "causal": (CausalLM, "AutoModelForCausalLM", "gpt2", CAUSAL["gpt2"], lambda m: m.token_logprobs(TEXTS)[0].logprobs),
    "generated": (Seq2Seq, "AutoModelForSeq2SeqLM", "bart", SEQ2SEQ, lambda m: m.generate(TEXTS, 8)),
    "classified": (Classifier, "AutoModelForSequenceClassification", "bart", SEQ2SEQ, lambda m: m.classify(TEXTS)),
    "explained": (
        *(Classifier, "AutoModelForSequenceClassification", "bert", {}),
        lambda m: attribute(m, TEXTS[:2], target=Label("LABEL_0"))[0].values,
    ),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_module_left_in_training_mode_is_read_in_evaluation_mode(call):
    adapter, auto_class, name, options, answer = CALLS[call]
    model = adapter(build(auto_class, name, options), tokenizer(marks=adapter is not CausalLM), name=name)
    before = answer(model)
    model.notices.clear()
    model.module.train()
    frozen = [*model.module.modules()][-1].eval()
    assert np.array_equal(answer(model), before)
    assert model.module.training
    assert not frozen.training
    assert dict(model.notices) == {TRAINING: 1}


@pytest.mark.parametrize("name", ["gpt2", "opt", "llama", "bloom"])
def test_a_prompt_leaves_room_for_what_is_written(name):
    model = CausalLM(build("AutoModelForCausalLM", name, CAUSAL[name]), tokenizer(marks=False), name=name)
    assert len(model.generate([LONG, TEXTS[0]], 16)) == 2
    assert model.notices == {f"texts truncated to {model.context} tokens": 1}
