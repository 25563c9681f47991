"""Which kernel multiplies 8-bit weights on this device: every candidate is tried on the model's own shapes.

How fast they are cannot be told from their names. On one CPU the same int8 product ran 3 times faster than float32
through one library and 20 times slower through another.
"""

from __future__ import annotations

import importlib.util
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from torch import nn

from auditkit import extras
from auditkit.compression.quantized_linear import EngineLinear, QuantizedLinear
from auditkit.errors import InputError

KINDS = ("dynamic", "weight_only")
BACKENDS = ("engine", "int_mm", "dequantize", "torchao")
TOKENS = (12, 96)
"""Tokens in a batch of one short sentence, and of eight."""

PAIRS = 9
NEARLY = 1.25  # ratios closer than this are a tie: the smaller error decides, then the order of the candidates
HEAD_ROWS = (
    4096  # of an output layer that kernels are tried on: enough to tell, and a slow kernel takes seconds of more
)
TOO_INEXACT = 0.015  # relative error of a product; rounding activations to 8 bits gives 0.012, to 7 bits 0.018
INSTALL_TORCHAO = f"backend 'torchao' is not installed; {extras.command('compression')}"

Build = Callable[[torch.Tensor, torch.Tensor | None], nn.Module]
"""(N, K) float weights and bias -> the layer that takes the place of the linear map."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A way to multiply with int8 weights, tried.

    Attributes:
        kind: "dynamic" (activations in 8 bits) or "weight_only".
        backend: see `BACKENDS`.
        speedup: by tokens in the batch, how many times faster than float32; least of paired runs, summed over the
            model's layers. None where it failed.
        error: relative error of the product on normal inputs; None where it failed.
        note: what speaks against it: "NaN", "slower than float32", "saturates", or an error.
    """

    kind: str
    backend: str
    speedup: dict[int, float] | None
    error: float | None
    note: str = ""

    @property
    def fast(self) -> float:
        """The smaller of the speed-ups; 0 where it cannot be used."""
        return 0.0 if self.speedup is None or self.note == "NaN" else min(self.speedup.values())

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        out = asdict(self)
        if self.speedup is not None:
            out["speedup"] = {str(tokens): round(ratio, 3) for tokens, ratio in self.speedup.items()}
        return out


@dataclass(frozen=True, slots=True)
class Choice:
    """The candidate taken, why, and all that were tried."""

    kind: str
    backend: str
    why: str
    candidates: tuple[Candidate, ...]


def choose(kind: str, backend: str, shapes: Counter[tuple[int, int]], device: torch.device) -> Choice:
    """The kind and backend that were asked for, "auto" replaced by the fastest of those that are exact enough.

    Args:
        kind: "dynamic", "weight_only" or "auto".
        backend: see `BACKENDS`, or "auto".
        shapes: how many layers of each (N, K) the model has.
        device: where they are.

    Raises:
        InputError: no such kind or backend, or not on this device, or not installed.
    """
    wanted = [(k, b) for k, b in _possible(device) if kind in (k, "auto") and backend in (b, "auto")]
    if backend != "auto":
        require(backend, device)
    if not wanted:
        raise InputError(f"backend {backend!r} does not compute {kind!r}; use backend: auto, or kind: weight_only")
    if len(wanted) == 1:
        return Choice(*wanted[0], why="asked for", candidates=())
    tried = _tried(tuple(wanted), tuple(sorted(shapes.items())), device, torch.get_num_threads())
    working = [c for c in tried if c.fast > 0]
    usable = [c for c in working if (c.error or 0.0) <= TOO_INEXACT] or working
    if not usable:
        raise InputError(f"no int8 kernel works on {device}: " + "; ".join(f"{c.backend}: {c.note}" for c in tried))
    fastest = max(c.fast for c in usable)
    near = [c for c in usable if c.fast * NEARLY >= fastest]
    taken = min(near, key=lambda c: round(c.error or 0.0, 3))
    return Choice(taken.kind, taken.backend, _reason(taken, fastest, len(tried)), tried)


def _reason(taken: Candidate, fastest: float, tried: int) -> str:
    if fastest < 1:
        return f"none of {tried} candidates is faster than float32 here; this one has {taken.fast:.2f} of its speed"
    tie = f", within {NEARLY - 1:.0%} of it, with the smaller error" if taken.fast < fastest else ""
    return f"{taken.fast:.2f} times as fast as float32 on this device; the fastest of {tried} candidates{tie}"


def choose_for_table(rows: int, inputs: int, device: torch.device) -> str:
    """The kernel of an output layer that shares its int8 rows with the word table.

    "int_mm" reads the rows as they lie in the table. "engine" packs a copy of its own, so it is taken only where it is
    faster than float32 and int_mm is not.
    """
    if device.type != "cpu" or not engine_works():
        return "int_mm"
    wanted, shapes = (("dynamic", "int_mm"), ("dynamic", "engine")), (((min(rows, HEAD_ROWS), inputs), 1),)
    in_place, packed = _tried(wanted, shapes, device, torch.get_num_threads())
    return "engine" if packed.fast > 1 > in_place.fast else "int_mm"


def require(backend: str, device: torch.device) -> None:
    """Refuse a backend that is unknown, absent or made for another device.

    Raises:
        InputError: says which it is, and what to do.
    """
    if backend not in BACKENDS:
        raise InputError(f"backend {backend!r}: expected auto, {', '.join(BACKENDS)}")
    if backend == "torchao" and not torchao_installed():
        raise InputError(INSTALL_TORCHAO)
    if backend == "engine" and device.type != "cpu":
        raise InputError(f"backend 'engine' computes on a CPU and the model is on {device}: load it with device='cpu'")
    if backend == "engine" and not engine_works():
        raise InputError("this torch has no quantized engine any more; use backend: int_mm")


def torchao_installed() -> bool:
    """Whether the package is there; a mere folder of that name has no origin."""
    found = importlib.util.find_spec("torchao")
    return found is not None and found.origin is not None


def builder(kind: str, backend: str) -> Build:
    """How a layer of this kind and backend is made."""
    if backend == "torchao":
        return partial(_by_torchao, kind)
    layer = EngineLinear if backend == "engine" else QuantizedLinear
    return partial(layer.of, kind=kind, kernel=backend)


@lru_cache
def engine_works() -> bool:
    """Whether torch's quantized engine is there, and multiplies exactly within the levels that it is given."""
    try:
        layer = EngineLinear.of(torch.full((16, 64), -1.0), None, kind="dynamic", kernel="engine")
        product = layer(torch.ones(4, 64))
    except (RuntimeError, AttributeError):
        return False
    return bool(torch.allclose(product, torch.full((4, 16), -64.0), rtol=1e-5))


def _possible(device: torch.device) -> list[tuple[str, str]]:
    """(kind, backend) in the order that decides a tie."""
    backends = ["int_mm", "torchao"] if torchao_installed() else ["int_mm"]
    if device.type == "cpu" and engine_works():
        backends.insert(0, "engine")
    return [(kind, b) for kind in KINDS for b in backends] + [("weight_only", "dequantize")]


@lru_cache(maxsize=32)
def _tried(
    wanted: Sequence[tuple[str, str]], shapes: Sequence[tuple[tuple[int, int], int]], device: torch.device, threads: int
) -> tuple[Candidate, ...]:
    """Measured once in a process, so that the same model gets the same kernel again."""
    return tuple(_try(kind, backend, shapes, device) for kind, backend in wanted)


@torch.no_grad()
def _try(kind: str, backend: str, shapes: Sequence[tuple[tuple[int, int], int]], device: torch.device) -> Candidate:
    draw = torch.Generator().manual_seed(0)
    spent = dict.fromkeys(TOKENS, np.zeros(2))
    error = 0.0
    try:
        for (outputs, inputs), count in shapes:
            dense = nn.Linear(inputs, outputs, device="meta").to_empty(device=device).requires_grad_(False)
            dense.weight.copy_(torch.randn(outputs, inputs, generator=draw) / inputs**0.5)
            dense.bias.zero_()
            small = builder(kind, backend)(dense.weight, dense.bias)
            for tokens in TOKENS:
                x = torch.randn(tokens, inputs, generator=draw).to(device)
                expected = dense(x)
                error = max(error, float((small(x) - expected).norm() / expected.norm()), key=_nan_first)
                spent[tokens] = spent[tokens] + count * paired(partial(dense, x), partial(small, x), device)
    except (RuntimeError, NotImplementedError, ImportError, AttributeError) as e:
        return Candidate(kind, backend, None, None, f"failed: {str(e).splitlines()[0][:120]}")
    speedup = {tokens: float(dense / small) for tokens, (dense, small) in spent.items()}
    return Candidate(kind, backend, speedup, None if np.isnan(error) else round(error, 5), _objection(speedup, error))


def _objection(speedup: dict[int, float], error: float) -> str:
    if np.isnan(error):
        return "NaN"
    if error > TOO_INEXACT:
        return f"a relative error of {error:.2g}"
    return "slower than float32" if min(speedup.values()) < 1 else ""


def _nan_first(x: float) -> float:
    return np.inf if np.isnan(x) else x


@torch.inference_mode()
def paired(first: Callable[[], Any], second: Callable[[], Any], device: torch.device) -> Any:
    """(2,) least seconds of each, run in turn: what else the machine does can only add to them."""
    for _ in range(2):
        first(), second()
    times = [(timed(first, device), timed(second, device)) for _ in range(PAIRS)]
    return np.min(times, axis=0)


def timed(run: Callable[[], Any], device: torch.device) -> float:
    """Seconds of the processor (a busy machine does not count), or of the clock where an accelerator computes."""
    if device.type == "cpu":
        start = time.process_time()
        run()
        return time.process_time() - start
    wait = torch.cuda.synchronize if device.type == "cuda" else torch.mps.synchronize
    wait()
    start = time.perf_counter()
    run()
    wait()
    return time.perf_counter() - start


def _by_torchao(kind: str, weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Module:
    """An `nn.Linear` whose weight is torchao's int8 tensor."""
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, Int8WeightOnlyConfig, quantize_

    linear = nn.Linear(*weight.T.shape, bias=bias is not None, device="meta").requires_grad_(False)
    linear.weight = nn.Parameter(weight.detach().clone(), requires_grad=False)
    if bias is not None:
        linear.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)
    config = Int8DynamicActivationInt8WeightConfig if kind == "dynamic" else Int8WeightOnlyConfig
    quantize_(linear, config())
    return linear
