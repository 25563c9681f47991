"""CrowS-Pairs on a masked LM: ours against one forward pass per masked position, in one process."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from timing import chosen_pairs, matmul_rate, side_by_side

from auditkit import data, load_model
from auditkit.models.masked_lm import TOKENS_PER_BATCH
from auditkit.probes.pair_scores import score_masked, shared_positions


@torch.inference_mode()
def one_position_at_a_time(model: Any, pairs: list[Any]) -> np.ndarray:
    """The procedure of the paper's code: (n, 2) sums of log p over the shared tokens, one forward pass for each."""
    out = np.zeros((len(pairs), 2))
    for i, pair in enumerate(pairs):
        encoded = [model.tokenizer(text.lower())["input_ids"] for text in (pair.more, pair.less)]
        for side, (ids, positions) in enumerate(zip(encoded, shared_positions(*encoded), strict=True)):
            for position in positions[1:-1]:
                masked = torch.tensor([ids])
                masked[0, position] = model.mask_id
                logits = model.module(masked).logits[0, position]
                out[i, side] += logits.log_softmax(-1)[ids[position]].item()
    return out


def flops(model: Any, pairs: list[Any]) -> float:
    """Multiply-adds (times two) that our procedure needs: all layers but the last in full, the rest at one row."""
    config = model.module.config
    d, inner, layers, vocabulary = (
        config.hidden_size, config.intermediate_size, config.num_hidden_layers, config.vocab_size,
    )  # fmt: skip
    total = 0.0
    for pair in pairs:
        encoded = [model.tokenizer(text.lower())["input_ids"] for text in (pair.more, pair.less)]
        for ids, positions in zip(encoded, shared_positions(*encoded), strict=True):
            t, queries = len(ids), max(len(positions) - 2, 0)
            full = t * (4 * d * d + 2 * d * inner) + 2 * t * t * d
            last = t * 2 * d * d + 2 * d * d + 2 * d * inner + 2 * t * d
            total += 2 * queries * ((layers - 1) * full + last + d * d + d * vocabulary)
    return total


def measure() -> dict[str, Any]:
    model = load_model("minilm-mlm", device="cpu")
    pairs = chosen_pairs(data.load("crows_pairs").items)

    def ours(chunk: list[Any]) -> np.ndarray:
        scores = score_masked(model, chunk, ["metric"])["metric"]
        return np.stack([scores.more, scores.less], 1)

    ours(pairs[:20])
    result = side_by_side(pairs, ours, lambda chunk: one_position_at_a_time(model, chunk))
    rate = matmul_rate(TOKENS_PER_BATCH["cpu"], model.module.config.hidden_size, model.module.config.intermediate_size)
    return result | {
        "matmul rate of this machine, GFLOP/s": rate / 1e9,
        "share of it reached, %": 100 * flops(model, pairs) / result["ours, s"] / rate,
    }
