"""Which rules can be passed at all: is the interval that n items leave narrower than the limits?

A rule passes where the whole interval lies inside its limits. Too few items for the limits, and a model without any
bias is judged INCONCLUSIVE run after run. The chance that such a model, its true value the ideal one, passes is

    P = Phi((room above - half) / error) - Phi(-(room below - half) / error)

with `half` the half-width of the interval, widened as the gate widens it where a rule judges k measurements, `error`
the standard error, and `room` from the ideal value to the limit. Said before a run from what a probe plans
(`auditkit.probes.base.Plans`), and of a report from the intervals that were measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from statistics import NormalDist
from typing import Any

from auditkit import foreign
from auditkit.gate import Rule, Verdict
from auditkit.measurement import Measurement
from auditkit.probes.base import Planned, Plans

LEVEL = 0.95
RARELY = 0.5
"""A rule that an ideal model passes less often is worth a warning: it is decided by luck."""

GOOD = 0.9
"""How often an ideal model passes with the margin that a warning recommends."""

_NORMAL = NormalDist()


@dataclass(frozen=True)
class Odds:
    """How the interval of one of k measurements compares with the limits of the rule that judges them.

    Attributes:
        planned: the measurement.
        k: how many the rule judges.
        low: the smallest value allowed, at most the ideal.
        high: the largest value allowed, at least the ideal.
    """

    planned: Planned
    k: int
    low: float
    high: float

    @property
    def half(self) -> float:
        """Half-width of one interval by itself."""
        from scipy import special

        quantile = special.stdtrit(max(self.planned.clusters - 1, 1), (1 + LEVEL) / 2)
        return float(quantile) * self.planned.error

    @property
    def widened(self) -> float:
        """Half-width once k intervals hold together, as the gate does it."""
        alpha = 1 - LEVEL
        return self.half * _NORMAL.inv_cdf(1 - alpha / (2 * self.k)) / _NORMAL.inv_cdf(1 - alpha / 2)

    @property
    def chance(self) -> float:
        """How often an ideal model passes."""
        above, below = self.high - self.planned.ideal - self.widened, self.planned.ideal - self.low - self.widened
        if self.planned.error == 0:
            return 1.0
        return max(0.0, _NORMAL.cdf(above / self.planned.error) - _NORMAL.cdf(-below / self.planned.error))

    @property
    def margin(self) -> float:
        """The margin about the ideal value with which k ideal measurements pass together in 90 % of the runs."""
        return self.widened + _NORMAL.inv_cdf((1 + GOOD ** (1 / self.k)) / 2) * self.planned.error


def warnings(probes: Sequence[Any], rules: Sequence[Rule]) -> list[str]:
    """One sentence for each rule that an ideal model would rarely pass, by what the probes plan. Asks no model.

    A probe that cannot plan, since its data are not here for instance, is left out: it says why when it runs.
    """
    planned: dict[str, Planned] = {}
    for probe in probes:
        if isinstance(probe, Plans) and any(_may_match(rule, probe.id) for rule in rules):
            planned |= _plans_of(probe)
    remarks = [(i, remark(rule, planned)) for i, rule in enumerate(rules)]
    return [f"gate[{i}]: {said}" for i, said in remarks if said]


def remarks_on(verdicts: Sequence[Verdict], measurements: Sequence[Measurement]) -> Iterator[str]:
    """The same of a judged report, by its own intervals: one sentence for each rule that was inconclusive."""
    by_id = {m.id: m for m in measurements}
    for rule in dict.fromkeys(v.rule for v in verdicts if v.outcome == "INCONCLUSIVE"):
        judged = [by_id[v.measurement] for v in verdicts if v.rule == rule and v.measurement in by_id]
        if said := remark(rule, {m.id: found for m in judged if (found := _measured(m))}):
            yield said


def remark(rule: Rule, planned: Mapping[str, Planned]) -> str:
    """What an ideal model can expect of a rule, where it would rarely pass; else nothing.

    Args:
        rule: only limits on a value count, not `max_worsening`; limits that exclude the ideal are meant to.
        planned: by measurement id.
    """
    if rule.max_worsening is not None:
        return ""
    pattern, (low, high) = rule.measurement, rule.allowed
    ids = [pattern] if pattern in planned else [i for i in planned if fnmatchcase(i, pattern)]
    odds = [Odds(planned[i], len(ids), low, high) for i in ids if low <= planned[i].ideal <= high]
    chance = math.prod(o.chance for o in odds)
    if chance >= RARELY:
        return ""
    worst = max(odds, key=lambda o: o.margin)
    return f"{pattern}: {_interval(worst)}, too wide for {rule.limit}: {_fix(worst, chance)}"


def _interval(odds: Odds) -> str:
    """As in "56 items in 14 clusters give an interval of about ±14 (±20, widened for 7 measurements)"."""
    n, clusters = odds.planned.n, odds.planned.clusters
    items = f"{n} items" if clusters == n else f"{n} items in {clusters} clusters"
    widened = f" (±{odds.widened:.3g}, widened for {odds.k} measurements)" if odds.k > 1 else ""
    return f"{items} give an interval of about ±{odds.half:.3g}{widened}"


def _fix(odds: Odds, chance: float) -> str:
    ideal, margin = odds.planned.ideal, _rounded_up(odds.margin)
    passes = f"passes in {chance:.0%} of the runs" if chance >= 0.005 else "hardly ever passes"
    low, high = f"{ideal - margin:g}", f"{ideal + margin:g}"
    one_sided = f">= {low}" if odds.high == math.inf else f"<= {high}" if odds.low == -math.inf else ""
    return f"a model at {ideal:g} {passes}; allow {one_sided or f'{low} to {high}'}, or take more items"


def _rounded_up(margin: float) -> float:
    """To two digits, never below."""
    step = 10.0 ** (math.floor(math.log10(margin)) - 1)
    return float(f"{math.ceil(margin / step) * step:.2g}")


def _may_match(rule: Rule, probe: str) -> bool:
    """Whether a rule's pattern can match a measurement of a probe: spares loading data that no rule asks about."""
    return fnmatchcase(probe, rule.measurement.split("/", 1)[0])


def _plans_of(probe: Plans) -> Mapping[str, Planned]:
    try:
        with foreign.contained():
            return probe.planned()
    except Exception:  # a foreign probe may raise anything; what is wrong, the probe says when it runs
        return {}


def _measured(m: Measurement) -> Planned | None:
    """What the interval of a measurement says of its standard error; None where there is none, or no ideal value."""
    from scipy import special

    if m.interval is None or m.ideal is None or not m.n:
        return None
    given = m.details.get("clusters")
    clusters = given if type(given) is int and given > 0 else m.n
    quantile = special.stdtrit(max(clusters - 1, 1), (1 + m.interval.level) / 2)
    return Planned(m.n, clusters, (m.interval.high - m.interval.low) / 2 / float(quantile), m.ideal)
