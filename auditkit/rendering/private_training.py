"""The findings about private trainings, arranged for a page: what they promise, what it cost, and on what it rests."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditkit.measurement import Measurement
from auditkit.rendering import narrative, privacy_charts, svg
from auditkit.rendering.evidence import is_number
from auditkit.rendering.formatting import ABSENT, interval, number, quantity, sentence_case
from auditkit.rendering.ledger_table import ledger_table, small
from auditkit.rendering.private_runs import Entry, Grid, Run, read_runs


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart, what its marks mean as (symbol, text), and the numbers that it shows."""

    id: str
    caption: str
    svg: str
    legend: Sequence[tuple[str, str]]
    grid: Grid


@dataclass(frozen=True, slots=True)
class PrivateTrainings:
    """Everything that the page shows of private trainings beside the table of their measurements."""

    warnings: Sequence[str]
    claims: Sequence[str]
    utility: Sequence[Picture]
    cost: Grid | None
    spending: Picture | None
    norms: Sequence[Picture]
    ledger: Grid | None


def arrange(id: str, measurements: Iterable[Measurement], outcomes: Mapping[str, str]) -> PrivateTrainings | None:
    """The part of a page about private trainings; None where `measurements` are of something else.

    Args:
        id: unique in the page; every picture's id starts with it.
        measurements: of one probe.
        outcomes: the gate's verdict by measurement.
    """
    runs = read_runs(measurements, outcomes)
    if not any(run.facts or run.entries for run in runs):
        return None
    return PrivateTrainings(
        warnings=_warnings(runs),
        claims=[_claim(run) for run in runs if run.value("epsilon") is not None and run.entries],
        utility=list(_utility(id, runs)),
        cost=_cost(runs) if any(set(run.metrics) - {"epsilon"} for run in runs) else None,
        spending=_spending(id, runs),
        norms=[_norms(f"{id}-norms-{i}", run, *bins) for i, run in enumerate(runs) if (bins := _histogram(run))],
        ledger=ledger_table([run for run in runs if run.entries and run.value("epsilon") is not None]),
    )


# --- in words ---------------------------------------------------------------------------------------------------


def _warnings(runs: Sequence[Run]) -> list[str]:
    """What keeps an epsilon from being believed, or from being about the audited model."""
    found = [narrative.reason_of(run.metrics["epsilon"]) for run in runs if run.status == "error"]
    if seeded := [run.name for run in runs if any(_seeded(entry) for entry in run.entries)]:
        found.append(
            f"{' and '.join(seeded)} drew from a seeded generator; epsilon holds only while nobody knows its seed. "
            "A model for release is trained with secure=True, which has none."
        )
    audited = [run.facts["audited"] for run in runs if "audited" in run.facts]
    if audited and not any(audited):
        found.append("The audited model is none of these: their weights differ, and no epsilon here speaks of it.")
    return found


def _seeded(entry: Entry) -> bool:
    return any(str(entry.get(policy)).startswith("seeded") for policy in ("noise_policy", "sampler_policy"))


def _claim(run: Run) -> str:
    """What an epsilon promises, and what it cost, in a sentence each."""
    epsilon, delta = run.value("epsilon") or 0.0, run.detail("epsilon", "delta")
    unit = run.detail("epsilon", "unit of privacy") or "example"
    audited = " (the audited model)" if run.facts.get("audited") else ""
    replaced = str(run.detail("epsilon", "neighbours")).startswith("replace")
    change = f"Any other {unit} in the place of one" if replaced else f"Whether any one {unit} was in the training data"
    promise = (
        f"{run.name}{audited}: epsilon = {number(epsilon)}. {change} changes the odds of whatever is seen of the model "
        f"by at most a factor of {_factor(epsilon)}, up to a probability of delta = {small(delta)}."
    )
    cost = run.metrics.get("utility_cost")
    return f"{promise} {_price(cost)}" if cost is not None and cost.value is not None else promise


def _factor(epsilon: float) -> str:
    """e^epsilon to three digits; the power of ten alone where it is astronomic."""
    return number(float(f"{math.exp(epsilon):.3g}")) if epsilon < 30 else f"10^{epsilon / math.log(10):.0f}"


def _price(cost: Measurement) -> str:
    value, by = cost.value or 0.0, cost.interval
    what = str(cost.details.get("metric") or "utility")
    size = quantity(abs(value), cost.unit)
    if by is not None and by.low <= 0 <= by.high and by.low < by.high:
        return f"That {what} became worse is not shown: the difference is {interval(by)} {cost.unit}."
    if by is None or value == 0:
        return f"On the validation examples the {what} is {size} {'worse' if value > 0 else 'better'}."
    return f"That made the {what} {size} {'worse' if value > 0 else 'better'} (interval {interval(by)})."


# --- utility, its cost, epsilon by epoch, norms -----------------------------------------------------------------


def _utility(id: str, runs: Sequence[Run]) -> Iterable[Picture]:
    """Utility against epsilon, one chart for each way of measuring it."""
    metrics = dict.fromkeys(_measured_as(run) for run in runs if run.value("utility") is not None)
    for i, (metric, unit) in enumerate(metrics):
        alike = [r for r in runs if r.value("utility") is not None and _measured_as(r) == (metric, unit)]
        points = [privacy_charts.Utility(r.name, r.value("epsilon") or 0.0, *_ends(r), r.outcome) for r in alike]
        points = [p for p in points if p.epsilon > 0]
        plain_run = next((r for r in alike if r.facts.get("private") is False), None)
        if not points:
            continue
        axis = metric + (f", {unit}" if unit else "")
        level = privacy_charts.Level(plain_run.name, *_ends(plain_run)) if plain_run else None
        caption = f"{sentence_case(metric)} against epsilon"
        picture = svg.inline(
            privacy_charts.utility_curve(points, axis=axis, without_privacy=level),
            id=f"{id}-utility-{i}",
            title=caption,
            description=f"{len(points)} private trainings with their intervals; the table below holds the numbers.",
        )
        legend = [("spread", "value and its interval")]
        legend += [(o, text) for o, text in _JUDGED.items() if o in {p.outcome for p in points}]
        legend += [("level", "trained without privacy, with its interval")] if level else []
        grid = Grid(
            "The numbers of the chart",
            ("Training", "Epsilon", sentence_case(axis), "95 % interval", "n"),
            _utility_rows(alike),
        )
        yield Picture(f"{id}-utility-{i}", caption, picture, legend, grid)


_JUDGED = {"FAIL": "failed a limit", "INCONCLUSIVE": "inconclusive"}


def _measured_as(run: Run) -> tuple[str, str]:
    m = run.metrics["utility"]
    return str(m.details.get("metric") or "utility"), m.unit


def _ends(run: Run) -> tuple[float, float, float]:
    """Value, low, high of the utility."""
    m = run.metrics["utility"]
    value = m.value or 0.0
    return (value, m.interval.low, m.interval.high) if m.interval else (value, value, value)


def _utility_rows(runs: Sequence[Run]) -> list[list[str]]:
    return [
        [
            run.name,
            run.spent,
            number(run.value("utility")),
            run.range("utility"),
            number(run.metrics["utility"].n),
        ]
        for run in runs
    ]


def _cost(runs: Sequence[Run]) -> Grid:
    """What privacy cost each training, in utility and in time."""
    header = ("Training", "Epsilon", "Worse than without privacy by", "95 % interval", "Gradients clipped")
    rows = [
        [
            run.name,
            run.spent,
            run.text("utility_cost"),
            run.range("utility_cost"),
            run.text("clipped_share"),
            run.text("seconds_per_step"),
            _times(run.detail("seconds_per_step", "ratio_to_non_private")),
        ]
        for run in runs
    ]
    return Grid(
        "Each training against the one without privacy", (*header, "Time of a step", "Times that without privacy"), rows
    )


def _times(ratio: Any) -> str:
    return f"{ratio:.2f}" if is_number(ratio) else ABSENT


def _spending(id: str, runs: Sequence[Run]) -> Picture | None:
    """Epsilon after every epoch; None where no training said it."""
    curves = {run.name: _epochs(run) for run in runs if _epochs(run) and run.value("epsilon") is not None}
    if not curves:
        return None
    caption = "Epsilon after every epoch"
    lines = [privacy_charts.Spending(name, list(curve), list(curve.values())) for name, curve in curves.items()]
    picture = svg.inline(
        privacy_charts.epsilon_by_epoch(lines),
        id=f"{id}-spending",
        title=caption,
        description=f"One line for each of {len(lines)} private trainings; the table below holds the numbers.",
    )
    said = "Epsilon spent since the beginning, as each training said it; the last one is checked against its ledger"
    epochs = sorted({epoch for curve in curves.values() for epoch in curve})
    rows = [[str(epoch), *(number(curve.get(epoch)) for curve in curves.values())] for epoch in epochs]
    return Picture(f"{id}-spending", caption, picture, (), Grid(said, ("Epoch", *curves), rows))


def _epochs(run: Run) -> dict[int, float]:
    """Epsilon by epoch."""
    found = run.facts.get("epochs")
    epochs = [e for e in found if isinstance(e, Mapping)] if isinstance(found, list) else []
    return {e["epoch"]: float(e["epsilon"]) for e in epochs if isinstance(e.get("epoch"), int) and _positive(e)}


def _positive(epoch: Mapping[str, Any]) -> bool:
    return is_number(epoch.get("epsilon")) and epoch["epsilon"] > 0


def _norms(id: str, run: Run, edges: Sequence[float], counts: Sequence[int]) -> Picture:
    """The norms of one training's gradients, against C."""
    c = run.detail("clipped_share", "max_grad_norm")
    seen = run.metrics["clipped_share"].n
    caption = f"{run.name}: {run.text('clipped_share')} of {number(seen)} gradients clipped"
    picture = svg.inline(
        privacy_charts.norm_histogram(edges, counts, max_grad_norm=c if is_number(c) and c > 0 else None),
        id=id,
        title=caption,
        description="How many gradients had which norm before clipping; the table below holds the numbers.",
    )
    bins = [(low, high, n) for low, high, n in zip(edges, edges[1:], counts, strict=False) if n]
    rows = [[f"{number(float(low))} to {number(float(high))}", number(n)] for low, high, n in bins]
    if beyond := seen - sum(counts):
        rows.append(["outside all of these", number(beyond)])
    grid = Grid(f"{run.name}: gradients by their norm before clipping", ("Norm", "Gradients"), rows)
    return Picture(id, caption, picture, (), grid)


def _histogram(run: Run) -> tuple[list[float], list[int]] | None:
    """Edges and counts; None where there are none to be drawn."""
    found = run.detail("clipped_share", "gradient_norms")
    edges, counts = (found.get("edges"), found.get("counts")) if isinstance(found, Mapping) else (None, None)
    if not (isinstance(edges, list) and isinstance(counts, list) and len(edges) == len(counts) + 1):
        return None
    usable = all(is_number(e) and e > 0 for e in edges) and all(isinstance(n, int) and n >= 0 for n in counts)
    return (edges, counts) if usable and any(counts) else None
