"""The history of a folder of reports as one html page: the trend of each measurement, and the table beside it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from auditkit import conclusion
from auditkit.errors import InputError
from auditkit.history import History, Point, series
from auditkit.measurement import Measurement
from auditkit.rendering import history_charts, svg
from auditkit.rendering.descriptions import describe
from auditkit.rendering.formatting import ABSENT, interval, number, one_line, plain, quantity
from auditkit.rendering.history_charts import INITIALS, TrendPoint

MAX_CHARTS = 60  # a chart costs about 40 ms and 8 kB; what is not drawn is in its table
POINTS_HEADER = ("Report", "Created", "Value", "95 % interval", "n", "Verdict", "Changed since the one before")


@dataclass(frozen=True, slots=True)
class Trend:
    """One measurement over the reports.

    Attributes:
        id: of the measurement; `anchor` is unique in the page.
        title: the probe in words.
        svg: the chart, "" where it was not drawn; `why` says why.
        rows: its points under `POINTS_HEADER`.
        outcomes: those that its points have, for the legend.
        ideal: of the measurement, as text; "" where there is none.
        marked: whether something besides the numbers changed.
    """

    id: str
    anchor: str
    title: str
    svg: str
    why: str
    rows: Sequence[tuple[str, ...]]
    outcomes: frozenset[str]
    ideal: str
    marked: bool


def to_html(history: History, pattern: str = "*") -> str:
    """One self-contained document; the same files give the same bytes.

    Args:
        history: what `auditkit.history.collect` found.
        pattern: show the measurements whose id fits it.

    Raises:
        InputError: none fits.
    """
    from auditkit.rendering.html import document

    found = series(history, pattern)
    if not found:
        known = dict.fromkeys(m.id for e in history.entries for m in e.report.measurements)
        raise InputError(
            f"--measurement {pattern}: none of {len(known)} ids fits; the first is {next(iter(known), '')}"
        )
    judged = sorted(found, key=lambda id: not any(p.outcome for p in found[id]))  # what a rule watches comes first
    drawn = [id for id in judged if any(p.measurement.value is not None for p in found[id])][:MAX_CHARTS]
    trends = [_trend(id, found[id], len(history.entries), id in drawn) for id in judged]
    left_out = [(one_line(f.path), one_line(f.reason)) for f in history.left_out]
    return document(
        "history.html",
        history=history,
        trends=trends,
        drawn=len(drawn),
        left_out=left_out,
        reports=_reports(history),
        header=POINTS_HEADER,
    )


def _trend(id: str, points: Sequence[Point], reports: int, drawn: bool) -> Trend:
    latest = points[-1].measurement
    valued = [p for p in points if p.measurement.value is not None]
    anchor = "m-" + hashlib.sha256(id.encode(errors="surrogatepass")).hexdigest()[:12]
    title = describe(latest.probe).title
    picture = _picture(valued, reports, anchor, title) if drawn else ""
    return Trend(
        id=one_line(id),
        anchor=anchor,
        title=title,
        svg=picture,
        why="" if drawn else f"not drawn: {'only the first ' + str(MAX_CHARTS) + ' are' if valued else 'no value'}",
        rows=[_row(p) for p in points],
        outcomes=frozenset(p.outcome for p in valued),
        ideal="" if latest.ideal is None else number(latest.ideal),
        marked=any(p.changed for p in points),
    )


def _picture(points: Sequence[Point], reports: int, anchor: str, title: str) -> str:
    latest = points[-1].measurement
    axis = plain(latest.id.split("/")[-1])[:60] + (f", {latest.unit}" if latest.unit else "")
    drawn = history_charts.trend([_mark(p) for p in points], reports=reports, axis=axis, ideal=latest.ideal)
    described = (
        f"{len(points)} reports, from {_value(points[0].measurement)} to {_value(latest)}. All values are below."
    )
    return svg.inline(drawn, id=f"{anchor}-chart", title=one_line(f"{title}: {latest.id}"), description=described)


def _mark(point: Point) -> TrendPoint:
    m = point.measurement
    if m.value is None:
        raise ValueError(f"{m.id}: a point without a value has no place in a chart")
    low, high = (m.interval.low, m.interval.high) if m.interval else (m.value, m.value)
    marks = "".join(INITIALS[kind] for kind in point.changed)
    return TrendPoint(point.number, m.value, low, high, point.outcome, marks)


def _row(point: Point) -> tuple[str, ...]:
    m = point.measurement
    changed = ", ".join(point.changed) or ABSENT
    created = point.entry.report.created
    return (str(point.number), created, _value(m), interval(m.interval), number(m.n), point.outcome or ABSENT, changed)


def _value(m: Measurement) -> str:
    return quantity(m.value, m.unit) if m.status == "ok" else m.status


def _reports(history: History) -> list[tuple[str, ...]]:
    """One row per report: number, file, time, model, outcome, how many measurements, probes that did not run."""
    rows: list[tuple[str, ...]] = []
    for i, entry in enumerate(history.entries, 1):
        report = entry.report
        runs = Counter(run.status for run in report.runs if run.status != "ok")
        name = one_line(str(report.subject.get("name", "unnamed model")))
        missing = ", ".join(f"{n} {status}" for status, n in sorted(runs.items())) or ABSENT
        outcome, n = conclusion.outcome(report), number(len(report.measurements))
        rows.append((str(i), one_line(entry.path), report.created, name, outcome, n, missing))
    return rows
