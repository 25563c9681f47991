"""Model adapters: one capability protocol each, one scoring path each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditkit import lazy

if TYPE_CHECKING:
    from auditkit.models.loading import load_model

__all__ = ["load_model"]

__getattr__, __dir__ = lazy.exports(__name__, {".loading": ("load_model",)})
