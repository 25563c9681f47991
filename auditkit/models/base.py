"""What all adapters over a Hugging Face module share: identity, device, the tokenizer and the random-weights twin."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import torch

from auditkit.errors import ModelError
from auditkit.models import fit
from auditkit.models.identity import config_sha256, identity, tokenizer_sha256
from auditkit.models.in_memory import without_wrapper
from auditkit.models.saving import refuse_reshaped, without_progress
from auditkit.models.tokens import Row, cut, read_tokens
from auditkit.models.weights import execution_device, parameter_count, weights_sha256


class HFModel:
    """Base of the adapters: wraps one `transformers` module with its tokenizer. See `auditkit.models.protocols`."""

    task: ClassVar[str]

    def __init__(self, module: Any, tokenizer: Any, *, name: str, revision: str | None = None) -> None:
        module = without_wrapper(module)
        fit.refuse_tokens_without_rows(module, tokenizer, name)
        self.module = module.eval()
        self.tokenizer = tokenizer
        self.name = name
        self.revision = revision
        self.notices: Counter[str] = Counter()

    @property
    def device(self) -> torch.device:
        """Where the weights are, or are brought when they are needed."""
        return execution_device(self.module)

    @property
    def context(self) -> int:
        """Longest input in tokens, special tokens included."""
        config = self.module.config
        positions = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None) or 10**6
        if config.model_type in ("roberta", "xlm-roberta", "camembert"):
            positions -= config.pad_token_id + 1  # these families start counting after the padding index
        return int(min(positions, self.tokenizer.model_max_length))

    @cached_property
    def weights_sha256(self) -> str:
        """Hash of the weights in memory, computed once."""
        return weights_sha256(self.module)

    def describe(self) -> dict[str, Any]:
        """Identity of what is in memory; JSON values."""
        return {
            "name": self.name,
            "task": self.task,
            "architecture": type(self.module).__name__,
            "device": str(self.device),
            "dtype": str(self.module.dtype).removeprefix("torch."),
            "parameters": parameter_count(self.module),
            "weights_sha256": self.weights_sha256,
            "context": self.context,
            "revision": self.revision,
            **identity(
                self.weights_sha256,
                tokenizer=tokenizer_sha256(self.tokenizer),
                config=config_sha256(self.module),
            ),
        }

    def randomized(self, seed: int) -> Self:
        """The same architecture, tokenizer, device and dtype with fresh weights drawn under `seed`."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = type(self.module)(copy.deepcopy(self.module.config))
        module = module.to(self.device, self.module.dtype)
        return type(self)(module, self.tokenizer, name=f"{self.name} (random weights, seed {seed})")

    def save(self, folder: str | Path) -> Path:
        """Write configuration, tokenizer and safetensors, which `load_model` reads; tied weights are written once.

        Raises:
            ModelError: transformers cannot write this module such that it could be loaded again.
        """
        refuse_reshaped(self.module, lambda: type(self.module)(copy.deepcopy(self.module.config)))
        try:
            with without_progress():
                self.module.save_pretrained(folder)
        except (ValueError, RuntimeError) as e:
            raise ModelError(f"transformers cannot save {self.name}: {str(e).splitlines()[0]}") from e
        self.tokenizer.save_pretrained(folder)
        return Path(folder)

    def tokenize(
        self,
        texts: Sequence[str],
        *,
        reserve: int = 0,
        add_special_tokens: bool = True,
        return_offsets_mapping: bool = False,
        return_special_tokens_mask: bool = False,
    ) -> dict[str, list[Any]]:
        """Token ids without padding; texts over the context, less `reserve` tokens, are cut to it and counted.

        "cut" says of each text whether it was.

        Raises:
            InputError: a text is not valid Unicode.
            ModelError: offsets are asked of a tokenizer that gives none, and cannot be found.
        """
        room, side = self.context - reserve, self.tokenizer.truncation_side
        rows = self._tokens_of(texts, special=add_special_tokens, offsets=return_offsets_mapping)
        too_long = [len(row.ids) > room for row in rows]
        if any(too_long):
            self.notices[f"texts truncated to {self.context} tokens"] += sum(too_long)
            rows = [cut(row, room, side) for row in rows]
        found: dict[str, list[Any]] = {"input_ids": [row.ids for row in rows], "cut": too_long}
        if return_offsets_mapping:
            found["offset_mapping"] = [list(row.offsets) for row in rows]
        if return_special_tokens_mask:
            found["special_tokens_mask"] = [[int(s) for s in row.special] for row in rows]
        return found

    def _tokens_of(self, texts: Sequence[str], *, special: bool, offsets: bool) -> list[Row]:
        """The tokens of each text, none of them cut."""
        return read_tokens(self.tokenizer, texts, special=special, offsets=offsets)


@contextmanager
def eager_attention(module: Any) -> Any:
    """Attention weights are only returned by the eager implementation; switch to it and put the old one back."""
    before = module.config._attn_implementation
    module.set_attn_implementation("eager")
    try:
        yield
    finally:
        module.set_attn_implementation(before)
