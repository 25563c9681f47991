"""What happens inside a model while it reads: the residual stream after each block, and the attention within it.

One way to look into every adapter: a Hugging Face body (of an encoder-decoder, the encoder) or a char-GPT. Shapes:
L blocks, H heads, T tokens, D hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from auditkit.errors import InputError, MissingCapability
from auditkit.models.base import HFModel, eager_attention, is_encoder_decoder
from auditkit.models.batching import Batcher, padded
from auditkit.models.char_gpt import CharGPT, CharModel
from auditkit.models.narrow import base_model, rows_only
from auditkit.models.padding import Company
from auditkit.models.protocols import Ints
from auditkit.models.tokens import cut, read_tokens

TOKENS_PER_BATCH = 2048

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one text as the model reads it.

    Attributes:
        ids: (T,) token ids with the special tokens.
        names: T strings: the piece of the text that a token covers, or the name of a special token.
        special: (T,) True at special tokens, the start of a char-GPT included.
        offsets: (T, 2) where each token stands in the text, in characters; (0, 0) at special tokens.
    """

    ids: Ints
    names: tuple[str, ...]
    special: npt.NDArray[np.bool_]
    offsets: Ints


@dataclass(frozen=True, slots=True)
class Reading:
    """What happened while one text was read.

    Attributes:
        tokens: the text as the model saw it.
        hidden: (L + 1, T, D) the input of the first block, then the output of each.
        attention: (L, H, T, T) weight that each token (row) gives to each other; rows sum to 1. None unless asked for.
    """

    tokens: Tokens
    hidden: Array
    attention: Array | None


def tokenize(model: Any, texts: Sequence[str]) -> list[Tokens]:
    """The tokens of each text, cut (and counted in `notices`) at the context, as the adapter itself would read them.

    Raises:
        InputError: an empty text.
        MissingCapability: an adapter that is none of ours.
    """
    if empty := [i for i, text in enumerate(texts) if not text.strip()]:
        raise InputError(f"text {empty[0]} is empty; give texts with at least one word")
    if isinstance(model, CharModel):
        return [_char_tokens(model, text) for text in texts]
    start: list[int] = []
    if isinstance(model, HFModel):
        causal = model.task == "causal-lm"
        start = [model.tokenizer.bos_token_id] if causal and model.tokenizer.bos_token_id is not None else []
        tokenizer, encoded = model.tokenizer, model.tokenize(
            texts, reserve=len(start), add_special_tokens=not causal, return_special_tokens_mask=True,
            return_offsets_mapping=True,
        )  # fmt: skip
    else:
        tokenizer, encoded = _encoder_tokens(model, texts)
    rows = zip(encoded["input_ids"], encoded["special_tokens_mask"], encoded["offset_mapping"], strict=True)
    return [
        _named(tokenizer, text, start + list(ids), [1] * len(start) + list(special), [(0, 0)] * len(start) + list(at))
        for text, (ids, special, at) in zip(texts, rows, strict=True)
    ]


def _char_tokens(model: CharModel, text: str) -> Tokens:
    start = model.tokenizer.start
    room = model.config.context - len(start)
    if len(text) > room:
        model.notices[f"texts truncated to {room} characters"] += 1
    ids, replaced = model.tokenizer.encode(text[:room])
    if replaced:
        model.notices[f"characters outside the vocabulary read as {model.tokenizer.fallback!r}"] += replaced
    at = np.arange(len(ids))
    offsets = np.concatenate([np.zeros((len(start), 2), dtype=np.int64), np.stack([at, at + 1], axis=1)])
    special = np.arange(len(start) + len(ids)) < len(start)
    return Tokens(np.array(start + ids), (*["start"] * len(start), *text[:room]), special, offsets)


def _encoder_tokens(model: Any, texts: Sequence[str]) -> tuple[Any, Any]:
    """Of a sentence encoder, whose tokenizer sits inside its module."""
    tokenizer = getattr(getattr(model, "module", None), "tokenizer", None)
    if tokenizer is None:
        raise MissingCapability(
            f"{model.name}: cannot look inside a {type(model).__name__}; expected a transformer adapter of auditkit"
        )
    room, rows = model.module.max_seq_length, read_tokens(tokenizer, texts)
    if too_long := sum(len(row.ids) > room for row in rows):
        model.notices[f"texts truncated to {room} tokens"] += too_long
        rows = [cut(row, room, tokenizer.truncation_side) for row in rows]
    columns = {"input_ids": "ids", "special_tokens_mask": "special", "offset_mapping": "offsets"}
    return tokenizer, {key: [getattr(row, column) for row in rows] for key, column in columns.items()}


def _named(tokenizer: Any, text: str, ids: list[int], special: list[int], offsets: list[tuple[int, int]]) -> Tokens:
    # A mask written into the text is reported as special by some tokenizers; it stands in the text, so it has a span.
    special = [int(bool(s) and start == end) for s, (start, end) in zip(special, offsets, strict=True)]
    names = tuple(
        str(tokenizer.convert_ids_to_tokens(i)) if s else text[start:end].strip() or text[start:end]
        for i, s, (start, end) in zip(ids, special, offsets, strict=True)
    )
    return Tokens(np.array(ids), names, np.array(special, dtype=bool), np.array(offsets).reshape(-1, 2))


def body(model: Any) -> nn.Module:
    """The part of an adapter's module that reads: without any head; of an encoder-decoder, the encoder."""
    if isinstance(model, HFModel):
        return model.module.get_encoder() if is_encoder_decoder(model.module) else base_model(model.module)
    return model.module if isinstance(model, CharModel) else model.module[0].model


def blocks(module: Any) -> nn.ModuleList:
    """The transformer blocks of a body or a whole model, in order.

    Raises:
        MissingCapability: there is no list of as many blocks as the configuration says layers, as in ALBERT, which
            uses one block several times.
    """
    if hasattr(module, "blocks"):
        return module.blocks
    layers = module.config.num_hidden_layers
    for part in module.modules():
        if isinstance(part, nn.ModuleList) and len(part) == layers:
            return part
    raise MissingCapability(
        f"{type(module).__name__} has no list of its {layers} layers to look into; models that share layers do not"
    )


def read(
    model: Any, tokens: Sequence[Tokens], take: Callable[[int, Reading], None], *, attention: bool = False
) -> None:
    """Call `take(i, reading)` for each text, in any order: what it does not keep costs no memory.

    Args:
        model: an adapter of auditkit over a transformer.
        tokens: the texts, from `tokenize`.
        take: reduces a reading to what is wanted.
        attention: whether to return attention weights too; then, and only then, attention is computed eagerly, and
            the model's own implementation is put back afterwards.

    Raises:
        MissingCapability: no blocks, or no attention, to look into.
    """
    network = body(model)
    lengths = [len(t.ids) for t in tokens]
    device = next(network.parameters()).device
    apart = isinstance(model, CharModel) or model.company is not Company.ANY

    @torch.inference_mode()
    def forward(rows: Ints) -> None:
        # Equal lengths for a char-GPT: it takes no mask, and without a causal one it would see the padding.
        for same in of_one_length(rows, lengths) if apart else [rows.tolist()]:
            inputs = padded([tokens[r].ids.tolist() for r in same], 0, device)
            with recording(network) as states:
                weights = _forward(network, inputs, attention)
            for i, r in enumerate(same):
                take(r, _reading(tokens[r], states, weights, i))

    with ExitStack() as stack:
        if attention and not isinstance(model, CharModel):
            stack.enter_context(eager_attention(network))
        Batcher(TOKENS_PER_BATCH, model.notices, network).run(lengths, forward)


def of_one_length(rows: Ints, lengths: Sequence[int]) -> list[list[int]]:
    """`rows` in lists, each of rows of one length."""
    return [[int(r) for r in rows if lengths[r] == length] for length in sorted({lengths[r] for r in rows})]


def require_prediction(model: Any) -> None:
    """Refuse a model without an answer of its own.

    Raises:
        MissingCapability: it predicts neither classes nor tokens.
    """
    if not (isinstance(model, CharGPT) or getattr(model, "task", "") in ("classifier", "masked-lm", "causal-lm")):
        raise MissingCapability(
            f"{model.name} predicts neither a class nor a token; give a classifier, a masked or a causal language model"
        )


def logits(model: Any, inputs: dict[str, torch.Tensor], at: Sequence[int]) -> torch.Tensor:
    """(B, classes or vocabulary): what a classifier or language model answers.

    Args:
        model: one that `require_prediction` accepts.
        inputs: from `padded`; a char-GPT needs rows of one length.
        at: the position that predicts, of each row; a classifier has none.
    """
    rows, columns = torch.arange(len(at)), torch.tensor(at)
    if isinstance(model, CharGPT):
        return model.module(inputs["input_ids"])[rows, columns]
    if model.task == "classifier":
        return model.module(**inputs).logits
    with rows_only(model.module, rows, columns):
        return model.module(**inputs).logits[0]


@contextmanager
def recording(module: nn.Module) -> Iterator[list[torch.Tensor]]:
    """Inside the block every forward pass appends the L + 1 states (B, T, D) of the residual stream to the list."""
    states: list[torch.Tensor] = []

    def before(_: nn.Module, args: Any, kwargs: Any) -> None:
        states.append(args[0] if args else kwargs["hidden_states"])

    def after(_: nn.Module, __: Any, output: Any) -> None:
        states.append(output[0] if isinstance(output, tuple) else output)

    layers = blocks(module)
    handles = [layers[0].register_forward_pre_hook(before, with_kwargs=True)]
    handles += [layer.register_forward_hook(after) for layer in layers]
    try:
        yield states
    finally:
        for handle in handles:
            handle.remove()


def _forward(network: Any, inputs: dict[str, torch.Tensor], attention: bool) -> Sequence[torch.Tensor]:
    """Run the network; L attention tensors (B, H, T, T), or none."""
    if hasattr(network, "blocks"):
        attending: Any = _char_attention(network) if attention else nullcontext(())
        with attending as weights:
            network(inputs["input_ids"])
        return weights
    output = network(**inputs, **({"output_attentions": True} if attention else {}))
    if not attention:
        return ()
    found: Sequence[torch.Tensor] | None = getattr(output, "attentions", None)
    if not (found and all(a is not None and a.ndim == 4 for a in found)):
        raise MissingCapability(f"{type(network).__name__} returns no attention weights; it may not use attention")
    return found


@contextmanager
def _char_attention(network: Any) -> Iterator[list[torch.Tensor]]:
    """The attention weights of each block of a char-GPT, which its fused attention does not give out."""
    weights: list[torch.Tensor] = []

    def compute(layer: Any, args: Any, _: Any) -> None:
        q, k = (part(args[0]).unflatten(2, (layer.heads, -1)).transpose(1, 2) for part in (layer.q, layer.k))
        scores = q @ k.transpose(2, 3) * layer.scale  # (B, H, T, T)
        if layer.causal:
            future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
            scores = scores.masked_fill(future, -torch.inf)
        weights.append(scores.softmax(-1))

    handles = [block.attention.register_forward_hook(compute) for block in network.blocks]
    try:
        yield weights
    finally:
        for handle in handles:
            handle.remove()


def _reading(tokens: Tokens, states: Sequence[torch.Tensor], weights: Sequence[torch.Tensor], row: int) -> Reading:
    length = len(tokens.ids)
    hidden = torch.stack([s[row, :length].float() for s in states]).cpu().numpy()
    attention = torch.stack([w[row, :, :length, :length].float() for w in weights]).cpu().numpy() if weights else None
    return Reading(tokens, hidden, attention)
