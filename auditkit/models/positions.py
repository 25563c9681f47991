"""The longest row that a module can read, derived from its own table of positions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

UNLIMITED = 10**6
"""Tokens: what stands for no limit."""
STATED = ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length")
TOKENS = 5


def longest_row(config: Any, forward: Callable[[], Any]) -> int:
    """Tokens of the longest row: what the configuration states, or the table of positions holds, if that is less.

    A module may begin to count at a later row of its table (behind the padding index, say), so that the table holds
    more rows than a text may have tokens. Where it begins is seen in one short forward pass.

    Args:
        config: of the module.
        forward: runs the module on `TOKENS` tokens whose ids are not consecutive.

    Returns:
        `UNLIMITED` where nothing limits: rotary or relative positions, recurrence, and no statement.
    """
    stated = [getattr(config, key, None) for key in STATED]
    limits = [n for n in stated if isinstance(n, int) and n > 0]
    return min([*limits[:1], *_tables(forward), UNLIMITED])


def _tables(forward: Callable[[], Any]) -> list[int]:
    """Of every table that numbers the tokens of a text: how many tokens it has room for."""
    seen = _Lookups()
    try:
        with torch.inference_mode(), seen:
            forward()
    except (ValueError, TypeError, IndexError, RuntimeError, AttributeError, KeyError, NotImplementedError):
        return []  # it wants another input; whether it can be read at all is found out elsewhere
    return seen.limits


class _Lookups(TorchFunctionMode):
    """Watches look-ups in tables; those of consecutive rows are positions."""

    def __init__(self) -> None:
        super().__init__()
        self.limits: list[int] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.nn.functional.embedding:
            given = dict(zip(("input", "weight"), args, strict=False)) | (kwargs or {})
            self._note(given["input"], given["weight"])
        return func(*args, **(kwargs or {}))

    def _note(self, ids: torch.Tensor, weight: torch.Tensor) -> None:
        if ids.numel() != ids.shape[-1] or ids.numel() < TOKENS:
            return  # a table of distances: one entry for each pair of tokens
        rows = ids.flatten()[:TOKENS].tolist()
        if rows == list(range(rows[0], rows[0] + TOKENS)):
            self.limits.append(len(weight) - rows[0])
