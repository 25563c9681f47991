"""Tiny models of many architectures, built from their configuration with random weights.

A row of a table is what the tiny configuration says besides what `FOR_ALL` gives; a name in brackets behind the model
type tells two rows of one type apart.
"""

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

CONTEXT = 64
WORDS = (
    *("the", "a", "nurse", "doctor", "engineer", "said", "that", "she", "he", "was", "tired", "old", "good", "bad"),
    *("women", "men", "are", "at", "work", "my", "sister", "is", "and", "people", "like", "her", "his", "."),
)
VOCABULARY = ("<pad>", "<s>", "</s>", "<unk>", "<mask>", *WORDS)
PAD, START, END = 0, 1, 2

FOR_ALL = {
    "vocab_size": 64,  # more rows than the tokenizer has words, as most models have
    "pad_token_id": PAD,
    "bos_token_id": START,
    "eos_token_id": END,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": CONTEXT,
}
BEHIND_PADDING = {"max_position_embeddings": CONTEXT + 1}
"""Positions start at padding_idx + 1."""
GROUPED = {"num_key_value_heads": 2, "head_dim": 8}
SEQ2SEQ = {
    "d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "decoder_start_token_id": END,
}  # fmt: skip
T5 = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 1, "num_heads": 4, "decoder_start_token_id": PAD}
EXPERTS = {"num_local_experts": 4, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}

MASKED = {
    "albert": {"embedding_size": 16},
    "bert": {},
    "big_bird": {"attention_type": "original_full"},
    "camembert": BEHIND_PADDING,
    "convbert": {"embedding_size": 32, "head_ratio": 1, "conv_kernel_size": 3},
    "data2vec-text": BEHIND_PADDING,
    "deberta": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "max_relative_positions": 16},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16},
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48},
    "electra": {"embedding_size": 16},
    "ernie": {},
    "esm": {"position_embedding_type": "rotary", "mask_token_id": 4, "token_dropout": False},
    "eurobert": GROUPED,
    "flaubert": {"emb_dim": 32, "n_layers": 2, "n_heads": 4, "n_words": 64, "pad_index": PAD, "mask_index": 4},
    "fnet": {},
    "funnel": {"num_hidden_layers": None, "block_sizes": [1, 1], "d_model": 32, "n_head": 4, "d_head": 8,
               "d_inner": 48, "num_decoder_layers": 1},
    "ibert": BEHIND_PADDING,
    "longformer": {"attention_window": [8, 8], "max_position_embeddings": CONTEXT + 1},
    "luke": {**BEHIND_PADDING, "entity_vocab_size": 4, "entity_emb_size": 8},
    "megatron-bert": {},
    "mobilebert": {"embedding_size": 16, "intra_bottleneck_size": 32, "true_hidden_size": 32},
    "modernbert": {"local_attention": 8, "global_attn_every_n_layers": 2, "cls_token_id": START, "sep_token_id": END},
    "mpnet": BEHIND_PADDING,
    "mra": {"block_per_row": 1},
    "nomic_bert": {},
    "nystromformer": {"segment_means_seq_len": CONTEXT, "num_landmarks": CONTEXT},
    "perceiver": {"num_latents": 8, "d_latents": 32, "d_model": 32, "num_blocks": 1, "num_self_attends_per_block": 1,
                  "num_self_attention_heads": 4, "num_cross_attention_heads": 4},
    "reformer": {"is_decoder": False, "attn_layers": ["local", "local"], "local_attn_chunk_length": 4,
                 "axial_pos_embds": False, "attention_head_size": 8},
    "rembert": {"input_embedding_size": 16, "output_embedding_size": 16},
    "roberta": BEHIND_PADDING,
    "roberta-prelayernorm": BEHIND_PADDING,
    "roformer": {"embedding_size": 32},
    "squeezebert": {"embedding_size": 32},
    "xlm": {"emb_dim": 32, "n_layers": 2, "n_heads": 4, "n_words": 64, "pad_index": PAD, "mask_index": 4},
    "xlm-roberta": BEHIND_PADDING,
    "xlm-roberta-xl": BEHIND_PADDING,
    "xmod": {**BEHIND_PADDING, "languages": ["en"], "default_language": "en"},
    "yoso": {},
}  # fmt: skip

CAUSAL = {
    "arcee": GROUPED,
    "bart": SEQ2SEQ,
    "bert": {"is_decoder": True},
    "biogpt": {},
    "bloom": {"n_layer": 2, "n_head": 4},
    "codegen": {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4, "n_positions": CONTEXT},
    "cohere": GROUPED,
    "ctrl": {"n_embd": 32, "n_layer": 2, "n_head": 4, "dff": 48, "n_positions": CONTEXT},
    "falcon": {"new_decoder_architecture": False, "alibi": False},
    "falcon (alibi)": {"model_type": "falcon", "alibi": True},
    "falcon_mamba": {"state_size": 4},
    "gemma": GROUPED,
    "gemma2": GROUPED | {"sliding_window": 8},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT},
    "gpt_bigcode": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT},
    "gpt_neo": {"num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]], "window_size": 8},
    "gpt_neox": {},
    "gptj": {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4, "n_positions": CONTEXT},
    "granite": GROUPED,
    "jamba": {**GROUPED, **EXPERTS, "use_mamba_kernels": False, "attn_layer_period": 2, "attn_layer_offset": 1,
              "mamba_d_state": 4, "mamba_dt_rank": 4},
    "llama": GROUPED,
    "mamba": {"state_size": 4},
    "mamba2": {"state_size": 8, "num_heads": 8, "head_dim": 8, "n_groups": 1, "chunk_size": 16},
    "mistral": GROUPED | {"sliding_window": 8},
    "mixtral": GROUPED | EXPERTS,
    "mpt": {"d_model": 32, "n_heads": 4, "n_layers": 2, "max_seq_len": CONTEXT},
    "nemotron": GROUPED,
    "olmo": GROUPED,
    "olmo2": GROUPED,
    "olmoe": GROUPED | EXPERTS,
    "openai-gpt": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},
    "persimmon": {},
    "phi": {"partial_rotary_factor": 0.5},
    "phi3": GROUPED,
    "qwen2_moe": {**GROUPED, **EXPERTS, "shared_expert_intermediate_size": 16},
    "qwen3": GROUPED,
    "recurrent_gemma": {"lru_width": 32, "num_key_value_heads": 1, "attention_window_size": 8, "num_hidden_layers": 3},
    "rwkv": {"attention_hidden_size": 32},
    "stablelm": GROUPED,
    "starcoder2": GROUPED,
    "xglm": {"d_model": 32, "ffn_dim": 48, "num_layers": 2, "attention_heads": 4},
    "xlnet": {"max_position_embeddings": None, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48},
}  # fmt: skip

CLASSIFIERS = {
    "bart": SEQ2SEQ,
    "bert": {},
    "bigbird_pegasus": SEQ2SEQ | {"attention_type": "original_full"},
    "bloom": {"n_layer": 2, "n_head": 4},
    "ctrl": CAUSAL["ctrl"],
    "deberta-v2": MASKED["deberta-v2"],
    "falcon": CAUSAL["falcon"],
    "flaubert": MASKED["flaubert"],
    "fnet": {},
    "funnel": MASKED["funnel"],
    "gemma": GROUPED,
    "gpt2": CAUSAL["gpt2"],
    "gpt2 (no pad id)": {"model_type": "gpt2", **CAUSAL["gpt2"], "pad_token_id": None},
    "gpt2 (pad id of its own)": {"model_type": "gpt2", **CAUSAL["gpt2"], "pad_token_id": 63},
    "gpt_neo": CAUSAL["gpt_neo"],
    "gptj": CAUSAL["gptj"],
    "jamba": CAUSAL["jamba"],
    "llama": GROUPED,
    "llama (pad id -1)": {"model_type": "llama", **GROUPED, "pad_token_id": -1},
    "longformer": MASKED["longformer"],
    "mbart": SEQ2SEQ,
    "mistral": CAUSAL["mistral"],
    "mpnet": MASKED["mpnet"],
    "mpt": CAUSAL["mpt"],
    "mvp": SEQ2SEQ,
    "nystromformer": MASKED["nystromformer"],
    "openai-gpt": CAUSAL["openai-gpt"],
    "opt": CAUSAL["opt"],
    "perceiver": MASKED["perceiver"],
    "phi3": GROUPED,
    "plbart": SEQ2SEQ,
    "roberta": BEHIND_PADDING,
    "squeezebert": MASKED["squeezebert"],
    "t5": T5,
    "umt5": T5,
    "xlm": MASKED["xlm"],
    "xlnet": CAUSAL["xlnet"],
    "yoso": {},
}  # fmt: skip

TRANSLATORS = {
    "bart": SEQ2SEQ,
    "bigbird_pegasus": SEQ2SEQ | {"attention_type": "original_full"},
    "blenderbot": SEQ2SEQ,
    "blenderbot-small": SEQ2SEQ,
    "fsmt": SEQ2SEQ | {"src_vocab_size": 64, "tgt_vocab_size": 64, "langs": ["en", "de"]},
    "led": SEQ2SEQ | {"attention_window": 8, "max_encoder_position_embeddings": CONTEXT,
                      "max_decoder_position_embeddings": CONTEXT},
    "longt5": T5 | {"local_radius": 4},
    "m2m_100": SEQ2SEQ,
    "marian": SEQ2SEQ,
    "mbart": SEQ2SEQ,
    "mt5": T5,
    "mvp": SEQ2SEQ,
    "nllb-moe": SEQ2SEQ | {"num_experts": 4, "encoder_sparse_step": 1, "decoder_sparse_step": 1},
    "pegasus": SEQ2SEQ,
    "pegasus_x": SEQ2SEQ | {"num_global_tokens": 4, "block_size": 8},
    "plbart": SEQ2SEQ,
    "prophetnet": {"num_hidden_layers": None, "num_encoder_layers": 1, "num_decoder_layers": 1,
                   "num_encoder_attention_heads": 4,
                   "num_decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "ngram": 2,
                   "decoder_start_token_id": START},
    "switch_transformers": T5 | {"num_experts": 4, "num_decoder_layers": 1, "num_sparse_encoder_layers": 1,
                                 "num_sparse_decoder_layers": 1},
    "t5": T5,
    "umt5": T5,
}  # fmt: skip

ENCODERS = ("bert", "roberta", "mpnet", "distilbert", "fnet", "xlm-roberta", "deberta-v2", "nystromformer",
            "modernbert", "gpt2", "llama", "opt", "mistral", "longformer", "electra", "albert")  # fmt: skip


def tokenizer(*, marks=True, padding_side="right", pad=True):
    """One token a word; with `marks` a text stands between <s> and </s>."""
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(VOCABULARY)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.decoder = decoders.WordPiece(prefix="")
    if marks:
        inner.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", START), ("</s>", END)]
        )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", unk_token="<unk>", mask_token="<mask>",
        padding_side=padding_side, **({"pad_token": "<pad>"} if pad else {}),
    )  # fmt: skip


def build(auto_class, name, options, **more):
    """The module: weights of a size at which its answers depend on every token."""
    given = {**FOR_ALL, **options, **more}
    kind = given.pop("model_type", name)
    given = {key: value for key, value in given.items() if value is not None or key == "pad_token_id"}
    config = transformers.AutoConfig.for_model(kind, **given)
    torch.manual_seed(0)
    module = getattr(transformers, auto_class).from_config(config).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.3 if parameter.shape[-1] <= 64 else 0.1)
    return module
