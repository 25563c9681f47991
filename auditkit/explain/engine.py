"""Evaluates questions and their gradients in batches; every method of attribution is built on these two.

Memory is bounded by the batch budget: a unit is one evaluation of one question, units are packed into batches of at
most so many padded tokens, and of a batch nothing is kept but one number, or one gradient over tokens, for each unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from auditkit.errors import MissingCapability
from auditkit.explain.questions import Question
from auditkit.explain.readers import Rows, batch_budget, device_of, embeddings_replaced, filler_of, reader_of
from auditkit.models.batching import Batcher
from auditkit.models.protocols import Floats, Ints

Shares = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Unit:
    """One evaluation.

    Attributes:
        question: its index.
        shares: (F,) how much of each token is there, in [0, 1].
        origin: which baseline vector stands for what is absent.
    """

    question: int
    shares: Shares
    origin: int = 0


class Engine:
    """Evaluates the questions put to one model.

    Args:
        model: an adapter of auditkit.
        questions: what is asked.
        origins: (K, D) baseline vectors.
        batch_tokens: padded tokens in a batch; None chooses by device. It changes no result.

    Attributes:
        tokens_read: how many tokens the model has read so far, padding included.
    """

    def __init__(
        self, model: Any, questions: Sequence[Question], origins: torch.Tensor, *, batch_tokens: int | None = None
    ) -> None:
        self.model, self.questions, self.origins = model, questions, origins
        self.reader, self.device = reader_of(model), device_of(model)
        self.batcher = Batcher(batch_budget(model, batch_tokens), model.notices)
        self.tokens_read = 0

    def values(self, units: Sequence[Unit]) -> Floats:
        """(units, 2): the number that is explained, and the same as a probability (see `_probability`)."""
        out = np.zeros((len(units), 2))

        @torch.inference_mode()
        def forward(rows: Ints) -> None:
            batch = [units[r] for r in rows]
            shares = torch.from_numpy(_stacked(batch)).to(self.device)
            out[rows] = torch.stack(self._evaluate(batch, shares), dim=1).cpu().double().numpy()

        self._run(units, forward)
        return out

    def gradients(self, units: Sequence[Unit]) -> list[Floats]:
        """For each unit (F,): the derivative of the number with respect to the share of each token.

        Raises:
            MissingCapability: the model has no gradients.
        """
        out: list[Floats] = [np.zeros(0)] * len(units)

        def forward(rows: Ints) -> None:
            batch = [units[r] for r in rows]
            shares = torch.from_numpy(_stacked(batch)).to(self.device).requires_grad_()
            with torch.enable_grad():
                found = self._derivative(self._evaluate(batch, shares)[0], shares).cpu().double().numpy()
            for r, unit, gradient in zip(rows, batch, found, strict=True):
                out[r] = gradient[: len(unit.shares)]

        self._run(units, forward)
        return out

    def ends(self) -> Floats:
        """(questions, 2): the number with everything there, and with no ordinary token (mean over the origins)."""
        origins = range(len(self.origins))
        whole = [Unit(q, everything(question)) for q, question in enumerate(self.questions)]
        empty = [Unit(q, nothing(question), k) for q, question in enumerate(self.questions) for k in origins]
        values = self.values([*whole, *empty])[:, 0]
        return np.stack([values[: len(whole)], values[len(whole) :].reshape(-1, len(origins)).mean(axis=1)], axis=1)

    def predictions(self) -> list[int]:
        """For each question the target with the highest score at the first place that it reads."""
        out: list[int] = [0] * len(self.questions)
        units = [Unit(q, everything(question)) for q, question in enumerate(self.questions)]

        @torch.inference_mode()
        def forward(rows: Ints) -> None:
            packed = self._rows([units[r] for r in rows])
            best = self.reader.scores(packed).argmax(-1)[packed.places[2]].tolist()
            for unit, target in reversed([*zip(packed.unit_of_read.tolist(), best, strict=True)]):
                out[rows[unit]] = target  # in reverse, so that the first place of a question stays

        self._run(units, forward)
        return out

    def _run(self, units: Sequence[Unit], forward: Any) -> None:
        lengths = [self.questions[u.question].length for u in units]
        self.tokens_read += sum(lengths)
        self.batcher.run(lengths, forward)

    def _rows(self, batch: Sequence[Unit]) -> Rows:
        branches = [(u, b) for u, unit in enumerate(batch) for b in self.questions[unit.question].branches]
        unit = torch.tensor([u for u, _ in branches], device=self.device)
        return Rows([b for _, b in branches], unit, len(batch), self.device, filler_of(self.model))

    def _evaluate(self, batch: Sequence[Unit], shares: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(U,) numbers and (U,) probabilities, from the shares (U, F) of the tokens."""
        rows = self._rows(batch)
        with torch.no_grad():
            real = self.reader.embedding(rows.ids)  # (B, T, D)
        origin = self.origins[torch.tensor([u.origin for u in batch], device=self.device)][rows.unit]
        held = torch.ones(len(batch), 1, device=self.device)
        there = torch.cat([shares, held], dim=1)[rows.unit[:, None], rows.feature]  # (B, T); -1 is the last column
        mixed = torch.lerp(origin[:, None].to(real.dtype), real, there[..., None].to(real.dtype))
        with embeddings_replaced(self.reader.embedding, mixed):
            scores = self.reader.scores(rows)
        if not rows.targets.numel():
            return _similarity(scores, rows)
        return self._read(scores.float(), rows, batch)

    def _read(self, scores: torch.Tensor, rows: Rows, batch: Sequence[Unit]) -> tuple[torch.Tensor, torch.Tensor]:
        place = rows.places[2]
        logs = scores.log_softmax(-1)
        chosen = logs[place, rows.targets]
        counted = chosen if self.reader.log_probabilities else scores[place, rows.targets]
        zeros = torch.zeros(rows.units, device=self.device)
        value, log_odds, reads = (
            zeros.index_add(0, rows.unit_of_read, x * rows.weights) for x in (counted, chosen, torch.ones_like(chosen))
        )
        contrast = torch.tensor([self.questions[u.question].contrast for u in batch], device=self.device)
        return value, _probability(log_odds, reads, contrast)

    def _derivative(self, value: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
        try:
            return torch.autograd.grad(value.sum(), shares)[0]
        except RuntimeError as e:
            if not any(sign in str(e) for sign in ("does not require grad", "is not implemented", "used in the graph")):
                raise
            raise MissingCapability(
                f"{self.model.name} has no gradients (a quantized model?): {str(e).splitlines()[0]}. Use a method that "
                "needs none: occlusion, shapley_sampling or kernel_shap"
            ) from e


def _probability(log_odds: torch.Tensor, reads: torch.Tensor, contrast: torch.Tensor) -> torch.Tensor:
    """Of a difference, p of the first against the second alternative; else p, per token (geometric mean)."""
    per_read = (log_odds / reads.clamp(min=1)).exp()
    return torch.where(contrast, torch.sigmoid(log_odds), per_read)


def _similarity(vectors: torch.Tensor, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines of the two vectors of each unit; a similarity is its own scale."""
    pairs = vectors.float().reshape(rows.units, 2, -1)
    cosine = torch.cosine_similarity(pairs[:, 0], pairs[:, 1])
    return cosine, cosine


def _stacked(batch: Sequence[Unit]) -> Shares:
    """(U, F) shares, filled up with 1."""
    width = max(len(u.shares) for u in batch)
    out = np.ones((len(batch), width), dtype=np.float32)
    for row, unit in zip(out, batch, strict=True):
        row[: len(unit.shares)] = unit.shares
    return out


def everything(question: Question) -> Shares:
    """(F,) all ones."""
    return np.ones(len(question.tokens), dtype=np.float32)


def nothing(question: Question) -> Shares:
    """(F,) only the special tokens are there."""
    return question.special.astype(np.float32)
