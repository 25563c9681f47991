"""Sequence-to-sequence models (T5, Marian, BART): text in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch

from auditkit.models.base import HFModel
from auditkit.models.protocols import Ints


class Seq2Seq(HFModel):
    """Adapter over an encoder-decoder with a language-model head; implements Generates and HasModule."""

    task = "seq2seq"
    tokens_per_batch: ClassVar = {"cpu": 4096, "accelerator": 4096}

    @torch.inference_mode()
    def generate(self, texts: Sequence[str], max_new_tokens: int = 64) -> list[str]:
        """The greedy output for each text."""
        ids = self.tokenize(texts)["input_ids"]
        out = [""] * len(texts)

        def forward(rows: Ints) -> None:
            inputs = self.padded([ids[r] for r in rows])
            # Without a mask the library would guess one, by where the padding id stands in a text.
            inputs.setdefault("attention_mask", torch.ones_like(inputs["input_ids"]))
            written = self.module.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False, num_beams=1)
            for r, row in zip(rows, written.tolist(), strict=True):
                out[r] = self._written(row[1:])  # without the start

        self._batches.run([len(i) + max_new_tokens for i in ids], forward)
        return out

    def _options(self, rows: int) -> dict[str, Any]:
        return {"decoder_input_ids": torch.full((rows, 1), self.start, device=self.device), "use_cache": False}

    @property
    def start(self) -> int:
        """The id that the decoder begins with."""
        said_by = (self.module.generation_config, self.module.config)
        keys = ("decoder_start_token_id", "bos_token_id")
        stated = [getattr(config, key, None) for key in keys for config in said_by]
        return next(id for id in (*stated, self.filler) if id is not None)
