"""How much farther from its ideal a measurement is than in an earlier report, compared item by item.

Two reports on the same items are paired: what makes an item hard for both models cancels, so far smaller changes are
found than by comparing two intervals. Items that only one of the two reports has are left out, and counted; what else
must be the same for a comparison, `auditkit.comparability` says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from auditkit import comparability
from auditkit.errors import DataError, MissingExtra
from auditkit.measurement import Interval, Measurement

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from auditkit.report import AuditReport

    Floats = npt.NDArray[np.float64]

Table: TypeAlias = "pd.DataFrame | MissingExtra | None"
SAME_VALUE = 1e-6  # how far, relatively, a measurement may be from the value that its own item scores give


class NotJudged(Exception):
    """Why a rule cannot be judged; the gate makes it an ERROR verdict."""


class Worsening(NamedTuple):
    """|value - ideal| now minus |value - ideal| before, in the measurement's unit, on the n items that both have."""

    value: float
    interval: Interval
    n: int
    note: str


@dataclass(frozen=True)
class Comparison:
    """A report beside its baseline; the tables of item scores are read when first needed."""

    report: AuditReport
    baseline: AuditReport | None

    @cached_property
    def _tables(self) -> tuple[Table, Table]:
        return table_of(self.report), None if self.baseline is None else table_of(self.baseline)

    def worsening(self, m: Measurement) -> Worsening:
        """The worsening of `m`, with the interval of the paired difference.

        The distance from the ideal is signed by the side on which each model was found; where a model's side is
        uncertain the interval is wider than need be, never narrower.

        Raises:
            NotJudged: no baseline or the report itself, no ideal, no value, another probe, unit or anything else that
                makes the two unlike, too few items shared, items that do not give the value reported, or nothing
                installed to read them with.
            ReportError: a table of item scores is damaged.
        """
        (baseline, before), ideal = self._before(m), m.ideal
        if ideal is None:
            raise NotJudged("has no ideal value, so that better and worse are not defined; use min and max")
        refuse_unlike(baseline, before, self.report, m)
        now, then = items_of(self._tables[0], m, "this report"), items_of(self._tables[1], before, "the baseline")

        import numpy as np  # where there are tables, there is numpy

        from auditkit.probes.base import generator

        shared = np.sort(shared_items(then, now, none="has no item in common with the baseline").to_numpy())
        note = f"; {len(shared)} items shared, {len(now) - len(shared)} only here, {len(then) - len(shared)} only there"
        now, then = now.loc[shared], then.loc[shared]
        here, there = estimate(now, m) - ideal, estimate(then, m) - ideal
        side_here, side_there = math.copysign(1, here), math.copysign(1, there)
        # |here| - |there| = mean, slope or correlation of b, less that of a, plus this constant
        constant = (side_there - side_here) * ideal
        a, b = side_there * then["value"].to_numpy(), side_here * now["value"].to_numpy()
        rng = generator(self.report.seed, m.id)
        try:
            span = 0.0 if comparability.is_same_model(self.report, baseline) else span_of(m, a)
            change = paired_interval(a, b, now, m, rng, span=span)
        except DataError as e:
            raise NotJudged(f"cannot be compared: {e}") from e
        interval = Interval(change.low + constant, change.high + constant, change.level, f"paired {change.method}")
        return Worsening(abs(here) - abs(there), interval, len(shared), note)

    def _before(self, m: Measurement) -> tuple[AuditReport, Measurement]:
        """The baseline, and the same measurement in it."""
        if self.baseline is None:
            raise NotJudged("needs a baseline report, and none was given")
        if why := comparability.no_baseline(self.baseline, self.report):
            raise NotJudged(f"cannot be compared: the baseline {why}")
        before = next((b for b in self.baseline.measurements if b.id == m.id), None)
        if before is None:
            raise NotJudged("is not in the baseline report")
        for which, found in (("", m), (" in the baseline", before)):
            if found.value is None:
                raise NotJudged(f"is {found.status}{which}: {found.details.get('reason', 'no reason given')}")
        return self.baseline, before


def refuse_unlike(before: AuditReport, was: Measurement, now: AuditReport, found: Measurement) -> None:
    """Raise NotJudged, with what differs, unless `was` in `before` and `found` in `now` measure the same."""
    if unlike := comparability.differences(before, was, now, found):
        raise NotJudged(f"cannot be compared, like with like only: {'; '.join(unlike)}")


def shared_items(then: pd.DataFrame, now: pd.DataFrame, *, none: str) -> pd.Index:
    """The items that both tables have, which `items_of` gave; `none` is said where there is none.

    Raises:
        NotJudged: too few for the rest of either table not to matter, or other covariates of the same items.
    """
    shared = now.index.intersection(then.index)
    if shared.empty:
        raise NotJudged(f"{none}; audit both models on the same data")
    if why := comparability.too_few_shared(len(shared), len(now), len(then)):
        raise NotJudged(f"cannot be compared: {why}")
    if not then.loc[shared, "x"].astype(float).equals(now.loc[shared, "x"].astype(float)):
        raise NotJudged("cannot be compared: x, which the value is a slope or correlation on, is not the same")
    return shared


def table_of(report: AuditReport) -> Table:
    """The item scores of a report, None where it has none, or what is not installed to read them."""
    try:
        return report.items
    except MissingExtra as e:
        return e


def items_of(table: Table, m: Measurement, where: str) -> pd.DataFrame:
    """The item scores of `m`, indexed by item, each with a cluster.

    Raises:
        NotJudged: `where` has none, or they do not give the value of `m`.
    """
    if isinstance(table, MissingExtra):
        raise NotJudged(f"cannot be compared: {table}")
    if table is None:
        raise NotJudged(f"cannot be compared: {where} has no item scores beside it")
    items = table[table["measurement"] == m.id].set_index("item")
    if items.empty:
        raise NotJudged(f"cannot be compared: {where} keeps no item scores of this measurement")
    if not items.index.is_unique:
        raise NotJudged(f"cannot be compared: {where} holds an item of it twice")
    # An item without a cluster is its own.
    items = items.assign(cluster=[c or item for c, item in zip(items["cluster"], items.index, strict=True)])
    given = estimate(items, m)
    if m.value is None or not math.isclose(given, m.value, rel_tol=SAME_VALUE, abs_tol=SAME_VALUE):
        raise NotJudged(f"cannot be compared: in {where} it is {m.value} but its item scores give {given:.6g}")
    return items


def span_of(m: Measurement, scores: Floats) -> float:
    """How far apart the answers of two models to one item can lie; 0 where no answer is equal by chance.

    Decisions in per cent, and answers that are whole numbers (yes or no, a count, a mark), are.
    """
    if m.unit == "%":
        return 100.0
    return max(1.0, float(scores.max() - scores.min())) if (scores == scores.round()).all() else 0.0


def paired_interval(
    a: Floats, b: Floats, items: pd.DataFrame, m: Measurement, rng: np.random.Generator, *, span: float
) -> Interval:
    """Interval of what `m` is over the scores b less what it is over the scores a, of the same `items`.

    Args:
        a: (n,) scores before.
        b: (n,) scores after.
        items: (n,) with the columns cluster and x.
        m: says whether it is a mean, a slope or a correlation.
        rng: the source of all randomness.
        span: see `stats.paired_bootstrap`; 0 for a model and itself.

    Raises:
        DataError: too few items, scores without spread, or a correlation over items that share a cluster.
    """
    from auditkit import stats
    from auditkit.correlations import correlation_difference

    if not m.is_correlation or (a == b).all():
        return stats.paired_bootstrap(
            a, b, clusters=items["cluster"].to_numpy(), x=covariate(items), span=span, rng=rng
        )
    if not items["cluster"].is_unique:
        raise DataError("correlations are compared over independent items only, and some of these share a cluster")
    return correlation_difference(items["x"].to_numpy(dtype=float), a, b)


def covariate(items: pd.DataFrame) -> Floats | None:
    """The covariate of a slope or a correlation; None for a mean."""
    return None if items["x"].isna().all() else items["x"].to_numpy(dtype=float)


def estimate(items: pd.DataFrame, m: Measurement) -> float:
    """What `m` is over `items`: the mean of their scores, their least-squares slope on x, or their correlation with it.

    Raises:
        NotJudged: x is the same for all items.
    """
    import numpy as np

    values, x = items["value"].to_numpy(dtype=float), covariate(items)
    if x is None:
        return float(values.mean())
    centred = x - x.mean()
    if not centred.any():
        raise NotJudged("cannot be compared: x is the same for all shared items, so that there is no slope")
    if m.is_correlation:
        spread = float(np.linalg.norm(centred) * np.linalg.norm(values - values.mean()))
        return float(centred @ values) / spread if spread else 0.0
    return float(centred @ values / (centred @ centred))
