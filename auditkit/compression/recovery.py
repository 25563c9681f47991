"""A short fine-tune after compression: what was pruned stays at zero, everything else may move to make up for it.

After Han et al. (2015), "Learning both Weights and Connections for Efficient Neural Networks", who retrain what is
left. The training is `auditkit.privacy.train`, with or without its clipping and noise. Zeros are put back after each
step of the optimizer, which sees private gradients only: that is post-processing, so epsilon stays true. It speaks of
the fine-tune alone. Weights that were chosen for pruning by looking at texts are not covered by it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from auditkit.compression.layers import refuse_quantised
from auditkit.errors import DataError, InputError, UnknownName
from auditkit.models.classifier import Classifier
from auditkit.privacy.records import read_records
from auditkit.privacy.training import MakeOptimizer, PrivateTrainingResult, train
from auditkit.privacy.training_state import LEDGER

PRIVACY = ("target_epsilon", "noise_multiplier", "delta", "max_grad_norm", "seed", "out")


@dataclass(frozen=True, kw_only=True)
class Recover:
    """Train the compressed model a little on texts.

    Attributes:
        texts: what `auditkit.privacy.train` learns from: texts, or (text, label) pairs for a classifier, or the path
            of a .txt, .jsonl or .csv file (for a classifier with "label" beside "text").
        epochs: how often each text is used on average.
        learning_rate: of AdamW without weight decay.
        batch_size: mean number of texts a step; all of them where there are fewer.
        privacy: options for DP-SGD, or None: target_epsilon (or noise_multiplier) and delta, max_grad_norm, `out` (the
            folder that keeps the ledger, the training's record and its model), and `seed`. Without a seed of its own, a
            private training is not repeatable: whoever knows the seed of a sweep could undo the noise.

    Raises:
        InputError: an option is out of range.
    """

    texts: str | Sequence[Any]
    epochs: int = 1
    learning_rate: float = 1e-4
    batch_size: int = 16
    privacy: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        problems = [
            (not (_whole(self.epochs) and self.epochs >= 1), f"epochs {self.epochs!r}: expected 1 or more"),
            (
                not (_whole(self.batch_size) and self.batch_size >= 1),
                f"batch_size {self.batch_size!r}: expected 1 or more",
            ),
            (not 0 < self.learning_rate < math.inf, f"learning_rate {self.learning_rate}: expected a positive number"),
            (not len(self.texts), "no texts; expected some hundred to learn from"),
            (self.privacy is not None and not self.privacy, "privacy without options; give target_epsilon and delta"),
            ((self.privacy or {}).get("target_epsilon") == math.inf, "epsilon infinite; leave privacy out instead"),
        ]
        if found := [text for wrong, text in problems if wrong]:
            raise InputError(f"recover: {'; '.join(found)}")
        for option in self.privacy or {}:
            if option not in PRIVACY:
                raise UnknownName("option of recover's privacy", option, PRIVACY)

    @property
    def label(self) -> str:
        """For instance "recovery 1 epoch, epsilon 8"."""
        length = f"{self.epochs} epoch{'s' if self.epochs > 1 else ''}"
        if self.privacy is None:
            return f"recovery {length}"
        target = self.privacy.get("target_epsilon")
        return f"recovery {length}, {'private' if target is None else f'epsilon {target:g}'}"

    def apply(self, model: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Train `model` in place.

        Returns:
            Steps, loss and, where private, what it cost.

        Raises:
            InputError: the model is quantised, or a setting cannot be reached.
            DataError: texts that cannot be read or used.
            UnsupportedModel: no exact per-example gradients, where private.
        """
        refuse_quantised(model.module)
        pruned = _pruned(model.module)
        whole = [p for p, zero in pruned.items() if bool(zero.all())]  # nothing of these is left to train
        records = self._records(model)
        with _frozen(whole):
            result = self._train(model, records, pruned, int(rng.integers(2**31)))
        model.module.load_state_dict(result.model.module.state_dict())
        model.notices |= result.model.notices
        return self._done(result, sum(int(zero.sum()) for zero in pruned.values()))

    def _records(self, model: Any) -> list[Any]:
        labelled = isinstance(model, Classifier)
        if not isinstance(self.texts, str) and not all(isinstance(text, Mapping) for text in self.texts):
            return list(self.texts)
        source = self.texts if isinstance(self.texts, str) else tuple(self.texts)
        records = read_records(source, "recovery texts", labelled=labelled)
        if not records:
            raise DataError(f"{self.texts}: there is no text; expected some hundred to learn from")
        return [(r.text, r.label) if labelled else r.text for r in records]

    def _train(
        self, model: Any, records: Sequence[Any], pruned: Mapping[nn.Parameter, torch.Tensor], seed: int
    ) -> PrivateTrainingResult:
        masks = [pruned.get(p) for p in model.module.parameters() if p.requires_grad]
        plain = {"target_epsilon": math.inf, "sampler": "shuffled", "seed": seed}
        return train(
            model,
            records,
            epochs=self.epochs,
            logical_batch_size=min(self.batch_size, len(records)),
            optimizer=_optimizer_that_keeps(masks, self.learning_rate),
            name="recovery",
            **(plain if self.privacy is None else self.privacy),
        )

    def _done(self, result: PrivateTrainingResult, zeros: int) -> dict[str, Any]:
        done = {"epochs": self.epochs, "steps": result.record["steps"], "zeros_kept": zeros}
        if self.privacy is None:
            return done | {"train_loss": [epoch["train_loss"] for epoch in result.record["epochs"]], "privacy": None}
        cost = {key: getattr(result.cost, key) for key in ("epsilon", "delta", "unit", "units", "adjacency", "method")}
        ledger = None if result.folder is None else str(result.folder / LEDGER)
        return done | {"privacy": cost | {"ledger": ledger}}  # without the losses, which no epsilon covers


def _pruned(module: nn.Module) -> dict[nn.Parameter, torch.Tensor]:
    """Where the weights of linear maps are exactly zero; of those that have zeros.

    A weight that is an embedding's too is left out: its zeros are padding.
    """
    from transformers.pytorch_utils import Conv1D

    tables = {id(part.weight) for part in module.modules() if isinstance(part, nn.Embedding)}
    weights = [part.weight for part in module.modules() if isinstance(part, nn.Linear | Conv1D)]
    zeros = {weight: weight.detach() == 0 for weight in weights if id(weight) not in tables}
    return {weight: zero for weight, zero in zeros.items() if bool(zero.any())}


def _optimizer_that_keeps(masks: Sequence[torch.Tensor | None], learning_rate: float) -> MakeOptimizer:
    """AdamW that sets to zero, after each step, what `masks` marks in the parameters, in their order."""

    def make(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        parameters = list(parameters)
        optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.0)

        @torch.no_grad()
        def put_back(*_: Any) -> None:
            for parameter, mask in zip(parameters, masks, strict=True):
                if mask is not None:
                    parameter.masked_fill_(mask, 0.0)

        optimizer.register_step_post_hook(put_back)
        return optimizer

    return make


@contextmanager
def _frozen(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Inside the block these do not train."""
    stopped = [p for p in parameters if p.requires_grad]
    for p in stopped:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in stopped:
            p.requires_grad_(True)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
