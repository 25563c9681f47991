"""The measurements of private trainings, training by training.

Of their details, which a plug-in may fill as it likes, what does not have the expected shape is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from auditkit.measurement import Measurement
from auditkit.rendering import narrative
from auditkit.rendering.formatting import ABSENT, interval, number, parts, plain, quantity

Entry = Mapping[str, Any]
"""What a ledger holds of steps under one set of settings."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table as texts: the first column names the rows; `numeric` says which of the others hold numbers."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: bool = True


@dataclass(frozen=True, slots=True)
class Run:
    """One training.

    Attributes:
        name: as the report calls it.
        metrics: its measurements by their metric: epsilon, utility, utility_cost, clipped_share, seconds_per_step.
        outcome: the gate's worst verdict on any of them; "" where no rule asked.
        facts: its task, size and epochs, and whether it was private and gave the audited model.
        entries: what its ledger holds.
    """

    name: str
    metrics: Mapping[str, Measurement]
    outcome: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    entries: Sequence[Entry] = ()

    @property
    def status(self) -> str:
        """Whether there is an epsilon, and why not."""
        return self.metrics["epsilon"].status if "epsilon" in self.metrics else ""

    @property
    def spent(self) -> str:
        """Epsilon, or what stands in its place."""
        if self.facts.get("private") is False:
            return "no bound"
        epsilon = self.value("epsilon")
        return (self.status or ABSENT) if epsilon is None else number(epsilon)

    def value(self, metric: str) -> float | None:
        """The number measured; None where there is none."""
        return self.metrics[metric].value if metric in self.metrics else None

    def detail(self, metric: str, name: str) -> Any:
        """One detail of a measurement; None where there is none."""
        return self.metrics[metric].details.get(name) if metric in self.metrics else None

    def text(self, metric: str) -> str:
        """The number with its unit."""
        m = self.metrics.get(metric)
        return ABSENT if m is None or m.value is None else quantity(m.value, m.unit)

    def range(self, metric: str) -> str:
        """The interval."""
        return interval(self.metrics[metric].interval) if metric in self.metrics else ABSENT


def read_runs(measurements: Iterable[Measurement], outcomes: Mapping[str, str]) -> list[Run]:
    """One `Run` for each training among `measurements`; `outcomes` are the gate's verdicts by measurement."""
    by_name: dict[str, dict[str, Measurement]] = {}
    for m in measurements:
        name, metric = parts(m)
        by_name.setdefault(name, {})[metric] = m
    return [_run(name, metrics, outcomes) for name, metrics in by_name.items()]


def _run(name: str, metrics: Mapping[str, Measurement], outcomes: Mapping[str, str]) -> Run:
    details = metrics["epsilon"].details if "epsilon" in metrics else {}
    facts, entries = details.get("training"), details.get("ledger")
    judged = {outcomes.get(m.id, "") for m in metrics.values()}
    return Run(
        name="this training" if name == "all" else plain(name),
        metrics=metrics,
        outcome=next((outcome for outcome in narrative.WORST_FIRST if outcome in judged), ""),
        facts=facts if isinstance(facts, Mapping) else {},
        entries=[e for e in entries if isinstance(e, Mapping)] if isinstance(entries, list) else (),
    )
