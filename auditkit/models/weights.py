"""Which device and number format a model gets, and what exactly is in memory afterwards."""

from __future__ import annotations

import hashlib

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


def parameter_count(module: torch.nn.Module) -> int:
    """Number of distinct parameters; tied weights count once."""
    return sum(p.numel() for p in module.parameters())


def weights_sha256(module: torch.nn.Module) -> str:
    """sha256 over name, dtype, shape and bytes of every parameter and buffer really in memory, in name order.

    It does not depend on the device, so the same weights on a CPU and a GPU have the same hash.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(memoryview(flat.view(torch.uint8).numpy()))
    return digest.hexdigest()
