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
from auditkit.models.batching import Batcher, evaluating, padded, token_budget
from auditkit.models.identity import config_sha256, identity, tokenizer_sha256
from auditkit.models.in_memory import without_wrapper
from auditkit.models.padding import SAMPLE, Company, found_by_trying, trial_rows
from auditkit.models.positions import TOKENS, longest_row
from auditkit.models.saving import refuse_reshaped, without_progress
from auditkit.models.tokens import Row, cut, read_tokens
from auditkit.models.weights import execution_device, parameter_count, weights_sha256


class HFModel:
    """Base of the adapters: wraps one `transformers` module with its tokenizer. See `auditkit.models.protocols`."""

    task: ClassVar[str]
    tried: ClassVar[tuple[str, ...]] = ("_positions", "_company")
    """What a trial showed of the architecture, whatever its weights."""

    tokens_per_batch: ClassVar[dict[str, int]] = {"cpu": 8192, "accelerator": 8192}

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
        return int(min(self._positions, self.tokenizer.model_max_length))

    @cached_property
    def _positions(self) -> int:
        middle = self.vocabulary // 2  # two ordinary words in turn: ids that are not consecutive, and no padding
        row = [middle + i % 2 for i in range(TOKENS)]
        with evaluating(self.module, self.notices):
            return longest_row(self.module.config, lambda: self._read([row]))

    @property
    def filler(self) -> int:
        """The id that rows are filled up with: the one by which the module itself knows padding, if there is one."""
        config = self.module.config
        stated = [getattr(part, "pad_token_id", None) for part in (config, config.get_text_config(), self.tokenizer)]
        return next(id for id in (*stated, 0) if id is not None and 0 <= id < self.vocabulary)

    @property
    def vocabulary(self) -> int:
        """How many ids the module can read."""
        try:
            return int(self.module.get_input_embeddings().weight.shape[0])
        except (AttributeError, NotImplementedError):  # it hashes ids, or keeps the table to itself
            return int(getattr(self.module.config, "vocab_size", None) or len(self.tokenizer))

    @cached_property
    def _batches(self) -> Batcher:
        """Rows share a batch as far as that changes no answer."""
        return Batcher(token_budget(self.device, **self.tokens_per_batch), self.notices, self.module, self._company)

    @cached_property
    def _company(self) -> Company:
        with torch.inference_mode(), evaluating(self.module, self.notices):
            return found_by_trying(self._read, self._trial_rows, self.name)

    @property
    def _trial_rows(self) -> list[list[int]]:
        ids = self.tokenizer(SAMPLE, verbose=False, truncation=True, max_length=self.context)["input_ids"]
        return trial_rows(ids, self.context)

    @property
    def company(self) -> Company:
        """With which others a row is read correctly."""
        return self._batches.company

    def _written(self, ids: Sequence[int]) -> str:
        """What was written: a row that was done before the others of its batch is filled up behind its end."""
        ends = self.module.generation_config.eos_token_id
        marks = {ends} if isinstance(ends, int) else set(ends or ())
        done = next((at for at, id in enumerate(ids) if id in marks), len(ids))
        return str(self.tokenizer.decode(list(ids[:done]), skip_special_tokens=True))

    def padded(self, rows: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
        """Inputs of the module (B, T)."""
        return padded(rows, self.filler, self.device)

    def _read(self, rows: Sequence[Sequence[int]]) -> list[torch.Tensor]:
        """What the module answers about each row, at its own tokens alone."""
        logits = self.module(**self.padded(rows), **self._options(len(rows))).logits
        return [answer[: len(row)] if answer.ndim > 1 else answer for answer, row in zip(logits, rows, strict=True)]

    def _options(self, rows: int) -> dict[str, Any]:
        """What the module is given beside the rows."""
        return {}

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
        twin = type(self)(module, self.tokenizer, name=f"{self.name} (random weights, seed {seed})")
        for trial in self.tried:
            setattr(twin, trial, getattr(self, trial))
        return twin

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


def is_encoder_decoder(module: Any) -> bool:
    """Whether one half of the module reads and the other writes."""
    return bool(getattr(module.config, "is_encoder_decoder", False))


def table_of_the_text(module: Any) -> Any:
    """The embedding that the words of a text are looked up in: of an encoder-decoder, the encoder's own."""
    reading = module.get_encoder() if is_encoder_decoder(module) else module
    return reading.get_input_embeddings()


@contextmanager
def eager_attention(module: Any) -> Any:
    """Attention weights are only returned by the eager implementation; switch to it and put the old one back."""
    before = module.config._attn_implementation
    module.set_attn_implementation("eager")
    try:
        yield
    finally:
        module.set_attn_implementation(before)
