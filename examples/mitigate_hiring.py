"""Four ways to make invitations to an interview fairer, learned from invitations that were not: one report.

The applicants are fictional and ship with auditkit. A model that learns from the invitations of the past repeats that
women were passed over, though it is not told who is a woman: breaks in a career tell. Each method is compared with it
on new applicants, of whom it is known who would perform well: did the gap between women and men shrink, and are the
decisions less right for it, or more? The last lines show what treating the sexes alike does not see.

    python examples/mitigate_hiring.py --out hiring
"""

from __future__ import annotations

import argparse
from pathlib import Path

import auditkit as ak
from auditkit.probes.group_fairness import GroupFairness

METHODS = ["reweighing", "leace", "reduction", "thresholds"]


def main(out: Path, limit: int | None) -> None:
    """Compare, write the report, and print the heart of it."""
    task = ak.mitigate.hiring_task(limit=limit)
    report = ak.mitigate.compare(task, METHODS, sensitive="sex", out=out / "mitigation")
    for name in ("logistic_regression", *METHODS):
        gap, right = (report[f"mitigation/{name}/{what}"] for what in ("selection_rate_difference", "accuracy"))
        print(f"{name:<20} gap {shown(gap)}  right {right.value:.1f} %")
    past = ak.audit("hiring", [GroupFairness(sensitive=["age_group", "children"])], out=out / "past")
    for groups in ("age_group", "children", "age_group+children"):
        gap = past[f"group_fairness/{groups}/selection_rate_difference"]
        print(f"invited in the past, by {groups:<20} gap {shown(gap)}")
    print(f"all of it: {out / 'mitigation' / 'report.html'} and {out / 'past' / 'report.html'}")


def shown(gap: ak.Measurement) -> str:
    """A value with its interval."""
    if gap.value is None or gap.interval is None:
        return gap.status
    return f"{gap.value:.3f} ({gap.interval.low:.3f} to {gap.interval.high:.3f})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("hiring"))
    parser.add_argument("--limit", type=int, default=None, help="at most so many people to learn from, and to judge by")
    given = parser.parse_args()
    main(given.out, given.limit)
