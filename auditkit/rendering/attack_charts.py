"""The charts of attacks on privacy, in the grammar of `charts`: static SVG, every number in a table beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from auditkit.rendering.charts import FONT_SIZE, SHAPES, outcome_colour, reference_line, to_svg
from auditkit.rendering.formatting import printable
from auditkit.rendering.privacy_charts import DASHES, log_ticks
from auditkit.rendering.svg import PALETTE

WIDTH = 385
ROC_HEIGHT, EXPOSURE_HEIGHT, EXTRACTION_HEIGHT, AUDIT_HEIGHT = 250, 190, 150, 96
MAX_BINS = 32
BIN_WIDTHS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)


@dataclass(frozen=True, slots=True)
class Curve:
    """The ROC of one attack, all in percent: FPRs above 0 in ascending order, and the TPR at each."""

    fpr: Sequence[float]
    tpr: Sequence[float]


@dataclass(frozen=True, slots=True)
class Rate:
    """A TPR with its interval, in percent, at one FPR."""

    fpr: float
    value: float
    low: float
    high: float
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Side:
    """The canaries of one side: the exposure of each in bits (none where it is not known), their mean, its interval."""

    label: str
    values: Sequence[float]
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Completed:
    """The share continued word for word at one length of prefix, in percent, and the same of the control if any."""

    known: str
    value: float
    low: float
    high: float
    control: float | None = None
    control_low: float | None = None
    control_high: float | None = None
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Audited:
    """One audit: the lower bound on epsilon, the claim, and what the audit could at most have shown."""

    label: str
    bound: float
    claimed: float | None = None
    ceiling: float | None = None


# --- membership -------------------------------------------------------------------------------------------------


def roc(curves: Sequence[Curve], *, rates: Sequence[Rate] = ()) -> str:
    """ROC curves on two logarithmic axes, the first one solid and thick, the others dashed, against guessing.

    Args:
        curves: at least one, with an FPR below 100 %. What lies at a TPR of 0 has no place on a logarithmic axis.
        rates: TPRs of the first curve with their intervals; an interval that begins at 0 begins at the edge.

    Returns:
        An SVG in the colours of `svg.PALETTE`.
    """
    import altair as alt

    low = min(min(c.fpr) for c in curves) / 1.25
    floor = min([low, *(t for c in curves for t in c.tpr if t > 0), *(r.value for r in rates if r.value > 0)])
    x = {"title": "other texts accused wrongly, % (FPR)", "scale": _log(low), "axis": _powers(low)}
    y = {"title": "training texts found, % (TPR)", "scale": _log(floor), "axis": _powers(floor)}
    at, up = alt.X("fpr:Q", **x), alt.Y("tpr:Q", **y)
    chance = alt.Chart(alt.InlineData(values=[{"fpr": v, "tpr": v} for v in (low, 100.0)]))
    layers = [chance.mark_line(strokeDash=[1, 3], strokeWidth=1.6, color=PALETTE["ink"]).encode(x=at, y=up)]
    for i, curve in enumerate(curves):
        steps = [{"fpr": f, "tpr": t} for f, t in zip(curve.fpr, curve.tpr, strict=True) if t > 0]
        line = alt.Chart(alt.InlineData(values=steps)).mark_line(
            interpolate="step-after",
            strokeWidth=1.2 if i else 2.4,
            strokeDash=DASHES[i % len(DASHES)],
            color=PALETTE["measured"],
        )
        layers.append(line.encode(x=at, y=up))
    return to_svg(alt.layer(*layers, *_rates(rates, floor, x, y)), width=WIDTH, height=ROC_HEIGHT)


def _rates(rates: Sequence[Rate], floor: float, x: dict[str, Any], y: dict[str, Any]) -> Iterable[Any]:
    """The points with their intervals; a TPR of 0 is at the edge too."""
    import altair as alt

    if not rates:
        return ()
    marks = [
        asdict(r) | {"low": max(r.low, floor), "value": max(r.value, floor), "shape": SHAPES.get(r.outcome, SHAPES[""])}
        for r in rates
    ]
    base = alt.Chart(alt.InlineData(values=marks)).encode(x=alt.X("fpr:Q", **x), color=outcome_colour())
    return (
        base.mark_rule(strokeWidth=2.2).encode(y=alt.Y("low:Q", **y), y2=alt.Y2("high:Q")),
        base.mark_point(filled=True, size=80, opacity=1).encode(
            y=alt.Y("value:Q", **y), shape=alt.Shape("shape:N", scale=None)
        ),
    )


def _log(low: float) -> Any:
    import altair as alt

    return alt.Scale(type="log", domain=[low, 100], nice=False, clamp=True)


def _powers(low: float) -> Any:
    import altair as alt

    return alt.Axis(values=log_ticks(low, 100), format="~g")


# --- exposure ---------------------------------------------------------------------------------------------------


def exposure(inserted: Side | None, left_out: Side | None, *, largest: float, unseen: float | None) -> str:
    """How exposed canaries are, in bits: those inserted upwards, those left out downwards.

    Args:
        inserted: those that stood in the training set.
        left_out: the control; at least one of the two is given.
        largest: the largest possible exposure; a dashed line.
        unseen: the mean exposure of a secret that the model never saw; a dotted line.
    """
    import altair as alt

    counts = [bins(side.values, largest) if side else [] for side in (inserted, left_out)]
    highest = max([n for side in counts for *_, n in side], default=0)
    reach = 1.5 * max(highest, 1)
    x = alt.X("low:Q", title="exposure, bits", scale=alt.Scale(domain=[0, 1.04 * largest], nice=False))
    axis = alt.Axis(labelExpr="abs(datum.value)", tickMinStep=1, labels=highest > 0, ticks=highest > 0, grid=False)
    y = {"title": "canaries" if highest else None, "scale": alt.Scale(domain=[-reach, reach], nice=False), "axis": axis}
    layers = [reference_line(x=largest), _named(largest, "largest possible", "right")]
    if unseen is not None:
        dotted = alt.Chart(alt.InlineData(values=[{}])).mark_rule(
            strokeDash=[1, 3], strokeWidth=1.6, color=PALETTE["ink"]
        )
        layers += [dotted.encode(x=alt.XDatum(unseen)), _named(unseen, "never seen", "left")]
    for side, found, sign, colour in zip((inserted, left_out), counts, (1, -1), ("measured", "null"), strict=True):
        if side is None:
            continue
        bars = [{"low": low, "high": high, "n": sign * n} for low, high, n in found]
        rects = alt.Chart(alt.InlineData(values=bars)).mark_rect(color=PALETTE[colour], opacity=0.7)
        layers.append(rects.encode(x=x, x2=alt.X2("high:Q"), y=alt.Y("n:Q", **y), y2=alt.datum(0)))
        layers += _mean(side, sign * 0.82 * reach, largest, x, y, PALETTE[colour])
    return to_svg(alt.layer(*layers), width=WIDTH, height=EXPOSURE_HEIGHT if highest else EXPOSURE_HEIGHT // 2)


def _mean(side: Side, height: float, largest: float, x: Any, y: dict[str, Any], colour: str) -> list[Any]:
    """Mean and interval of one side at `height`, its name on the side on which there is more room."""
    import altair as alt

    mark = {"low": side.low, "high": side.high, "mean": side.mean, "at": height, "name": printable(side.label)}
    base = alt.Chart(alt.InlineData(values=[mark])).encode(y=alt.Y("at:Q", **y))
    right = largest - side.high > side.low
    name = base.mark_text(align="left" if right else "right", dx=10 if right else -10, fontSize=FONT_SIZE)
    end = x.copy()
    end.shorthand = "high:Q" if right else "low:Q"
    middle = x.copy()
    middle.shorthand = "mean:Q"
    return [
        base.mark_rule(strokeWidth=2.2, color=colour).encode(x=x, x2=alt.X2("high:Q")),
        base.mark_point(filled=True, size=80, opacity=1, color=colour).encode(x=middle),
        name.encode(x=end, text=alt.Text("name:N"), color=alt.ColorValue(PALETTE["ink"])),
    ]


def _named(at: float, name: str, align: str) -> Any:
    """A name above the plot, at the line it belongs to."""
    import altair as alt

    text = alt.Chart(alt.InlineData(values=[{"name": name}])).mark_text(
        align=align, dx=4 if align == "right" else -4, dy=-4, baseline="bottom", fontSize=FONT_SIZE
    )
    return text.encode(x=alt.XDatum(at), y=alt.YValue(0), text=alt.Text("name:N"), color=alt.ColorValue(PALETTE["ink"]))


def bins(values: Sequence[float], largest: float) -> list[tuple[float, float, int]]:
    """(low, high, count) of the bins from 0 to `largest` that hold any of `values`; at most 32 bins of a round width.

    A value on an edge belongs to the bin above it, the largest to the last bin.
    """
    width = next((w for w in BIN_WIDTHS if largest <= MAX_BINS * w), largest / MAX_BINS)
    last = max(0, -int(-largest // width) - 1)
    counts: dict[int, int] = {}
    for value in values:
        i = min(max(0, int(value // width)), last)
        counts[i] = counts.get(i, 0) + 1
    return [(i * width, min((i + 1) * width, largest), counts[i]) for i in sorted(counts)]


# --- extraction -------------------------------------------------------------------------------------------------


def extraction(prefixes: Sequence[Completed]) -> str:
    """The share continued word for word, by how much is known; the pale bar with the ring is the control."""
    import altair as alt

    marks = [asdict(p) | {"known": printable(p.known), "shape": SHAPES.get(p.outcome, SHAPES[""])} for p in prefixes]
    order = list(dict.fromkeys(mark["known"] for mark in marks))
    x = alt.X("known:N", sort=order, title="known to the attacker", axis=alt.Axis(labelAngle=0, grid=False))
    highest = max(v for p in prefixes for v in (p.high, p.control_high or 0.0, 1.0))
    y = {"title": "continued word for word, %", "scale": alt.Scale(domain=[0, highest], nice=True)}
    base = alt.Chart(alt.InlineData(values=marks)).encode(x=x)
    controls = base.transform_filter("isValid(datum.control)")
    layers = [
        controls.mark_rule(strokeWidth=9, color=PALETTE["null"], opacity=0.3).encode(
            y=alt.Y("control_low:Q", **y), y2=alt.Y2("control_high:Q")
        ),
        controls.mark_point(filled=False, size=55, color=PALETTE["null"], strokeWidth=1.6).encode(
            y=alt.Y("control:Q", **y)
        ),
        base.mark_line(strokeWidth=1.2, color=PALETTE["measured"], opacity=0.6).encode(y=alt.Y("value:Q", **y)),
        base.mark_rule(strokeWidth=2.2).encode(y=alt.Y("low:Q", **y), y2=alt.Y2("high:Q"), color=outcome_colour()),
        base.mark_point(filled=True, size=80, opacity=1).encode(
            y=alt.Y("value:Q", **y), color=outcome_colour(), shape=alt.Shape("shape:N", scale=None)
        ),
    ]
    return to_svg(alt.layer(*layers), width=WIDTH, height=EXTRACTION_HEIGHT)


# --- epsilon ----------------------------------------------------------------------------------------------------


def epsilon_scale(audits: Sequence[Audited]) -> str:
    """Claimed epsilon, audited lower bound and ceiling on one axis, one band for each audit.

    The wide pale bar reaches as far as the audit could see, the narrow dark one as far as it has shown epsilon to be;
    the dashed line is the claim. A bound above its claim is in the colour of failure, and said so.
    """
    import altair as alt

    highest = max([v for a in audits for v in (a.bound, a.claimed, a.ceiling) if v is not None])
    end = 1.08 * highest if highest > 0 else 1.0
    x = {"title": "epsilon", "scale": alt.Scale(domain=[0, end], nice=False)}
    y = {"scale": alt.Scale(domain=[0, len(audits)], nice=False), "axis": None}
    layers = []
    for i, audit in enumerate(audits):
        base, name = len(audits) - i - 0.45, f"{audit.label}: " if len(audits) > 1 else ""
        broken = audit.claimed is not None and audit.bound > audit.claimed
        shown = f"{name}audited: at least {audit.bound:.2f}{', above the claim' if broken else ''}"
        if audit.ceiling is not None:
            layers.append(_bar(audit.ceiling, base, 0.30, PALETTE["null"], 0.28, x, y))
            layers.append(_label(audit.ceiling, f"ceiling {audit.ceiling:.2f}", base - 0.43, end, x, y))
        layers.append(_bar(audit.bound, base, 0.14, PALETTE["fail" if broken else "measured"], 1.0, x, y))
        layers.append(_label(audit.bound, shown, base - 0.26, end, x, y))
        if audit.claimed is not None:
            layers.append(_claim(audit.claimed, base, x, y))
            layers.append(_label(audit.claimed, f"claimed {audit.claimed:.2f}", base + 0.34, end, x, y))
    return to_svg(alt.layer(*layers), width=WIDTH, height=AUDIT_HEIGHT * len(audits))


def _bar(length: float, at: float, width: float, colour: str, opacity: float, x: Any, y: Any) -> Any:
    """A bar from 0 to `length`, `width` of a band wide."""
    import altair as alt

    data = alt.InlineData(values=[{"end": length, "top": at + width / 2, "bottom": at - width / 2}])
    bar = alt.Chart(data).mark_rect(color=colour, opacity=opacity)
    return bar.encode(x=alt.X("end:Q", **x), x2=alt.datum(0), y=alt.Y("top:Q", **y), y2=alt.Y2("bottom:Q"))


def _claim(claimed: float, at: float, x: Any, y: Any) -> Any:
    import altair as alt

    data = alt.InlineData(values=[{"claimed": claimed, "top": at + 0.25, "bottom": at - 0.17}])
    rule = alt.Chart(data).mark_rule(strokeDash=[4, 3], strokeWidth=1.8, color=PALETTE["ink"])
    return rule.encode(x=alt.X("claimed:Q", **x), y=alt.Y("top:Q", **y), y2=alt.Y2("bottom:Q"))


def _label(value: float, text: str, at: float, end: float, x: Any, y: Any) -> Any:
    """`text` at `value`, running to the side on which there is more room."""
    import altair as alt

    data = alt.InlineData(values=[{"value": value, "at": at, "text": printable(text)}])
    right = value < end / 2
    mark = alt.Chart(data).mark_text(
        align="left" if right else "right", dx=2 if right else -2, baseline="middle", fontSize=FONT_SIZE
    )
    place = {"x": alt.X("value:Q", **x), "y": alt.Y("at:Q", **y)}
    return mark.encode(**place, text=alt.Text("text:N"), color=alt.ColorValue(PALETTE["ink"]))
