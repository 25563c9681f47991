"""Which weights can be compressed: the linear maps inside a model's stack of blocks.

Embeddings, output layers and poolers stand outside the stack; most of a language model's work per token is done inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from auditkit.errors import InputError, UnknownName

_PLAIN = (torch.Tensor, nn.Parameter)


@dataclass(frozen=True, slots=True)
class Layer:
    """One linear map.

    Attributes:
        name: where it stands in the module, as in `module.get_submodule(name)`.
        part: an `nn.Linear`, or a transformers `Conv1D`, which keeps its weight transposed (GPT-2).
        transposed: whether `part.weight` is (in, out).
    """

    name: str
    part: Any
    transposed: bool

    @property
    def weight(self) -> torch.Tensor:
        """(out, in) view of the weight, outside autograd: what is written into it is in the model."""
        weight: torch.Tensor = self.part.weight.detach()
        return weight.T if self.transposed else weight


@dataclass(frozen=True, slots=True)
class Sparsity:
    """Weights of the compressible layers that are exactly zero, counted.

    Attributes:
        zeros: how many are.
        weights: how many there are.
        layers: share of zeros in each layer, by name.
    """

    zeros: int
    weights: int
    layers: dict[str, float]

    @property
    def fraction(self) -> float:
        """Share of zeros among all."""
        return self.zeros / self.weights


def linear_layers(module: nn.Module, names: Sequence[str] = ()) -> dict[str, Layer]:
    """The linear maps inside the stack of blocks, in the order of the module.

    Args:
        module: of an adapter; not quantised.
        names: only these: globs over the layers inside the stack ("*attention*"), or the full name of any linear
            map, which may then be outside the stack; none for all inside it.

    Raises:
        UnknownName: a name or glob matches no layer.
        InputError: there is no stack, the weights are quantised, or low-rank adapters are not merged.
    """
    refuse_quantised(module)
    every = _every_linear(module)
    stacks = tuple(f"{name}." for name, part in module.named_modules() if isinstance(part, nn.ModuleList))
    inside = {name: layer for name, layer in every.items() if name.startswith(stacks)}
    if not names:
        if not inside:
            raise InputError(f"{type(module).__name__} has no stack of blocks with linear maps: name the layers")
        return inside
    chosen: set[str] = set()
    for pattern in [names] if isinstance(names, str) else names:
        found = {pattern} & every.keys() or {name for name in inside if fnmatchcase(name, pattern)}
        if not found:
            raise UnknownName("layer", pattern, every)
        chosen |= found
    return {name: layer for name, layer in every.items() if name in chosen}


def sparsity(module: nn.Module, names: Sequence[str] = ()) -> Sparsity:
    """Count the zeros in the layers that `linear_layers` finds."""
    layers = linear_layers(module, names)
    zeros = {name: int((layer.weight == 0).sum()) for name, layer in layers.items()}
    sizes = {name: layer.weight.numel() for name, layer in layers.items()}
    shares = {name: zeros[name] / sizes[name] for name in layers}
    return Sparsity(sum(zeros.values()), sum(sizes.values()), shares)


def refuse_quantised(module: nn.Module) -> None:
    """Weights already packed to few bits can be neither pruned nor factorised nor packed again.

    Raises:
        InputError: names the first layer that holds packed weights.
    """
    for name, part in module.named_modules():
        own = [*part.parameters(recurse=False), *part.buffers(recurse=False)]
        few_bits = any(type(t) not in _PLAIN or t.dtype in (torch.int8, torch.uint8) for t in own)
        if few_bits or hasattr(part, "_packed_params"):
            raise InputError(
                f"layer {name} ({type(part).__name__}) is already quantised: its weights are packed. "
                "Start from the unquantised model, and put quantisation after the other steps, once"
            )


def _every_linear(module: nn.Module) -> dict[str, Layer]:
    from transformers.pytorch_utils import Conv1D

    parts = {name: part for name, part in module.named_modules() if isinstance(part, nn.Linear | Conv1D)}
    unmerged = next((name for name in parts if "lora_" in name), None)
    if unmerged is not None:
        raise InputError(f"layer {unmerged} is a low-rank adapter beside its layer; merge the adapters first")
    return {name: Layer(name, part, isinstance(part, Conv1D)) for name, part in parts.items()}
