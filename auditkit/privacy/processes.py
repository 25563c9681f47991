"""Several processes that train together: what only the first may decide, and who computes what."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import distributed

T = TypeVar("T")


def together() -> bool:
    """Whether torch.distributed is initialised (by torchrun and `init_process_group`)."""
    return distributed.is_available() and distributed.is_initialized()


def rank() -> int:
    """This process's number; 0 where it is alone."""
    return int(distributed.get_rank()) if together() else 0


def world() -> int:
    """How many processes there are."""
    return int(distributed.get_world_size()) if together() else 1


def first_decides(decide: Callable[[], T]) -> T:
    """What `decide` returns in the first process, in every process; what it raises there is raised everywhere.

    For what must be drawn or written once: batches, the ledger.
    """
    if not together():
        return decide()
    answer: list[tuple[T | None, Exception | None]] = [(None, None)]
    if rank() == 0:
        try:
            answer = [(decide(), None)]
        except Exception as e:  # raised again below, in all processes, so that none waits for ever
            answer = [(None, e)]
    distributed.broadcast_object_list(answer, src=0)
    value, error = answer[0]
    if error is not None:
        raise error
    return value  # type: ignore[return-value]


def same_start(tensors: Iterable[torch.Tensor]) -> None:
    """Give all processes the first one's weights."""
    if together():
        for tensor in tensors:
            distributed.broadcast(tensor.detach(), src=0)


def add_up(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Replace every gradient by its sum over the processes."""
    if together():
        for p in parameters:
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad
            distributed.all_reduce(p.grad)


def joined(values: list[float]) -> list[float]:
    """The values of all processes, those of the first one first."""
    if not together():
        return values
    gathered: list[list[float]] = [[] for _ in range(world())]
    distributed.all_gather_object(gathered, values)
    return [value for part in gathered for value in part]
