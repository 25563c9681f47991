"""A private training on disk: the trained tensors, the optimizer's state and the log, to go on in mid-epoch.

No pickle: tensors as safetensors, everything else as JSON in the file's header.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from auditkit.errors import InputError
from auditkit.privacy.ledger import read_ledger
from auditkit.report import write_atomically

CHECKPOINT = "checkpoint.safetensors"
LEDGER = "ledger.json"
STARTED = "started.txt"
MODEL = "model"


@dataclass
class Log:
    """What a training has noted so far; JSON values.

    Attributes:
        epochs: one entry for each finished epoch.
        edges: edges of the bins of gradient norms.
        counts: norms in each bin.
        clipped: gradients longer than C.
        seen: gradients in all.
        seconds: duration of every step.
        losses: mean training loss of every step of the current epoch that had a batch.
        clipped_now: like `clipped`, in the current epoch.
        seen_now: like `seen`, in the current epoch.
    """

    epochs: list[dict[str, Any]] = field(default_factory=list)
    edges: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    clipped: int = 0
    seen: int = 0
    seconds: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    clipped_now: int = 0
    seen_now: int = 0


class Saved(NamedTuple):
    """The content of a checkpoint.

    Attributes:
        tensors: "model/<name>" and "optimizer/<name>/<key>".
        numbers: name -> key -> what the optimizer keeps besides tensors.
        log: what had been noted.
    """

    tensors: dict[str, torch.Tensor]
    numbers: dict[str, dict[str, float]]
    log: Log


def save(folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer, log: Log, fingerprint: str) -> None:
    """Write the state after the last finished step.

    Raises:
        ReportError: it cannot be written.
    """
    from safetensors.torch import save as to_bytes

    tensors = {f"model/{name}": p.detach() for name, p in _trained(module).items()}
    numbers: dict[str, dict[str, float]] = {}
    for name, p in _trained(module).items():
        for key, value in optimizer.state.get(p, {}).items():
            if isinstance(value, torch.Tensor):
                tensors[f"optimizer/{name}/{key}"] = value
            else:
                numbers.setdefault(name, {})[key] = value
    header = {"fingerprint": fingerprint, "log": json.dumps(vars(log)), "numbers": json.dumps(numbers)}
    content = to_bytes({key: t.cpu().contiguous() for key, t in tensors.items()}, metadata=header)
    write_atomically(folder / CHECKPOINT, content)


def read(folder: Path, fingerprint: str) -> Saved | None:
    """What `save` wrote; None where there is nothing yet.

    Raises:
        InputError: the folder holds another training, or a damaged file.
    """
    from safetensors import SafetensorError, safe_open

    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as f:
            header = f.metadata()
            tensors = {key: f.get_tensor(key) for key in f.keys()}  # noqa: SIM118 - not a mapping
        saved = Saved(tensors, json.loads(header["numbers"]), Log(**json.loads(header["log"])))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as e:
        raise InputError(f"{path} is damaged ({e}); the steps it held are lost: start anew in another folder") from e
    if header["fingerprint"] != fingerprint:
        raise _another(folder)
    return saved


@torch.no_grad()
def put_back(module: nn.Module, optimizer: torch.optim.Optimizer, saved: Saved) -> None:
    """Set weights and the optimizer's state to what was saved."""
    for name, p in _trained(module).items():
        p.copy_(saved.tensors[f"model/{name}"])
        prefix = f"optimizer/{name}/"
        state = {k.removeprefix(prefix): t for k, t in saved.tensors.items() if k.startswith(prefix)}
        # Adam's step counter stays on the CPU; everything of the parameter's shape goes where that is.
        placed = {key: t.to(p.device) if t.shape == p.shape else t for key, t in state.items()}
        if placed or name in saved.numbers:
            optimizer.state[p] = placed | saved.numbers.get(name, {})


def claim(folder: Path, fingerprint: str) -> None:
    """Note whose folder this is before the first step: a training killed before its first checkpoint can go on.

    Raises:
        InputError: the ledger there holds steps of another training, or a model is where this one's will be.
    """
    mark, ledger = folder / STARTED, folder / LEDGER
    ours = mark.exists() and mark.read_text() == fingerprint
    if not ours and ledger.exists() and read_ledger(ledger).steps:
        raise _another(folder)
    if not ours and (folder / MODEL).exists():
        raise InputError(f"{folder / MODEL} is there already, where this training writes its model; choose another out")
    write_atomically(mark, fingerprint.encode())


def _another(folder: Path) -> InputError:
    return InputError(
        f"{folder} holds a training with other data, weights or settings; give this one a folder of its own, or go on "
        "with what was given there"
    )


def _trained(module: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in module.named_parameters() if p.requires_grad}
