"""What the benchmarks share: a clock, and how fast this machine multiplies matrices."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

SLICES = 4


def seconds(run: Callable[[], Any]) -> tuple[float, Any]:
    """Wall time of one call, and its result."""
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def matmul_rate(rows: int, width: int, out: int, repeats: int = 20) -> float:
    """Best float32 multiply-add rate of (rows, width) @ (width, out), in FLOP/s."""
    a, b = torch.randn(rows, width), torch.randn(out, width)
    best = min(seconds(lambda: torch.nn.functional.linear(a, b))[0] for _ in range(repeats))
    return 2 * rows * width * out / best


def chosen_pairs(pairs: Sequence[Any]) -> list[Any]:
    """All pairs, or an even sample of as many as the environment variable BENCH_PAIRS says."""
    limit = int(os.environ.get("BENCH_PAIRS", len(pairs)))
    return list(pairs[:: max(1, len(pairs) // limit)])


def side_by_side(
    pairs: list[Any], ours: Callable[[list[Any]], np.ndarray], reference: Callable[[list[Any]], np.ndarray]
) -> dict[str, Any]:
    """Time two ways of scoring pairs, each giving (n, 2) scores, and compare what they found.

    They take turns on slices of the pairs, so that a machine whose speed drifts slows both.
    """
    took, scores = [0.0, 0.0], ([], [])
    for part in range(SLICES):
        for i, score in enumerate((ours, reference)):
            time_, found = seconds(lambda score=score, part=part: score(pairs[part::SLICES]))
            took[i] += time_
            scores[i].append(found)
    a, b = (np.concatenate(found).round(3) for found in scores)
    return {
        "pairs": len(pairs),
        "ours, s": took[0],
        "reference, s": took[1],
        "times faster": took[1] / took[0],
        "score, ours, %": 100 * float((a[:, 0] > a[:, 1]).mean()),
        "score, reference, %": 100 * float((b[:, 0] > b[:, 1]).mean()),
        "largest difference of a sentence, nats": float(max(np.abs(x - y).max() for x, y in zip(*scores, strict=True))),
    }
