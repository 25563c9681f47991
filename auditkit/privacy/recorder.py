"""Records one call of a model until the backward pass of its loss, for loops that are not ours."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map_only  # knows the outputs of transformers as well

from auditkit.errors import InputError
from auditkit.privacy import padding
from auditkit.privacy.bookkeeping import BookKeeping
from auditkit.privacy.doctor import TOLERANCE, require_exact
from auditkit.privacy.example_rows import take
from auditkit.privacy.tape import UnsupportedModel

HALF_PRECISION_TOLERANCE = 0.05


class Recorder:
    """Records a model's last call until the backward pass of its loss, and no other code of the loop.

    The first batch of two or more examples is examined before anything is learned from it: the model by the doctor;
    then, between the model's output and the losses, that no example's loss depends on the output of another.

    Attributes:
        recording: the number of the call that is being recorded; 0 where none is.
    """

    def __init__(self, module: nn.Module, *, max_grad_norm: float) -> None:
        self.module, self.engine = module, BookKeeping(module, max_grad_norm=max_grad_norm)
        self.recording, self._calls, self._proven = 0, 0, False
        self._outputs: list[torch.Tensor] = []  # of a call that is examined
        self._open = ExitStack()

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The model's output. A call before it that had no backward pass is forgotten.

        Raises:
            UnsupportedModel: with everything that the doctor found.
        """
        self.close()
        examine = not self._proven and leading_length((args, kwargs)) > 1
        if examine:
            self._examine((args, kwargs))
        self._open.enter_context(self.engine)
        try:
            outputs = self.module(*args, **kwargs)
        except BaseException:
            self.close()
            raise
        self._calls += 1
        self.recording = self._calls
        if examine:  # watched through views, which have no hooks of the engine
            outputs = tree_map_only(torch.Tensor, lambda t: t.view_as(t), outputs)
            self._outputs = [t for t in tree_leaves(outputs) if isinstance(t, torch.Tensor) and t.requires_grad]
        return outputs

    def backward(self, losses: torch.Tensor) -> torch.Tensor:
        """`BookKeeping.backward` of losses (B,) of the call that is being recorded, which it ends."""
        try:
            examined = bool(self._outputs and losses.ndim and losses.requires_grad)
            if examined:
                self._refuse_mixed_examples(losses)
            norms = self.engine.backward(losses)
            self._proven |= examined
            return norms
        finally:
            self.close()

    def close(self) -> None:
        """End the recording, if there is one."""
        self.recording, self._outputs = 0, []
        self._open.close()

    def _examine(self, call: tuple[tuple[Any, ...], dict[str, Any]]) -> None:
        tokens = padding.lengths(self.module, call)
        rows = [0, 1] if tokens is None else padding.shortest_and_longest(tokens)
        pair = take(call, leading_length(call), rows)

        def projections(call: Any) -> torch.Tensor:
            args, kwargs = call
            outputs = tree_leaves(self.module(*args, **kwargs))
            tensors = [t for t in outputs if isinstance(t, torch.Tensor) and t.requires_grad and t.ndim]
            if tokens is not None:
                seen, width = padding.lengths(self.module, call), padding.width(call)
                tensors = [u for t in tensors if (u := padding.unpadded(t, seen, width)) is not None]
            return _projections(tensors, leading_length(call))

        def alone(pair: Any, example: int) -> Any:
            return (
                take(pair, 2, [example]) if tokens is None else padding.cut(pair, example, int(tokens[rows[example]]))
            )

        parameters = list(self.module.parameters())
        rounded = any(p.dtype in (torch.float16, torch.bfloat16) for p in parameters)
        rounded |= torch.is_autocast_enabled(parameters[0].device.type)
        tolerance = HALF_PRECISION_TOLERANCE if rounded else TOLERANCE
        require_exact(self.module, projections, pair, tolerance=tolerance, alone=alone)

    def _refuse_mixed_examples(self, losses: torch.Tensor) -> None:
        for i in {0, len(losses) - 1}:
            gradients = torch.autograd.grad(losses[i], self._outputs, retain_graph=True, allow_unused=True)
            for gradient in gradients:
                others = None if gradient is None else _without_row(gradient, i, len(losses))
                if others is not None and others.nan_to_num().any():  # what is nan is refused after this
                    raise UnsupportedModel(
                        [f"the loss of example {i} depends on outputs of other examples; compute it from its own alone"]
                    )


def leading_length(nest: Any) -> int:
    """The length of the first tensor in a nest of dicts, lists and tuples: the number of examples; 0 without one."""
    return next((len(t) for t in tree_leaves(nest) if isinstance(t, torch.Tensor) and t.ndim), 0)


def _without_row(tensor: torch.Tensor, row: int, rows: int) -> torch.Tensor:
    """What of a tensor does not belong to one example; all of it where it has no rows for the examples."""
    if tensor.ndim == 0 or len(tensor) % rows:
        return tensor
    by_example = tensor.reshape(rows, -1)
    return torch.cat([by_example[:row], by_example[row + 1 :]])


def _projections(tensors: list[torch.Tensor], examples: int) -> torch.Tensor:
    """(B,) one number for each example, in which every feature of every output has a weight of its own."""
    rows = [t.reshape(examples, -1).float() for t in tensors if len(t) % examples == 0]
    if not rows:
        raise InputError(
            "the model's output holds no tensor with rows for the examples that depends on a trainable parameter; "
            "return tensors, or dicts, lists or tuples of them"
        )
    return torch.stack([t @ torch.arange(1.0, t.shape[1] + 1, device=t.device).cos() for t in rows]).sum(0)
