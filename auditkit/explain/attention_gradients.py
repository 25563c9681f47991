"""Does attention point at the tokens that the prediction really depends on?

Per text, the rank correlation between the attention that tokens receive and the size of the gradient of the model's
own prediction with respect to their embeddings (Jain & Wallace 2019, NAACL; rollout and flow as in Abnar & Zuidema
2020, ACL).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from auditkit import stats
from auditkit.errors import DataError
from auditkit.explain.attention import flow, rollout, visible
from auditkit.explain.layers import Array, Reading, Tokens, logits, of_one_length, read, require_prediction, tokenize
from auditkit.measurement import Interval
from auditkit.models.base import table_of_the_text
from auditkit.models.batching import Batcher, padded
from auditkit.models.char_gpt import CharGPT
from auditkit.models.protocols import Floats, Ints

TOKENS_PER_BATCH = 1024
FEWEST = 4  # tokens; a rank correlation of fewer says nothing

SUMMARIES: dict[str, Callable[[Array, int], Floats]] = {
    "mean_attention": lambda weights, at: weights[:, :, at].mean(axis=(0, 1), dtype=np.float64),
    "rollout": lambda weights, at: rollout(weights)[-1, at],
    "flow": lambda weights, at: flow(weights, [at])[0],
}
"""(T,) attention that each token receives from the predicting one, from the weights (L, H, T, T) and its position."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of one summary of attention with gradients.

    Attributes:
        values: (n,) Spearman correlation over the tokens of each text; NaN where a text is too short or does not vary.
        mean: over the texts that have one.
        interval: of the mean.
    """

    values: Floats
    mean: float
    interval: Interval


def gradient_agreement(
    model: Any, texts: Sequence[str], *, rng: np.random.Generator, clusters: Sequence[str] | None = None
) -> dict[str, Agreement]:
    """How far attention ranks tokens as gradients do, for each of SUMMARIES.

    What is predicted: the most likely class; the most likely next token; the most likely filler of the middle token,
    masked. Special tokens and the predicting token itself are left out of the ranking.

    Args:
        model: a classifier, a masked or a causal language model.
        texts: at least one word each.
        rng: draws the bootstrap.
        clusters: one label for each text: texts of one label are not independent.

    Raises:
        MissingCapability: the model predicts nothing of this kind.
        DataError: no text has at least four tokens to rank.
    """
    require_prediction(model)
    tokens = tokenize(model, texts)
    at = [_middle(t) for t in tokens] if model.task == "masked-lm" else [len(t.ids) - 1 for t in tokens]
    if model.task == "masked-lm":
        tokens = [_masked(t, p, model.mask_id) for t, p in zip(tokens, at, strict=True)]
    sizes = gradient_norms(model, tokens, at)
    found = {name: np.full(len(texts), np.nan) for name in SUMMARIES}

    def take(i: int, reading: Reading) -> None:
        weights = reading.attention
        if weights is None:
            return
        # A classifier over an encoder reads its first token, over a decoder its last.
        place = 0 if model.task == "classifier" and visible(weights).all() else at[i]
        kept = ~reading.tokens.special & (np.arange(len(sizes[i])) != place)
        if kept.sum() >= FEWEST:
            for name, summary in SUMMARIES.items():
                rho = stats.spearman(summary(weights, place)[kept], sizes[i][kept])
                found[name][i] = np.nan if rho is None else rho

    read(model, tokens, take, attention=True)
    return {name: _agreement(values, clusters, rng) for name, values in found.items()}


def _middle(tokens: Tokens) -> int:
    ordinary = np.flatnonzero(~tokens.special)
    return int(ordinary[len(ordinary) // 2])


def _masked(tokens: Tokens, at: int, mask_id: int) -> Tokens:
    ids = tokens.ids.copy()
    ids[at] = mask_id
    return replace(tokens, ids=ids)


def gradient_norms(model: Any, tokens: Sequence[Tokens], at: Sequence[int]) -> list[Floats]:
    """(T,) L2 norm of d log p(prediction) / d embedding of each token, for each text.

    Args:
        model: a classifier, a masked or a causal language model with floating-point weights.
        tokens: from `layers.tokenize`.
        at: the position that predicts, for each text; a classifier has none, and does not use it.
    """
    out: list[Floats] = [np.empty(0)] * len(tokens)
    lengths = [len(t.ids) for t in tokens]

    def forward(rows: Ints) -> None:
        # One length at a time: a char-GPT takes no padding mask, and a decoder's classifier looks for its padding.
        for same in of_one_length(rows, lengths):
            inputs = padded([tokens[r].ids.tolist() for r in same], 0, next(model.module.parameters()).device)
            with torch.enable_grad(), _embeddings(model) as leaves:
                best = logits(model, inputs, [at[r] for r in same]).float().log_softmax(-1).amax(-1)
                (gradient,) = torch.autograd.grad(best.sum(), leaves)
            for r, row in zip(same, gradient.float().norm(dim=-1).cpu().double().numpy(), strict=True):
                out[r] = row

    Batcher(TOKENS_PER_BATCH, model.notices, model.module).run(lengths, forward)
    return out


@contextmanager
def _embeddings(model: Any) -> Iterator[list[torch.Tensor]]:
    """Inside the block the token embeddings (B, T, D) of a forward pass become leaves that gradients arrive at."""
    leaves: list[torch.Tensor] = []

    def replace_output(_: Any, __: Any, output: torch.Tensor) -> torch.Tensor:
        leaves.append(output.detach().requires_grad_())
        return leaves[-1]

    table = model.module.tokens if isinstance(model, CharGPT) else table_of_the_text(model.module)
    handle = table.register_forward_hook(replace_output)
    try:
        yield leaves
    finally:
        handle.remove()


def _agreement(values: Floats, clusters: Sequence[str] | None, rng: np.random.Generator) -> Agreement:
    kept = np.isfinite(values)
    if not kept.any():
        raise DataError(f"none of {len(values)} texts has {FEWEST} tokens that differ; give longer texts")
    labels = np.arange(len(values)) if clusters is None else np.asarray(clusters)
    interval = stats.cluster_bootstrap(values[kept], labels[kept], rng=rng, bounds=(-1, 1))
    return Agreement(values, float(values[kept].mean()), interval)
