"""Half precision on a processor without instructions for it, where torch's own product takes ten times that of float32.

What such instructions do is known: products of two halves are exact in float32, the sum is kept in float32, and the
result is rounded once. A linear map that widens its weights for the product does the same, and keeps them in half.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache, partial

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from auditkit.compression.backends import HEAD_ROWS, NEARLY, TOKENS, paired


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


@lru_cache(maxsize=32)
def _measured(found: tuple[tuple[tuple[int, int], int], ...], dtype: torch.dtype, threads: int) -> float:
    """Once in a process, so that the same model gets the same kernel again."""
    draw, spent = torch.Generator().manual_seed(0), np.zeros(2)
    for (outputs, inputs), count in found:
        rows = min(outputs, HEAD_ROWS)
        plain: nn.Module = nn.Linear(inputs, rows, dtype=dtype)
        wide: nn.Module = WidenedLinear(inputs, rows, dtype=dtype)
        for tokens in TOKENS:
            x = torch.randn(tokens, inputs, generator=draw).to(dtype)
            seconds = paired(partial(plain, x), partial(wide, x), torch.device("cpu"))
            spent += count * outputs / rows * seconds
    return float(spent[0] / spent[1])
