"""The findings about group fairness, arranged for a page: groups side by side, calibration, disparate impact, changes.

Of the measurements' details, which a plug-in may fill as it likes, what does not have the expected shape is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditkit.measurement import Measurement
from auditkit.rendering import fairness_charts, svg
from auditkit.rendering.evidence import is_number
from auditkit.rendering.fairness_charts import CurvePoint, GroupDot
from auditkit.rendering.formatting import ABSENT, number, parts, plain, together
from auditkit.rendering.private_runs import Grid
from auditkit.rendering.private_training import Picture

METRICS = {
    "selection_rate": "selection rate",
    "accuracy": "accuracy",
    "true_positive_rate": "TPR",
    "false_positive_rate": "FPR",
    "precision": "precision",
}
"""Every metric, and how the head of a panel calls it."""
MAX_ROWS = 20  # of one chart: those with the smallest and the largest selection rates; the table holds all
MAX_CURVES = 9
FOUR_FIFTHS = "Four-fifths rule (EEOC, 29 CFR 1607.4 D): selection rates against that of the most selected group"
LAW_144 = "Impact ratios as New York City's Local Law 144 asks for them: no threshold is set, and none is applied"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One partition of the people.

    Attributes:
        name: its attributes in words, as in "sex and race".
        crossed: whether it is of several attributes; those are behind a click.
        summary: one sentence on the selection rate.
        groups: every metric of every group, and its chart.
        undrawn: how many groups stand in the table only.
        calibration: scores against outcomes, where there are scores.
        ranking: how well the scores rank the people of each group.
        four_fifths: the rule of the EEOC, group by group.
        local_law_144: the impact ratios of Local Law 144, category by category.
        changes: what changed from another model, group by group.
    """

    name: str
    crossed: bool
    summary: str
    groups: Picture
    undrawn: int
    calibration: Picture | None
    ranking: Picture | None
    four_fifths: Grid | None
    local_law_144: Grid | None
    changes: Grid | None


@dataclass(frozen=True, slots=True)
class GroupFairness:
    """Everything that the page shows of group fairness beside the table of its measurements."""

    attributes: Sequence[Attribute]


def arrange(id: str, measurements: Iterable[Measurement]) -> GroupFairness | None:
    """The part of a page about group fairness; None where `measurements` are of something else.

    Args:
        id: unique in the page; every picture's id starts with it.
        measurements: of one probe.
    """
    measured = list(measurements)
    overall = {parts(m)[1]: m.value for m in measured if parts(m)[0] == "all" and m.value is not None}
    by_attribute: dict[str, list[Measurement]] = {}
    for m in measured:
        attribute = m.details.get("attribute")
        if isinstance(attribute, str) and isinstance(m.details.get("metric"), str):
            by_attribute.setdefault(attribute, []).append(m)
    found = [_attribute(f"{id}-fairness-{i}", name, ms, overall) for i, (name, ms) in enumerate(by_attribute.items())]
    return GroupFairness([a for a in found if a is not None]) if any(found) else None


def _attribute(id: str, name: str, measured: Sequence[Measurement], overall: Mapping[str, float]) -> Attribute | None:
    """One partition; None where no group has a rate."""
    rates: dict[str, dict[str, Measurement]] = {}
    for m in measured:
        group, metric = parts(m)
        if metric in METRICS and group != name:
            rates.setdefault(group, {})[metric] = m
    rates = dict(sorted(rates.items(), key=lambda item: _value(item[1].get("selection_rate"))))
    if not rates:
        return None
    gaps = {parts(m)[1]: m for m in measured if parts(m)[0] == name}
    ratio = gaps.get("selection_rate_ratio")
    shown = _ends(list(rates), MAX_ROWS)
    title = " and ".join(plain(column) for column in name.split("+"))
    return Attribute(
        name=title,
        crossed="+" in name,
        summary=_summary(gaps.get("selection_rate_difference")),
        groups=_dots(id, title, rates, shown, overall),
        undrawn=len(rates) - len(shown),
        calibration=_calibration(id, title, measured),
        ranking=_ranking(id, title, measured),
        four_fifths=_impact(FOUR_FIFTHS, ratio, "four_fifths", judged=True),
        local_law_144=_impact(LAW_144, ratio, "local_law_144", judged=False),
        changes=_changes(title, gaps),
    )


def _value(m: Measurement | None) -> float:
    return m.value if m is not None and m.value is not None else -1.0


def _ends(names: Sequence[str], limit: int) -> list[str]:
    """At most `limit` names, half of them from either end."""
    return list(names) if len(names) <= limit else [*names[: limit // 2], *names[-(limit - limit // 2) :]]


def _short(group: str) -> str:
    """The values alone: "Female, Black" of "sex=Female+race=Black"."""
    return ", ".join(part.partition("=")[2] or part for part in group.split("+"))


def _summary(difference: Measurement | None) -> str:
    """Between which groups the selection rates differ most, or why nothing can be said."""
    if difference is None:
        return ""
    if difference.value is None or difference.interval is None:
        return f"Selection rates cannot be compared: {difference.details.get('reason', 'no reason was recorded')}."
    low, high = (_short(str(difference.details.get(end, ""))) for end in ("lowest", "highest"))
    ends = " to ".join(together(difference.interval.low, difference.interval.high))
    small = difference.details.get("small_cells")
    left_out = ""
    if isinstance(small, list) and small:
        left_out = f" {len(small)} group{'s' * (len(small) > 1)} of fewer than 30 people shown, but not compared."
    return f"Selection rates differ by {number(difference.value)} ({ends}): {low} least, {high} most.{left_out}"


def _dots(
    id: str,
    title: str,
    rates: Mapping[str, Mapping[str, Measurement]],
    shown: Sequence[str],
    overall: Mapping[str, float],
) -> Picture:
    dots = [
        GroupDot(
            group=_short(group),
            metric=METRICS[metric],
            value=m.value,
            low=m.interval.low if m.interval else m.value,
            high=m.interval.high if m.interval else m.value,
            small=m.details.get("small_cell") is True,
        )
        for group in shown
        for metric, m in rates[group].items()
        if m.value is not None
    ]
    picture = svg.inline(
        fairness_charts.group_dots(dots, overall={METRICS[m]: value for m, value in overall.items() if m in METRICS}),
        id=f"{id}-groups",
        title=f"Metrics by {title}",
        description=f"{len(shown)} groups, five metrics, each with its interval; the table below holds the numbers.",
    )
    small = [("small", "fewer than 30 people: shown, not compared")] if any(d.small for d in dots) else []
    legend = [("value", "rate and its interval"), *small, ("ideal", "rate over everybody")]
    rows = [
        [_short(group), _people(found), *(_cell(found.get(metric)) for metric in METRICS)]
        for group, found in rates.items()
    ]
    header = ("Group", "People", *(_with_short(plain(metric), short) for metric, short in METRICS.items()))
    caption = f"Metrics by {title}: rates with their 95 % intervals"
    return Picture(f"{id}-groups", f"By {title}", picture, legend, Grid(caption, header, rows))


def _with_short(name: str, short: str) -> str:
    return name if name == short else f"{name} ({short})"


def _people(found: Mapping[str, Measurement]) -> str:
    return number(found["selection_rate"].n) if "selection_rate" in found else ABSENT


def _cell(m: Measurement | None) -> str:
    """As in "0.31 (0.29 to 0.33) *"; the star marks what Fisher's test tells from everybody else."""
    if m is None or m.value is None:
        return ABSENT
    ends = f" ({' to '.join(together(m.interval.low, m.interval.high))})" if m.interval else ""
    p = m.details.get("p_value_holm")
    return f"{number(m.value)}{ends}{' *' if is_number(p) and p < 0.05 else ''}"


def _calibration(id: str, title: str, measured: Sequence[Measurement]) -> Picture | None:
    """Reliability curves of the largest groups; None where no scores were given."""
    gaps = {_short(parts(m)[0]): m for m in measured if parts(m)[1] == "calibration_gap" and _bins(m)}
    if not gaps:
        return None
    drawn = sorted(gaps, key=lambda group: -gaps[group].n)[:MAX_CURVES]
    points = [
        CurvePoint(group, b["mean_score"], b["share"], b["low"], b["high"])
        for group in drawn
        for b in _bins(gaps[group])
    ]
    picture = svg.inline(
        fairness_charts.calibration_curves(points),
        id=f"{id}-calibration",
        title=f"Calibration by {title}",
        description="The share of positives at each score, by group; the table below holds the numbers.",
    )
    rows = [
        [group, number(m.value), _interval(m), number(m.details.get("expected_calibration_error")), number(m.n)]
        for group, m in gaps.items()
    ]
    header = ("Group", "Mean score less share of positives", "95 % interval", "Expected calibration error", "n")
    legend = [("value", "share of positives in a tenth of the scores"), ("ideal", "calibrated")]
    grid = Grid(f"Calibration by {title}", header, rows)
    return Picture(f"{id}-calibration", f"Calibration by {title}", picture, legend, grid)


def _ranking(id: str, title: str, measured: Sequence[Measurement]) -> Picture | None:
    """ROC curves of the largest groups; None where no scores were given."""
    areas = {_short(parts(m)[0]): m for m in measured if parts(m)[1] == "roc_auc" and _curve(m)}
    if not areas:
        return None
    drawn = sorted(areas, key=lambda group: -areas[group].n)[:MAX_CURVES]
    picture = svg.inline(
        fairness_charts.roc_curves({group: _curve(areas[group]) for group in drawn}),
        id=f"{id}-ranking",
        title=f"ROC by {title}",
        description="True against false positive rate of the score, by group; the table below holds the areas.",
    )
    rows = [
        [group, number(m.value), _interval(m), number(m.details.get("positives")), number(m.n)]
        for group, m in areas.items()
    ]
    header = ("Group", "Area under the curve", "95 % interval", "Positives", "n")
    grid = Grid(f"ROC by {title}: how often a positive is scored above a negative of the same group", header, rows)
    legend = [("value", "the score"), ("ideal", "a score that knows nothing")]
    return Picture(f"{id}-ranking", f"ROC by {title}", picture, legend, grid)


def _curve(m: Measurement) -> list[tuple[float, float]]:
    found = m.details.get("roc")
    sides = [found.get("fpr"), found.get("tpr")] if isinstance(found, Mapping) else []
    lists = [side for side in sides if isinstance(side, list) and all(map(is_number, side))]
    return list(zip(*lists, strict=False)) if len(lists) == 2 else []


def _bins(m: Measurement) -> list[Mapping[str, float]]:
    found = m.details.get("bins")
    bins = [b for b in found if isinstance(b, Mapping)] if isinstance(found, list) else []
    return [b for b in bins if all(is_number(b.get(key)) for key in ("mean_score", "share", "low", "high"))]


def _interval(m: Measurement) -> str:
    return " to ".join(together(m.interval.low, m.interval.high)) if m.interval else ABSENT


def _rows(m: Measurement | None, key: str) -> list[Mapping[str, Any]]:
    found = m.details.get(key) if m is not None else None
    return [row for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []


def _impact(caption: str, ratio: Measurement | None, key: str, *, judged: bool) -> Grid | None:
    rows = [
        [
            _short(str(row.get("group", ""))),
            number(row.get("people")),
            number(row.get("selected")),
            number(row.get("ratio")),
            _pair(row.get("interval")),
            str(row.get("remark") or (_against(row) if judged else ABSENT)),
        ]
        for row in _rows(ratio, key)
    ]
    header = ("Group", "People", "Selected", "Impact ratio", "95 % interval", "Against 0.8" if judged else "Remark")
    return Grid(caption, header, rows) if rows else None


def _against(row: Mapping[str, Any]) -> str:
    """What the four-fifths rule says, and whether that could be chance."""
    side = "below" if row.get("below") else "not below"
    return side if row.get("sure") else f"{side}, but the interval lies on both sides"


def _pair(ends: Any) -> str:
    usable = isinstance(ends, list) and len(ends) == 2 and all(map(is_number, ends))
    return " to ".join(together(*ends)) if usable else ABSENT


def _changes(title: str, gaps: Mapping[str, Measurement]) -> Grid | None:
    """Metric by metric and group by group: before, after, and the change with its interval."""
    rows: list[list[str]] = []
    for metric in METRICS:
        m = gaps.get(f"{metric}_difference_change")
        if m is None:
            continue
        rows.append(
            [f"{plain(metric)}: difference among groups", ABSENT, ABSENT, number(m.value), _interval(m), ABSENT]
        )
        rows += [_change(metric, row) for row in _rows(m, "changes")]
    header = ("What", "Other model", "This model", "Change", "95 % interval", "p (Holm)")
    return Grid(f"From the other model to this one, by {title}, on the same people", header, rows) if rows else None


def _change(metric: str, row: Mapping[str, Any]) -> list[str]:
    before, after = row.get("before"), row.get("after")
    change = number(after - before) if is_number(before) and is_number(after) else ABSENT
    return [
        f"{plain(metric)}: {_short(str(row.get('group', '')))}",
        number(before),
        number(after),
        change,
        _pair(row.get("interval")),
        number(row.get("p_value_holm")),
    ]
