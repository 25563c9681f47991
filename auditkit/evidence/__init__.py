"""Which clauses of laws and standards the measurements of a report speak to; never whether anything is met.

    from auditkit.evidence import evidence_for

    for row in evidence_for(report):
        print(row.clause.id, row.status)

The clauses are data: `frameworks/*.toml`, each checked against the source named in its `verified_in`, and
`aspects.toml`, which says by what measurements an aspect is shown. A clause that could not be checked is left out.
"""

from __future__ import annotations

from auditkit.evidence.clauses import Aspect, Clause, Framework, Need, Source, aspects, framework, frameworks
from auditkit.evidence.matching import CAVEAT, STATUSES, ClauseEvidence, NeedEvidence, Status, evidence_for

__all__ = [
    "CAVEAT",
    "STATUSES",
    "Aspect",
    "Clause",
    "ClauseEvidence",
    "Framework",
    "Need",
    "NeedEvidence",
    "Source",
    "Status",
    "aspects",
    "evidence_for",
    "framework",
    "frameworks",
]
