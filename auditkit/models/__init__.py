"""Model adapters: one capability protocol each, one scoring path each."""

from auditkit.models.loading import load_model

__all__ = ["load_model"]
