"""Text classifiers over a sequence-classification head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from auditkit.errors import ModelError
from auditkit.models.base import HFModel
from auditkit.models.protocols import Floats, Ints


class Classifier(HFModel):
    """Adapter over a `...ForSequenceClassification`; implements Classifies and HasModule."""

    task = "classifier"

    def __init__(self, module: Any, tokenizer: Any, *, name: str, revision: str | None = None) -> None:
        super().__init__(module, tokenizer, name=name, revision=revision)
        if module.config.num_labels < 2 or module.config.problem_type == "multi_label_classification":
            raise ModelError(
                f"{name}: expected a classifier with two or more exclusive labels, "
                f"found {module.config.problem_type or 'one label'}"
            )
        self.labels: tuple[str, ...] = tuple(str(module.config.id2label[i]) for i in range(module.config.num_labels))

    @torch.inference_mode()
    def classify(self, texts: Sequence[str]) -> Floats:
        """(n, len(labels)) softmax probabilities."""
        ids = self.tokenize(texts)["input_ids"]
        out = np.zeros((len(texts), len(self.labels)))

        def forward(rows: Ints) -> None:
            out[rows] = self.module(**self.padded([ids[r] for r in rows])).logits.cpu().double().softmax(-1).numpy()

        self._batches.run([len(i) for i in ids], forward)
        return out
