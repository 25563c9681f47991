"""Which clauses the measurements of a report speak to, arranged for a page and for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auditkit.evidence import CAVEAT, STATUSES, ClauseEvidence, Framework, NeedEvidence, evidence_for, frameworks
from auditkit.evidence.clauses import BASES
from auditkit.measurement import Measurement
from auditkit.rendering.formatting import shortened
from auditkit.report import AuditReport

MAX_PROBES = 12  # of one need
MAX_NAME = 40  # characters of a probe's id

HEADER = ("Clause", "What it asks for", "In this report", "What speaks to it", "Judged")


@dataclass(frozen=True, slots=True)
class Link:
    """The measurements of one probe: how many, and the id of its section; "" where it has none."""

    probe: str
    count: int
    section: str


@dataclass(frozen=True, slots=True)
class Part:
    """One need of a clause: how measurements bear on it, those of each probe, and how many have no value."""

    how: str
    links: Sequence[Link]
    more: int
    without_value: int


@dataclass(frozen=True, slots=True)
class Row:
    """One clause as a row of a table."""

    evidence: ClauseEvidence
    parts: Sequence[Part]
    judged: str


@dataclass(frozen=True, slots=True)
class Chapter:
    """One framework: its rows, and how many of them have which status."""

    framework: Framework
    counts: str
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class EvidenceMap:
    """The whole section."""

    caveat: str
    bases: Mapping[str, str]
    chapters: Sequence[Chapter]


def arrange(report: AuditReport, sections: Mapping[str, str]) -> EvidenceMap | None:
    """The section on clauses; None where nothing has a value, since every row would say "no evidence here".

    Args:
        report: the report.
        sections: the id of the section of each probe that has one.
    """
    if not any(m.status == "ok" for m in report.measurements):
        return None
    return EvidenceMap(CAVEAT, BASES, chapters(report, frameworks(), sections))


def chapters(
    report: AuditReport, chosen: Sequence[Framework], sections: Mapping[str, str] | None = None
) -> list[Chapter]:
    """One chapter per framework, in the order given."""
    found = [(framework, evidence_for(report, [framework])) for framework in chosen]
    return [_chapter(framework, evidence, sections or {}) for framework, evidence in found]


def cells(row: Row) -> tuple[str, str, str, str, str]:
    """The row as plain texts, one for each column of `HEADER`."""
    clause = row.evidence.clause
    parts = "; ".join(f"{part.how.removesuffix('.')} {_listed(part)}" for part in row.parts)
    return clause.id, f"{clause.paraphrase} [{clause.basis}]", row.evidence.status, parts, row.judged


def _chapter(framework: Framework, evidence: Sequence[ClauseEvidence], sections: Mapping[str, str]) -> Chapter:
    counts = Counter(e.status for e in evidence)
    said = ", ".join(f"{status} {counts[status]}" for status in STATUSES)
    return Chapter(framework, said, [_row(e, sections) for e in evidence])


def _row(evidence: ClauseEvidence, sections: Mapping[str, str]) -> Row:
    judged = ", ".join(f"{n} {outcome}" for outcome, n in evidence.outcomes)
    if evidence.measurements and not judged:
        judged = "no rule"
    return Row(evidence, [_part(need, sections) for need in evidence.needs], judged)


def _part(need: NeedEvidence, sections: Mapping[str, str]) -> Part:
    counts = Counter(m.probe for m in need.measurements)
    links = [Link(shortened(probe, MAX_NAME), n, sections.get(probe, "")) for probe, n in counts.items()]
    return Part(need.need.how, links[:MAX_PROBES], max(0, len(links) - MAX_PROBES), _without_value(need.measurements))


def _without_value(measurements: Sequence[Measurement]) -> int:
    return sum(m.value is None for m in measurements)


def _listed(part: Part) -> str:
    """As in "(crows_pairs 31, weat 8; 2 without a value)"."""
    if not part.links:
        return "(nothing here)"
    probes = ", ".join(f"{link.probe} {link.count}" for link in part.links)
    more = f", {part.more} more probes" if part.more else ""
    missing = f"; {part.without_value} without a value" if part.without_value else ""
    return f"({probes}{more}{missing})"
