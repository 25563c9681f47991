"""The findings of one probe, arranged for a page: charts, the table beside each, extremes, validity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from auditkit.gate import Verdict
from auditkit.measurement import Measurement
from auditkit.rendering import charts, evidence, explanation, fairness, narrative, privacy_audit, svg
from auditkit.rendering.attack_findings import AttackSection
from auditkit.rendering.descriptions import Description, describe
from auditkit.rendering.formatting import number, parts, plain, quantity, scalar, sentence_case, shortened
from auditkit.rendering.private_training import PrivateTrainings, arrange
from auditkit.report import AuditReport

MAX_CHARTS = 3  # of one probe; what is not drawn is in its table
MAX_ROWS = 20  # of one chart
MAX_EXTREMES = 12  # of one probe
MAX_TEXT = 300  # characters of one item
MAX_NOTE = 80  # characters of one detail
MAX_COLUMNS = 4  # for further numbers

# Details that have a place of their own on the page.
_PLACED = ("validity", "extremes", "points", "reason", "data_sha256")


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement as a row of a table: the texts of its cells, beside the measurement itself."""

    measurement: Measurement
    group: str
    metric: str
    null: str
    outcome: str
    numbers: Mapping[str, str]
    notes: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows, and the names of the further numbers that most of them carry: those get a column each."""

    rows: Sequence[Row]
    columns: Sequence[str]


@dataclass(frozen=True, slots=True)
class Figure:
    """One chart and the numbers it shows.

    Attributes:
        primary: whether it is shown at once, not behind a click.
        undrawn: how many rows stand in the table only.
    """

    id: str
    caption: str
    primary: bool
    svg: str
    table: Table
    ideal: str
    has_null: bool
    outcomes: frozenset[str]
    undrawn: int = 0


@dataclass(frozen=True, slots=True)
class Scatter:
    """The pronoun gap of each occupation, as a chart and as (occupation, share of women, gap) rows."""

    svg: str
    rows: Sequence[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Extreme:
    """One item at the edge, its texts shortened."""

    a: str
    b: str
    score: str
    group: str


@dataclass(frozen=True, slots=True)
class Validity:
    """The evidence that one score means something."""

    name: str
    value: str
    null: str
    null_basis: str
    tie_rate: str
    agreement: str
    weights: str


@dataclass(frozen=True, slots=True)
class ProbeSection:
    """Everything that the page shows of one probe.

    Private trainings, attacks on them, group fairness and explanations have charts of their own instead of figures and
    extremes; attention has some beside its figures.
    """

    id: str
    probe: str
    description: Description
    outcome: str
    figures: Sequence[Figure]
    scatters: Sequence[Scatter]
    other: Table
    extremes: Sequence[Extreme]
    more_extremes: int
    validity: Sequence[Validity]
    private: PrivateTrainings | None = None
    attack: AttackSection | None = None
    fairness: fairness.GroupFairness | None = None
    explanation: explanation.Explanation | None = None


def sections(report: AuditReport) -> list[ProbeSection]:
    """One section per probe that ran, in the order of the report; what did not run has its place under coverage."""
    outcomes = _outcomes(report.verdicts)
    did_not_run = {run.probe for run in report.runs if run.status != "ok"}
    scores = _scores(report)
    by_probe: dict[str, list[Row]] = {}
    for m in report.measurements:
        if m.probe not in did_not_run:
            by_probe.setdefault(m.probe, []).append(_row(m, outcomes.get(m.id, "")))
    return [_section(f"probe-{i}", probe, rows, scores) for i, (probe, rows) in enumerate(by_probe.items(), start=1)]


def by_risk(found: Sequence[ProbeSection]) -> list[tuple[str, list[ProbeSection]]]:
    """Sections under the risk that they tell about; risks in the order in which they first appear."""
    order = list(dict.fromkeys(s.description.risk for s in found))
    ranked = sorted(found, key=lambda s: order.index(s.description.risk))
    return [(risk, list(members)) for risk, members in groupby(ranked, key=lambda s: s.description.risk)]


def _outcomes(verdicts: Sequence[Verdict]) -> dict[str, str]:
    """The worst outcome of each measurement."""
    return {v.measurement: v.outcome for v in reversed(narrative.worst_first(verdicts))}


def _scores(report: AuditReport) -> dict[str, list[float]]:
    """The item scores of the measurements whose spread is drawn, by measurement; the table is read for these only."""
    wanted = {m.id for m in report.measurements if privacy_audit.draws_spread(m)}
    items = report.items if wanted else None
    if items is None:
        return {}
    chosen = items[items["measurement"].isin(wanted)]
    return {str(id): part["value"].tolist() for id, part in chosen.groupby("measurement")}


def _section(id: str, probe: str, rows: Sequence[Row], scores: Mapping[str, Sequence[float]]) -> ProbeSection:
    measured, outcomes = [r.measurement for r in rows], {r.measurement.id: r.outcome for r in rows}
    private = arrange(id, measured, outcomes)
    attack = None if private else privacy_audit.arrange(id, measured, outcomes, scores)
    fair = fairness.arrange(id, measured)
    explained = explanation.arrange(id, measured)
    drawn = [] if private or attack or fair or (explained and explained.sets) else _charted_metrics(rows)
    figures = [_figure(f"{id}-{i}", [r for r in rows if r.metric == metric]) for i, metric in enumerate(drawn)]
    extremes = [] if attack else _extremes(measured)
    return ProbeSection(
        id=id,
        probe=probe,
        description=describe(probe),
        outcome=_worst(rows),
        figures=figures,
        scatters=list(_scatters(id, rows)),
        other=_table([r for r in rows if r.metric not in drawn]),
        extremes=extremes[:MAX_EXTREMES],
        more_extremes=max(0, len(extremes) - MAX_EXTREMES),
        validity=[_validity(r) for r in rows if evidence.validity(r.measurement)],
        private=private,
        attack=attack,
        fairness=fair,
        explanation=explained,
    )


def _worst(rows: Iterable[Row]) -> str:
    """The worst outcome among `rows`; "" where no rule asked about any."""
    found = {r.outcome for r in rows}
    return next((outcome for outcome in narrative.WORST_FIRST if outcome in found), "")


def _charted_metrics(rows: Sequence[Row]) -> list[str]:
    """The metrics worth a chart: the probe's score, then those that the gate asked about, worst first.

    Its score is the first metric that carries a validity block or, without any, the first one.
    """
    candidates = dict.fromkeys(r.metric for r in rows if r.measurement.interval is not None)
    checked = [r.metric for r in rows if r.metric in candidates and evidence.validity(r.measurement)]
    worst = {metric: _worst(r for r in rows if r.metric == metric) for metric in candidates}
    judged = [metric for outcome in narrative.WORST_FIRST for metric in candidates if worst[metric] == outcome]
    return list(dict.fromkeys([*[*checked, *candidates][:1], *judged, *candidates]))[:MAX_CHARTS]


def _row(m: Measurement, outcome: str) -> Row:
    group, metric = parts(m)
    null = evidence.null(m)
    numbers = {plain(key): number(value) for key, value in m.details.items() if evidence.is_number(value)}
    return Row(m, group, metric, null.text if null else "", outcome, numbers, _notes(m))


def _table(rows: Sequence[Row]) -> Table:
    """The columns are the commonest further numbers, each carried by at least half of the rows."""
    counts = Counter(name for row in rows for name in row.numbers)
    return Table(rows, [name for name, n in counts.most_common(MAX_COLUMNS) if 2 * n >= len(rows)])


def _notes(m: Measurement) -> str:
    """Why there is no value, or the words among the details."""
    if m.status != "ok":
        return narrative.reason_of(m)
    words = {key: value for key, value in m.details.items() if key not in _PLACED and isinstance(value, bool | str)}
    return "; ".join(f"{plain(key)}: {shortened(scalar(value), MAX_NOTE)}" for key, value in words.items())


def _figure(id: str, rows: Sequence[Row]) -> Figure:
    shown = [_plot_row(r, r.measurement.value) for r in rows if r.measurement.value is not None]
    drawn = shown[:MAX_ROWS]
    metric, unit = plain(rows[0].metric), rows[0].measurement.unit
    ideals = {r.measurement.ideal for r in rows}
    ideal = ideals.pop() if len(ideals) == 1 else None  # one line can stand for one ideal only
    caption = sentence_case(metric) + (" by category" if len(rows) > 1 else "")
    return Figure(
        id=id,
        caption=caption,
        primary=id.endswith("-0") or any(r.outcome for r in rows),
        svg=svg.inline(
            charts.interval_plot(drawn, axis=metric + (f", {unit}" if unit else ""), ideal=ideal),
            id=f"chart-{id}",
            title=caption,
            description=f"{len(drawn)} values with their intervals; the table below holds the same numbers.",
        ),
        table=_table(rows),
        ideal="" if ideal is None else f"{ideal:g} {unit}".rstrip(),
        has_null=any(d.null is not None for d in drawn),
        outcomes=frozenset(d.outcome for d in drawn),
        undrawn=len(shown) - len(drawn),
    )


def _plot_row(row: Row, value: float) -> charts.IntervalRow:
    m, null = row.measurement, evidence.null(row.measurement)
    return charts.IntervalRow(
        label=row.group,
        value=value,
        low=m.interval.low if m.interval else value,
        high=m.interval.high if m.interval else value,
        null=null.mean if null else None,
        null_low=null.low if null else None,
        null_high=null.high if null else None,
        outcome=row.outcome,
    )


def _scatters(id: str, rows: Sequence[Row]) -> Iterator[Scatter]:
    for i, points in enumerate(filter(None, (evidence.points(r.measurement) for r in rows)), 1):
        picture = svg.inline(
            charts.gap_scatter(points),
            id=f"scatter-{id}-{i}",
            title="Pronoun gap of each occupation against its real share of women",
            description=f"{len(points)} occupations; the table below holds the same numbers.",
        )
        table = [(str(p.get("occupation", "")), number(100 * p["female_share"]), number(p["gap"])) for p in points]
        yield Scatter(picture, table)


def _extremes(measurements: Iterable[Measurement]) -> list[Extreme]:
    """The extreme items of all measurements, each pair of texts once."""
    found: dict[tuple[str, str], Extreme] = {}
    for m in measurements:
        for item in evidence.extremes(m):
            a, b = (shortened(str(item.get(side, "")), MAX_TEXT) for side in "ab")
            found.setdefault((a, b), Extreme(a, b, scalar(item.get("score")), plain(str(item.get("group", "")))))
    return list(found.values())


def _validity(row: Row) -> Validity:
    m, null = row.measurement, evidence.null(row.measurement)
    return Validity(
        name=f"{plain(row.metric)}, {plain(row.group)}",
        value=quantity(m.value, m.unit),
        null=null.text if null else "",
        null_basis=null.basis if null else "",
        tie_rate=evidence.tie_rate(m),
        agreement=evidence.agreement(m),
        weights=evidence.weights(m),
    )
