"""Taking the directions of a group out of the hidden states of a language model, while it reads.

The directions are found in a layer's states of texts and their counterfactuals: the principal components of the
differences at the tokens that both share, each of which has seen the group word but is none (SentenceDebias, Liang et
al. 2020, on tokens in place of sentences). Layers are treated from the first to the last, each on the states that the
projections below it leave, as in the concept scrubbing of Belrose et al. (2023).

A projection is part of the model's module: a submodule, whose buffers are in the state and its hash, called after its
layer by a hook, which runs also where an adapter computes a layer at a few positions only. It takes the states to
x - (x - mean) B' B with B (k, D) orthonormal: idempotent, and the mean of the texts stays where it is. It does not
outlive the process: no file format knows of it, and `from_pretrained` leaves its buffers out with only a warning.
Shapes: P pairs, T tokens, D hidden, k directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from auditkit.errors import DataError, InputError
from auditkit.explain.layers import Reading, Tokens, blocks, body, read, tokenize
from auditkit.mitigation.language_models import copy_for, counterfactual_pairs, record, shared_tokens
from auditkit.models.protocols import Floats, Ints

NAME = "projection"
"""Of the submodule in its layer."""


class Projection(nn.Module):
    """x -> x - strength * (x - mean) B' B, along the last axis.

    Attributes:
        directions: (k, D) orthonormal rows B.
        mean: (D,) a state that stays where it is.
        strength: 1 removes the directions, less shortens them.
    """

    directions: torch.Tensor
    mean: torch.Tensor

    def __init__(self, directions: torch.Tensor, mean: torch.Tensor, strength: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("directions", directions)
        self.register_buffer("mean", mean)
        self.strength = strength

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """(..., D) -> (..., D)."""
        along = (states - self.mean) @ self.directions.T
        return states - self.strength * along @ self.directions

    def after(self, _: nn.Module, __: Any, output: Any) -> Any:
        """The hook: states alone, or the first of a tuple."""
        return (self(output[0]), *output[1:]) if isinstance(output, tuple) else self(output)


def project(layer: nn.Module, projection: Projection) -> None:
    """Put the projection behind a layer, for good.

    Raises:
        InputError: the layer has one already.
    """
    if hasattr(layer, NAME):
        raise InputError(f"this {type(layer).__name__} is projected already; fit one projection to the original model")
    layer.add_module(NAME, projection)
    layer.register_forward_hook(projection.after)  # a method, so that a copy of the layer calls the copy


@dataclass(frozen=True, kw_only=True)
class HiddenStateProjection:
    """Projection of the hidden states behind some layers.

    Attributes:
        layers: which, counted from 0; negative ones from the end. Empty takes all.
        directions: how many of the strongest directions.
        strength: 1 removes them; less shortens the states along them by that share.
        max_pairs: at most as many texts with their counterfactuals are read, chosen at random.
        kinds: the kinds of group words to exchange, see `auditkit.mitigation.swaps`.

    Raises:
        InputError: an option is out of range.
    """

    name: ClassVar[str] = "hidden-state projection"
    source: ClassVar[str] = "Liang et al. (2020), ACL; Belrose et al. (2023), NeurIPS"

    layers: tuple[int, ...] = (-1,)
    directions: int = 1
    strength: float = 1.0
    max_pairs: int = 1000
    kinds: tuple[str, ...] = ("gender",)

    def __post_init__(self) -> None:
        if self.directions < 1 or self.max_pairs < 2 or not 0 < self.strength <= 1:
            raise InputError(
                f"directions {self.directions}, max_pairs {self.max_pairs}, strength {self.strength}; expected 1 or "
                "more, 2 or more, and a share above 0 and up to 1"
            )

    def fit(self, model: Any, texts: Sequence[str], *, rng: np.random.Generator) -> Any:
        """See `LanguageModelMitigation.fit`.

        Raises:
            InputError: no such layer, or more directions than the states have dimensions.
        """
        twin = copy_for(self, model)
        stack = blocks(body(twin))
        chosen = self._layers(len(stack))
        pairs, unsure = counterfactual_pairs(texts, self.kinds)
        some = rng.permutation(len(pairs))[: self.max_pairs].tolist()
        sides = _sides(twin, [pairs[i] for i in some])
        explained = []
        for layer in chosen:
            differences, mean = _differences(twin, sides, layer)
            basis, share = _principal(differences, self.directions)
            like = next(twin.module.parameters())
            directions, centre = (torch.from_numpy(a).to(like) for a in (basis, mean))
            project(stack[layer], Projection(directions, centre, self.strength))
            explained.append(share)
        record(
            twin, self, layers=chosen, directions=self.directions, strength=self.strength, pairs=len(sides) // 2,
            left_unsure=len(unsure), explained=explained,
        )  # fmt: skip
        return twin

    def _layers(self, depth: int) -> list[int]:
        wrong = [i for i in self.layers if not -depth <= i < depth]
        if wrong:
            raise InputError(f"layer {wrong[0]}; the model has {depth}, counted from 0 or, from the end, from -1")
        return sorted({i % depth for i in self.layers}) or list(range(depth))


@dataclass(frozen=True, slots=True)
class _Side:
    """One text of a pair: its tokens, and where those stand that it shares with the other."""

    tokens: Tokens
    shared: Ints


def _sides(model: Any, pairs: Sequence[tuple[str, str]]) -> list[_Side]:
    """Text and counterfactual in turn; pairs that share no token are left out.

    Raises:
        DataError: none shares one.
    """
    tokens = tokenize(model, [side for pair in pairs for side in pair])
    both = [(a, b, shared_tokens((a, b))) for a, b in zip(tokens[::2], tokens[1::2], strict=True)]
    found = [_Side(t, at) for *two, places in both if len(places[0]) for t, at in zip(two, places, strict=True)]
    if not found:
        raise DataError(f"none of {len(pairs)} texts shares a token with its counterfactual; give longer texts")
    return found


def _differences(model: Any, sides: Sequence[_Side], layer: int) -> tuple[Floats, Floats]:
    """(P, D) differences of the states behind a layer, each the mean over the shared tokens of a pair; (D,) mean."""
    found: list[Any] = [None] * len(sides)

    def take(i: int, reading: Reading) -> None:
        found[i] = reading.hidden[layer + 1][sides[i].shared].mean(0)

    read(model, [side.tokens for side in sides], take)
    states = np.stack(found).astype(np.float64)
    return states[::2] - states[1::2], states.mean(0)


def _principal(differences: Floats, k: int) -> tuple[Floats, float]:
    """(k, D) the strongest directions through 0 of the differences, and their share of the squared length.

    Raises:
        InputError: more directions than the differences have.
        DataError: no state differs.
    """
    _, sizes, rows = np.linalg.svd(differences, full_matrices=False)
    if k > len(rows):
        raise InputError(f"directions {k}; {len(differences)} pairs of {differences.shape[1]} numbers have {len(rows)}")
    if not sizes.any():
        raise DataError("the states do not depend on the group words; nothing to project away, choose a later layer")
    squares = sizes**2
    return rows[:k], float(squares[:k].sum() / squares.sum())
