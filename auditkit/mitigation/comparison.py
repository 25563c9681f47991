"""Before and after: what each mitigation did to the bias, what it cost, and whether the bias only moved elsewhere.

    report = ak.mitigate.compare(hiring_task(), ["reweighing", LEACE()], sensitive="sex", out="audit-out/mitigation")

Everything is measured on people that no mitigation has seen, and paired person by person with the same model without
mitigation. For each method M:

    mitigation/M/accuracy                         and accuracy_change, in points
    mitigation/M/selection_rate_difference        demographic parity, over the groups of the attribute mitigated
    mitigation/M/true_positive_rate_difference    with the next, equalised odds: a second measure, not always mitigated
    mitigation/M/false_positive_rate_difference   each of the three with ..._change
    mitigation/M/group_told_by_linear             what a fresh model can tell of the group from what the decision is
    mitigation/M/group_told_by_nonlinear          made from: was the bias removed, or hidden? Each with ..._change
    mitigation/M/gaps_grown                       gaps between other groups, and between crossed ones, that surely grew
    mitigation/M/groups_less_accurate             groups, crossed ones too, for whom it is surely less often right
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from auditkit import foreign
from auditkit.errors import InputError
from auditkit.measurement import Measurement
from auditkit.mitigation.baseline import LogisticBaseline
from auditkit.mitigation.judging import SOURCE, Judged
from auditkit.mitigation.registry import mitigation
from auditkit.mitigation.task import Decider, Mitigation, Task, predictions
from auditkit.probes.base import Probe, ProbeResult, generator

if TYPE_CHECKING:
    from auditkit.gate import Rule
    from auditkit.report import AuditReport

Methods = Sequence[str | Mitigation] | Mapping[str, str | Mitigation]


def compare(
    task: Task,
    methods: Methods,
    *,
    sensitive: str,
    baseline: Mitigation | None = None,
    also: Sequence[Probe] = (),
    seed: int = 0,
    out: str | Path | None = None,
    gate: Sequence[Rule | Mapping[str, Any]] | None = None,
) -> AuditReport:
    """Fit every method, and report bias and ability before and after.

    Args:
        task: people to learn from, and others to judge by.
        methods: names of `auditkit.mitigation.METHODS`, or objects; with names of your own as {name: method}, so that
            one method can stand there with several settings.
        sensitive: the attribute whose groups are to be treated alike, or several crossed ("sex+race").
        baseline: the model without mitigation; None is logistic regression.
        also: further probes of the model without mitigation, for the same report.
        seed: of everything drawn; what is drawn for a method does not depend on the others.
        out: a folder for the report.
        gate: rules to judge by.

    Raises:
        InputError: no method, one twice, or an unknown one; a task that cannot be learned from.
    """
    from auditkit.runner import audit

    before = baseline or LogisticBaseline()
    built = named(methods)
    if slug(before.name) in built:
        raise InputError(f"{before.name} is what methods are compared with; leave it out, or give another baseline")
    task.test.groups(sensitive)  # refused before anything is fitted
    decider = before.fit(task.train, sensitive=sensitive, rng=generator(seed, before.name))
    model = predictions(decider, task.test, name=f"{before.name}, {task.name}")
    probe = Comparison(task=task, methods=built, sensitive=sensitive, baseline=before, decider=decider, seed=seed)
    return audit(model, [probe, *also], seed=seed, out=out, gate=gate)


def named(methods: Methods) -> dict[str, Mitigation]:
    """The methods by what they are called in ids: the name given, or that of the object.

    Raises:
        InputError: none, a single name instead of a list, or one twice.
        UnknownName: no such method.
    """
    if isinstance(methods, str) or not methods:
        raise InputError(f"methods {methods!r}; expected a list of at least one, as in [{methods or 'leace'!r}]")
    pairs = methods.items() if isinstance(methods, Mapping) else [(m, m) for m in methods]
    out: dict[str, Mitigation] = {}
    for name, method in pairs:
        built = mitigation(method)
        key = slug(name if isinstance(name, str) else built.name)
        if not key or key in out:
            raise InputError(
                f"method {key!r} is there twice, or has no name; expected each once: give names of your own, "
                f"as in {{'weak': ..., 'strong': ...}}"
            )
        out[key] = built
    return out


def slug(name: str) -> str:
    """A name as part of an id: "LEACE" is "leace", "dp-sgd (epsilon 2)" is "dp_sgd_epsilon_2"."""
    return "_".join("".join(c if c.isalnum() else " " for c in name.lower()).split())


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Mitigations of one decision, side by side with none; see `compare`.

    Attributes:
        task: the people.
        methods: what is compared, by name.
        sensitive: whose groups are to be treated alike.
        baseline: the model without mitigation.
        decider: that model, fitted.
        seed: of the fits.
        id: name in the report.
    """

    task: Task
    methods: Mapping[str, Mitigation]
    sensitive: str
    baseline: Mitigation
    decider: Decider
    seed: int = 0

    id: str = "mitigation"
    needs: ClassVar[tuple[type, ...]] = ()
    source: ClassVar[str] = SOURCE

    def measure(self, model: Any, rng: np.random.Generator) -> ProbeResult:
        """Everything of the baseline, then of each method; a method that fails is reported as such."""
        from auditkit.progress import advance

        drawn = int(rng.integers(2**62))
        before = Judged(
            at=f"{self.id}/{slug(self.baseline.name)}", name=self.baseline.name, method=self.baseline,
            decider=self.decider, task=self.task, sensitive=self.sensitive, seed=drawn, before=None,
        )  # fmt: skip
        measured, items, front = [*before.measurements()], [*before.items()], [before]
        for done, (key, method) in enumerate(self.methods.items(), 1):
            try:
                with foreign.contained():
                    after = self._after(key, method, before)
                measured += after.measurements()
                items += after.items()
                front.append(after)
            except InputError as e:
                measured.append(self._failed(key, method, "undefined", str(e)))
            except Exception as e:  # a foreign method may raise anything; what the others did must not be lost
                measured.append(self._failed(key, method, "error", f"{type(e).__name__}: {e}"))
            advance(done, len(self.methods))
        return ProbeResult([*_with_front(measured, front)], items)

    def _after(self, key: str, method: Mitigation, before: Judged) -> Judged:
        fitted = method.fit(self.task.train, sensitive=self.sensitive, rng=generator(self.seed, method.name))
        return Judged(
            at=f"{self.id}/{key}", name=_title(key, method), method=method, decider=fitted, task=self.task,
            sensitive=self.sensitive, seed=before.seed, before=before,
        )  # fmt: skip

    def _failed(self, key: str, method: Mitigation, status: Any, reason: str) -> Measurement:
        details = {"mitigation": _title(key, method), "stage": method.stage, "reason": reason}
        return Measurement(id=f"{self.id}/{key}/accuracy", value=None, status=status, unit="%", details=details)


def _title(key: str, method: Mitigation) -> str:
    """The method's own name, where it is not there under a name that tells more."""
    from auditkit.mitigation.registry import METHODS

    return method.name if key in METHODS or key == slug(method.name) else f"{key.replace('_', ' ')} ({method.name})"


def _with_front(measured: Sequence[Measurement], judged: Sequence[Judged]) -> Iterator[Measurement]:
    """Each accuracy says whether its method is on the Pareto front: no other is both more accurate and less unequal."""
    points = {f"{j.at}/accuracy": (j.accuracy, j.gap) for j in judged if j.gap is not None}
    for m in measured:
        if m.id not in points:
            yield m
            continue
        accuracy, gap = points[m.id]
        better = [(a, g) for a, g in points.values() if a >= accuracy and g <= gap and (a, g) != (accuracy, gap)]
        yield m.with_details(on_front=not better)
