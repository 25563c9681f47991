"""Stereotyped pairs read in bfloat16, the doubtful ones again in float32, against all in float32; in processor time.

`precision: mixed` is tried whether or not it pays here: "products in bfloat16" says what the probe would decide.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from timing import chosen_pairs

from auditkit import data, load_model
from auditkit.models.mixed_precision import multiplying_in_bfloat16
from auditkit.probes.pairs import StereotypePairs
from auditkit.probes.rescoring import gain

METHOD = "metric"
ROUNDS = 3


def measure() -> dict[str, Any]:
    """The three ways take turns over all pairs, so that a machine whose speed drifts slows all."""
    model, probe = load_model("minilm-mlm", device="cpu"), StereotypePairs(methods=(METHOD,))
    pairs = chosen_pairs(data.load("builtin_pairs").items)

    def rough(part: list[Any]) -> Any:
        with multiplying_in_bfloat16(model):
            return probe.score(model, part)

    ways = {
        "float32": lambda part: probe.score(model, part),
        "bfloat16": rough,
        "mixed": lambda part: probe.score_mixed(model, part),
    }
    spent: dict[str, Any] = {way: np.zeros(ROUNDS) for way in ways}
    preferred: dict[str, Any] = {}
    for turn in range(ROUNDS):
        for way, score in ways.items():
            spent[way][turn], found = _processor_seconds(lambda score=score: score(pairs))
            preferred[way] = found[METHOD].preferred
    exact = sum(model.notices.values()) / ROUNDS
    return {
        "pairs": len(pairs),
        "products in bfloat16, times as fast": gain(model),
        "bfloat16 alone, times as fast": float(np.median(spent["float32"] / spent["bfloat16"])),
        "mixed, times as fast": float(np.median(spent["float32"] / spent["mixed"])),
        "scored in float32 by mixed, %": 100 * exact / len(pairs),
        "decisions that bfloat16 alone changes": int((preferred["bfloat16"] != preferred["float32"]).sum()),
        "decisions that mixed changes": int((preferred["mixed"] != preferred["float32"]).sum()),
    }


def _processor_seconds(run: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    found = run()
    return time.process_time() - start, found
