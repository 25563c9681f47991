"""Exposure of canaries on a page: those that were inserted against those that a coin left out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from auditkit.measurement import Measurement
from auditkit.rendering import attack_charts, svg
from auditkit.rendering.attack_findings import (
    SIGNIFICANT,
    AttackSection,
    Claim,
    Finding,
    exposed_texts,
    p_value,
    shown,
    tested,
    value_text,
    with_verdicts,
    worst,
)
from auditkit.rendering.evidence import is_number
from auditkit.rendering.formatting import ABSENT, number, parts, plain, quantity, scalar
from auditkit.rendering.private_runs import Grid

METRICS = ("mean", "control_mean", "max", "rank_one", "change")
CANARIES = (
    "The inserted canaries that the model knows best. By default only the class of length and a mark are shown, never "
    "the canary itself."
)


@dataclass(frozen=True, slots=True)
class Kind:
    """The measurements of one kind of canaries; None where there is none."""

    name: str
    mean: Measurement | None
    control: Measurement | None
    most: Measurement | None
    first: Measurement | None
    change: Measurement | None

    @property
    def title(self) -> str:
        """As in: Canaries “format”."""
        return f"Canaries “{self.name}”"

    @property
    def all(self) -> list[Measurement | None]:
        """All five."""
        return [self.mean, self.control, self.most, self.first, self.change]

    def detail(self, name: str) -> float | None:
        """A number among the details of the two means."""
        found = [m.details.get(name) for m in (self.mean, self.control) if m is not None]
        return next((float(value) for value in found if is_number(value)), None)


def draws_spread(m: Measurement) -> bool:
    """Whether the item scores of `m` are drawn: those of the canaries on one side."""
    return parts(m)[1] in METRICS[:2] and is_number(m.details.get("largest_possible"))


def arrange(
    id: str, measurements: Sequence[Measurement], outcomes: Mapping[str, str], scores: Mapping[str, Sequence[float]]
) -> AttackSection | None:
    """The part of a page about exposure; None where `measurements` are of something else.

    Args:
        id: unique in the page.
        measurements: of one probe.
        outcomes: the gate's verdict by measurement.
        scores: exposure in bits of every canary, by measurement; where they are absent, only the means are drawn.
    """
    if not any(draws_spread(m) for m in measurements):
        return None
    kinds = _read(measurements)
    pictures = [p for i, kind in enumerate(kinds) for p in _picture(f"{id}-spread-{i}", kind, scores)]
    known = exposed_texts(f"{id}-canaries", "Most exposed canaries", "Exposure, bits", measurements, CANARIES)
    return AttackSection(
        warnings=[warning for kind in kinds for warning in _warnings(kind)],
        claims=[claim for kind in kinds for claim in _claims(kind)],
        findings=[*pictures, _table(id, kinds, outcomes), *known],
    )


def _read(measurements: Sequence[Measurement]) -> list[Kind]:
    kinds: dict[str, dict[str, Measurement]] = {}
    for m in measurements:
        kind, metric = parts(m)
        kinds.setdefault(kind, {})[metric] = m
    return [Kind(plain(name), *(found.get(metric) for metric in METRICS)) for name, found in kinds.items()]


# --- in words ---------------------------------------------------------------------------------------------------


def _claims(kind: Kind) -> Iterator[Claim]:
    """What was memorised, and whether it can be read off the model."""
    if kind.mean is not None and kind.mean.value is not None:
        yield _memorised(kind, kind.mean)
    if kind.change is not None and kind.change.value is not None:
        yield _compared(kind, kind.change)
    yield from _off_chance(kind)
    most, first = kind.most, kind.first
    if first is not None and first.value:
        yield Claim(
            f"{kind.title}: can be read off the model.",
            f"{round(first.value * first.n / 100)} of {first.n} inserted canaries are preferred to every other "
            "candidate.",
        )
    elif most is not None and most.value is not None:
        possible = quantity(kind.detail("largest_possible"), most.unit)
        yield Claim(f"{kind.title}: the most exposed one", f"has {value_text(most)} of {possible} possible.")


def _memorised(kind: Kind, mean: Measurement) -> Claim:
    times = mean.details.get("repetitions")
    often = f" ({scalar(times)} times each)" if isinstance(times, list) and times else ""
    found = (
        f"Those that were inserted{often} are exposed by {value_text(mean)} on average, those left out by "
        f"{value_text(kind.control)}" + (f"; {tested(mean)}." if tested(mean) else ".")
    )
    if shown(mean):
        return Claim(f"{kind.title}: memorised.", found)
    few = (
        f" With {number(mean.n)} and {number(kind.control.n if kind.control else 0)} canaries, a difference smaller "
        "than these intervals are wide may go unnoticed."
    )
    return Claim(f"{kind.title}: no memorisation is shown.", found + few)


def _compared(kind: Kind, change: Measurement) -> Claim:
    interval = change.interval
    apart = interval is not None and not interval.low <= 0 <= interval.high
    verdict = ("less" if change.value and change.value < 0 else "more") if apart else "no difference is shown"
    before, now = (quantity(change.details.get(when), change.unit) for when in ("before", "now"))
    other = plain(str(change.details.get("model_before")))
    found = (
        f"The same inserted canaries are exposed by {before} in the earlier report, of “{other}”, and by {now} here: a "
        f"difference of {value_text(change)}."
    )
    return Claim(f"{kind.title} before and after: {verdict}{' exposed here' if apart else ''}.", found)


def _warnings(kind: Kind) -> Iterator[str]:
    """What speaks against the numbers."""
    fit = kind.detail("fit_p_value")
    if fit is not None and fit < SIGNIFICANT:
        yield (
            f"{kind.title}: the distribution that exposure is extrapolated with does not fit the candidates "
            f"(p = {number(fit)}); take exposures beyond those that were counted as rough."
        )


def _off_chance(kind: Kind) -> Iterator[Claim]:
    """Left-out canaries that are not where chance would put them."""
    control = kind.control
    if control is not None and control.interval and control.ideal is not None and control.ideal not in control.interval:
        yield Claim(
            f"{kind.title}: the control is off.",
            f"Canaries that the model never saw are at {quantity(control.ideal, control.unit)} by chance, those left "
            f"out at {value_text(control)}; compare the inserted ones with them only. It happens in 1 of 20 audits.",
        )


# --- charts and tables ------------------------------------------------------------------------------------------


def _picture(id: str, kind: Kind, scores: Mapping[str, Sequence[float]]) -> Iterator[Finding]:
    largest = kind.detail("largest_possible")
    sides = [_side(m, label, scores) for m, label in ((kind.mean, "inserted"), (kind.control, "left out"))]
    if largest is None or largest <= 0 or not any(sides):
        return
    unseen = next((m.ideal for m in (kind.mean, kind.control) if m is not None and m.ideal is not None), None)
    caption = f"{kind.title}: exposure of those inserted and those left out"
    picture = svg.inline(
        attack_charts.exposure(*sides, largest=largest, unseen=unseen),
        id=id,
        title=caption,
        description=(
            f"Inserted canaries upwards, left-out ones downwards, each with their mean, up to the largest possible "
            f"exposure of {number(largest)} bits. The table below holds the numbers."
        ),
    )
    counts = [attack_charts.bins(side.values, largest) if side else [] for side in sides]
    edges = sorted({(low, high) for side in counts for low, high, _ in side})
    by_bin = [{(low, high): n for low, high, n in side} for side in counts]
    rows = [[f"{low:g} to {high:.4g}", *(number(side.get((low, high), 0)) for side in by_bin)] for low, high in edges]
    grid = Grid("Canaries by exposure", ("Exposure, bits", "Inserted", "Left out"), rows)
    legend = [("bar", "inserted canaries"), ("bar-null", "left-out canaries (control)")] if rows else []
    legend += [
        ("spread", "mean and its interval"),
        ("ideal", f"largest possible: {number(largest)} bits"),
        *([("chance", f"a secret never seen, on average: {number(unseen)} bits")] if unseen is not None else []),
    ]
    note = (
        "" if rows else "The exposure of each canary is in the table of item scores, which is not beside this report."
    )
    yield Finding(id, caption, grid if rows else None, picture, legend, note, folded="Table of the counts")


def _side(m: Measurement | None, label: str, scores: Mapping[str, Sequence[float]]) -> attack_charts.Side | None:
    if m is None or m.value is None:
        return None
    low, high = (m.interval.low, m.interval.high) if m.interval else (m.value, m.value)
    values = [float(v) for v in scores.get(m.id, ()) if math.isfinite(v)]
    return attack_charts.Side(label, values, m.value, low, high)


def _table(id: str, kinds: Sequence[Kind], outcomes: Mapping[str, str]) -> Finding:
    header = (
        *("Canaries", "Inserted", "Their mean", "Left out", "Their mean (control)", "p (Holm)"),
        *("Largest", "Largest possible", "Ranked first"),
    )
    rows = [
        [
            kind.name,
            number(kind.mean.n) if kind.mean else ABSENT,
            value_text(kind.mean),
            number(kind.control.n) if kind.control else ABSENT,
            value_text(kind.control),
            number(p_value(kind.mean)),
            value_text(kind.most),
            quantity(kind.detail("largest_possible"), "bits"),
            value_text(kind.first),
        ]
        for kind in kinds
    ]
    verdicts = [worst(outcomes, kind.all) for kind in kinds]
    budgets = [(k.name, m.details.get("attack_budget")) for k in kinds for m in (k.mean or k.control,) if m is not None]
    said = "; ".join(f"{name}, {budget}" for name, budget in budgets if isinstance(budget, str))
    grid = with_verdicts(Grid("Exposure in bits, each with its 95 % interval", header, rows), verdicts)
    return Finding(f"{id}-exposure", "Exposure by kind of canary", grid, note=f"Attack budget: {said}." if said else "")
