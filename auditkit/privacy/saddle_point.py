"""Epsilon by one integral: however many steps there are, and however small delta is.

Delta at epsilon is the integral of exp(K(z) - z epsilon) / (z (z + 1)) over a line Re z = const > 0, divided by 2 pi i.
K are the cumulants of the privacy loss; n steps have n times those of one (Zhu, Dong & Wang, 2022, arXiv:2106.08567).
Through the saddle point (Alghamdi et al., 2023, arXiv:2208.09595) the integrand falls off like a Gaussian, and a
trapezoid sum of some dozen values is exact. No grid grows with the steps, and rounding is relative to delta, where that
of a Fourier transform is relative to 1: over a million steps 1e-10, which is as much as a small delta.

Where large losses are rare (few steps at a tiny rate and little noise) the integrand falls off slowly, and there is no
answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.privacy.sampling import Composition

Complex = NDArray[Any]
Cumulants = Callable[[Complex], Complex]

_WIDTH, _FINENESS = 12.0, 12  # of the integral over the noise: in standard deviations, and nodes for each
_LARGEST_LOSS = 250.0  # orders that only losses beyond it would ask for are not tried
_MOST_NODES, _MOST_POINTS = 20_000, 2048
_CONVERGED = 1e-4  # relative difference of epsilon at half the points
_ROUNDING, _NEGLIGIBLE = 1e-10, 1e-9
_LINES = (1.0, 0.8, 0.6)  # as shares of the best order: beyond it rare losses may weigh too much
_CHUNK = 1 << 18


def epsilon(compositions: Sequence[Composition], delta: float) -> float | None:
    """The least epsilon at `delta`, for neighbours that differ by one unit added or removed.

    Returns:
        Epsilon to a relative 1e-4; None where the integral does not converge.
    """
    removed, added = (_one_way(compositions, delta, added=added) for added in (False, True))
    return None if removed is None or added is None else max(removed, added)


def _one_way(compositions: Sequence[Composition], delta: float, *, added: bool) -> float | None:
    cumulants = partial(_cumulants, compositions, added=added)
    orders = np.geomspace(1e-3, _largest_order(compositions, added), 160)
    logs = np.concatenate([cumulants(block + 0j).real for block in np.split(orders, 8)])
    room = orders * np.log(orders) - (1 + orders) * np.log1p(orders)
    bounds = (logs - math.log(delta) + room) / orders  # of epsilon, by the Renyi divergence of each order
    best = int(np.argmin(np.where(np.isfinite(bounds), bounds, np.inf)))
    if not 0 < best < len(orders) - 1:
        return None
    for part in _LINES:
        found = _along_a_line(cumulants, float(orders[best]) * part, delta, float(bounds[best]))
        if found is not None:
            return found
    return None


def _along_a_line(cumulants: Cumulants, order: float, delta: float, at_most: float) -> float | None:
    """Epsilon by the integral over Re z = order, with as many points as it takes."""
    low, middle, high = cumulants(order * np.array([0.99, 1, 1.01]) + 0j).real
    curvature = (low - 2 * middle + high) / (0.01 * order) ** 2 + 1 / order**2
    step, points = 0.25 / math.sqrt(curvature), 64
    while points <= _MOST_POINTS:
        z = order + 1j * step * np.arange(points)
        values = cumulants(z) - np.log(z) - np.log1p(z)
        if values.real[-8:].max() > values[0].real + math.log(_NEGLIGIBLE):
            points *= 2  # farther along the line
            continue
        fine, coarse = (_solve(values[::every], z[::every], delta, at_most) for every in (1, 2))
        if fine is not None and coarse is not None and abs(fine - coarse) <= _CONVERGED * fine + 1e-6:
            return fine
        step, points = step / 2, 2 * points
    return None


def _solve(values: Complex, z: Complex, delta: float, at_most: float) -> float | None:
    """The epsilon at which the sum over one half of the line is pi delta, 0 where that is less at 0.

    None where rounding hides it: far from the epsilon that the line is meant for, the terms cancel.
    """
    from scipy.optimize import brentq

    order, weights = z[0].real, np.exp(values - values[0].real)
    weights[0] /= 2
    scale = values[0].real + math.log(z[1].imag / math.pi) - math.log(delta)

    def excess(epsilon: float) -> float:
        total = float((weights * np.exp(-1j * z.imag * epsilon)).real.sum())
        return scale - order * epsilon + math.log(total) if total > _ROUNDING else math.nan

    high, low = max(0.0, at_most), max(0.0, at_most)
    while low > 0 and excess(low) <= 0:
        high, low = low, max(0.0, low - 1 / order)
    if math.isnan(excess(low)) or excess(high) > 0:
        return None
    return low if excess(low) <= 0 else float(brentq(excess, low, high, xtol=1e-12))


def _largest_order(compositions: Sequence[Composition], added: bool) -> float:
    limits = [2 * c.noise_multiplier**2 * (_LARGEST_LOSS - math.log(c.rate)) for c in compositions]
    return min(1e5, *(limit / c.rate if added else limit for limit, c in zip(limits, compositions, strict=True)))


def _cumulants(compositions: Sequence[Composition], z: Complex, *, added: bool) -> Complex:
    """The logarithm of E[exp(z loss)] of all steps, for `z` on a line or of similar size."""
    return np.sum([c.steps * _cumulants_of_one(c, z, added) for c in compositions], axis=0)


def _cumulants_of_one(step: Composition, z: Complex, added: bool) -> Complex:
    """Of the loss log(P/Q) under P = (1 - q) N(0, s^2) + q N(1, s^2), or of -log(P/Q) under Q = N(0, s^2), if added.

    Both are moments of P/Q under Q, taken as E[exp(k log(P/Q)) - 1], which is precise where the loss is tiny.
    """
    order = float(z.real.max())
    x, log_weights = _nodes(step.noise_multiplier, *((order * step.rate, 0.0) if added else (0.0, order + 1)))
    tilt = (2 * x - 1) / (2 * step.noise_multiplier**2)
    loss = tilt if step.rate >= 1 else np.logaddexp(math.log1p(-step.rate), math.log(step.rate) + tilt)
    if step.rate < 1:
        small = tilt < 1
        loss[small] = np.log1p(step.rate * np.expm1(tilt[small]))
    powers = -z if added else z + 1
    rows = max(1, _CHUNK // len(x))
    return np.concatenate([_log_mean(powers[i : i + rows], loss, log_weights) for i in range(0, len(z), rows)])


def _nodes(noise: float, below: float, above: float) -> tuple[Any, Any]:
    """Equidistant x where the noise is, as far moved as the moment moves its weight, and log(Q(x) dx)."""
    gap = min(noise, noise**2) / _FINENESS
    bottom, top = -_WIDTH * noise - below, _WIDTH * noise + above
    x = np.linspace(bottom, top, min(_MOST_NODES, math.ceil((top - bottom) / gap)))
    return x, -(x**2) / (2 * noise**2) + math.log((x[1] - x[0]) / (noise * math.sqrt(2 * math.pi)))


def _log_mean(powers: Complex, loss: Any, log_weights: Any) -> Complex:
    exponents = np.multiply.outer(powers, loss)
    with np.errstate(over="ignore", invalid="ignore"):  # orders that are beyond reach, and not chosen
        if exponents.real.max() < 30:
            result = np.log1p((np.expm1(exponents) * np.exp(log_weights)).sum(1))
        else:
            exponents += log_weights
            top = exponents.real.max(1, keepdims=True)
            result = top[:, 0] + np.log(np.exp(exponents - top).sum(1))
    return result
