"""Limits that no value can break, at most 100 of a percentage, at least 0 of a share: such a rule always passes.

Of a measurement without such a range (nats, seconds, log odds), or whose value shows that it has none, nothing is said.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from auditkit.gate import Rule, matches
from auditkit.measurement import Measurement
from auditkit.report import AuditReport

Range = tuple[float, float]
ANYTHING: Range = (-math.inf, math.inf)

_SHARE = re.compile(
    r"(selection_rate|accuracy|true_positive_rate|false_positive_rate|precision)(_difference|_ratio)?|auc|p_value"
)
"""Names of metrics without a unit that lie in [0, 1]: those of group fairness, and areas under a curve."""


def remarks(report: AuditReport, rules: Sequence[Rule]) -> Iterator[str]:
    """One sentence for each rule that every possible value of all that it judges would pass."""
    for i, rule in enumerate(rules):
        ranges = {_breakable(m) for m in matches(report, rule.measurement)}
        if ranges and all(_is_idle(rule, found) for found in ranges):
            low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
            yield (
                f"gate[{i}]: {rule.measurement}: {rule.limit} can never be broken, as every value lies in {low:g} to "
                f"{high:g}; set a limit that a model could break, or leave the rule out"
            )


def _is_idle(rule: Rule, possible: Range) -> bool:
    low, high = rule.allowed
    if rule.max_worsening is not None:  # of a distance from the ideal
        return high >= possible[1] - possible[0]
    return low <= possible[0] and possible[1] <= high


def _breakable(m: Measurement) -> Range:
    """The range that the unit and the name of `m` give it."""
    name = m.id.rsplit("/", 1)[-1]
    if m.unit == "%":
        possible: Range = (0.0, 100.0) if m.ideal else (-100.0, 100.0)  # about an ideal of 0 it may be a signed gap
    elif m.is_correlation:
        possible = (-1.0, 1.0)
    elif m.unit == "" and _SHARE.fullmatch(name):
        possible = (0.0, 1.0)
    else:
        return ANYTHING
    return possible if m.value is None or possible[0] <= m.value <= possible[1] else ANYTHING
