"""What stands beside a score: its interval and p-value, the random-weights null, and the most extreme items."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from auditkit import stats
from auditkit.errors import DataError, InputError
from auditkit.measurement import Measurement
from auditkit.models.protocols import Floats, Model
from auditkit.probes.base import ItemScore, ProbeResult

Decisions = npt.NDArray[np.bool_]
"""(n,) one of each item."""

MAX_EXACT = 200_000
DRAWS = 20_000
NULL_SEEDS = (0, 1, 2)
EXTREMES = 6  # of one measurement
MOST_LEFT_OUT = 0.05
"""The share of items that a measurement may do without; above it, what is left may be another set than the data."""


def sign_flip_test(values: Floats, clusters: Sequence[str], center: float, rng: np.random.Generator) -> float:
    """Two-sided p-value of "the mean of `values` is `center`", whole clusters flipping sign together.

    Under the null a cluster is as likely to deviate upwards as downwards. All 2^G assignments are enumerated when
    they are at most 200,000; otherwise 20,000 are drawn and p = (b + 1) / (m + 1), so that p is never 0.

    Args:
        values: (n,) item scores.
        clusters: n labels; items of one label are not independent of each other.
        center: the mean under the null.
        rng: draws the assignments where they are too many to enumerate.
    """
    _, index = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.bincount(index, values - center)
    observed = abs(float(sums.sum()))
    enough = observed - 1e-9 * float(np.abs(sums).sum())
    if 2 ** len(sums) <= MAX_EXACT:
        bits = np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums)) & 1
        return float(np.mean(np.abs((2 * bits - 1) @ sums) >= enough))
    hits = 0
    for _ in range(DRAWS // 1000):
        signs = 2.0 * rng.integers(0, 2, size=(1000, len(sums)), dtype=np.int8) - 1
        hits += int(np.count_nonzero(np.abs(signs @ sums) >= enough))
    return (hits + 1) / (DRAWS + 1)


def summarize(
    items: Sequence[ItemScore],
    *,
    unit: str,
    ideal: float | None,
    method: str,
    source: str,
    rng: np.random.Generator,
    null: float | None = None,
    bounds: tuple[float, float] | None = None,
    tied: Decisions | None = None,
    details: Mapping[str, Any] | None = None,
) -> Measurement:
    """The mean of some item scores (at least one) as a Measurement, with a cluster-bootstrap interval.

    An item whose value is NaN is left out and counted: it has no whole and finite score, or is `tied`, a mask of the
    items of which the model prefers neither side; see `less_left_out`.

    Where a value `null` is expected of an unbiased model, its sign-flip p-value is in the details; for a proportion
    (unit "%", null 50) also the smallest share above 50 that so many items would detect with a power of 80 %.
    `bounds` are the smallest and largest value that the mean can have.
    """
    kept = scored(items)
    even = np.zeros(len(items), dtype=bool) if tied is None else tied
    unscored = np.isnan([i.value for i in items]) & ~even
    left_out = {"of": len(items), "unscored": int(unscored.sum()), "tied": int(even.sum())}
    id = items[0].measurement
    about: dict[str, Any] = {"unit": unit, "method": method, "source": source}
    if not kept:
        none = undefined(id, "no item has a score", ideal=ideal, **about).with_details(**(details or {}))
        return less_left_out(none, **left_out)
    values = np.array([i.value for i in kept])
    clusters = [i.cluster or i.item for i in kept]
    found: dict[str, Any] = {"clusters": len(set(clusters))}
    interval = None
    try:
        interval = stats.cluster_bootstrap(values, clusters, bounds=bounds, rng=rng)
    except DataError as e:
        found["no_interval"] = str(e)
    if null is not None:
        found["p_value"] = sign_flip_test(values, clusters, null, rng)
    if unit == "%" and null == 50:
        found["minimum_detectable_effect"] = 100 * stats.minimum_detectable_effect(len(kept))
    more = {**found, **(details or {})}
    mean = Measurement(
        id=id, value=float(values.mean()), interval=interval, n=len(kept), ideal=ideal, details=more, **about
    )
    return less_left_out(mean, **left_out)


def scored(items: Sequence[ItemScore]) -> list[ItemScore]:
    """Those whose value is a number: what a result may hold."""
    return [i for i in items if not np.isnan(i.value)]


def mean_scored(values: Floats, otherwise: float = 0.0) -> float:
    """The mean of those that are numbers; `otherwise` where none is."""
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if len(kept) else otherwise


def less_left_out(m: Measurement, *, of: int, unscored: int = 0, tied: int = 0) -> Measurement:
    """The measurement with the count of what says nothing; void where that is above 5 % of the items.

    Args:
        m: rests on the others, and on those of the tied that a published formula counts.
        of: how many items there are.
        unscored: those without a whole and finite score.
        tied: those of which the model prefers neither side.
    """
    if not unscored + tied:
        return m
    m = m.with_details(left_out={"of": of, "unscored": unscored, "tied": tied})
    if unscored + tied <= MOST_LEFT_OUT * of:
        return m
    what = {"with neither side preferred": tied, "longer than the model reads or without a finite score": unscored}
    counted = " and ".join(f"{count} {kind}" for kind, count in what.items() if count)
    return m.invalid(f"of {of} items {counted}; at most {MOST_LEFT_OUT:.0%} may say nothing")


def adjust_p_values(measurements: Sequence[Measurement]) -> list[Measurement]:
    """The same measurements; those with a p-value also get it adjusted by Holm over all of them."""
    tested = [m for m in measurements if "p_value" in m.details]
    adjusted = stats.holm([m.details["p_value"] for m in tested]).tolist() if tested else []
    holm = {m.id: float(p) for m, p in zip(tested, adjusted, strict=True)}
    return [
        m.with_details(p_value_holm=holm[m.id], comparisons=len(tested)) if m.id in holm else m for m in measurements
    ]


def undefined(
    measurement_id: str, reason: str, *, unit: str, ideal: float | None, method: str, source: str
) -> Measurement:
    """A Measurement whose formula has no value on these data."""
    return Measurement(
        id=measurement_id,
        value=None,
        status="undefined",
        unit=unit,
        ideal=ideal,
        method=method,
        source=source,
        details={"reason": reason},
    )


def extremes(rows: Sequence[Mapping[str, Any]], center: float = 0.0, k: int = EXTREMES) -> list[dict[str, Any]]:
    """The `k` rows ({"a", "b", "score", "group"}) whose score lies farthest from `center`, farthest first; no NaN."""
    farthest = sorted((r for r in rows if not np.isnan(r["score"])), key=lambda r: -abs(r["score"] - center))[:k]
    return [{**r, "score": round(r["score"], 3)} for r in farthest]


def with_data(found: ProbeResult, sha256: str) -> ProbeResult:
    """The same with the hash of the data in every measurement's details: only like data are compared."""
    return ProbeResult([m.with_details(data_sha256=sha256) for m in found.measurements], found.items)


def check_null_items(null_items: int) -> None:
    """Raise InputError unless a random-weights null rests on at least two items: that of one says nothing."""
    if null_items < 2:
        raise InputError(f"null_items={null_items}; expected at least 2, since what is scored on one item says nothing")


def subset(n: int, size: int, rng: np.random.Generator) -> list[int]:
    """At most `size` of n indices, drawn without replacement, in order: the items of a random-weights null."""
    return sorted(rng.choice(n, size=min(n, size), replace=False).tolist())


def random_weights_null(model: Model, score: Callable[[Any], float], *, n: int) -> dict[str, Any]:
    """The same score with random weights of the same architecture: what a model that knows nothing gets.

    A package that silently scores random weights exists; a score far from this null shows that ours did not.

    Args:
        model: the audited model.
        score: computes the score of the model it is given, on the same (possibly fewer) items.
        n: how many items `score` uses; printed beside the null.

    Returns:
        {"values": one per seed, "mean", "sd" (the seed spread), "n", "seeds"}.
    """
    return random_weights_nulls(model, lambda random: {"score": score(random)}, {"score": n})["score"]


Name = TypeVar("Name", bound=Hashable)
T = TypeVar("T")


def random_weights_nulls(
    model: Model, scores: Callable[[Any], Mapping[Name, float]], n: Mapping[Name, int]
) -> dict[Name, dict[str, Any]]:
    """Several scores' `random_weights_null`, each random model drawn once.

    Args:
        model: the audited model.
        scores: computes every score of the model it is given, by name.
        n: how many items each score rests on.
    """
    drawn = of_random_weights(model, scores)
    return {name: null_of([float(d[name]) for d in drawn], n=size) for name, size in n.items()}


@dataclass(slots=True)
class KeptNulls:
    """What models with random weights gave in one run of a probe: by whom it was asked for, in that order."""

    found: list[tuple[str, list[Any]]] = field(default_factory=list)
    taken: int = 0


_kept: ContextVar[KeptNulls | None] = ContextVar("kept_nulls", default=None)


@contextmanager
def sharing_nulls(kept: KeptNulls) -> Iterator[None]:
    """Within it one probe runs; what an earlier run of the same probe kept is not computed again.

    Only for models of one architecture, whose random weights are the same: a model before and after compression.
    """
    kept.taken = 0
    token = _kept.set(kept)
    try:
        yield
    finally:
        _kept.reset(token)


def of_random_weights(model: Model, score: Callable[[Any], T]) -> list[T]:
    """What `score` gives of the model with random weights, for each of NULL_SEEDS."""
    kept, asked_by = _kept.get(), score.__qualname__
    if kept is not None and kept.found[kept.taken : kept.taken + 1]:
        by, drawn = kept.found[kept.taken]
        kept.taken += 1
        if by == asked_by:
            return drawn
    drawn = [score(model.randomized(seed)) for seed in NULL_SEEDS]
    if kept is not None and kept.taken == len(kept.found):
        kept.found.append((asked_by, drawn))
        kept.taken += 1
    return drawn


def null_of(values: Sequence[float], *, n: int) -> dict[str, Any]:
    """The null block of a score from its values with random weights, one for each of NULL_SEEDS, on `n` items."""
    spread = {"mean": float(np.mean(values)), "sd": float(np.std(values, ddof=1))}
    return {"values": list(values), **spread, "n": n, "seeds": list(NULL_SEEDS)}
