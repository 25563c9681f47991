"""Batches by token budget: rows of like length together, halved when the device runs out of memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from auditkit.errors import ModelError
from auditkit.models.padding import Company
from auditkit.models.protocols import Ints
from auditkit.progress import advance

TRAINING = "the model was left in training mode (dropout): read in evaluation mode"


def plan(lengths: Ints, budget: int, company: Company = Company.ANY) -> list[Ints]:
    """Row indices in batches of at most `budget` padded tokens (at least one row each), longest rows first.

    Sorted by length, a batch holds rows of (nearly) equal length, so hardly any padding is computed; longest
    first, so that a budget that is too large shows at once.
    """
    order = np.argsort(-lengths, kind="stable")
    if company is Company.ALONE:
        return list(order[:, None])
    batches, start = [], 0
    while start < len(order):
        longest = int(lengths[order[start]])
        rows = order[start : start + max(1, budget // max(1, longest))]
        batches.append(rows if company is Company.ANY else rows[lengths[rows] == longest])
        start += len(batches[-1])
    return batches


def token_budget(device: torch.device, *, cpu: int, accelerator: int) -> int:
    """Padded tokens a batch: on a CPU its activations should stay in the cache, an accelerator wants more."""
    return cpu if device.type == "cpu" else accelerator


class Batcher:
    """Runs a forward function over rows. Remembers a halved budget, and counts the halving in `notices`.

    Args:
        budget: padded tokens a batch.
        notices: where what was not as expected is counted.
        module: what `forward` runs; it is in evaluation mode meanwhile, as dropout would make scores random.
        company: which rows share a batch.
    """

    def __init__(
        self, budget: int, notices: Counter[str], module: nn.Module | None = None, company: Company = Company.ANY
    ) -> None:
        self.budget = budget
        self.notices = notices
        self.module = module
        self.company = company

    def run(self, lengths: Sequence[int], forward: Callable[[Ints], None]) -> None:
        """Call `forward(rows)` until every row was in one batch that went through.

        A batch of several rows that the module refuses is read row by row: some want a mark equally often in each.

        Raises:
            ModelError: not even a single row fits into memory.
        """
        with evaluating(self.module, self.notices):
            self._run(np.asarray(lengths, dtype=np.int64), forward)

    def _run(self, sizes: Ints, forward: Callable[[Ints], None]) -> None:
        todo, done = plan(sizes, self.budget, self.company), 0
        while todo:
            rows = todo[0]
            try:
                forward(rows)
            except (torch.OutOfMemoryError, RuntimeError, ValueError) as e:
                if _out_of_memory(e):
                    todo = self._halve(rows, todo, sizes)
                elif isinstance(e, ValueError) and len(rows) > 1:
                    todo = [*rows[:, None], *todo[1:]]
                else:
                    raise
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
        return [left[b] for b in plan(sizes[left], self.budget, self.company)]


@contextmanager
def evaluating(module: nn.Module | None, notices: Counter[str]) -> Iterator[None]:
    """Inside the block every part of `module` is in evaluation mode; afterwards in the mode that it had."""
    training: list[Any] = [part for part in module.modules() if part.training] if module is not None else []
    if training:
        notices[TRAINING] = 1
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part in training:
            part.training = True


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
