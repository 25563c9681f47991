"""Whether a model can be trained privately and exactly: every problem at once, each with its fix, before any step.

Four looks, from cheap to sure: the module's parts; a rehearsal, in which each use of a parameter must have a rule; the
proof of the rehearsal, the gradients of two examples together against one at a time; and in training mode, that neither
of them changes with its company. The two are best the shortest and the longest at hand, for what padding does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from auditkit.errors import InputError
from auditkit.privacy.bookkeeping import BookKeeping
from auditkit.privacy.example_rows import length, take
from auditkit.privacy.mixing import mixing
from auditkit.privacy.tape import UnsupportedModel

TOLERANCE = 1e-4
"""Largest distance, relative to the norm of the whole gradient, that rounding in float32 explains."""

WRAPPERS = {
    "DPDDP",
    "DataParallel",
    "DistributedDataParallel",
    "FullyShardedDataParallel",
    "GradSampleModule",
    "GradSampleModuleFastGradientClipping",
    "OptimizedModule",
}
"""Classes that replace gradients or hide calls; recognised by name, so that none of them need be importable."""

Losses = Callable[[Any], torch.Tensor]
Alone = Callable[[Any, int], Any]
"""A batch of two, and which of them -> that example as it comes alone, without padding for the other."""


def require_exact(
    module: nn.Module,
    losses: Losses,
    batch: Any,
    *,
    tolerance: float = TOLERANCE,
    rows_per_example: int = 1,
    alone: Alone | None = None,
) -> None:
    """Refuse a model whose per-example gradients cannot be had exactly.

    Args:
        module: the model, as it will be trained: frozen parts frozen, adapters in place.
        losses: runs the model on a batch and gives its (B,) losses.
        batch: tensors, batch outermost, in any nest of dicts, lists and tuples. Its first two examples are
            tried together and alone, the first and the last in training mode.
        tolerance: largest distance from single examples, relative to the norm of the whole gradient; 0.05 suits
            half precision and autocast.
        rows_per_example: how many rows of the module's input `losses` makes of one example.
        alone: takes an example out of the two; None takes its rows, as where `losses` does the padding.

    Raises:
        UnsupportedModel: with every problem found.
    """
    problems = examine(module, losses, batch, tolerance=tolerance, rows_per_example=rows_per_example, alone=alone)
    if problems:
        raise UnsupportedModel(problems)


def examine(
    module: nn.Module,
    losses: Losses,
    batch: Any,
    *,
    tolerance: float = TOLERANCE,
    rows_per_example: int = 1,
    alone: Alone | None = None,
) -> list[str]:
    """Every problem of `require_exact`, in the order of the looks. Leaves the module and its gradients as they were."""
    problems = inspect(module)
    if any(p.is_meta for p in module.parameters()) or len(_devices(module)) > 1 or _wrapped(module):
        return problems  # the model cannot be run, or not seen running
    if any(p.requires_grad for p in module.parameters()):
        with _undisturbed(module):
            problems += _rehearse(module, losses, batch, tolerance, rows_per_example, alone or _row)
        if not problems and length(batch) > 1:
            problems += _train_together(module, losses, batch, tolerance, rows_per_example)
    return problems


def _train_together(
    module: nn.Module, losses: Losses, batch: Any, tolerance: float, rows_per_example: int
) -> list[str]:
    pair = take(batch, length(batch), [0, -1])
    with _as_before(module):
        return mixing(module, losses, pair, tolerance=tolerance / 10, rows_per_example=rows_per_example)


def inspect(module: nn.Module) -> list[str]:
    """Problems that the module's parts show without being run."""
    problems = [
        f"{name or 'the model'}: is wrapped as {type(part).__name__}; pass the model as it was before wrapping it"
        for name, part in _wrapped(module)
    ]
    if len(_devices(module)) > 1:
        problems.append(f"parameters on {', '.join(_devices(module))}; move the model to one device: model.to(device)")
    if any(p.is_meta for p in module.parameters()):
        problems.append("parameters on the meta device hold no numbers; load the weights first")
    if not any(p.requires_grad for p in module.parameters()):
        problems.append("no parameter is trainable; set requires_grad on those to train, or add adapters")
    return problems + [
        f"{name}: {type(part).__name__} lets examples act on each other through their mean; replace it by LayerNorm"
        for name, part in module.named_modules()
        if isinstance(part, nn.modules.batchnorm._NormBase) and part.track_running_stats
    ]


def _rehearse(
    module: nn.Module, losses: Losses, batch: Any, tolerance: float, rows_per_example: int, alone: Alone
) -> list[str]:
    size = length(batch)
    pair = take(batch, size, range(min(2, size)))
    engine = BookKeeping(module, max_grad_norm=1.0)
    engine.rows_per_example = rows_per_example
    try:
        with engine:
            norms = engine.backward(losses(pair))
    except UnsupportedModel as e:
        return e.problems
    except InputError as e:
        return [str(e)]
    except ValueError as e:  # of the model's own, which cannot do with two examples, or with padding
        return [f"the model cannot be run on two examples at once: {e}"]
    summed = {name: p.grad for name, p in module.named_parameters() if p.requires_grad}
    singles = [losses(alone(pair, i)) for i in range(len(norms))]
    return _compare([_gradients_of_one(module, single) for single in singles], norms, summed, tolerance)


def _row(pair: Any, example: int) -> Any:
    return take(pair, length(pair), [example])


def _compare(
    singles: list[dict[str, torch.Tensor]], norms: torch.Tensor, summed: dict[str, Any], tolerance: float
) -> list[str]:
    """Norms and clipped sums (at C = 1) of a batch against those of its examples one at a time."""
    alone = [_norm(gradients) for gradients in singles]
    problems = [
        f"example {i}: gradient norm {norm:.6g} in a batch of {len(alone)}, {expected:.6g} alone; {_WHY}"
        for i, (norm, expected) in enumerate(zip(norms.tolist(), alone, strict=True))
        if abs(norm - expected) > tolerance * expected
    ]
    factors = [min(1.0, 1.0 / norm) if norm else 1.0 for norm in alone]
    sums = {name: sum(f * g[name] for f, g in zip(factors, singles, strict=True)) for name in summed}
    whole = _norm(sums)
    for name, gradient in summed.items():
        distance = _norm({name: gradient - sums[name]})
        if distance > tolerance * whole:
            problems.append(f"{name}: clipped sum is {distance / whole:.1e} off that of single examples; {_WHY}")
    return problems


def _norm(gradients: dict[str, Any]) -> float:
    return float(torch.stack([g.double().norm() for g in gradients.values()]).norm())


_WHY = (
    "examples act on each other (for instance through padding that the model reads), the batch is not the first "
    "dimension everywhere, or the model draws random numbers in eval mode (in half precision, "
    "allow for its rounding: tolerance=0.05)"
)


def _gradients_of_one(module: nn.Module, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    trainable = {name: p for name, p in module.named_parameters() if p.requires_grad}
    gradients = torch.autograd.grad(loss.sum(), list(trainable.values()), allow_unused=True)
    return {
        name: torch.zeros_like(p) if gradient is None else gradient
        for (name, p), gradient in zip(trainable.items(), gradients, strict=True)
    }


@contextmanager
def _undisturbed(module: nn.Module) -> Iterator[None]:
    """Eval mode and empty gradients inside; modes and gradients as before outside."""
    with _as_before(module):
        for p in module.parameters():
            p.grad = None
        module.eval()
        yield


@contextmanager
def _as_before(module: nn.Module) -> Iterator[None]:
    modes = {part: part.training for part in module.modules()}
    gradients = {p: p.grad for p in module.parameters()}
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training
        for p, gradient in gradients.items():
            p.grad = gradient


def _wrapped(module: nn.Module) -> list[tuple[str, nn.Module]]:
    return [(name, part) for name, part in module.named_modules() if type(part).__name__ in WRAPPERS]


def _devices(module: nn.Module) -> list[str]:
    return sorted({str(p.device) for p in module.parameters()})
