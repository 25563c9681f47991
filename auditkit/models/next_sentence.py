"""Models with a next-sentence head (BERT, MobileBERT, ...): does one sentence follow another?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from auditkit.errors import ModelError
from auditkit.models.base import HFModel
from auditkit.models.batching import evaluating, pad
from auditkit.models.protocols import Floats, Ints
from auditkit.models.tokens import refuse_halves

IS_NEXT = 0
"""The output that says that the second text follows the first, in every model with such a head."""


class NextSentence(HFModel):
    """Adapter over a `...ForNextSentencePrediction` or `...ForPreTraining`; implements JudgesNextSentence, HasModule.

    Raises:
        ModelError: the tokenizer marks no border between two texts, or the module has no such head.
    """

    task = "next-sentence"

    def __init__(self, module: Any, tokenizer: Any, *, name: str, revision: str | None = None) -> None:
        super().__init__(module, tokenizer, name=name, revision=revision)
        (ids,), (types,) = self._pairs(["a"], ["a"])
        if sorted(set(types)) != [0, 1] or ids[types.index(1) - 1] not in tokenizer.all_special_ids:
            raise ModelError(
                f"{name}: its tokenizer marks no border between two texts, by which a next-sentence head knows them "
                "apart; expected the tokenizer that the model was trained with"
            )
        with torch.inference_mode(), evaluating(self.module, self.notices):
            (answer,) = self._read([ids])
        if answer.shape != (2,):
            raise ModelError(
                f"{name}: a {type(self.module).__name__} says nothing of what follows what; expected a model with a "
                "next-sentence head, or another task"
            )

    @torch.inference_mode()
    def next_sentence_logprobs(self, contexts: Sequence[str], sentences: Sequence[str]) -> Floats:
        """(n,) log p(the sentence follows the context); NaN, and counted, where the two are longer than the context."""
        out = np.full(len(contexts), np.nan)
        ids, types = self._pairs(contexts, sentences)
        read = [i for i, row in enumerate(ids) if len(row) <= self.context]
        if len(read) < len(ids):
            self.notices[f"pairs of texts longer than {self.context} tokens, not read"] += len(ids) - len(read)

        def forward(rows: Ints) -> None:
            chosen = [read[r] for r in rows]
            inputs = self.padded([ids[i] for i in chosen])
            inputs["token_type_ids"] = pad([types[i] for i in chosen], 0).to(self.device)
            out[chosen] = self._judged(inputs).cpu().double().log_softmax(-1)[:, IS_NEXT].numpy()

        self._batches.run([len(ids[i]) for i in read], forward)
        return out

    def _judged(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """(B, 2); of a module that fills masks as well, what this head of it says."""
        output = self.module(**inputs)
        return output["seq_relationship_logits" if "seq_relationship_logits" in output else "logits"]

    def _read(self, rows: Sequence[Sequence[int]]) -> list[torch.Tensor]:
        return list(self._judged(self.padded(rows)))

    def _pairs(self, contexts: Sequence[str], sentences: Sequence[str]) -> tuple[list[list[int]], list[list[int]]]:
        """Ids of each pair with its special tokens, and which of the two texts each belongs to (0 or 1)."""
        refuse_halves([*contexts, *sentences])
        encoded = [
            self.tokenizer(a, b, return_token_type_ids=True, verbose=False)
            for a, b in zip(contexts, sentences, strict=True)
        ]
        return [list(e["input_ids"]) for e in encoded], [list(e["token_type_ids"]) for e in encoded]
