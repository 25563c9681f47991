"""Low rank: each linear map replaced by two smaller ones, from its truncated singular value decomposition.

Plain truncation is nearest to the weights W (Eckart & Young, 1936). Weighted truncation is nearest to the layer's
outputs on calibration texts: with C = E[x xᵀ] = R Rᵀ, ||(W - W') X||_F is, up to the number of tokens,
||(W - W') R||_F, so W R is truncated and R undone (Wang et al., 2024, SVD-LLM, arXiv:2403.07378, where R is Cholesky's;
any root gives the same W', and that of the eigenvectors exists for every C).

A model's random twin (`randomized`) keeps the dense architecture: a null score speaks of what untrained weights do,
and is then the same for every point of a sweep.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from auditkit.compression.calibration import Texts, second_moments
from auditkit.compression.layers import Layer, linear_layers
from auditkit.errors import InputError

FLOOR = 1e-7
"""Smallest eigenvalue of C, as a share of the largest: directions that no calibration text uses must count a little."""


class LowRankLinear(nn.Module):
    """x -> up(down(x)), in place of one linear map.

    Args:
        down: (r, in) first factor.
        up: (out, r) second factor.
        bias: (out,) of the map replaced, or None.
    """

    def __init__(self, down: torch.Tensor, up: torch.Tensor, bias: torch.Tensor | None) -> None:
        super().__init__()
        self.out_features, self.in_features = len(up), down.shape[1]
        self.down, self.up = _linear(down, None), _linear(up, bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., in) -> (..., out)."""
        return self.up(self.down(x))

    @property
    def weight(self) -> torch.Tensor:
        """(out, in) the product, computed anew; some modules look at the dtype of their layers' weights."""
        return self.up.weight @ self.down.weight

    @property
    def bias(self) -> torch.Tensor | None:
        """(out,) or None."""
        return self.up.bias


@dataclass(frozen=True, kw_only=True)
class LowRank:
    """Truncate the linear maps inside the stack of blocks. One of `energy`, `budget` and `rank` says how far.

    Attributes:
        energy: share of each layer's squared singular values to keep at least; each layer gets the smallest such rank.
            Weighted, it is a share of the outputs' energy, most of which can be their mean: far fewer ranks hold it.
        budget: share of the weights of these layers, all together, to keep at most; ranks go where a parameter keeps
            most of its layer's energy.
        rank: of every layer.
        weighted: whether to be nearest to the outputs on `texts` rather than to the weights.
        texts: calibration texts, or the path of a file of them; for `weighted`.
        layers: which, as in `linear_layers`.

    A layer whose factors would hold as many weights as it has, or more, stays as it is, and is listed.

    Raises:
        InputError: an option is out of range.
    """

    energy: float | None = None
    budget: float | None = None
    rank: int | None = None
    weighted: bool = False
    texts: Texts | None = None
    layers: Sequence[str] = ()

    def __post_init__(self) -> None:
        given = [v for v in (self.energy, self.budget, self.rank) if v is not None]
        problems = [
            (len(given) != 1, f"{len(given)} of energy, budget and rank given; expected one"),
            (not _is_share(self.energy), f"energy {self.energy}: expected a share in (0, 1), for instance 0.9"),
            (not _is_share(self.budget), f"budget {self.budget}: expected a share in (0, 1), for instance 0.5"),
            (not _is_rank(self.rank), f"rank {self.rank!r}: expected a whole number of 1 or more"),
            (self.weighted and self.texts is None, "weighted without texts; give calibration texts"),
            (not self.weighted and self.texts is not None, "texts, but not weighted; set weighted: true, or leave out"),
        ]
        if found := [text for wrong, text in problems if wrong]:
            raise InputError(f"low_rank: {'; '.join(found)}")

    @property
    def label(self) -> str:
        """For instance "low rank 50 % energy weighted"."""
        share, what = (self.energy, "energy") if self.energy is not None else (self.budget, "budget")
        size = f"{self.rank}" if share is None else f"{100 * share:g} % {what}"
        return f"low rank {size}{' weighted' if self.weighted else ''}"

    def apply(self, model: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Replace the layers of `model` in place.

        Returns:
            Ranks and retained energy by layer, layers left dense and why, weights of these layers before and after.

        Raises:
            InputError: no layer would shrink, or the budget does not even allow rank 1 everywhere.
        """
        layers = linear_layers(model.module, self.layers)
        moments = {} if self.texts is None else second_moments(model, self.texts, layers)
        tied = _tied(model.module, layers)
        spectra = {name: spectrum(layer.weight, moments.get(name)) for name, layer in layers.items()}
        ranks = self._ranks({name: layer for name, layer in layers.items() if name not in tied}, spectra)
        if not any(ranks.values()):
            raise InputError(
                f"{self.label}: the factors of all {len(layers)} layers would hold more weights than the layers do, or "
                f"belong to tied ones; parameters that grew are refused. Lower {self._criterion}"
            )
        for name, rank in ranks.items():
            if rank:
                _replace(model.module, layers[name].part, truncated(layers[name], rank, moments.get(name)))
        return self._done(layers, ranks, tied, spectra)

    @property
    def _criterion(self) -> str:
        return next(name for name in ("energy", "budget", "rank") if getattr(self, name) is not None)

    def _ranks(self, layers: Mapping[str, Layer], spectra: Mapping[str, torch.Tensor]) -> dict[str, int]:
        """The rank of each layer; 0 where it stays dense."""
        shapes = {name: tuple(layer.weight.shape) for name, layer in layers.items()}
        if self.budget is not None:
            return ranks_by_budget({name: spectra[name] for name in layers}, shapes, self.budget)
        wanted = {
            name: self.rank if self.energy is None else rank_by_energy(spectra[name], self.energy) for name in layers
        }
        return {name: r if r is not None and r <= largest_rank(*shapes[name]) else 0 for name, r in wanted.items()}

    def _done(
        self, layers: Mapping[str, Layer], ranks: dict[str, int], tied: set[str], spectra: Mapping[str, torch.Tensor]
    ) -> dict[str, Any]:
        before = sum(layer.weight.numel() for layer in layers.values())
        after = sum(_weights(layer.weight.shape, ranks.get(name, 0)) for name, layer in layers.items())
        kept = {name: _energies(spectra[name])[r - 1] for name, r in ranks.items() if r}
        grown = {name: "its factors would hold more weights" for name, r in ranks.items() if not r}
        return {
            "criterion": self._criterion,
            "weighted": self.weighted,
            "ranks": {name: r for name, r in ranks.items() if r},
            "retained_energy": {name: round(float(share), 6) for name, share in kept.items()},
            "left_dense": grown | {name: "its weight is tied to another layer's" for name in sorted(tied)},
            "weights_before": before,
            "weights_after": after,
            "random_twin": "dense: the random twin has the architecture before truncation",
        }


def largest_rank(rows: int, columns: int) -> int:
    """The largest rank at which two factors hold fewer weights than the (rows, columns) matrix; 0 if none does."""
    return (rows * columns - 1) // (rows + columns)


def spectrum(weight: torch.Tensor, moment: Any = None) -> torch.Tensor:
    """(k,) singular values of W, or of W R where C = R Rᵀ is given, in float64, largest first."""
    matrix, _ = _whitened(weight, moment)
    return torch.linalg.svdvals(matrix)


def truncated(layer: Layer, rank: int, moment: Any = None) -> LowRankLinear:
    """The rank-`rank` factors nearest to a layer.

    Args:
        layer: the layer.
        rank: at most the smaller of its dimensions; at that, the product equals the weight.
        moment: (in, in) C, to be nearest to its outputs.
    """
    matrix, undo = _whitened(layer.weight, moment)
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    scale = s[:rank].sqrt()  # half of it to each factor: they are then of like size, which later training needs
    down, up = scale[:, None] * vh[:rank], u[:, :rank] * scale
    if undo is not None:
        down = down @ undo
    bias, like = layer.part.bias, layer.part.weight
    factors = LowRankLinear(down.to(like), up.to(like), None if bias is None else bias.detach())
    return factors.train(layer.part.training).requires_grad_(like.requires_grad)


def rank_by_energy(values: torch.Tensor, energy: float) -> int:
    """The smallest rank whose squared singular values are at least this share of all."""
    enough = _energies(values) >= energy - 1e-12
    return int(enough.int().argmax()) + 1


def ranks_by_budget(
    spectra: Mapping[str, torch.Tensor], shapes: Mapping[str, tuple[int, ...]], budget: float
) -> dict[str, int]:
    """Ranks within a common budget: rank by rank to the layer where a weight adds most of its layer's energy.

    Args:
        spectra: singular values of each layer, largest first.
        shapes: (out, in) of each layer.
        budget: share of the weights of all layers together.

    Returns:
        The rank of each layer; 0 where even rank 1 would hold more weights than the layer, which then stays dense.

    Raises:
        InputError: the budget does not allow rank 1 everywhere.
    """
    most = {name: largest_rank(*shape) for name, shape in shapes.items()}
    ranks = {name: min(1, most[name]) for name in shapes}
    dense, least = (
        sum(_weights(shapes[name], r) for name, r in at.items()) for at in (dict.fromkeys(shapes, 0), ranks)
    )
    left = int(budget * dense) - least
    if left < 0:
        raise InputError(
            f"low_rank: budget {budget:g} does not allow rank 1 in every layer; give {least / dense:.3g} or more"
        )
    steps = [
        (float(share) / sum(shapes[name]), name)
        for name, values in spectra.items()
        for share in (values**2 / (values**2).sum().clamp_min(1e-300))[1 : most[name]]
    ]
    for _, name in sorted(steps, key=lambda step: -step[0]):
        if (cost := sum(shapes[name])) <= left:
            ranks[name] += 1
            left -= cost
    return ranks


def _whitened(weight: torch.Tensor, moment: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
    """W and None, or W R and the inverse of R; in float64."""
    if not bool(weight.isfinite().all()):
        raise InputError("low_rank: a layer holds weights that are not finite; load the model in another dtype")
    matrix = (weight.cpu() if weight.device.type == "mps" else weight).double()  # MPS has no float64
    if moment is None:
        return matrix, None
    values, vectors = torch.linalg.eigh(torch.as_tensor(moment).to(matrix))
    lengths = values.clamp_min(max(FLOOR * float(values[-1]), 1e-300)).sqrt()
    return matrix @ (vectors * lengths), (vectors / lengths).T


def _energies(values: torch.Tensor) -> torch.Tensor:
    """(k,) share of the squared singular values that each rank keeps; 1 throughout for a layer of zeros."""
    total = (values**2).sum()
    return (values**2).cumsum(0) / total if total > 0 else torch.ones_like(values)


def _weights(shape: Sequence[int], rank: int) -> int:
    return rank * sum(shape) if rank else int(np.prod(shape))


def _tied(module: nn.Module, layers: Mapping[str, Layer]) -> set[str]:
    """Layers whose weight is another module's too: factors would come on top of it, not in its place."""
    uses = Counter(id(p) for part in module.modules() for p in part.parameters(recurse=False))
    return {name for name, layer in layers.items() if uses[id(layer.part.weight)] > 1}


def _replace(module: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put `new` wherever `old` stands; a layer that several blocks share stands in several places."""
    for parent in list(module.modules()):
        for name, child in list(parent._modules.items()):
            if child is old:
                setattr(parent, name, new)


def _linear(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    layer.weight = nn.Parameter(weight.clone(memory_format=torch.contiguous_format))
    if bias is not None:
        layer.bias = nn.Parameter(bias.clone())
    return layer


def _is_share(value: float | None) -> bool:
    return value is None or 0 < value < 1


def _is_rank(value: int | None) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1)
