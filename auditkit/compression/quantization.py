"""Weights in 8 or 4 bits, or in half precision: the steps "int8", "int4" and "cast".

Int8 takes the linear maps inside the stack of blocks; with `embeddings=True` also the word table and the output layer,
which share their memory where they are tied, in 8 bits as in 32.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from auditkit.compression.backends import BACKENDS, INSTALL_TORCHAO, KINDS, builder, choose, choose_for_table
from auditkit.compression.half_precision import gain_of_widening, pays, shapes, widen
from auditkit.compression.layers import Layer, linear_layers, refuse_quantised
from auditkit.compression.quantized_linear import (
    EngineLinear,
    Int4Linear,
    QuantizedEmbedding,
    QuantizedLinear,
    quantise_rows,
)
from auditkit.compression.quantized_model import batch_effect, has_nan, put, settle, word_table
from auditkit.errors import InputError
from auditkit.models.weights import DTYPES


@dataclass(frozen=True, kw_only=True)
class Int8:
    """Weights in 8 bits, one scale per output channel (Jacob et al., 2018, "Quantization and training of ...").

    Attributes:
        kind: "dynamic", activations in 8 bits with a scale per token; "weight_only", activations not (or in 16 bits,
            where integers multiply faster); "auto", whichever is faster on this device. Where torch's quantized engine
            would overflow (a CPU without VNNI) it gets 7 bits, or 14.
        backend: "engine" (torch's quantized engine), "int_mm" (`torch._int_mm`), "dequantize", "torchao", or "auto",
            the fastest of these on the model's own shapes.
        embeddings: whether also the word table and the output layer, whose activations are then in 8 bits.
        layers: only these, as globs; all inside the stack by default.

    Raises:
        InputError: no such kind or backend.
    """

    kind: str = "auto"
    backend: str = "auto"
    embeddings: bool = False
    layers: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.kind not in (*KINDS, "auto"):
            raise InputError(f"int8 kind {self.kind!r}: expected auto, {', '.join(KINDS)}")
        if self.backend not in (*BACKENDS, "auto"):
            raise InputError(f"int8 backend {self.backend!r}: expected auto, {', '.join(BACKENDS)}")

    @property
    def label(self) -> str:
        """For instance "int8 dynamic, embeddings too"."""
        words = [word for word in (self.kind, self.backend) if word != "auto"]
        return " ".join(["int8", *words]) + _restriction(self.layers) + (", embeddings too" if self.embeddings else "")

    def apply(self, model: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Quantise in place.

        Returns:
            layers, kind, backend, why, candidates (each with its speed-up), embeddings, embeddings_backend,
            batch_effect and nan.

        Raises:
            InputError: quantised already, nothing linear, a shared weight, or a backend that is not to be had.
        """
        layers = _own_layers(model.module, self.layers)
        device = next(model.module.parameters()).device
        shapes = Counter((layer.weight.shape[0], layer.weight.shape[1]) for layer in layers.values())
        choice = choose(self.kind, self.backend, shapes, device)
        build = builder(choice.kind, choice.backend)
        kernel = self._table_kernel(model, choice.backend) if self.embeddings else ""
        table = _quantise_table(model, kernel) if self.embeddings else []
        for name, layer in layers.items():
            if name not in table:
                put(model.module, name, build(layer.weight, layer.part.bias))
        settle(model, exact_per_row=choice.kind == "dynamic" or choice.backend in ("engine", "int_mm"))
        return {
            "layers": len(layers),
            "kind": choice.kind,
            "backend": choice.backend,
            "why": choice.why,
            "candidates": [c.to_json() for c in choice.candidates],
            "embeddings": table,
            "embeddings_backend": kernel,
        } | _effects(model)

    def _table_kernel(self, model: Any, chosen: str) -> str:
        """What multiplies with the word table: what was asked for, where that can, else the faster one."""
        if self.backend in ("dequantize", "int_mm") or chosen == "dequantize":
            return chosen
        table, _ = word_table(model.module)
        rows, inputs = table.weight.shape
        return choose_for_table(rows, inputs, table.weight.device)


@dataclass(frozen=True, kw_only=True)
class Int4:
    """Weights in 4 bits, one scale per `group` inputs (after Frantar et al., 2023, "GPTQ", by rounding alone).

    Attributes:
        backend: "dequantize", which runs everywhere and is slower than float32; "torchao", on CUDA; "auto".
        group: inputs that share a scale.
        layers: only these, as globs.

    Raises:
        InputError: no such backend, or a group that is not a positive even number.
    """

    backend: str = "auto"
    group: int = 32
    layers: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.backend not in ("auto", "dequantize", "torchao"):
            raise InputError(f"int4 backend {self.backend!r}: expected auto, dequantize, torchao")
        if self.group < 2 or self.group % 2:
            raise InputError(f"int4 group {self.group}: expected an even number of inputs, at least 2, such as 32")

    @property
    def label(self) -> str:
        """For instance "int4, groups of 32"."""
        return f"int4, groups of {self.group}" + _restriction(self.layers)

    def apply(self, model: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Quantise in place.

        Raises:
            InputError: quantised already, nothing linear, inputs that `group` does not divide, or no such backend.
        """
        layers = _own_layers(model.module, self.layers)
        backend = "dequantize" if self.backend == "auto" else self.backend
        build = self._builder(backend, next(model.module.parameters()).device)
        for name, layer in layers.items():
            if layer.weight.shape[1] % self.group:
                raise InputError(
                    f"int4: {name} has {layer.weight.shape[1]} inputs, which groups of {self.group} do not divide; "
                    "choose another group, or name the layers"
                )
        for name, layer in layers.items():
            put(model.module, name, build(layer.weight, layer.part.bias))
        settle(model, exact_per_row=False)
        return {"layers": len(layers), "backend": backend, "group": self.group} | _effects(model)

    def _builder(self, backend: str, device: torch.device) -> Callable[[torch.Tensor, Any], nn.Module]:
        if backend == "dequantize":
            return lambda weight, bias: Int4Linear(weight, bias, group=self.group)
        if device.type != "cuda":
            raise InputError(
                f"int4 with backend 'torchao' computes on CUDA and the model is on {device}; "
                "load it with device='cuda', or use backend: dequantize"
            )
        return self._by_torchao

    def _by_torchao(self, weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Module:
        try:
            from torchao.quantization import Int4WeightOnlyConfig, quantize_
        except ImportError as e:
            raise InputError(INSTALL_TORCHAO) from e
        linear = nn.Linear(*weight.T.shape, bias=bias is not None, device="meta").requires_grad_(False)
        linear.weight = nn.Parameter(weight.detach().bfloat16(), requires_grad=False)
        if bias is not None:
            linear.bias = nn.Parameter(bias.detach().bfloat16(), requires_grad=False)
        quantize_(linear, Int4WeightOnlyConfig(group_size=self.group))
        return linear


@dataclass(frozen=True, kw_only=True)
class Cast:
    """All weights in half precision, multiplied as is faster on this device: by torch, or widened to float32.

    Attributes:
        dtype: "float16" or "bfloat16".

    Raises:
        InputError: another dtype.
    """

    dtype: str = "bfloat16"

    def __post_init__(self) -> None:
        if self.dtype not in ("float16", "bfloat16"):
            raise InputError(f"cast to {self.dtype!r}: expected float16 or bfloat16")

    @property
    def label(self) -> str:
        """The dtype."""
        return self.dtype

    def apply(self, model: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Cast in place.

        Returns:
            dtype, kernel ("native", or "widened", see `half_precision`), batch_effect and nan.

        Raises:
            InputError: the model is quantised.
        """
        refuse_quantised(model.module)
        dtype = DTYPES[self.dtype]
        model.module.to(dtype)
        device = next(model.module.parameters()).device
        widened = pays(gain_of_widening(shapes(model.module), dtype, device))
        if widened:
            widen(model.module)
        settle(model, exact_per_row=False)
        return {"dtype": self.dtype, "kernel": "widened" if widened else "native"} | _effects(model)


def _restriction(layers: Sequence[str]) -> str:
    return f" of {', '.join([layers] if isinstance(layers, str) else layers)}" if layers else ""


def _effects(model: Any) -> dict[str, Any]:
    return {"nan": has_nan(model), "batch_effect": batch_effect(model)}


def _own_layers(module: nn.Module, names: Sequence[str]) -> dict[str, Layer]:
    """The layers asked for; none may share its weight, which would then be in memory twice."""
    layers = linear_layers(module, names)
    holders = Counter(id(p) for part in module.modules() for p in part.parameters(recurse=False))
    for name, layer in layers.items():
        if holders[id(layer.part.weight)] > 1:
            raise InputError(f"layer {name} shares its weight with the word table; use int8 with embeddings: true")
    return layers


def _quantise_table(model: Any, kernel: str) -> list[str]:
    """Put 8-bit twins in the place of the word table and the output layer, wherever they stand; their names.

    The output layer reads activations in 8 bits whatever the other layers do: nothing comes after it that its rounding
    would be carried into, and it is the largest layer of a small model.
    """
    table, head = word_table(model.module)
    dense = table.weight
    weight, scale = quantise_rows(dense)
    embedding = QuantizedEmbedding(weight, scale, dtype=dense.dtype)
    kind = "weight_only" if kernel == "dequantize" else "dynamic"
    layer = EngineLinear if kernel == "engine" else QuantizedLinear  # the first packs the rows, the other shares them
    done = []
    for name, part in list(model.module.named_modules(remove_duplicate=False)):
        if isinstance(part, nn.Embedding) and part.weight is dense:
            put(model.module, name, embedding)
        elif isinstance(part, nn.Linear) and part.weight is dense:
            put(model.module, name, layer(weight, scale, part.bias, kind=kind, kernel=kernel))
        elif head is not None and part is head:
            put(model.module, name, layer.of(head.weight, head.bias, kind=kind, kernel=kernel))
        else:
            continue
        done.append(name)
    return done
