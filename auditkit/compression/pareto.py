"""Which points no other point beats, and which of them to ship: read from the points' measurements alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from auditkit.errors import UnknownName
from auditkit.measurement import Measurement

SPEED = "speedup_batch_"
HIGHER_IS_BETTER = ("agreement", "accuracy", "attribution_agreement", f"{SPEED}1", f"{SPEED}8")
AXES = (
    *("bytes_in_memory", "bytes_on_disk", "peak_memory", "cpu_seconds", "energy"),
    *("quality_loss", "divergence", "answer_flips", "changed_texts", "loss", "perplexity"),
    *("pseudo_perplexity", *HIGHER_IS_BETTER),
)
GAINS = ("bytes_in_memory", "bytes_on_disk")
NO_CHANGE = {"quality_loss": 0.0, "divergence": 0.0, "answer_flips": 0.0, "changed_texts": 0.0, "agreement": 100.0}
NO_CHANGE |= {"attribution_agreement": 1.0, f"{SPEED}1": 1.0, f"{SPEED}8": 1.0}  # of the dense model beside itself


@dataclass(frozen=True, slots=True)
class Point:
    """One point as its measurements tell it.

    Attributes:
        slug: its part of the measurement ids.
        label: what was done.
        measurements: by the rest of their ids.
    """

    slug: str
    label: str
    measurements: Mapping[str, Measurement]

    def value(self, axis: str) -> float | None:
        """Where it stands on an axis; None where that is not known."""
        found = self.measurements.get(axis)
        if found is None:
            return NO_CHANGE.get(axis) if self.slug == "dense" else None
        return found.value

    @property
    def safe(self) -> str:
        """Whether it is safe: "yes" (as the dense model is), "no" or "open"."""
        return "yes" if self.slug == "dense" else str(self.measurements["safe"].details["safe"])

    @property
    def flags(self) -> list[str]:
        """What a reader must see beside it: "slower than dense", "no smaller than dense", "undefined"."""
        found = self.measurements.get("hidden_harms")
        return list(found.details.get("flags", ())) if found is not None else []

    def to_json(self, axes: Sequence[str], *, on_front: bool) -> dict[str, Any]:
        """All that a plot of the front needs: places, intervals, and each group's loss as a band."""
        intervals = {a: _ends(self.measurements.get(a)) for a in axes}
        groups = [
            {"group": m.details["group"], "value": m.value, "interval": _ends(m), "n": m.n}
            for name, m in self.measurements.items()
            if name.startswith("group=") and name.endswith("/quality_loss") and m.value is not None
        ]
        return {
            "slug": self.slug, "label": self.label, "on_front": on_front, "safe": self.safe, "flags": self.flags,
            "values": {a: self.value(a) for a in axes}, "intervals": intervals, "groups": groups,
        }  # fmt: skip


def check_axes(axes: Sequence[str]) -> None:
    """Raise unless every axis is known.

    Raises:
        UnknownName: there is no such axis.
    """
    for axis in axes:
        if axis not in AXES:
            raise UnknownName("axis", axis, AXES)


def front(points: Sequence[Point], axes: Sequence[str]) -> list[bool]:
    """Whether each point is beaten by no other: none is as good on all axes and better on one.

    A point without a value on some axis (a model that yields NaN) is on no front, and beats nobody.
    """
    sign = np.array([-1.0 if axis in HIGHER_IS_BETTER else 1.0 for axis in axes])
    raw = [[p.value(axis) for axis in axes] for p in points]
    known = [all(v is not None for v in row) for row in raw]
    places = [sign * np.array(row, dtype=np.float64) if ok else None for row, ok in zip(raw, known, strict=True)]
    there = [p for p in places if p is not None]
    return [
        place is not None and not any((other <= place).all() and (other < place).any() for other in there)
        for place in places
    ]


def is_gain(dense: Point, point: Point) -> bool:
    """Whether a point is smaller than the dense model, in memory or on disk, or faster by its whole interval."""
    for axis in GAINS:
        before, after = dense.value(axis), point.value(axis)
        if before is not None and after is not None and after < before:
            return True
    speeds = [m for name, m in point.measurements.items() if name.startswith(SPEED)]
    return any(m.interval is not None and m.interval.low > 1 for m in speeds)


def recommend(points: Sequence[Point], axes: Sequence[str]) -> tuple[Point | None, str]:
    """The safe point that gains most on the first axis, and why; or None, and why not.

    Of safe points, those not slower than the dense model come first.
    """
    dense, others = points[0], points[1:]
    measured = all(p.value(axis) is not None for p in points[:1] for axis in GAINS)
    safe = [p for p in others if p.safe == "yes"]
    useful = [p for p in safe if is_gain(dense, p) or not measured]
    if not useful:
        return None, _why_none(others, safe)
    sign = -1.0 if axes[0] in HIGHER_IS_BETTER else 1.0

    def rank(p: Point) -> tuple[bool, float]:
        value = p.value(axes[0])
        return "slower than dense" in p.flags, float("inf") if value is None else sign * value

    best = min(useful, key=rank)
    return best, f"{best.label}: {best.measurements['safe'].details['reason']}{_gains(dense, best)}"


def _gains(dense: Point, point: Point) -> str:
    parts = []
    for axis in GAINS:
        before, after = dense.value(axis), point.value(axis)
        if before and after is not None:
            parts.append(f"{after / before:.2f}x {axis.replace('_', ' ')}")
    for name, m in point.measurements.items():
        if name.startswith(SPEED) and m.value is not None:
            parts.append(f"{m.value:.2f}x speed at batch {name.removeprefix(SPEED)}")
    return f"; against the dense model {', '.join(parts)}" if parts else ""


def _why_none(others: Sequence[Point], safe: Sequence[Point]) -> str:
    if safe:
        return "no point is worth shipping: those that are safe are neither smaller nor faster than the dense model"
    why = "; ".join(f"{p.label}: {p.measurements['safe'].details['reason']}" for p in others)
    return f"no point is shown to be safe. {why}"


def _ends(m: Measurement | None) -> list[float] | None:
    return None if m is None or m.interval is None else [m.interval.low, m.interval.high]
