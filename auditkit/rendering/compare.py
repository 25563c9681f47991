"""Two reports side by side. Where both kept their item scores the difference is paired: same items, both models.

Two overlapping intervals do not mean that two models are equal, nor two disjoint ones how far apart they are: only the
interval of the difference on the same items says that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from auditkit.errors import DataError
from auditkit.measurement import Interval, Measurement
from auditkit.rendering.formatting import ABSENT, flat, interval, number, quantity
from auditkit.report import AuditReport

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

Kind = Literal["changed", "no clear change", "not comparable", "new", "lost", "no value"]
ORDER: tuple[Kind, ...] = ("changed", "new", "lost", "no value", "not comparable", "no clear change")
SAME_VALUE = 1e-6  # how far, relatively, a mean of item scores may be from the value reported
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


class Fact(NamedTuple):
    """Something about the subject, the environment or the options that differs; a dash where one side lacks it."""

    name: str
    before: str
    after: str


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
        """What a table says of it: kind, id, before, its interval, after, its interval, difference, its interval, n."""
        return (
            self.kind,
            self.id,
            *_value_cells(self.before),
            *_value_cells(self.after),
            number(self.difference),
            self.note or interval(self.interval),
            number(self.n) if self.n else ABSENT,
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two reports."""

    before: str
    after: str
    changes: Sequence[Change]
    facts: Sequence[Fact]

    @property
    def headline(self) -> str:
        """One sentence with the number of each kind of change."""
        counts = {kind: sum(c.kind == kind for c in self.changes) for kind in ORDER}
        found = ", ".join(f"{n} {kind}" for kind, n in counts.items() if n)
        return f"{len(self.changes)} measurements: {found or 'none in either report'}."


def compare(a: AuditReport, b: AuditReport) -> Comparison:
    """How report `b` differs from the earlier `a`: each measurement of either, what changed first.

    Raises:
        ReportError: a table of item scores is damaged.
    """
    before, after = ({m.id: m for m in report.measurements} for report in (a, b))
    tables = a.items, b.items
    ids = dict.fromkeys([*before, *after])
    changes = [_change(id, before.get(id), after.get(id), tables, b.seed) for id in ids]
    return Comparison(
        before=_name(a),
        after=_name(b),
        changes=sorted(changes, key=lambda change: ORDER.index(change.kind)),
        facts=_facts(_described(a), _described(b)),
    )


def to_markdown(comparison: Comparison) -> str:
    """The comparison as Markdown, at most `markdown.MAX_BYTES` bytes."""
    from auditkit.rendering import markdown

    lines = [
        f"## {markdown.escape(comparison.before)} → {markdown.escape(comparison.after)}",
        "",
        markdown.escape(f"{comparison.headline} {CAUTION}"),
        "",
        *markdown.table(HEADER, (change.cells() for change in comparison.changes)),
        "",
        "### What else differs",
        "",
        *markdown.table(("", "Before", "After"), comparison.facts),
    ]
    return markdown.within(lines, markdown.MAX_BYTES)


def to_html(comparison: Comparison) -> str:
    """The comparison as one self-contained html document, in the style of the report."""
    from auditkit.rendering.html import document

    return document("compare.html", comparison=comparison, header=HEADER, caution=CAUTION)


def _value_cells(m: Measurement | None) -> tuple[str, str]:
    if m is None:
        return ABSENT, ABSENT
    return (quantity(m.value, m.unit) if m.status == "ok" else m.status), interval(m.interval)


def _name(report: AuditReport) -> str:
    return str(report.subject.get("name", "unnamed model"))


def _described(report: AuditReport) -> dict[str, str]:
    described: Mapping[str, Any] = {
        "subject": report.subject,
        "environment": report.environment,
        "config": report.config,
        "seed": str(report.seed),
        "created": report.created,
    }
    return dict(flat(described))


def _facts(before: Mapping[str, str], after: Mapping[str, str]) -> list[Fact]:
    names = dict.fromkeys([*before, *after])
    found = (Fact(name, before.get(name, ABSENT), after.get(name, ABSENT)) for name in names)
    return [fact for fact in found if fact.before != fact.after]


def _change(
    id: str,
    before: Measurement | None,
    after: Measurement | None,
    tables: tuple[pd.DataFrame | None, pd.DataFrame | None],
    seed: int,
) -> Change:
    if before is None or after is None:
        return Change(id, "new" if before is None else "lost", before, after)
    if before.value is None or after.value is None:
        return Change(id, "no value", before, after)
    pairs = _pairs(before, after, tables)
    if pairs is None:
        return Change(id, "not comparable", before, after, note="no item scores that both reports share")
    return _paired_change(before, after, pairs, seed)


def _pairs(
    before: Measurement, after: Measurement, tables: tuple[pd.DataFrame | None, pd.DataFrame | None]
) -> pd.DataFrame | None:
    """The shared items: columns value_a, value_b, cluster_b, x_b. None unless the scores give the values reported."""
    sides = [_items(table, m) for table, m in zip(tables, (before, after), strict=True)]
    if sides[0] is None or sides[1] is None:
        return None
    shared = sides[0].merge(sides[1], left_index=True, right_index=True, suffixes=("_a", "_b")).sort_index()
    return shared if len(shared) else None


def _items(table: pd.DataFrame | None, m: Measurement) -> pd.DataFrame | None:
    """The item scores of `m` by item; None where they are missing or do not give its value."""
    import math

    if table is None or m.value is None:
        return None
    items = table[table["measurement"] == m.id].set_index("item")
    if items.empty or not items.index.is_unique:
        return None
    given = _estimate(items["value"].to_numpy(dtype=float), items["x"].to_numpy(dtype=float))
    return items if math.isclose(given, m.value, rel_tol=SAME_VALUE, abs_tol=SAME_VALUE) else None


def _estimate(values: npt.NDArray[np.float64], x: npt.NDArray[np.float64]) -> float:
    """The mean of the item scores or, where they have a covariate, their least-squares slope on it."""
    import numpy as np

    if np.isnan(x).all():
        return float(values.mean())
    centred = x - x.mean()
    return float(centred @ values / (centred @ centred)) if centred.any() else np.nan


def _paired_change(before: Measurement, after: Measurement, pairs: pd.DataFrame, seed: int) -> Change:
    """After minus before over the shared items, and its interval."""
    from auditkit import stats
    from auditkit.probes.base import generator

    a, b, x = (pairs[column].to_numpy(dtype=float) for column in ("value_a", "value_b", "x_b"))
    clusters = [cluster or item for item, cluster in pairs["cluster_b"].items()]
    difference = _estimate(b - a, x)
    if (a == b).all():
        same = Interval(0.0, 0.0, method="identical item scores")
        return Change(before.id, "no clear change", before, after, 0.0, same, len(pairs))
    slope_on = None if pairs["x_b"].isna().all() else x
    try:
        between = stats.paired_bootstrap(a, b, rng=generator(seed, before.id), clusters=clusters, x=slope_on)
    except DataError as e:
        return Change(before.id, "not comparable", before, after, difference, n=len(pairs), note=str(e))
    kind: Kind = "no clear change" if 0 in between else "changed"
    return Change(before.id, kind, before, after, difference, between, len(pairs))
