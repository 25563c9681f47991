"""The loop of DP-SGD: draw, clip and add up, make private, update.

After Abadi et al. (2016), "Deep learning with differential privacy": every step costs the same whatever is in its
batch, so an empty batch is a step like any other. A step stands in the ledger before its batch is drawn.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch

from auditkit.errors import InputError, ModelError
from auditkit.models.batching import token_budget
from auditkit.privacy import processes
from auditkit.privacy.bookkeeping import BookKeeping
from auditkit.privacy.doctor import examine, require_exact
from auditkit.privacy.ledger import Ledger
from auditkit.privacy.noise import NoiseSource
from auditkit.privacy.objectives import Objective
from auditkit.privacy.release import release
from auditkit.privacy.sampling import Indices, Sampler
from auditkit.privacy.tape import UnsupportedModel
from auditkit.privacy.training_state import Log

TOKENS_PER_BATCH = {"cpu": 4096, "accelerator": 32_768}
HALF_PRECISION, HALF_PRECISION_TOLERANCE = (torch.float16, torch.bfloat16), 0.05
BINS, DECADES = 48, 3  # of the histogram of norms: from C / 1000 to 1000 C
_DROPOUT, _CHOICE, _INPUTS = 1, 2, 3  # independent streams of random numbers within a step


@dataclass(frozen=True)
class Mechanism:
    """What makes a step private.

    Attributes:
        ledger: where steps are recorded; None in all processes but the first.
        noise: the source.
        noise_multiplier: sigma.
        max_grad_norm: C.
        engine: clips and adds up.
    """

    ledger: Ledger | None
    noise: NoiseSource
    noise_multiplier: float
    max_grad_norm: float
    engine: BookKeeping

    def next_step(self, done: int) -> int:
        """The number of the step after `done` steps, recorded now unless it was before; -1 if it exceeds the target."""

        def record() -> int:
            assert self.ledger is not None
            if done < self.ledger.steps:  # a seeded step that was lost: the same batch, the same noise, nothing new
                return done
            return self.ledger.record_step() if self.ledger.affords_step() else -1

        return processes.first_decides(record)


class Witness(Protocol):
    """Units without records, put into the training by an audit to see what its releases give away.

    Attributes:
        units: how many; the sampler draws among them and the data's units alike, those of the data first.
    """

    units: int

    def add(self, parameters: Sequence[torch.nn.Parameter], drawn: Indices) -> None:
        """Add to every `p.grad`, sums of clipped gradients, those of the units drawn (counted from 0)."""
        ...

    def observe(self, parameters: Sequence[torch.nn.Parameter], step: int) -> None:
        """Look at what the step released, in every `p.grad`."""
        ...


@dataclass
class Loop:
    """One training. `mechanism` None trains without clipping and noise: the baseline.

    Attributes:
        module: what is trained.
        objective: its records and losses.
        units: the examples of every unit of privacy.
        sampler: who is in the batch.
        optimizer: takes the step.
        mechanism: what makes it private.
        seed: of dropout, masks and the choice among a unit's examples; None draws one from the system.
        examples_per_unit: at most as many of a unit's examples are used in a step.
        budget: tokens of a physical batch, halved when memory runs out; or the number of units, where `fixed`.
        fixed: whether `budget` counts units.
        log: what is noted on the way.
        witness: units that an audit puts in.
        settled: whether weights and log belong to the same step; False while one is being applied.
    """

    module: Any
    objective: Objective
    units: Sequence[Indices]
    sampler: Sampler
    optimizer: torch.optim.Optimizer
    mechanism: Mechanism | None
    seed: int | None
    examples_per_unit: int
    budget: int
    fixed: bool
    log: Log = field(default_factory=Log)
    witness: Witness | None = None
    settled: bool = True

    @property
    def trainable(self) -> list[torch.nn.Parameter]:
        """The parameters that move."""
        return [p for p in self.module.parameters() if p.requires_grad]

    def examine(self) -> None:
        """Refuse a model that cannot be trained exactly, before its first step.

        Raises:
            UnsupportedModel: with every problem.
        """
        require_exact(self.module, self._losses_of, self._telling_examples(), **self._looking)

    def step(self, number: int) -> None:
        """Step `number`: one logical batch.

        Raises:
            InputError: a loss or gradient is not finite, with what to do; the model is as it was before the step.
            ModelError: not even one unit fits into memory.
        """
        started = time.perf_counter()
        drawn = processes.first_decides(lambda: self.sampler.batch(number))
        ours = drawn[drawn < len(self.units)]
        mine = ours[processes.rank() :: processes.world()]
        parts = processes.from_each(lambda: self._gather(mine, number))
        if self.witness is not None and processes.rank() == 0:
            self.witness.add(self.trainable, drawn[drawn >= len(self.units)] - len(self.units))
        self._release(number)
        if self.witness is not None:
            self.witness.observe(self.trainable, number)
        self.settled = False
        self.optimizer.step()
        self._clear()
        self._note([loss for losses, _ in parts for loss in losses], [norm for _, norms in parts for norm in norms])
        self.log.seconds.append(time.perf_counter() - started)
        self.settled = True

    def verify_first_step(self, before: dict[str, Any]) -> None:
        """Check after step 1 that exactly the trainable parameters moved, and that norms are still exact.

        Raises:
            UnsupportedModel: what moved that should not have, or did not and should have.
        """
        after = fingerprints(self.module)
        trainable = {name for name, p in self.module.named_parameters() if p.requires_grad}
        moved = {name for name in after if after[name] != before[name]}
        problems = [f"{name}: is frozen but changed in step 1; find what writes to it" for name in moved - trainable]
        if self.mechanism is not None:  # its noise moves every one; without noise a row never seen may rest
            problems += [
                f"{name}: is trainable but did not move in step 1; hand it to the optimizer, or freeze it"
                for name, p in self.module.named_parameters()
                if name in trainable - moved and not self._may_round_away(p)
            ]
            problems += examine(self.module, self._losses_of, self._telling_examples(), **self._looking)
        if problems:
            raise UnsupportedModel(problems)

    def evaluate(self, held_out: Objective) -> list[float]:
        """The objective's score on each held-out record, without dropout."""
        values: list[float] = [0.0] * len(held_out.lengths)
        was_training = self.module.training
        self.module.eval()
        with torch.no_grad():
            for rows in self._by_length(np.arange(len(values)), held_out.lengths):
                found = held_out.score(self.module, held_out.batch(rows.tolist(), np.random.default_rng(0)))
                for row, value in zip(rows, found.double().tolist(), strict=True):
                    values[row] = value
        self.module.train(was_training)
        return values

    def _gather(self, mine: Indices, number: int) -> tuple[list[float], list[float]]:
        """Add up the gradients of this process's units, in smaller parts if memory runs out: their losses and norms."""
        entropy = [secrets.randbits(128)] if self.seed is None else [self.seed, number]
        while True:
            self._clear()
            try:
                return self._add_up(mine, entropy)
            except torch.OutOfMemoryError as e:
                self._halve(len(mine), e)

    def _add_up(self, mine: Indices, entropy: list[int]) -> tuple[list[float], list[float]]:
        """What is random about a unit depends on the step and the unit alone, not on the parts or the processes."""
        dropout = np.random.default_rng([*entropy, _DROPOUT, processes.rank() + 1])
        torch.manual_seed(int(dropout.integers(2**63)))
        chosen = [self._examples(int(u), np.random.default_rng([*entropy, _CHOICE, int(u) + 1])) for u in mine]
        losses, norms = [], []
        for rows in self._by_length(np.arange(len(chosen)), [self._tokens(c) for c in chosen]):
            part = self._part([chosen[r] for r in rows], np.random.default_rng([*entropy, _INPUTS]))
            losses += part[0]
            norms += part[1]
        return losses, norms

    def _part(self, chosen: list[Indices], rng: np.random.Generator) -> tuple[list[float], list[float]]:
        """One physical batch: its losses and, where private, its norms."""
        width = max(map(len, chosen))
        padded = np.concatenate([np.resize(c, width) for c in chosen])  # a unit's own examples fill it up
        batch = self.objective.batch(padded.tolist(), rng)
        counts = torch.tensor([[i < len(c) for i in range(width)] for c in chosen])

        def losses() -> torch.Tensor:
            each = self.objective.losses(self.module, batch).view(len(chosen), width)
            counted = counts.to(each.device)
            return (each * counted).sum(1) / counted.sum(1)

        if self.mechanism is None:
            loss = losses()
            (loss.sum() / self.sampler.expected_batch_size).backward()
            return loss.detach().tolist(), []
        engine = self.mechanism.engine
        engine.rows_per_example = self.objective.rows * width
        with engine:
            loss = losses()
            norms = engine.backward(loss)
        return loss.detach().tolist(), norms.tolist()

    def _release(self, number: int) -> None:
        if self.mechanism is not None:
            release(
                self.trainable,
                self.mechanism.noise,
                noise_multiplier=self.mechanism.noise_multiplier,
                max_grad_norm=self.mechanism.max_grad_norm,
                expected_batch_size=self.sampler.expected_batch_size,
                step=number,
            )
        else:
            processes.add_up(self.trainable)
            _refuse_not_finite(self.trainable)

    def _clear(self) -> None:
        """Forget all gradients, also of parameters that the optimizer does not know."""
        for p in self.trainable:
            p.grad = None

    def _note(self, losses: list[float], norms: list[float]) -> None:
        if losses:
            self.log.losses.append(float(np.mean(losses)))
        if self.mechanism is None:
            return
        limit = self.mechanism.max_grad_norm
        if not self.log.edges:
            self.log.edges = (limit * np.logspace(-DECADES, DECADES, BINS + 1)).tolist()
            self.log.counts = [0] * BINS
        inside = np.clip(norms, self.log.edges[0], self.log.edges[-1])  # the outermost bins hold what lies beyond
        self.log.counts = (np.array(self.log.counts) + np.histogram(inside, self.log.edges)[0]).tolist()
        clipped = sum(norm > limit for norm in norms)
        self.log.clipped, self.log.seen = self.log.clipped + clipped, self.log.seen + len(norms)
        self.log.clipped_now, self.log.seen_now = self.log.clipped_now + clipped, self.log.seen_now + len(norms)

    def _examples(self, unit: int, rng: np.random.Generator) -> Indices:
        examples = self.units[unit]
        if len(examples) <= self.examples_per_unit:
            return examples
        return np.sort(rng.choice(examples, self.examples_per_unit, replace=False))

    def _tokens(self, examples: Indices) -> int:
        return sum(self.objective.lengths[i] for i in examples)

    def _by_length(self, rows: Indices, lengths: Sequence[int]) -> Iterator[Indices]:
        """Rows of like length together, as many as the budget allows."""
        order = rows[np.argsort([-lengths[r] for r in rows], kind="stable")]
        start = 0
        while start < len(order):
            size = self.budget if self.fixed else max(1, self.budget // max(1, lengths[order[start]]))
            yield order[start : start + size]
            start += size

    def _halve(self, units: int, error: Exception) -> None:
        smallest = 1 if self.fixed else max(1, min(self.objective.lengths))
        if self.budget <= smallest or units == 0:
            raise ModelError("out of memory on a single unit; use a shorter context or examples_per_unit=1") from error
        self.budget //= 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _losses_of(self, examples: torch.Tensor) -> torch.Tensor:
        batch = self.objective.batch(examples.tolist(), np.random.default_rng(0))
        return self.objective.losses(self.module, batch)

    def _telling_examples(self) -> torch.Tensor:
        """The shortest record and the longest: together the one is padded, alone neither is; then another short one."""
        order = np.argsort(self.objective.lengths, kind="stable")
        return torch.tensor([*order[[0, -1]], order[1]] if len(order) > 2 else order)

    def _may_round_away(self, parameter: torch.nn.Parameter) -> bool:
        """Whether the optimizer has it, and its format is too coarse for small steps: bfloat16 moves 1 by 1/128."""
        known = any(parameter is p for group in self.optimizer.param_groups for p in group["params"])
        return known and parameter.dtype in HALF_PRECISION

    @property
    def _looking(self) -> dict[str, Any]:
        half = any(p.dtype in HALF_PRECISION for p in self.module.parameters())
        tolerance = {"tolerance": HALF_PRECISION_TOLERANCE} if half else {}
        return {"rows_per_example": self.objective.rows, **tolerance}


def automatic_budget(module: Any) -> int:
    """Tokens of a physical batch where nothing else is asked for."""
    return token_budget(next(module.parameters()).device, **TOKENS_PER_BATCH)


def fingerprints(module: Any) -> dict[str, str]:
    """sha256 of every parameter's bytes."""
    flat = {name: p.detach().cpu().contiguous().reshape(-1) for name, p in module.named_parameters()}
    return {name: hashlib.sha256(memoryview(p.view(torch.uint8).numpy())).hexdigest() for name, p in flat.items()}


def _refuse_not_finite(parameters: Sequence[torch.nn.Parameter]) -> None:
    broken = sum(p.grad is not None and not bool(p.grad.isfinite().all()) for p in parameters)
    if broken:
        raise InputError(
            f"the gradients of {broken} of {len(parameters)} parameters are not finite; lower the learning rate"
        )
