"""A small network over features, trained by minibatches: what the mitigations during training share.

 All randomness comes from one generator, so that two trainings from equal
generators on a CPU give equal weights; the number of threads is torch's own setting and is left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from auditkit.errors import InputError
from auditkit.mitigation.baseline import check_train, hold_out, known, known_features, refuse_weights
from auditkit.mitigation.task import Bools, Floats, Split
from auditkit.models.weights import pick_device

Twins = Callable[[Split], Floats]

ADVERSARY_SPEED = 10  # its learning rate over the network's: one that lags behind corrects nothing
LEAST_STEPS, LEAST_BATCH = 8, 32  # of an epoch, of people: batches shrink rather than become fewer than this


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How a network is trained.

    Attributes:
        hidden: the width of each hidden layer; () is a logistic regression.
        epochs: passes through the data, at most.
        batch_size: at most; large, since a penalty compares groups within a batch. Smaller where few people are learned
            from, so that an epoch has at least 8 batches.
        learning_rate: of Adam; it falls linearly to 0.
        weight_decay: of the squared weights.
        patience: epochs without improvement on the validation part before training stops.
        held_out: the share of people in the validation part.
        device: "auto" (CUDA, else MPS, else CPU) or a torch device.
    """

    hidden: tuple[int, ...] = (32,)
    epochs: int = 30
    batch_size: int = 512
    learning_rate: float = 0.01
    weight_decay: float = 1e-4
    patience: int = 8
    held_out: float = 0.2
    device: str = "auto"

    def __post_init__(self) -> None:
        sizes = (*self.hidden, self.epochs, self.batch_size, self.patience)
        if min(sizes) < 1 or self.learning_rate <= 0 or self.weight_decay < 0 or not 0 < self.held_out < 1:
            raise InputError(
                f"{self}: expected sizes of 1 or more, a learning_rate above 0, and a share held_out between 0 and 1"
            )


class Rows(NamedTuple):
    """People as tensors.

    Attributes:
        features: (n, d) standardised.
        label: (n,) 1.0 where the true outcome is the favourable one.
        group: (n,) the position of each person's group among the sorted names.
        twin: (n, d) features of the same people had they been of another group; `features` where that is not asked.
    """

    features: Tensor
    label: Tensor
    group: Tensor
    twin: Tensor

    def take(self, chosen: Tensor) -> Rows:
        """Some of the people."""
        return Rows(*(column[chosen] for column in self))


class Scale:
    """Columns brought to mean 0 and standard deviation 1; a constant column becomes 0.

    Args:
        features: (n, d) of the people learned from.
        device: where the standardised features go.
    """

    def __init__(self, features: Floats, device: torch.device) -> None:
        deviation = features.std(axis=0)
        self.mean, self.deviation = features.mean(axis=0), np.where(deviation > 0, deviation, 1.0)
        self.device = device

    def __call__(self, people: Split) -> Tensor:
        """(n, d) standardised features, in single precision.

        Raises:
            DataError: other columns than in training, or values that are no finite numbers.
        """
        features = known_features(people, len(self.mean))
        return torch.tensor((features - self.mean) / self.deviation, dtype=torch.float32, device=self.device)


@dataclass(frozen=True, slots=True)
class People:
    """People to learn from, divided: `rows` to fit, `held_out` to stop and to choose by."""

    rows: Rows
    held_out: Rows
    scale: Scale
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """One strength that was tried, and what it came to on the validation part.

    Attributes:
        strength: of the penalty or of the adversary.
        accuracy: share of right decisions.
        gap: what the mitigation is to make small, e.g. the difference of selection rates.
    """

    strength: float
    accuracy: float
    gap: float


@dataclass(frozen=True, slots=True)
class NetworkDecider:
    """A trained network; it decides for the favourable outcome at a probability of 0.5 or more.

    Attributes:
        module: (n, d) features -> (n, 1) log odds of the favourable outcome.
        inputs: people -> the features that `module` reads.
        strength: what was chosen.
        trials: everything that was tried on the way.
    """

    module: nn.Module
    inputs: Callable[[Split], Tensor]
    strength: float = 0.0
    trials: tuple[Trial, ...] = ()

    def scores(self, people: Split) -> Floats:
        """(n,) probability of the favourable outcome.

        Raises:
            DataError: other columns than in training, or values that are no finite numbers.
        """
        with torch.no_grad():
            logits = self.module(self.inputs(people)).squeeze(1)
        return np.asarray(torch.sigmoid(logits.cpu().double()).numpy())

    def decide(self, people: Split) -> Bools:
        """(n,) whether the favourable outcome is at least as probable as not."""
        return np.asarray(self.scores(people) >= 0.5)


def divide(
    train: Split, sensitive: str, training: Training, rng: np.random.Generator, twins: Twins | None = None
) -> People:
    """Divide people at random, each outcome of each group in the same proportion, and standardise their features.

    Args:
        train: the people.
        sensitive: the attribute that says their groups.
        training: how many are held out, and the device.
        rng: decides who is.
        twins: features of people had they been of another group.

    Raises:
        DataError: fewer than two groups, a group without two people of either outcome, features that are no numbers, or
            weights, which a network does not count. Whoever's group is not known is left out.
    """
    refuse_weights("a network", train)
    train, groups = known(train, check_train(train, sensitive))
    names = sorted(set(groups))
    kept, apart = hold_out(train, groups, training.held_out, rng)
    scale = Scale(kept.features, pick_device(training.device))

    def rows(part: Split) -> Rows:
        features = scale(part)
        label = torch.tensor(part.label, dtype=torch.float32, device=scale.device)
        group = torch.tensor(np.searchsorted(names, part.groups(sensitive)), device=scale.device)
        return Rows(features, label, group, scale(replace(part, features=twins(part))) if twins else features)

    return People(rows(kept), rows(apart), scale, tuple(names))


def network(columns: int, hidden: tuple[int, ...] = (), outputs: int = 1) -> nn.Sequential:
    """Linear layers with ReLU between them; freshly drawn under torch's current seed."""
    widths = (columns, *hidden, outputs)
    layers = [layer for pair in pairwise(widths) for layer in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def train(
    module: nn.Module,
    loss: Callable[[Rows], Tensor],
    people: People,
    training: Training,
    *,
    seed: int,
    adversary: nn.Module | None = None,
) -> None:
    """Minimise `loss` over minibatches of people, in place.

    Stops early, at the epoch whose loss on the validation part was the least. A game against an adversary has no loss
    to stop by, and its weights circle around the solution: it runs to its end and takes the mean of the last half's
    epochs.

    Args:
        module: what is trained.
        loss: of a batch.
        people: who is learned from.
        training: epochs, batches, rates.
        seed: of the order of the batches.
        adversary: a network that is trained along with `module`, works against it, and learns faster.
    """
    groups = [{"params": [*module.parameters()], "lr": training.learning_rate}]
    if adversary is not None:
        groups.append({"params": [*adversary.parameters()], "lr": ADVERSARY_SPEED * training.learning_rate})
    optimizer = torch.optim.Adam(groups, weight_decay=training.weight_decay)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, total_iters=training.epochs)
    generator, n = torch.Generator().manual_seed(seed), len(people.rows.label)
    size = min(training.batch_size, max(LEAST_BATCH, n // LEAST_STEPS))
    best, kept, since = float("inf"), _weights(module), 0
    for epoch in range(training.epochs):
        order = torch.randperm(n, generator=generator)
        for chosen in order.to(people.rows.label.device).split(size):
            optimizer.zero_grad()
            loss(people.rows.take(chosen)).backward()
            optimizer.step()
        decay.step()
        if adversary is not None:
            averaged = max(0, epoch - training.epochs // 2)  # how many epochs the mean holds already
            kept = [k + (w - k) / (averaged + 1) for k, w in zip(kept, _weights(module), strict=True)]
            continue
        with torch.no_grad():
            now = float(loss(people.held_out))
        best, kept, since = (now, _weights(module), 0) if now < best else (best, kept, since + 1)
        if since >= training.patience:
            break
    with torch.no_grad():
        for parameter, value in zip(module.parameters(), kept, strict=True):
            parameter.copy_(value)


def _weights(module: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in module.parameters()]
