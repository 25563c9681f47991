"""Memory for gradients of single examples that are written out, kept from one pass to the next.

On a CPU the pages of a fresh block of many megabytes cost more time than the matrix product that fills it.
"""

from __future__ import annotations

from collections import defaultdict

import torch

ALLOWANCE = 32 << 20
"""Bytes that a pass may spend on gradients written out only because that is faster than their ghost norm."""


class Workspace:
    """Buffers by shape of the parameter; a buffer taken is given back by `recycle`, when the pass is over."""

    def __init__(self) -> None:
        self._free: defaultdict[tuple[torch.Size, torch.dtype, torch.device], list[torch.Tensor]] = defaultdict(list)
        self._taken: list[torch.Tensor] = []
        self._room = ALLOWANCE

    def affords(self, extra: int) -> bool:
        """Whether `extra` bytes are left of the allowance; they are then spent."""
        if extra > self._room:
            return False
        self._room -= extra
        return True

    def take(self, examples: int, like: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        """An uninitialised (examples, *shape) tensor of the dtype and device of `like`."""
        free = self._free[shape, like.dtype, like.device]
        buffer = free.pop() if free else like.new_empty(0, *shape)
        if len(buffer) < examples:  # batches differ in size; the buffers soon fit the largest
            buffer = like.new_empty(examples, *shape)
        self._taken.append(buffer)
        return buffer[:examples]

    def recycle(self) -> None:
        """Make all buffers free again, and the allowance whole: nothing taken before may be used any more."""
        for buffer in self._taken:
            self._free[buffer.shape[1:], buffer.dtype, buffer.device].append(buffer)
        self._taken.clear()
        self._room = ALLOWANCE
