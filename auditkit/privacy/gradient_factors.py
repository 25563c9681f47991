"""Per-example gradients that are never written out: their norms and weighted sums from small factors.

The gradient of a weight matrix that example b used at T positions is left[b]^T right[b], with left (T, p) and right
(T, d). Its squared norm needs two T x T matrices (the ghost norm: Li et al., 2021, arXiv:2110.05679), and the clipped
sum over a batch is one matrix product (book-keeping: Bu et al., 2023, arXiv:2210.00038). Where a parameter is used
several times the norm is that of the *sum*, so the uses' inner products count as well.
Shapes: B examples, T positions, p x d the parameter (V x D for an embedding).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from auditkit.privacy.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Dense:
    """The per-example gradients themselves, (B, *shape)."""

    gradients: torch.Tensor

    def dense(self, shape: torch.Size) -> torch.Tensor:
        """(B, *shape)."""
        return _precise(self.gradients)

    def weighted_sum(self, weights: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        """Sum over the batch of weights[b] times the gradient of example b: (*shape)."""
        return torch.tensordot(weights, _precise(self.gradients), dims=1)


@dataclass(frozen=True, slots=True)
class Outer:
    """Gradients left[b]^T right[b] of a matrix; left (B, T, p), right (B, T, d)."""

    left: torch.Tensor
    right: torch.Tensor

    @property
    def left_width(self) -> int:
        """Numbers held on the left for each position."""
        return self.left.shape[2]

    def dense(self, shape: torch.Size, workspace: Workspace | None = None) -> torch.Tensor:
        """(B, p, d), in a buffer of the workspace where one is given."""
        left, right = _precise(self.left).transpose(1, 2), _precise(self.right)
        return torch.bmm(left, right, out=workspace.take(len(left), right, shape) if workspace else None)

    def weighted_sum(self, weights: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        """Sum over the batch of weights[b] times the gradient of example b: (p, d)."""
        left, right = _precise(self.left), _precise(self.right)
        if left.shape[2] < right.shape[2]:  # scale the narrower side
            left = left * weights[:, None, None]
        else:
            right = right * weights[:, None, None]
        return left.flatten(0, 1).T @ right.flatten(0, 1)


@dataclass(frozen=True, slots=True)
class Rows:
    """Gradients of a table of which row ids[b, t] received right[b, t]; ids (B, T), right (B, T, D)."""

    ids: torch.Tensor
    right: torch.Tensor

    @property
    def left_width(self) -> int:
        """Numbers held on the left for each position."""
        return 1

    def dense(self, shape: torch.Size) -> torch.Tensor:
        """(B, V, D)."""
        batch, rows = len(self.ids), shape[0]
        first = rows * torch.arange(batch, device=self.ids.device)[:, None]
        right = _precise(self.right)
        table = right.new_zeros(batch * rows, shape[1])
        return table.index_add_(0, (self.ids + first).flatten(), right.flatten(0, 1)).unflatten(0, (batch, rows))

    def weighted_sum(self, weights: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        """Sum over the batch of weights[b] times the gradient of example b: (V, D)."""
        return self.add_weighted(self.right.new_zeros(shape, dtype=weights.dtype), weights)

    def add_weighted(self, total: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """`total` with the weighted sum added in place: of a large table, hardly a row is touched."""
        return total.index_add_(0, self.ids.flatten(), (_precise(self.right) * weights[:, None, None]).flatten(0, 1))


Factor = Dense | Outer | Rows


def accumulate(factors: list[Factor], factor: Factor, shape: torch.Size, workspace: Workspace) -> None:
    """Add one use's factor to those of a parameter, written out at once where that is smaller, or worth its memory."""
    if isinstance(factor, Outer) and (_extra_memory([factor], shape) <= 0 or _worth_writing_out(factor, workspace)):
        factor = Dense(factor.dense(shape, workspace))
    elif isinstance(factor, Dense) or _extra_memory([factor], shape) <= 0:
        factor = Dense(factor.dense(shape))
    if isinstance(factor, Dense) and factors and isinstance(factors[-1], Dense):
        factor = Dense(factors.pop().dense(shape) + factor.gradients)
    factors.append(factor)


def combine(factors: Sequence[Factor], shape: torch.Size) -> tuple[torch.Tensor, list[Factor]]:
    """Squared norms (B,) of the per-example gradients that `factors` add up to, and factors equal to that sum.

    Args:
        factors: one for each use of the parameter.
        shape: of the parameter.
    """
    ghosts = [factor for factor in factors if not isinstance(factor, Dense)]
    if len(ghosts) < len(factors) or _extra_memory(ghosts, shape) <= 0:
        total = sum((factor.dense(shape) for factor in factors[1:]), factors[0].dense(shape))
        return torch.linalg.vector_norm(total.flatten(1), dim=1).square(), [Dense(total)]
    pairs = [(a, b, 1 if i == j else 2) for i, a in enumerate(ghosts) for j, b in enumerate(ghosts) if i <= j]
    return torch.stack([times * _inner(a, b) for a, b, times in pairs]).sum(0), list(factors)


def weighted_sum(factors: Sequence[Factor], weights: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Sum over the batch, and over the factors, of weights[b] times the gradient of example b: (*shape)."""
    total: torch.Tensor | None = None
    for factor in sorted(factors, key=lambda f: isinstance(f, Rows)):
        if total is not None and isinstance(factor, Rows):
            factor.add_weighted(total, weights)
        else:
            part = factor.weighted_sum(weights, shape)
            total = part if total is None else total.add_(part)
    return weights.new_zeros(shape) if total is None else total


def _extra_memory(factors: Sequence[Factor], shape: torch.Size) -> int:
    """Numbers per example that a gradient of p d takes more than its factors, of T (p + d) each.

    Where it takes no more it is also the faster form: the ghost norm would cost T multiply-adds or more for each of
    the p d numbers, where writing them out is the one matrix product that the clipped sum needs anyway, done earlier.
    """
    sizes = (f.right.shape[1] * (f.right.shape[2] + f.left_width) for f in factors if not isinstance(f, Dense))
    return math.prod(shape) - sum(sizes)


def _worth_writing_out(factor: Outer, workspace: Workspace) -> bool:
    """Whether the ghost norm, of T^2 (p + d) multiply-adds, costs more than half the product of T p d that it saves."""
    examples, positions, p = factor.left.shape
    d = factor.right.shape[2]
    extra = _extra_memory([factor], torch.Size((p, d)))
    return 2 * positions * (p + d) > p * d and workspace.affords(4 * examples * extra)


def _inner(a: Outer | Rows, b: Outer | Rows) -> torch.Tensor:
    """(B,) inner products <La^T Ra, Lb^T Rb> = sum of (La Lb^T) o (Ra Rb^T)."""
    right = _precise(a.right) @ _precise(b.right).transpose(1, 2)
    return (_left_products(a, b) * right).sum((1, 2))


def _left_products(a: Outer | Rows, b: Outer | Rows) -> torch.Tensor:
    """(B, Ta, Tb) products of the left sides; an embedding's left side is one-hot, so its products are look-ups."""
    if isinstance(a, Rows):
        if isinstance(b, Rows):
            return a.ids[:, :, None] == b.ids[:, None, :]
        return _left_products(b, a).transpose(1, 2)
    if isinstance(b, Rows):
        chosen = b.ids[:, None, :].expand(-1, a.left.shape[1], -1)
        return _precise(a.left.gather(2, chosen))
    return _precise(a.left) @ _precise(b.left).transpose(1, 2)


def _precise(x: torch.Tensor) -> torch.Tensor:
    """At least float32: squares of half-precision numbers overflow or vanish."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
