"""What half precision gains on this device, measured: that it has instructions for it says little.

Without them torch's own product takes ten times that of float32. What they do is known: products of two halves are
exact in float32, the sum is kept in float32, and the result is rounded once. A linear map that widens its weights for
the product does the same, and keeps them in half. With them the product may still be slower than in float32: a
processor with avx512_bf16 reached 85 GFLOP/s in bfloat16 and 150 in float32.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from auditkit.compression.backends import HEAD_ROWS, NEARLY, TOKENS, paired

BATCH = 512  # tokens, as many as likelihoods are scored in
Shapes = tuple[tuple[tuple[int, int], int], ...]


class WidenedLinear(nn.Linear):
    """x W^T + b with weights in half precision, widened to float32 for the product."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., K) -> (..., N), in the dtype of x."""
        bias = None if self.bias is None else self.bias.float()
        return F.linear(x.float(), self.weight.float(), bias).to(x.dtype)


def widen(module: nn.Module) -> None:
    """Let every `nn.Linear` of `module` widen its weights; what it holds, and shares, stays as it is.

    Subclasses, and the transposed maps of GPT-2, keep torch's product.
    """
    for part in module.modules():
        if type(part) is nn.Linear:
            part.__class__ = WidenedLinear


def shapes(module: nn.Module) -> Counter[tuple[int, int]]:
    """How many linear maps of each (N, K) the module has."""
    return Counter((part.out_features, part.in_features) for part in module.modules() if type(part) is nn.Linear)


def gain_of_widening(found: Counter[tuple[int, int]], dtype: torch.dtype, device: torch.device) -> float:
    """How many times faster than torch's own product these linear maps are widened, measured on the device.

    1 where there is nothing to gain: off the CPU, or without linear maps.
    """
    if device.type != "cpu" or not found:
        return 1.0
    return _measured(tuple(sorted(found.items())), dtype, torch.get_num_threads())


def pays(gain: float) -> bool:
    """Whether a gain is none that a busy machine may have made up."""
    return gain > NEARLY


def gain_of_bfloat16(found: Counter[tuple[int, int]], device: torch.device) -> float:
    """How many times faster than in float32 these linear maps are in bfloat16, inputs in float32, on the device.

    1 where there is nothing to gain: without linear maps.
    """
    return _gain_in_batches(tuple(sorted(found.items())), device, torch.get_num_threads()) if found else 1.0


@lru_cache(maxsize=32)
def _measured(found: Shapes, dtype: torch.dtype, threads: int) -> float:
    """Once in a process, so that the same model gets the same kernel again."""

    def build(inputs: int, rows: int) -> tuple[nn.Module, nn.Module]:
        return nn.Linear(inputs, rows, dtype=dtype), WidenedLinear(inputs, rows, dtype=dtype)

    return _compared(found, build, TOKENS, dtype, torch.device("cpu"))


@lru_cache(maxsize=32)
def _gain_in_batches(found: Shapes, device: torch.device, threads: int) -> float:
    """Once in a process, so that the same model is scored in the same way again."""

    def build(inputs: int, rows: int) -> tuple[nn.Module, Callable[[torch.Tensor], torch.Tensor]]:
        exact = nn.Linear(inputs, rows, device=device)
        rough = nn.Linear(inputs, rows, device=device, dtype=torch.bfloat16)
        return exact, lambda x: rough(x.bfloat16()).float()

    return _compared(found, build, (BATCH,), torch.float32, device)


def _compared(
    found: Shapes, build: Callable[[int, int], Any], batches: Sequence[int], dtype: torch.dtype, device: torch.device
) -> float:
    """Seconds of the first of the two products that `build` makes of (K, N), by those of the second."""
    draw, spent = torch.Generator().manual_seed(0), np.zeros(2)
    for (outputs, inputs), count in found:
        rows = min(outputs, HEAD_ROWS)
        first, second = build(inputs, rows)
        for tokens in batches:
            x = torch.randn(tokens, inputs, generator=draw).to(device, dtype)
            spent += count * outputs / rows * paired(partial(first, x), partial(second, x), device)
    return float(spent[0] / spent[1])
