"""Several processes that train together: what only the first may decide, and who computes what."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
from torch import distributed

from auditkit import foreign
from auditkit.errors import InputError

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
            with foreign.contained():
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


def from_each(compute: Callable[[], T]) -> list[T]:
    """What `compute` returns in every process, the first one's first; where one raises, all do.

    Raises:
        InputError: another process failed; says which, and why.
    """
    if not together():
        return [compute()]
    failure: Exception | None = None
    answer: tuple[T | None, str | None] = (None, None)
    try:
        with foreign.contained():
            answer = (compute(), None)
    except Exception as e:  # raised again below, when the others know of it, so that none waits for ever
        failure, answer = e, (None, str(e))
    answers: list[Any] = [None] * world()
    distributed.all_gather_object(answers, answer)
    if failure is not None:
        raise failure
    for number, (_, error) in enumerate(answers):
        if error is not None:
            raise InputError(f"process {number} failed: {error}")
    return [value for value, _ in answers]
