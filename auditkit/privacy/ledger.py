"""The ledger: what a private training has spent, in a file that outlives it.

Write-ahead: a step stands in the file before it is applied. A run that is killed in between has spent, on paper, one
step more than in truth, and never less. The file is replaced atomically, so that at no time it is half written.

Seeds are not recorded, only where the randomness came from: a seed in a file would undo the noise.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from auditkit import locks
from auditkit.errors import AuditkitError, InputError, ReportError
from auditkit.integrity import canonical
from auditkit.measurement import Interval, Measurement
from auditkit.privacy import ledger_file
from auditkit.privacy.accounting import (
    SOURCE,
    Phase,
    PrivacyCost,
    account,
    account_anyway,
    common_sampler,
    would_overspend,
)
from auditkit.privacy.sampling import PoissonSampler, Sampler, ShuffledSampler
from auditkit.privacy.settings import (
    PrivacySettingError,
    check_delta,
    check_max_grad_norm,
    check_noise_multiplier,
    check_target_epsilon,
)
from auditkit.rendering.formatting import shortened
from auditkit.report import write_atomically

SCHEMA = 1
PATIENCE = 30.0
"""Seconds to wait for another writer, who needs milliseconds a step."""


class LedgerError(InputError):
    """A ledger file is damaged, belongs to another training, or is being written by another process."""


class BudgetExhausted(AuditkitError):
    """The next step would spend more than the target epsilon; it was not taken."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Steps taken under one set of settings, as the file holds them.

    Attributes:
        sampler: "poisson" or "shuffled".
        unit: the unit of privacy.
        units: how many the data hold.
        expected_batch_size: in units; the divisor of the noisy sum.
        rate: the probability with which a unit joins a Poisson batch; None for shuffled batches.
        order_seed: the seed of the orders of shuffled batches, on which no privacy rests; None for Poisson batches.
        sampler_policy: where the sampler's randomness comes from.
        noise_policy: where the noise comes from.
        noise_multiplier: sigma.
        max_grad_norm: C.
        steps: how many have been recorded.
    """

    sampler: str
    unit: str
    units: int
    expected_batch_size: int
    rate: float | None
    order_seed: int | None
    sampler_policy: str
    noise_policy: str
    noise_multiplier: float
    max_grad_norm: float
    steps: int

    @classmethod
    def of(cls, sampler: Sampler, *, noise_multiplier: float, max_grad_norm: float, noise_policy: str) -> Entry:
        """An entry without steps."""
        return cls(
            sampler=sampler.kind,
            unit=sampler.unit,
            units=sampler.units,
            expected_batch_size=sampler.expected_batch_size,
            rate=sampler.rate if isinstance(sampler, PoissonSampler) else None,
            order_seed=sampler.seed if isinstance(sampler, ShuffledSampler) else None,
            sampler_policy=_sampler_policy(sampler),
            noise_policy=noise_policy,
            noise_multiplier=noise_multiplier,
            max_grad_norm=max_grad_norm,
            steps=0,
        )

    @property
    def phase(self) -> Phase:
        """What the accountant needs of it."""
        if self.sampler == PoissonSampler.kind:
            sampler: Sampler = PoissonSampler(self.units, self.expected_batch_size, self.unit)
        elif self.sampler == ShuffledSampler.kind and self.order_seed is not None:
            sampler = ShuffledSampler(self.units, self.expected_batch_size, self.order_seed, self.unit)
        else:
            raise LedgerError(f"sampler {self.sampler!r}; expected 'poisson', or 'shuffled' with its order_seed")
        return Phase(sampler, self.noise_multiplier, self.steps)


class Ledger:
    """What one training on one data set has spent. Open it, `begin` with the settings, and `record_step` each step.

    Args:
        path: the file; created at `begin`, continued where it exists.
        delta: the delta of the guarantee, below one over the number of units.
        target_epsilon: the budget; None only records.

    Raises:
        LedgerError: the file is damaged, of an unknown schema, or keeps another delta.
        PrivacySettingError: a target out of range.

    Example:
        ledger = Ledger("run/ledger.json", delta=1e-5, target_epsilon=8.0)
        ledger.begin(sampler, noise_multiplier=1.1, max_grad_norm=1.0, noise_policy=noise.policy)
        while ledger.affords_step():
            batch = sampler.batch(ledger.record_step())
            ...
    """

    def __init__(self, path: str | Path, *, delta: float, target_epsilon: float | None = None) -> None:
        if target_epsilon is not None:
            check_target_epsilon(target_epsilon)
        self.path = Path(path)
        self.delta = delta
        self.target_epsilon = target_epsilon
        self.entries: list[Entry] = []
        self._writer = secrets.token_hex(8)
        self._catch_up()

    @property
    def steps(self) -> int:
        """All steps recorded; the number that the next step gets."""
        return sum(e.steps for e in self.entries)

    def begin(self, sampler: Sampler, *, noise_multiplier: float, max_grad_norm: float, noise_policy: str) -> None:
        """Start, or after an interruption continue, the steps under these settings. From now on this process writes.

        Raises:
            PrivacySettingError: a setting is out of range, or cannot be composed with what the ledger already holds.
            ReportError: the file cannot be written.
        """
        check_delta(self.delta, sampler.units)
        check_noise_multiplier(noise_multiplier)
        check_max_grad_norm(max_grad_norm)
        new = Entry.of(
            sampler, noise_multiplier=noise_multiplier, max_grad_norm=max_grad_norm, noise_policy=noise_policy
        )
        with self._alone():
            self._catch_up()
            common_sampler([*self._phases(), new.phase])  # refuses now what could not be accounted for later
            if not self.entries or replace(self.entries[-1], steps=0) != new:
                self.entries.append(new)
            self._write()

    def affords_step(self) -> bool:
        """Whether one more step stays within the target epsilon; always true without a target."""
        if not self.entries:
            raise LedgerError(f"{self.path}: no settings yet; call begin() before the first step")
        return self.target_epsilon is None or not would_overspend(self._phases(), self.target_epsilon, self.delta)

    def record_step(self) -> int:
        """Put the next step on the account. Call it before the batch is drawn; apply the step only when it returns.

        Returns:
            The step's number, from 0: the argument of `sampler.batch` and of `add_noise`.

        Raises:
            BudgetExhausted: the step would exceed the target epsilon; nothing was recorded.
            LedgerError: another process has begun to write this ledger.
            ReportError: the file cannot be written; nothing was recorded.
        """
        if not self.affords_step():
            raise BudgetExhausted(
                f"step {self.steps + 1} would exceed epsilon = {self.target_epsilon} at delta = {self.delta:g}; "
                f"{self.steps} steps are spent and the model is as they left it"
            )
        with self._alone():
            if _read(self.path)["writer"] != self._writer:
                raise LedgerError(
                    f"{self.path} has been taken over by another process; this one stops, since two writers would lose "
                    "steps. Give every training a ledger of its own"
                )
            before, number = self.entries, self.steps
            self.entries = [*before[:-1], replace(before[-1], steps=before[-1].steps + 1)]
            try:
                self._write()
            except ReportError:
                self.entries = before
                raise
        return number

    def cost(self, *, of_training_under_way: bool = False) -> PrivacyCost:
        """What has been spent so far, checked by several accountants.

        Args:
            of_training_under_way: claim the largest bound where they contradict each other, and lose no training.

        Raises:
            LedgerError: no settings yet.
            AccountantsDisagree: the accountants contradict each other.
        """
        if not self.entries:
            raise LedgerError(f"{self.path}: nothing has begun, so there is nothing to account for; call begin() first")
        return (account_anyway if of_training_under_way else account)(self._phases(), self.delta)

    def measurement(self, name: str = "dp_sgd") -> Measurement:
        """Epsilon for the report and the gate, as `<name>/epsilon`: computed and not estimated, so of zero width.

        Raises:
            LedgerError: no settings yet, or no step: that nothing was spent says nothing about a trained model.
            AccountantsDisagree: as `cost`.
        """
        if self.entries and not self.steps:
            raise LedgerError(
                f"{self.path}: steps = 0; a training that took no step has spent nothing, so no epsilon is claimed: "
                "give the ledger of the training that made the model"
            )
        cost = self.cost()
        details = {
            "delta": cost.delta,
            "unit of privacy": cost.unit,
            "neighbours": f"{cost.adjacency} {cost.unit}",
            "target_epsilon": self.target_epsilon,
            "steps": self.steps,
            "rdp": cost.rdp,
            "pld": cost.pld,
            "ledger": [asdict(e) for e in self.entries],
        }
        return Measurement(
            id=f"{name}/epsilon",
            value=cost.epsilon,
            interval=Interval(cost.epsilon, cost.epsilon, 1.0, "exact: an upper bound, computed from the ledger"),
            n=cost.units,
            ideal=0.0,
            method=cost.method,
            source=SOURCE,
            details=details,
        )

    def _alone(self) -> AbstractContextManager[None]:
        """Between reading and writing, nobody else writes: else a step of theirs would be lost."""
        return locks.held(self.path.with_name(f".{self.path.name}.lock"), what=str(self.path), wait=PATIENCE)

    def _catch_up(self) -> None:
        """Take over what the file holds, if there is one."""
        if not self.path.exists():
            return
        found = _read(self.path)
        if found["delta"] != self.delta:
            raise LedgerError(
                f"{self.path} keeps delta = {found['delta']:g}, given {self.delta:g}; "
                "continue with the recorded delta, or start another training with another ledger"
            )
        self.entries = found["entries"]

    def _phases(self) -> tuple[Phase, ...]:
        return tuple(e.phase for e in self.entries)

    def _write(self) -> None:
        content = {
            "schema": SCHEMA,
            "delta": self.delta,
            "target_epsilon": self.target_epsilon,
            "writer": self._writer,
            "entries": [asdict(e) for e in self.entries],
        }
        write_atomically(self.path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def read_ledger(path: str | Path) -> Ledger:
    """The ledger of a finished or interrupted training, for its `cost()` and `measurement()`.

    Raises:
        LedgerError: no such file, or a damaged one.
    """
    found = _read(Path(path))
    return Ledger(path, delta=found["delta"], target_epsilon=found["target_epsilon"])


def _sampler_policy(sampler: Sampler) -> str:
    if isinstance(sampler, ShuffledSampler):
        return "a public order; no amplification is claimed"
    if sampler.seed is None:
        return "operating system randomness"
    return "seeded: repeatable, and amplified only while the seed is secret"


def _read(path: Path) -> dict[str, Any]:
    """The file with its entries as Entry, every one of which can be accounted for."""
    try:
        data = canonical.parse(path.read_text(encoding="utf-8"))  # refuses a key that is given twice
        if type(data["schema"]) is not int or data["schema"] != SCHEMA:
            raise LedgerError(f"{path}: schema {data['schema']!r}; this version reads schema {SCHEMA}")
        ledger_file.check(data, ledger_file.OF_FILE)
        if not 0 < data["delta"] < 1:
            raise ValueError(f"delta = {data['delta']}; expected a probability above 0 and below 1")
        if data["target_epsilon"] is not None:
            check_target_epsilon(data["target_epsilon"])
        return {**data, "entries": [_entry(e) for e in data["entries"]]}
    except FileNotFoundError as e:
        raise LedgerError(f"no ledger at {path}; a private training writes one") from e
    except (
        OSError, ValueError, KeyError, TypeError, ArithmeticError, RecursionError, AttributeError, PrivacySettingError
    ) as e:  # fmt: skip
        raise LedgerError(
            f"{path} is no readable ledger ({type(e).__name__}: {shortened(str(e), 300)}); without it what was spent "
            "is unknown: restore the file from a copy, or discard the model"
        ) from e


def _entry(given: Mapping[str, Any]) -> Entry:
    """An entry of the file, with the numbers that a training could have written."""
    ledger_file.check(given, ledger_file.OF_ENTRY)
    entry = Entry(**given)
    sampler = entry.phase.sampler  # refuses numbers out of range
    check_max_grad_norm(entry.max_grad_norm)
    rate = sampler.rate if isinstance(sampler, PoissonSampler) else None
    if entry.rate != rate:
        raise ValueError(f"rate = {entry.rate} contradicts its units and batch size, which give {rate}")
    return entry
