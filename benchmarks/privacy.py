"""One-run audits of private training: what is shown at a claimed epsilon of 4 and 8, and what without privacy.

    python benchmarks/privacy.py --seeds 20

Every setting is audited on each seed with 1000 gradient canaries, white box; "one step" draws everybody and is the
tightest, "realistic" trains 5 epochs at a sample rate of 2 %. Without privacy, a char-GPT is over-trained on texts with
1000 canaries among them, each inserted by a fair coin, and audited from its losses alone. The last rows show what such
a training gives away with privacy.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from typing import Any

import numpy as np
import torch

from auditkit.models.char_gpt import CharGPT
from auditkit.models.char_transformer import CharGPTConfig, CharTransformer
from auditkit.privacy.canaries import characters, draw
from auditkit.privacy.one_run_audit import OneRunAudit, audit_training

CANARIES = 1000
CLAIMS = (4.0, 8.0)
TARGETS = {4.0: 1.0, 8.0: 1.8}
SETTINGS = {  # texts, logical batch size, epochs
    "one step": (256, 256 + CANARIES, 1),
    "8 steps at a rate of 1/4": (256, (256 + CANARIES) // 4, 2),
    "realistic": (5000, (5000 + CANARIES) // 50, 5),
}
WORDS = ("cat", "dog", "tree", "house", "bird", "sees", "a", "the", "in", "my")
OVER, PRIVATE = 150, 20  # epochs: far too many, and as many as a private training may well take
SEEDS = 3


def small_model(hidden: int, layers: int) -> CharGPT:
    config = CharGPTConfig(
        vocabulary="\n abcdefghijklmnopqrstuvwxyz", hidden=hidden, layers=layers, heads=2, context=32, causal=True,
        positions=True, scaled=True, pre_norm=True,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return CharGPT(CharTransformer(config))


def sentences(n: int) -> list[str]:
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(WORDS, 4)) for _ in range(n)]


def white_box(setting: str, claim: float, seed: int) -> OneRunAudit:
    texts, batch, epochs = SETTINGS[setting]
    return audit_training(
        small_model(16, 1), sentences(texts), canaries=CANARIES, target_epsilon=claim, delta=1e-5, epochs=epochs,
        logical_batch_size=batch, seed=seed,
    )  # fmt: skip


def over_trained(target: float, seed: int, epochs: int) -> OneRunAudit:
    """A model that has read 200 sentences and about 500 canaries over and over, judged by its losses."""
    return audit_training(
        small_model(64, 2), sentences(200), canaries=draw([characters(8, context="canary ")], CANARIES, seed=seed),
        kind="black_box", guesses=876, seed=seed, epochs=epochs, logical_batch_size=50, learning_rate=3e-3,
        target_epsilon=target, delta=None if target == math.inf else 1e-5,
    )  # fmt: skip


def summary(name: str, audits: list[OneRunAudit]) -> dict[str, Any]:
    bounds = np.array([a.bound.epsilon for a in audits])
    found = {
        f"{name}: bound, median": float(np.median(bounds)),
        f"{name}: bound, least": float(bounds.min()),
        f"{name}: bound, largest": float(bounds.max()),
        f"{name}: ceiling": audits[0].ceiling,
        f"{name}: median share of the ceiling, %": 100 * float(np.median([a.share_of_ceiling for a in audits])),
        f"{name}: claims refuted": sum(a.refuted for a in audits),
    }
    gaussian = [a.f_dp_bound.epsilon for a in audits if a.f_dp_bound is not None]
    return found | ({f"{name}: Gaussian bound, median": float(np.median(gaussian))} if gaussian else {})


def measure(seeds: int = SEEDS) -> dict[str, Any]:
    result: dict[str, Any] = {"seeds": seeds}
    for setting in SETTINGS:
        for claim in CLAIMS:
            started = time.perf_counter()
            name = f"claimed {claim:g}, {setting}"
            audits = [white_box(setting, claim, seed) for seed in range(seeds)]
            result |= summary(name, audits)
            result[f"{name}: target for the median"] = TARGETS[claim]
            result[f"{name}: seconds an audit"] = (time.perf_counter() - started) / seeds
    result |= summary("over-trained, black box", [over_trained(math.inf, s, OVER) for s in range(min(seeds, 3))])
    for claim in (8.0, 2.0):
        result |= summary(f"epsilon {claim:g}, {PRIVATE} epochs, black box", [over_trained(claim, 0, PRIVATE)])
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS)
    print(json.dumps(measure(parser.parse_args().seeds), indent=1))
