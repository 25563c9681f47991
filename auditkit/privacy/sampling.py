"""Who is in the batch: the samplers, and for each the mechanism that its batches may be accounted as.

A sampler is handed to the training and to the accountant as one object, so that no batch is drawn by one rule and
accounted by another. Its draws are functions of the step number: a resumed run goes on where the ledger ends.

The *unit of privacy* is whatever a sampler counts: an example, a user, a document. The guarantee speaks about one unit,
so the gradient of a whole unit is what must be clipped; `group_examples` says which examples belong to a unit.

Sources: Abadi et al. (2016), Deep learning with differential privacy; Chua et al. (2024), How private are DP-SGD
implementations?, which shows that shuffled batches may not claim the epsilon of Poisson batches.
"""

from __future__ import annotations

import math
import os
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditkit.privacy.settings import PrivacySettingError

Indices = NDArray[np.int64]
ADD_OR_REMOVE = "add or remove one"
REPLACE = "replace one"


class Composition(NamedTuple):
    """`steps` Gaussian mechanisms of this noise multiplier, each on a Poisson sample of the units at rate `rate`."""

    noise_multiplier: float
    rate: float
    steps: int


@dataclass(frozen=True, slots=True)
class PoissonSampler:
    """Every unit joins every batch independently, with probability `rate = expected_batch_size / units`.

    The size of a batch varies and may be 0; the sum of the clipped gradients is therefore divided by the *expected*
    batch size. Neighbouring data sets differ by one unit added or removed.

    Attributes:
        units: how many units of privacy the data hold.
        expected_batch_size: the mean size of a batch, in units.
        unit: what a unit is: "example", "user", "document", ...
        seed: makes the draws repeatable, for tests: amplification by sampling holds only while nobody knows it. None
            takes every draw from the operating system's randomness.

    Raises:
        PrivacySettingError: fewer units than one batch expects, or no positive batch size.
    """

    units: int
    expected_batch_size: int
    unit: str = "example"
    seed: int | None = None

    kind: ClassVar[str] = "poisson"
    adjacency: ClassVar[str] = ADD_OR_REMOVE

    def __post_init__(self) -> None:
        _refuse_impossible_batches(self.units, self.expected_batch_size, self.unit)

    @property
    def rate(self) -> float:
        """The probability that a unit joins a batch."""
        return self.expected_batch_size / self.units

    @property
    def steps_per_epoch(self) -> int:
        """The steps after which a unit has been used once on average, rounded up."""
        return math.ceil(self.units / self.expected_batch_size)

    def batch(self, step: int) -> Indices:
        """The units in the batch of step `step` (from 0), ascending; drawn anew at every call where unseeded."""
        return np.flatnonzero(_uniform(self.units, self.seed, step) < self.rate)

    def composition(self, noise_multiplier: float, steps: int) -> Composition:
        """What `steps` steps amount to for one unit: that many Poisson-subsampled Gaussians."""
        return Composition(noise_multiplier, self.rate, steps)


@dataclass(frozen=True, slots=True)
class ShuffledSampler:
    """A new order in every epoch, cut into batches of `batch_size`, the last one shorter: no amplification is claimed.

    A unit is in one batch of an epoch. Whoever knows the order still sees only that batch depend on the unit, so an
    epoch is one Gaussian mechanism, and E epochs compose E times; an epoch begun counts as a whole one. The number of
    batches depends on the number of units, so neighbours must be of equal size: they differ by one unit *replaced*,
    which moves the sum of the clipped gradients by up to 2C and so halves the noise multiplier.

    Attributes:
        units: how many units of privacy the data hold.
        batch_size: the size of a batch, in units.
        unit: what a unit is: "example", "user", "document", ...
        seed: of the orders. It need not be secret, and a resumed run must keep it: another order in the middle of an
            epoch would use some units twice.

    Raises:
        PrivacySettingError: fewer units than one batch, or no positive batch size.
    """

    units: int
    batch_size: int
    seed: int
    unit: str = "example"

    kind: ClassVar[str] = "shuffled"
    adjacency: ClassVar[str] = REPLACE

    def __post_init__(self) -> None:
        _refuse_impossible_batches(self.units, self.batch_size, self.unit)

    @property
    def expected_batch_size(self) -> int:
        """What the sum of the clipped gradients is divided by."""
        return self.batch_size

    @property
    def steps_per_epoch(self) -> int:
        """The batches of one epoch."""
        return math.ceil(self.units / self.batch_size)

    def batch(self, step: int) -> Indices:
        """The units in the batch of step `step` (from 0), in the epoch's order."""
        epoch, position = divmod(step, self.steps_per_epoch)
        order = _order(self.units, self.seed, epoch)
        return order[position * self.batch_size : (position + 1) * self.batch_size]

    def composition(self, noise_multiplier: float, steps: int) -> Composition:
        """What `steps` steps amount to for one unit: one Gaussian of sensitivity 2C for every epoch begun."""
        return Composition(noise_multiplier / 2, 1.0, math.ceil(steps / self.steps_per_epoch))


Sampler = PoissonSampler | ShuffledSampler


def group_examples(owners: Sequence[Hashable]) -> list[Indices]:
    """The examples of every unit, for privacy of users or documents instead of examples.

    Args:
        owners: for each example the user (or document) that it comes from.

    Returns:
        One array of example indices per unit, the units in order of first appearance: `groups[u]` for `u` in a batch.
    """
    groups: dict[Hashable, list[int]] = {}
    for example, owner in enumerate(owners):
        groups.setdefault(owner, []).append(example)
    return [np.array(examples, dtype=np.int64) for examples in groups.values()]


def physical_batches(batch: Indices, size: int) -> Iterator[Indices]:
    """Cut a logical batch into parts of at most `size` that fit the memory; their clipped gradients are summed.

    An empty batch has no parts, and its step must be taken all the same: noise is all that it adds.

    Raises:
        PrivacySettingError: `size` is not positive.
    """
    if size < 1:
        raise PrivacySettingError(f"physical batch size {size}; expected 1 or more")
    return (batch[start : start + size] for start in range(0, len(batch), size))


def _refuse_impossible_batches(units: int, batch_size: int, unit: str) -> None:
    if batch_size < 1:
        raise PrivacySettingError(f"batch size {batch_size}; expected 1 or more")
    if units < batch_size:
        raise PrivacySettingError(
            f"the data hold {units} units of privacy ({unit}) and a batch takes {batch_size}; "
            f"choose a batch size of at most {units}"
        )


def _uniform(n: int, seed: int | None, step: int) -> NDArray[np.float64]:
    """`n` uniforms in [0, 1), multiples of 2^-53, from the operating system where there is no seed."""
    if seed is not None:
        return np.random.default_rng([seed, step]).random(n)
    words = np.frombuffer(os.urandom(8 * n), dtype=np.uint64) >> np.uint64(11)
    return words.astype(np.float64) * 2.0**-53


@lru_cache(maxsize=1)
def _order(units: int, seed: int, epoch: int) -> Indices:
    return np.random.default_rng([seed, epoch]).permutation(units)
