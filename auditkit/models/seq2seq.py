"""Sequence-to-sequence models (T5, Marian, BART): text in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from auditkit.models.base import HFModel
from auditkit.models.batching import Batcher, padded
from auditkit.models.protocols import Ints

TOKENS_PER_BATCH = 4096


class Seq2Seq(HFModel):
    """Adapter over an encoder-decoder with a language-model head; implements Generates and HasModule."""

    task = "seq2seq"

    def __init__(self, module: Any, tokenizer: Any, *, name: str, revision: str | None = None) -> None:
        super().__init__(module, tokenizer, name=name, revision=revision)
        self._batches = Batcher(TOKENS_PER_BATCH, self.notices)

    @torch.inference_mode()
    def generate(self, texts: Sequence[str], max_new_tokens: int = 64) -> list[str]:
        """The greedy output for each text."""
        ids = self.tokenize(texts)["input_ids"]
        out = [""] * len(texts)

        def forward(rows: Ints) -> None:
            inputs = padded([ids[r] for r in rows], self.tokenizer.pad_token_id, self.device)
            written = self.module.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False, num_beams=1)
            for r, row in zip(rows, written, strict=True):
                out[r] = self.tokenizer.decode(row, skip_special_tokens=True)

        self._batches.run([len(i) + max_new_tokens for i in ids], forward)
        return out
