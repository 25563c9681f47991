"""Lower bounds on epsilon: how often they hold on Gaussians, how fast they are, and what jax-privacy finds instead.

jax-privacy's GDP bound corrects for every distinct threshold, three here; ours is asked at that level.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from timing import seconds

from auditkit.privacy.bounds import (
    EpsilonBound,
    IndependentTrials,
    OneRun,
    clopper_pearson_epsilon,
    f_dp_one_run_epsilon,
    gdp_epsilon,
    one_run_epsilon,
)
from auditkit.privacy.epsilon_bound import gaussian_epsilon

PEER = "jax-privacy==2.0.0"
RUNS = 1000
DELTA = 1e-4
COUNTS = [(95, 100, 3, 100), (60, 200, 1, 300), (500, 500, 0, 500), (100, 100, 20, 100)]
GUESSES = [(5000, 200, 198), (1000, 500, 500), (1000, 700, 500), (1000, 100, 98), (2000, 500, 400)]
DELTAS = [1e-12, 1e-6, 1e-4, 1e-2]

# Run by the peer's interpreter: scores of 1 and 0, and one threshold between them, give it exactly the counts.
AUDIT = """
import json, sys
import numpy as np
from jax_privacy.auditing import CanaryScoreAuditor, Explicit

def auditor(hits, positives, false, negatives):
    return CanaryScoreAuditor(np.arange(positives) < hits, np.arange(negatives) < false)

counts, guesses, deltas = json.load(sys.stdin)
at, results = Explicit(0.5), []
for delta in deltas:
    for each in map(auditor, *zip(*counts)):
        results.append(each.epsilon_clopper_pearson(0.05, delta, one_sided=False, threshold_strategy=at))
        results.append(each.epsilon_from_gdp(0.05, delta))
    for m, r, v in guesses:
        each = auditor(v, m // 2, r - v, m - m // 2)
        results.append(each.epsilon_one_run(0.05, delta, threshold_strategy=at))
        results.append(each.epsilon_one_run_fdp(0.05, delta, threshold_strategy=at))
json.dump([float(x) for x in results], sys.stdout)
"""


def peer_results() -> list[float]:
    """What jax-privacy finds, in an environment made on first use."""
    python = Path(__file__).parent / "results" / ".venv-jax-privacy" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", python.parents[1]], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", PEER], check=True)
    done = subprocess.run(
        [python, "-c", AUDIT],
        input=json.dumps([COUNTS, GUESSES, DELTAS]),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )
    return json.loads(done.stdout)


def our_results() -> list[float]:
    """The same in the same order."""
    found: list[EpsilonBound] = []
    for delta in DELTAS:
        for counts in COUNTS:
            found.append(clopper_pearson_epsilon(*counts, delta=delta))
            found.append(gdp_epsilon(*counts, delta=delta, level=1 - 0.05 / 3))
        for guesses in GUESSES:
            found += [one_run_epsilon(*guesses, delta=delta), f_dp_one_run_epsilon(*guesses, delta=delta)]
    return [bound.epsilon for bound in found]


def trials(bound: Callable[..., EpsilonBound], mu: float, rng: np.random.Generator) -> float:
    drawn = IndependentTrials(rng.normal(mu, 1, 1000), rng.normal(0, 1, 1000), models=2000)
    return bound(*drawn.counts(1.5), delta=DELTA).epsilon


def run(bound: Callable[..., EpsilonBound], mu: float, rng: np.random.Generator) -> float:
    included = rng.random(1000) < 0.5
    return bound(*OneRun(rng.normal(mu * included, 1), included).guess(100), delta=DELTA).epsilon


def measure() -> dict[str, Any]:
    result: dict[str, Any] = {}
    audits = [(clopper_pearson_epsilon, trials), (gdp_epsilon, trials), (one_run_epsilon, run)]
    for bound, audit in [*audits, (f_dp_one_run_epsilon, run)]:
        for mu in (0.0, 1.0, 3.0):
            truth = gaussian_epsilon(mu, DELTA)
            found = np.array([audit(bound, mu, np.random.default_rng(seed)) for seed in range(RUNS)])
            name = f"{bound.__name__}, epsilon {truth:.2f}"
            result[f"{name}: holds, %"] = 100 * float((found <= truth).mean())
            result[f"{name}: median"] = float(np.median(found))
    for bound in (one_run_epsilon, f_dp_one_run_epsilon):
        worst = max(
            min(seconds(lambda v=v, bound=bound: bound(100_000, 100_000, v, delta=1e-6))[0] for _ in range(3))
            for v in (50_600, 60_000, 99_000, 100_000)
        )
        result[f"{bound.__name__}, 100,000 canaries, ms"] = 1000 * worst
    differences = [abs(a - b) for a, b in zip(our_results(), peer_results(), strict=True)]
    result["bounds compared with jax-privacy"] = len(differences)
    result["largest difference"] = max(differences, default=math.nan)
    return result
