"""Shadow models of the original char-GPT: stacked against one by one, and RMIA with 4 against LiRA with 64.

    python benchmarks/shadow.py [--quick]

Four ways to get the same 64 shadows: the ordinary trainer of char-GPTs, called once for each; the shadow trainer with
stacks of 1; and the same with the stack size that it measures to be best, in float32 and in bfloat16. The AUCs are of
LiRA with these shadows on 8 models under attack, pooled; their intervals take the scores as independent. Targets:
stacking at least 5 times faster at the same AUC; RMIA with 4 shadows within 0.03 AUC of LiRA with 64.

A model of 16 hidden units is timed as well: stacking helps where a model alone cannot keep the processor busy.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from timing import seconds

from auditkit.models.char_gpt_data import Samples, distinct_characters
from auditkit.models.char_gpt_training import train
from auditkit.models.char_transformer import CharGPTConfig
from auditkit.privacy.attack_metrics import evaluate
from auditkit.privacy.lira import lira, rmia
from auditkit.privacy.roc import Auc
from auditkit.privacy.shadow import Shadows, mean_logprobs, train_shadows
from auditkit.privacy.shadow_training import ShadowSettings
from auditkit.stats import paired_bootstrap

RECORDS = 1000
SETTINGS = ShadowSettings(config=CharGPTConfig.original(), epochs=10, seed=1)
TARGET_SPEEDUP, TARGET_DIFFERENCE = 5.0, 0.03


class Attacked:
    """Some models under attack: what they say about the records, and which records each has seen."""

    def __init__(self, records: Samples, population: Samples, models: int) -> None:
        trained = train_shadows(records, replace(SETTINGS, seed=99), shadows=models)
        self.member = trained.membership.ravel()  # (models * n)
        self.records = np.tile(np.arange(len(records)), models)
        self.logprobs = trained.record_logprobs(records)
        self.population = trained.population_logprobs(population)

    def auc(self, score: Callable[[int], np.ndarray]) -> Auc:
        """Of the scores that `score(model)` gives, pooled over the models."""
        scores = np.concatenate([score(i) for i in range(len(self.logprobs))])
        return evaluate(scores[self.member], scores[~self.member], rng=np.random.default_rng(0)).auc

    def lira_auc(self, shadow_logprobs: np.ndarray, membership: np.ndarray) -> Auc:
        """Of LiRA with these shadows."""
        return self.auc(lambda i: lira(self.logprobs[i], shadow_logprobs, membership))

    def rmia_auc(self, shadow_logprobs: np.ndarray, population: np.ndarray, membership: np.ndarray) -> Auc:
        """Of RMIA with these shadows."""
        return self.auc(
            lambda i: rmia(
                self.logprobs[i],
                shadow_logprobs,
                membership,
                population_target=self.population[i],
                population_shadows=population,
            )
        )

    def interval_of_difference(self, first: Auc, second: Auc) -> tuple[float, float]:
        """Of second - first, both of all models; the models share their records, which are therefore the clusters."""
        records = np.concatenate([self.records[self.member], self.records[~self.member]])
        rng = np.random.default_rng(0)
        found = paired_bootstrap(first.contributions, second.contributions, clusters=records, rng=rng)
        return found.low, found.high


def one_by_one(records: Samples, membership: np.ndarray) -> np.ndarray:
    """(S, n) log-likelihoods under models from the ordinary trainer, each on its row of the matrix."""
    options = {"epochs": SETTINGS.epochs, "batch_size": SETTINGS.batch_size, "lr": SETTINGS.lr, "validation": 0.0}
    models = [
        train(records[np.flatnonzero(row)], SETTINGS.config, seed=s, device="cpu", **options).model
        for s, row in enumerate(membership)
    ]
    return np.stack([mean_logprobs(model.module, records) for model in models])


def shown(auc: Auc) -> str:
    return f"{auc.value:.4f} [{auc.interval.low:.4f}, {auc.interval.high:.4f}]"


def speed(records: Samples, config: CharGPTConfig, shadows: int) -> tuple[float, int]:
    """How many times faster shadows of this network are trained in stacks than alone, and the stack size."""
    settings = replace(SETTINGS, config=config)
    alone, _ = seconds(lambda: train_shadows(records, settings, shadows=shadows, stack=1, device="cpu"))
    stacked, found = seconds(lambda: train_shadows(records, settings, shadows=shadows, device="cpu"))
    return alone / stacked, found.stack


def compare_attacks(attacked: Attacked, shadows: Shadows, records: Samples, population: Samples) -> dict[str, Any]:
    """LiRA with all shadows against RMIA with four, and what each does with the other's number."""
    said, said_population, who = (
        shadows.record_logprobs(records),
        shadows.population_logprobs(population),
        shadows.membership,
    )
    most, few = attacked.lira_auc(said, who), attacked.rmia_auc(said[:4], said_population[:4], who[:4])
    low, high = attacked.interval_of_difference(most, few)
    return {
        f"AUC, LiRA with {len(who)}": shown(most),
        "AUC, RMIA with 4": shown(few),
        "AUC, LiRA with 4": shown(attacked.lira_auc(said[:4], who[:4])),
        f"AUC, RMIA with {len(who)}": shown(attacked.rmia_auc(said, said_population, who)),
        "AUC, the loss alone": shown(attacked.auc(lambda i: attacked.logprobs[i])),
        f"RMIA with 4 - LiRA with {len(who)}": few.value - most.value,
        "its interval": f"[{low:.4f}, {high:.4f}]",
        "target: at least": -TARGET_DIFFERENCE,
    }


def measure(quick: bool = False) -> dict[str, Any]:
    """Times, AUCs and their differences; `quick` takes 8 shadows and 2 models under attack."""
    shadows, models = (8, 2) if quick else (64, 8)
    drawn = distinct_characters(RECORDS + 500, seed=0)
    records, population = drawn[:RECORDS], drawn[RECORDS:]
    attacked = Attacked(records, population, models)
    ways = {
        "stacks of 1": lambda: train_shadows(records, SETTINGS, shadows=shadows, stack=1, device="cpu"),
        "stacked": lambda: train_shadows(records, SETTINGS, shadows=shadows, device="cpu"),
        "stacked, bfloat16": lambda: train_shadows(
            records, replace(SETTINGS, precision="bfloat16"), shadows=shadows, device="cpu"
        ),
    }
    took = {name: seconds(way) for name, way in ways.items()}
    membership = took["stacked"][1].membership
    ordinary, said = seconds(lambda: one_by_one(records, membership))
    out: dict[str, Any] = {"shadows": shadows, "threads": torch.get_num_threads(), "ordinary trainer, s": ordinary}
    reference = attacked.lira_auc(said, membership)
    out["AUC of LiRA, ordinary trainer"] = shown(reference)
    for name, (time_, trained) in took.items():
        auc = attacked.lira_auc(trained.record_logprobs(records), membership)
        out |= {
            f"{name}, s": time_,
            f"{name}, stack size": trained.stack,
            f"{name}, times faster": ordinary / time_,
            f"AUC of LiRA, {name}": shown(auc),
            f"{name}, AUC in the ordinary one's interval": auc.value in reference.interval,
        }
    out["target, times faster"] = TARGET_SPEEDUP
    small, stack = speed(records, replace(SETTINGS.config, hidden=16), shadows)
    out |= {"16 hidden units, times faster than stacks of 1": small, "16 hidden units, stack size": stack}
    return out | compare_attacks(attacked, took["stacked"][1], records, population)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="8 shadows and 2 models under attack")
    for key, value in measure(parser.parse_args().quick).items():
        print(f"{key:<52} {value:.4g}" if isinstance(value, float) else f"{key:<52} {value}")


if __name__ == "__main__":
    main()
