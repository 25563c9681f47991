"""Membership inference on a page: all attacks, their ROC, who is more exposed, and which texts most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from auditkit.measurement import Measurement
from auditkit.rendering import attack_charts, evidence, svg
from auditkit.rendering.attack_findings import (
    JUDGED,
    MAX_TEXT,
    MAX_TEXTS,
    AttackSection,
    Finding,
    p_value,
    value_text,
    with_verdicts,
    worst,
)
from auditkit.rendering.evidence import is_number
from auditkit.rendering.formatting import ABSENT, number, plain, scalar, shortened
from auditkit.rendering.interval_charts import IntervalRow, interval_plot
from auditkit.rendering.membership_claims import Attack, claims, invalid, read_attacks
from auditkit.rendering.private_runs import Grid

BLIND = "blind_baseline"
MAX_GROUPS = 20  # of the chart
EDGE = (
    "Below the dotted line an attack does worse than guessing. The left edge counts most: where few others are accused "
    "wrongly, whoever is found is found with confidence."
)
OWN_OTHERS = (
    "The training texts of each group are compared with its own other texts, so a group that is merely easier to "
    "predict is not taken for one that is leaked."
)
RECORDS = (
    "The training texts with the highest scores; those that several attacks agree on come first. A high score is a "
    "suspicion, not a proof. By default only the beginning, the length and the hash are shown: whoever holds the data "
    "finds the record by its hash, and whoever can guess a text can confirm the guess."
)


def arrange(id: str, measurements: Sequence[Measurement], outcomes: Mapping[str, str]) -> AttackSection | None:
    """The part of a page about membership inference; None where `measurements` are of something else."""
    attacks = read_attacks(measurements)
    blind = attacks.pop(BLIND, Attack(BLIND)).overall.get("auc")
    found = [a for a in attacks.values() if "auc" in a.overall]
    if not found or not (blind or any("roc" in a.overall["auc"].details for a in found)):
        return None
    warning = invalid(blind)
    valid = [a for a in found if a.area >= 0]
    strongest = max(valid, key=lambda a: a.area) if valid else None
    findings = [_table(id, blind, found, outcomes)]
    if strongest:
        findings = [*_roc(id, found, strongest, outcomes), *findings, *_groups(id, strongest, outcomes)]
        findings += _records(id, found)
    return AttackSection(
        warnings=[warning] if warning else [],
        claims=list(claims(blind, found, strongest)),
        findings=findings,
    )


def _table(id: str, blind: Measurement | None, attacks: Sequence[Attack], outcomes: Mapping[str, str]) -> Finding:
    """The blind baseline first, then every attack with all its rates."""
    fprs = list(dict.fromkeys(fpr for a in attacks for fpr, _ in a.rates()))
    rows = []
    verdicts = []
    for name, overall in [(attack.name, attack.overall) for attack in attacks]:
        area, rates = overall["auc"], [overall.get(f"tpr_at_{fpr}pct_fpr") for fpr in fprs]
        null = evidence.null(area)
        rows.append(
            [name, value_text(area), null.text if null else ABSENT, number(p_value(area)), *map(value_text, rates)]
        )
        verdicts.append(worst(outcomes, [area, *rates]))
    if blind is not None:
        rows.insert(0, ["blind baseline (no model)", value_text(blind), *[ABSENT] * (2 + len(fprs))])
        verdicts.insert(0, worst(outcomes, [blind]))
    header = ("Attack", "AUC", "AUC, random weights", "p (Holm)")
    grid = Grid(
        "AUC, and TPR at a small FPR, each with its 95 % interval",
        (*header, *(f"TPR at {fpr} % FPR" for fpr in fprs)),
        rows,
    )
    return Finding(f"{id}-attacks", "Every attack on all texts", with_verdicts(grid, verdicts), note=_unknown(attacks))


def _unknown(attacks: Sequence[Attack]) -> str:
    """Why rates have no value, each reason once."""
    reasons = dict.fromkeys(
        str(m.details.get("reason") or "")
        for a in attacks
        for _, m in a.rates()
        if m.value is None and "invalid_value" not in m.details
    )
    said = "; ".join(filter(None, reasons))
    return f"Undefined: {said}." if said else ""


def _roc(id: str, attacks: Sequence[Attack], strongest: Attack, outcomes: Mapping[str, str]) -> Iterator[Finding]:
    """The curves of all attacks."""
    ranked = sorted(attacks, key=lambda a: a is not strongest)
    curves = {a.name: curve for a in ranked if a.area >= 0 and (curve := _curve(a.overall["auc"]))}
    if not curves:
        return
    caption = "Training texts found against other texts accused wrongly (ROC)"
    rates = [
        attack_charts.Rate(float(fpr), m.value, m.interval.low, m.interval.high, outcomes.get(m.id, ""))
        for fpr, m in strongest.rates()
        if m.value is not None and m.interval is not None and strongest.name in curves
    ]
    picture = svg.inline(
        attack_charts.roc(list(curves.values()), rates=rates),
        id=f"{id}-roc",
        title=caption,
        description=(
            f"{len(curves)} curves on two logarithmic axes and the line of guessing; the higher on the left, the surer "
            "the attack is about some texts. The tables below hold the numbers."
        ),
    )
    legend = [(f"line-{i % 5}", name) for i, name in enumerate(curves)]
    legend += [("spread", f"{strongest.name}: TPR and its interval")] if rates else []
    legend += [(o, text) for o, text in JUDGED.items() if o in {r.outcome for r in rates}]
    legend.append(("chance", "guessing"))
    fprs = sorted({f for c in curves.values() for f in c.fpr})
    by_fpr = [dict(zip(c.fpr, c.tpr, strict=True)) for c in curves.values()]
    rows = [[number(f), *(number(points.get(f)) for points in by_fpr)] for f in fprs]
    grid = Grid("TPR by FPR, both in percent", ("FPR, %", *curves), rows)
    yield Finding(f"{id}-roc", caption, grid, picture, legend, EDGE, folded=f"Table of all {len(rows)} points")


def _curve(m: Measurement) -> attack_charts.Curve | None:
    """The ROC of one attack in percent; None where there is none to be drawn."""
    roc = m.details.get("roc")
    fpr, tpr = (roc.get(axis) for axis in ("fpr", "tpr")) if isinstance(roc, Mapping) else (None, None)
    if not (isinstance(fpr, list) and isinstance(tpr, list) and 0 < len(fpr) == len(tpr)):
        return None
    if not all(is_number(v) and 0 <= v <= 1 for v in (*fpr, *tpr)) or not 0 < fpr[0] < 1 or fpr != sorted(fpr):
        return None
    return attack_charts.Curve([100.0 * f for f in fpr], [100.0 * t for t in tpr])


def _groups(id: str, strongest: Attack, outcomes: Mapping[str, str]) -> Iterator[Finding]:
    """AUC and TPRs of every group, by the strongest attack."""
    by_area = sorted(strongest.groups.items(), key=lambda item: -_area_of(item[1]))
    drawn = [_group_row(g, m["auc"], outcomes) for g, m in by_area if "auc" in m and m["auc"].value is not None]
    if not drawn:
        return
    caption = f"Which group is more exposed: AUC by group, {strongest.name}"
    picture = svg.inline(
        interval_plot(drawn[:MAX_GROUPS], axis="AUC", ideal=0.5),
        id=f"{id}-groups",
        title=caption,
        description=f"{len(drawn[:MAX_GROUPS])} groups with their intervals; the table below holds the numbers.",
    )
    legend = [("value", "value and its interval"), ("ideal", "guessing: 0.5")]
    rows = [
        [
            plain(group),
            scalar(of["auc"].details.get("members")) if "auc" in of else ABSENT,
            scalar(of["auc"].details.get("nonmembers")) if "auc" in of else ABSENT,
            value_text(of.get("auc")),
            *(value_text(of.get(f"tpr_at_{fpr}pct_fpr")) for fpr, _ in strongest.rates()),
        ]
        for group, of in by_area
    ]
    header = ("Group", "Training texts", "Other texts", "AUC", *(f"TPR at {fpr} % FPR" for fpr, _ in strongest.rates()))
    verdicts = [worst(outcomes, list(of.values())) for _, of in by_area]
    small = [
        f"{plain(g)}: {m['auc'].details.get('reason')}" for g, m in by_area if "auc" in m and m["auc"].value is None
    ]
    note = OWN_OTHERS + (f" Not judged: {'; '.join(small)}." if small else "")
    grid = with_verdicts(
        Grid(f"{strongest.name}: AUC and TPR of every group, each with its 95 % interval", header, rows), verdicts
    )
    yield Finding(f"{id}-groups", caption, grid, picture, legend, note)


def _area_of(metrics: Mapping[str, Measurement]) -> float:
    m = metrics.get("auc")
    return -1.0 if m is None or m.value is None else m.value


def _group_row(group: str, m: Measurement, outcomes: Mapping[str, str]) -> IntervalRow:
    value = m.value or 0.0
    low, high = (m.interval.low, m.interval.high) if m.interval else (value, value)
    return IntervalRow(group, value, low, high, outcome=outcomes.get(m.id, ""))


def _records(id: str, attacks: Sequence[Attack]) -> Iterator[Finding]:
    """The records that most attacks rank highest, as the probe shows them: redacted unless it was told otherwise."""
    found: dict[tuple[str, str], list[str]] = {}
    for attack in attacks:
        exposed = attack.overall["auc"].details.get("most_exposed")
        for record in exposed if isinstance(exposed, list) else []:
            if isinstance(record, Mapping):
                key = str(record.get("text", "")), str(record.get("group", ""))
                found.setdefault(key, []).append(attack.name)
    if not found:
        return
    ranked = sorted(found.items(), key=lambda item: -len(item[1]))[:MAX_TEXTS]
    rows = [[shortened(text, MAX_TEXT), plain(group) or ABSENT, ", ".join(by)] for (text, group), by in ranked]
    grid = Grid("Most exposed training texts", ("Training text", "Group", "Among the highest scores of"), rows, False)
    yield Finding(
        f"{id}-records",
        "Most exposed training texts",
        grid,
        note=RECORDS,
        folded="Most exposed training texts",
        sensitive=True,
    )
