"""What a command shows when it is done: tables, first of all that of the verdicts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from auditkit import conclusion
from auditkit.gate import Verdict
from auditkit.rendering.compare import FACTS_HEADER, HEADER, PROBES_HEADER, Comparison
from auditkit.rendering.formatting import interval, number, one_line
from auditkit.report import AuditReport

if TYPE_CHECKING:
    from auditkit.privacy.validation import Validation

STYLES = {"PASS": "green", "FAIL": "bold red", "INCONCLUSIVE": "yellow", "ERROR": "bold red"}
WIDTH_IN_LOGS = 160
"""Columns of a table where the output is no terminal: a log wraps no lines, and an id cut short is of no use."""

NARROWEST_COLUMN = 14
"""Columns of the terminal that a column of a table needs on average; with fewer, words are broken into letters."""


def out() -> Console:
    """Where results go."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH_IN_LOGS)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> None:
    """Print a table; on a narrow terminal, one block of lines a row. Long cells are folded, endless ones cut."""
    texts = [[cell if isinstance(cell, Text) else Text(one_line(cell)) for cell in row] for row in rows]
    console = out()
    if console.width < NARROWEST_COLUMN * len(columns):
        _print_blocks(console, title, columns, texts)
        return
    grid = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in texts:
        grid.add_row(*row)
    console.print(grid)


def _print_blocks(console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[Text]]) -> None:
    """Each row as lines "column: cell", with a blank line after it."""
    if title:
        console.print(Text(title, style="bold"))
    for row in rows:
        for column, cell in zip(columns, row, strict=True):
            if cell.plain:
                console.print(Text.assemble((f"{column}: " if column else "", "dim"), cell), overflow="fold")
        console.print()


def show_verdicts(report: AuditReport, verdicts: Sequence[Verdict]) -> None:
    """The verdicts, and below them the probes that did not run."""
    rows = [
        (
            Text(v.outcome, style=STYLES[v.outcome]),
            v.measurement,
            f"{number(v.value)} ({interval(v.interval)})" if v.value is not None else "",
            v.limit,
            str(v.n or ""),
            v.explanation,
        )
        for v in verdicts
    ]
    if rows:
        table("Gate", ("verdict", "measurement", "value and interval", "limit", "n", "why"), rows)
    missing = [(run.probe, run.status, run.reason) for run in report.runs if run.status != "ok"]
    if missing:
        table("Not measured", ("probe", "status", "reason"), missing)
    if conclusion.measured_nothing(report):
        out().print(Text(f"ERROR: {conclusion.NOTHING_MEASURED}", style=STYLES["ERROR"]))


def show_comparison(comparison: Comparison) -> None:
    """What changed, measurement by measurement, and what else differs between the two reports."""
    out().print(Text(one_line(f"from {comparison.before} to {comparison.after}")))
    out().print(Text(comparison.headline))
    table("", HEADER, [change.cells() for change in comparison.changes])
    if comparison.probes:
        table("Probes", PROBES_HEADER, comparison.probe_rows())
    if comparison.facts:
        table("What else differs", FACTS_HEADER, comparison.fact_rows())


def show_validation(result: Validation) -> None:
    """Every seeded bug with the checks that caught it, and how often the correct trainer was accused."""
    checks = list(result.false_alarms)
    rows: list[Sequence[str | Text]] = [
        (bug.name, bug.what, *(_caught(bug.findings[check].alarm) for check in checks), _caught(bool(bug.by)))
        for bug in result.bugs
    ]
    seeds = len(result.correct)
    alarms = [f"{times} of {seeds}" for times in result.false_alarms.values()]
    rows.append(("none", f"the correct trainer on {seeds} seeds", *alarms, ""))
    table("Seeded bugs", ("bug", "what the trainer does", *checks, "caught"), rows)
    total = sum(result.false_alarms.values())
    verdict = f"{result.caught} of {len(result.bugs)} bugs caught, {total} false alarms on {seeds} seeds"
    out().print(Text(verdict, style=STYLES["PASS" if result.passed else "FAIL"]))


def _caught(alarm: bool) -> Text:
    return Text("caught", style="green") if alarm else Text("-", style="dim")
