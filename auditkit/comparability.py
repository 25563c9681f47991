"""Like with like: what must be the same about a measurement in two reports before their difference is one of models.

A change from 58 to 0.6 is an improvement only if both are per cent; one shared item of 400 says nothing of the others.
So everything that the number depends on, except the model, has to be equal; where it is not, what differs is named.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from auditkit.changes import data_hash, probes_asked
from auditkit.measurement import Measurement
from auditkit.rendering.formatting import shortened
from auditkit.report import AuditReport

LEAST_SHARED = 0.9
"""The share of either side's items that both must have."""

COSMETIC = frozenset({"id", "redact", "shown", "null_items", "resume", "costs", "drift", "batch_sizes"})
"""Options of the probes that come with auditkit which change what is shown or added, and no measurement's value."""

AUDITED = frozenset({"trainings", "audit"})
"""Options that name what is audited, as `model` does: between a report and its baseline they are meant to differ."""

CLOCKS_DIFFER = timedelta(days=1)
_ABSENT = "not recorded"


def differences(before: AuditReport, was: Measurement, now: AuditReport, found: Measurement) -> list[str]:
    """What is not the same of `was` in `before` and of `found` in `now`, in words; empty where they can be compared."""
    old, new = _conditions(before, was), _conditions(now, found)
    return [
        f"{name} was {_shown(old.get(name))}, is {_shown(new.get(name))}"
        for name in dict.fromkeys([*new, *old])
        if _text(old.get(name)) != _text(new.get(name))
    ]


def too_few_shared(shared: int, here: int, there: int) -> str:
    """Why `shared` items are too few of those `here` and `there`; "" where they are enough."""
    if shared >= LEAST_SHARED * max(here, there):
        return ""
    return (
        f"only {shared} of {here} items here and of {there} there are shared; expected at least {LEAST_SHARED:.0%} of "
        "both: audit both models on the same data"
    )


def no_baseline(baseline: AuditReport, report: AuditReport | None) -> str:
    """Why `baseline` cannot be an earlier report than `report`: it is the same one, or of the future; else ""."""
    if report is not None and is_same_run(report, baseline):
        return f"is the report that is judged itself (created {report.created}); give an earlier one"
    return from_the_future(baseline.created)


def is_same_run(one: AuditReport, other: AuditReport) -> bool:
    """Whether both are of one run, however they were copied, renamed or judged since."""
    return bool(one.created) and (one.created, one.subject) == (other.created, other.subject)


def is_same_model(one: AuditReport, other: AuditReport) -> bool:
    """Whether weights, tokenizer and configuration are the same: then equal answers are no coincidence."""
    hashes = [report.subject.get("subject_sha256") for report in (one, other)]
    return hashes[0] is not None and hashes[0] == hashes[1]


def from_the_future(created: str) -> str:
    """Why a report made at this time cannot be an earlier one; "" where it can, or does not say when it was made."""
    try:
        made = datetime.fromisoformat(created)
    except ValueError:
        return ""
    made = made if made.tzinfo else made.replace(tzinfo=UTC)
    return f"is dated {created}, in the future; set the clock right and audit again" if made > _latest() else ""


def _latest() -> datetime:
    return datetime.now(UTC) + CLOCKS_DIFFER


def _conditions(report: AuditReport, m: Measurement) -> dict[str, Any]:
    """Everything besides the model that the value of `m` depends on, as far as the report says it."""
    kind, options = probes_asked(report).get(m.probe, (None, {}))
    apart = COSMETIC | AUDITED | ({"data"} if data_hash(m) else set())  # the same data may lie elsewhere
    return {
        "the probe": kind,
        "the kind of model": report.subject.get("task"),
        "the unit": m.unit,
        "the ideal value": m.ideal if m.ideal is None else float(m.ideal),
        "the statistic over its items": m.details.get("over_items"),
        "the sha256 of its data": data_hash(m) or None,
        "the major version of auditkit": _major(report.environment),
        **{f"the option {name}": value for name, value in options.items() if name not in apart},
    }


def _major(environment: Mapping[str, Any]) -> str | None:
    version = environment.get("auditkit")
    return None if version is None else str(version).partition(".")[0]


def _shown(value: Any) -> str:
    return _ABSENT if value is None else shortened(_text(value), 60)


def _text(value: Any) -> str:
    """Python takes 1 for True and ("a",) for another value than ["a"]; their JSON is what the report holds."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
