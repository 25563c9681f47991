"""Evaluates questions and their gradients in batches; every method of attribution is built on these two.

Memory is bounded by the batch budget: a unit is one evaluation of one question, units are packed into batches of at
most so many padded tokens, and of a batch nothing is kept but one number, or one gradient over tokens, for each unit.
Units that put the same tokens before the model, and read different numbers off it (each token of a continuation), share
one forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from auditkit.errors import MissingCapability
from auditkit.explain.questions import Question, merged
from auditkit.explain.readers import (
    Rows,
    batch_budget,
    company_of,
    device_of,
    embeddings_replaced,
    filler_of,
    reader_of,
)
from auditkit.models.batching import Batcher
from auditkit.models.protocols import Floats

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


@dataclass(slots=True)
class Input:
    """What the model reads once for several units.

    Attributes:
        unit: one of them: its shares and its origin are those of all.
        members: the index of each, and its question.
    """

    unit: Unit
    members: list[tuple[int, Question]] = field(default_factory=list)


def _members(inputs: Sequence[Input]) -> list[int]:
    """Indices of the units of a batch, in the order in which they are evaluated."""
    return [index for i in inputs for index, _ in i.members]


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
        self.company = company_of(model)
        self.batcher = Batcher(batch_budget(model, batch_tokens), model.notices, model.module)
        self.tokens_read = 0

    def values(self, units: Sequence[Unit]) -> Floats:
        """(units, 2): the number that is explained, and the same as a probability (see `_probability`)."""
        out = np.zeros((len(units), 2))

        @torch.inference_mode()
        def forward(inputs: list[Input]) -> None:
            found = self._evaluate(inputs, self._shares(inputs))
            out[_members(inputs)] = torch.stack(found, dim=1).cpu().double().numpy()

        self._run(units, forward)
        return out

    def gradients(self, units: Sequence[Unit]) -> list[Floats]:
        """For each unit (F,): the derivative of the number with respect to the share of each token.

        Raises:
            MissingCapability: the model has no gradients.
        """
        out: list[Floats] = [np.zeros(0)] * len(units)

        def forward(inputs: list[Input]) -> None:
            shares = self._shares(inputs).requires_grad_()
            with torch.enable_grad():
                value = self._evaluate(inputs, shares)[0]
            starts = np.cumsum([0, *(len(i.members) for i in inputs)])
            most = max(len(i.members) for i in inputs)
            for turn in range(most):  # one backward pass for the first number read off every input, one for the second
                asked = [(n, i.members[turn][0]) for n, i in enumerate(inputs) if turn < len(i.members)]
                chosen = value[[int(starts[n]) + turn for n, _ in asked]]
                found = self._derivative(chosen, shares, last=turn == most - 1).cpu().double().numpy()
                for n, u in asked:
                    out[u] = found[n, : len(units[u].shares)]

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
        def forward(inputs: list[Input]) -> None:
            packed, members = self._rows(inputs), _members(inputs)
            best = self._scores(packed).argmax(-1)[packed.places[2]].tolist()
            for unit, target in reversed([*zip(packed.unit_of_read.tolist(), best, strict=True)]):
                out[members[unit]] = target  # in reverse, so that the first place of a question stays

        self._run(units, forward)
        return out

    def _run(self, units: Sequence[Unit], forward: Callable[[list[Input]], None]) -> None:
        inputs = self._inputs(units)
        lengths = [self.questions[i.unit.question].length for i in inputs]
        self.tokens_read += sum(lengths)
        self.batcher.run(lengths, lambda rows: forward([inputs[r] for r in rows]))

    def _inputs(self, units: Sequence[Unit]) -> list[Input]:
        """The distinct inputs among the units; two vectors of a similarity belong together and are not shared."""
        found: dict[Hashable, Input] = {}
        for i, unit in enumerate(units):
            branches = self.questions[unit.question].branches
            same: Hashable = (unit.origin, unit.shares.tobytes(), *(b.input for b in branches))
            key = same if any(len(b.targets) for b in branches) else i
            found.setdefault(key, Input(unit)).members.append((i, self.questions[unit.question]))
        return list(found.values())

    def _shares(self, inputs: Sequence[Input]) -> torch.Tensor:
        return torch.from_numpy(_stacked([i.unit for i in inputs])).to(self.device)

    def _rows(self, inputs: Sequence[Input]) -> Rows:
        """The rows of all inputs; what the members of an input read off a row is read off it together."""
        branches, owner, row_of, first = [], [], [], 0
        for n, one in enumerate(inputs):
            for parallel in zip(*(q.branches for _, q in one.members), strict=True):  # a row, as each member reads it
                branches.append(merged(parallel))
                row_of.append(n)
                owner += [first + j for j, b in enumerate(parallel) for _ in b.positions]
            first += len(one.members)
        at, whose = (torch.tensor(x, dtype=torch.long, device=self.device) for x in (row_of, owner))
        return Rows(branches, at, whose, first, self.device, filler_of(self.model))

    def _evaluate(self, inputs: Sequence[Input], shares: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(U,) numbers and (U,) probabilities of all members, from the shares (inputs, F) of the tokens."""
        rows = self._rows(inputs)
        with torch.no_grad():
            real = self.reader.embedding(rows.ids)  # (B, T, D)
        origin = self.origins[torch.tensor([i.unit.origin for i in inputs], device=self.device)][rows.input]
        held = torch.ones(len(inputs), 1, device=self.device)
        there = torch.cat([shares, held], dim=1)[rows.input[:, None], rows.feature]  # (B, T); -1 is the last column
        mixed = torch.lerp(origin[:, None].to(real.dtype), real, there[..., None].to(real.dtype))
        scores = self._scores(rows, mixed)
        if not rows.targets.numel():
            return _similarity(scores, rows)
        contrast = [question.contrast for i in inputs for _, question in i.members]
        return self._read(scores.float(), rows, torch.tensor(contrast, device=self.device))

    def _scores(self, rows: Rows, mixed: torch.Tensor | None = None) -> torch.Tensor:
        """The scores of the reader, the rows apart where padding would change them; `mixed` for their embeddings."""
        parts, order = [], []
        for chosen in rows.apart(self.company):
            some = rows.only(chosen)
            with (
                nullcontext()
                if mixed is None
                else embeddings_replaced(self.reader.embedding, mixed[chosen, : some.ids.shape[1]])
            ):
                parts.append(self.reader.scores(some))
            place = rows.places[0].cpu() if rows.targets.numel() else torch.arange(len(rows.branches))
            order.append(torch.isin(place, torch.tensor(chosen)).nonzero()[:, 0])
        if len(parts) == 1:
            return parts[0]
        return torch.cat(parts)[torch.cat(order).argsort().to(self.device)]

    def _read(self, scores: torch.Tensor, rows: Rows, contrast: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        place = rows.places[2]
        logs = scores.log_softmax(-1)
        chosen = logs[place, rows.targets]
        counted = chosen if self.reader.log_probabilities else scores[place, rows.targets]
        zeros = torch.zeros(rows.units, device=self.device)
        value, log_odds, reads = (
            zeros.index_add(0, rows.unit_of_read, x * rows.weights) for x in (counted, chosen, torch.ones_like(chosen))
        )
        return value, _probability(log_odds, reads, contrast)

    def _derivative(self, value: torch.Tensor, shares: torch.Tensor, *, last: bool) -> torch.Tensor:
        try:
            return torch.autograd.grad(value.sum(), shares, retain_graph=not last)[0]
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
