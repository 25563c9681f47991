"""One training from its first step, or from where it was stopped, to its record."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from auditkit.errors import InputError, ModelError
from auditkit.models.weights import parameter_count, weights_sha256
from auditkit.privacy import processes, training_state
from auditkit.privacy.accounting import Phase, PrivacyCost, account_anyway, noise_multiplier_for, without_privacy
from auditkit.privacy.adapters import AdapterWeights, LowRankAdapters
from auditkit.privacy.bookkeeping import BookKeeping
from auditkit.privacy.ledger import Ledger
from auditkit.privacy.noise import noise_source
from auditkit.privacy.objectives import Objective
from auditkit.privacy.sampling import Indices, Sampler, ShuffledSampler, group_examples
from auditkit.privacy.saved_model import write_model
from auditkit.privacy.settings import check_delta
from auditkit.privacy.training_loop import Loop, Mechanism, Witness, automatic_budget, fingerprints
from auditkit.privacy.training_settings import Settings
from auditkit.progress import advance
from auditkit.report import write_atomically

SCHEMA = 1
RECORD = "training.json"
SECONDS_BETWEEN_CHECKPOINTS = 60.0


@dataclass
class Run:
    """A training under way.

    Attributes:
        settings: what was asked for.
        model: the adapter that is trained.
        loop: takes the steps.
        held_out: validation records.
        folder: of ledger, checkpoint and record.
        adapters: low-rank adapters, where asked for.
        fingerprint: hash of data, weights and settings: what a training that goes on must share.
        keep: whether to write checkpoints, and the trained model.
        steps: taken so far, lost ones included.
        low_rank: the trained adapters, once they are merged.
    """

    settings: Settings
    model: Any
    loop: Loop
    held_out: Objective | None
    folder: Path
    adapters: LowRankAdapters | None
    fingerprint: str
    keep: bool
    steps: int = 0
    low_rank: AdapterWeights | None = None
    saved_at: float = field(default_factory=time.monotonic)

    @classmethod
    def prepare(
        cls,
        model: Any,
        objective: Objective,
        held_out: Objective | None,
        settings: Settings,
        folder: Path,
        *,
        keep: bool,
        witness: Witness | None = None,
    ) -> Run:
        """Everything that can be refused is refused here, before the first step and before the ledger is written."""
        units = _units(len(objective.lengths), settings)
        sampler = settings.make_sampler(len(units) + (0 if witness is None else witness.units))
        noise_multiplier = _noise_multiplier(settings, sampler)
        adapters = None if settings.lora is None else LowRankAdapters(model, settings.lora)
        parameters = [p for p in model.module.parameters() if p.requires_grad]
        if not parameters:
            raise InputError("no parameter is trainable; set requires_grad on those to train, or give lora=8")
        loop = Loop(
            module=model.module,
            objective=objective,
            units=units,
            sampler=sampler,
            optimizer=_optimizer(parameters, settings),
            mechanism=_mechanism(model, parameters[0].device, settings, noise_multiplier, folder),
            seed=settings.seed,
            examples_per_unit=settings.examples_per_unit,
            budget=_budget(model.module, settings),
            fixed=settings.physical_batch_size != "auto",
            witness=witness,
        )
        if loop.mechanism is not None:
            _refuse_other_padding(model)
            loop.examine()
        processes.same_start(model.module.parameters())
        fingerprint = _fingerprint(objective, units, settings, model.module)
        return cls(settings, model, loop, held_out, folder, adapters, fingerprint, keep)

    def to_the_end(self) -> list[float]:
        """All steps that are left; the scores of the held-out records at the end."""
        self._begin()
        self.loop.module.train()
        before = fingerprints(self.loop.module)
        first, total = self.steps, self.settings.epochs * self.loop.sampler.steps_per_epoch
        values: list[float] = []
        try:
            if self._epoch_is_over():  # stopped between its last step and its evaluation
                values = self._end_epoch()
            while self.steps < total and (number := self._next()) >= 0:
                self.loop.step(number)
                self.steps = number + 1
                if number == first:
                    self.loop.verify_first_step(before)
                if self._epoch_is_over():
                    values = self._end_epoch()
                advance(self.steps, total)
                if time.monotonic() - self.saved_at > SECONDS_BETWEEN_CHECKPOINTS:
                    self._save()
        finally:
            self._save()
        return values or self._scores()

    def cost(self) -> PrivacyCost:
        """What the ledger says; infinite without privacy."""
        if (mechanism := self.loop.mechanism) is None:
            return without_privacy(self.loop.sampler)
        return processes.first_decides(lambda: _ledger(mechanism).cost(of_training_under_way=True))

    def finish(self, values: list[float]) -> dict[str, Any]:
        """Merge the adapters, and write the model and the record."""
        trainable = sum(p.numel() for p in self.loop.trainable)
        if self.adapters is not None:
            self.low_rank = self.adapters.merge()
        self.model.module.eval()
        if self.keep and (reason := processes.first_decides(self._write_model)):
            self.model.notices[f"trained model not saved: {reason}"] += 1
        record = self._record(values) | {
            "parameters": parameter_count(self.model.module),
            "trainable": trainable,
            "weights_sha256": weights_sha256(self.model.module),
        }
        if processes.rank() == 0:
            text = json.dumps(record, indent=1, allow_nan=False) + "\n"
            write_atomically(self.folder / RECORD, text.encode())
        return record

    def _write_model(self) -> str | None:
        """Put the model beside its ledger; why that cannot be, for a module that no file could be loaded into.

        A model with an audit's canaries in it is to be thrown away, and not written.
        """
        if self.loop.witness is not None:
            return None
        try:
            write_model(self.model, self.low_rank, self.folder / training_state.MODEL, replace=True)
        except ModelError as e:
            return str(e)
        return None

    def _begin(self) -> None:
        """Go on from the checkpoint. A seed repeats the steps lost since; without one they stay lost, and spent."""
        saved = processes.first_decides(self._saved)
        if saved is not None:
            training_state.put_back(self.loop.module, self.loop.optimizer, saved)
            self.loop.log = saved.log
        self.steps = done = len(self.loop.log.seconds)
        if (mechanism := self.loop.mechanism) is None:
            return
        spent = processes.first_decides(lambda: self._open_ledger(mechanism))
        if spent < done:
            raise InputError(
                f"{self.folder} holds a model of {done} steps and a ledger of {spent}: what it cost is unknown; "
                "restore ledger.json from a copy, or discard the model"
            )
        if self.settings.seed is None and spent > done:
            self.steps = spent
            self.model.notices["training steps lost with an interruption, but spent"] += spent - done

    def _saved(self) -> training_state.Saved | None:
        if not self.keep:
            return None
        saved = training_state.read(self.folder, self.fingerprint)
        training_state.claim(self.folder, self.fingerprint)
        return saved

    def _open_ledger(self, mechanism: Mechanism) -> int:
        """The steps that the ledger holds already."""
        ledger = _ledger(mechanism)
        spent = ledger.steps
        if spent >= len(self.loop.log.seconds):
            ledger.begin(
                self.loop.sampler,
                noise_multiplier=mechanism.noise_multiplier,
                max_grad_norm=mechanism.max_grad_norm,
                noise_policy=mechanism.noise.policy,
            )
        return spent

    def _next(self) -> int:
        return self.steps if self.loop.mechanism is None else self.loop.mechanism.next_step(self.steps)

    def _epoch_is_over(self) -> bool:
        noted = any(epoch["steps"] == self.steps for epoch in self.loop.log.epochs)
        return self.steps > 0 and self.steps % self.loop.sampler.steps_per_epoch == 0 and not noted

    def _end_epoch(self) -> list[float]:
        log, values = self.loop.log, self._scores()
        log.epochs.append(
            {
                "epoch": self.steps // self.loop.sampler.steps_per_epoch,
                "steps": self.steps,
                "epsilon": processes.first_decides(self._epsilon),
                "train_loss": float(np.mean(log.losses)) if log.losses else None,
                "clipped_share": log.clipped_now / log.seen_now if log.seen_now else None,
                "validation_loss": float(np.mean(values)) if values else None,
            }
        )
        log.losses, log.clipped_now, log.seen_now = [], 0, 0
        return values

    def _epsilon(self) -> float | None:
        """Of the model of `steps` steps; the ledger may know of later ones, lost and now repeated."""
        if self.loop.mechanism is None or self.settings.delta is None:
            return None
        phase = Phase(self.loop.sampler, self.loop.mechanism.noise_multiplier, self.steps)
        return account_anyway([phase], self.settings.delta).epsilon

    def _scores(self) -> list[float]:
        return [] if self.held_out is None else self.loop.evaluate(self.held_out)

    def _save(self) -> None:
        """Never a step half applied, nor weights from which no step can be taken: the last checkpoint stays."""
        sound = self.loop.settled and all(bool(p.isfinite().all()) for p in self.loop.trainable)
        if self.keep and sound and processes.rank() == 0:
            training_state.save(self.folder, self.loop.module, self.loop.optimizer, self.loop.log, self.fingerprint)
        self.saved_at = time.monotonic()

    def _record(self, values: list[float]) -> dict[str, Any]:
        settings, loop, log = self.settings, self.loop, self.loop.log
        private = loop.mechanism is not None
        return {
            "schema": SCHEMA,
            "name": settings.name,
            "private": private,
            "target_epsilon": settings.target_epsilon if private else None,
            "delta": settings.delta if private else None,
            "noise_multiplier": loop.mechanism.noise_multiplier if loop.mechanism else None,
            "max_grad_norm": settings.max_grad_norm if private else None,
            "unit": loop.sampler.unit,
            "units": loop.sampler.units,
            "sampler": settings.sampler,
            "logical_batch_size": settings.logical_batch_size,
            "physical_batch_size": settings.physical_batch_size,
            "mode": settings.mode if private else None,
            "steps": self.steps,
            "task": self.model.task,
            "processes": processes.world(),
            "epochs": log.epochs,
            "validation": _validation(self.held_out, values),
            "gradient_norms": _histogram(log) if log.seen else None,
            "seconds_per_step": {"median": median(log.seconds), "n": len(log.seconds)} if log.seconds else None,
            "seed": settings.seed,
            "noise_policy": loop.mechanism.noise.policy if loop.mechanism else None,
            "sampler_policy": _sampler_policy(settings),
        }


def _units(examples: int, settings: Settings) -> list[Indices]:
    if settings.owners is None:
        return [np.array([i]) for i in range(examples)]
    if len(settings.owners) != examples:
        raise InputError(f"{len(settings.owners)} owners for {examples} records; expected one owner for each record")
    return group_examples(settings.owners)


def _noise_multiplier(settings: Settings, sampler: Sampler) -> float:
    if not settings.private or settings.delta is None:
        return 0.0
    check_delta(settings.delta, sampler.units)
    if settings.noise_multiplier is not None:
        return settings.noise_multiplier
    steps = settings.epochs * sampler.steps_per_epoch
    return noise_multiplier_for(settings.target_epsilon or 0.0, settings.delta, sampler, steps)


def _refuse_other_padding(model: Any) -> None:
    """Refuse a model that looks for another padding token than its tokenizer gives: it would read the padding."""
    tokenizer = getattr(model, "tokenizer", None) or getattr(model.module, "tokenizer", None)
    given = getattr(tokenizer, "pad_token_id", None)
    configs = [part.config for part in model.module.modules() if hasattr(part, "config")]
    others = {getattr(config, "pad_token_id", None) for config in configs} - {None, given}
    if given is not None and others:
        raise InputError(
            f"the tokenizer pads with token {given}, and the model expects {others.pop()}; set "
            "config.pad_token_id of the model to the tokenizer's pad_token_id"
        )


def _mechanism(
    model: Any, device: torch.device, settings: Settings, noise_multiplier: float, folder: Path
) -> Mechanism | None:
    if not settings.private or settings.delta is None:
        return None
    ledger = None
    if processes.rank() == 0:
        ledger = Ledger(folder / training_state.LEDGER, delta=settings.delta, target_epsilon=settings.target_epsilon)
    noise = noise_source(secure=settings.secure, seed=settings.seed, device=device)
    engine = BookKeeping(model.module, max_grad_norm=settings.max_grad_norm, mode=settings.mode)
    return Mechanism(ledger, noise, noise_multiplier, settings.max_grad_norm, engine)


def _ledger(mechanism: Mechanism) -> Ledger:
    if mechanism.ledger is None:
        raise InputError("only the first process keeps the ledger")
    return mechanism.ledger


def _optimizer(parameters: list[torch.nn.Parameter], settings: Settings) -> torch.optim.Optimizer:
    if settings.optimizer is not None:
        return settings.optimizer(parameters)
    return torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=0.0)


def _budget(module: Any, settings: Settings) -> int:
    size = settings.physical_batch_size
    return automatic_budget(module) if isinstance(size, str) else size


def _fingerprint(objective: Objective, units: list[Indices], settings: Settings, module: Any) -> str:
    # Without adapters: where there is no seed, they start at random numbers.
    start = {name: hashed for name, hashed in fingerprints(module).items() if "lora_" not in name}
    digest = hashlib.sha256(json.dumps(settings.fingerprint() | {"start": start}, sort_keys=True).encode())
    for part in dataclasses.fields(objective):  # type: ignore[arg-type]
        if part.name != "model":
            digest.update(repr(getattr(objective, part.name)).encode())
    for examples in units:
        digest.update(np.asarray(examples, dtype=np.int64).tobytes() + b"|")
    return digest.hexdigest()


def _sampler_policy(settings: Settings) -> str:
    if settings.sampler == ShuffledSampler.kind:
        return "a public order"
    return "operating system randomness" if settings.seed is None else "seeded"


def _validation(held_out: Objective | None, values: list[float]) -> dict[str, Any] | None:
    if held_out is None:
        return None
    items = [str(i) for i in range(len(values))]
    return {"metric": held_out.metric, "unit": held_out.unit, "ideal": held_out.ideal, "values": values, "items": items}


def _histogram(log: training_state.Log) -> dict[str, Any]:
    return {"edges": log.edges, "counts": log.counts, "clipped": log.clipped, "seen": log.seen}
