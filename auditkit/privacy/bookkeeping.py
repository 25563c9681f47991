"""Clipped sums of per-example gradients in one backward pass, exact for any layout of parameters.

Book-keeping after Bu, Wang, Zha & Karypis (2023), "Differentially private optimization on large model at small cost"
(arXiv:2210.00038): each use of a parameter keeps its input and the gradient of its output; per-example norms follow
from these, then the clip factors, then one contraction for each use. No gradient of a single example is written out
where it is larger than that. The sum is without noise: adding it, once, is the optimizer's part.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from auditkit.errors import InputError, UnknownName
from auditkit.privacy.gradient_factors import Factor, combine, weighted_sum
from auditkit.privacy.settings import check_max_grad_norm
from auditkit.privacy.tape import Tape, UnsupportedModel
from auditkit.privacy.workspace import Workspace

MODES = ("auto", "book_keeping", "ghost")


class BookKeeping:
    """Fills `p.grad` with the sum of clipped per-example gradients.

        engine = BookKeeping(model, max_grad_norm=1.0)
        with engine:
            losses = next_token_loss(model(ids).logits, ids)  # (B,)
            norms = engine.backward(losses)

    The model is called as `model(...)` with the batch outermost in its inputs; the first of them gives the number of
    examples. Physical batches of one logical batch are added up, as with `loss.backward()`. Parameters that are frozen
    when the block is entered are left alone.

    Args:
        module: the model to train; it is not changed.
        max_grad_norm: C, the norm that every example's gradient is clipped to.
        mode: "book_keeping" holds the gradients of all layer outputs until the clip factors are known; "ghost" holds
            none of those of affine layers and computes them a second time instead, which is slower and takes less
            memory; "auto" does so for the largest ones where a quarter of the memory that is free would not do.

    Attributes:
        rows_per_example: how many consecutive rows of the input are one example, for privacy of users or for pairs of
            texts; may be set anew before each `with`.

    Raises:
        PrivacySettingError: `max_grad_norm` is not positive and finite.
        UnknownName: no such mode.
    """

    def __init__(self, module: nn.Module, *, max_grad_norm: float, mode: str = "auto") -> None:
        check_max_grad_norm(max_grad_norm)
        if mode not in MODES:
            raise UnknownName("mode", mode, MODES)
        self.module, self.max_grad_norm, self.mode = module, max_grad_norm, mode
        self.rows_per_example = 1
        self._workspace = Workspace()
        self._tape: Tape | None = None
        self._input_hook: Any = None

    def __enter__(self) -> BookKeeping:
        if self._tape is not None:
            raise InputError("this engine is recording already; leave its `with` block before entering it again")
        trainable = {name: p for name, p in self.module.named_parameters() if p.requires_grad}
        self._tape = Tape(
            trainable,
            rows_per_example=self.rows_per_example,
            workspace=self._workspace,
            held_at_most=_may_be_held(self.mode, next(iter(trainable.values()), None)),
        )
        self._input_hook = self.module.register_forward_pre_hook(self._note_inputs, with_kwargs=True)
        self._tape.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        tape, self._tape = self._recording(), None
        tape.__exit__(*error)
        tape.close()
        self._input_hook.remove()

    def backward(self, losses: torch.Tensor) -> torch.Tensor:
        """Add the clipped sum of the gradients of `losses` to `p.grad` of every trainable parameter.

        Args:
            losses: (B,) one loss for each example. An empty batch adds zeros.

        Returns:
            (B,) norms of the per-example gradients, before clipping.

        Raises:
            UnsupportedModel: a parameter is used in a way without an exact rule; nothing was added.
            InputError: `losses` is not one loss for each example, or a norm is not finite; nothing was added.
        """
        tape = self._recording()
        if losses.shape == (0,):
            self._add({}, losses.detach())
            return losses.detach()
        _check(losses, tape)
        self._workspace.recycle()
        tape.backward(losses)
        with tape.asleep(), torch.no_grad(), torch.autocast(losses.device.type, enabled=False):
            norms, factors = _norms(tape)
            weights = _clip_factors(norms, self.max_grad_norm)
            self._add(factors, weights)
        self._add_again(tape.weighted_sums(losses, weights))
        return norms

    def _recording(self) -> Tape:
        if self._tape is None:
            raise InputError("nothing was recorded; run the model, its loss and engine.backward in `with engine:`")
        return self._tape

    def _note_inputs(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        self._recording().mark_inputs((args, dict(kwargs)))

    @torch.no_grad()
    def _add(self, factors: dict[str, list[Factor]], weights: torch.Tensor) -> None:
        for name, parameter in self._recording().parameters.items():
            precise = weights.to(torch.promote_types(parameter.dtype, torch.float32))
            total = weighted_sum(factors.pop(name, []), precise, parameter.shape).to(parameter.dtype)
            parameter.grad = total if parameter.grad is None else parameter.grad.add_(total)

    @torch.no_grad()
    def _add_again(self, sums: dict[str, torch.Tensor]) -> None:
        for name, total in sums.items():
            gradient = self._recording().parameters[name].grad
            if gradient is not None:
                gradient += total


def _may_be_held(mode: str, parameter: torch.Tensor | None) -> float:
    """Bytes of output gradients that a pass may hold."""
    if mode != "auto" or parameter is None:
        return 0 if mode == "ghost" else math.inf
    if parameter.is_cuda:
        return torch.cuda.mem_get_info(parameter.device)[0] / 4
    import psutil

    return psutil.virtual_memory().available / 4


def _check(losses: torch.Tensor, tape: Tape) -> None:
    if tape.problems:
        raise UnsupportedModel(tape.problems)
    if tape.batch_size is None:
        raise InputError("the model itself was not called; inside `with engine:` call model(...), not a part of it")
    if losses.shape != (tape.batch_size,):
        raise InputError(
            f"losses of shape {tuple(losses.shape)} for {tape.batch_size} examples (the length of the model's first "
            f"input); expected ({tape.batch_size},): one loss for each example, not their mean"
        )
    if not losses.requires_grad:
        raise InputError("the losses depend on no trainable parameter; unfreeze some, and compute them with gradients")


def _norms(tape: Tape) -> tuple[torch.Tensor, dict[str, list[Factor]]]:
    """(B,) norms of the whole gradients, and for each parameter factors of its per-example gradients."""
    combined = {
        name: combine(factors, tape.parameters[name].shape)
        for name, factors in tape.factors.items()
        if name not in tape.squares
    }
    kept = dict(tape.factors) | {name: factors for name, (_, factors) in combined.items()}
    tape.factors.clear()  # each is freed as soon as its sum is there
    squares = [*tape.squares.values(), *(squares for squares, _ in combined.values())]
    norms = torch.stack(squares).sum(0).clamp(min=0).sqrt()
    broken = int((~norms.isfinite()).sum())
    if broken:
        raise InputError(
            f"{broken} of {len(norms)} examples have a gradient that is not finite; no clipping makes it harmless: "
            "look for a loss that is nan or infinite, or lower the learning rate"
        )
    return norms, kept


def _clip_factors(norms: torch.Tensor, max_grad_norm: float) -> torch.Tensor:
    """min(1, C / norm); 1 where the norm is 0."""
    return (max_grad_norm / norms).clamp(max=1)
