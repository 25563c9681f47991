"""What changed at a point of a compression sweep, and by how much: every comparison with the dense model as a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditkit.measurement import Measurement
from auditkit.rendering.evidence import is_number
from auditkit.rendering.formatting import ABSENT, interval, number, plain, sentence_case
from auditkit.rendering.private_runs import Grid

Found = Mapping[str, Measurement]
"""The measurements of one point, by the rest of their ids."""

Judged = Mapping[str, Mapping[str, Any]]
"""What was found of each candidate for harm, by its measurement."""

LEVELS = ("accuracy", "loss", "perplexity", "pseudo_perplexity")
SHARED = ("agreement", "answer_flips", "divergence", "changed_texts", "attribution_agreement")
CHANGES = ("What", "Dense", "This point", "Worse by", "95 % interval", "n", "p (Holm)", "Finding")


def changes(label: str, found: Found, dense: Found) -> Grid | None:
    """Every comparison with the dense model: overall, groups, audit measurements, and how much stayed the same."""
    about = found["hidden_harms"].details if "hidden_harms" in found else {}
    judged = {str(row.get("measurement")): row for row in rows_of(about, "candidates")}
    groups = [n for n in found if n.startswith("group=") and _last(n) in LEVELS[:2]]
    rows = [
        *(_level(name, found, dense) for name in LEVELS if name in found),
        *(_compared(name, found, dense, judged) for name in groups),
        *(_audited(name, found, dense, judged) for name in found if name.endswith("/worsening")),
        *(_one_sided(plain(name), found[name]) for name in SHARED if name in found),
        *(_over(name, found[name]) for name in found if name.endswith("/exemplar_ratio")),
    ]
    caption = f"{label}: what changed, paired with the dense model item by item; above 0 is worse"
    return Grid(caption, CHANGES, rows) if rows else None


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _level(name: str, found: Found, dense: Found) -> list[str]:
    """Overall quality; the change is of the loss, and stands beside it."""
    changed = found.get("quality_loss") if name in LEVELS[:2] else None
    return _row(sentence_case(plain(name)), dense.get(name), found[name], changed, {})


def _compared(name: str, found: Found, dense: Found, judged: Judged) -> list[str]:
    group, _, metric = name.rpartition("/")
    title = f"{sentence_case(plain(metric))}, group {plain(group.removeprefix('group='))}"
    return _row(title, dense.get(name), found[name], found.get(f"{group}/quality_loss"), judged)


def _audited(name: str, found: Found, dense: Found, judged: Judged) -> list[str]:
    measured = name.removesuffix("/worsening")
    title = sentence_case(probe_words(measured))
    return _row(title, dense.get(measured), found.get(measured), found[name], judged)


def _row(
    title: str, before: Measurement | None, after: Measurement | None, changed: Measurement | None, judged: Judged
) -> list[str]:
    return [
        title,
        number(before.value) if before else ABSENT,
        number(after.value) if after else ABSENT,
        signed(changed.value) if changed and changed.value is not None else ABSENT,
        interval(changed.interval) if changed else ABSENT,
        number(changed.n if changed else after.n if after else None),
        number(changed.details.get("p_value_holm")) if changed else ABSENT,
        _judged(changed, judged),
    ]


def _judged(m: Measurement | None, judged: Judged) -> str:
    """Overall: the verdict; of a candidate: what interval, Holm's p-value and margin say."""
    if m is None:
        return ABSENT
    if m.value is None or m.interval is None:
        return str(m.details.get("reason", ABSENT))
    row = judged.get(m.id)
    if row is None:
        return str(m.details.get("verdict", ABSENT))
    if row.get("harmed"):
        return "harmed"
    if row.get("unresolved"):
        return "harm not ruled out"
    p = m.details.get("p_value_holm")
    sure = is_number(p) and p < 0.05
    return (
        "worse, as tolerated"
        if sure and m.interval.low > 0
        else "better"
        if sure and m.interval.high < 0
        else "no change shown"
    )


def _one_sided(title: str, m: Measurement) -> list[str]:
    """What only exists of the two together: its value, with its own interval."""
    unit = f", {m.unit}" if m.unit else ""
    why = str(m.details.get("reason", ABSENT)) if m.value is None else ABSENT
    ends = interval(m.interval)
    return [f"{sentence_case(title)}{unit}", ABSENT, number(m.value), ABSENT, ends, number(m.n), ABSENT, why]


def _over(name: str, m: Measurement) -> list[str]:
    group = name.removesuffix("/exemplar_ratio").removeprefix("group=")
    row = _one_sided(f"group {plain(group)} among the exemplars, times its share", m)
    p = m.details.get("p_value_holm")
    if is_number(p):
        row[-2] = number(p)
        row[-1] = (
            ("over-represented" if (m.value or 0) > 1 else "under-represented") if p < 0.05 else "no difference shown"
        )
    return row


def probe_words(id: str) -> str:
    """A measurement's id in words."""
    return ", ".join(plain(part) for part in id.split("/"))


def signed(value: float) -> str:
    """A change: its sign is always said."""
    return f"+{number(value)}" if value > 0 else number(value)


def rows_of(details: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """The mappings of a list among the details; what has another shape is left out."""
    found = details.get(key)
    return [row for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []
