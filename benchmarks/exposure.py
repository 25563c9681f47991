"""Exposure of planted canaries in the clinic notes at epsilon = infinity, 8 and 2: what privacy takes from an attacker.

    python benchmarks/exposure.py

Runs examples/private_clinic_notes.py, which goes on where it was stopped, and draws its three reports together.
"""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

from auditkit.report import AuditReport

ROOT = Path(__file__).parents[1]
OUT = Path(__file__).parent / "results" / "clinic"
NOTES, EPOCHS = 3000, 30
KIND = "insurance_number"


def measure() -> dict[str, Any]:
    """Mean exposure in bits, of inserted and left-out canaries, and the loss on held-out notes, by training."""
    example = runpy.run_path(str(ROOT / "examples" / "private_clinic_notes.py"))
    OUT.mkdir(parents=True, exist_ok=True)
    example["main"](NOTES, EPOCHS, OUT)
    result: dict[str, Any] = {}
    for name in example["EPSILONS"]:
        report = AuditReport.load(OUT / f"report-{name}" / "report.json")
        for side, metric in (("inserted", "mean"), ("left out", "control_mean")):
            m = report[f"exposure/{KIND}/{metric}"]
            result[f"{name}: {side}, bits"] = m.value
            result[f"{name}: {side}, interval"] = [m.interval.low, m.interval.high]
        result[f"{name}: held-out loss, nats per character"] = report[f"dp_sgd/{name}/utility"].value
    return result


def plot(result: dict[str, Any]) -> Any:
    """Exposure of both sides with its interval, by training."""
    import altair as alt

    rows = [
        {"training": name, "canaries": side, "bits": result[f"{name}: {side}, bits"], "low": low, "high": high}
        for key, (low, high) in ((k, v) for k, v in result.items() if k.endswith("interval"))
        for name, side in [key.removesuffix(", interval").split(": ")]
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("training:N", sort=None, title=None),
        xOffset="canaries:N",
        color=alt.Color("canaries:N", title="canaries"),
    )
    bits = alt.Y("bits:Q", title="mean exposure, bits", scale=alt.Scale(zero=True))
    return base.mark_rule().encode(y="low:Q", y2="high:Q") + base.mark_point(filled=True, size=60).encode(y=bits)


if __name__ == "__main__":
    found = measure()
    print(json.dumps(found, indent=1))
    plot(found).save(OUT.parent / "exposure.svg")
