"""Exactness for whole model families, from their configurations, with tiny random weights."""

from collections.abc import Callable, Iterator

import pytest
import torch
import transformers as hf
from torch import nn

from auditkit.models.char_transformer import CharGPTConfig, CharTransformer
from auditkit.privacy.losses import label_loss, next_token_loss, token_loss

VOCABULARY, WIDTH, TOKENS = 40, 16, 8
COMMON = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 24,
}
GPT2 = {"vocab_size": VOCABULARY, "n_positions": 24, "n_embd": WIDTH, "n_layer": 2, "n_head": 2}
DISTIL = {"vocab_size": VOCABULARY, "dim": WIDTH, "n_layers": 2, "n_heads": 2, "hidden_dim": 24}
OPT = {"vocab_size": VOCABULARY, "hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2, "ffn_dim": 24}
T5 = {"vocab_size": VOCABULARY, "d_model": WIDTH, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2}


def char_gpt() -> nn.Module:
    letters = "".join(map(chr, range(200, 200 + VOCABULARY)))
    shape = {"hidden": WIDTH, "layers": 2, "heads": 2, "context": 12}
    return CharTransformer(
        CharGPTConfig(vocabulary=letters, causal=True, positions=True, scaled=True, pre_norm=True, **shape)
    )


FAMILIES: dict[str, tuple[str, Callable[[], nn.Module]]] = {
    "char-GPT": ("char", char_gpt),
    "GPT-2": ("causal", lambda: hf.GPT2LMHeadModel(hf.GPT2Config(**GPT2))),
    "BERT-MLM": ("masked", lambda: hf.BertForMaskedLM(hf.BertConfig(**COMMON))),
    "BERT-cls": ("class", lambda: hf.BertForSequenceClassification(hf.BertConfig(**COMMON, num_labels=3))),
    "DistilBERT": (
        "masked",
        lambda: hf.DistilBertForMaskedLM(hf.DistilBertConfig(**DISTIL, max_position_embeddings=24)),
    ),
    "RoBERTa": ("masked", lambda: hf.RobertaForMaskedLM(hf.RobertaConfig(**COMMON, pad_token_id=1))),
    "OPT": ("causal", lambda: hf.OPTForCausalLM(hf.OPTConfig(**OPT, word_embed_proj_dim=8))),
    "GPT-NeoX": ("causal", lambda: hf.GPTNeoXForCausalLM(hf.GPTNeoXConfig(**COMMON))),
    "Llama tied": ("causal", lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**COMMON, tie_word_embeddings=True))),
    "Llama untied": ("causal", lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**COMMON, tie_word_embeddings=False))),
    "Qwen2": ("causal", lambda: hf.Qwen2ForCausalLM(hf.Qwen2Config(**COMMON, num_key_value_heads=1))),
    "T5": ("seq2seq", lambda: hf.T5ForConditionalGeneration(hf.T5Config(**T5, decoder_start_token_id=0))),
    "ALBERT": ("masked", lambda: hf.AlbertForMaskedLM(hf.AlbertConfig(**COMMON, embedding_size=8))),
    "BLOOM": (
        "causal",
        lambda: hf.BloomForCausalLM(hf.BloomConfig(vocab_size=VOCABULARY, hidden_size=WIDTH, n_layer=2, n_head=2)),
    ),
    "DeBERTa": (
        "class",
        lambda: hf.DebertaV2ForSequenceClassification(
            hf.DebertaV2Config(**COMMON, relative_attention=True, pos_att_type=["c2p", "p2c"], position_buckets=4)
        ),
    ),
}
LOSSES = {
    "char": lambda m: lambda x, seen, labels: next_token_loss(m(x), labels),
    "causal": lambda m: lambda x, seen, labels: next_token_loss(m(x, attention_mask=seen).logits, labels),
    "masked": lambda m: lambda x, seen, labels: token_loss(m(x, attention_mask=seen).logits, labels),
    "class": lambda m: lambda x, seen, labels: label_loss(m(x, attention_mask=seen).logits, x[:, 0] % 2),
    "seq2seq": lambda m: (
        lambda x, seen, labels: token_loss(m(x, attention_mask=seen, decoder_input_ids=x).logits, labels)
    ),
}


def padded_batch(examples: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids, attention mask and labels; the first example is three tokens shorter than the others."""
    ids = torch.randint(2, VOCABULARY, (examples, TOKENS))
    seen = torch.ones_like(ids)
    seen[0, -3:] = 0
    ids[0, -3:] = 1
    return ids, seen, ids.masked_fill(seen == 0, -100)


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def precision(request: pytest.FixtureRequest) -> Iterator[torch.dtype]:
    torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("family", FAMILIES)
def test_norms_and_clipped_sums_equal_those_of_one_example_at_a_time(family, precision, assert_exact):
    torch.manual_seed(0)
    task, build = FAMILIES[family]
    module = build().eval()  # without dropout, whose draws a batch and single examples would not share
    with torch.no_grad():
        for p in module.parameters():  # biases that are not 0, norms that are not 1, attention that is not uniform
            p.add_(torch.randn_like(p) * 0.1)
    examples = TOKENS if precision == torch.float64 else 3  # once with B = T, where shapes alone do not tell them apart
    batch = padded_batch(examples)
    assert_exact(module, LOSSES[task](module), batch, 1e-5 if precision == torch.float32 else 1e-12, "book_keeping")
    # Norms that compute in float32 whatever they are given round the weighted gradients of the second pass anew.
    assert_exact(module, LOSSES[task](module), batch, 1e-5 if precision == torch.float32 else 1e-7, "ghost")
