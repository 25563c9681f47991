"""WEAT on GloVe: the exact permutation test of 12,870 partitions, and tests 1 to 10."""

from __future__ import annotations

from typing import Any

import numpy as np
from timing import seconds

from auditkit import load_model, stats
from auditkit.probes.base import generator
from auditkit.probes.weat import WEAT


def measure() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 8))
    stats.permutation_test(x, y, rng=rng)
    exact = min(seconds(lambda: stats.permutation_test(x, y, rng=rng))[0] for _ in range(5))
    model = load_model("glove")
    model.describe()  # hashes the vectors once, which is part of loading
    probe = WEAT(data="weat")
    probe.measure(model, generator(0, probe.id))
    ten = min(seconds(lambda: probe.measure(model, generator(0, probe.id)))[0] for _ in range(3))
    return {"exact test of 12,870 partitions, ms": 1000 * exact, "WEAT 1 to 10 after loading, s": ten}
