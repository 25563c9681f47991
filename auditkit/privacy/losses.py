"""One loss for each example, ignored and padded tokens excluded: the unit that DP-SGD clips.

Shapes: B examples, T tokens, V vocabulary, C classes.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from auditkit.errors import InputError

IGNORED = -100
"""The label of a token that does not count, as in PyTorch and transformers."""


def token_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of each example over its tokens that count, in nats; 0 where none does.

    For masked and sequence-to-sequence models, whose logits at t score the label at t.

    Args:
        logits: (B, T, V).
        labels: (B, T) token ids; -100 where a token does not count.

    Returns:
        (B,) losses. Each example has weight 1, however many tokens of it count.

    Raises:
        InputError: the shapes do not fit.
    """
    if logits.ndim != 3 or labels.shape != logits.shape[:2]:
        raise InputError(
            f"logits {tuple(logits.shape)} and labels {tuple(labels.shape)}; expected (B, T, V) and (B, T): "
            "one label for each token of each example"
        )
    losses = F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="none")  # (B, T)
    return losses.sum(1) / (labels != IGNORED).sum(1).clamp(min=1)


def next_token_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """`token_loss` of a causal model, whose logits at t score the label at t + 1. Labels are the ids, not shifted."""
    return token_loss(logits[:, :-1], labels[:, 1:])


def label_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each example of a classifier, in nats: logits (B, C), labels (B,) -> (B,).

    Raises:
        InputError: the shapes do not fit.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise InputError(
            f"logits {tuple(logits.shape)} and labels {tuple(labels.shape)}; expected (B, C) and (B,): one label each"
        )
    return F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="none")
