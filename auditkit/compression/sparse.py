"""A compressed model on disk, its zeros not written out: one safetensors file, read back bit for bit.

The file holds weights, not an architecture: `load_sparse` puts them into a copy of a model of the same architecture,
for instance the one that was compressed. See `auditkit.compression.packing` for the ways to write a matrix down.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from auditkit.compression.packing import pack, unpack
from auditkit.compression.structured import narrow, network_of
from auditkit.errors import InputError, ModelError
from auditkit.models.weights import weights_sha256
from auditkit.privacy.adapters import copy_of
from auditkit.report import write_atomically

FILE = "weights.sparse.safetensors"
FORMAT = "1"


@dataclass(frozen=True, slots=True)
class Stored:
    """What a tensor takes on disk: how it is written ("bitmap", ...), its bytes, and its bytes if written out."""

    kind: str
    bytes: int
    dense_bytes: int


def storage(module: nn.Module) -> dict[str, Stored]:
    """What `save_sparse` makes of each tensor of a module; tied ones once.

    Raises:
        InputError: a weight is no plain tensor.
    """
    found = {}
    for name, tensor in _distinct(module)[0].items():
        kind, parts = pack(tensor)
        found[name] = Stored(kind, sum(part.nbytes for part in parts.values()), tensor.nbytes)
    return found


def save_sparse(model: Any, folder: str | Path) -> int:
    """Write the weights of a model, each matrix in the way that is smallest.

    Args:
        model: an adapter with a module.
        folder: made where it is not there.

    Returns:
        Bytes of the file.

    Raises:
        InputError: a weight is no plain tensor.
        ReportError: the file cannot be written (disk full, no permission).
    """
    from safetensors.torch import save

    distinct, tied = _distinct(model.module)
    tensors: dict[str, torch.Tensor] = {}
    layout: dict[str, Any] = {}
    for name, tensor in distinct.items():
        kind, parts = pack(tensor)
        tensors |= {f"{name}|{part}": stored for part, stored in parts.items()}
        layout[name] = {"kind": kind, "shape": list(tensor.shape)}
    header = {
        "name": model.name,
        "weights_sha256": weights_sha256(model.module),
        "layout": layout,
        "tied": tied,
        "narrowed": getattr(network_of(model), "narrowed", {}),
        "compression": getattr(model, "compression", []),
    }
    content = save(tensors, metadata={"format": FORMAT, "auditkit": json.dumps(header)})
    write_atomically(Path(folder) / FILE, content)
    return len(content)


def load_sparse(folder: str | Path, model: Any) -> Any:
    """The model that `save_sparse` wrote.

    Args:
        folder: what `save_sparse` was given.
        model: an adapter of the same architecture, dense or not; it is not changed. Where heads or neurons were cut
            out, its copy is made as narrow first.

    Returns:
        A copy of `model` with the stored weights, name and `compression`.

    Raises:
        ModelError: the file is missing or damaged, or does not fit the model.
        MissingCapability: the model has no module.
    """
    path = Path(folder) / FILE
    header, tensors = _read(path)
    loaded = copy_of(model)
    if header["narrowed"]:
        narrow(loaded, header["narrowed"])
    targets = loaded.module.state_dict(keep_vars=True)
    _refuse_other_architecture(path, targets, {n: tuple(t.shape) for n, t in tensors.items()})
    for name, target in targets.items():
        target.data = tensors[name].to(target.device)
    if weights_sha256(loaded.module) != header["weights_sha256"]:
        raise ModelError(f"{path} is damaged: its weights are not those that were saved; save the model again")
    loaded.name, loaded.compression = header["name"], header["compression"]
    return loaded


def _distinct(module: nn.Module) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors of a module by name, and of those that are another one the other's name, as tied embeddings are."""
    distinct: dict[str, torch.Tensor] = {}
    tied: dict[str, str] = {}
    names: dict[tuple[Any, ...], str] = {}
    for name, tensor in module.state_dict().items():
        if type(tensor) not in (torch.Tensor, nn.Parameter):
            raise InputError(
                f"{name} is a {type(tensor).__name__}, not a plain tensor, and cannot be stored sparse; store the "
                "model before it is quantised, and quantise after loading"
            )
        identity = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride())
        if tensor.numel() and identity in names:
            tied[name] = names[identity]
        else:
            names[identity], distinct[name] = name, tensor
    return distinct, tied


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """What `save_sparse` noted, and all tensors, the tied ones too."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise ModelError(f"{path} is not there; expected what save_sparse wrote")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise ModelError(f"{path}: another format than {FORMAT}, the one that this version reads and writes")
            header = json.loads(metadata["auditkit"])
            parts: dict[str, dict[str, torch.Tensor]] = {}
            for key in file.keys():  # noqa: SIM118 - not a dict
                name, _, part = key.rpartition("|")
                parts.setdefault(name, {})[part] = file.get_tensor(key)
        tensors = {
            name: unpack(entry["kind"], parts[name], tuple(entry["shape"])) for name, entry in header["layout"].items()
        }
        return header, tensors | {name: tensors[of] for name, of in header["tied"].items()}
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError, IndexError, TypeError) as e:
        raise ModelError(f"{path} is damaged ({type(e).__name__}: {e}); save the model again") from e


def _refuse_other_architecture(
    path: Path, targets: Mapping[str, torch.Tensor], stored: Mapping[str, tuple[int, ...]]
) -> None:
    problems = [f"no {name} in the model" for name in sorted(stored.keys() - targets.keys())]
    problems += [f"no {name} in the file" for name in sorted(targets.keys() - stored.keys())]
    problems += [
        f"{name} is {stored[name]} in the file, {tuple(target.shape)} in the model"
        for name, target in targets.items()
        if name in stored and stored[name] != tuple(target.shape)
    ]
    if problems:
        raise ModelError(f"{path} does not fit the model: {'; '.join(problems[:3])}. Give one of the same architecture")
