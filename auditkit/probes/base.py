"""What a probe is, and what it hands back."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np

from auditkit.measurement import Measurement


@dataclass(frozen=True, slots=True)
class ItemScore:
    """The score of one item in one measurement, kept beside the report so that two models can be compared in pairs.

    Attributes:
        measurement: id of the measurement it belongs to.
        item: a stable id of the item, the same for every model audited on these data.
        value: its contribution: the measurement's value is the mean of `value`, or, where `x` is given, the slope
            of `value` on `x`, or their correlation where the measurement's details have `"over_items": "correlation"`.
        cluster: items that are not independent of each other share a cluster (writer, template, name).
        x: the covariate of a slope or a correlation.
    """

    measurement: str
    item: str
    value: float
    cluster: str = ""
    x: float | None = None


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What `measure` returns: the measurements, and the item scores that they were computed from."""

    measurements: Sequence[Measurement]
    items: Sequence[ItemScore] = field(default=())


class Probe(Protocol):
    """A probe is a keyword-only dataclass: its fields are its options in audit.yaml.

    One that reads people's texts names the options that hold them, however deep, in `private`, a class attribute, and
    has an option `redact`: while that is on, texts given in a list are recorded by their number and hash only.

    One that compares likelihoods says `needs_competence = True`, a class attribute: its numbers are void for a language
    model that does not prefer sentences to their words shuffled, see `auditkit.probes.competence`.

    Attributes:
        id: its name in the report; unique in a run.
        needs: capabilities (protocols); the model must have at least one of them.
        source: the publication that defines what it measures.
    """

    needs: ClassVar[tuple[type, ...]]
    source: ClassVar[str]

    @property
    def id(self) -> str:
        """Its name in the report."""
        ...

    def measure(self, model: Any, rng: np.random.Generator) -> ProbeResult:
        """Measure `model`; all randomness comes from `rng`."""
        ...


@dataclass(frozen=True, slots=True)
class Planned:
    """How sure a measurement can be, known from the data before any model is asked.

    Attributes:
        n: how many items it will rest on.
        clusters: how many independent units they form.
        error: standard error, in the measurement's unit, for a model without bias whose items are independent.
        ideal: the value of that model.
    """

    n: int
    clusters: int
    error: float
    ideal: float

    @classmethod
    def share(cls, clusters: Sequence[str], *, ideal: float = 50.0, bounds: tuple[float, float] = (0, 100)) -> Self:
        """Of a mean of items that are one of two values, `bounds`; `clusters` names the cluster of each, at least one.

        The variance of one item is (ideal - low) (high - ideal).
        """
        low, high = bounds
        n = len(clusters)
        return cls(n, len(set(clusters)), math.sqrt((ideal - low) * (high - ideal) / n), ideal)


@runtime_checkable
class Plans(Protocol):
    """A probe that can say before it runs how sure it will be; see `auditkit.attainability`."""

    @property
    def id(self) -> str:
        """Its name in the report."""
        ...

    def planned(self) -> Mapping[str, Planned]:
        """Measurement id -> what to expect, of those where the data tell; loads the data, asks no model.

        Raises:
            InputError: the data are not here, or wrong.
        """
        ...


def generator(seed: int, probe_id: str) -> np.random.Generator:
    """The generator of one probe in one run: depends on nothing else, so adding a probe changes no other number."""
    digest = hashlib.sha256(probe_id.encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])
