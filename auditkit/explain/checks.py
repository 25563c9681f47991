"""What was found out about a set of explanations, and the verdict that follows; see `auditkit.explain.faithfulness`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from auditkit.explain.attribution import Attributions
from auditkit.explain.removal import Curves
from auditkit.measurement import Interval

if TYPE_CHECKING:
    import pandas as pd

Outcome = Literal["pass", "fail", "undecided", "reported"]
Verdict = Literal["trusted", "not trusted", "undecided"]


@dataclass(frozen=True, slots=True)
class Check:
    """One measure of a set of explanations.

    Attributes:
        name: what was measured.
        values: {text index: value} of the texts that have one.
        value: their mean; None where no text has one.
        interval: of the mean; None where the texts do not bound it.
        outcome: against the limit; "reported" where there is none.
        limit: the condition that passes, in words; "" where there is none.
    """

    name: str
    values: dict[int, float]
    value: float | None
    interval: Interval | None
    outcome: Outcome
    limit: str = ""


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """All that was found out about a set of explanations.

    Attributes:
        attributions: the explanations.
        checks: the measures by name; those that decide come first.
        curves: deletion and insertion, text by text.
        cascade: mean rank correlation with the explanations of the model after each stage of randomisation.
    """

    attributions: Attributions
    checks: dict[str, Check]
    curves: Curves
    cascade: dict[str, float | None]

    @property
    def verdict(self) -> Verdict:
        """Trusted where all deciding checks pass, not trusted where one fails."""
        outcomes = {check.outcome for check in self.checks.values()} - {"reported"}
        if "fail" in outcomes:
            return "not trusted"
        return "trusted" if outcomes == {"pass"} else "undecided"

    @property
    def failed(self) -> list[str]:
        """Names of the checks that failed."""
        return [check.name for check in self.checks.values() if check.outcome == "fail"]

    def frame(self) -> pd.DataFrame:
        """One row for each check."""
        import pandas as pd

        rows = [
            {
                "check": c.name, "value": c.value, "low": c.interval and c.interval.low,
                "high": c.interval and c.interval.high, "n": len(c.values), "outcome": c.outcome, "limit": c.limit,
            }
            for c in self.checks.values()
        ]  # fmt: skip
        return pd.DataFrame(rows)

    def __str__(self) -> str:
        lines = [f"{self.attributions.method}: {self.verdict}"]
        for c in self.checks.values():
            ends = "" if c.interval is None else f" [{c.interval.low:.3g}, {c.interval.high:.3g}]"
            shown = "undefined" if c.value is None else f"{c.value:.3g}{ends}"
            lines.append(f"  {c.name:<32} {shown}  {c.outcome}" + (f" (passes {c.limit})" if c.limit else ""))
        return "\n".join(lines)


def outcome_of(interval: Interval | None, low: float, high: float) -> Outcome:
    """Pass where the whole interval lies strictly between the limits, fail where it lies wholly outside."""
    if interval is None:
        return "undecided"
    if low < interval.low and interval.high < high:
        return "pass"
    return "fail" if interval.high <= low or interval.low >= high else "undecided"
