"""Run a transformer's head, and where it is simple its last layer, only at the positions that are asked for.

Scoring one masked position of a sentence needs one row of the vocabulary projection, not one per token, and the
last layer's query, output and feed-forward only at that row. Both savings are exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

# Architectures whose encoder layer is attention.self.{query,key,value} -> attention.output -> intermediate -> output,
# with LayerNorm after each residual, as in the original BERT.
POST_NORM = {"bert", "roberta", "xlm-roberta", "camembert", "electra"}


def base_model(module: nn.Module) -> nn.Module:
    """The body below the head, as transformers names it (`bert`, `roberta`, `model`, `transformer`, ...)."""
    body: nn.Module = getattr(module, module.base_model_prefix)
    return getattr(body, "decoder", body)  # OPT calls the decoder inside its body, not the body


@contextmanager
def rows_only(module: nn.Module, rows: torch.Tensor, columns: torch.Tensor) -> Iterator[None]:
    """Inside the block the head sees hidden[rows, columns] (as one batch of one row) and returns (1, n, V).

    A head that does not read the last state of the body, as it is, runs everywhere; of its answer these rows are kept.

    Args:
        module: a transformers language model.
        rows: (n,) indices into the batch.
        columns: (n,) positions, one for each of `rows`.
    """

    def gather(_: nn.Module, __: Any, output: Any) -> Any:
        if "last_hidden_state" not in output:
            return None
        output["last_hidden_state"] = output["last_hidden_state"][rows, columns][None]
        return output

    def keep(_: nn.Module, __: Any, output: Any) -> Any:
        if output["logits"].shape[:2] != (1, len(rows)):
            output["logits"] = output["logits"][rows, columns][None]
        return output

    handles = [base_model(module).register_forward_hook(gather), module.register_forward_hook(keep)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def one_position(module: nn.Module, position: torch.Tensor) -> Iterator[None]:
    """Inside the block the model returns logits (1, B, V): row b at `position[b]` only.

    Args:
        module: a transformers masked language model.
        position: (B,) the position wanted in each row.
    """
    rows = torch.arange(len(position), device=position.device)
    config: Any = module.config
    if config.model_type not in POST_NORM or config.is_decoder:
        with rows_only(module, rows, position):
            yield
        return
    body: Any = base_model(module)
    layer = body.encoder.layer[-1]
    layer.forward = lambda hidden, mask=None, *_, **__: _layer_at(layer, hidden, mask, rows, position)
    try:
        with rows_only(module, rows, torch.zeros_like(position)):
            yield
    finally:
        del layer.forward


def _layer_at(
    layer: Any, hidden: torch.Tensor, mask: torch.Tensor | None, rows: torch.Tensor, position: torch.Tensor
) -> torch.Tensor:
    """One post-norm encoder layer, its output computed at one position per row: (B, T, H) -> (B, 1, H)."""
    attention = layer.attention.self
    heads = (len(hidden), -1, attention.num_attention_heads, attention.attention_head_size)
    here = hidden[rows, position][:, None]  # (B, 1, H)
    query = attention.query(here).view(heads).transpose(1, 2)  # (B, heads, 1, d)
    key = attention.key(hidden).view(heads).transpose(1, 2)  # (B, heads, T, d)
    value = attention.value(hidden).view(heads).transpose(1, 2)
    if mask is not None and mask.ndim == 4 and mask.shape[2] > 1:
        mask = mask[rows[:, None], :, position[:, None]].transpose(1, 2)  # the queried row of (B, 1, T, T)
    context = F.scaled_dot_product_attention(query, key, value, mask).transpose(1, 2).flatten(2)  # (B, 1, H)
    attended = layer.attention.output(context, here)
    return layer.output(layer.intermediate(attended), attended)
