"""Sentence encoders through sentence-transformers: mask-aware mean pooling, unit vectors."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch

from auditkit.models.batching import Batcher, evaluating
from auditkit.models.identity import config_sha256, identity, sha256, tokenizer_sha256
from auditkit.models.padding import SAMPLE, Company, found_by_trying
from auditkit.models.positions import TOKENS, UNLIMITED, longest_row
from auditkit.models.protocols import Ints
from auditkit.models.saving import refuse_reshaped, without_progress
from auditkit.models.tokens import refuse_halves
from auditkit.models.weights import execution_device, parameter_count, weights_sha256

TOKENS_PER_BATCH = 8192


class SentenceEncoder:
    """Adapter over a `SentenceTransformer`; implements EmbedsText and HasModule."""

    task = "sentence-encoder"

    def __init__(self, module: Any, *, name: str, revision: str | None = None) -> None:
        self.module = module.eval()
        self.name = name
        self.revision = revision
        self.notices: Counter[str] = Counter()
        self._be_able_to_read()

    def _be_able_to_read(self) -> None:
        """Cut texts where the table of positions ends, and have a padding token, which the library insists on."""
        tokenizer, inner = self.module.tokenizer, self.module[0].model
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
        middle = len(tokenizer) // 2
        row = torch.tensor([[middle + i % 2 for i in range(TOKENS)]], device=next(inner.parameters()).device)
        with evaluating(inner, self.notices):
            longest = longest_row(inner.config, lambda: inner(input_ids=row))
        self.module.max_seq_length = min(self.module.max_seq_length or UNLIMITED, longest)

    @cached_property
    def _batches(self) -> Batcher:
        """Texts share a batch as far as that changes no vector."""
        first, second, third, *rest = SAMPLE.split()
        swapped = " ".join([first, third, second, *rest])  # as many tokens
        trials = [first, f"{first} {second} {third}", SAMPLE, swapped]
        with evaluating(self.module, self.notices):
            company = found_by_trying(self._vectors, trials, self.name)
        return Batcher(TOKENS_PER_BATCH, self.notices, self.module, company)

    @property
    def company(self) -> Company:
        """With which others a text is read correctly."""
        return self._batches.company

    def _vectors(self, texts: list[str]) -> torch.Tensor:
        return self.module.encode(
            texts, batch_size=len(texts), normalize_embeddings=True, show_progress_bar=False, convert_to_tensor=True
        )

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n, d) unit vectors; padding does not count in the mean."""
        refuse_halves(texts)
        tokens = self.module.tokenizer(list(texts), verbose=False)["input_ids"] if texts else []
        too_long = sum(len(t) > self.module.max_seq_length for t in tokens)
        if too_long:
            self.notices[f"texts truncated to {self.module.max_seq_length} tokens"] += too_long
        out = np.zeros((len(texts), self.module.get_embedding_dimension()), dtype=np.float32)

        def forward(rows: Ints) -> None:
            out[rows] = self._vectors([texts[r] for r in rows]).cpu().numpy()

        self._batches.run([min(len(t), self.module.max_seq_length) for t in tokens], forward)
        return out

    @cached_property
    def weights_sha256(self) -> str:
        """Hash of the weights in memory, computed once."""
        return weights_sha256(self.module)

    def describe(self) -> dict[str, Any]:
        """Identity of what is in memory; JSON values."""
        parameter = next(self.module.parameters())
        return {
            "name": self.name,
            "task": self.task,
            "architecture": type(self.module[0].model).__name__,
            "device": str(execution_device(self.module)),
            "dtype": str(parameter.dtype).removeprefix("torch."),
            "parameters": parameter_count(self.module),
            "weights_sha256": self.weights_sha256,
            "context": int(self.module.max_seq_length),
            "revision": self.revision,
            **identity(
                self.weights_sha256,
                tokenizer=tokenizer_sha256(self.module.tokenizer),
                config=sha256([config_sha256(self.module[0].model), self._parts()]),
            ),
        }

    def _parts(self) -> list[Any]:
        """The parts behind and in front of the transformer: pooling, layers, and how they are set."""
        parts: list[Any] = [(type(part).__name__, getattr(part, "get_config_dict", dict)()) for part in self.module]
        return [*parts, self.module.max_seq_length, getattr(self.module, "prompts", None)]

    def save(self, folder: str | Path) -> Path:
        """Write configuration, tokenizer, pooling and safetensors, which `load_model` reads.

        Raises:
            ModelError: the configuration does not build this transformer.
        """
        inner: Any = self.module[0].model
        refuse_reshaped(inner, lambda: type(inner)(copy.deepcopy(inner.config)))
        with without_progress():
            self.module.save(str(folder), create_model_card=False)  # a card would quote texts of an earlier training
        return Path(folder)

    def randomized(self, seed: int) -> Self:
        """The same encoder and pooling with fresh transformer weights drawn under `seed`."""
        twin = copy.deepcopy(self.module)
        part: Any = twin[0]
        old = next(part.model.parameters())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            fresh = type(part.model)(copy.deepcopy(part.model.config))
        part.model = fresh.to(old.device, old.dtype).eval()  # whole: the old layers may be factorised
        return type(self)(twin, name=f"{self.name} (random weights, seed {seed})")
