"""Why a difference between groups that lies inside its limit still proves nothing.

    left_out     groups too small to be compared: a difference without them says nothing of them
    undecided    a model that decides alike about everybody is as equal as one that decides nothing

Both stand in a measurement's details, so that the gate needs nothing but the report.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from auditkit.measurement import Measurement

MOST_NAMED = 5


def group_doubts(m: Measurement, *, small_groups_count: bool) -> str:
    """What keeps `m` from passing, as the end of a sentence; "" where nothing does.

    Args:
        m: the measurement, whose details may hold `left_out` and `undecided`.
        small_groups_count: whether groups that were left out keep it from passing.
    """
    return "".join(f"; {doubt}" for doubt in _doubts(m.details, small_groups_count))


def _doubts(details: Mapping[str, Any], small_groups_count: bool) -> Iterator[str]:
    left_out = details.get("left_out")
    if small_groups_count and isinstance(left_out, Mapping) and left_out.get("groups"):
        yield _left_out(left_out)
    if undecided := details.get("undecided"):
        yield f"it cannot pass: {undecided}"


def _left_out(left_out: Mapping[str, Any]) -> str:
    people = dict(left_out["groups"])
    named = ", ".join(f"{name} ({n} people)" for name, n in list(people.items())[:MOST_NAMED])
    more = f" and {len(people) - MOST_NAMED} more" if len(people) > MOST_NAMED else ""
    value = left_out.get("value")
    with_them = "with them there is no value" if value is None else f"with them the value is {value:.4g}"
    return (
        f"it cannot pass without the groups that were left out as too small: {named}{more}; {with_them} (audit more "
        "people, merge groups, or say small_groups: ignore)"
    )
