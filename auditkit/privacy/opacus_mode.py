"""Book-keeping as a grad-sample mode of Opacus, beside its hooks, functorch, ew and ghost.

    register_with_opacus()
    model, optimizer, criterion, loader = opacus.PrivacyEngine().make_private(
        module=model, optimizer=optimizer, criterion=nn.CrossEntropyLoss(), data_loader=loader,
        noise_multiplier=1.0, max_grad_norm=1.0, grad_sample_mode="book_keeping")

The accountant, the Poisson loader, the noise, the optimizer and the criterion are Opacus's own, those of its ghost
mode: a criterion that keeps one loss for each example, an optimizer that finds the clipped sum in `p.grad`. Ours is how
the sum comes about, in one backward pass in place of two and exact for tied weights, GPT-2's layers and position
embeddings that the batch shares, with which Opacus's modes fail.

Opacus 1.6 chooses among its modes by name, in functions that know no others; so these are extended here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from opacus import grad_sample, privacy_engine
from opacus.grad_sample import AbstractGradSampleModule
from opacus.utils.fast_gradient_clipping_utils import DPTensorFastGradientClipping
from torch import nn

from auditkit.errors import InputError
from auditkit.privacy.recorder import Recorder

MODE = "book_keeping"


class BookKeepingModule(AbstractGradSampleModule):
    """A model whose training passes are recorded, as `grad_sample_mode="book_keeping"` makes it.

    Args:
        m: the model; the batch is outermost in its inputs.
        batch_first: True is the only layout.
        loss_reduction: "mean" or "sum", as Opacus checks it against the criterion's.

    Raises:
        InputError: `batch_first` is False.
    """

    def __init__(self, m: nn.Module, *, batch_first: bool = True, loss_reduction: str = "mean") -> None:
        if not batch_first:
            raise InputError("batch_first=False; book-keeping expects the batch as the first dimension: transpose it")
        super().__init__(m, batch_first=batch_first, loss_reduction=loss_reduction)
        self._recorder = Recorder(m, max_grad_norm=1.0)  # until the optimizer says

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The model's output; recorded in training mode where gradients are enabled."""
        if self.training and torch.is_grad_enabled():
            return self._recorder.call(args, kwargs)
        return self._module(*args, **kwargs)

    def backward(self, losses: torch.Tensor, max_grad_norm: float) -> None:
        """Fill `p.grad` with the sum of the gradients of `losses` (B,), each clipped to `max_grad_norm`."""
        self._recorder.engine.max_grad_norm = max_grad_norm
        self._recorder.backward(losses)

    def remove_hooks(self) -> None:
        """End the recording, if there is one; there are no other hooks."""
        self._recorder.close()


def register_with_opacus() -> None:
    """Make `grad_sample_mode="book_keeping"` known to `opacus.PrivacyEngine`; a second call changes nothing.

    `make_private` and `make_private_with_epsilon` return four objects then, the criterion among them, as in ghost mode.
    """
    if hasattr(privacy_engine.PrivacyEngine.make_private, "__wrapped__"):
        return
    for place in (grad_sample.utils, privacy_engine):
        place.get_gsm_class = _with_module(place.get_gsm_class)
    privacy_engine.get_optimizer_class = _with_optimizer(privacy_engine.get_optimizer_class)
    privacy_engine.PrivacyEngine.make_private = _with_criterion(privacy_engine.PrivacyEngine.make_private)
    DPTensorFastGradientClipping.backward = _in_one_pass(DPTensorFastGradientClipping.backward)


def _with_module(get_gsm_class: Callable[[str], Any]) -> Callable[[str], Any]:
    @functools.wraps(get_gsm_class)
    def extended(grad_sample_mode: str) -> Any:
        return BookKeepingModule if grad_sample_mode == MODE else get_gsm_class(grad_sample_mode)

    return extended


def _with_optimizer(get_optimizer_class: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(get_optimizer_class)
    def extended(clipping: str, distributed: bool, grad_sample_mode: str | None = None) -> Any:
        return get_optimizer_class(clipping, distributed, "ghost" if grad_sample_mode == MODE else grad_sample_mode)

    return extended


def _with_criterion(make_private: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(make_private)
    def extended(self: Any, *, grad_sample_mode: str = "hooks", **training: Any) -> Any:
        made = make_private(self, grad_sample_mode=grad_sample_mode, **training)
        if grad_sample_mode != MODE:
            return made
        module, optimizer, loader = made
        criterion = self._prepare_criterion(
            module=module,
            optimizer=optimizer,
            criterion=training.get("criterion", nn.CrossEntropyLoss()),
            loss_reduction=training.get("loss_reduction", "mean"),
        )
        return module, optimizer, criterion, loader

    return extended


def _in_one_pass(backward: Callable[[Any], None]) -> Callable[[Any], None]:
    @functools.wraps(backward)
    def extended(self: Any) -> None:
        if not isinstance(self.module, BookKeepingModule):
            backward(self)
            return
        self.optimizer.zero_grad()  # as between the two passes of ghost mode: the optimizer adds up the parts itself
        self.module.backward(self.loss_per_sample, self.optimizer.max_grad_norm)

    return extended
