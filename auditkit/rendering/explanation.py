"""The findings about explanations, arranged for a page: can they be trusted, heat maps, the words that drive a gap,
rules, attention.

Of the measurements' details, which a plug-in may fill as it likes, what does not have the expected shape is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditkit.measurement import Measurement
from auditkit.rendering import svg
from auditkit.rendering.attention_pictures import heads, mappings, matrices
from auditkit.rendering.evidence import is_number
from auditkit.rendering.formatting import (
    ABSENT,
    interval,
    number,
    parts,
    plain,
    quantity,
    sentence_case,
    shortened,
    together,
)
from auditkit.rendering.heat_maps import HeatMap, Trust, heat_map, trust, word_values
from auditkit.rendering.interval_charts import IntervalRow, interval_plot
from auditkit.rendering.private_runs import Grid
from auditkit.rendering.private_training import Picture

MAX_MAPS = 12
MAX_DRIVERS = 20
MAX_MATRICES = 8
MAX_TITLE = 60  # characters of a word
MAX_RULE = 200  # characters of a rule


@dataclass(frozen=True, slots=True)
class Explained:
    """One set of explanations.

    Attributes:
        name: of the set; "" where it is the only one.
        trust: the verdict on all of them.
        method: how they were made.
        checks: faithfulness, check by check.
        randomization: what is left of the explanations when layers get random weights.
        maps: the heat maps.
        more_maps: how many are not shown.
        sensitive: whether the texts are stereotypes.
        drivers: the words that drive a preference, over all texts.
        drives: what a positive value of theirs means.
    """

    id: str
    name: str
    trust: Trust
    method: str
    checks: Grid | None
    randomization: Grid | None
    maps: Sequence[HeatMap]
    more_maps: int
    sensitive: bool
    drivers: Picture | None
    drives: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that the page shows of explanations and attention, beside the table of measurements.

    Attributes:
        sets: explanations by words.
        rules: those of a surrogate.
        heads: the roles of attention heads.
        matrices: attention, head by head.
    """

    sets: Sequence[Explained]
    rules: Sequence[Grid]
    heads: Picture | None
    matrices: Sequence[Picture]


def arrange(id: str, measurements: Sequence[Measurement]) -> Explanation | None:
    """The part of a page about explanations; None where `measurements` are of something else.

    Args:
        id: unique in the page; every id of the part starts with it.
        measurements: of one probe.
    """
    by_set: dict[str, list[Measurement]] = {}
    for m in measurements:
        by_set.setdefault(parts(m)[0], []).append(m)
    found = [(name, members) for name, members in by_set.items() if any(_is_explained(m) for m in members)]
    sets = [
        _explained(f"{id}-set-{i}", plain(name) if len(found) > 1 else "", members)
        for i, (name, members) in enumerate(found)
    ]
    of_heads = next(filter(None, (heads(f"{id}-heads", m) for m in measurements)), None)
    pictures = [p for m in measurements for p in matrices(f"{id}-matrix", m)][:MAX_MATRICES]
    rules = [grid for m in measurements for grid in (_rules(m), _anchors(m)) if grid]
    return Explanation(sets, rules, of_heads, pictures) if sets or rules or of_heads or pictures else None


def _is_explained(m: Measurement) -> bool:
    return bool(mappings(m, "heat_map") or mappings(m, "checks"))


# --- one set of explanations --------------------------------------------------------------------------------------


def _explained(id: str, name: str, measurements: Sequence[Measurement]) -> Explained:
    head = next(m for m in measurements if _is_explained(m))
    verdict = trust(head.details.get("verdict"))
    maps = [(m, entry) for m in measurements for entry in mappings(m, "heat_map") if word_values(entry)]
    preference = next((m for m in measurements if mappings(m, "drivers")), None)
    return Explained(
        id=id,
        name=name,
        trust=verdict,
        method=head.method.partition(";")[0],
        checks=_checks(head, measurements),
        randomization=_randomization(head),
        maps=[
            heat_map(f"{id}-map-{i}", e, trust(m.details.get("verdict"))) for i, (m, e) in enumerate(maps[:MAX_MAPS])
        ],
        more_maps=max(0, len(maps) - MAX_MAPS),
        sensitive=preference is not None,
        drivers=_drivers(f"{id}-drivers", preference) if preference else None,
        drives=str(preference.details.get("asks", "")) if preference else "",
    )


def _checks(head: Measurement, measurements: Sequence[Measurement]) -> Grid | None:
    """One row for each check, those that decide first, with the interval of its own measurement."""
    by_metric = {parts(m)[1]: m for m in measurements}
    rows = []
    for check in mappings(head, "checks"):
        name, outcome = str(check.get("name", "")), str(check.get("outcome", ""))
        m = by_metric.get(name)
        value = check.get("value")
        rows.append(
            [
                sentence_case(plain(name)),
                quantity(m.value, m.unit) if m else number(value if is_number(value) else None),
                interval(m.interval) if m else ABSENT,
                number(m.n) if m else ABSENT,
                str(check.get("limit") or ABSENT),
                outcome or ABSENT,
            ]
        )
    header = ("Check", "Value", "95 % interval", "Texts", "Passes", "Outcome")
    return Grid("Faithfulness of these explanations, check by check", header, rows) if rows else None


def _randomization(head: Measurement) -> Grid | None:
    """Rank correlation with the explanations of the model after each stage of randomisation."""
    found = head.details.get("randomization")
    if not isinstance(found, Mapping) or not found:
        return None
    rows = [[str(stage), number(value if is_number(value) else None)] for stage, value in found.items()]
    caption = (
        "Rank correlation with the explanations of the same model, its layers given random weights from the top down"
    )
    return Grid(caption, ("Random weights in", "Correlation"), rows)


# --- a surrogate in rules -----------------------------------------------------------------------------------------


def _rules(m: Measurement) -> Grid | None:
    """The paths of a tree, each with how often the model agrees on held-out texts."""
    rows = [
        [
            shortened(str(rule.get("rule", "")), MAX_RULE),
            number(rule["texts"]),
            number(rule["agreeing"]) if is_number(rule.get("agreeing")) else ABSENT,
            _range(rule, "low", "high"),
        ]
        for rule in mappings(m, "rules")
        if is_number(rule.get("texts"))
    ]
    header = ("Rule", "Held-out texts", "Model agrees", "95 % interval, %")
    return Grid("The classifier as rules over the words of a text", header, rows) if rows else None


def _anchors(m: Measurement) -> Grid | None:
    """Words that hold a label in place, within their own text and in others that have them."""
    rows = [
        [
            shortened(str(a.get("words", "")), MAX_RULE) or "(any text)",
            shortened(str(a.get("label", "")), MAX_TITLE),
            f"{number(a['precision'])} ({_range(a, 'low', 'high')})",
            "yes" if a.get("sure") is True else "no",
            number(a["elsewhere"]) if is_number(a.get("elsewhere")) else ABSENT,
            _range(a, "held_low", "held_high"),
        ]
        for a in mappings(m, "anchors")
        if is_number(a.get("precision"))
    ]
    header = ("Words", "Label", "Holds, % (95 % interval)", "Surely", "Other texts with them", "Label there, %")
    return Grid("Anchors: the fewest words that hold a label in place", header, rows) if rows else None


def _range(row: Mapping[str, Any], low: str, high: str) -> str:
    ends = [row[end] for end in (low, high) if is_number(row.get(end))]
    return " to ".join(together(*ends)) if len(ends) == 2 else ABSENT


def _drivers(id: str, m: Measurement) -> Picture:
    """The words that drive a preference: a chart, and a table with their p-values."""
    found = [d for d in mappings(m, "drivers") if is_number(d.get("mean"))][:MAX_DRIVERS]
    rows = [_driver(d) for d in found]
    caption = "The words that drive it"
    picture = svg.inline(
        interval_plot(rows, axis=f"mean where the word stands{', ' + m.unit if m.unit else ''}", ideal=0.0),
        id=id,
        title=caption,
        description=f"{len(rows)} words with their intervals; the table below holds the numbers.",
    )
    table = [
        [
            row.label,
            number(row.value),
            ABSENT if row.low == row.high else " to ".join(together(row.low, row.high)),
            *(number(d[key]) if is_number(d.get(key)) else ABSENT for key in ("n", "p_value", "p_value_holm")),
        ]
        for row, d in zip(rows, found, strict=True)
    ]
    header = ("Word", "Mean", "95 % interval", "Texts", "p", "p (Holm)")
    tested = m.details.get("words_tested")
    of = f" of {number(tested)} words tested" if is_number(tested) else ""
    return Picture(id, caption, picture, [("value", "value and its interval")], Grid(f"{len(rows)}{of}", header, table))


def _driver(d: Mapping[str, Any]) -> IntervalRow:
    value = float(d["mean"])
    low, high = (float(d[end]) if is_number(d.get(end)) else value for end in ("low", "high"))
    word = shortened(str(d.get("word", "")), MAX_TITLE)
    return IntervalRow(word, value, min(low, value), max(high, value))
