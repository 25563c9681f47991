"""A rougher reading of a model: the linear maps of its body multiplied in bfloat16, everything else in float32.

Residual stream, normalisations, attention and output layer keep float32. That halves the error of a sentence against a
model wholly in bfloat16, which also rounds every sum and every logit to 8 significant bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from auditkit.models.protocols import HasModule


def body_maps(model: Any) -> list[nn.Linear]:
    """The float32 linear maps of a model but for its output layer; none where it gives out no torch module.

    Subclasses, and the transposed maps of GPT-2, are left out.
    """
    module = model.module if isinstance(model, HasModule) else None
    if not isinstance(module, nn.Module):
        return []
    head = module.get_output_embeddings() if hasattr(module, "get_output_embeddings") else None
    return [
        part
        for part in module.modules()
        if type(part) is nn.Linear and part is not head and part.weight.dtype == torch.float32
    ]


@contextmanager
def multiplying_in_bfloat16(model: Any) -> Iterator[None]:
    """Inside the block the `body_maps` of `model` round inputs, weights and products to bfloat16."""
    maps = body_maps(model)
    for part in maps:
        bias = None if part.bias is None else part.bias.detach().bfloat16()
        part.forward = partial(_product, weight=part.weight.detach().bfloat16(), bias=bias)
    try:
        yield
    finally:
        for part in maps:
            del part.forward


def _product(x: torch.Tensor, *, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return F.linear(x.bfloat16(), weight, bias).to(x.dtype)
