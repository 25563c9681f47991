"""Training some shadow models at once: their parameters stacked, one network, one optimizer.

The parameters of a stack are one tensor per name, with the models along its first axis; `torch.func.vmap` runs the
network over that axis. Adam treats each element alone, so one optimizer of the stacked parameters is the same as one
for each model. Stacking pays where a single model is too small to keep the processor busy; whether it does is measured.

Shapes: S shadows, B records of a batch, T tokens, V vocabulary.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from auditkit.errors import InputError, ModelError
from auditkit.models.char_gpt_data import Samples
from auditkit.models.char_transformer import CharGPTConfig, CharTransformer
from auditkit.privacy.losses import token_loss
from auditkit.privacy.shadow_records import Bools
from auditkit.privacy.shadow_store import Parameters
from auditkit.progress import advance

STACKS = (1, 4, 16, 64, 256)
"""The stack sizes that "auto" tries."""
LARGEST_STACK = 2**25
"""Numbers in the residual streams of a stack, beyond which "auto" does not go: it would take some 4 GB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowSettings:
    """How every shadow is trained: Adam (Kingma & Ba, 2015) on the mean over the batch of the records' losses.

    Attributes:
        config: the network; without dropout, whose draws would depend on how the shadows are stacked.
        epochs: passes over a shadow's own records, in an order drawn anew for each pass.
        batch_size: records per step.
        lr: the learning rate, constant.
        inclusion: the share of the records that each shadow is trained on.
        precision: "bfloat16" computes losses and gradients with 8 significant bits, from parameters in float32: faster
            where the processor has instructions for it.
        seed: of the halves, the initial weights and the orders.

    Raises:
        InputError: an option is out of range.
    """

    config: CharGPTConfig
    epochs: int
    batch_size: int = 64
    lr: float = 1e-3
    inclusion: float = 0.5
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        known = ("float32", "bfloat16")
        problems = [
            (self.epochs < 1, f"epochs {self.epochs}: expected at least 1"),
            (self.batch_size < 1, f"batch_size {self.batch_size}: expected at least 1"),
            (not 0 < self.lr < math.inf, f"lr {self.lr}: expected a positive number"),
            (not 0 < self.inclusion < 1, f"inclusion {self.inclusion}: expected a share in (0, 1), usually 0.5"),
            (self.precision not in known, f"precision {self.precision!r}: expected {' or '.join(map(repr, known))}"),
            (self.seed < 0, f"seed {self.seed}: expected 0 or more"),
            (self.config.dropout > 0, f"dropout {self.config.dropout}: shadows are trained without; set it to 0"),
        ]
        found = [text for wrong, text in problems if wrong]
        if found:
            raise InputError("; ".join(found))


class ShadowTrainer:
    """Trains any of the shadows, alone or in a stack.

    Args:
        settings: how each is trained.
        samples: all the records.
        membership: (S, n) which of them each shadow is trained on; the same number in every row.
        device: where.
    """

    def __init__(self, settings: ShadowSettings, samples: Samples, membership: Bools, device: torch.device) -> None:
        self.settings, self.membership, self.device = settings, membership, device
        self.inputs = torch.from_numpy(samples.inputs).to(device)
        self.targets = torch.from_numpy(samples.targets).to(device)
        self.included = int(membership[0].sum())  # the same number in every shadow

    def train(self, shadows: Sequence[int], done: int = 0) -> Parameters:
        """The trained parameters of these shadows, (len(shadows), ...) each.

        Args:
            shadows: which rows of the membership matrix.
            done: how many shadows were finished before, for the progress.

        Raises:
            ModelError: a loss became infinite or NaN.
        """
        stack = _Stack(self.settings, shadows, self.device)
        steps = self.settings.epochs * math.ceil(self.included / self.settings.batch_size)
        for number, rows in enumerate(self._batches(shadows), start=1):
            losses = stack.step(self.inputs[rows], self.targets[rows])
            advance(done * steps + number * len(shadows), len(self.membership) * steps)
        for shadow, loss in zip(shadows, losses.tolist(), strict=True):
            if not math.isfinite(loss):
                raise ModelError(f"the loss of shadow {shadow} became {loss}; lower lr (now {self.settings.lr:g})")
        return {name: p.detach().cpu() for name, p in stack.parameters.items()}

    def fastest_stack(self, shadows: Sequence[int]) -> int:
        """The size at which a step takes least time per model; a smaller one where that saves less than a twentieth."""
        config, batch = self.settings.config, min(self.settings.batch_size, self.included)
        largest = LARGEST_STACK // (batch * self.inputs.shape[1] * config.hidden * config.layers)
        sizes = [size for size in (*STACKS, len(shadows)) if size <= min(len(shadows), largest)]
        if len(sizes) < 2:
            return 1
        seconds = {size: self._seconds_per_model(shadows[:size]) for size in sizes}
        return min(size for size in sizes if 0.95 * seconds[size] <= min(seconds.values()))

    def _seconds_per_model(self, shadows: Sequence[int]) -> float:
        """The time of a step divided by its models, over 64 of them: as many for a small stack as for a large one."""
        stack, rows = _Stack(self.settings, shadows, self.device), next(self._batches(shadows))
        inputs, targets = self.inputs[rows], self.targets[rows]
        stack.step(inputs, targets).tolist()  # warms up
        start, steps = time.perf_counter(), math.ceil(64 / len(shadows))
        for _ in range(steps):
            losses = stack.step(inputs, targets)
        losses.tolist()  # the values, so that a GPU has finished
        return (time.perf_counter() - start) / (steps * len(shadows))

    def _batches(self, shadows: Sequence[int]) -> Iterator[torch.Tensor]:
        """(S, B) the records of each step, every shadow in its own order."""
        settings = self.settings
        for epoch in range(settings.epochs):
            orders = [
                np.random.default_rng([settings.seed, s, epoch]).permutation(np.flatnonzero(self.membership[s]))
                for s in shadows
            ]
            yield from torch.from_numpy(np.stack(orders)).to(self.device).split(settings.batch_size, dim=1)


class _Stack:
    """Some shadows in training, their parameters stacked: {name: (S, ...)}."""

    def __init__(self, settings: ShadowSettings, shadows: Sequence[int], device: torch.device) -> None:
        modules = [_initial(settings, s).to(device) for s in shadows]
        self.parameters, _ = stack_module_state(modules)
        self.module = modules[0].to("meta")  # only its structure is used
        self.optimizer = torch.optim.Adam(self.parameters.values(), lr=settings.lr, fused=True)
        self.rough = settings.precision == "bfloat16"

    def step(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """One step of every model on its own batch, (S, B, T) -> (S,) losses before it.

        A parameter belongs to one model, so the gradient of the summed losses holds that of each model's own loss.
        """
        with sdpa_kernel(SDPBackend.MATH):  # the kernel that vmap can batch
            logits = self._logits(inputs)
        losses = token_loss(logits.flatten(0, 1), targets.flatten(0, 1)).unflatten(0, inputs.shape[:2]).mean(1)
        self.optimizer.zero_grad()
        losses.sum().backward()
        self.optimizer.step()
        return losses.detach()

    def _logits(self, inputs: torch.Tensor) -> torch.Tensor:
        """(S, B, T) ids -> (S, B, T, V); a model alone needs no vmap."""
        parameters = {name: p.bfloat16() for name, p in self.parameters.items()} if self.rough else self.parameters
        if len(inputs) == 1:
            alone = {name: p[0] for name, p in parameters.items()}
            logits = functional_call(self.module, alone, (inputs[0],))[None]
        else:
            logits = vmap(lambda own, ids: functional_call(self.module, own, (ids,)))(parameters, inputs)
        return logits.float() if self.rough else logits


def _initial(settings: ShadowSettings, shadow: int) -> CharTransformer:
    """An untrained shadow, the same wherever it is drawn; the caller's random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(np.random.SeedSequence([settings.seed, shadow]).generate_state(1, np.uint64)[0]))
        return CharTransformer(settings.config)
