"""All benchmarks, or those named, for instance `python benchmarks/run.py weat fairness`; see BENCHMARKS.

Each compares with a reference in the same run, so that the ratio means something on a noisy machine. Prints a table
and writes benchmarks/results/<name>.json, and <name>.svg where it draws a plot. Timings are never tests.
"""

from __future__ import annotations

import importlib
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

BENCHMARKS = (
    "crows_masked", "crows_causal", "mixed_precision", "weat", "startup", "peers", "dp_sgd", "privacy", "membership",
    "shadow", "memaudit_demo", "explain", "fairness", "compression", "mitigation", "lm_mitigation",
)  # fmt: skip
RESULTS = Path(__file__).parent / "results"


def show(name: str, result: dict[str, Any]) -> None:
    print(f"\n{name}")
    for key, value in result.items():
        print(f"  {key:<44} {value:.4g}" if isinstance(value, float) else f"  {key:<44} {value}")


def main() -> None:
    chosen = sys.argv[1:] or list(BENCHMARKS)
    if unknown := set(chosen) - set(BENCHMARKS):
        sys.exit(f"unknown benchmark {', '.join(sorted(unknown))}; known: {', '.join(BENCHMARKS)}")
    RESULTS.mkdir(exist_ok=True)
    for name in chosen:
        module = importlib.import_module(name)
        result = module.measure()
        getattr(module, "show", partial(show, name))(result)
        (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
        if hasattr(module, "plot"):
            module.plot(result).save(RESULTS / f"{name}.svg")


if __name__ == "__main__":
    main()
