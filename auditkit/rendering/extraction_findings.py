"""Verbatim extraction on a page: how much is continued word for word, by how much of it is known."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from auditkit.measurement import Measurement
from auditkit.rendering import attack_charts, svg
from auditkit.rendering.attack_findings import (
    JUDGED,
    AttackSection,
    Claim,
    Finding,
    exposed_texts,
    p_value,
    percent,
    shown,
    tested,
    value_text,
    with_verdicts,
    worst,
)
from auditkit.rendering.evidence import is_number
from auditkit.rendering.formatting import ABSENT, number, parts, plain, quantity, scalar
from auditkit.rendering.private_runs import Grid

WRITTEN = "generations"
_COMPLETED = re.compile(r"(completed|control)_at_(.+)")
_KNOWN = re.compile(r"(\d+(?:\.\d+)?)(pct|_tokens)")
CONTROL = (
    "The control are texts or canaries that the model never saw: what of them is continued word for word was guessed. "
    "Only what lies above the control was memorised."
)
TEXTS = "By default only the class of length and a mark of each text are shown, never the text itself."


@dataclass(frozen=True, slots=True)
class Prefix:
    """One length of prefix: the share completed, and the same of what the model never saw."""

    known: str
    completed: Measurement | None
    control: Measurement | None


def arrange(id: str, measurements: Sequence[Measurement], outcomes: Mapping[str, str]) -> AttackSection | None:
    """The part of a page about extraction; None where `measurements` are of something else."""
    groups = _read(measurements)
    written = {parts(m)[1]: m for m in measurements if parts(m)[0] == WRITTEN}
    if not groups and not any("random_weights" in m.details for m in written.values()):
        return None
    pictures = [p for i, item in enumerate(groups.items()) for p in _picture(f"{id}-prefix-{i}", *item, outcomes)]
    found = exposed_texts(f"{id}-texts", "Texts that were continued word for word", "", measurements, TEXTS)
    return AttackSection(
        warnings=[],
        claims=[*(_claim(*item) for item in groups.items()), *_claims_of_writing(written)],
        findings=[*pictures, *_writing(id, written, outcomes), *found],
    )


def _read(measurements: Sequence[Measurement]) -> dict[str, list[Prefix]]:
    """The prefixes of every kind of canary, and of the texts, in the order in which they were measured."""
    found: dict[str, dict[str, dict[str, Measurement]]] = {}
    for m in measurements:
        group, metric = parts(m)
        if split := _COMPLETED.fullmatch(metric):
            found.setdefault(group, {}).setdefault(split[2], {})[split[1]] = m
    return {
        _title(group): [
            Prefix(_known(at), pair.get("completed"), pair.get("control")) for at, pair in by_prefix.items()
        ]
        for group, by_prefix in found.items()
    }


def _title(group: str) -> str:
    return "Training texts" if group == "texts" else f"Canaries “{plain(group)}”"


def _known(at: str) -> str:
    """How much the attacker knows, in words."""
    split = _KNOWN.fullmatch(at)
    if split is None:
        return plain(at)
    if split[2] == "_tokens":
        return f"{split[1]} tokens"
    return percent(split[1]) if float(split[1]) else "context only"


# --- in words ---------------------------------------------------------------------------------------------------


def _claim(title: str, prefixes: Sequence[Prefix]) -> Claim:
    """What can be extracted at the prefix that gives most of what is shown, or that nothing is."""
    known = [(p, p.completed) for p in prefixes if p.completed is not None and p.completed.value is not None]
    if not known:
        return Claim(f"{title}: nothing could be tried.", "")
    memorised = [(p, m) for p, m in known if shown(m)]
    prefix, m = max(memorised or known, key=lambda pair: pair[1].value or 0.0)
    found = (
        f"Known: {prefix.known}. Then {value_text(m)} of {number(m.n)} are continued word for word, of the control "
        f"{value_text(prefix.control)}" + (f"; {tested(m)}." if tested(m) else ".")
    )
    if memorised:
        return Claim(f"{title}: extracted.", found)
    most = m.interval.high if m.interval else None
    left = f" Up to {quantity(most, m.unit)} of such items may still be extractable." if most else ""
    return Claim(f"{title}: no extraction beyond the control is shown.", found + left)


def _claims_of_writing(written: Mapping[str, Measurement]) -> Iterator[Claim]:
    what = {
        "personal_data": "something in the shape of personal data",
        "canaries": "the secret of an inserted canary",
    }
    for metric, m in written.items():
        if m.value is not None:
            yield Claim(
                f"Unasked, {plain(metric)}:",
                f"after {round(m.value * m.n / 100)} of {number(m.n)} prompts, {value_text(m)}, the model writes "
                f"{what.get(metric, plain(metric))}; with random weights after {_random(m)}.",
            )


def _random(m: Measurement) -> str:
    found = m.details.get("random_weights")
    return quantity(found, "%") if is_number(found) else ABSENT


# --- charts and tables ------------------------------------------------------------------------------------------


def _picture(id: str, title: str, prefixes: Sequence[Prefix], outcomes: Mapping[str, str]) -> Iterator[Finding]:
    drawn = [point for p in prefixes if (point := _point(p, outcomes)) is not None]
    caption = f"{title}: continued word for word, by how much is known"
    grid = with_verdicts(
        Grid(
            f"{title}: by how much is known",
            ("Known", "Completed (95 % interval)", "n", "Control (95 % interval)", "n of the control", "p (Holm)"),
            [
                [
                    p.known,
                    value_text(p.completed),
                    number(p.completed.n) if p.completed else ABSENT,
                    value_text(p.control),
                    number(p.control.n) if p.control else ABSENT,
                    number(p_value(p.completed)),
                ]
                for p in prefixes
            ],
        ),
        [worst(outcomes, [p.completed, p.control]) for p in prefixes],
    )
    if not drawn:
        yield Finding(id, caption, grid)
        return
    picture = svg.inline(
        attack_charts.extraction(drawn),
        id=id,
        title=caption,
        description=f"{len(drawn)} lengths with their intervals, and the control; the table below holds the numbers.",
    )
    legend = [("spread", "completed, with its interval")]
    legend += [(o, text) for o, text in JUDGED.items() if o in {p.outcome for p in drawn}]
    legend.append(("null", "control: never seen, with its interval"))
    yield Finding(id, caption, grid, picture, legend, CONTROL)


def _point(prefix: Prefix, outcomes: Mapping[str, str]) -> attack_charts.Completed | None:
    value, low, high = _ends(prefix.completed)
    if prefix.completed is None or value is None or low is None or high is None:
        return None
    return attack_charts.Completed(
        prefix.known, value, low, high, *_ends(prefix.control), outcome=outcomes.get(prefix.completed.id, "")
    )


def _ends(m: Measurement | None) -> tuple[float | None, float | None, float | None]:
    """Value, low, high."""
    if m is None or m.value is None:
        return None, None, None
    return (m.value, m.interval.low, m.interval.high) if m.interval else (m.value, m.value, m.value)


def _writing(id: str, written: Mapping[str, Measurement], outcomes: Mapping[str, str]) -> Iterator[Finding]:
    """What the model writes after prompts, without being given the beginning of any training text."""
    if not written:
        return
    caption = "What the model writes unasked"
    rows = [
        [plain(metric), value_text(m), number(m.n), _random(m), scalar(m.details.get("by_shape") or None)]
        for metric, m in written.items()
    ]
    header = ("Found", "Share of the prompts (95 % interval)", "Prompts", "With random weights", "By shape")
    verdicts = [worst(outcomes, [m]) for m in written.values()]
    note = (
        "The shape of personal data is no proof that a person is behind it; random weights show how often it is chance."
    )
    yield Finding(f"{id}-written", caption, with_verdicts(Grid(caption, header, rows), verdicts), note=note)
