"""`auditkit evidence`: which clauses of laws and standards a report speaks to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from auditkit.evidence import ClauseEvidence, Framework
    from auditkit.report import AuditReport

ReportFile = Annotated[Path, typer.Argument(help="A report.json.", show_default=False)]
Frameworks = Annotated[
    list[str] | None,
    typer.Option(
        "--framework",
        help="eu_ai_act, nist_ai_rmf, iso_42001, nyc_ll144 or gdpr; may be given several times; all where not given.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, with the sources of the clauses.")]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(evidence)


def evidence(report: ReportFile, framework: Frameworks = None, as_json: AsJson = False) -> None:
    """Show which clauses of laws and standards a report speaks to; never whether they are met."""
    from auditkit import evidence as clauses
    from auditkit.report import AuditReport

    chosen = [clauses.framework(id) for id in framework] if framework else clauses.frameworks()
    loaded = AuditReport.load(report)
    if as_json:
        _print_json(clauses.evidence_for(loaded, chosen))
    else:
        _print_tables(loaded, chosen)


def _print_json(rows: Sequence[ClauseEvidence]) -> None:
    import json

    from auditkit.evidence import CAVEAT

    typer.echo(json.dumps({"caveat": CAVEAT, "clauses": [row.to_json() for row in rows]}, indent=1, allow_nan=False))


def _print_tables(report: AuditReport, chosen: Sequence[Framework]) -> None:
    from auditkit.console import out, table
    from auditkit.evidence import CAVEAT
    from auditkit.rendering import evidence_map

    for chapter in evidence_map.chapters(report, chosen):
        rows = [evidence_map.cells(row) for row in chapter.rows]
        table(f"{chapter.framework.title}: {chapter.counts}", evidence_map.HEADER, rows)
        out().print(f"{chapter.framework.dates} {chapter.framework.scope}\n", markup=False)
    out().print(CAVEAT, markup=False)
