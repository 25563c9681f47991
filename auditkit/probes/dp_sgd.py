"""What private trainings promise and what that cost: epsilon, utility, clipping and time, from the files they wrote.

A training with DP-SGD (Abadi et al. 2016, "Deep Learning with Differential Privacy", CCS) clips the gradient of every
unit of privacy to a norm C and adds Gaussian noise. What it spent is read from its ledger and computed anew here, never
taken from what the training says of itself; where the two contradict each other, no epsilon is claimed.

Several trainings of one model on one data set, one of them without privacy, give the utility that each epsilon costs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from auditkit import stats
from auditkit.errors import DataError, InputError
from auditkit.measurement import Interval, Measurement
from auditkit.models.protocols import Model
from auditkit.privacy.accounting import ABSOLUTE_TOLERANCE, NO_PRIVACY, RELATIVE_TOLERANCE
from auditkit.privacy.ledger import Ledger, read_ledger
from auditkit.probes.base import ItemScore, ProbeResult
from auditkit.probes.evidence import summarize, undefined
from auditkit.probes.training_folder import LEDGER, TrainingRecord, Validation, read_record

SOURCE = "Abadi et al. 2016, arXiv:1607.00133"
NO_BOUND = "trained without noise: no epsilon, however large, bounds what it may reveal about an example"
CLIPPED_SCOPE = (
    "a complete count of this one training; its gradients are not independent of each other, so no interval for a "
    "repetition follows from it"
)
# What the record and an entry of the ledger both hold, by their names there.
_IN_BOTH = {
    "noise_multiplier": "noise_multiplier",
    "max_grad_norm": "max_grad_norm",
    "sampler": "sampler",
    "unit": "unit",
    "units": "units",
    "logical_batch_size": "expected_batch_size",
}


@dataclass(frozen=True, slots=True)
class Training:
    """One training: the name that the report gives it, its folder, and its record."""

    name: str
    folder: Path
    record: TrainingRecord


@dataclass(frozen=True, kw_only=True)
class PrivateTrainings:
    """The epsilon that trainings really spent, and their utility, clipped share and time against one without privacy.

    Attributes:
        trainings: the folders that trainings wrote, as {name: folder}, as a list, or a single one; without a name
            given here, a training goes by the name in its record.
    """

    id: str = "dp_sgd"
    trainings: dict[str, str] | list[str] | str = field(default_factory=list)

    needs: ClassVar[tuple[type, ...]] = (Model,)
    source: ClassVar[str] = SOURCE

    def measure(self, model: Any, rng: np.random.Generator) -> ProbeResult:
        """Epsilon, utility, its cost, clipped share and seconds per step of every training, in the order given.

        Raises:
            DataError: no training given, a record missing or damaged, or names that do not tell trainings apart.
        """
        trainings = self._read()
        baseline = _baseline(trainings)
        audited = model.describe().get("weights_sha256")
        measurements: list[Measurement] = []
        items: list[ItemScore] = []
        for training in trainings:
            at = f"{self.id}/{training.name}"
            facts = _facts(training.record, audited)
            measurements.append(_epsilon(at, training).with_details(training=facts))
            for found, scores in (_utility(at, training, rng), _cost(at, training, baseline, rng)):
                measurements += found
                items += scores
            measurements += [*_clipped_share(at, training.record), *_seconds(at, training, baseline)]
        return ProbeResult(measurements, items)

    def _read(self) -> list[Training]:
        """All trainings, each with a name of its own."""
        given = self.trainings
        if isinstance(given, dict):
            found = [Training(name, Path(folder), read_record(Path(folder))) for name, folder in given.items()]
        else:
            folders = [Path(given)] if isinstance(given, str) else [Path(folder) for folder in given]
            records = [read_record(folder) for folder in folders]
            found = [Training(r.name, folder, r) for folder, r in zip(folders, records, strict=True)]
        if not found:
            raise DataError(f"{self.id}: no training given; name their folders, e.g. trainings: {{eps-8: runs/eps-8}}")
        for name, times in Counter(t.name for t in found).items():
            if times > 1 or not name or "/" in name:
                raise DataError(
                    f"{self.id}: {times} training(s) named {name!r}; expected names without '/', each used once: "
                    f"give them as a mapping, e.g. trainings: {{eps-8: {found[0].folder}}}"
                )
        return found


def _baseline(trainings: Sequence[Training]) -> Training | None:
    """The training without privacy that the others are compared with."""
    found = [t for t in trainings if not t.record.private]
    if len(found) > 1:
        named = ", ".join(t.name for t in found)
        raise DataError(f"{len(found)} trainings without privacy: {named}; expected at most one to compare with")
    return found[0] if found else None


def _facts(record: TrainingRecord, audited: str | None) -> dict[str, Any]:
    """What the report says of a training beside its numbers. Its seed stays out: it would undo the noise."""
    kept = {"private", "task", "mode", "physical_batch_size", "parameters", "trainable", "weights_sha256", "epochs"}
    return record.model_dump(include=kept) | {"audited": record.weights_sha256 == audited}


# --- epsilon ----------------------------------------------------------------------------------------------------


def _epsilon(at: str, training: Training) -> Measurement:
    """What the ledger says was spent; an error where there is none to be believed."""
    if not training.record.private:
        return undefined(f"{at}/epsilon", NO_BOUND, unit="", ideal=0.0, method=NO_PRIVACY, source=SOURCE)
    try:
        ledger = read_ledger(training.folder / LEDGER)
        found = ledger.measurement(at)
    except InputError as e:
        return _unbelievable(at, f"{training.name}: {e}")
    problems = list(contradictions(training.record, ledger, found.value or 0.0))
    if not problems:
        return found
    reason = (
        f"{training.name}: its record contradicts its ledger: {'; '.join(problems)}. No epsilon is claimed; restore "
        f"the two files that one training wrote in {training.folder}, or train again"
    )
    return _unbelievable(at, reason)


def _unbelievable(at: str, reason: str) -> Measurement:
    details = {"reason": reason, "cause": "input"}
    return Measurement(id=f"{at}/epsilon", value=None, status="error", ideal=0.0, source=SOURCE, details=details)


def contradictions(record: TrainingRecord, ledger: Ledger, spent: float) -> Iterator[str]:
    """Everything in which a training's record differs from the ledger beside it, `spent` being the ledger's epsilon.

    A claimed epsilon may lie above what was spent, and below it by no more than two accountants may differ.
    """
    if record.steps != ledger.steps:
        yield f"{record.steps} steps recorded, {ledger.steps} in the ledger"
    if record.delta is None or not math.isclose(record.delta, ledger.delta, rel_tol=1e-9):
        yield f"delta {record.delta} recorded, {ledger.delta} in the ledger"
    for name, in_ledger in _IN_BOTH.items():
        claimed, found = getattr(record, name), list(dict.fromkeys(getattr(e, in_ledger) for e in ledger.entries))
        if not all(_same(claimed, value) for value in found):
            yield f"{name} {claimed} recorded, {' and '.join(map(str, found))} in the ledger"
    after = [e.epsilon for e in record.epochs if e.epsilon is not None][-1:]
    for what, value in [*(("after the last epoch", e) for e in after), ("as the target", record.target_epsilon)]:
        if value is not None and spent > value * (1 + RELATIVE_TOLERANCE) + ABSOLUTE_TOLERANCE:
            yield f"epsilon {value:.4g} claimed {what}, {spent:.4g} spent by the ledger"


def _same(claimed: Any, found: Any) -> bool:
    numbers = isinstance(claimed, int | float) and isinstance(found, int | float)
    return math.isclose(claimed, found, rel_tol=1e-9) if numbers else bool(claimed == found)


# --- utility ----------------------------------------------------------------------------------------------------

Found = tuple[list[Measurement], list[ItemScore]]


def _utility(at: str, training: Training, rng: np.random.Generator) -> Found:
    """The mean score on the validation examples."""
    id, validation = f"{at}/utility", training.record.validation
    if validation is None:
        reason = "the training was given no validation examples, so what it learned is not known"
        return [_without_value(id, reason)], []
    items = [ItemScore(id, item, v) for item, v in zip(validation.items, validation.values, strict=True)]
    measured = summarize(
        items,
        unit=validation.unit,
        ideal=validation.ideal,
        method=f"mean {validation.metric} over validation examples",
        source=SOURCE,
        rng=rng,
        bounds=(0.0, 100.0) if validation.unit == "%" else None,
        details={"metric": validation.metric},
    )
    return [measured], items


def _cost(at: str, training: Training, baseline: Training | None, rng: np.random.Generator) -> Found:
    """How much farther from its ideal the utility is than without privacy, on the same examples."""
    if baseline is None or baseline is training:
        return [], []
    id = f"{at}/utility_cost"
    here, there = training.record.validation, baseline.record.validation
    if here is None or there is None or (here.metric, here.unit, here.ideal) != (there.metric, there.unit, there.ideal):
        return [_without_value(id, f"{training.name} and {baseline.name} share no validation metric")], []
    ours, theirs = _distances(here), _distances(there)
    shared = [item for item in ours if item in theirs]
    if not shared:
        return [_without_value(id, f"{training.name} and {baseline.name} share no validation example")], []
    private, plain = (np.array([d[item] for item in shared]) for d in (ours, theirs))
    details: dict[str, Any] = {"metric": here.metric, "compared with": baseline.name}
    details["examples not shared"] = len(ours) + len(theirs) - 2 * len(shared)
    interval = None
    try:
        interval = stats.paired_bootstrap(plain, private, span=100.0 if here.unit == "%" else 0.0, rng=rng)
    except DataError as e:
        details["no_interval"] = str(e)
    items = [ItemScore(id, item, float(d)) for item, d in zip(shared, private - plain, strict=True)]
    measured = Measurement(
        id=id,
        value=float((private - plain).mean()),
        interval=interval,
        n=len(shared),
        unit="points" if here.unit == "%" else here.unit,
        ideal=0.0,
        method=f"mean over validation examples of how much farther {here.metric} is from {here.ideal:g} than without "
        "privacy, paired by example",
        source=SOURCE,
        details=details,
    )
    return [measured], items


def _distances(validation: Validation) -> dict[str, float]:
    """How far the score of each example is from the ideal."""
    return {i: abs(v - validation.ideal) for i, v in zip(validation.items, validation.values, strict=True)}


# --- clipping and time ------------------------------------------------------------------------------------------


def _clipped_share(at: str, record: TrainingRecord) -> list[Measurement]:
    """How many of the gradients were cut to the norm C: all of them were looked at, so the share is exact."""
    if not record.private:
        return []
    id, norms = f"{at}/clipped_share", record.gradient_norms
    if norms is None:
        return [_without_value(id, "the training recorded no gradient norms")]
    share = 100.0 * norms.clipped / norms.seen
    histogram = {"edges": norms.edges, "counts": norms.counts}
    return [
        Measurement(
            id=id,
            value=share,
            interval=Interval(share, share, 1.0, f"exact: {CLIPPED_SCOPE}"),
            n=norms.seen,
            unit="%",
            method=f"share of the gradients of single units ({record.unit}) whose norm was above max_grad_norm",
            source=SOURCE,
            details={"max_grad_norm": record.max_grad_norm, "clipped": norms.clipped, "gradient_norms": histogram},
        )
    ]


def _seconds(at: str, training: Training, baseline: Training | None) -> list[Measurement]:
    """The time of a step, and how many times that of a step without privacy."""
    timing = training.record.seconds_per_step
    if timing is None:
        return []
    details = {}
    if baseline is not None and baseline is not training and (plain := baseline.record.seconds_per_step) is not None:
        details["ratio_to_non_private"] = timing.median / plain.median
    return [
        Measurement(
            id=f"{at}/seconds_per_step",
            value=timing.median,
            n=timing.n,
            unit="s",
            method="median wall time of a step",
            source=SOURCE,
            details=details,
        )
    ]


def _without_value(id: str, reason: str) -> Measurement:
    return Measurement(id=id, value=None, status="undefined", source=SOURCE, details={"reason": reason})
