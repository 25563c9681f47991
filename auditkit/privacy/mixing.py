"""Whether examples act on each other while the model trains, which eval mode does not show.

Batch statistics, mixup and the like: one record then moves the gradients of all others, and clipping bounds none of
that. Two examples stay and their company is exchanged, under the same random numbers and in tensors of the same shapes:
neither their losses, nor the gradients of these, nor a buffer of the model may change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_map_only

from auditkit.privacy.example_rows import take

DRAWS = 5  # a permutation of four rows leaves the two among themselves once in six draws
ALONE = "compute what belongs to an example from that example alone"

State = dict[str, torch.Tensor]


def mixing(
    module: nn.Module, losses: Callable[[Any], torch.Tensor], pair: Any, *, tolerance: float, rows_per_example: int
) -> list[str]:
    """What of two examples changes with their company in training mode, if anything.

    Args:
        module: its modes are kept where any part is in training mode; else all of it is put there. Its gradients are
            overwritten.
        losses: runs the model on a batch and gives its (B,) losses.
        pair: a batch of two examples.
        tolerance: largest relative change that rounding explains.
        rows_per_example: rows of the module's input for each example.
    """
    if not any(part.training for part in module.modules()):
        module.train()
    for draw in range(DRAWS):
        with _repeatable(module, draw):
            company = _look(module, losses(take(pair, 2, [0, 1, 0, 0])), with_gradients=draw == 0)
        with _repeatable(module, draw), _exchanged(module, 2 * rows_per_example):
            other = _look(module, losses(take(pair, 2, [0, 1, 1, 1])), with_gradients=draw == 0)
        problems = [_told(name) for name in company if _differ(company[name], other[name], tolerance)]
        if problems:
            return problems
    return []


def _look(module: nn.Module, losses: torch.Tensor, *, with_gradients: bool) -> State:
    """The losses of the two examples, their gradients where these are asked for, and the buffers."""
    found = {_LOSS: losses[:2].detach().clone()}
    if with_gradients:
        trainable = [p for p in module.parameters() if p.requires_grad]
        for p in trainable:
            p.grad = None
        losses[:2].sum().backward()  # not autograd.grad, which a reentrant checkpoint cannot do with
        found[_GRADIENT] = torch.cat([p.grad.detach().flatten() for p in trainable if p.grad is not None])
    return found | {name: b.detach().clone() for name, b in module.named_buffers() if b is not None}


_LOSS, _GRADIENT = "loss of an example", "gradient of an example"


def _told(name: str) -> str:
    if name in (_LOSS, _GRADIENT):
        return f"the {name} changes in training mode with the other examples of its batch; {ALONE}"
    return f"{name}: a buffer that takes in the data in training mode, without clipping and noise; freeze it"


def _differ(a: torch.Tensor, b: torch.Tensor, tolerance: float) -> bool:
    if a.shape != b.shape:
        return True
    if not a.is_floating_point():
        return not torch.equal(a, b)
    a, b = a.double(), b.double()
    return not bool((a - b).norm() <= tolerance * max(float(a.norm()), 1e-8))


@contextmanager
def _repeatable(module: nn.Module, seed: int) -> Iterator[None]:
    """The same random numbers each time, and buffers as they were."""
    buffers = {name: b.detach().clone() for name, b in module.named_buffers()}
    devices = sorted({p.device.index or 0 for p in module.parameters() if p.is_cuda})
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        try:
            yield
        finally:
            with torch.no_grad():
                for name, buffer in module.named_buffers():
                    if name in buffers and buffer.shape == buffers[name].shape:
                        buffer.copy_(buffers[name])


@contextmanager
def _exchanged(module: nn.Module, kept: int) -> Iterator[None]:
    """All rows of the module's inputs but the first `kept` made others, for data in which all examples are the same."""

    def other(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.ndim < 1 or len(tensor) != 2 * kept:
            return tensor
        if tensor.is_floating_point():
            return torch.cat([tensor[:kept], 1.5 * tensor[kept:] + 0.1])
        return torch.cat([tensor[:kept], tensor[kept:].roll(1, 1)]) if tensor.ndim > 1 else tensor

    def hook(module: nn.Module, args: Any, kwargs: Any) -> Any:
        return tree_map_only(torch.Tensor, other, (args, kwargs))

    handle = module.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
