"""Of one mitigation: whether the bias is gone or hidden, and who is worse off, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from auditkit.measurement import Measurement
from auditkit.rendering import narrative
from auditkit.rendering.evidence import is_number
from auditkit.rendering.formatting import ABSENT, MINUS, NARROW, number, plain
from auditkit.rendering.private_runs import Grid

Found = Mapping[str, Measurement]

NO_TRACE = 0.05  # per cent: what rounds to zero
MAX_NAMED = 3  # of those worse off, in one sentence; all of them are in the method's own table
GROWN, LESS_ACCURATE = "gaps_grown", "groups_less_accurate"
ODDS = ("true_positive_rate", "false_positive_rate")


def fixed(value: Any, decimals: int) -> str:
    """A number with so many decimals; a dash where it is none."""
    if not is_number(value):
        return ABSENT
    text = f"{abs(value):,.{decimals}f}"
    return MINUS + text if value < 0 and float(text.replace(",", "")) else text


def decimals_of(m: Measurement) -> int:
    """Per cent and points to a tenth, shares to a thousandth."""
    return 1 if m.unit in ("%", "points") else 3


def with_interval(m: Measurement | None) -> str:
    """As in "0.185 (0.159 to 0.210)"; why there is no number, or a dash where nothing was measured."""
    if m is None:
        return ABSENT
    if m.value is None:
        return m.status
    decimals = decimals_of(m)
    return f"{fixed(m.value, decimals)}{_ends(m.interval.low, m.interval.high, decimals) if m.interval else ''}"


def value_and_interval(m: Measurement | None) -> tuple[str, str]:
    """The same in two parts, which stand one above the other."""
    if m is None or m.value is None or m.interval is None:
        return with_interval(m), ""
    decimals = decimals_of(m)
    return fixed(m.value, decimals), f"{fixed(m.interval.low, decimals)} to {fixed(m.interval.high, decimals)}"


def _ends(low: Any, high: Any, decimals: int) -> str:
    return f" ({fixed(low, decimals)} to {fixed(high, decimals)})"


# --- gone or hidden ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trace:
    """What fresh models can tell of the groups, per cent of all there is to know.

    Attributes:
        read_from: what they look at.
        linear, nonlinear: (before, after with its interval).
        words: what that means.
    """

    read_from: str
    linear: tuple[str, str]
    nonlinear: tuple[str, str]
    words: str


def trace(found: Found) -> Trace | None:
    """None where nothing was looked for."""
    linear, nonlinear = (found.get(f"group_told_by_{kind}") for kind in ("linear", "nonlinear"))
    if linear is None or nonlinear is None:
        return None
    changes = {kind: found.get(f"group_told_by_{kind}_change") for kind in ("linear", "nonlinear")}
    before = {kind: fixed(m.details.get("before") if m else None, 1) for kind, m in changes.items()}
    return Trace(
        read_from={"representation": "its features", "score": "its score"}.get(
            str(linear.details.get("read_from")), ABSENT
        ),
        linear=(before["linear"], with_interval(linear)),
        nonlinear=(before["nonlinear"], with_interval(nonlinear)),
        words=_traced(linear, nonlinear, changes["nonlinear"]),
    )


def _traced(linear: Measurement, nonlinear: Measurement, change: Measurement | None) -> str:
    if linear.interval is None or nonlinear.interval is None:
        return narrative.reason_of(linear if linear.value is None else nonlinear)
    by_line, by_curve = linear.interval.low > NO_TRACE, nonlinear.interval.low > NO_TRACE
    if not by_line and not by_curve:
        return "no trace found"
    if not by_line:
        return "hidden: a nonlinear model still finds it"
    if change is None or change.interval is None:
        return "can be told"
    if change.interval.high < 0:
        return "less than before, not gone"
    return "more than before" if change.interval.low > 0 else "no sure change for a nonlinear model"


# --- who is worse off -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Harm:
    """Who is worse off.

    Attributes:
        lines: one sentence a kind of harm; none where nothing was found.
        looked_at: among how many gaps and groups was looked.
        grown: the gaps that grew.
        less_accurate: the groups decided less rightly.
    """

    lines: list[str]
    looked_at: str
    grown: Grid | None
    less_accurate: Grid | None


def harm(found: Found) -> Harm | None:
    """None where nobody looked."""
    grown, less = found.get(GROWN), found.get(LESS_ACCURATE)
    if grown is None and less is None:
        return None
    gaps, groups = _rows(grown), _rows(less)
    lines = [*_widened(found), *([_gaps_in_words(gaps)] if gaps else [])]
    return Harm(
        lines=[*lines, *([_groups_in_words(groups)] if groups else [])],
        looked_at=f"{number(grown.n if grown else 0)} gaps and {number(less.n if less else 0)} groups",
        grown=_grown_grid(gaps) if gaps else None,
        less_accurate=_less_accurate_grid(groups) if groups else None,
    )


def short(group: str) -> str:
    """The values alone: "Female, Black" of "sex=Female+race=Black"."""
    return ", ".join(part.partition("=")[2] or part for part in group.split("+"))


def _rows(m: Measurement | None) -> list[Mapping[str, Any]]:
    found = m.details.get("found") if m is not None else None
    return [row for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []


def _attribute(row: Mapping[str, Any]) -> str:
    return " and ".join(plain(part) for part in str(row.get("attribute", "")).split("+"))


def _widened(found: Found) -> Iterator[str]:
    """Equalised odds between the very groups that were to be treated alike."""
    for rate in ODDS:
        change = found.get(f"{rate}_difference_change")
        if change is not None and change.interval is not None and change.interval.low > 0:
            between = _attribute(change.details)
            yield f"makes the difference in {plain(rate)}s by {between} larger (by {fixed(change.value, 3)})"


def _gaps_in_words(rows: list[Mapping[str, Any]]) -> str:
    named = [
        f"{plain(str(row.get('metric', '')))} by {_attribute(row)} (by {fixed(row.get('change'), 3)})"
        for row in sorted(rows, key=lambda row: -_key(row.get("change")))[:MAX_NAMED]
    ]
    return f"makes {len(rows)} other gap{'s' * (len(rows) > 1)} larger: {'; '.join(named)}{_more(rows)}"


def _groups_in_words(rows: list[Mapping[str, Any]]) -> str:
    hardest = sorted(rows, key=lambda row: _key(row.get("after")) - _key(row.get("before")))[:MAX_NAMED]
    named = [
        f"{short(str(row.get('group', '')))} (right for {_per_cent(row.get('before'))}, "
        f"now {_per_cent(row.get('after'))}{NARROW}%)"
        for row in hardest
    ]
    return f"decides less rightly about {len(rows)} group{'s' * (len(rows) > 1)}: {'; '.join(named)}{_more(rows)}"


def _key(value: Any) -> float:
    return float(value) if is_number(value) else 0.0


def _more(rows: list[Mapping[str, Any]]) -> str:
    return f"; {len(rows) - MAX_NAMED} more below" if len(rows) > MAX_NAMED else ""


def _per_cent(share: Any) -> str:
    return fixed(100 * share if is_number(share) else None, 1)


def _grown_grid(rows: list[Mapping[str, Any]]) -> Grid:
    cells = [
        [
            f"{plain(str(row.get('metric', '')))} by {_attribute(row)}",
            fixed(row.get("change"), 3),
            _ends(row.get("low"), row.get("high"), 3).strip(" ()"),
        ]
        for row in rows
    ]
    return Grid("Gaps between other groups that surely grew", ("Difference in", "Grew by", "95 % interval"), cells)


def _less_accurate_grid(rows: list[Mapping[str, Any]]) -> Grid:
    cells = [
        [
            short(str(row.get("group", ""))),
            number(row["n"] if is_number(row.get("n")) else None),
            _per_cent(row.get("before")),
            _per_cent(row.get("after")),
            number(row["p_value_holm"] if is_number(row.get("p_value_holm")) else None),
        ]
        for row in rows
    ]
    header = ("Group", "People", "Decided rightly before, %", "After, %", "p (Holm)")
    return Grid("Groups that are surely decided about less rightly", header, cells)
