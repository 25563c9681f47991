"""What quantisation changes about an adapter: its parts, its batches, its scores; and a quantised model on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from auditkit.compression.backends import engine_works
from auditkit.compression.half_precision import WidenedLinear
from auditkit.compression.quantized_linear import (
    EngineLinear,
    Int4Linear,
    QuantizedEmbedding,
    QuantizedLinear,
    digest,
)
from auditkit.errors import InputError, ModelError
from auditkit.models.batching import Batcher
from auditkit.models.protocols import Classifies, EmbedsText, Ints, PredictsTokens
from auditkit.models.weights import weights_sha256
from auditkit.privacy.adapters import copy_of
from auditkit.report import write_atomically

FORMAT = 1
SAMPLE = (
    "the nurse said that he was tired",
    "women",
    "my sister is a good engineer and people like her work",
    "a man and a woman walk along the river",
)
"""Lower case and plain, so that a character model can read them too."""


class EqualLengths(Batcher):
    """Batches without padding.

    Padding changes the last bit of an attention score, and activations rounded to 8 bits can turn that into a step.
    Rows of one length give, in any company, the same bits.
    """

    def run(self, lengths: Sequence[int], forward: Callable[[Ints], None]) -> None:
        """Call `forward(rows)` for the rows of each length."""
        sizes = np.asarray(lengths, dtype=np.int64)
        for length in sorted(set(sizes.tolist()), reverse=True):
            rows = np.flatnonzero(sizes == length)
            super().run([length] * len(rows), lambda chosen, rows=rows: forward(rows[chosen]))  # type: ignore[misc]


def put(module: nn.Module, name: str, part: nn.Module) -> None:
    """Replace the part called `name`."""
    parent, _, last = name.rpartition(".")
    setattr(module.get_submodule(parent), last, part.train(module.training))


def settle(model: Any, *, exact_per_row: bool) -> None:
    """Make the adapter forget what held for the dense weights.

    Args:
        model: the adapter.
        exact_per_row: whether a row's products do not depend on the other rows, so that batches without padding
            make all its scores independent of the batch.
    """
    vars(model).pop("weights_sha256", None)
    vars(model).pop("_reads_trees", None)
    if not exact_per_row:
        return
    for name in ("_batches", "_batcher"):
        if hasattr(model, name):
            dense = getattr(model, name)
            setattr(model, name, EqualLengths(dense.budget, model.notices, dense.module, dense.company))
    if hasattr(type(model), "_reads_trees"):
        vars(model)["_reads_trees"] = False  # a common beginning read once is attended to in another order


def scores(model: Any, texts: Sequence[str]) -> list[Any] | None:
    """One array per text from whatever the model offers; None where it offers no numbers."""
    if isinstance(model, PredictsTokens):
        return [s.logprobs for s in model.token_statistics(texts)]
    if isinstance(model, EmbedsText):
        return list(model.embed(texts))
    return list(model.classify(texts)) if isinstance(model, Classifies) else None


def has_nan(model: Any) -> bool | None:
    """Whether a score of four short texts is not finite; None where there are no scores."""
    found = _quietly(model, lambda: scores(model, SAMPLE))
    return None if found is None else not all(bool(np.isfinite(s).all()) for s in found)


def batch_effect(model: Any) -> float | None:
    """How much a score of four short texts moves, at most, between alone and together; None without (finite) scores."""
    together = _quietly(model, lambda: scores(model, SAMPLE))
    if together is None:
        return None
    alone = _quietly(model, lambda: [(scores(model, [text]) or [None])[0] for text in SAMPLE])
    moved = max(float(np.abs(np.subtract(a, b)).max(initial=0.0)) for a, b in zip(alone, together, strict=True))
    return moved if np.isfinite(moved) else None


def _quietly(model: Any, run: Callable[[], Any]) -> Any:
    """Run without a trace in the model's notices."""
    before = model.notices.copy()
    try:
        return run()
    finally:
        model.notices.clear()
        model.notices.update(before)


def word_table(module: nn.Module) -> tuple[nn.Embedding, nn.Linear | None]:
    """The embedding of words, and of the output layer over the same words, if there is one.

    Raises:
        InputError: there is none, or it computes more than a look-up.
    """
    words, outputs = None, None
    for part in module.modules():
        if words is None and hasattr(part, "get_input_embeddings"):
            words, outputs = part.get_input_embeddings(), part.get_output_embeddings()
    if words is None:
        words, outputs = getattr(module, "tokens", None), getattr(module, "head", None)
    if type(words) is not nn.Embedding:
        raise InputError(f"int8 embeddings: {type(module).__name__} has no plain word table; use embeddings: false")
    return words, outputs if type(outputs) in (nn.Linear, WidenedLinear) else None


# --- on disk ----------------------------------------------------------------------------------------------------


def save_quantized(model: Any, folder: str | Path) -> Path:
    """Write `model.safetensors`: integers, scales and what was left dense; what is shared, once.

    Returns:
        The file.

    Raises:
        InputError: no layer of this module is quantised.
        ReportError: the file cannot be written.
    """
    from safetensors.torch import save

    layers = {name: _recipe(part) for name, part in model.module.named_modules() if _recipe(part)}
    if not layers:
        raise InputError(f"{model.name} has no quantised layer of auditkit's; use the adapter's own way to save it")
    owner: dict[Any, str] = {}
    tensors, aliases = {}, {}
    for name, tensor in model.module.state_dict().items():
        first = owner.setdefault(same_on_disk(name, tensor), name)
        if first == name:
            tensors[name] = tensor.detach().cpu().contiguous()
        else:
            aliases[name] = first
    header = {"format": FORMAT, "layers": layers, "aliases": aliases, "weights_sha256": weights_sha256(model.module)}
    path = Path(folder) / "model.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, save(tensors, metadata={"auditkit": json.dumps(header)}))
    return path


def same_on_disk(name: str, tensor: torch.Tensor) -> Any:
    """Equal for two tensors of a model of which one is written.

    They are the same memory; or 8-bit rows with the same content, since an engine keeps a packed copy of what the word
    table holds too.
    """
    if not tensor.numel():
        return name
    if tensor.dtype is torch.int8 and tensor.dim() == 2:
        return digest(tensor), tensor.shape
    return tensor.device, tensor.data_ptr(), tensor.shape, tensor.dtype


def load_quantized(folder: str | Path, model: Any) -> Any:
    """A copy of `model`, the dense adapter, with the weights that `save_quantized` wrote.

    Raises:
        ModelError: the file is missing, damaged, or belongs to another architecture.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(folder) / "model.safetensors"
    twin = copy_of(model)
    try:
        with safe_open(path, framework="pt") as f:
            header = json.loads((f.metadata() or {})["auditkit"])
            state = {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118 - not a mapping
        state |= {name: state[first] for name, first in header["aliases"].items()}
        for name, recipe in header["layers"].items():
            put(twin.module, name, _rebuilt(name, recipe, state, header["aliases"], twin.module))
        twin.module.load_state_dict(state)
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError, AttributeError) as e:
        raise ModelError(
            f"{path} is no quantised model for {model.name} ({type(e).__name__}: {str(e).splitlines()[0]}); "
            "give the dense model that was quantised, or save it again"
        ) from e
    if weights_sha256(twin.module) != header["weights_sha256"]:
        raise ModelError(f"{path} is damaged: its weights do not have the hash in its header; save the model again")
    settle(twin, exact_per_row=any(r.get("kernel") in ("engine", "int_mm") for r in header["layers"].values()))
    return twin


def _recipe(part: nn.Module) -> dict[str, Any] | None:
    """How the part is made again; None for a dense one."""
    if isinstance(part, QuantizedLinear):
        return {"class": "linear", "kind": part.kind, "kernel": part.kernel}
    if isinstance(part, QuantizedEmbedding):
        return {"class": "embedding", "dtype": str(part.dtype).removeprefix("torch.")}
    return {"class": "int4", "group": part.group} if isinstance(part, Int4Linear) else None


def _rebuilt(
    name: str, recipe: dict[str, Any], state: dict[str, torch.Tensor], aliases: dict[str, str], module: nn.Module
) -> nn.Module:
    weight, scale = state[f"{name}.weight"], state[f"{name}.scale"]
    bias = getattr(module.get_submodule(name), "bias", None)  # which another part may share
    if recipe["class"] == "int4":
        return Int4Linear(torch.zeros(weight.shape[0], 2 * weight.shape[1]), bias, group=recipe["group"])
    owner = aliases.get(f"{name}.weight", "").rpartition(".")[0]
    if owner:  # the same tensors as the part that was put in before
        weight, scale = module.get_submodule(owner).packed_weight()
    if recipe["class"] == "embedding":
        return QuantizedEmbedding(weight, scale, dtype=getattr(torch, recipe["dtype"]))
    engine = recipe["kernel"] == "engine" and engine_works()
    kernel = recipe["kernel"] if engine or recipe["kernel"] != "engine" else "int_mm"
    made = EngineLinear if engine else QuantizedLinear
    return made(weight, scale, bias, kind=recipe["kind"], kernel=kernel)
