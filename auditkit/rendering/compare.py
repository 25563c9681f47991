"""Reports side by side, each against the first. Where both kept their item scores the difference is paired.

Two overlapping intervals do not mean that two models are equal, nor two disjoint ones how far apart they are: only the
interval of the difference on the same items says that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from auditkit.changes import Fact, ProbeChange, facts, probe_changes
from auditkit.comparability import is_same_model
from auditkit.errors import DataError
from auditkit.measurement import Interval, Measurement
from auditkit.rendering.formatting import ABSENT, interval, number, quantity
from auditkit.report import AuditReport
from auditkit.worsening import (
    NotJudged,
    Table,
    estimate,
    items_of,
    paired_interval,
    refuse_unlike,
    shared_items,
    span_of,
    table_of,
)

if TYPE_CHECKING:
    import pandas as pd

    Tables = tuple[Table, Table]
    Side = tuple[AuditReport, Measurement | None]

Kind = Literal["changed", "no clear change", "not comparable", "new", "lost", "no value"]
ORDER: tuple[Kind, ...] = ("changed", "new", "lost", "no value", "not comparable", "no clear change")
CAUTION = (
    "A paired difference is after minus before on the items that both were asked; whether that is better depends on "
    "the ideal of the measurement. By chance alone one in twenty measurements that did not change looks changed."
)
HEADER = (
    "Change",
    "Measurement",
    "Before",
    "95 % interval",
    "After",
    "95 % interval",
    "Paired difference",
    "95 % interval",
    "Shared items",
)
FACTS_HEADER = ("About", "Fact", "Before", "After")
PROBES_HEADER = ("Change", "Probe", "Before", "After")


@dataclass(frozen=True, slots=True)
class Change:
    """One measurement in both reports.

    Attributes:
        id: the measurement's id.
        kind: "changed" (the paired interval excludes 0), "no clear change" (it does not), "not comparable" (only
            the two values can be shown; `note` says why), "new", "lost", or "no value" (in one of the two, or both).
        before: the measurement in the first report; None if new.
        after: the one in the second; None if lost.
        difference: after minus before, over the shared items.
        interval: its interval.
        n: how many items both have.
        note: why there is no interval of the difference.
    """

    id: str
    kind: Kind
    before: Measurement | None
    after: Measurement | None
    difference: float | None = None
    interval: Interval | None = None
    n: int = 0
    note: str = ""

    def cells(self) -> tuple[str, ...]:
        """What a table says of it, under `HEADER`; why there is no interval of the difference stands with the kind."""
        return (
            f"{self.kind}: {self.note}" if self.note else self.kind,
            self.id,
            *_value_cells(self.before),
            *_value_cells(self.after),
            number(self.difference),
            interval(self.interval),
            number(self.n) if self.n else ABSENT,
        )

    def to_json(self) -> dict[str, Any]:
        """The same as plain values; of each measurement without its details, which the reports hold."""
        return {
            "id": self.id,
            "kind": self.kind,
            "before": _plain(self.before),
            "after": _plain(self.after),
            "difference": self.difference,
            "interval": self.interval and asdict(self.interval),
            "n": self.n,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two reports: the measurements, the probes, and everything else."""

    before: str
    after: str
    changes: Sequence[Change]
    probes: Sequence[ProbeChange]
    facts: Sequence[Fact]

    @property
    def headline(self) -> str:
        """One sentence with the number of each kind of change."""
        counts = {kind: sum(c.kind == kind for c in self.changes) for kind in ORDER}
        found = ", ".join(f"{n} {kind}" for kind, n in counts.items() if n)
        return f"{len(self.changes)} measurements: {found or 'none in either report'}."

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "before": self.before,
            "after": self.after,
            "changes": [change.to_json() for change in self.changes],
            "probes": [probe._asdict() for probe in self.probes],
            "facts": [{"kind": fact.kind, **fact._asdict()} for fact in self.facts],
        }

    def fact_rows(self) -> list[tuple[str, ...]]:
        """What else differs, as rows under `FACTS_HEADER`."""
        return [(fact.kind, *fact) for fact in self.facts]

    def probe_rows(self) -> list[tuple[str, ...]]:
        """New, lost and changed probes, as rows under `PROBES_HEADER`."""
        return [tuple(change) for change in self.probes]


def compare(a: AuditReport, b: AuditReport) -> Comparison:
    """How report `b` differs from the earlier `a`: each measurement of either, what changed first.

    Raises:
        ReportError: a table of item scores is damaged.
    """
    return compare_all([a, b])[0]


def compare_all(reports: Sequence[AuditReport]) -> list[Comparison]:
    """How each report but the first differs from the first.

    Raises:
        ReportError: a table of item scores is damaged.
    """
    names = _names(reports)
    first, scores = reports[0], table_of(reports[0])
    return [
        Comparison(
            before=names[0],
            after=name,
            changes=_changes(first, other, (scores, table_of(other))),
            probes=probe_changes(first, other),
            facts=facts(first, other),
        )
        for name, other in zip(names[1:], reports[1:], strict=True)
    ]


def overview(comparisons: Sequence[Comparison]) -> tuple[list[str], list[tuple[str, ...]]]:
    """One row per measurement with its value in every report, and the kind of each change; header and rows."""
    header = ["Measurement", comparisons[0].before, *(c.after for c in comparisons)]
    sides = [{change.id: change for change in c.changes} for c in comparisons]
    rows = []
    for id in dict.fromkeys(id for side in sides for id in side):
        found = [side.get(id) for side in sides]
        first = next((change.before for change in found if change and change.before), None)
        cells = (f"{_value_cells(c.after)[0]} ({c.kind})" if c else ABSENT for c in found)
        rows.append((id, _value_cells(first)[0], *cells))
    return header, rows


def to_markdown(*comparisons: Comparison) -> str:
    """The comparisons as Markdown, at most `markdown.MAX_BYTES` bytes."""
    from auditkit.rendering import markdown

    lines = [markdown.escape(CAUTION), ""]
    if len(comparisons) > 1:
        header, rows = overview(comparisons)
        lines = ["## All reports", "", *lines, *markdown.table([*map(markdown.escape, header)], rows), ""]
    for comparison in comparisons:
        lines += [
            f"## {markdown.escape(comparison.before)} → {markdown.escape(comparison.after)}",
            "",
            markdown.escape(comparison.headline),
            "",
            *markdown.table(HEADER, (change.cells() for change in comparison.changes)),
            *_block("Probes", PROBES_HEADER, comparison.probe_rows()),
            *_block("What else differs", FACTS_HEADER, comparison.fact_rows()),
            "",
        ]
    return markdown.within(lines, markdown.MAX_BYTES)


def _block(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    from auditkit.rendering import markdown

    return ["", f"### {title}", "", *(markdown.table(header, rows) if rows else ["No difference."])]


def to_html(*comparisons: Comparison) -> str:
    """The comparisons as one self-contained html document, in the style of the report."""
    from auditkit.rendering.html import document

    context: dict[str, Any] = {"comparisons": comparisons, "header": HEADER, "caution": CAUTION}
    context |= {"facts_header": FACTS_HEADER, "probes_header": PROBES_HEADER}
    return document("compare.html", overview=overview(comparisons) if len(comparisons) > 1 else None, **context)


def _plain(m: Measurement | None) -> dict[str, Any] | None:
    return None if m is None else {name: value for name, value in m.to_json().items() if name != "details"}


def _value_cells(m: Measurement | None) -> tuple[str, str]:
    if m is None:
        return ABSENT, ABSENT
    return (quantity(m.value, m.unit) if m.status == "ok" else m.status), interval(m.interval)


def _names(reports: Sequence[AuditReport]) -> list[str]:
    """The names of the models; where two are the same, with the time, and where that is the same too, numbered."""
    names = [str(report.subject.get("name", "unnamed model")) for report in reports]
    times = [report.created[:16].replace("T", " ") for report in reports]
    for added in (times, [f"no. {i}" for i in range(1, len(reports) + 1)]):
        often = Counter(names)
        names = [f"{n}, {more}" if often[n] > 1 and more else n for n, more in zip(names, added, strict=True)]
    return names


def _changes(a: AuditReport, b: AuditReport, tables: Tables) -> list[Change]:
    before, after = ({m.id: m for m in report.measurements} for report in (a, b))
    ids = dict.fromkeys([*before, *after])
    changes = [_change(id, (a, before.get(id)), (b, after.get(id)), tables) for id in ids]
    return sorted(changes, key=lambda change: ORDER.index(change.kind))


def _change(id: str, a: Side, b: Side, tables: Tables) -> Change:
    (_, before), (later, after) = a, b
    if before is None or after is None:
        return Change(id, "new" if before is None else "lost", before, after)
    if before.value is None or after.value is None:
        return Change(id, "no value", before, after)
    try:
        refuse_unlike(a[0], before, later, after)
        pairs = _pairs(before, after, tables)
        span = 0.0 if is_same_model(a[0], later) else span_of(after, pairs["value_a"].to_numpy(dtype=float))
        return _paired_change(before, after, pairs, later.seed, span)
    except NotJudged as e:
        return Change(id, "not comparable", before, after, note=_why(e))


def _why(e: NotJudged) -> str:
    return str(e).removeprefix("cannot be compared").lstrip(":, ")


def _pairs(before: Measurement, after: Measurement, tables: Tables) -> pd.DataFrame:
    """The shared items: columns value_a, value_b, cluster_b, x_b."""
    a, b = items_of(tables[0], before, "the first report"), items_of(tables[1], after, "the later report")
    shared = shared_items(a, b, none="the reports share no item")
    return a.loc[shared].merge(b.loc[shared], left_index=True, right_index=True, suffixes=("_a", "_b")).sort_index()


def _paired_change(before: Measurement, after: Measurement, pairs: pd.DataFrame, seed: int, span: float) -> Change:
    """After minus before over the shared items, and its interval."""
    from auditkit.probes.base import generator

    a, b = (pairs[column].to_numpy(dtype=float) for column in ("value_a", "value_b"))
    items = pairs.rename(columns={"cluster_b": "cluster", "x_b": "x"})
    there, here = (estimate(items.assign(value=values), after) for values in (a, b))
    difference = here - there
    rng = generator(seed, before.id)
    try:
        found = paired_interval(a, b, items, after, rng, span=span)
    except DataError as e:
        return Change(before.id, "not comparable", before, after, difference, n=len(pairs), note=str(e))
    kind: Kind = "no clear change" if 0 in found else "changed"
    return Change(before.id, kind, before, after, difference, found, len(pairs))
