"""The commands that look at several reports: compare and history. `cli` registers them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from auditkit.errors import InputError

Reports = Annotated[
    list[Path],
    typer.Argument(help="The report.json that the others are compared with, then those.", show_default=False),
]
Folder = Annotated[Path, typer.Argument(help="A folder with report.json files, at any depth.", show_default=False)]
Pattern = Annotated[str, typer.Option(help="Only the measurements whose id fits, e.g. 'crows_pairs/*'.")]


def compare(
    reports: Reports,
    out: Annotated[Path | None, typer.Option(help="Write an .html or .md file; no tables then.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")] = False,
) -> None:
    """Show what changed from the first report to each of the others, item by item."""
    from auditkit.rendering import compare as comparing
    from auditkit.report import AuditReport, write_atomically

    if out is not None and out.suffix not in (".html", ".md"):
        raise InputError(f"--out {out}: expected a name that ends in .html or .md")
    if len(reports) < 2:
        raise InputError(f"given one report, {reports[0]}; expected at least two, the one to compare with first")
    comparisons = comparing.compare_all([AuditReport.load(path) for path in reports])
    if out is not None:
        text = comparing.to_html(*comparisons) if out.suffix == ".html" else comparing.to_markdown(*comparisons)
        write_atomically(out, text.encode())
    if as_json:
        typer.echo(json.dumps([comparison.to_json() for comparison in comparisons], indent=1, allow_nan=False))
    elif out is not None:
        print(out)
    else:
        from auditkit.console import show_comparison

        for comparison in comparisons:
            show_comparison(comparison)


def history(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="The HTML file.")] = Path("history.html"),
    measurement: Pattern = "*",
) -> None:
    """Draw how each measurement went over all reports under a folder, with what changed besides."""
    from auditkit.history import collect
    from auditkit.rendering.formatting import one_line
    from auditkit.rendering.history import to_html
    from auditkit.report import write_atomically

    found = collect(folder)
    write_atomically(out, to_html(found, measurement).encode())
    for file in found.left_out:
        print(one_line(f"auditkit: left out: {file.path}: {file.reason}"), file=sys.stderr)
    print(out)


def register(app: typer.Typer) -> None:
    """Add both to the command line."""
    app.command()(compare)
    app.command()(history)
