"""Linear maps and embeddings that keep their weights in 8 or 4 bits, and the kernels that multiply with them.

Weights: symmetric, one scale per output channel (Jacob et al., 2018; Krishnamoorthi, 2018), so that each is off by at
most half a step. Activations: one scale per token, found when the token comes by (Yao et al., 2022, ZeroQuant). One
scale for a whole batch, as `torch.ao.quantization.quantize_dynamic` takes it, makes the score of a text depend on the
company it is in. Products of integers are exact, so here it depends on nothing but the text.

Shapes: N outputs, K inputs, M tokens.
"""

from __future__ import annotations

import copy
import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Self

import torch
from torch import nn
from torch.nn import functional as F

LIMIT = 127
TINIEST = 1e-12  # below this a row counts as all zero


def quantise_rows(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, K) floats -> (N, K) int8 in [-127, 127] and (N,) float32 scales; `int8 * scale` is off by <= scale / 2."""
    precise = weight.detach().float()
    scale = precise.abs().amax(1).clamp_min(TINIEST) / LIMIT
    return (precise / scale[:, None]).round_().clamp_(-LIMIT, LIMIT).to(torch.int8), scale


def digest(rows: torch.Tensor) -> str:
    """The hash of 8-bit rows: equal for a table and the copy of it that an engine has packed."""
    return hashlib.sha256(rows.detach().cpu().contiguous().numpy().tobytes()).hexdigest()


class _Int8Rows(nn.Module):
    """Holds (N, K) int8 `weight` and (N,) `scale`."""

    def packed_weight(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The (N, K) int8 rows and (N,) scales."""
        return self.weight, self.scale

    def packed_parameters(self) -> dict[Any, int]:
        """How many parameters the rows stand for; the key, their content, tells what two parts hold."""
        rows, _ = self.packed_weight()
        return {digest(rows): rows.numel()}


class QuantizedLinear(_Int8Rows):
    """x W^T + b with W in int8, multiplied by `torch._int_mm` or, where `kernel` says so, dequantised first.

    Args:
        weight: (N, K) int8; may be the table of an embedding, which is then in memory once.
        scale: (N,) float32.
        bias: (N,), or None.
        kind: "dynamic", activations in 8 bits; or "weight_only", activations in 16 bits (as two int8 halves), which
            costs a second product and leaves no error but that of the weights.
        kernel: "int_mm" or "dequantize" (which leaves the activations as they are).
    """

    def __init__(
        self, weight: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor | None, *, kind: str, kernel: str = "int_mm"
    ) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.kind, self.kernel = kind, kernel
        _keep_bias(self, bias)
        self._keep(weight, scale)

    @classmethod
    def of(cls, weight: torch.Tensor, bias: torch.Tensor | None, *, kind: str, kernel: str = "int_mm") -> Self:
        """Quantise (N, K) floats."""
        return cls(*quantise_rows(weight), bias, kind=kind, kernel=kernel)

    def _keep(self, weight: torch.Tensor, scale: torch.Tensor) -> None:
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., K) -> (..., N), in the dtype of x."""
        rows = x.reshape(-1, self.in_features).float()
        if not len(rows) or self.kernel == "dequantize":
            bias = self.bias if self.bias is None else self.bias.float()
            out = F.linear(rows, self.weight.float() * self.scale[:, None], bias)
        else:
            product, step = (self._by_8_bits if self.kind == "dynamic" else self._by_16_bits)(rows)
            out = _scaled(product.mul_(step), self.scale, self.bias)
        return out.to(x.dtype).reshape(*x.shape[:-1], self.out_features)

    def _by_8_bits(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(M, N) product of integers and the (M, 1) steps of the activations."""
        step = _largest(x) / LIMIT
        return self._product((x / step).round_().to(torch.int8)), step

    def _by_16_bits(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        halves, step = _halves(x)
        product = self._product(halves.round_().clamp_(max=LIMIT).to(torch.int8))
        return torch.add(product[len(x) :], product[: len(x)], alpha=256), step

    def _product(self, x: torch.Tensor) -> torch.Tensor:
        """(M, K) int8 -> (M, N) float32, exact below 2^24."""
        return exact_product(x, self.weight).float()

    def extra_repr(self) -> str:
        """Shape, kind and kernel."""
        return f"{self.in_features}, {self.out_features}, int8 {self.kind}, {self.kernel}"


class EngineLinear(QuantizedLinear):
    """The same map by torch's quantized engine (fbgemm, x86, onednn, qnnpack), which packs the weights its own way."""

    def _keep(self, weight: torch.Tensor, scale: torch.Tensor) -> None:
        zeros = torch.zeros(len(scale), dtype=torch.long)
        with _without_deprecations():
            quantised = torch._make_per_channel_quantized_tensor(weight.cpu(), scale.double().cpu(), zeros, 0)
            self._packed_params = torch.ops.quantized.linear_prepack(quantised, None)

        self.weight = weight.to("meta")  # T5, for one, asks every linear layer for the dtype of its weight

    def packed_weight(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The (N, K) int8 weights and (N,) scales, unpacked."""
        with _without_deprecations():
            weight, _ = torch.ops.quantized.linear_unpack(self._packed_params)
        return weight.int_repr(), weight.q_per_channel_scales().float()

    @property
    def packed_bytes(self) -> int:
        """What the engine keeps: the weights, and per channel a scale, a zero point and a sum of the weights."""
        return self.out_features * (self.in_features + 12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., K) -> (..., N), in the dtype of x."""
        rows = x.reshape(-1, self.in_features).float()
        product, step = (self._engine_8_bits if self.kind == "dynamic" else self._engine_16_bits)(rows)
        out = _scaled(product, step, self.bias)
        return out.to(x.dtype).reshape(*x.shape[:-1], self.out_features)

    def _engine_8_bits(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        step = _largest(x) / (engine_levels() // 2 - 1)
        return self._engine(x / step), step

    def _engine_16_bits(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        levels = engine_levels()
        halves, step = _halves(x, levels)
        product = self._engine(halves)
        return torch.add(product[len(x) :], product[: len(x)], alpha=levels), step

    def _engine(self, x: torch.Tensor) -> torch.Tensor:
        """(M, K) floats, which the kernel rounds to its levels -> (M, N) float32, times the scales of the weights."""
        zero = engine_levels() // 2
        return torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(x, 1.0, zero, self._packed_params)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}weight"], destination[f"{prefix}scale"] = self.packed_weight()

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        weight, scale = (state_dict.get(f"{prefix}{name}") for name in ("weight", "scale"))
        if weight is not None and scale is not None:
            self._keep(weight, scale)
        # What is packed is no buffer, so torch would call it unexpected.
        left = {k: v for k, v in state_dict.items() if k not in (f"{prefix}weight", f"{prefix}scale")}
        nn.Module._load_from_state_dict(self, left, prefix, *rest)
        unexpected = rest[3]
        unexpected[:] = [k for k in unexpected if k not in (f"{prefix}weight", f"{prefix}scale")]

    def __deepcopy__(self, memo: dict[int, Any]) -> EngineLinear:
        weight, scale = self.packed_weight()
        twin = type(self)(weight, scale, copy.deepcopy(self.bias, memo), kind=self.kind, kernel=self.kernel)
        twin.training = self.training
        memo[id(self)] = twin
        return twin


class QuantizedEmbedding(_Int8Rows):
    """A table of int8 rows with a scale each; only the rows looked up are turned into floats.

    Args:
        weight: (N, K) int8.
        scale: (N,) float32.
        dtype: of what is looked up.
    """

    def __init__(self, weight: torch.Tensor, scale: torch.Tensor, *, dtype: torch.dtype) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = weight.shape
        self.dtype = dtype
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """(...) ids -> (..., K)."""
        return (self.weight[ids].float() * self.scale[ids][..., None]).to(self.dtype)


class Int4Linear(nn.Module):
    """x W^T + b with W in 4 bits, two to a byte, a scale per `group` inputs; dequantised at every call.

    Args:
        weight: (N, K) floats.
        bias: (N,), or None.
        group: inputs that share a scale; must divide K.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, *, group: int) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.group = group
        _keep_bias(self, bias)
        self._pack(weight)

    def _pack(self, weight: torch.Tensor) -> None:
        grouped = weight.detach().float().reshape(self.out_features, -1, self.group)
        scale = grouped.abs().amax(2).clamp_min(TINIEST) / 7
        whole = (grouped / scale[..., None]).round_().clamp_(-7, 7).add_(8).to(torch.uint8).reshape(weight.shape)
        self.register_buffer("weight", whole[:, ::2] | (whole[:, 1::2] << 4))  # (N, K/2)
        self.register_buffer("scale", scale)  # (N, K/group)

    def packed_parameters(self) -> dict[int, int]:
        """How many parameters the weights stand for."""
        return {id(self): self.out_features * self.in_features}

    def dequantised(self) -> torch.Tensor:
        """(N, K) float32."""
        whole = torch.stack([self.weight & 15, self.weight >> 4], -1).to(torch.int8).sub_(8)
        return (whole.reshape(self.out_features, -1, self.group) * self.scale[..., None]).flatten(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., K) -> (..., N), in the dtype of x."""
        return F.linear(x, self.dequantised().to(x.dtype), self.bias)


def _keep_bias(part: nn.Module, bias: torch.Tensor | None) -> None:
    """A parameter stays the one it is, since another part may share it; nothing here is trained."""
    if isinstance(bias, nn.Parameter):
        part.bias = bias.requires_grad_(False)
    else:
        part.register_buffer("bias", bias)


@contextmanager
def _without_deprecations() -> Iterator[None]:
    """Torch announces the removal of its quantised tensors; `backends` falls back on another kernel once they go."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.quantize_per_tensor")
        yield


def exact_product(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """(M, K) int8 times (N, K) int8 -> (M, N) int32."""
    if not x.is_cuda:
        return torch._int_mm(x, weight.T)
    rows = max(32, -(-len(x) // 8) * 8)  # CUDA's kernel wants more than 16 rows, in eights
    return torch._int_mm(F.pad(x, (0, 0, 0, rows - len(x))), weight.T)[: len(x)]


def _largest(x: torch.Tensor) -> torch.Tensor:
    """(M, 1) largest magnitude in each row."""
    return x.abs().amax(-1, keepdim=True).clamp_min_(TINIEST)


def _scaled(product: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return product.mul_(scale) if bias is None else torch.addcmul(bias, product, scale)


def _halves(x: torch.Tensor, levels: int = 256) -> tuple[torch.Tensor, torch.Tensor]:
    """(M, K) floats -> (2 M, K) floats, high halves and then low ones, and (M, 1) step.

    x is (levels * high + low) * step. High is whole, low is left to be rounded; both are at most half the levels.
    """
    halves = x.new_empty(2, *x.shape)
    high, low = halves
    step = _largest(x) / (levels * (levels // 2 - 1))
    torch.div(x, step, out=low)
    torch.div(low, levels, out=high).round_()
    low.sub_(high, alpha=levels)
    return halves.flatten(0, 1), step


@lru_cache
def engine_levels() -> int:
    """How many levels of an activation torch's quantized engine multiplies exactly: 256, or 128 without VNNI.

    There the kernel adds two products of 8 bits in 16, which overflow unless the activations keep to 7 bits.
    """
    layer = EngineLinear.of(torch.full((16, 64), -1.0), None, kind="dynamic", kernel="engine")
    ones = torch.full((4, 64), float(LIMIT))
    product = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(ones, 1.0, 128, layer._packed_params)
    return 256 if torch.allclose(product, torch.full((4, 16), -64.0 * LIMIT), rtol=1e-5) else 128
