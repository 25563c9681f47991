"""Compression: make a model smaller, and find out what that does. Names are imported when first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditkit import lazy

if TYPE_CHECKING:
    from auditkit.compression.spec import STEPS, Spec, Step, compress, label, steps_of
    from auditkit.compression.sweeps import sweep

_HOMES = {
    ".spec": ("STEPS", "Spec", "Step", "compress", "label", "steps_of"),
    ".sweeps": ("sweep",),
}
__all__ = ["STEPS", "Spec", "Step", "compress", "label", "steps_of", "sweep"]

__getattr__, __dir__ = lazy.exports(__name__, _HOMES)
