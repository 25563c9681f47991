"""What each point of a compression sweep did: what was found of it, who is harmed, whose prediction changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditkit.measurement import Measurement
from auditkit.rendering.compression_changes import Found, changes, probe_words, rows_of, signed
from auditkit.rendering.evidence import is_number
from auditkit.rendering.formatting import ABSENT, flat, number, plain, quantity, sentence_case, together
from auditkit.rendering.private_runs import Grid

FINDINGS = {
    "safe": ("PASS", "safe"),
    "open": ("INCONCLUSIVE", "undecided"),
    "worse": ("FAIL", "worse overall"),
    "hidden": ("FAIL", "hidden harm"),
    "harmed": ("FAIL", "harm found"),
    "none": ("ERROR", "no value"),
}
"""What can be found of a point: the sign it gets, and in words."""


@dataclass(frozen=True, slots=True)
class PointView:
    """One point.

    Attributes:
        id: unique in the page.
        number: its number in the chart and the tables.
        label: what was done.
        finding: a key of FINDINGS.
        sign: the gate's outcome whose icon it gets.
        words: the finding in words.
        reason: why, in a sentence.
        quality: how much worse it is overall, with its interval; a dash where that is not known.
        verdict: whether quality is equivalent.
        agreement: the share of equal answers.
        size: bytes in memory, and beside the dense model's.
        remarks: what a reader must see beside it.
        harms: each harm in a sentence.
        steps: what was done, step by step.
        changes: every comparison with the dense model.
        exemplars: the items whose predictions changed, or whose loss rose, most.
        chosen: which exemplars there are.
    """

    id: str
    number: str
    label: str
    finding: str
    sign: str
    words: str
    reason: str
    quality: str
    verdict: str
    agreement: str
    size: str
    remarks: Sequence[str]
    harms: Sequence[str]
    steps: Sequence[tuple[str, str]]
    changes: Grid | None
    exemplars: Grid | None
    chosen: str


def view(id: str, place: int, slug: str, label: str, found: Found, dense: Found) -> PointView:
    """One point, arranged.

    Args:
        id: of the section.
        place: its number.
        slug: its part of the ids.
        label: what was done.
        found: its measurements.
        dense: the dense model's.
    """
    about = found["hidden_harms"].details if "hidden_harms" in found else {}
    finding = finding_of(found)
    sign, words = FINDINGS[finding]
    loss = found.get("quality_loss")
    safe = found.get("safe")
    return PointView(
        id=f"{id}-point-{place}",
        number=str(place),
        label=label,
        finding=finding,
        sign=sign,
        words=words,
        reason=_reason(about, safe),
        quality=change(loss),
        verdict=str(loss.details.get("verdict", ABSENT)) if loss and loss.value is not None else ABSENT,
        agreement=quantity(found["agreement"].value, "%") if "agreement" in found else ABSENT,
        size=size(found.get("bytes_in_memory"), dense.get("bytes_in_memory")),
        remarks=_remarks(about),
        harms=[_harm(h) for h in rows_of(about, "harms")],
        steps=[line for step in rows_of(about, "steps") for line in _step(step)],
        changes=changes(label, found, dense),
        exemplars=_exemplars(label, found.get("changed_texts")),
        chosen=_chosen(found.get("changed_texts")),
    )


def finding_of(found: Found) -> str:
    """A key of FINDINGS."""
    harms, safe, loss = (found.get(name) for name in ("hidden_harms", "safe", "quality_loss"))
    if loss is None or loss.value is None:
        return "none"
    if harms is not None and harms.value:
        return "hidden"
    decided = str(safe.details.get("safe", "open")) if safe is not None else "open"
    if decided == "no":
        return "worse" if loss.details.get("verdict") == "worse" else "harmed"
    return "safe" if decided == "yes" else "open"


def change(m: Measurement | None) -> str:
    """As in "+0.012 (0.004 to 0.019)"."""
    if m is None or m.value is None:
        return ABSENT
    if m.interval is None or m.interval.low == m.interval.high:
        return signed(m.value)
    value, low, high = together(m.value, m.interval.low, m.interval.high)
    return f"{'+' * (m.value > 0)}{value} ({low} to {high})"


def size(m: Measurement | None, dense: Measurement | None) -> str:
    """As in "59.38 MB, 0.65 of dense"."""
    if m is None or m.value is None:
        return ABSENT
    text = quantity(m.value / 1e6, "MB")
    if dense is None or m is dense or not dense.value:
        return text
    return f"{text}, {number(m.value / dense.value)} of dense"


def _reason(about: Mapping[str, Any], safe: Measurement | None) -> str:
    """Why it is safe or not; where the harms are listed beside it, only how quality is on the whole."""
    overall = about.get("overall")
    if rows_of(about, "harms") and isinstance(overall, Mapping) and overall.get("text"):
        return sentence_case(str(overall["text"]))
    return sentence_case(str(safe.details.get("reason", ""))).rstrip(".") if safe else ""


def _remarks(about: Mapping[str, Any]) -> list[str]:
    flags, notices = about.get("flags"), about.get("notices")
    texts = [str(f) for f in flags if f != "undefined"] if isinstance(flags, list) else []
    texts += [f"{plain(str(k))}: {v}" for k, v in notices.items()] if isinstance(notices, Mapping) else []
    open_ = [named(r) for r in rows_of(about, "candidates") if r.get("unresolved") and not r.get("harmed")]
    texts += [f"harm not ruled out: {', '.join(open_)}"] if open_ else []
    failed = [p for p in rows_of(about, "probes") if p.get("status") != "ok"]
    return texts + [f"{p.get('probe')} was not measured ({p.get('status')}): {p.get('reason')}" for p in failed]


def _harm(row: Mapping[str, Any]) -> str:
    """As in "Group sex=Female: worse by 0.40 nats per token (0.31 to 0.52), n = 120, p = 0.001 (Holm)"."""
    what = named(row)
    if not all(is_number(row.get(key)) for key in ("value", "low", "high")):
        return what
    ends = " to ".join(together(row["low"], row["high"]))
    by = f"{what}: worse by {quantity(row['value'], str(row.get('unit', '')))} ({ends})"
    return f"{by}, n = {number(row.get('n'))}, p (Holm) = {number(row.get('p_value_holm'))}"


def named(row: Mapping[str, Any]) -> str:
    """Who or what is harmed, in words."""
    what = str(row.get("what", ""))
    return f"Group {plain(what)}" if row.get("kind") == "group" else sentence_case(probe_words(what))


def _step(step: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What one step did, named after it; long lists stay in the json."""
    name = str(step.get("step", "step"))
    rest = {k: v for k, v in step.items() if k != "step" and not isinstance(v, list | Mapping)}
    return [(f"{name}: {plain(key)}", text) for key, text in flat(rest)] or [(name, ABSENT)]


def _exemplars(label: str, m: Measurement | None) -> Grid | None:
    shown = rows_of(m.details, "shown") if m is not None else []
    rows = [
        [
            str(row.get("text", "")),
            signed(row["loss_rise"]) if is_number(row.get("loss_rise")) else ABSENT,
            number(row.get("changed_answers")) if is_number(row.get("changed_answers")) else ABSENT,
            _groups(row.get("groups")),
        ]
        for row in shown
    ]
    header = ("Item", "Rise of the loss, nats", "Changed answers", "Groups")
    return Grid(f"{label}: items that the compressed model forgets most", header, rows) if rows else None


def _groups(groups: Any) -> str:
    if not isinstance(groups, Mapping):
        return ABSENT
    return ", ".join(f"{plain(str(k))} {v}" for k, v in groups.items() if v) or ABSENT


def _chosen(m: Measurement | None) -> str:
    """How many exemplars there are, and which."""
    if m is None or m.value is None:
        return ""
    count, which = m.details.get("exemplars"), m.details.get("which", "")
    return f"{number(m.value)} % of the texts have a changed prediction. Exemplars: {number(count)} texts, {which}."
