"""Bugs of private trainings that were really made, put into our trainer on purpose, to see which checks notice.

Each is a context manager that patches one place, and changes nothing else: a training inside of it runs, says that it
is private, and is not.

    with by_name("noise missing").planted():
        auditkit.privacy.train(...)      # claims its epsilon, and adds no noise

What unites most of them: the loss goes down as it should, so nobody looks. None of them is switched on in any other
way, and no training leaves a trace of them when the block is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from auditkit.errors import UnknownName
from auditkit.privacy import bookkeeping, training_loop
from auditkit.privacy.bookkeeping import BookKeeping
from auditkit.privacy.gradient_factors import Factor, combine
from auditkit.privacy.noise import NoiseSource
from auditkit.privacy.objectives import Batch, NextCharacter
from auditkit.privacy.release import release
from auditkit.privacy.sampling import Composition, Indices, PoissonSampler, ShuffledSampler
from auditkit.privacy.training_loop import Loop

Patch = Callable[[], AbstractContextManager[None]]
TOO_LOW = 4.0  # how many times the accountant's sample rate is too low


@dataclass(frozen=True, slots=True)
class SeededBug:
    """One mistake.

    Attributes:
        name: what it is called in the table.
        what: what the trainer does wrong, in a sentence.
        planted: a context in which it does.
    """

    name: str
    what: str
    planted: Patch


@contextmanager
def patched(owner: Any, name: str, value: Any) -> Iterator[None]:
    """`owner.name` is `value` inside of the block."""
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)


def by_name(name: str) -> SeededBug:
    """The bug of this name.

    Raises:
        UnknownName: there is none.
    """
    known = {bug.name: bug for bug in SEEDED_BUGS}
    if name not in known:
        raise UnknownName("seeded bug", name, known)
    return known[name]


# --- clipping ---------------------------------------------------------------------------------------------------


def _no_clipping() -> AbstractContextManager[None]:
    def ones(norms: torch.Tensor, max_grad_norm: float) -> torch.Tensor:
        return torch.ones_like(norms)

    return patched(bookkeeping, "_clip_factors", ones)


def _clip_the_batch() -> AbstractContextManager[None]:
    """What `clip_grad_norm_` after `losses.mean().backward()` does: the mean gradient is cut to C."""

    def part(self: Loop, chosen: Sequence[Indices], rng: np.random.Generator) -> tuple[list[float], list[float]]:
        losses = _losses(self, chosen, rng)
        gradients = torch.autograd.grad(losses.mean(), self.trainable)
        _add(self, gradients, len(chosen) * _factor(self, gradients))
        return losses.tolist(), []

    return patched(Loop, "_part", part)


def _clip_each_parameter() -> AbstractContextManager[None]:
    """C for each parameter alone: all k together reach C sqrt(k)."""

    @torch.no_grad()
    def add(self: BookKeeping, factors: dict[str, list[Factor]], weights: torch.Tensor) -> None:
        for name, p in self._recording().parameters.items():
            total = torch.zeros_like(p)
            if factors.get(name):
                norms = combine(factors[name], p.shape)[0].sqrt()
                own = (self.max_grad_norm / norms).clamp(max=1)
                total = sum((factor.weighted_sum(own, p.shape) for factor in factors[name]), total)
            p.grad = total if p.grad is None else p.grad + total

    return patched(BookKeeping, "_add", add)


def _tied_counted_once() -> AbstractContextManager[None]:
    """The norm of a parameter used twice is taken of one use, and the sum has both."""

    def first_use(factors: Sequence[Factor], shape: torch.Size) -> tuple[torch.Tensor, list[Factor]]:
        return combine(factors[:1], shape)[0], list(factors)

    return patched(bookkeeping, "combine", first_use)


# --- noise ------------------------------------------------------------------------------------------------------


def _released_with(**changes: Callable[[dict[str, Any]], Any]) -> AbstractContextManager[None]:
    """A release of which some settings are computed from all of them."""

    def changed(parameters: Sequence[nn.Parameter], noise: NoiseSource, **settings: Any) -> None:
        release(parameters, noise, **settings | {name: change(settings) for name, change in changes.items()})

    return patched(training_loop, "release", changed)


def _no_noise() -> AbstractContextManager[None]:
    def noiseless(
        parameters: Sequence[nn.Parameter], noise: NoiseSource, *, expected_batch_size: int, **settings: Any
    ) -> None:
        for p in parameters:
            p.grad = (torch.zeros_like(p) if p.grad is None else p.grad) / expected_batch_size

    return patched(training_loop, "release", noiseless)


def _noise_of_the_mean() -> AbstractContextManager[None]:
    """The noise is divided by the batch size, and with the sum once more."""
    return _released_with(noise_multiplier=lambda s: s["noise_multiplier"] / s["expected_batch_size"])


def _same_noise_every_step() -> AbstractContextManager[None]:
    """The generator is seeded anew in every step: the difference of two releases is free of noise."""
    return _released_with(step=lambda s: 0)


@contextmanager
def _noise_before_clipping() -> Iterator[None]:
    """Noise on every example's gradient, which is then clipped with it; none on the sum."""

    def part(self: Loop, chosen: Sequence[Indices], rng: np.random.Generator) -> tuple[list[float], list[float]]:
        mechanism = self.mechanism
        assert mechanism is not None
        std = mechanism.noise_multiplier * mechanism.max_grad_norm
        losses = _losses(self, chosen, rng)
        for loss in losses:
            gradients = torch.autograd.grad(loss, self.trainable, retain_graph=True)
            noisy = [g + std * torch.randn_like(g) for g in gradients]
            _add(self, noisy, _factor(self, noisy))
        return losses.tolist(), []

    with patched(Loop, "_part", part), _no_noise():
        yield


@contextmanager
def _divide_by_the_actual_size() -> Iterator[None]:
    """The divisor tells how many were in the batch, and the noise depends on it."""
    size, step = [1], Loop.step

    def watched(self: Loop, number: int) -> None:
        size[0] = max(1, len(self.sampler.batch(number)))
        step(self, number)

    def by_size(parameters: Sequence[nn.Parameter], noise: NoiseSource, **settings: Any) -> None:
        release(parameters, noise, **settings | {"expected_batch_size": size[0]})

    with patched(Loop, "step", watched), patched(training_loop, "release", by_size):
        yield


# --- sampling, accounting and randomness ------------------------------------------------------------------------


def _shuffled_as_poisson() -> AbstractContextManager[None]:
    def batch(self: PoissonSampler, step: int) -> Indices:
        return ShuffledSampler(self.units, self.expected_batch_size, self.seed or 0, self.unit).batch(step)

    return patched(PoissonSampler, "batch", batch)


def _wrong_sample_rate() -> AbstractContextManager[None]:
    """As when the accountant is told the size of a physical batch, and the steps take logical ones."""

    def composition(self: PoissonSampler, noise_multiplier: float, steps: int) -> Composition:
        return Composition(noise_multiplier, self.rate / TOO_LOW, steps)

    return patched(PoissonSampler, "composition", composition)


def _shared_masks() -> AbstractContextManager[None]:
    """A third of the characters is dropped, by one mask drawn for the batch as a whole.

    Which characters of a text are dropped then depends on the texts beside it: one record more changes the gradients of
    all others, and given the random numbers no clipping bounds what it changes.
    """
    original = NextCharacter.batch

    def batch(self: NextCharacter, examples: Sequence[int], rng: np.random.Generator) -> Batch:
        whole = original(self, examples, rng)
        dropped = torch.from_numpy(rng.random(tuple(whole["ids"].shape)) < 1 / 3)
        return whole | {"ids": whole["ids"].masked_fill(dropped.to(whole["ids"].device), 0)}

    return patched(NextCharacter, "batch", batch)


# --- a naive trainer's parts ------------------------------------------------------------------------------------


def _losses(loop: Loop, chosen: Sequence[Indices], rng: np.random.Generator) -> torch.Tensor:
    """(B,) losses of units of one example each."""
    batch = loop.objective.batch(np.concatenate(chosen).tolist(), rng)
    return loop.objective.losses(loop.module, batch)


def _factor(loop: Loop, gradients: Sequence[torch.Tensor]) -> float:
    """min(1, C / norm)."""
    assert loop.mechanism is not None
    norm = float(torch.stack([g.norm() for g in gradients]).norm())
    return min(1.0, loop.mechanism.max_grad_norm / norm)


def _add(loop: Loop, gradients: Sequence[torch.Tensor], weight: float) -> None:
    for p, g in zip(loop.trainable, gradients, strict=True):
        p.grad = weight * g if p.grad is None else p.grad + weight * g


SEEDED_BUGS = (
    SeededBug("no clipping", "gradients are added up as they are", _no_clipping),
    SeededBug("clipping of the batch", "the mean gradient is clipped, not each example's", _clip_the_batch),
    SeededBug("noise missing", "the sum is released without noise", _no_noise),
    SeededBug("noise for another batch size", "the noise is divided by the batch size twice", _noise_of_the_mean),
    SeededBug("noise before clipping", "noise on each gradient, clipped with it", _noise_before_clipping),
    SeededBug("tied gradient counted once", "the norm leaves out a tied weight's second use", _tied_counted_once),
    SeededBug("shuffled sold as Poisson", "batches are cut from an order", _shuffled_as_poisson),
    SeededBug("wrong sample rate", f"the accountant's rate is a {TOO_LOW:g}th of the sampler's", _wrong_sample_rate),
    SeededBug("randomness shared", "one random mask for the batch, not one for each example", _shared_masks),
    SeededBug("clipping by parameter", "each parameter's gradient is clipped to C alone", _clip_each_parameter),
    SeededBug("same noise every step", "the noise generator is seeded anew in every step", _same_noise_every_step),
    SeededBug("actual batch size", "the sum is divided by the size of the batch drawn", _divide_by_the_actual_size),
)  # fmt: skip
