"""What to do to a model in order to make it smaller: steps, one after the other, and `compress`, which takes them.

A spec is a step or a list of steps; a step is an object, or, as in audit.yaml, its name with its options:

    "int8"
    {"wanda": {"ratio": 0.5, "texts": "calibration.txt"}}
    [{"magnitude": {"ratio": 0.5}}, "int8"]
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from auditkit import plugins
from auditkit.errors import InputError, UnknownName
from auditkit.privacy.adapters import copy_of

STEPS = {
    "magnitude": "auditkit.compression.pruning:Magnitude",
    "wanda": "auditkit.compression.pruning:Wanda",
    "random": "auditkit.compression.pruning:Random",
    "heads": "auditkit.compression.structured:Heads",
    "neurons": "auditkit.compression.structured:Neurons",
    "int8": "auditkit.compression.quantization:Int8",
    "int4": "auditkit.compression.quantization:Int4",
    "cast": "auditkit.compression.quantization:Cast",
    "low_rank": "auditkit.compression.low_rank:LowRank",
    "recover": "auditkit.compression.recovery:Recover",
}


@runtime_checkable
class Step(Protocol):
    """One thing done to a model: a frozen keyword-only dataclass whose fields are its options."""

    @property
    def label(self) -> str:
        """What it is in a few words, options included: "wanda 50 %", "int8 dynamic"."""
        ...

    def apply(self, model: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Change `model`, an adapter with weights of its own, in place.

        Returns:
            What was done, as JSON values: sparsity reached, layers touched, backend chosen and why, ...
        """
        ...


Spec = Step | str | Mapping[str, Any] | Sequence[Step | str | Mapping[str, Any]]


def steps_of(spec: Spec) -> tuple[Step, ...]:
    """The steps that `spec` names; none for an empty list, which leaves a model as it is.

    Raises:
        UnknownName: no such step or option.
        InputError: a step is neither a name, nor a name with its options, nor an object; or refuses its options.
    """
    entries = spec if isinstance(spec, Sequence) and not isinstance(spec, str) else [spec]
    return tuple(_step(entry) for entry in entries)


def label(spec: Spec) -> str:
    """How a spec is called in a report."""
    return " + ".join(step.label for step in steps_of(spec)) or "dense"


def compress(model: Any, spec: Spec, *, seed: int = 0) -> Any:
    """A compressed copy of a model: an adapter like any other, so that every probe runs on it.

    Args:
        model: an adapter with weights; it is not changed.
        spec: see the module.
        seed: of all that a step draws.

    Returns:
        The copy. Its `compression` lists, step by step, {"step": label, ...what was done}; a report names the steps.

    Raises:
        MissingCapability: the model has no weights of its own.
        InputError: the spec is wrong, or a step cannot be taken on this model.
    """
    steps = steps_of(spec)
    smaller = copy_of(model)
    rng = np.random.default_rng([seed, 0xC0])
    done = [{"step": step.label, **step.apply(smaller, rng)} for step in steps]
    smaller.name = f"{model.name} ({label(spec)})" if steps else model.name
    smaller.compression = [*getattr(model, "compression", []), *done]
    return smaller


def _step(entry: Any) -> Step:
    if isinstance(entry, Step):
        return entry
    if isinstance(entry, str):
        entry = {entry: {}}
    if not (isinstance(entry, Mapping) and len(entry) == 1):
        raise InputError(f"compression step {entry!r}; expected a name, or one name with its options: {{int8: {{}}}}")
    name, options = next(iter(entry.items()))
    if name not in STEPS:
        raise UnknownName("compression step", name, STEPS)
    cls = plugins.load_object(STEPS[name])
    known = [f.name for f in dataclasses.fields(cls) if f.init]
    for option in options or {}:
        if option not in known:
            raise UnknownName(f"option of {name}", option, known)
    try:
        return cls(**(options or {}))
    except TypeError as e:
        raise InputError(f"compression step {name}: {e}") from e
