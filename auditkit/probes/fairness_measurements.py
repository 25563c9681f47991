"""What `auditkit.fairness` found, as measurements. `at` is the probe's id everywhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from auditkit import stats
from auditkit.fairness.calibration import Bin, GroupCalibration, gap_difference
from auditkit.fairness.discrimination import GroupDiscrimination, area_difference
from auditkit.fairness.groups import Gap, GroupRate, MetricByGroup
from auditkit.fairness.impact import ImpactRatio, four_fifths, local_law_144
from auditkit.fairness.metrics import METRICS, SMALL_CELL, count, shares
from auditkit.fairness.paired import Change, GroupChange
from auditkit.fairness.people import Partition, People
from auditkit.measurement import Measurement
from auditkit.probes.evidence import adjust_p_values

SOURCE = "Bird et al. 2020, Fairlearn, MSR-TR-2020-32; Weerts et al. 2023, JMLR 24(257)"
CALIBRATION_SOURCE = "Kleinberg et al. 2017, arXiv:1609.05807; Naeini et al. 2015, AAAI"
DISCRIMINATION_SOURCE = "Hanley & McNeil 1982, Radiology 143; DeLong et al. 1988, Biometrics 44"
ALPHA = 0.05
ONE_GROUP = 2  # people that are a group: one alone may be left out


def overall(at: str, people: People) -> Iterator[Measurement]:
    """Every metric over everybody."""
    counts = count(np.zeros(len(people), dtype=int), people.label, people.prediction, groups=1)
    for metric in METRICS:
        successes, trials = shares(counts, metric)
        yield _share(f"{at}/all/{metric}", metric, int(successes[0]), int(trials[0]), {"metric": metric})


def rates(at: str, found: Sequence[MetricByGroup]) -> list[Measurement]:
    """Every metric of every group, small ones too.

    The p-values are adjusted over all of them: by Holm, which bounds the chance of any false alarm, and by Benjamini
    and Hochberg, who bound the share of false ones among the alarms.
    """
    measured = [_rate(at, by_group, g) for by_group in found for g in by_group.groups]
    tested = [m for m in measured if "p_value" in m.details]
    p_values = stats.benjamini_hochberg([m.details["p_value"] for m in tested]).tolist() if tested else []
    adjusted = {m.id: p for m, p in zip(tested, p_values, strict=True)}
    return [m.with_details(p_value_bh=adjusted[m.id]) if m.id in adjusted else m for m in adjust_p_values(measured)]


def gaps(
    at: str, people: People, found: Sequence[MetricByGroup], rates: Sequence[Measurement]
) -> Iterator[Measurement]:
    """Difference and ratio of every metric and partition; `rates` say which groups a test tells from the others."""
    flagged: dict[tuple[str, str], list[str]] = defaultdict(list)
    for m in rates:
        if m.details.get("p_value_holm", 1.0) < ALPHA:
            flagged[m.details["attribute"], m.details["metric"]].append(m.id.split("/")[1])
    for by_group in found:
        details = _compared(by_group) | {"flagged_groups": flagged[by_group.partition.name, by_group.metric]}
        details |= _undecided(by_group, people)
        small = [g.group for g in by_group.groups if g.small]
        without = [_left_out(by_group.partition, small, v) for v in (by_group.difference_of_all, by_group.ratio_of_all)]
        name, words = f"{at}/{by_group.partition.name}/{by_group.metric}", by_group.metric.replace("_", " ")
        yield _gap(
            f"{name}_difference",
            by_group,
            by_group.difference,
            f"largest less smallest {words}",
            0.0,
            details | without[0],
        )
        ratio = _gap(
            f"{name}_ratio", by_group, by_group.ratio, f"smallest over largest {words}", 1.0, details | without[1]
        )
        yield ratio.with_details(**_impact(by_group)) if by_group.metric == "selection_rate" else ratio


def calibration(at: str, partition: Partition, groups: Sequence[GroupCalibration]) -> Iterator[Measurement]:
    """The calibration gap of every group, and how far the gaps are apart."""
    details: dict[str, Any] = {"attribute": partition.name, "metric": "calibration_gap"}
    compared, values = [g for g in groups if not g.small], [g.gap for g in groups]
    small = [g.group for g in groups if g.small]
    yield _measured(
        f"{at}/{partition.name}/calibration_gap_difference",
        gap_difference(groups),
        reason=_why_not(partition),
        n=sum(g.n for g in compared),
        ideal=0.0,
        method=f"largest less smallest calibration gap {_many(len(compared))}",
        source=CALIBRATION_SOURCE,
        details=details | _left_out(partition, small, max(values) - min(values)),
    )
    for g in groups:
        more: dict[str, Any] = {"expected_calibration_error": g.error} | ({"small_cell": True} if g.small else {})
        if len(partition.columns) == 1:
            more["bins"] = [_bin(b) for b in g.bins]
        yield Measurement(
            id=f"{at}/{g.group}/calibration_gap",
            value=g.gap,
            interval=g.interval,
            n=g.n,
            ideal=0.0,
            method="mean score less share of positives",
            source=CALIBRATION_SOURCE,
            details=details | more,
        )


def discrimination(at: str, partition: Partition, groups: list[GroupDiscrimination]) -> Iterator[Measurement]:
    """The area under the ROC of every group, and how far the areas are apart."""
    details: dict[str, Any] = {"attribute": partition.name, "metric": "roc_auc"}
    compared, values = [g for g in groups if not g.small], [g.area for g in groups if g.area is not None]
    small, reach = [g.group for g in groups if g.small], max(values) - min(values) if values else None
    yield _measured(
        f"{at}/{partition.name}/roc_auc_difference",
        area_difference(groups),
        reason=_why_not(partition),
        n=sum(g.positives + g.negatives for g in compared),
        ideal=0.0,
        method=f"largest less smallest area under the ROC {_many(len(compared))} with either outcome",
        source=DISCRIMINATION_SOURCE,
        details=details | _left_out(partition, small, reach),
    )
    for g in groups:
        more: dict[str, Any] = {"positives": g.positives} | ({"small_cell": True} if g.small else {})
        if len(partition.columns) == 1 and g.fpr:
            more["roc"] = {"fpr": list(g.fpr), "tpr": list(g.tpr)}
        more |= {"reason": "fewer than two people have one of the two outcomes"} if g.area is None else {}
        yield Measurement(
            id=f"{at}/{g.group}/roc_auc",
            value=g.area,
            interval=g.interval,
            status="undefined" if g.area is None else "ok",
            n=0 if g.area is None else g.positives + g.negatives,
            ideal=1.0,
            method="share of pairs of a positive and a negative in which the positive has the higher score",
            source=DISCRIMINATION_SOURCE,
            details=details | more,
        )


def changes(at: str, found: Sequence[Change], compared_with: str) -> Iterator[Measurement]:
    """How every difference changed from the other model to this one, with each group's change in the details.

    The p-values of the groups are adjusted by Holm over all of them.
    """
    tested = [g.p_value for c in found for g in c.groups if g.p_value is not None]
    adjusted = iter(stats.holm(tested).tolist() if tested else [])
    for c in found:
        rows = [_changed(g) | ({} if g.p_value is None else {"p_value_holm": next(adjusted)}) for g in c.groups]
        words = f"{c.metric.replace('_', ' ')} difference"
        yield _measured(
            f"{at}/{c.partition.name}/{c.metric}_difference_change",
            c.difference,
            reason=_why_not(c.partition),
            n=c.n,
            method=f"{words} of this model less that of the other, on the same people",
            source=SOURCE,
            details={
                "attribute": c.partition.name,
                "metric": c.metric,
                "compared_with": compared_with,
                "changes": rows,
            }
            | _left_out(c.partition, [g.group for g in c.groups if g.small], c.difference_of_all),
        )


def _rate(at: str, found: MetricByGroup, group: GroupRate) -> Measurement:
    details: dict[str, Any] = {"attribute": found.partition.name, "metric": found.metric}
    if group.small:
        details["small_cell"] = True
    if group.p_value is not None:
        details["p_value"] = group.p_value
    return _share(f"{at}/{group.group}/{found.metric}", found.metric, group.successes, group.trials, details)


def _share(id: str, metric: str, successes: int, trials: int, details: dict[str, Any]) -> Measurement:
    found = Gap(successes / trials, stats.wilson(successes, trials)) if trials else None
    return _measured(
        id,
        found,
        reason="there is nobody that this rate is over",
        n=trials,
        ideal=METRICS[metric].ideal,
        method=f"share of people {METRICS[metric].meaning}",
        source=SOURCE,
        details=details,
    )


def _gap(
    id: str, found: MetricByGroup, gap: Gap | None, what: str, ideal: float, details: dict[str, Any]
) -> Measurement:
    all_zero = gap is None and found.difference is not None
    return _measured(
        id,
        gap,
        reason="the rate is 0 in every group, so there is no ratio" if all_zero else _why_not(found.partition),
        n=sum(g.trials for g in found.compared),
        ideal=ideal,
        method=f"{what} {_many(len(found.compared))}",
        source=SOURCE,
        details=details,
    )


def _measured(id: str, found: Gap | None, *, reason: str, n: int, details: dict[str, Any], **more: Any) -> Measurement:
    """A value with its interval, or the reason why there is none."""
    if found is None:
        return Measurement(id=id, value=None, status="undefined", details=details | {"reason": reason}, **more)
    return Measurement(id=id, value=found.value, interval=found.interval, n=n, details=details, **more)


def _compared(found: MetricByGroup) -> dict[str, Any]:
    """Between which groups the gap lies, and which are too small to say."""
    small = [g.group for g in found.groups if g.small]
    details: dict[str, Any] = {"attribute": found.partition.name, "metric": found.metric}
    details |= {"groups": len(found.compared), "small_cells": small}
    if found.difference is not None:
        details |= {"lowest": found.lowest.group, "highest": found.highest.group}
    if small and found.difference_of_all is not None:
        details["difference_with_small_cells"] = found.difference_of_all
    return details


def _left_out(partition: Partition, small: Sequence[str], value: float | None) -> dict[str, Any]:
    """The groups of at least two people that a gap is not over, and what it would be with every group."""
    people = dict(zip(partition.groups, partition.sizes.tolist(), strict=True))
    groups = {name: people[name] for name in small if people[name] >= ONE_GROUP}
    return {"left_out": {"groups": groups, "value": value}} if groups else {}


def _undecided(found: MetricByGroup, people: People) -> dict[str, Any]:
    """Why equal rates would say nothing: a model that decides alike about everybody, or a rate that is 0 everywhere."""
    decided = int(people.prediction.sum())
    if decided in (0, len(people)):
        who = "nobody" if decided == 0 else "everybody"
        return {"undecided": f"{who} of {len(people)} people was predicted {people.positive!r}, so nothing is compared"}
    if found.difference is not None and found.ratio is None and METRICS[found.metric].ideal != 0:
        words = found.metric.replace("_", " ")
        return {"undecided": f"the {words} is 0 in every group compared, so that the ratio is undefined"}
    return {}


def _many(groups: int) -> str:
    return f"of {groups} groups of at least {SMALL_CELL} people each"


def _why_not(partition: Partition) -> str:
    if len(partition.groups) == 1:
        return f"all {len(partition.codes)} people have {partition.groups[0]}: there is nobody to compare them with"
    return (
        f"fewer than two of the {len(partition.groups)} groups have {SMALL_CELL} people to compute this from; "
        "audit more people"
    )


def _impact(selection: MetricByGroup) -> dict[str, Any]:
    """Both rules on disparate impact, each with a table of its own."""
    return {
        "four_fifths": [_impact_row(row) for row in four_fifths(selection)],
        "local_law_144": [_impact_row(row) for row in local_law_144(selection)],
    }


def _impact_row(row: ImpactRatio) -> dict[str, Any]:
    interval = None if row.interval is None else [row.interval.low, row.interval.high]
    return asdict(replace(row, interval=None)) | {"interval": interval}


def _changed(row: GroupChange) -> dict[str, Any]:
    interval = None if row.interval is None else [row.interval.low, row.interval.high]
    return asdict(replace(row, interval=None)) | {"interval": interval}


def _bin(found: Bin) -> dict[str, float]:
    ends = {"low": found.interval.low, "high": found.interval.high}
    return {"n": found.n, "mean_score": found.mean_score, "share": found.share} | ends
