"""The findings about mitigations of a language model, arranged for a page: which biases shrank, and what ability paid.

Of the measurements' details, which a plug-in may fill as it likes, what does not have the expected shape is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from auditkit.measurement import Measurement
from auditkit.rendering import mitigation_charts, narrative, svg
from auditkit.rendering.compression_changes import probe_words, signed
from auditkit.rendering.evidence import is_number
from auditkit.rendering.formatting import ABSENT, interval, number, sentence_case
from auditkit.rendering.mitigation_charts import MethodPoint
from auditkit.rendering.private_runs import Grid
from auditkit.rendering.private_training import Picture

Found = Mapping[str, Measurement]
"""The measurements of one model, by the rest of their ids."""

BEFORE = "before"
PERPLEXITIES = ("perplexity", "pseudo_perplexity")
FINDINGS = {
    "smaller": ("PASS", "bias smaller"),
    "cost": ("FAIL", "ability lost"),
    "moved": ("FAIL", "a bias grew"),
    "open": ("INCONCLUSIVE", "undecided"),
    "failed": ("ERROR", "no result"),
}
"""Each finding's sign, and its words."""
SHAPES = {"smaller": "smaller", "cost": "harm", "moved": "larger", "open": "open"}
"""How the chart of `mitigation_charts` shows each finding."""
SYMBOLS = {"smaller": "point-safe", "open": "point-open", "moved": "point-worse", "cost": "point-hidden"}
ABILITY = {
    "equivalent": "kept: equivalent within the margin",
    "better": "kept: better than before",
    "worse": "lost: worse by more than chance",
    "inconclusive": "undecided",
}
MAX_PLANES = 3  # one for each probe; what is not drawn is in the tables
CHANGES = ("Measurement", "Before", "After", "Farther from its ideal by", "95 % interval", "n", "p (Holm)", "Finding")


@dataclass(frozen=True, slots=True)
class ModelMethod:
    """One method.

    Attributes:
        id: unique in the page.
        title: its number, and its name as in the report.
        finding: a key of FINDINGS.
        sign, words: the finding's badge.
        nearer, farther: how many measurements of bias surely came nearer to their ideal, and went farther, of how many.
        perplexity: before and after.
        loss: the change of the loss in nats a token, and its interval.
        ability: whether it was kept.
        remark: why there is no result.
        changes: every measurement of bias before and after.
    """

    id: str
    title: str
    finding: str
    sign: str
    words: str
    nearer: str
    farther: str
    perplexity: str
    loss: tuple[str, str]
    ability: str
    remark: str
    changes: Grid | None


@dataclass(frozen=True, slots=True)
class ModelMitigation:
    """Everything that the page shows of mitigations of a language model beside the table of its measurements.

    Attributes:
        summary: what was found, in a sentence.
        margin: what change of the loss counts as none, in words.
        methods: in the order of the report.
        planes: the first measurement of each probe against what ability it cost.
    """

    summary: str
    margin: str
    methods: Sequence[ModelMethod]
    planes: Sequence[Picture]


def arrange(id: str, measurements: Iterable[Measurement]) -> ModelMitigation | None:
    """The part of a page about mitigations of a language model; None where `measurements` are of something else.

    Args:
        id: unique in the page; every picture's id starts with it.
        measurements: of one probe.
    """
    by_model: dict[str, dict[str, Measurement]] = {}
    for m in measurements:
        _, slug, name = [*m.id.split("/", 2), "", ""][:3]
        if isinstance(m.details.get("mitigation"), str):
            by_model.setdefault(slug, {})[name] = m
    before = by_model.pop(BEFORE, {})
    if not before or not any("quality_loss" in found for found in by_model.values()):
        return None
    methods = [_method(f"{id}-method-{i}", i, found, before) for i, found in enumerate(by_model.values(), 1)]
    return ModelMitigation(
        summary=_summary(methods),
        margin=_margin(by_model.values()),
        methods=methods,
        planes=list(_planes(id, methods, list(by_model.values()), before)),
    )


def _method(id: str, place: int, found: Found, before: Found) -> ModelMethod:
    loss, finding = found.get("quality_loss"), _finding(found)
    name = sentence_case(str(next(iter(found.values())).details["mitigation"]))
    after, was = (next((f[p] for p in PERPLEXITIES if p in f), None) for f in (found, before))
    sign, words = FINDINGS[finding]
    missing = finding == "failed" and loss is not None
    return ModelMethod(
        id=id,
        title=f"{place} {name}",
        finding=finding,
        sign=sign,
        words=words,
        nearer=_count(found.get("biases_nearer")),
        farther=_count(found.get("biases_farther")),
        perplexity=f"{number(was.value)} → {number(after.value)}" if was and after else ABSENT,
        loss=(signed(loss.value), interval(loss.interval)) if loss and loss.value is not None else (ABSENT, ""),
        ability=ABILITY.get(str(loss.details.get("verdict")), ABSENT) if loss else ABSENT,
        remark=narrative.reason_of(loss) if missing and loss else "",
        changes=None if finding == "failed" else _changes(name, found, before),
    )


def _finding(found: Found) -> str:
    """What was found; a bias that grew outweighs what it cost, and that what shrank."""
    loss, nearer, farther = (found.get(name) for name in ("quality_loss", "biases_nearer", "biases_farther"))
    if loss is None or loss.value is None or nearer is None or farther is None:
        return "failed"
    if farther.value:
        return "moved"
    verdict = loss.details.get("verdict")
    if verdict == "worse":
        return "cost"
    return "smaller" if nearer.value and verdict in ("equivalent", "better") else "open"


def _count(m: Measurement | None) -> str:
    return ABSENT if m is None or m.value is None else f"{m.value:.0f} of {m.n}"


def _margin(all_found: Iterable[Found]) -> str:
    margins = [f["quality_loss"].details.get("margin") for f in all_found if "quality_loss" in f]
    known = next((m for m in margins if is_number(m)), None)
    return "the margin" if known is None else f"{known:g} nats a token"


def _summary(methods: Sequence[ModelMethod]) -> str:
    counts = {finding: sum(m.finding == finding for m in methods) for finding in FINDINGS}
    clean = f"{counts['smaller']} of {len(methods)} methods surely made a bias smaller"
    said = [f"{clean}, kept ability within the margin, and made no other bias surely larger"]
    others = {"moved": "made a bias larger", "cost": "cost more ability", "failed": "gave no result"}
    said += [f"{counts[finding]} {words}" for finding, words in others.items() if counts[finding]]
    return "; ".join(said) + "."


# --- every measurement of bias ----------------------------------------------------------------------------------


def _changes(name: str, found: Found, before: Found) -> Grid | None:
    """Every measurement of bias: before, after, and the change of its distance from the ideal."""
    rows = [
        _row(measured, before.get(measured), found.get(measured), found[f"{measured}/worsening"])
        for measured in (key.removesuffix("/worsening") for key in found if key.endswith("/worsening"))
    ]
    caption = f"{name}: every measurement of bias, paired item by item; below 0 is nearer to its ideal"
    return Grid(caption, CHANGES, rows) if rows else None


def _row(measured: str, before: Measurement | None, after: Measurement | None, change: Measurement) -> list[str]:
    return [
        sentence_case(probe_words(measured)),
        number(before.value) if before else ABSENT,
        number(after.value) if after else ABSENT,
        signed(change.value) if change.value is not None else ABSENT,
        interval(change.interval),
        number(change.n) if change.n else ABSENT,
        number(p) if is_number(p := change.details.get("p_value_holm")) else ABSENT,
        _moved(change),
    ]


def _moved(change: Measurement) -> str:
    if change.value is None or change.interval is None:
        return narrative.reason_of(change)
    p = change.details.get("p_value_holm")
    sure = is_number(p) and p < 0.05
    if sure and change.interval.high < 0:
        return "nearer"
    return "farther" if sure and change.interval.low > 0 else "no change shown"


# --- the charts -------------------------------------------------------------------------------------------------


def _planes(id: str, methods: Sequence[ModelMethod], all_found: Sequence[Found], before: Found) -> Iterator[Picture]:
    """Of each probe its first measurement that could be compared, against the ability that a method cost."""
    measured: dict[str, str] = {}
    for found in all_found:
        for key in found:
            name = key.removesuffix("/worsening")
            if name != key and found[key].value is not None and name in before:
                measured.setdefault(name.partition("/")[0], name)
    for i, name in enumerate(list(measured.values())[:MAX_PLANES]):
        picture = _plane(f"{id}-plane-{i}", name, methods, all_found, before[name])
        if picture is not None:
            yield picture


def _plane(
    id: str, name: str, methods: Sequence[ModelMethod], all_found: Sequence[Found], before: Measurement
) -> Picture | None:
    if before.value is None or before.ideal is None:
        return None
    start = abs(before.value - before.ideal)
    drawn = {m.title: p for m, f in zip(methods, all_found, strict=True) if (p := _point(m, f, name, start))}
    if not drawn:
        return None
    origin = MethodPoint("before", start, start, start, 0.0, 0.0, 0.0, "before", False)
    points = _with_front([origin, *drawn.values()])
    words, unit = probe_words(name), f", {before.unit}" if before.unit else ""
    picture = svg.inline(
        mitigation_charts.accuracy_plane(
            points, x=f"distance from the ideal: {words}{unit}", y="change of log-likelihood, nats a token"
        ),
        id=id,
        title=f"Ability against bias: {words}",
        description=f"{len(drawn)} methods and the model before, each with the paired intervals of both; the table "
        "below holds the same numbers.",
    )
    rows = [
        [title, _with_ends(p.gap, p.gap_low, p.gap_high), _with_ends(p.accuracy, p.accuracy_low, p.accuracy_high)]
        for title, p in {"Before": origin, **drawn}.items()
    ]
    header = ("Model", "Distance from the ideal", "Change of log-likelihood, nats a token")
    there = {m.finding for m in methods if m.title in drawn}
    legend = [(SYMBOLS[f], FINDINGS[f][1]) for f in SYMBOLS if f in there]
    legend += [("front", "Pareto front; filled points lie on it"), ("ideal", "the ideal")]
    return Picture(
        id, f"What it costs to bring “{words}” nearer to its ideal", picture, legend,
        Grid(f"Bias and ability of every method: {words}", header, rows),
    )  # fmt: skip


def _point(m: ModelMethod, found: Found, name: str, start: float) -> MethodPoint | None:
    """Bias and ability beside the model before, whose place has no interval: every other one is paired with it."""
    change, loss = found.get(f"{name}/worsening"), found.get("quality_loss")
    if m.finding == "failed" or change is None or loss is None:
        return None
    if change.value is None or change.interval is None or loss.value is None or loss.interval is None:
        return None
    return MethodPoint(
        m.title.partition(" ")[0],
        start + change.value, max(0.0, start + change.interval.low), start + change.interval.high,
        -loss.value, -loss.interval.high, -loss.interval.low,
        SHAPES[m.finding], False,
    )  # fmt: skip


def _with_front(points: Sequence[MethodPoint]) -> list[MethodPoint]:
    """The same, those marked that no other one is nearer than and as able as."""

    def beaten(p: MethodPoint) -> bool:
        as_good = [q for q in points if q.gap <= p.gap and q.accuracy >= p.accuracy]
        return any((q.gap, q.accuracy) != (p.gap, p.accuracy) for q in as_good)

    return [replace(p, on_front=not beaten(p)) for p in points]


def _with_ends(value: float, low: float, high: float) -> str:
    return number(value) if low == high else f"{number(value)} ({number(low)} to {number(high)})"
