"""What of a call is padding: examples in a batch of tensors, as each would come alone.

Padding is on the right: what a mask of ones and zeros says, or else the padding token at the end of a row, as the model
names it (`config.pad_token_id`, the `padding_idx` of an embedding). Where even the longest row is padded, all batches
share a width, and nothing of an example depends on the others.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map_only

from auditkit.privacy.example_rows import length, take


def lengths(module: nn.Module, call: Any) -> torch.Tensor | None:
    """(B,) tokens of each row of a call that are no padding; None where nothing is padded, as far as can be seen."""
    size = length(call)
    tables = [t for t in tree_leaves(call) if isinstance(t, torch.Tensor) and t.ndim == 2 and len(t) == size]
    whole_numbers = [t for t in tables if not t.is_floating_point() and t.shape[1] > 1]
    found = next((t.bool() for t in whole_numbers if _is_mask(t)), None)
    if found is None and whole_numbers:
        found = _without_padding_token(module, whole_numbers[0])
    padded = found is not None and bool(found[:, -1].any()) and not bool(found.all())
    return found.sum(1) if found is not None and padded else None


def width(call: Any) -> int:
    """T, the length that rows are padded to; 0 where there are none."""
    return next((t.shape[1] for t in tree_leaves(call) if isinstance(t, torch.Tensor) and t.ndim == 2), 0)


def unpadded(output: torch.Tensor, tokens: torch.Tensor | None, width: int) -> torch.Tensor | None:
    """An output (B, T, ...) with 0 where padding is, or without T; None where T comes later, as in caches."""
    if output.ndim < 2 or output.shape[1] != width:
        return None if width in output.shape[2:] else output
    if tokens is None:
        return output
    seen = torch.arange(width, device=output.device) < tokens[:, None]
    return output * seen.reshape(*seen.shape, *[1] * (output.ndim - 2))


def shortest_and_longest(tokens: torch.Tensor) -> list[int]:
    """The two rows between which there is the most padding."""
    return [int(tokens.argmin()), int(tokens.argmax())]


def cut(call: Any, row: int, tokens: int) -> Any:
    """One row of a call, its tensors (B, T, ...) cut to `tokens`."""
    padded, one = width(call), take(call, length(call), [row])
    return tree_map_only(torch.Tensor, lambda t: t[:, :tokens] if t.ndim > 1 and t.shape[1] == padded else t, one)


def _is_mask(table: torch.Tensor) -> bool:
    ones = table.bool()
    return bool((ones == table).all() and ones[:, 0].all() and (ones.int().diff(dim=1) <= 0).all())


def _without_padding_token(module: nn.Module, ids: torch.Tensor) -> torch.Tensor | None:
    token = getattr(getattr(module, "config", None), "pad_token_id", None)
    if token is None:
        tables = [part.padding_idx for part in module.modules() if isinstance(part, nn.Embedding)]
        token = next((index for index in tables if index is not None), None)
    if token is None:
        return None
    padding = (ids == token).flip(1).int().cumprod(1).sum(1)
    kept = ids.shape[1] - (padding - padding.min())  # what all rows end with is an end token of their own
    return torch.arange(ids.shape[1], device=ids.device) < kept.clamp(min=1)[:, None]
