"""CPU time (user + system) of light commands, as a share of importing torch and transformers."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

RUNS = 5


def cpu_seconds(*command: str) -> float:
    """Least CPU time over a few runs of a command."""
    best = float("inf")
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *command], capture_output=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return best


def measure() -> dict[str, Any]:
    from auditkit import audit

    rule = {"measurement": "stereotype_pairs/all/metric_score", "max": 60}
    with tempfile.TemporaryDirectory() as folder:
        audit("auditkit.testing:FakeMaskedLM", ["stereotype_pairs"], gate=[rule], out=folder)
        rules = Path(folder) / "audit.yaml"
        rules.write_text(
            "model: minilm-mlm\nprobes: [stereotype_pairs]\n"
            "gate: [{measurement: stereotype_pairs/all/metric_score, max: 60}]\n"
        )
        heavy = cpu_seconds("-c", "import torch, transformers")
        help_ = cpu_seconds("-m", "auditkit", "--help")
        gate = cpu_seconds("-m", "auditkit", "gate", f"{folder}/report.json", "--rules", str(rules))
    return {
        "import torch, transformers, s": heavy,
        "auditkit --help, s": help_,
        "auditkit gate, s": gate,
        "--help, share of the import, %": 100 * help_ / heavy,
        "gate, share of the import, %": 100 * gate / heavy,
    }
