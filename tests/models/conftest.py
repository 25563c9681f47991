"""Tiny models with random weights, one per architecture, built in memory: the adapters must be exact on all of them."""

import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

WORDS = (
    *("the", "a", "nurse", "doctor", "engineer", "said", "that", "she", "he", "was", "tired", "old", "good", "bad"),
    *("smart", "women", "men", "are", "at", "mathematics", "my", "sister", "is", "and", "people", "like", "her", "his"),
    *("work", "one", "two", "three", "four", "five", ".", ",", "##s", "##ing", "##er"),
)
CORPUS = [
    "the nurse said that she was tired .",
    "the doctor said that he was old .",
    "women and men are good at work .",
]
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4}
CONTEXT = 40


def word_piece_tokenizer(lower=True, mask="[MASK]"):
    vocabulary = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *WORDS,
        *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz"),
    ]
    vocabulary += list("abcdefghijklmnopqrstuvwxyz")
    vocabulary = list(dict.fromkeys(vocabulary))
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(vocabulary)}, unk_token="[UNK]"))
    if lower:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token=mask, model_max_length=CONTEXT,
    )  # fmt: skip


def byte_tokenizer(start="<s>"):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = ["<s>", "</s>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        CORPUS * 4, trainers.BpeTrainer(vocab_size=340, special_tokens=specials, initial_alphabet=alphabet)
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=start, eos_token="</s>", model_max_length=2 * CONTEXT
    )


def word_level_tokenizer():
    """One token a word, with a start token: what a real tokenizer makes of common words."""
    vocabulary = ["<s>", "</s>", *WORDS]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(vocabulary)}, unk_token="</s>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="</s>", model_max_length=400
    )


def build(auto_class, config, seed=0):
    """A model whose predictions differ from token to token: the default initialisation is nearly uniform."""
    torch.manual_seed(seed)
    module = auto_class.from_config(config).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8)
    return module


MASKED = {
    "bert": (transformers.BertConfig, SMALL),
    "roberta": (transformers.RobertaConfig, SMALL | {"pad_token_id": 0, "max_position_embeddings": CONTEXT + 1}),
    "electra": (transformers.ElectraConfig, SMALL | {"embedding_size": 16}),
    "distilbert": (transformers.DistilBertConfig, {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48}),
    "albert": (transformers.AlbertConfig, SMALL | {"embedding_size": 16}),
    "deberta-v2": (transformers.DebertaV2Config, SMALL | {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}),
}
CAUSAL = {
    "gpt2": (transformers.GPT2Config, GPT),
    "llama": (transformers.LlamaConfig, SMALL | {"num_key_value_heads": 2}),
    "qwen2": (transformers.Qwen2Config, SMALL | {"num_key_value_heads": 2}),
    "gpt-neox": (transformers.GPTNeoXConfig, SMALL),
    "opt": (transformers.OPTConfig, {**SMALL, "ffn_dim": 48, "word_embed_proj_dim": 32}),
    "bloom": (transformers.BloomConfig, {"hidden_size": 32, "n_layer": 2, "n_head": 4}),
}  # fmt: skip


@pytest.fixture(scope="session", params=MASKED)
def masked_module(request):
    config_class, options = MASKED[request.param]
    tokenizer = word_piece_tokenizer()
    config = config_class(**{"max_position_embeddings": CONTEXT, **options}, vocab_size=len(tokenizer))
    return build(transformers.AutoModelForMaskedLM, config), tokenizer


@pytest.fixture(scope="session", params=CAUSAL)
def causal_module(request):
    config_class, options = CAUSAL[request.param]
    tokenizer = byte_tokenizer()
    config = config_class(**options, vocab_size=len(tokenizer), bos_token_id=0, eos_token_id=1, pad_token_id=1)
    return build(transformers.AutoModelForCausalLM, config), tokenizer


def tiny_bert_masked_lm(seed=0, **options):
    tokenizer = word_piece_tokenizer()
    config = transformers.BertConfig(**SMALL, max_position_embeddings=CONTEXT, vocab_size=len(tokenizer), **options)
    return build(transformers.AutoModelForMaskedLM, config, seed), tokenizer


def tiny_llama(seed=0, start="<s>"):
    tokenizer = byte_tokenizer(start)
    config = transformers.LlamaConfig(**SMALL, vocab_size=len(tokenizer), bos_token_id=0, eos_token_id=1)
    return build(transformers.AutoModelForCausalLM, config, seed), tokenizer
