"""Canaries that are gradients: units without a record, whose clipped gradient points in a direction of its own.

The strongest canary that an audit of DP-SGD can put in: its gradient has exactly the norm C in every step, and shares
its direction with nothing else. A coordinate of the parameters serves as one (a Dirac gradient, as in Steinke et al.);
thousands of canaries then cost one number each, and no two disturb one another.

Sources: Nasr et al. (2023), Tight auditing of differentially private machine learning, arXiv:2302.07956; Steinke, Nasr
& Jagielski (2023), Privacy auditing with one (1) training run, arXiv:2305.08846.
Shapes: m canaries, T steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from auditkit.errors import InputError
from auditkit.privacy.sampling import Indices

Floats = NDArray[np.float64]
Place = tuple[int, tuple[torch.Tensor, ...], NDArray[np.int64]]
"""Which parameter, the coordinates in it, and the canaries that these belong to."""


class IdleUnits:
    """Units that add nothing: the sampler draws among them all the same, and who was drawn is noted.

    Attributes:
        units: how many.
        drawn: for every step the units drawn.
    """

    def __init__(self, units: int) -> None:
        self.units = units
        self.drawn: list[Indices] = []

    def add(self, parameters: Sequence[torch.nn.Parameter], drawn: Indices) -> None:
        """Note who was drawn."""
        self.drawn.append(drawn)

    def observe(self, parameters: Sequence[torch.nn.Parameter], step: int) -> None:
        """Nothing to see."""


class DiracCanaries:
    """m units; unit i has a gradient of norm C along coordinate i of its own where it is included, else none.

    Everything that the auditor knows but for the coins is taken off what a step releases: the sum of the data's clipped
    gradients. Differential privacy promises to hold against such an auditor too.

    Args:
        included: (m,) what the coins decided.
        max_grad_norm: C.
        expected_batch_size: what the released sum was divided by.
        rng: chooses the coordinates.

    Attributes:
        units: m.
        inner: for every step the (m,) inner products of the released sum with the canaries' directions, in units of
            C: Gaussian noise, plus 1 where the canary is included and was drawn.
    """

    def __init__(
        self,
        included: NDArray[np.bool_],
        *,
        max_grad_norm: float,
        expected_batch_size: int,
        rng: np.random.Generator,
    ) -> None:
        self.units = len(included)
        self.inner: list[NDArray[np.float32]] = []
        self._included, self._rng = included, rng
        self._norm, self._divisor = max_grad_norm, expected_batch_size
        self._places: list[Place] = []
        self._known: Floats = np.zeros(self.units)

    def add(self, parameters: Sequence[torch.nn.Parameter], drawn: Indices) -> None:
        """Add the gradients of the canaries drawn to the data's sum."""
        if not self._places:
            self._places = self._place(parameters)
        for p in parameters:
            if p.grad is None:  # nobody else was drawn
                p.grad = torch.zeros_like(p)
        self._known = self._read(parameters)
        gradients = np.zeros(self.units)
        gradients[drawn] = self._norm * self._included[drawn]
        for which, coordinates, canaries in self._places:
            gradient = parameters[which].grad
            assert gradient is not None
            values = torch.from_numpy(gradients[canaries]).to(gradient)
            gradient.index_put_(coordinates, values, accumulate=True)

    def observe(self, parameters: Sequence[torch.nn.Parameter], step: int) -> None:
        """Note what the step released in the canaries' directions."""
        released = self._divisor * self._read(parameters)
        self.inner.append(((released - self._known) / self._norm).astype(np.float32))

    def _place(self, parameters: Sequence[torch.nn.Parameter]) -> list[Place]:
        """A coordinate of its own for each canary, uniformly among all of them."""
        ends = np.cumsum([p.numel() for p in parameters])
        if self.units > ends[-1]:
            raise InputError(
                f"{self.units} gradient canaries, but only {ends[-1]} trainable numbers; each canary takes one for "
                f"itself: ask for at most {ends[-1]} canaries, or train more parameters"
            )
        chosen = self._rng.choice(ends[-1], size=self.units, replace=False)
        owner = np.searchsorted(ends, chosen, side="right")
        places = []
        for which, p in enumerate(parameters):
            canaries = np.flatnonzero(owner == which)
            flat = torch.from_numpy(chosen[canaries] - (ends[which] - p.numel())).to(p.device)
            if len(canaries):
                places.append((which, torch.unravel_index(flat, p.shape), canaries))
        return places

    def _read(self, parameters: Sequence[torch.nn.Parameter]) -> Floats:
        """(m,) the gradient at every canary's coordinate."""
        found = np.empty(self.units)
        for which, coordinates, canaries in self._places:
            gradient = parameters[which].grad
            assert gradient is not None
            found[canaries] = gradient[coordinates].double().cpu().numpy()
        return found


def log_likelihood_ratios(inner: NDArray[np.floating], *, rate: float, noise_multiplier: float) -> Floats:
    """(m,) how much likelier everything that was released is if the canary is included than if it is not.

    Per step, an inner product x in units of C is N(0, sigma^2) without the canary, and with it the mixture
    (1 - q) N(0, sigma^2) + q N(1, sigma^2). No other score tells the two apart better (Neyman & Pearson); that of the
    plain sum over the steps is the same at q = 1, and wastes more the smaller q is.

    Args:
        inner: (T, m) the inner products.
        rate: q, the probability with which a canary is drawn in a step.
        noise_multiplier: sigma.
    """
    shift = (np.asarray(inner, dtype=np.float64) - 0.5) / noise_multiplier**2
    if rate == 1:
        return shift.sum(0)
    return np.logaddexp(np.log1p(-rate), np.log(rate) + shift).sum(0)
