"""Rows of a batch: tensors, batch outermost, in any nest of dicts, lists and tuples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


def length(batch: Any) -> int:
    """Length of the first tensor."""
    if isinstance(batch, torch.Tensor):
        return len(batch) if batch.ndim else 0
    parts = list(batch.values()) if hasattr(batch, "values") else batch
    if isinstance(parts, list | tuple):
        for part in parts:
            size = length(part)
            if size:
                return size
    return 0


def take(batch: Any, size: int, rows: Sequence[int]) -> Any:
    """These rows of a batch of `size`: from its tensors of that length; all else is kept."""
    if isinstance(batch, torch.Tensor):
        return batch[list(rows)] if batch.ndim and len(batch) == size else batch
    if hasattr(batch, "items"):
        return {key: take(value, size, rows) for key, value in batch.items()}
    if isinstance(batch, list | tuple):
        return type(batch)(take(value, size, rows) for value in batch)
    return batch
