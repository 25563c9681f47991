"""Which device and number format a model gets, and what exactly is in memory afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import torch

from auditkit.errors import InputError

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def pick_device(device: str = "auto") -> torch.device:
    """`auto` is CUDA, else Apple's MPS, else the CPU; anything else must exist on this machine.

    Raises:
        InputError: the device is unknown or absent.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as e:
        raise InputError(
            f"device {device!r} is not available here ({str(e).splitlines()[0]}); use 'auto' or 'cpu'"
        ) from e
    return chosen


def pick_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """`auto` is float32 everywhere: the reference numbers are float32, and half precision is the user's choice.

    Raises:
        InputError: no such dtype.
    """
    if dtype != "auto" and dtype not in DTYPES:
        raise InputError(f"dtype {dtype!r}: expected auto, {', '.join(DTYPES)}")
    return DTYPES.get(dtype, torch.float32)


def execution_device(module: torch.nn.Module) -> torch.device:
    """Where the inputs of a module go: where its first weights are, or are brought when they are needed."""
    first = next(module.parameters()).device
    if first.type != "meta":
        return first
    hooks = (part._hf_hook for part in module.modules() if hasattr(part, "_hf_hook"))
    return torch.device(
        next((h.execution_device for h in hooks if getattr(h, "execution_device", None) is not None), "cpu")
    )


def parameter_count(module: torch.nn.Module) -> int:
    """Number of distinct parameters; tied weights count once, and weights in few bits as many as they stand for."""
    packed: dict[Any, int] = {}
    for part in module.modules():
        packed |= part.packed_parameters() if hasattr(part, "packed_parameters") else {}
    return sum(p.numel() for p in module.parameters()) + sum(packed.values())


def weights_sha256(module: torch.nn.Module) -> str:
    """sha256 over name, dtype, shape and bytes of every parameter and buffer really in memory, in name order.

    It does not depend on the device, so the same weights on a CPU and a GPU have the same hash, and those that are kept
    on disk too: they are read one after the other. Packed weights are hashed as the integers and scales inside them.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(plain_tensors(module), key=lambda named: named[0]):
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        flat = _present(module, name, tensor).detach().cpu().contiguous().reshape(-1)
        digest.update(memoryview(flat.view(torch.uint8).numpy()))
    return digest.hexdigest()


def _present(module: torch.nn.Module, name: str, tensor: torch.Tensor) -> torch.Tensor:
    """A weight with its values: one kept elsewhere by accelerate is fetched."""
    if tensor.device.type != "meta":
        return tensor
    from transformers.integrations.accelerate import load_offloaded_parameter

    return load_offloaded_parameter(module, name)


def plain_tensors(module: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor of the state, those that hold others (torch's quantised ones, torchao's) taken apart."""
    for name, value in module.state_dict().items():
        yield from _plain(name, value)


def _plain(name: str, value: Any) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, tuple | list):
        for i, inner in enumerate(value):
            yield from _plain(f"{name}.{i}", inner)
    elif hasattr(value, "__tensor_flatten__"):
        for inner in value.__tensor_flatten__()[0]:
            yield from _plain(f"{name}.{inner}", getattr(value, inner))
    elif isinstance(value, torch.Tensor) and value.is_quantized:
        yield f"{name}.integers", value.int_repr()
        one_scale = value.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric)
        yield f"{name}.scale", torch.tensor(value.q_scale()) if one_scale else value.q_per_channel_scales()
    elif isinstance(value, torch.Tensor):
        yield name, value
