"""Compression: make a model smaller, and find out what that does. Names are imported when first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditkit.compression.spec import STEPS, Spec, Step, compress, label, steps_of
    from auditkit.compression.sweeps import sweep

_HOMES = {
    "spec": ("STEPS", "Spec", "Step", "compress", "label", "steps_of"),
    "sweeps": ("sweep",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["STEPS", "Spec", "Step", "compress", "label", "steps_of", "sweep"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'auditkit.compression' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"auditkit.compression.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
