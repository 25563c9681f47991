"""What of a report speaks to which clause.

    evidence for          every need of the clause has a measurement with a value, and no rule on any is undecided
    partial               something was measured, but a need is without a value, or a rule could not be decided
    no evidence here      nothing was measured that speaks to it

A measurement that failed its limit is evidence too: it speaks to the clause, against the model. So every row says how
its measurements were judged.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fnmatch import translate
from functools import cache
from typing import Any, Literal, get_args

from auditkit.evidence.clauses import Clause, Framework, Need, aspects, frameworks
from auditkit.gate import SEVERITY, Outcome
from auditkit.measurement import Measurement
from auditkit.report import AuditReport

Status = Literal["evidence for", "partial", "no evidence here"]
STATUSES: tuple[Status, ...] = get_args(Status)
UNDECIDED: tuple[Outcome, ...] = ("INCONCLUSIVE", "ERROR")
CAVEAT = (
    "“Evidence for” means that this report holds measurements that speak to the clause, whichever way they point; it "
    "does not mean that the clause is met, and nothing here is legal advice. The paraphrases are ours, and most duties "
    "of these texts cannot be measured at all."
)


@dataclass(frozen=True, slots=True)
class NeedEvidence:
    """One need of a clause and the measurements that speak to it.

    Attributes:
        need: the need.
        measurements: in the order of the report, those without a value too; skipped and crashed ones left out.
    """

    need: Need
    measurements: tuple[Measurement, ...]

    @property
    def shown(self) -> bool:
        """Whether any of the measurements has a value."""
        return any(m.status == "ok" for m in self.measurements)


@dataclass(frozen=True, slots=True)
class ClauseEvidence:
    """What a report holds about one clause.

    Attributes:
        clause: the clause.
        status: see the head of this module.
        needs: its needs, in its order.
        outcomes: how rules judged the measurements: (outcome, how many), worst first; a measurement that several
            rules judge counts with the worst.
    """

    clause: Clause
    status: Status
    needs: tuple[NeedEvidence, ...]
    outcomes: tuple[tuple[Outcome, int], ...]

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """All measurements that speak to the clause, each once."""
        return tuple({m.id: m for need in self.needs for m in need.measurements}.values())

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; measurements by their ids."""
        clause = asdict(self.clause)
        del clause["needs"]
        needs = [
            {
                "any_of": [aspect.id for aspect in n.need.any_of],
                "how": n.need.how,
                "measurements": [m.id for m in n.measurements],
            }
            for n in self.needs
        ]
        return clause | {"status": self.status, "outcomes": dict(self.outcomes), "needs": needs}


def evidence_for(report: AuditReport, only: Sequence[Framework] | None = None) -> list[ClauseEvidence]:
    """What `report` holds about every clause, in the order of the frameworks and of their clauses.

    Args:
        report: its measurements and verdicts are everything that is looked at.
        only: the frameworks wanted; all where not given.
    """
    worst: dict[str, Outcome] = {}
    for v in report.verdicts:
        worst[v.measurement] = max(v.outcome, worst.get(v.measurement, "PASS"), key=SEVERITY.index)
    measured = [(m, _shown_by(m)) for m in report.measurements if m.status in ("ok", "undefined")]
    chosen = frameworks() if only is None else only
    return [_evidence(clause, measured, worst) for framework in chosen for clause in framework.clauses]


def _evidence(
    clause: Clause, measured: Sequence[tuple[Measurement, frozenset[str]]], worst: dict[str, Outcome]
) -> ClauseEvidence:
    needs = tuple(NeedEvidence(need, _speaking(need, measured)) for need in clause.needs)
    found = {m.id for need in needs for m in need.measurements}
    counts = Counter(worst[id] for id in found if id in worst)
    outcomes = tuple((outcome, counts[outcome]) for outcome in SEVERITY[::-1] if counts[outcome])
    status: Status = "partial"
    if not found:
        status = "no evidence here"
    elif all(need.shown for need in needs) and not any(counts[outcome] for outcome in UNDECIDED):
        status = "evidence for"
    return ClauseEvidence(clause, status, needs, outcomes)


def _shown_by(m: Measurement) -> frozenset[str]:
    """The ids of the aspects that a measurement is evidence about."""
    return frozenset(id for id, pattern in _patterns().items() if pattern.match(m.id))


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """Of each aspect, all patterns as one: fnmatch on every clause, need and measurement took longer than drawing."""
    return {a.id: re.compile("|".join(map(translate, a.patterns))) for a in aspects().values()}


def _speaking(need: Need, measured: Sequence[tuple[Measurement, frozenset[str]]]) -> tuple[Measurement, ...]:
    wanted = {aspect.id for aspect in need.any_of}
    return tuple(m for m, shown in measured if wanted & shown)
