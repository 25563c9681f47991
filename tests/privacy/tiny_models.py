"""Tiny models of every kind with random weights, and records for each: what the tests of private training share."""

import tempfile

import torch
import transformers

import auditkit as ak
from auditkit.models.causal_lm import CausalLM
from auditkit.models.char_gpt import wrap
from auditkit.models.char_transformer import CharGPTConfig, CharTransformer
from auditkit.models.classifier import Classifier
from auditkit.models.masked_lm import MaskedLM
from auditkit.models.sentence_encoder import SentenceEncoder
from auditkit.models.seq2seq import Seq2Seq
from tests.models.conftest import GPT, byte_tokenizer, word_piece_tokenizer

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
NOUNS = ("nurse", "doctor", "engineer", "sister")
TEXTS = [f"the {noun} was {what} ." for noun in NOUNS for what in ("tired", "old", "good", "bad", "smart", "at work")]
LABELLED = [(text, "good" if text[-6:] in ("good .", "mart .", "work .") else "bad") for text in TEXTS]
SIMILAR = [(a, b, 1.0 if a.split()[1] == b.split()[1] else 0.2) for a, b in zip(TEXTS, TEXTS[4:], strict=False)]
TRANSLATED = [(text, text.removeprefix("the ")) for text in TEXTS]

NEXT_TO_NO_NOISE = 0.01
"""Epsilon is then beyond what the slow accountants compute, and the update is nearly that of clipped gradients."""
SETTINGS = {"epochs": 1, "logical_batch_size": 8, "delta": 1e-3, "noise_multiplier": NEXT_TO_NO_NOISE, "seed": 0}


def train(model, dataset, **settings):
    return ak.privacy.train(model, dataset, **SETTINGS | settings)


def char_gpt(seed=0, **options):
    config = {
        "vocabulary": "\n abcdefghijklmnopqrstuvwxyz.", "hidden": 16, "layers": 1, "heads": 2, "context": 32,
        "causal": True, "positions": True, "scaled": True, "pre_norm": True, "ff_multiple": 2,
    }  # fmt: skip
    torch.manual_seed(seed)
    return wrap(CharTransformer(CharGPTConfig(**config | options)), name="tiny")


def _module(auto_class, config):
    torch.manual_seed(0)
    return auto_class.from_config(config)


def gpt2():
    tokenizer = byte_tokenizer()
    dropout = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    config = transformers.GPT2Config(
        **GPT, **dropout, vocab_size=len(tokenizer), bos_token_id=0, eos_token_id=1, pad_token_id=1
    )
    return CausalLM(_module(transformers.AutoModelForCausalLM, config), tokenizer, name="tiny-gpt2")


def _bert_config(**options):
    tokenizer = word_piece_tokenizer()
    options = {"max_position_embeddings": 40, "vocab_size": len(tokenizer), **NO_DROPOUT, **SMALL, **options}
    return transformers.BertConfig(**options), tokenizer


def masked_bert(**options):
    config, tokenizer = _bert_config(**options)
    return MaskedLM(_module(transformers.AutoModelForMaskedLM, config), tokenizer, name="tiny-bert")


def classifier():
    config, tokenizer = _bert_config(id2label={0: "bad", 1: "good"}, label2id={"bad": 0, "good": 1})
    module = _module(transformers.AutoModelForSequenceClassification, config)
    return Classifier(module, tokenizer, name="tiny-classifier")


def sentence_encoder():
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    config, tokenizer = _bert_config()
    with tempfile.TemporaryDirectory() as folder:
        _module(transformers.AutoModel, config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        modules = [Transformer(folder, max_seq_length=24), Pooling(SMALL["hidden_size"])]
        return SentenceEncoder(SentenceTransformer(modules=modules, device="cpu"), name="tiny-encoder")


def t5():
    tokenizer = word_piece_tokenizer()
    config = transformers.T5Config(
        vocab_size=len(tokenizer), d_model=16, d_kv=8, d_ff=24, num_layers=1, num_heads=2, dropout_rate=0.0,
        pad_token_id=0, eos_token_id=3, decoder_start_token_id=0,
    )  # fmt: skip
    return Seq2Seq(_module(transformers.AutoModelForSeq2SeqLM, config), tokenizer, name="tiny-t5")


KINDS = {
    "char-gpt": (char_gpt, TEXTS),
    "causal": (gpt2, TEXTS),
    "masked": (masked_bert, TEXTS),
    "classifier": (classifier, LABELLED),
    "sentence-encoder": (sentence_encoder, SIMILAR),
    "seq2seq": (t5, TRANSLATED),
}


def weights(model):
    """Copies of all parameters by name."""
    return {name: p.detach().clone() for name, p in model.module.named_parameters()}


def equal(a, b):
    """Whether two models, or two dicts of weights, are the same byte for byte."""
    a, b = (x if isinstance(x, dict) else weights(x) for x in (a, b))
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
