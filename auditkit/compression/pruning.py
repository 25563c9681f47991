"""Unstructured and N:M pruning: weights set to zero, exactly as many as asked for.

The zeros are in the weights themselves, so that they survive saving; `auditkit.compression.sparse` stores them small.
A ratio of 0 changes no byte. Equal scores are broken by position, so the same model always loses the same weights.

Sources: Han et al. (2015), "Learning both Weights and Connections for Efficient Neural Networks" (magnitude); Sun et
al. (2023), "A Simple and Effective Pruning Approach for Large Language Models" (Wanda); Mishra et al. (2021),
"Accelerating Sparse Deep Neural Networks" (2:4).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import torch

from auditkit.compression.calibration import Texts, calibration_texts, mean_squares
from auditkit.compression.layers import Layer, linear_layers, sparsity
from auditkit.errors import InputError, UnknownName

SCOPES = ("global", "layer", "output")
Masks = dict[str, torch.Tensor]
"""(out, in) bool for each layer: True where the weight goes."""
Score = Callable[[Layer], torch.Tensor]
"""(out, in) float32: how much each weight of a layer matters."""


@dataclass(frozen=True, kw_only=True)
class _Unstructured:
    ratio: float | None = None
    scope: str = "global"
    pattern: str = ""
    layers: Sequence[str] = ()

    def __post_init__(self) -> None:
        _refuse_wrong(self.ratio, self.pattern)
        if self.scope not in SCOPES:
            raise UnknownName("pruning scope", self.scope, SCOPES)

    @property
    def label(self) -> str:
        """What it is in a few words."""
        amount = _amount(self.ratio, self.pattern)
        return f"{type(self).__name__.lower()} {amount}{'' if self.pattern else f' {self.scope}'}"


@dataclass(frozen=True, kw_only=True)
class Magnitude(_Unstructured):
    """Prune the smallest weights.

    Attributes:
        ratio: share of the weights to prune, in [0, 1); left out where `pattern` says it.
        scope: over all layers at once ("global"), or the same share of each ("layer") or of each output ("output").
        pattern: "2:4" keeps the 2 largest of every 4 consecutive inputs of an output; any "N:M"; "" for none.
        layers: see `linear_layers`.
    """

    def apply(self, model: Any, rng: np.random.Generator) -> dict[str, Any]:
        """See `auditkit.compression.spec.Step.apply`."""
        layers = linear_layers(model.module, self.layers)
        return _prune(model, layers, _chosen(layers, _size, self.ratio, self.scope, self.pattern))


@dataclass(frozen=True, kw_only=True)
class Random(_Unstructured):
    """Prune weights drawn at random: the control that shows what choosing them is worth.

    Its attributes are those of `Magnitude`.
    """

    def apply(self, model: Any, rng: np.random.Generator) -> dict[str, Any]:
        """See `auditkit.compression.spec.Step.apply`."""
        layers = linear_layers(model.module, self.layers)

        def drawn(layer: Layer) -> torch.Tensor:
            return torch.from_numpy(rng.random(tuple(layer.weight.shape), dtype=np.float32)).to(layer.weight.device)

        return _prune(model, layers, _chosen(layers, drawn, self.ratio, self.scope, self.pattern))


@dataclass(frozen=True, kw_only=True)
class Wanda(_Unstructured):
    """Prune the weights with the smallest |weight| times norm of the input that they act on.

    Attributes:
        texts: calibration texts like those the model is used on, or the path of a file with one a line.
        scope: "output" as published; on a char-GPT "layer" does better. See `Magnitude`, also for the rest.
    """

    texts: Texts
    scope: str = "output"

    def apply(self, model: Any, rng: np.random.Generator) -> dict[str, Any]:
        """See `auditkit.compression.spec.Step.apply`. All layers are measured before the first one is pruned."""
        layers, texts = linear_layers(model.module, self.layers), calibration_texts(self.texts)
        norms = {name: square.sqrt().float() for name, square in mean_squares(model, texts, layers).items()}

        def importance(layer: Layer) -> torch.Tensor:
            return _size(layer) * norms[layer.name].to(layer.weight.device)

        masks = _chosen(layers, importance, self.ratio, self.scope, self.pattern)
        return _prune(model, layers, masks) | {"calibration_texts": len(texts)}


def _prune(model: Any, layers: Mapping[str, Layer], masks: Masks) -> dict[str, Any]:
    for name, mask in masks.items():
        layers[name].weight.masked_fill_(mask, 0)
    after = sparsity(model.module, list(layers))
    pruned = sum(int(mask.sum()) for mask in masks.values())
    return {"pruned": pruned, "weights": after.weights, "sparsity": after.fraction, "layers": len(layers)}


def _size(layer: Layer) -> torch.Tensor:
    return layer.weight.abs().float()


def _chosen(layers: Mapping[str, Layer], score: Score, ratio: float | None, scope: str, pattern: str) -> Masks:
    """The weights with the lowest scores, compared within groups of N:M, an output, a layer, or all layers."""
    if pattern:
        keep, of = _parsed(pattern)
        return {name: _lowest_of_groups(name, score(layer), keep, of) for name, layer in layers.items()}
    share = float(ratio or 0)
    if scope == "output":
        return {name: _lowest_of_rows(score(layer), share) for name, layer in layers.items()}
    if scope == "layer":
        scores = {name: score(layer) for name, layer in layers.items()}
        return {name: _lowest(s, round(share * s.numel())) for name, s in scores.items()}
    together = torch.cat([score(layer).flatten() for layer in layers.values()])
    parts = _lowest(together, round(share * len(together))).split([v.weight.numel() for v in layers.values()])
    return {name: part.view(layer.weight.shape) for (name, layer), part in zip(layers.items(), parts, strict=True)}


def _lowest(scores: torch.Tensor, count: int) -> torch.Tensor:
    """A mask of exactly the `count` lowest scores; of those equal to the highest of them, the first by position."""
    if not count:
        return torch.zeros_like(scores, dtype=torch.bool)
    flat = scores.flatten()
    limit = float(np.partition(flat.cpu().numpy(), count - 1)[count - 1])
    mask = flat < limit
    equal = (flat == limit).nonzero().flatten()
    mask[equal[: count - int(mask.sum())]] = True
    return mask.view(scores.shape)


def _lowest_of_rows(scores: torch.Tensor, ratio: float) -> torch.Tensor:
    """The lowest scores of each row: the same share of each, as near as whole weights allow, and exact in total."""
    rows, columns = scores.shape
    counts = np.diff([round(ratio * columns * row) for row in range(rows + 1)])
    ranks = scores.argsort(dim=1, stable=True).argsort(dim=1)
    return ranks < torch.from_numpy(counts).to(scores.device)[:, None]


def _lowest_of_groups(name: str, scores: torch.Tensor, keep: int, of: int) -> torch.Tensor:
    """All but the `keep` highest of each `of` consecutive columns; of equal scores the later are kept."""
    if scores.shape[1] % of:
        raise InputError(
            f"layer {name} has {scores.shape[1]} inputs, not a multiple of the {of} of pattern {keep}:{of}; choose "
            "another pattern, or name the layers that it fits"
        )
    groups = scores.unflatten(1, (-1, of))
    ranks = groups.argsort(dim=-1, stable=True).argsort(dim=-1)
    return (ranks < of - keep).flatten(1)


def _parsed(pattern: str) -> tuple[int, int]:
    """2, 4 for "2:4"."""
    found = re.fullmatch(r"(\d+):(\d+)", str(pattern))
    if not found or not 0 < int(found[1]) <= int(found[2]):
        raise InputError(f"pattern {pattern!r}; expected N:M, the N weights to keep of every M: '2:4'")
    return int(found[1]), int(found[2])


def refuse_ratio(ratio: Any) -> None:
    """Raise InputError unless `ratio` is a number in [0, 1)."""
    if isinstance(ratio, bool) or not isinstance(ratio, Real) or not 0 <= float(ratio) < 1:
        raise InputError(f"ratio {ratio!r}; expected the share to prune, a number in [0, 1): 0.5 for half")


def _refuse_wrong(ratio: Any, pattern: str) -> None:
    if not pattern:
        return refuse_ratio(ratio)
    keep, of = _parsed(pattern)
    if ratio is not None and ratio != 1 - keep / of:
        raise InputError(f"ratio {ratio!r} contradicts pattern {pattern}, which prunes {1 - keep / of:g}; leave it out")
    return None


def _amount(ratio: float | None, pattern: str) -> str:
    return pattern or f"{100 * float(ratio or 0):g} %"
