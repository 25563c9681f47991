"""The findings of one probe, arranged for a page: charts, the table beside each, extremes, validity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from auditkit.gate import Verdict
from auditkit.measurement import Measurement
from auditkit.rendering import (
    charts,
    citation,
    compression,
    evidence,
    explanation,
    fairness,
    glossary,
    mitigation,
    model_mitigation,
    narrative,
    privacy_audit,
    svg,
)
from auditkit.rendering.attack_findings import AttackSection
from auditkit.rendering.descriptions import Description, describe
from auditkit.rendering.formatting import number, plain, quantity, scalar, sentence_case, shortened
from auditkit.rendering.interval_charts import IntervalRow, interval_plot
from auditkit.rendering.private_training import PrivateTrainings, arrange
from auditkit.rendering.tables import Row, Table, as_row, as_table, with_ways
from auditkit.report import AuditReport

MAX_CHARTS = 3  # of one probe; what is not drawn is in its table
MAX_ROWS = 20  # of one chart
MAX_EXTREMES = 12  # of one probe
MAX_TEXT = 300  # characters of one item


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

    Private trainings, attacks on them, group fairness, mitigations, compression and explanations have charts of their
    own instead of figures and extremes; attention has some beside its figures.
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
    origins: citation.Origins
    terms: Sequence[glossary.Term]
    private: PrivateTrainings | None = None
    attack: AttackSection | None = None
    fairness: fairness.GroupFairness | None = None
    mitigation: mitigation.Mitigation | None = None
    model_mitigation: model_mitigation.ModelMitigation | None = None
    compression: compression.Compression | None = None
    explanation: explanation.Explanation | None = None


def sections(report: AuditReport) -> list[ProbeSection]:
    """One section per probe that ran, in the order of the report; what did not run has its place under coverage."""
    outcomes = _outcomes(report.verdicts)
    did_not_run = {run.probe for run in report.runs if run.status != "ok"}
    scores = _scores(report)
    by_probe: dict[str, list[Row]] = {}
    for m in report.measurements:
        if m.probe not in did_not_run:
            by_probe.setdefault(m.probe, []).append(as_row(m, outcomes.get(m.id, "")))
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
    rows = with_ways(rows)
    private = arrange(id, measured, outcomes)
    attack = None if private else privacy_audit.arrange(id, measured, outcomes, scores)
    fair = fairness.arrange(id, measured)
    mitigated = mitigation.arrange(id, measured)
    models = model_mitigation.arrange(id, measured)
    explained = explanation.arrange(id, measured)
    compressed = compression.arrange(id, measured)
    arranged = private or attack or fair or mitigated or models or compressed or (explained and explained.sets)
    drawn = [] if arranged else _charted_metrics(rows)
    figures = [_figure(f"{id}-{i}", [r for r in rows if r.metric == metric]) for i, metric in enumerate(drawn)]
    extremes = [] if attack else _extremes(measured)
    return ProbeSection(
        id=id,
        probe=probe,
        description=describe(probe),
        outcome=_worst(rows),
        figures=figures,
        scatters=list(_scatters(id, rows)),
        other=as_table([r for r in rows if r.metric not in drawn]),
        extremes=extremes[:MAX_EXTREMES],
        more_extremes=max(0, len(extremes) - MAX_EXTREMES),
        validity=[_validity(r) for r in rows if evidence.validity(r.measurement)],
        origins=citation.origins(probe, measured),
        terms=glossary.used_in(_texts(probe, rows))[: glossary.MAX_TERMS],
        private=private,
        attack=attack,
        fairness=fair,
        mitigation=mitigated,
        model_mitigation=models,
        compression=compressed,
        explanation=explained,
    )


def _texts(probe: str, rows: Sequence[Row]) -> Iterator[str]:
    """What a reader of the section meets: its prose, the names of its metrics, the heads of its columns."""
    d = describe(probe)
    yield from (d.title, d.question, d.reading, "95 % interval", "n")
    yield from {plain(r.metric) for r in rows}
    yield from {name for r in rows for name in r.numbers}
    if any(r.null for r in rows):
        yield "random weights"


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
            interval_plot(drawn, axis=metric + (f", {unit}" if unit else ""), ideal=ideal),
            id=f"chart-{id}",
            title=caption,
            description=f"{len(drawn)} values with their intervals; the table below holds the same numbers.",
        ),
        table=as_table(rows),
        ideal="" if ideal is None else f"{ideal:g} {unit}".rstrip(),
        has_null=any(d.null is not None for d in drawn),
        outcomes=frozenset(d.outcome for d in drawn),
        undrawn=len(shown) - len(drawn),
    )


def _plot_row(row: Row, value: float) -> IntervalRow:
    m, null = row.measurement, evidence.null(row.measurement)
    return IntervalRow(
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
