"""Membership inference in words: whether it is valid, what the attacks found, in whom, and what they could find."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from auditkit.measurement import Measurement
from auditkit.rendering.attack_findings import SIGNIFICANT, Claim, attack_name, percent, shown, tested, value_text
from auditkit.rendering.evidence import is_number
from auditkit.rendering.formatting import number, plain, quantity, scalar

_TPR = re.compile(r"tpr_at_(\d+(?:\.\d+)?(?:e-\d+)?)pct_fpr")


@dataclass(frozen=True, slots=True)
class Attack:
    """The measurements of one attack by metric, on all texts and by group."""

    id: str
    overall: dict[str, Measurement] = field(default_factory=dict)
    groups: dict[str, dict[str, Measurement]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the field calls it."""
        return attack_name(self.id)

    @property
    def area(self) -> float:
        """The AUC; -1 where there is none."""
        m = self.overall.get("auc")
        return -1.0 if m is None or m.value is None else m.value

    def rates(self) -> list[tuple[str, Measurement]]:
        """(FPR in percent, TPR) of every FPR, on all texts."""
        return [(found[1], m) for metric, m in self.overall.items() if (found := _TPR.fullmatch(metric))]


def read_attacks(measurements: Iterable[Measurement]) -> dict[str, Attack]:
    """Every attack by its id, the blind baseline among them."""
    attacks: dict[str, Attack] = {}
    for m in measurements:
        _, *path, metric = m.id.split("/")
        if path:
            attack = attacks.setdefault(path[0], Attack(path[0]))
            group = "/".join(path[1:])
            (attack.groups.setdefault(group, {}) if group else attack.overall)[metric] = m
    return attacks


def claims(blind: Measurement | None, attacks: Sequence[Attack], strongest: Attack | None) -> Iterator[Claim]:
    """What was found, and what could have been found; nothing where no attack is valid."""
    if strongest is None:
        return
    if blind is not None and blind.value is not None:
        yield _valid(blind)
    yield _area(attacks, strongest)
    yield from _rates(attacks)
    yield from _compared(attacks, strongest)
    yield _power(strongest)


def invalid(blind: Measurement | None) -> str:
    """Why the attacks prove nothing; "" where they may."""
    if blind is None or blind.value is None:
        return "Validity unknown: no blind baseline stands beside these attacks; they may only tell two sources apart."
    if not blind.details.get("beats_chance"):
        return ""
    return (
        "Not valid. Without asking the model at all, the texts alone tell training texts from the others: AUC "
        f"{value_text(blind)}, where guessing is 0.5. They are not from one source, so an attack may succeed without "
        "the model having leaked anything. No value is given; take both from one source."
    )


def _valid(blind: Measurement) -> Claim:
    least = f" A difference up to an AUC of {number(blind.interval.high)} is not excluded." if blind.interval else ""
    return Claim(
        "Valid, as far as the blind baseline can tell.",
        "Without asking the model, the texts alone do not tell training texts from the others: AUC "
        f"{value_text(blind)}, where guessing is 0.5.{least}",
    )


def _area(attacks: Sequence[Attack], strongest: Attack) -> Claim:
    """What the attack with the largest AUC shows."""
    m = strongest.overall["auc"]
    which = f"The strongest of {len(attacks)} attacks, {strongest.name}," if len(attacks) > 1 else strongest.name
    found = f"AUC of {value_text(m)}" + (f"; {tested(m)}." if tested(m) else ".")
    if shown(m) and strongest.area > 0.5:
        return Claim("A leak.", f"{which} tells training texts from unseen ones with an {found}")
    return Claim("No leak on average is shown.", f"{which} has an {found}")


def _rates(attacks: Sequence[Attack]) -> Iterator[Claim]:
    """For each FPR the attack that finds most."""
    for fpr in dict.fromkeys(fpr for a in attacks for fpr, _ in a.rates()):
        known = [(a, m) for a in attacks for at, m in a.rates() if at == fpr and m.value is not None]
        if not known:
            continue
        attack, m = max(known, key=lambda pair: pair[1].value or 0.0)
        above = m.interval is not None and m.ideal is not None and m.interval.low > m.ideal
        yield Claim(
            "Single texts are exposed." if above else "That single texts are exposed is not shown.",
            f"While {percent(fpr)} of the other texts are accused wrongly, {attack.name} finds {value_text(m)} of the "
            f"training texts; guessing finds {percent(fpr)}.",
        )


def _compared(attacks: Sequence[Attack], strongest: Attack) -> Iterator[Claim]:
    """Which group leaks more, by the strongest attack; its p-value is paid for by the number of attacks."""
    p = strongest.overall["auc"].details.get("groups_p_value")
    areas = {group: m["auc"] for group, m in strongest.groups.items() if "auc" in m and m["auc"].value is not None}
    if not is_number(p) or len(areas) < 2:
        return
    most, least = (pick(areas, key=lambda g: areas[g].value or 0.0) for pick in (max, min))
    corrected = min(1.0, p * len(attacks))
    yield Claim(
        "Groups are not leaked alike." if corrected < SIGNIFICANT else "That one group leaks more is not shown.",
        f"By {strongest.name}, most exposed is “{plain(most)}” with an AUC of {value_text(areas[most])}, least "
        f"“{plain(least)}” with {value_text(areas[least])}; p = {number(corrected)} after correction for "
        f"{len(attacks)} attacks.",
    )


def _power(strongest: Attack) -> Claim:
    """What these attacks could have found at all."""
    details = strongest.overall["auc"].details
    least, members, others = (details.get(k) for k in ("minimum_detectable_effect", "members", "nonmembers"))
    said = ""
    if is_number(least):
        said = (
            f"With {scalar(members)} training texts and {scalar(others)} others, 4 of 5 such audits find an AUC of "
            f"{number(least)}; a smaller leak may go unnoticed. "
        )
    for fpr, m in strongest.rates():
        rate = m.details.get("minimum_detectable_effect")
        could = f"a TPR from {quantity(rate, '%')} on" if is_number(rate) else "no TPR, however large,"
        said += f"At {percent(fpr)} FPR {could} can be shown to lie above guessing. "
    budget = details.get("attack_budget")
    spent = f"Attack budget: {budget}. " if isinstance(budget, str) else ""
    return Claim("What could have been found.", f"{said}{spent}Finding no leak is no proof of privacy.")
