"""The few measurements that stand for a report where there is no room for all: what was judged, and the totals."""

from __future__ import annotations

from auditkit.gate import Outcome
from auditkit.measurement import Measurement
from auditkit.rendering import narrative
from auditkit.rendering.formatting import parts
from auditkit.report import AuditReport


def outcomes(report: AuditReport) -> dict[str, Outcome]:
    """The worst outcome of each measurement that a rule judges, worst first."""
    found: dict[str, Outcome] = {}
    for verdict in narrative.worst_first(report.verdicts):
        found.setdefault(verdict.measurement, verdict.outcome)
    return found


def headlines(report: AuditReport) -> list[Measurement]:
    """The measurements with a value that a rule judges, worst outcome first; then those about all items, in order."""
    judged = list(outcomes(report))
    rank = {id: place for place, id in enumerate(judged)}
    kept = [m for m in report.measurements if m.status == "ok" and (m.id in rank or parts(m)[0] == "all")]
    return sorted(kept, key=lambda m: rank.get(m.id, len(judged)))
