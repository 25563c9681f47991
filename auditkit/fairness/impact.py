"""Disparate impact, by two rules that are not the same and are not mixed here.

The **four-fifths rule** of the United States' Uniform Guidelines on Employee Selection Procedures (29 CFR 1607.4 D)
takes a selection rate below four fifths of the highest group's as evidence of adverse impact, and warns of small
numbers. Here each ratio has an interval, which says how sure the rule's answer is, and
groups of fewer than 30 people are shown, not judged.

**Local Law 144** of New York City (rules: 6 RCNY 5-300 to 5-304) asks for the *impact ratio* of every category of sex,
of race and ethnicity, and of the two crossed: its selection rate over that of the most selected category. It sets no
threshold, so none is applied here. A category of less than 2 % of the people may be left out of the comparison, but its
numbers are shown; people whose category is unknown are counted, and compared with nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from auditkit.errors import DataError
from auditkit.fairness import bootstrap, metrics
from auditkit.fairness.groups import MetricByGroup
from auditkit.fairness.metrics import SMALL_CELL
from auditkit.fairness.people import Bools
from auditkit.measurement import Interval

FOUR_FIFTHS = 0.8
SMALL_CATEGORY = 0.02


@dataclass(frozen=True, slots=True)
class ImpactRatio:
    """The selection of one group against that of the most selected one.

    Attributes:
        group: its name.
        people: how many it has.
        selected: how many of them were selected.
        ratio: its selection rate over that of the most selected group; None where it is not compared.
        interval: of the ratio; None for the most selected group itself, whose ratio is 1 by definition.
        remark: why it is not compared; "" where it is.
        below: whether the ratio is below four fifths; None where that rule was not applied.
        sure: whether the whole interval is on that side; None where that rule was not applied.
    """

    group: str
    people: int
    selected: int
    ratio: float | None
    interval: Interval | None
    remark: str = ""
    below: bool | None = None
    sure: bool | None = None


def four_fifths(selection: MetricByGroup) -> list[ImpactRatio]:
    """The four-fifths rule, group by group: whether the ratio is below, and whether its whole interval agrees.

    Raises:
        DataError: `selection` is of another metric than the selection rate.
    """
    unknown, small = selection.partition.unknown, np.array([g.small for g in selection.groups])
    remarks = [
        "unknown" if u else f"fewer than {SMALL_CELL} people" if s else "" for u, s in zip(unknown, small, strict=True)
    ]
    rows = _ratios(selection, ~unknown & ~small, remarks)
    return [_judged(row) for row in rows]


def local_law_144(selection: MetricByGroup) -> list[ImpactRatio]:
    """The impact ratios of Local Law 144, category by category, without any threshold.

    Raises:
        DataError: `selection` is of another metric than the selection rate.
    """
    unknown = selection.partition.unknown
    people = np.array([g.trials for g in selection.groups])
    few = people < SMALL_CATEGORY * people.sum()
    remarks = ["unknown" if u else "under 2 % of the people" if f else "" for u, f in zip(unknown, few, strict=True)]
    return _ratios(selection, ~unknown & ~few, remarks)


def _ratios(selection: MetricByGroup, compared: Bools, remarks: Sequence[str]) -> list[ImpactRatio]:
    """Every group's row; ratios of those that are `compared` and have somebody who was selected among them."""
    if selection.metric != "selection_rate":
        raise DataError(f"impact ratios are of selection rates; given {selection.metric!r}")
    successes, trials = (np.array([getattr(g, f) for g in selection.groups]) for f in ("successes", "trials"))
    values = metrics.rates(successes, trials)
    best = int(np.where(compared, values, -1.0).argmax())
    usable = compared & bool(values[best] > 0 and compared[best])
    low, high = bootstrap.pairwise_ratios(values, bootstrap.wilson_bounds(successes, trials, selection.critical))
    rows = []
    for i, group in enumerate(selection.groups):
        interval = None
        if usable[i] and i != best and np.isfinite(high[i, best]):
            interval = Interval(float(low[i, best]), float(high[i, best]), method="Donner-Zou, jointly with all groups")
        ratio = float(values[i] / values[best]) if usable[i] else None
        remark = remarks[i] or ("" if usable[i] else "nobody was selected")
        rows.append(ImpactRatio(group.group, group.trials, group.successes, ratio, interval, remark))
    return rows


def _judged(row: ImpactRatio) -> ImpactRatio:
    if row.ratio is None:
        return row
    low, high = (row.interval.low, row.interval.high) if row.interval else (row.ratio, row.ratio)
    below = row.ratio < FOUR_FIFTHS
    return replace(row, below=below, sure=high < FOUR_FIFTHS if below else low >= FOUR_FIFTHS)
