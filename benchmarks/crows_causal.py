"""CrowS-Pairs on SmolLM2-135M: batches with shared prefixes against one sentence at a time, in one process."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from timing import chosen_pairs, side_by_side

from auditkit import data, load_model
from auditkit.probes.pair_scores import score_causal


@torch.inference_mode()
def one_sentence_at_a_time(model: Any, pairs: list[Any]) -> np.ndarray:
    """(n, 2) log-likelihoods, one forward pass each."""
    out = np.zeros((len(pairs), 2))
    for i, pair in enumerate(pairs):
        for side, text in enumerate((pair.more, pair.less)):
            ids = torch.tensor([[model.tokenizer.bos_token_id, *model.tokenizer(text)["input_ids"]]])
            logprobs = model.module(ids).logits[0, :-1].log_softmax(-1)
            out[i, side] = logprobs.gather(1, ids[0, 1:, None]).sum().item()
    return out


def measure() -> dict[str, Any]:
    model = load_model("smollm2", device="cpu")
    pairs = chosen_pairs(data.load("crows_pairs").items)

    def ours(chunk: list[Any]) -> np.ndarray:
        scores = score_causal(model, chunk, ["total"])["total"]
        return np.stack([scores.more, scores.less], 1)

    ours(pairs[:20])
    return side_by_side(pairs, ours, lambda chunk: one_sentence_at_a_time(model, chunk))
