"""The noun that flows: one number, and everything a reader needs in order to believe it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

from auditkit.errors import ReportError

Status = Literal["ok", "skipped", "error", "undefined", "invalid"]
LEVEL = 0.95
"""The confidence level asked of every interval that is reported; one that holds less often says nothing to a gate."""

ROUNDING = 1e-9
"""How far, relatively, a value may lie outside of its interval or range: floats round, and no further."""

DEEPEST = 64
"""How deep `details` may be nested; the reports of all probes stay below ten."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval `[low, high]` at `level` (0.95 means 95 %), obtained by `method`."""

    low: float
    high: float
    level: float = 0.95
    method: str = ""

    def __post_init__(self) -> None:
        refuse_wrong_types(self, {"low": int | float, "high": int | float, "level": int | float, "method": str})
        if not (is_finite(self.low) and is_finite(self.high) and self.low <= self.high):
            raise ValueError(f"interval [{shown(self.low)}, {shown(self.high)}]: expected finite numbers, low <= high")
        if not 0 < self.level <= 1:
            raise ValueError(f"interval level {self.level}: expected a share in (0, 1]")

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One result of one probe. What contradicts itself cannot be made, and so not be read from a report either.

    Attributes:
        id: `probe/group/metric`, for instance `crows_pairs/gender/metric_score`; unique in a report.
        value: the number; None unless `status` is "ok".
        interval: its confidence interval, which holds the value at `LEVEL` or more; zero width for an exact quantity;
            None where none is defined, and where there is no value.
        n: how many items the value rests on, at least one.
        unit: "%" for a share from 0 to 100, "points" for a difference of shares, "nats", "log10 odds", "tokens", ...;
            "" for a pure number.
        ideal: the value of a model without the measured harm; None where there is none.
        status: "ok"; "skipped" (not applicable to this model, or its data are not here); "error" (the probe crashed);
            "undefined" (the formula has no value on these data); "invalid" (there is a number, and it means nothing:
            the model cannot do what is asked of it, or too many items had to be left out). `details["reason"]` says
            why for all but the first.
        method: how the value was obtained, in words a paper would use.
        source: the publication that defines it.
        seed: the seed that reproduces it.
        details: anything else, JSON values only: p-values, validity block, minimum detectable effect, extremes.
    """

    id: str
    value: float | None
    interval: Interval | None = None
    n: int = 0
    unit: str = ""
    ideal: float | None = None
    status: Status = "ok"
    method: str = ""
    source: str = ""
    seed: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        refuse_wrong_types(self, _TYPES)
        if self.status not in get_args(Status):
            raise ValueError(f"{self.id}: status {self.status!r}; expected one of {', '.join(get_args(Status))}")
        if self.status == "ok" and self.value is None:
            raise ValueError(f"{self.id}: status 'ok' needs a value; use status 'undefined' with a reason")
        if self.status != "ok" and self.value is not None:
            raise ValueError(f"{self.id}: status {self.status!r} may not carry a value, got {self.value}")
        refuse_non_json(self.id, self.value)
        refuse_non_json(self.id, self.ideal)
        refuse_non_json(f"{self.id}/details", self.details)
        if problem := next(_contradictions(self), None):
            raise ValueError(f"{self.id}: {problem}")

    @property
    def probe(self) -> str:
        """The probe's id: the part of `id` before the first slash."""
        return self.id.split("/", 1)[0]

    @property
    def is_correlation(self) -> bool:
        """Whether it is the correlation of its item scores with their x, and not the slope on it; `details` say so."""
        return self.details.get("over_items") == "correlation"

    def with_details(self, **more: Any) -> Measurement:
        """A copy whose `details` also hold `more`."""
        return replace(self, details={**self.details, **more})

    def invalid(self, reason: str) -> Measurement:
        """What is left of it once its number is known to mean nothing."""
        return replace(self, value=None, interval=None, status="invalid", details={**self.details, "reason": reason})

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `from_json` gives back an equal Measurement."""
        out = {f.name: getattr(self, f.name) for f in fields(self)}
        if self.interval is not None:
            out["interval"] = {f.name: getattr(self.interval, f.name) for f in fields(self.interval)}
        return out | {"details": dict(self.details)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Measurement:
        """Inverse of `to_json`.

        Raises:
            ReportError: a key is unknown, missing, or has a value that a Measurement refuses.
        """
        try:
            interval = data["interval"]
            return cls(**{**data, "interval": None if interval is None else Interval(**interval)})
        except (KeyError, TypeError, ValueError) as e:
            raise ReportError(f"measurement {data.get('id', '?')!r} is damaged: {e}; run the audit again") from e


_TYPES = {
    "id": str,
    "value": int | float | None,
    "interval": Interval | None,
    "n": int,
    "unit": str,
    "ideal": int | float | None,
    "status": str,
    "method": str,
    "source": str,
    "seed": int | None,
    "details": Mapping,
}


def refuse_wrong_types(given: object, expected: Mapping[str, Any]) -> None:
    """Raise TypeError at the first attribute of `given` that is not of its expected type; True is not a number.

    A report comes from a file, and a measurement from anybody's probe: what is wrong with them must show at once, not
    when a page is drawn.
    """
    for name, kind in expected.items():
        value = getattr(given, name)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise TypeError(f"{name} is of type {type(value).__name__}; expected {getattr(kind, '__name__', kind)}")


def refuse_non_json(where: str, value: Any, depth: int = 0) -> None:
    """Raise ValueError at what JSON cannot carry to any reader: NaN, numbers beyond a double, odd keys, objects."""
    if depth > DEEPEST:
        raise ValueError(f"{where[:80]}...: nested more than {DEEPEST} deep")
    if isinstance(value, int | float) and not is_finite(value):
        raise ValueError(f"{where}: {shown(value)} cannot be reported; use status 'undefined' with a reason")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise ValueError(f"{where}: key {key!r} must be a string")
            refuse_non_json(f"{where}/{key}", inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            refuse_non_json(where, inner, depth + 1)
    elif not (value is None or type(value) in (bool, int, float, str)):
        raise ValueError(f"{where}: {type(value).__name__} is not a JSON value; convert it (float(x), x.tolist())")


def is_finite(number: float) -> bool:
    """Whether a double can hold it: not NaN, not infinite, no integer of a thousand digits."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def shown(number: float) -> str:
    """A number for a message; one that a double cannot hold would fill pages."""
    return "an integer beyond 1e308" if isinstance(number, int) and not is_finite(number) else str(number)


def within(value: float, low: float, high: float) -> bool:
    """Whether low <= value <= high but for rounding."""
    slack = ROUNDING * max(1.0, *(abs(end) for end in (value, low, high) if is_finite(end)))
    return low - slack <= value <= high + slack


def _contradictions(m: Measurement) -> Iterator[str]:
    """What cannot be true of one measurement."""
    if m.n < 0:
        yield f"n is {m.n}; expected how many items the value rests on"
    if m.seed is not None and m.seed < 0:
        yield f"seed is {m.seed}; expected 0 or more"
    if m.interval is not None and m.value is None:
        yield f"an interval [{m.interval.low}, {m.interval.high}] without a value"
    if m.value is None:
        return
    if m.n == 0:
        yield f"value {m.value:.6g} with n = 0; what rests on no item is 'undefined', with a reason"
    low, high = _possible(m)
    if not within(m.value, low, high):
        yield f"value {m.value:.6g} {m.unit}; expected {low:g} to {high:g} (the unit of a difference is 'points')"
    if m.interval is not None:
        yield from _interval_contradictions(m.value, m.interval)


def _interval_contradictions(value: float, interval: Interval) -> Iterator[str]:
    if not within(value, interval.low, interval.high):
        yield f"value {value:.6g} lies outside of its interval [{interval.low:.6g}, {interval.high:.6g}]"
    if interval.level < LEVEL - ROUNDING:
        yield f"its interval holds at level {interval.level:g}; expected {LEVEL:g} or more"


def _possible(m: Measurement) -> tuple[float, float]:
    """The range of the unit. Usable information (Xu et al. 2020) is below 0 % where a model misleads itself."""
    if m.unit != "%":
        return -math.inf, math.inf
    return -math.inf if m.method.startswith("usable information") else 0.0, 100.0
