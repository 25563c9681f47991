"""Fine-tuning a language model on counterfactuals, or with more dropout.

Counterfactual data augmentation: every text that names a group is learned together with the same text about its
counterpart, so that neither is likelier for what else is said (Zhao et al. 2018; of language models Webster et al.
2020, who call it two-sided when both are kept). Dropout, raised for the time of the fine-tuning, breaks associations
that are no more than frequent company (Webster et al. 2020).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from auditkit.errors import InputError, MissingCapability
from auditkit.mitigation.language_models import copy_for, counterfactual_pairs, record
from auditkit.models.char_gpt import CharGPT
from auditkit.privacy.adapters import LowRankAdapters
from auditkit.privacy.objectives import Objective, objective_for
from auditkit.progress import advance

MAX_GRAD_NORM = 1.0

Loss = Callable[[np.random.Generator], torch.Tensor]
"""Draws a batch and computes its loss."""


@dataclass(frozen=True, kw_only=True)
class FineTuning:
    """How a copy of a language model is trained: AdamW, the learning rate falling linearly to zero.

    Attributes:
        steps: how many batches.
        batch_size: texts in a batch.
        learning_rate: of the first step.
        lora: rank of low-rank adapters, merged at the end; None moves the weights themselves.
        freeze_embeddings: whether the word embeddings, and the output layer where it shares them, stay as they are.

    Raises:
        InputError: an option is out of range.
    """

    steps: int = 60
    batch_size: int = 16
    learning_rate: float = 5e-5
    lora: int | None = None
    freeze_embeddings: bool = True

    def __post_init__(self) -> None:
        problems = [
            (self.steps < 1, f"steps {self.steps}: expected 1 or more"),
            (self.batch_size < 2, f"batch_size {self.batch_size}: expected 2 or more"),
            (not 0 < self.learning_rate < math.inf, f"learning_rate {self.learning_rate}: expected a positive number"),
            (self.lora is not None and self.lora < 1, f"lora {self.lora}: expected a rank of 1 or more, or None"),
        ]
        found = [text for wrong, text in problems if wrong]
        if found:
            raise InputError("; ".join(found))

    def train(self, model: Any, loss: Loss, *, rng: np.random.Generator) -> dict[str, Any]:
        """Minimise `loss` over the weights of `model`, in place; same `rng`, same weights.

        Returns:
            The settings, and the mean loss of the first and the last tenth of the steps.

        Raises:
            InputError: the loss became infinite or NaN.
        """
        with torch.random.fork_rng():
            torch.manual_seed(int(rng.integers(2**63)))
            adapters = None if self.lora is None else LowRankAdapters(model, self.lora)
            with _frozen(model, self.freeze_embeddings):
                losses = self._run(model.module, loss, rng)
            if adapters is not None:
                adapters.merge()
        model.module.eval()
        tenth = max(1, self.steps // 10)
        return {
            "steps": self.steps,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "lora": self.lora,
            "first_loss": float(np.mean(losses[:tenth])),
            "last_loss": float(np.mean(losses[-tenth:])),
        }

    def _run(self, module: nn.Module, loss: Loss, rng: np.random.Generator) -> list[float]:
        parameters = [p for p in module.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=self.learning_rate, weight_decay=0.0)
        losses = []
        for step in range(self.steps):
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate * (1 - step / self.steps)
            found = loss(rng)
            if not bool(found.isfinite()):
                raise InputError(
                    f"the loss of step {step + 1} became {float(found)}; lower learning_rate ({self.learning_rate:g})"
                )
            optimizer.zero_grad()
            found.backward()
            nn.utils.clip_grad_norm_(parameters, MAX_GRAD_NORM)
            optimizer.step()
            losses.append(float(found.detach()))
            advance(step + 1, self.steps)
        optimizer.zero_grad()
        return losses


@dataclass(frozen=True, kw_only=True)
class AugmentedFineTuning(FineTuning):
    """Fine-tuning on the texts that name a group and on their counterfactuals, half a batch each.

    Attributes:
        kinds: the kinds of group words to exchange, see `auditkit.mitigation.swaps`.
    """

    name: ClassVar[str] = "counterfactual data augmentation"
    source: ClassVar[str] = "Zhao et al. (2018), NAACL; Webster et al. (2020), arXiv:2010.06032"

    kinds: tuple[str, ...] = ("gender",)

    def fit(self, model: Any, texts: Sequence[str], *, rng: np.random.Generator) -> Any:
        """See `LanguageModelMitigation.fit`."""
        twin = copy_for(self, model)
        pairs, unsure = counterfactual_pairs(texts, self.kinds)
        objective = objective_for(twin, [text for pair in pairs for text in pair])
        half = self.batch_size // 2

        def loss(rng: np.random.Generator) -> torch.Tensor:
            chosen = rng.choice(len(pairs), size=half, replace=len(pairs) < half)
            return mean_loss(twin, objective, [side for i in chosen.tolist() for side in (2 * i, 2 * i + 1)], rng)

        twin.module.train()
        done = self.train(twin, loss, rng=rng)
        record(twin, self, texts=len(texts), pairs=len(pairs), left_unsure=len(unsure), **done)
        return twin


@dataclass(frozen=True, kw_only=True)
class DropoutFineTuning(FineTuning):
    """Fine-tuning on the texts as they are, every dropout raised meanwhile.

    Attributes:
        dropout: the probability of dropping a unit; the model's own stays where it is higher.
    """

    name: ClassVar[str] = "dropout fine-tuning"
    source: ClassVar[str] = "Webster et al. (2020), arXiv:2010.06032"

    dropout: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.dropout < 1:
            raise InputError(f"dropout {self.dropout}: expected a probability between 0 and 1, for instance 0.2")

    def fit(self, model: Any, texts: Sequence[str], *, rng: np.random.Generator) -> Any:
        """See `LanguageModelMitigation.fit`."""
        twin = copy_for(self, model)
        objective = objective_for(twin, texts)

        def loss(rng: np.random.Generator) -> torch.Tensor:
            chosen = rng.choice(len(texts), size=self.batch_size, replace=len(texts) < self.batch_size)
            return mean_loss(twin, objective, chosen.tolist(), rng)

        with _raised_dropout(twin.module, self.dropout) as raised:
            twin.module.train()
            done = self.train(twin, loss, rng=rng)
        record(twin, self, texts=len(texts), dropout=self.dropout, layers=raised, **done)
        return twin


def mean_loss(model: Any, objective: Objective, examples: Sequence[int], rng: np.random.Generator) -> torch.Tensor:
    """The model's own training loss, averaged over some records."""
    return objective.losses(model.module, objective.batch(examples, rng)).mean()


@contextmanager
def _frozen(model: Any, embeddings: bool) -> Iterator[None]:
    """Inside the block the word embeddings do not move, where they would."""
    module = model.module
    table = module.tokens if isinstance(model, CharGPT) else module.get_input_embeddings()
    moving = [p for p in table.parameters() if p.requires_grad and embeddings]
    for p in moving:
        p.requires_grad = False
    try:
        yield
    finally:
        for p in moving:
            p.requires_grad = True


@contextmanager
def _raised_dropout(module: nn.Module, dropout: float) -> Iterator[int]:
    """Inside the block every dropout layer drops at least that much; gives how many were raised."""
    before = {layer: layer.p for layer in module.modules() if isinstance(layer, nn.Dropout) and layer.p < dropout}
    if not before:
        raise MissingCapability(
            f"{type(module).__name__} has no dropout layer below {dropout:g}; choose another mitigation or more dropout"
        )
    for layer in before:
        layer.p = dropout
    try:
        yield len(before)
    finally:
        for layer, p in before.items():
            layer.p = p
