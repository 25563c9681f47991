"""What a measurement's details say beside its value.

Details are free: a plug-in may put anything there. What does not have the expected shape is left out of the page, so
that one odd entry never costs the whole report; the JSON still holds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from auditkit.measurement import Measurement
from auditkit.rendering.formatting import number, plain, scalar, together


@dataclass(frozen=True, slots=True)
class Null:
    """The score of random weights: `text` as in "49.50 ± 1.25", the range over its seeds, and what it rests on."""

    mean: float
    low: float
    high: float
    text: str
    basis: str


def is_number(value: Any) -> TypeGuard[float]:
    """Whether `value` is a number; True and False are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def validity(m: Measurement) -> Mapping[str, Any]:
    """The validity block; empty where there is none."""
    block = m.details.get("validity")
    return block if isinstance(block, Mapping) else {}


def null(m: Measurement) -> Null | None:
    """The random-weights null of `m`."""
    found = validity(m).get("null")
    if not isinstance(found, Mapping) or not is_number(found.get("mean")):
        return None
    mean, sd = found["mean"], found.get("sd")
    given = found.get("values")
    values = [v for v in given if is_number(v)] if isinstance(given, list) else []
    return Null(
        mean=mean,
        low=min([mean, *values]),
        high=max([mean, *values]),
        text=" ± ".join(together(mean, sd)) if is_number(sd) else number(mean),
        basis="; ".join([f"{len(values)} seeds", *_stated(found)]),
    )


def _stated(found: Mapping[str, Any]) -> list[str]:
    n = [f"n = {number(found['n'])}"] if is_number(found.get("n")) else []
    return n + ([str(found["kind"])] if "kind" in found else [])


def tie_rate(m: Measurement) -> str:
    """The share of ties, in percent; "" where it was not measured."""
    rate = validity(m).get("tie_rate")
    return f"{number(100.0 * rate)} %" if is_number(rate) else ""


def agreement(m: Measurement) -> str:
    """Rank correlations with other ways of scoring, as in "AUL 0.700; within word PLL 0.900"."""
    found = validity(m).get("agreement")
    if isinstance(found, Mapping):
        return "; ".join(f"{plain(name)} {scalar(rho)}" for name, rho in found.items())
    return "" if found is None else scalar(found)


def weights(m: Measurement) -> str:
    """The hash of the weights that `m` was measured on."""
    return str(validity(m).get("weights_sha256") or "")


def points(m: Measurement) -> list[Mapping[str, Any]]:
    """The occupations of a pronoun gap that have a title, a share of women and a gap."""
    return [p for p in _mappings(m, "points") if is_number(p.get("female_share")) and is_number(p.get("gap"))]


def extremes(m: Measurement) -> list[Mapping[str, Any]]:
    """The items at the edge: {"a", "b", "score", "group"}."""
    return _mappings(m, "extremes")


def _mappings(m: Measurement, key: str) -> list[Mapping[str, Any]]:
    found = m.details.get(key)
    return [entry for entry in found if isinstance(entry, Mapping)] if isinstance(found, list) else []
