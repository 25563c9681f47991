"""What stands where a token is absent: the vector of a real token, the mean of all, or zero.

The choice changes the answer, so it is printed with every result. "auto" is the mask token where the model has one,
since such a model was trained to read it, and else the mean. A vector of zeros (some padding tokens are one) is refused
where it breaks completeness: a model that normalises each token's vector first, without adding a position (RMSNorm in
Llama, LayerNorm in GPT-NeoX), cannot see how much of a token is there, so its output jumps where the path begins and
no integral sees the jump.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from auditkit.errors import InputError, MissingCapability, UnknownName
from auditkit.explain.engine import Engine, Unit, everything, nothing
from auditkit.explain.readers import device_of, reader_of, tokenizer_of

NAMES = ("auto", "mask", "pad", "mean", "zero")
SMALL = 1e-3  # of the mean length of an embedding
STEP = 1 / 128
JUMP = 0.25  # share of its whole range that a number may move in the first STEP of the path
CHUNK = 8192


def baseline_vectors(model: Any, names: tuple[str, ...]) -> torch.Tensor:
    """(K, D) the baseline of each name.

    Raises:
        UnknownName: no such baseline.
        MissingCapability: the tokenizer has no such token.
    """
    return torch.stack([_vector(model, name) for name in names])


def resolve(model: Any, name: str) -> str:
    """The baseline that is meant, "auto" being the mask token or the mean.

    Raises:
        UnknownName: no such baseline.
    """
    if name not in NAMES:
        raise UnknownName("baseline", name, NAMES)
    if name != "auto":
        return name
    return "mean" if _token_id(model, "mask") is None else "mask"


def available(model: Any) -> tuple[str, ...]:
    """The baselines other than zero that this model has."""
    return tuple(n for n in ("mask", "pad", "mean") if n == "mean" or _token_id(model, n) is not None)


@torch.no_grad()
def _vector(model: Any, name: str) -> torch.Tensor:
    embedding: Any = reader_of(model).embedding
    if name == "zero":
        return torch.zeros(embedding.weight.shape[1], device=device_of(model))
    if name == "mean":
        return _mean(embedding)
    found = _token_id(model, name)
    if found is None:
        raise MissingCapability(f"{model.name} has no {name} token; use another baseline: mean")
    return embedding(torch.tensor([found], device=device_of(model)))[0].float()


def _mean(embedding: Any) -> torch.Tensor:
    """By the module itself, which may scale its rows; in pieces, since a vocabulary can be large."""
    ids = torch.arange(embedding.weight.shape[0], device=embedding.weight.device)
    return torch.stack([embedding(part).float().sum(0) for part in ids.split(CHUNK)]).sum(0) / len(ids)


def _token_id(model: Any, name: str) -> int | None:
    return getattr(tokenizer_of(model), f"{name}_token_id", None)


def refuse_broken_paths(engine: Engine, names: tuple[str, ...]) -> None:
    """Refuse a baseline of length (almost) zero from which the path to the input starts with a jump.

    Raises:
        InputError: says which, and what to use instead.
    """
    embedding: Any = engine.reader.embedding
    typical = float(embedding.weight.detach().float().norm(dim=-1).mean())
    for k, name in enumerate(names):
        if float(engine.origins[k].norm()) < SMALL * typical and _jumps(engine, k):
            raise InputError(
                f"baseline {name!r} is a vector of zeros, and this model normalises a token's vector before anything "
                "is added to it, so attributions from there do not add up to the prediction; use baseline='mean'"
            )


def _jumps(engine: Engine, origin: int) -> bool:
    """Whether the number moves by a large part of its range in the first 128th of the path, for any of four texts."""
    units = []
    for q, question in enumerate(engine.questions[:4]):
        start, whole = nothing(question), everything(question)
        units += [Unit(q, start + np.float32(t) * (whole - start), origin) for t in (0, STEP, 0.5, 1)]
    values = engine.values(units)[:, 0].reshape(-1, 4)
    reach = np.abs(values - values[:, :1]).max(axis=1)
    return bool((np.abs(values[:, 1] - values[:, 0]) > JUMP * np.maximum(reach, 1e-12)).any())
