"""Five ways to make an income model fairer, and what privacy costs each group: one report.

The people are those of UCI Adult. Each method is compared with the same logistic regression, on people whom none has
seen: how far the selection rates of women and men are apart, what that cost in accuracy, whether the bias only moved
or hid, and who pays. Two private models (DP-SGD at epsilon 8 and 2) stand beside them; since their noise is drawn anew
in every training, what privacy costs each group is measured over several.

    python examples/mitigate_income.py --out income
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

import auditkit as ak
from auditkit.mitigation import GroupThresholds, PrivateClassifier, Task, accuracy_by_group, adult_task
from auditkit.probes.base import ProbeResult
from auditkit.probes.group_fairness import GroupFairness

EPSILONS = (8.0, 2.0)
METHODS = {
    "reweighing": "reweighing",
    "leace": "leace",
    "adversarial": "adversarial",
    "equal rates": GroupThresholds(),
    "equal odds": GroupThresholds(constraint="equalized_odds"),
    **{private.name: private for private in (PrivateClassifier(epsilon=e) for e in EPSILONS)},
}


@dataclass(frozen=True, kw_only=True)
class PrivacyByGroup:
    """What DP-SGD costs each group in accuracy, over several trainings (Bagdasaryan et al. 2019)."""

    task: Task
    sensitive: str
    runs: int

    id: str = "privacy_by_group"
    needs: ClassVar[tuple[type, ...]] = ()
    source: ClassVar[str] = "Bagdasaryan, Poursaeed & Shmatikov (2019), NeurIPS"

    def measure(self, model: Any, rng: np.random.Generator) -> ProbeResult:
        """For each group and epsilon: the change, and how much of it is more than what everybody else loses."""
        effects = accuracy_by_group(
            self.task, sensitive=self.sensitive, epsilons=EPSILONS, runs=self.runs, rng=rng
        )  # fmt: skip
        kinds = {"change": "accuracy less that without privacy", "excess": "that change less everybody else's"}
        return ProbeResult(
            [
                ak.Measurement(
                    id=f"{self.id}/{self.sensitive}={e.group}/accuracy_{kind}_at_epsilon_{e.epsilon:g}",
                    value=100 * gap.value,
                    interval=ak.Interval(100 * gap.interval.low, 100 * gap.interval.high, method=gap.interval.method),
                    n=e.n,
                    unit="points",
                    ideal=0.0,
                    method=f"{what}, mean of {self.runs} pairs of trainings",
                    source=self.source,
                    details={"before": e.before, "after": e.after},
                )
                for kind, what in kinds.items()
                for e in effects
                if e.rate == "accuracy"
                for gap in [getattr(e, kind)]
            ]
        )


def main(out: Path, limit: int | None, runs: int) -> None:
    """Compare, write the report, and print the heart of it."""
    task = adult_task(limit=limit)
    report = ak.mitigate.compare(
        task,
        METHODS,
        sensitive="sex",
        also=[
            GroupFairness(sensitive=["sex", "race"]),
            PrivacyByGroup(task=task, sensitive="race", runs=runs),
        ],
        out=out,
    )
    for m in report.measurements:
        if m.id.endswith("/selection_rate_difference_change") and m.value is not None:
            cost = report[m.id.replace("selection_rate_difference", "accuracy")]
            worse = report[m.id.replace("selection_rate_difference_change", "groups_less_accurate")]
            print(
                f"{m.details['mitigation']:<40} gap {m.value:+.3f}  accuracy {cost.value:+.1f} points"
                f"  groups less accurate: {worse.value:.0f}"
            )
    print(f"all of it: {out / 'report.html'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("income"))
    parser.add_argument("--limit", type=int, default=None, help="at most so many people to learn from, and to judge by")
    parser.add_argument("--runs", type=int, default=5, help="private trainings at each epsilon")
    given = parser.parse_args()
    try:
        main(given.out, given.limit, given.runs)
    except ak.DataError as error:
        sys.exit(str(error))
