"""What makes two models the same: not the weights alone, but all that stands between a text and a number."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_NOT_ITS_OWN = ("_name_or_path", "name_or_path", "transformers_version", "_commit_hash", "torch_dtype", "dtype")
"""Where a configuration came from, what read it, and in which format it is held: `dtype` is part of the subject."""


def tokenizer_sha256(tokenizer: Any) -> str | None:
    """Hash of the vocabulary with its ids, merges, normaliser, special tokens and chat template; None without one.

    How the last call padded or cut its texts is no part of it.
    """
    if tokenizer is None:
        return None
    backend = getattr(tokenizer, "backend_tokenizer", None)
    rules = json.loads(backend.to_str()) if backend is not None else {"vocabulary": tokenizer.get_vocab()}
    rules = {key: value for key, value in rules.items() if key not in ("padding", "truncation")}
    special = getattr(tokenizer, "special_tokens_map", None)
    parts = [rules, special, getattr(tokenizer, "chat_template", None), getattr(tokenizer, "model_max_length", None)]
    return sha256(parts)


def config_sha256(module: Any) -> str:
    """Hash of the configuration of a transformers module and, where it has one, of its generation configuration."""
    generation = getattr(module, "generation_config", None)
    return sha256([_own(module.config.to_dict()), _own(generation.to_dict()) if generation is not None else None])


def identity(weights: str, *, tokenizer: str | None, config: str) -> dict[str, str | None]:
    """The entries of `Model.describe` that bind what was audited.

    Args:
        weights: the sha256 of the weights in memory.
        tokenizer: that of the tokenizer; None where the model has none.
        config: that of the configuration.
    """
    return {
        "tokenizer_sha256": tokenizer,
        "config_sha256": config,
        "subject_sha256": sha256([weights, tokenizer, config]),
    }


def sha256(value: Any) -> str:
    """Hash of a JSON value; what has no JSON form counts by its text, and the order of keys does not count."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _own(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in _NOT_ITS_OWN}
