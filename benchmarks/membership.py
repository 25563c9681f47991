"""Membership scores of many texts on SmolLM2-135M against a bare batched forward pass over the same texts.

    python benchmarks/membership.py [--texts 10000]

The bare pass runs the same batches and throws its logits away: what nobody who reads the texts can save. The scores
are those of every likelihood attack at once. Both take turns on slices of the texts. Target: at least 90 % of the
bare pass's throughput.
"""

from __future__ import annotations

import argparse
import gzip
from typing import Any

import numpy as np
import torch
from timing import SLICES, seconds

from auditkit import data, load_model
from auditkit.errors import DataError
from auditkit.models.batching import padded, plan
from auditkit.models.causal_lm import TOKENS_PER_BATCH
from auditkit.privacy.membership import likelihood_scores

TARGET = 0.9


def english_sentences(n: int) -> list[str]:
    """The first n different sentences."""
    root = data.root()
    if root is None:
        raise DataError("this benchmark reads english_sentences; set AUDITKIT_DATA to the folder that holds it")
    with gzip.open(root / "english_sentences" / "sentences.txt.gz", "rt", encoding="utf-8") as lines:
        found: dict[str, None] = {}
        for line in lines:
            if len(found) == n:
                break
            if line.strip():
                found[line.strip()] = None
    return list(found)


@torch.inference_mode()
def bare_forward(model: Any, texts: list[str]) -> None:
    """The logits of every text, in batches of like length, and nothing done with them."""
    start = [model.tokenizer.bos_token_id]
    ids = [start + row for row in model.tokenizer(texts, add_special_tokens=False)["input_ids"]]
    budget = TOKENS_PER_BATCH["cpu" if model.device.type == "cpu" else "accelerator"]
    for rows in plan(np.array([len(row) for row in ids]), budget):
        inputs = padded([ids[r] for r in rows], model.tokenizer.pad_token_id, model.device)
        model.module(**inputs, use_cache=False).logits.amax().item()


def measure(texts: int = 10_000) -> dict[str, Any]:
    """Throughputs in texts a second, and their ratio."""
    model = load_model("smollm2")
    sentences = english_sentences(texts)
    likelihood_scores(model, sentences[:20])
    bare_forward(model, sentences[:20])
    took = [0.0, 0.0]
    for part in range(SLICES):
        chunk = sentences[part::SLICES]
        took[0] += seconds(lambda chunk=chunk: likelihood_scores(model, chunk))[0]
        took[1] += seconds(lambda chunk=chunk: bare_forward(model, chunk))[0]
    return {
        "texts": len(sentences),
        "device": str(model.device),
        "threads": torch.get_num_threads(),
        "membership scores, texts per s": len(sentences) / took[0],
        "bare forward, texts per s": len(sentences) / took[1],
        "share of the bare throughput": took[1] / took[0],
        "target": TARGET,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=10_000)
    for key, value in measure(parser.parse_args().texts).items():
        print(f"{key:<36} {value:.4g}" if isinstance(value, float) else f"{key:<36} {value}")


if __name__ == "__main__":
    main()
