"""The findings about mitigations, arranged for a page: what each did to the gap, what it cost, and who pays.

Of the measurements' details, which a plug-in may fill as it likes, what does not have the expected shape is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from auditkit.measurement import Measurement
from auditkit.rendering import mitigation_charts, narrative, svg
from auditkit.rendering.formatting import ABSENT, parts, plain, sentence_case
from auditkit.rendering.mitigation_charts import MethodPoint
from auditkit.rendering.mitigation_parts import (
    Found,
    Harm,
    Trace,
    decimals_of,
    fixed,
    harm,
    trace,
    value_and_interval,
    with_interval,
)
from auditkit.rendering.private_runs import Grid
from auditkit.rendering.private_training import Picture

GAP = "selection_rate_difference"
BEFORE = "without"
MEASURES = {
    GAP: "Demographic parity: difference in selection rates",
    "true_positive_rate_difference": "Equalised odds: difference in true positive rates",
    "false_positive_rate_difference": "Equalised odds: difference in false positive rates",
    "accuracy": "Accuracy, %",
}
STAGES = {"none": "another model", "before": "before training", "during": "in training", "after": "after training"}
FINDINGS = {
    "smaller": ("PASS", "gap smaller"),
    "harm": ("FAIL", "some worse off"),
    "larger": ("FAIL", "gap larger"),
    "open": ("INCONCLUSIVE", "undecided"),
    "failed": ("ERROR", "no result"),
    "before": ("NONE", BEFORE),
}
"""Each finding's sign, and its words."""


@dataclass(frozen=True, slots=True)
class Method:
    """One method.

    Attributes:
        id: unique in the page.
        number: in the chart and the tables; "" for the model without mitigation.
        name: as in the report.
        stage: when in the making of a model it acts.
        finding: a key of FINDINGS.
        shrank: whether the gap surely became smaller, whoever paid for it.
        sign, words: the finding's badge.
        gap, accuracy: after it, with their intervals.
        moved: (change, its interval) of every measure, from the model without mitigation.
        remark: why there is no result, or what has to be known before it is used.
        changes: every measure before and after.
        trace: what a fresh model can tell of the groups.
        harm: who is worse off.
    """

    id: str
    number: str
    name: str
    stage: str
    finding: str
    shrank: bool
    sign: str
    words: str
    gap: str
    accuracy: str
    moved: Sequence[tuple[str, str]]
    remark: str
    changes: Grid | None
    trace: Trace | None
    harm: Harm | None

    @property
    def title(self) -> str:
        """Number and name."""
        return f"{self.number} {self.name}".strip()


@dataclass(frozen=True, slots=True)
class Mitigation:
    """Everything that the page shows of a comparison of mitigations beside the table of its measurements.

    Attributes:
        attribute: whose groups were to be treated alike.
        summary: what was found, in a sentence.
        before: the model without mitigation.
        methods: the others, in the order of the report.
        plane: accuracy against the gap.
        unharmed: the methods for which nobody was found to be worse off, in a sentence.
        looked_at: among how many gaps and groups was looked for harm.
    """

    attribute: str
    summary: str
    before: Method | None
    methods: Sequence[Method]
    plane: Picture | None
    unharmed: str
    looked_at: str

    @property
    def traces(self) -> Sequence[Method]:
        """All for whom traces of the groups were looked for; the model without mitigation first."""
        return [m for m in (self.before, *self.methods) if m is not None and m.trace is not None]


def arrange(id: str, measurements: Iterable[Measurement]) -> Mitigation | None:
    """The part of a page about mitigations; None where `measurements` are of something else.

    Args:
        id: unique in the page; every picture's id starts with it.
        measurements: of one probe.
    """
    by_method: dict[str, dict[str, Measurement]] = {}
    for m in measurements:
        method, metric = parts(m)
        if isinstance(m.details.get("mitigation"), str):
            by_method.setdefault(method, {})[metric] = m
    if not any(GAP in found for found in by_method.values()):
        return None
    ranked = sorted(by_method.values(), key=lambda found: not _is_baseline(found))
    first = 0 if _is_baseline(ranked[0]) else 1
    everyone = [_method(f"{id}-method-{i}", i, found) for i, found in enumerate(ranked, first)]
    attribute = _attribute(ranked)
    return Mitigation(
        attribute=attribute,
        summary=_summary(everyone[1 - first :], attribute),
        before=None if first else everyone[0],
        methods=everyone[1 - first :],
        plane=_plane(f"{id}-plane", attribute, everyone, ranked),
        unharmed=_unharmed([m for m in everyone[1 - first :] if m.harm and not m.harm.lines]),
        looked_at=next((m.harm.looked_at for m in everyone if m.harm), ""),
    )


def _is_baseline(found: Found) -> bool:
    return any(m.details.get("baseline") is True for m in found.values())


def _attribute(all_found: Iterable[Found]) -> str:
    names = [m.details.get("attribute") for found in all_found for m in found.values()]
    name = next((n for n in names if isinstance(n, str)), "the attribute")
    return " and ".join(plain(part) for part in name.split("+"))


def _method(id: str, number: int, found: Found) -> Method:
    finding, about = _finding(found), next(iter(found.values()))
    sign, words = FINDINGS[finding]
    return Method(
        id=id,
        number=str(number) if number else "",
        name=sentence_case(str(about.details["mitigation"])),
        stage=ABSENT if number == 0 else STAGES.get(str(about.details.get("stage")), ABSENT),
        finding=finding,
        shrank=(change := found.get(f"{GAP}_change")) is not None and _side(change) < 0,
        sign=sign,
        words=words,
        gap=with_interval(found.get(GAP)),
        accuracy=with_interval(found.get("accuracy")),
        moved=[value_and_interval(found.get(f"{metric}_change")) for metric in MEASURES],
        remark=_remark(found, about),
        changes=_changes(str(about.details["mitigation"]), found) if number and finding != "failed" else None,
        trace=trace(found),
        harm=harm(found),
    )


def _finding(found: Found) -> str:
    """What was found of the gap; harm to others outweighs that."""
    if _is_baseline(found):
        return "before"
    gap, change, harmed = found.get(GAP), found.get(f"{GAP}_change"), harm(found)
    if gap is None and ("accuracy" not in found or found["accuracy"].value is None):
        return "failed"
    if harmed and harmed.lines:
        return "harm"
    side = 0 if change is None else _side(change)
    return ("open", "larger", "smaller")[side]


def _side(change: Measurement) -> int:
    """On which side of zero a change surely lies: 1, -1, or 0 for neither."""
    ends = change.interval
    return 0 if ends is None or change.value is None else int(ends.low > 0) - int(ends.high < 0)


def _remark(found: Found, about: Measurement) -> str:
    """Why a number is missing, and whether somebody's group must be known to decide about them; "" for neither."""
    said = [narrative.reason_of(m) for m in found.values() if m.value is None][:1]
    if about.details.get("needs_group") is True:
        said.append("needs everybody's group to decide")
    return "; ".join(said)


def _summary(methods: Sequence[Method], attribute: str) -> str:
    """How many methods shrank the gap, and at whose cost."""
    shrank = [m for m in methods if m.shrank]
    clean = sum(m.finding == "smaller" for m in shrank)
    said = (
        f"{len(shrank)} of {len(methods)} methods surely made the difference in selection rates by {attribute} smaller"
    )
    if shrank:
        said += f"; with {clean or 'none'} of these nobody was found to be worse off"
    for finding, words in {"larger": "made it larger", "failed": "gave no result"}.items():
        if count := sum(m.finding == finding for m in methods):
            said += f"; {count} {words}"
    return f"{said}."


def _unharmed(methods: Sequence[Method]) -> str:
    return f"Nobody was found to be worse off with {', '.join(m.title for m in methods)}." if methods else ""


def _changes(name: str, found: Found) -> Grid:
    """Every measure: before, after, and the change that pairs them."""
    rows = []
    for metric, words in MEASURES.items():
        after, change = found.get(metric), found.get(f"{metric}_change")
        cut, before = ((change.details.get(name) if change else None) for name in ("cut_percent", "before"))
        decimals = decimals_of(after) if after else 3
        rows.append([words, fixed(before, decimals), with_interval(after), with_interval(change), fixed(cut, 0)])
    header = ("Measure", "Before", "After (95 % interval)", "Change (95 % interval)", "Gap cut by, %")
    return Grid(f"{sentence_case(name)}: before and after, on the same people", header, rows)


def _plane(id: str, attribute: str, methods: Sequence[Method], all_found: Sequence[Found]) -> Picture | None:
    points = [p for m, found in zip(methods, all_found, strict=True) if (p := _point(m, found))]
    if not points:
        return None
    numbered = sum(p.name != BEFORE for p in points)
    picture = svg.inline(
        mitigation_charts.accuracy_plane(points, x=f"difference in selection rates by {attribute}", y="accuracy, %"),
        id=id,
        title=f"Accuracy against the difference in selection rates by {attribute}",
        description=f"{numbered} methods and the model without mitigation, each with the intervals of both; the table "
        "below holds the same numbers.",
    )
    fronts = {p.name: "yes" if p.on_front else "no" for p in points}
    named = [(m.number or BEFORE, m) for m in methods]
    rows = [[m.title, m.gap, m.accuracy, fronts[name]] for name, m in named if name in fronts]
    header = ("Method", "Difference in selection rates", "Accuracy, %", "On the Pareto front")
    symbols = {"smaller": "point-safe", "open": "point-open", "larger": "point-worse", "harm": "point-hidden"}
    there = {p.finding for p in points}
    legend = [(symbols[f], FINDINGS[f][1]) for f in symbols if f in there]
    legend += [("front", "Pareto front; filled points lie on it"), ("ideal", "equal selection rates")]
    return Picture(id, "What fairness costs", picture, legend, Grid("Accuracy and gap of every method", header, rows))


def _point(m: Method, found: Found) -> MethodPoint | None:
    gap, accuracy = found.get(GAP), found.get("accuracy")
    if gap is None or accuracy is None or gap.value is None or accuracy.value is None:
        return None
    (gap_low, gap_high), (low, high) = _ends(gap, gap.value), _ends(accuracy, accuracy.value)
    return MethodPoint(
        m.number or BEFORE, gap.value, gap_low, gap_high, accuracy.value, low, high, m.finding,
        accuracy.details.get("on_front") is True,
    )  # fmt: skip


def _ends(m: Measurement, value: float) -> tuple[float, float]:
    return (m.interval.low, m.interval.high) if m.interval else (value, value)
