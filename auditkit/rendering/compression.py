"""The findings about compressed models, arranged for a page: the recommendation first, then every point of the sweep.

Of the measurements' details, which a plug-in may fill as it likes, what does not have the expected shape is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditkit.measurement import Measurement
from auditkit.rendering import compression_charts, svg
from auditkit.rendering.compression_changes import Found, rows_of
from auditkit.rendering.compression_charts import PlacedPoint
from auditkit.rendering.compression_points import PointView, change, view
from auditkit.rendering.evidence import is_number
from auditkit.rendering.formatting import ABSENT, interval, number, plain, quantity, sentence_case, together
from auditkit.rendering.private_runs import Grid
from auditkit.rendering.private_training import Picture

MEGA = 1e6
KEYS = {
    "safe": ("point-safe", "safe, and the interval of its change"),
    "open": ("point-open", "undecided"),
    "worse": ("point-worse", "worse overall"),
    "hidden": ("point-hidden", "hidden harm"),
    "harmed": ("point-hidden", "harm found"),
}
SPEED = "speedup_batch_"


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Which point to ship, or that none is.

    Attributes:
        sign: the gate's outcome whose icon it gets.
        sentence: the recommendation.
        evidence: what it rests on, a sentence each.
    """

    sign: str
    sentence: str
    evidence: Sequence[str]


@dataclass(frozen=True, slots=True)
class Compression:
    """Everything that the page shows of compression beside the table of its measurements.

    Attributes:
        recommendation: what to ship.
        hidden: every harm behind an average that did not move, a sentence each.
        front: the points by cost and quality.
        undrawn: points without a place in it, and why.
        points: every point of the sweep.
        costs: what each takes; None where that was not measured.
        energy: how energy was estimated.
    """

    recommendation: Recommendation
    hidden: Sequence[str]
    front: Picture | None
    undrawn: Sequence[str]
    points: Sequence[PointView]
    costs: Grid | None
    energy: str


def arrange(id: str, measurements: Iterable[Measurement]) -> Compression | None:
    """The part of a page about compression; None where `measurements` are of something else.

    Args:
        id: unique in the page; every picture's id starts with it.
        measurements: of one probe.
    """
    by_point: dict[str, dict[str, Measurement]] = {}
    for m in measurements:
        _, slug, name = (*m.id.split("/", 2), "", "")[:3]
        by_point.setdefault(slug, {})[name] = m
    together_, dense = by_point.get("all", {}), by_point.get("dense", {})
    front, advice = (together_.get(name) for name in ("pareto_front", "recommendation"))
    if front is None or advice is None:
        return None
    placed = [p for p in rows_of(front.details, "points") if isinstance(p.get("slug"), str)]
    tried = [p for p in placed if p["slug"] != "dense" and p["slug"] in by_point]
    views = [
        view(id, i, p["slug"], str(p.get("label", p["slug"])), by_point[p["slug"]], dense)
        for i, p in enumerate(tried, start=1)
    ]
    chosen = str(advice.details.get("point"))
    place = next((i for i, p in enumerate(tried) if p["slug"] == chosen), None)
    picked = None if place is None else views[place]
    by_slug = {p["slug"]: v for p, v in zip(tried, views, strict=True)}
    return Compression(
        recommendation=_recommendation(advice, picked, by_point.get(chosen, {}), dense, len(tried)),
        hidden=[f"{v.number} {v.label}: {h}" for v in views if v.finding == "hidden" for h in v.harms],
        front=_front(id, front, placed, by_slug, by_point),
        undrawn=[f"{v.number} {v.label}: {v.reason}" for v in views if v.finding == "none"],
        points=views,
        costs=_costs(dense, [(v, by_point[p["slug"]]) for p, v in zip(tried, views, strict=True)]),
        energy=dense["energy"].method if "energy" in dense else "",
    )


# --- the recommendation ---------------------------------------------------------------------------------------------


def _recommendation(
    advice: Measurement, picked: PointView | None, found: Found, dense: Found, tried: int
) -> Recommendation:
    points = f"the {tried} points tried" if tried != 1 else "the only point tried"
    if picked is None:
        safe = advice.value or 0
        if safe:
            text = f"Ship none of {points}: what is safe is neither smaller nor faster than the dense model."
            return Recommendation("INCONCLUSIVE", text, [])
        text = f"Ship none of {points}: none is shown to be safe. Why stands in the table, point by point."
        return Recommendation("FAIL", text, [])
    text = f"Of {points}, ship {picked.label} (point {picked.number})."
    return Recommendation("PASS", text, [*_quality(found), *_checks(found), *_gains(found, dense)])


def _quality(found: Found) -> list[str]:
    loss = found.get("quality_loss")
    if loss is None or loss.value is None:
        return []
    given = loss.details.get("margin")
    margin = f"{given:g} {loss.unit}" if is_number(given) else "the margin"
    words = {
        "equivalent": f"equivalent to the dense model's: shown to change by less than {margin}",
        "better": "better than the dense model's",
    }
    verdict = words.get(str(loss.details.get("verdict")), "as in the table")
    by = str(loss.details.get("equivalence", ""))
    how = f" Found by {by}." if by else ""
    return [f"Quality on all texts is {verdict}. Its loss changes by {change(loss)}, n = {number(loss.n)}.{how}"]


def _checks(found: Found) -> list[str]:
    """What was compared with the dense model without a harm being found."""
    about = found["hidden_harms"].details if "hidden_harms" in found else {}
    rows = rows_of(about, "candidates")
    groups, probes = (sum(r.get("kind") == kind for r in rows) for kind in ("group", "probe"))
    if not rows:
        return ["No group and no audit measurement was compared: give groups and probes, or harm stays unseen."]
    texts = []
    if groups:  # more than that the point is not called safe for
        texts.append(f"In each of {groups} groups a loss beyond the margin is ruled out.")
    if probes:
        texts.append(f"Of {probes} audit measurements, each paired with the dense model's, none is found to be worse.")
    return texts


def _gains(found: Found, dense: Found) -> list[str]:
    texts = []
    for name, where in (("bytes_in_memory", "in memory"), ("bytes_on_disk", "on disk")):
        after, before = found.get(name), dense.get(name)
        if after and before and after.value is not None and before.value:
            sizes = " instead of ".join(quantity(m.value and m.value / MEGA, "MB") for m in (after, before))
            texts.append(f"{sizes} {where}: {number(after.value / before.value)} of the dense model.")
    for name, m in found.items():
        if name.startswith(SPEED) and m.value is not None:
            batch = name.removeprefix(SPEED)
            slower = "Slower: " if m.interval is not None and m.interval.high < 1 else ""
            times = f"{slower}{number(m.value)} times as fast as the dense model at batch size {batch}"
            texts.append(f"{times} ({interval(m.interval)}), on this machine.")
    return texts


# --- the front ------------------------------------------------------------------------------------------------------


def _front(
    id: str,
    front: Measurement,
    placed: Sequence[Mapping[str, Any]],
    views: Mapping[str, PointView],
    by_point: Mapping[str, Found],
) -> Picture | None:
    """Cost against quality; None where fewer than two axes are given, or none of the points has a place."""
    axes = [str(a) for a in front.details.get("axes", ()) if isinstance(a, str)]
    if len(axes) < 2:
        return None
    x, y = axes[:2]
    points = [p for row in placed if (p := _placed(row, x, y, views)) is not None]
    if not points:
        return None
    margins = [by_point[s]["quality_loss"].details.get("margin") for s in views if "quality_loss" in by_point[s]]
    margin = next((m for m in margins if is_number(m)), None) if y == "quality_loss" else None
    units = front.details.get("units")
    titles = [
        _axis(a, units if isinstance(units, Mapping) else {}, front.details.get("higher_is_better")) for a in (x, y)
    ]
    picture = svg.inline(
        compression_charts.pareto_plot(points, x=titles[0], y=titles[1], margin=margin),
        id=f"{id}-front",
        title=f"Points by {plain(x)} and {plain(y)}",
        description=f"{len(points)} points, {sum(p.on_front for p in points)} of them on the front; the table below "
        "holds the numbers.",
    )
    caption = f"{'Quality' if y == 'quality_loss' else sentence_case(plain(y))} against {plain(x)}"
    return Picture(f"{id}-front", caption, picture, _legend(points, margin), _places(points, titles))


def _placed(row: Mapping[str, Any], x: str, y: str, views: Mapping[str, PointView]) -> PlacedPoint | None:
    values, ends = row.get("values"), row.get("intervals")
    at = [values.get(a) for a in (x, y)] if isinstance(values, Mapping) else []
    known = [_scaled(a, v) for a, v in zip((x, y), at, strict=False) if is_number(v)]
    seen = views.get(row["slug"])
    if len(known) < 2 or (seen is None and row["slug"] != "dense"):
        return None
    across, up = known
    low, high = _ends(ends.get(y) if isinstance(ends, Mapping) else None, y) or (up, up)
    groups = [g["value"] for g in rows_of(row, "groups") if is_number(g.get("value"))] if y == "quality_loss" else []
    finding = "safe" if seen is None else seen.finding
    return PlacedPoint(
        "dense" if seen is None else seen.number, across, up, low, high, min(groups, default=up),
        max(groups, default=up), finding if finding != "none" else "open", row.get("on_front") is True,
    )  # fmt: skip


def _ends(own: Any, axis: str) -> tuple[float, float] | None:
    usable = isinstance(own, list) and len(own) == 2 and all(map(is_number, own))
    return (_scaled(axis, own[0]), _scaled(axis, own[1])) if usable else None


def _scaled(axis: str, value: float) -> float:
    return value / MEGA if axis.startswith("bytes") or axis == "peak_memory" else value


def _axis(axis: str, units: Mapping[str, Any], higher: Any) -> str:
    """The title of an axis, with its unit; lower is better where it does not say otherwise."""
    unit = "MB" if _scaled(axis, MEGA) == 1 else str(units.get(axis) or "")
    title = "change of the loss" if axis == "quality_loss" else plain(axis)
    better = " (higher is better)" if isinstance(higher, list) and axis in higher else ""
    return sentence_case(f"{title}{f', {unit}' if unit else ''}{better}")


def _legend(points: Sequence[PlacedPoint], margin: float | None) -> list[tuple[str, str]]:
    seen = {p.finding for p in points}
    keys = [KEYS[f] for f in KEYS if f in seen]
    keys += [("front", "Pareto front: filled points, which no other beats")]
    if any(p.band_low < p.band_high for p in points):
        keys.append(("band", "range over groups"))
    return keys + ([("level-plain", f"within ±{margin:g}: counts as no change")] if margin is not None else [])


def _places(points: Sequence[PlacedPoint], titles: Sequence[str]) -> Grid:
    rows = [
        [
            p.name,
            number(p.x),
            number(p.y),
            " to ".join(together(p.low, p.high)) if p.low < p.high else ABSENT,
            " to ".join(together(p.band_low, p.band_high)) if p.band_low < p.band_high else ABSENT,
            "yes" if p.on_front else "no",
        ]
        for p in points
    ]
    return Grid(
        "The same points as numbers", ("Point", *titles, "95 % interval", "Range over groups", "On the front"), rows
    )


# --- costs ----------------------------------------------------------------------------------------------------------


def _costs(dense: Found, tried: Sequence[tuple[PointView, Found]]) -> Grid | None:
    """What every point takes, the dense model first; columns that nobody measured are left out."""
    speeds = list(dict.fromkeys(n for _, found in tried for n in found if n.startswith(SPEED)))
    columns = {
        "bytes_in_memory": "In memory, MB",
        "bytes_on_disk": "On disk, MB",
        **{name: f"Speed, batch {name.removeprefix(SPEED)}" for name in speeds},
        "peak_memory": "Peak memory of the process, MB",
        "cpu_seconds": "CPU time, s",
        "energy": "Energy, J (estimate)",
    }
    everybody = [("dense", dense), *((f"{v.number} {v.label}", found) for v, found in tried)]
    kept = [name for name in columns if any(name in found for _, found in everybody)]
    rows = [[title, *(_cost(name, found.get(name)) for name in kept)] for title, found in everybody]
    return Grid("What each point takes", ("Point", *(columns[n] for n in kept)), rows) if kept else None


def _cost(name: str, m: Measurement | None) -> str:
    if m is None or m.value is None:
        return ABSENT
    value = _scaled(name, m.value)
    if m.interval is None or m.interval.low == m.interval.high:
        return number(value)
    text, low, high = together(value, m.interval.low, m.interval.high)
    return f"{text} ({low} to {high})"
