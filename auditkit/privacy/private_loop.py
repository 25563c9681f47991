"""The model, criterion, loss and loader of a private training loop, and the step that they share.

A batch of the loader is on the ledger before it is drawn; the model's call on it is recorded; `loss.backward()` adds
its clipped gradients to the step; `optimizer.step()` releases their noisy mean. Every transition out of this order is
refused, or costs budget without harm.
"""

from __future__ import annotations

import copy
import inspect as signatures
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from auditkit.errors import InputError
from auditkit.privacy.ledger import Ledger
from auditkit.privacy.noise import NoiseSource
from auditkit.privacy.recorder import Recorder, leading_length
from auditkit.privacy.release import release
from auditkit.privacy.sampling import PoissonSampler, physical_batches

_STAND_IN = np.zeros(1, dtype=np.int64)


class PrivateModel(nn.Module):
    """The given model, its training passes recorded. Its attributes and its state_dict are those of the model.

    Attributes:
        module: the given model itself, for what comes after the training.
    """

    def __init__(self, module: nn.Module, steps: PrivateSteps) -> None:
        super().__init__()
        self.module, self._steps = module, steps
        self.training = module.training

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The model's output; recorded where gradients are enabled and a batch of the private loader is out."""
        self._steps.examples_seen = leading_length((args, kwargs))
        if self._steps.in_step and torch.is_grad_enabled():
            return self._steps.recorder.call(args, kwargs)
        return self.module(*args, **kwargs)

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Of the model, without a prefix."""
        return self.module.state_dict(*args, **kwargs)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Of the model, without a prefix."""
        return self.module.load_state_dict(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("module"), name)


class PrivateCriterion:
    """One loss for each example: the criterion without its reduction, then the mean over what counts of an example.

    Tokens whose label is the criterion's `ignore_index` do not count, so an example has weight 1 however long it is.
    Losses flattened over (B, T) are taken apart again. Where the criterion's own reduction is "sum", or "batchmean",
    an example's loss is the sum over its tokens.
    """

    def __init__(self, criterion: Callable[..., Any], steps: PrivateSteps) -> None:
        options = _defaults(criterion)
        reduction = getattr(criterion, "reduction", options.get("reduction"))
        self._steps, self._sums = steps, reduction in ("sum", "batchmean")
        self._ignored = getattr(criterion, "ignore_index", options.get("ignore_index"))
        self._options = {"reduction": "none"} if "reduction" in options else {}
        self._criterion: Any = copy.copy(criterion)
        if hasattr(self._criterion, "reduction"):
            self._criterion.reduction = "none"

    def __call__(self, *args: Any, **kwargs: Any) -> PrivateLoss:
        """The loss of the model's last batch; the arguments are those of the criterion.

        Raises:
            InputError: the criterion's result cannot be taken apart into one loss for each example.
        """
        losses = self._criterion(*args, **kwargs, **self._options)
        examples = self._steps.examples_seen
        if not isinstance(losses, torch.Tensor) or losses.ndim == 0 or not examples or len(losses) % examples:
            given = f"shape {tuple(losses.shape)}" if isinstance(losses, torch.Tensor) else type(losses).__name__
            raise InputError(
                f"the criterion returned {given} for {examples} examples (the length of the model's first input); "
                "expected one loss, or one row of losses, for each example: pass a criterion with a `reduction`"
            )
        target = kwargs.get("target", args[1] if len(args) > 1 else None)
        counts = torch.ones_like(losses)
        if self._ignored is not None and isinstance(target, torch.Tensor) and target.shape == losses.shape:
            counts = (target != kwargs.get("ignore_index", self._ignored)).to(losses.dtype)
        totals = losses.reshape(examples, -1).sum(1)
        tokens = 1 if self._sums else counts.reshape(examples, -1).sum(1).clamp(min=1)
        return PrivateLoss(totals / tokens, self._steps, self._steps.recorder.recording)


@dataclass(frozen=True, eq=False)
class PrivateLoss:
    """What the loop sees of a loss: the mean over the batch, and `backward`.

    Attributes:
        losses: (B,) one for each example.
    """

    losses: torch.Tensor
    _steps: PrivateSteps
    _recording: int

    def backward(self) -> None:
        """Clip the gradient of every example, and add them to what `optimizer.step()` will release.

        Several calls before a step add up, for a loop that goes through a batch in parts of its own.

        Raises:
            UnsupportedModel: per-example gradients cannot be had exactly; nothing was added.
            InputError: out of turn, more examples than the batch holds, or a gradient that is not finite.
        """
        self._steps.add(self.losses, self._recording)

    def item(self) -> float:
        """The mean loss."""
        return float(self.detach())

    def __float__(self) -> float:
        return self.item()

    def detach(self) -> torch.Tensor:
        """The mean loss, without its graph."""
        return self.losses.detach().mean()


class Part(NamedTuple):
    """A physical batch: `examples` of step `step` count; 0 of a batch drawn empty, whose one example is a stand-in."""

    step: int
    examples: int
    first: bool
    last: bool


class PrivateSteps:
    """What a step goes through, from the loader's batch to the optimizer: the state that the four parts share."""

    def __init__(
        self,
        module: nn.Module,
        noise: NoiseSource,
        sampler: PoissonSampler,
        *,
        noise_multiplier: float,
        max_grad_norm: float,
    ) -> None:
        self.module, self.noise, self.sampler = module, noise, sampler
        self.noise_multiplier, self.max_grad_norm = noise_multiplier, max_grad_norm
        self.recorder = Recorder(module, max_grad_norm=max_grad_norm)
        self.examples_seen = 0  # in the model's last call
        self._part: Part | None = None
        self._room = 0  # how many examples of the part may still be given to backward()
        self._sums: dict[nn.Parameter, torch.Tensor] = {}

    @property
    def in_step(self) -> bool:
        """Whether a batch of the loader is out, its step not yet taken."""
        return self._part is not None

    def begin(self, part: Part | None) -> None:
        """Take up a part, or None at the end of the loop; what a skipped step has left behind is dropped."""
        self.recorder.close()
        if part is None or part.first:
            self._sums.clear()
        self._part, self._room = part, part.examples if part else 0

    def add(self, losses: torch.Tensor, recording: int) -> None:
        """Add the clipped gradients of `losses`, computed in this recording, to those of the step."""
        if self._part is not None and self._part.examples == 0:
            return  # the stand-in of an empty batch: nothing of it may count
        if recording == 0 or recording != self.recorder.recording:
            raise InputError(
                "this loss cannot be trained on: for each batch of the private loader, call the model, the criterion "
                "and loss.backward() in turn, with gradients enabled, once for every loss"
            )
        if len(losses) > self._room:
            raise InputError(
                f"{len(losses)} examples where {self._room} of this batch are left; an example whose gradient is added "
                "twice is not protected: give each example of the loader's batch to the model once"
            )
        self._room -= len(losses)
        parameters = [p for p in self.module.parameters() if p.requires_grad]
        for p in parameters:
            p.grad = None  # what comes from elsewhere is not private
        self.recorder.backward(losses)
        for p in parameters:
            self._sums[p] = p.grad if p not in self._sums else self._sums[p].add_(p.grad)
            p.grad = None  # kept from here on where no zero_grad() reaches it

    def before_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        """The optimizer's hook: private gradients after the last part; before it none, so that the step does nothing.

        Raises:
            InputError: no batch is out, its step was taken already, or a closure would be called.
        """
        part = self._part
        if part is None:
            raise InputError("optimizer.step() without a batch that is on the ledger; call it once for each batch")
        if any(args[1:]) or any(kwargs.values()):  # the first is the optimizer
            raise InputError("optimizer.step(closure) would use the data more than once; call step() without it")
        parameters = trainable_parameters(self.module, optimizer)
        for group in optimizer.param_groups:
            for p in group["params"]:
                p.grad = None
        if part.last:
            for p, total in self._sums.items():
                p.grad = total
            self.begin(None)
            release(
                parameters,
                self.noise,
                noise_multiplier=self.noise_multiplier,
                max_grad_norm=self.max_grad_norm,
                expected_batch_size=self.sampler.expected_batch_size,
                step=part.step,
            )


class RecordedBatches:
    """Batches of indices, each on the ledger before it is drawn; `parts` says of each what it is part of.

    A batch drawn empty is replaced by the first example, so that the loop, its schedulers included, goes on as ever
    and no model has to cope with no data. Its gradient is dropped, and its step adds noise alone, as it must.
    """

    def __init__(self, sampler: PoissonSampler, ledger: Ledger, max_physical_batch_size: int | None) -> None:
        self.sampler, self.ledger = sampler, ledger
        self.size = sampler.units if max_physical_batch_size is None else max_physical_batch_size
        physical_batches(_STAND_IN, self.size)  # refuses a size that is not positive
        self.parts: deque[Part] = deque()

    def __len__(self) -> int:
        return self.sampler.steps_per_epoch

    def __iter__(self) -> Iterator[list[int]]:
        self.parts.clear()
        for _ in range(len(self)):
            if not self.ledger.affords_step():
                warnings.warn(_spent(self.ledger), stacklevel=2)
                return
            step = self.ledger.record_step()
            drawn = list(physical_batches(self.sampler.batch(step), self.size))
            for i, indices in enumerate(drawn or [_STAND_IN]):
                self.parts.append(Part(step, len(indices) if drawn else 0, i == 0, i >= len(drawn) - 1))
                yield indices.tolist()


class PrivateLoader(DataLoader[Any]):
    """The given loader with recorded Poisson batches; `len` is the number of steps in an epoch."""

    def __init__(self, given: DataLoader[Any], batches: RecordedBatches, steps: PrivateSteps) -> None:
        self._batches, self._steps = batches, steps
        super().__init__(
            given.dataset,
            batch_sampler=batches,
            num_workers=given.num_workers,
            collate_fn=given.collate_fn,
            pin_memory=given.pin_memory,
            timeout=given.timeout,
            worker_init_fn=given.worker_init_fn,
            multiprocessing_context=given.multiprocessing_context,
            generator=given.generator,
            prefetch_factor=given.prefetch_factor,
            persistent_workers=given.persistent_workers,
        )

    def __iter__(self) -> Iterator[Any]:
        try:
            for batch in super().__iter__():
                self._steps.begin(self._batches.parts.popleft())
                yield batch
        finally:
            self._steps.begin(None)


def trainable_parameters(module: nn.Module, optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    """The trainable parameters of the model, when the optimizer holds these and no others."""
    trainable = {p: name for name, p in module.named_parameters() if p.requires_grad}
    held = {p for group in optimizer.param_groups for p in group["params"]}
    missing = [name for p, name in trainable.items() if p not in held]
    foreign = sum(p.requires_grad and p not in trainable for p in held)
    if missing or foreign:
        raise InputError(
            f"the optimizer lacks {missing or 'no'} trainable parameters of the model and holds {foreign} others; "
            "expected exactly the trainable ones, with which the gradients are clipped: add or freeze the rest"
        )
    return list(trainable)


def _defaults(criterion: Callable[..., Any]) -> dict[str, Any]:
    """The default of each parameter of a function."""
    try:
        found = signatures.signature(criterion).parameters
    except (TypeError, ValueError):  # a function of C has none
        return {}
    return {name: parameter.default for name, parameter in found.items()}


def _spent(ledger: Ledger) -> str:
    return (
        f"{ledger.path}: {ledger.steps} steps are spent and one more would exceed epsilon = {ledger.target_epsilon}, "
        "so the loop ends here; a new training, which starts from an untrained model, needs a ledger of its own"
    )
