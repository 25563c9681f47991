"""Batches by token budget: rows of like length together, halved when the device runs out of memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import torch

from auditkit.errors import ModelError
from auditkit.models.protocols import Ints
from auditkit.progress import advance


def plan(lengths: Ints, budget: int) -> list[Ints]:
    """Row indices in batches of at most `budget` padded tokens (at least one row each), longest rows first.

    Sorted by length, a batch holds rows of (nearly) equal length, so hardly any padding is computed; longest
    first, so that a budget that is too large shows at once.
    """
    order = np.argsort(-lengths, kind="stable")
    batches, start = [], 0
    while start < len(order):
        size = max(1, budget // max(1, int(lengths[order[start]])))
        batches.append(order[start : start + size])
        start += size
    return batches


def token_budget(device: torch.device, *, cpu: int, accelerator: int) -> int:
    """Padded tokens a batch: on a CPU its activations should stay in the cache, an accelerator wants more."""
    return cpu if device.type == "cpu" else accelerator


class Batcher:
    """Runs a forward function over rows. Remembers a halved budget, and counts the halving in `notices`."""

    def __init__(self, budget: int, notices: Counter[str]) -> None:
        self.budget = budget
        self.notices = notices

    def run(self, lengths: Sequence[int], forward: Callable[[Ints], None]) -> None:
        """Call `forward(rows)` until every row was in one batch that went through.

        Raises:
            ModelError: not even a single row fits into memory.
        """
        sizes = np.asarray(lengths, dtype=np.int64)
        todo, done = plan(sizes, self.budget), 0
        while todo:
            rows = todo[0]
            try:
                forward(rows)
            except (torch.OutOfMemoryError, RuntimeError) as e:
                if not _out_of_memory(e):
                    raise
                todo = self._halve(rows, todo, sizes)
                continue
            todo = todo[1:]
            done += len(rows)
            advance(done, len(sizes))

    def _halve(self, rows: Ints, todo: list[Ints], sizes: Ints) -> list[Ints]:
        longest = int(sizes[rows].max())
        if len(rows) == 1:
            raise ModelError(
                f"out of memory on a single text of {longest} tokens; use a smaller dtype or another device"
            )
        self.budget = min(self.budget, len(rows) * longest) // 2
        self.notices[f"batches halved to {self.budget} tokens (out of memory)"] += 1
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        left = np.concatenate(todo)
        return [left[b] for b in plan(sizes[left], self.budget)]


def _out_of_memory(e: Exception) -> bool:
    return isinstance(e, torch.OutOfMemoryError) or "not enough memory" in str(e) or "out of memory" in str(e)


def padded(rows: Sequence[Sequence[int]], filler: int | None, device: torch.device) -> dict[str, torch.Tensor]:
    """Model inputs (B, T), with an attention mask only where something is padded: attention is faster without."""
    lengths = torch.tensor([len(r) for r in rows])
    ids = pad(rows, filler or 0)
    inputs = {"input_ids": ids.to(device)}
    if int(lengths.min()) < ids.shape[1]:
        inputs["attention_mask"] = (torch.arange(ids.shape[1]) < lengths[:, None]).long().to(device)
    return inputs


def pad(rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
    """(B, T) int64, each row filled up with `value` on the right."""
    width = max(len(r) for r in rows)
    return torch.tensor([[*r, *[value] * (width - len(r))] for r in rows], dtype=torch.long)
