"""A drop-in for training scripts: three lines make a plain PyTorch loop private, and the loop itself stays as it is.

    engine = PrivacyEngine(ledger="run/ledger.json")
    model, optimizer, criterion, loader = engine.make_private_with_epsilon(
        module=model, optimizer=optimizer, criterion=nn.CrossEntropyLoss(), data_loader=loader,
        target_epsilon=8.0, target_delta=1e-5, epochs=3, max_grad_norm=1.0)

    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()

The shape is that of Opacus with ghost clipping (Yousefpour et al., 2021, arXiv:2109.12298). The loader draws Poisson
batches, each on the ledger before it is drawn; the criterion keeps one loss for each example; `backward` clips; `step`
adds the noise, once, and divides by the expected batch size. A step that the loop skips is spent all the same.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import distributed, nn
from torch.utils.data import DataLoader, IterableDataset, RandomSampler, SequentialSampler

from auditkit.errors import InputError
from auditkit.privacy.accounting import noise_multiplier_for
from auditkit.privacy.doctor import inspect
from auditkit.privacy.ledger import Ledger
from auditkit.privacy.noise import noise_source
from auditkit.privacy.private_loop import (
    PrivateCriterion,
    PrivateLoader,
    PrivateModel,
    PrivateSteps,
    RecordedBatches,
    trainable_parameters,
)
from auditkit.privacy.sampling import PoissonSampler
from auditkit.privacy.settings import PrivacySettingError, check_max_grad_norm, check_noise_multiplier
from auditkit.privacy.tape import UnsupportedModel


class PrivacyEngine:
    """Makes a model, its optimizer, criterion and data loader private, and keeps the ledger of what they spend.

    Args:
        secure: cryptographic noise; takes no seed.
        seed: makes batches and noise repeatable, for experiments; None draws from the operating system.
        ledger: the file of what is spent; one that exists is continued, as after an interruption.
    """

    def __init__(self, *, secure: bool = False, seed: int | None = None, ledger: str | Path = "ledger.json") -> None:
        self.secure, self.seed, self.path = secure, seed, Path(ledger)
        self.ledger: Ledger | None = None

    def make_private_with_epsilon(
        self,
        *,
        data_loader: DataLoader[Any],
        target_epsilon: float,
        target_delta: float,
        epochs: int,
        **training: Any,
    ) -> tuple[PrivateModel, torch.optim.Optimizer, PrivateCriterion, PrivateLoader]:
        """`make_private` with the least noise that keeps `epochs` passes through the loader within `target_epsilon`.

        Args:
            data_loader: as for `make_private`, like `module`, `optimizer`, `criterion` and the rest in `training`.
            target_epsilon: the budget of the whole training.
            target_delta: below one over the number of examples.
            epochs: how often the loop will go through the loader.
            training: the other arguments of `make_private`.

        Raises:
            PrivacySettingError: as `make_private`, or the target is out of reach.
        """
        sampler = _sampler_like(data_loader, self.seed)
        if epochs < 1:
            raise PrivacySettingError(f"epochs = {epochs}; expected 1 or more")
        steps = epochs * sampler.steps_per_epoch
        return self.make_private(
            data_loader=data_loader,
            noise_multiplier=noise_multiplier_for(target_epsilon, target_delta, sampler, steps),
            target_delta=target_delta,
            target_epsilon=target_epsilon,
            **training,
        )

    def make_private(
        self,
        *,
        module: nn.Module,
        optimizer: torch.optim.Optimizer,
        criterion: Callable[..., Any],
        data_loader: DataLoader[Any],
        noise_multiplier: float,
        target_delta: float,
        max_grad_norm: float,
        target_epsilon: float | None = None,
        max_physical_batch_size: int | None = None,
    ) -> tuple[PrivateModel, torch.optim.Optimizer, PrivateCriterion, PrivateLoader]:
        """What the loop uses in place of its model, optimizer (the given one, with a hook), criterion and loader.

        Args:
            module: the model, on its device, frozen parts frozen; the batch is outermost in its inputs.
            optimizer: holds the model's trainable parameters, all of them and no others.
            criterion: a loss of torch, module or function, or whatever returns one loss, or a row of losses, for each
                example.
            data_loader: its batch size becomes the expected one; its workers and collate_fn are kept, its order is not.
            noise_multiplier: standard deviation of the noise in units of `max_grad_norm`.
            target_delta: below one over the number of examples.
            max_grad_norm: C, the norm that every example's gradient is clipped to.
            target_epsilon: ends the loop, with a warning, before the step that would exceed it; None only records.
            max_physical_batch_size: larger batches come in parts of at most this many examples, and `optimizer.step()`
                does nothing before the last part.

        Raises:
            PrivacySettingError: a setting that protects nothing, or fewer examples than a batch.
            UnsupportedModel: the model has parts that cannot be trained privately; names every one.
            InputError: an optimizer, a criterion or a loader that cannot be made private.
        """
        check_noise_multiplier(noise_multiplier)
        check_max_grad_norm(max_grad_norm)
        _refuse_unsuited(module, optimizer)
        sampler = _sampler_like(data_loader, self.seed)
        device = next(module.parameters()).device
        noise = noise_source(secure=self.secure, seed=_seed_of(self.seed, "noise"), device=device)
        steps = PrivateSteps(module, noise, sampler, noise_multiplier=noise_multiplier, max_grad_norm=max_grad_norm)
        private_criterion = PrivateCriterion(criterion, steps)
        ledger = Ledger(self.path, delta=target_delta, target_epsilon=target_epsilon)
        batches = RecordedBatches(sampler, ledger, max_physical_batch_size)
        loader = PrivateLoader(data_loader, batches, steps)
        ledger.begin(sampler, noise_multiplier=noise_multiplier, max_grad_norm=max_grad_norm, noise_policy=noise.policy)
        optimizer.register_step_pre_hook(steps.before_step)
        _PRIVATE_OPTIMIZERS.add(optimizer)
        self.ledger = ledger
        return PrivateModel(module, steps), optimizer, private_criterion, loader

    def get_epsilon(self) -> float:
        """The epsilon, at the target delta, of all steps on the ledger, skipped ones included.

        With workers the loader draws, and records, some batches ahead of the loop.
        """
        if self.ledger is None:
            raise InputError("nothing is private yet, so there is no epsilon; call make_private first")
        return self.ledger.cost().epsilon


_PRIVATE_OPTIMIZERS: weakref.WeakSet[torch.optim.Optimizer] = weakref.WeakSet()


def _refuse_unsuited(module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    if isinstance(module, PrivateModel) or optimizer in _PRIVATE_OPTIMIZERS:
        raise InputError("already private; pass model.module and an optimizer that was made anew")
    if distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
        raise InputError("several processes, of which each would draw batches of its own; run this in one")
    problems = inspect(module)
    if problems:
        raise UnsupportedModel(problems)
    trainable_parameters(module, optimizer)


def _sampler_like(loader: DataLoader[Any], seed: int | None) -> PoissonSampler:
    """Poisson batches over the loader's data set, of its batch size on average."""
    data: Any = loader.dataset
    order = loader.sampler
    every_example_once = isinstance(order, SequentialSampler) or (
        isinstance(order, RandomSampler) and not order.replacement and order.num_samples == len(data)
    )
    if loader.batch_size is None or isinstance(data, IterableDataset) or not every_example_once:
        raise InputError(
            f"a DataLoader over {type(data).__name__} with batch_size = {loader.batch_size} and "
            f"{type(order).__name__}; expected a data set with a length, a batch_size and no sampler of its own, since "
            "the batches will be drawn by a Poisson sampler (for a part of the data, use torch.utils.data.Subset)"
        )
    return PoissonSampler(len(data), loader.batch_size, seed=_seed_of(seed, "batches"))


def _seed_of(seed: int | None, what: str) -> int | None:
    """Independent seeds for the batches and for the noise."""
    if seed is None:
        return None
    return int(np.random.SeedSequence([seed, *what.encode()]).generate_state(1, np.uint64)[0])
