"""The noise of DP-SGD: N(0, (noise_multiplier * max_grad_norm)^2) on every coordinate of the summed clipped gradients.

Two sources. `SeededNoise` is torch's generator: fast and repeatable, and no protection against somebody who knows the
seed or recovers the state of a generator that was not built to hide it. `SecureNoise` needs no seed: ChaCha20 under a
key from the operating system, turned into normals by the inverse of the normal distribution function.

*The floating-point attack.* Mironov (2012), On significance of the least significant bits for differential privacy:
`x + noise` in floating point can only be certain numbers, and which ones depends on `x`; a low bit of the sum may
betray `x` whatever the noise. `SecureNoise` therefore adds on a grid: with a spacing g, a power of two,

    released = g * (round(x / g) + round(noise / g))

in integers that a double holds exactly. The possible outcomes are then the same for every `x`, and since rounding
commutes with whole numbers, `released` is a rounding of `round(x / g) * g + noise`: the Gaussian mechanism on sums
moved by at most g/2 a coordinate. That lengthens the distance between neighbours by at most g * sqrt(d) for d
coordinates; g is chosen so that this is at most 2^-20 of max_grad_norm, and the noise is enlarged by the same share, so
that the accounted noise multiplier holds. The normals are drawn from 128 random bits each, so that even far in the tail
the grid has no cells that are never hit.

What is left: the rounding error of the inverse (about 1e-15 of a standard deviation, against cells of about 1e-9), so
that this is no proof as the discrete Gaussian (Canonne et al., 2020) would give; the rounding of the clipped gradients
and their sum before they come here (Casacuberta et al., 2022); and the time that sampling takes (Jin et al., 2022).
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from auditkit.privacy.settings import PrivacySettingError, check_max_grad_norm, check_noise_multiplier

if TYPE_CHECKING:
    import torch

_SENSITIVITY_SLACK = 2.0**-20
_LARGEST_WHOLE = 2.0**52
_BLOCK = 1 << 18  # normals drawn at a time: 4 MB of key stream


class NoiseSource(Protocol):
    """Something that makes the sums of clipped gradients private.

    Attributes:
        policy: where its randomness comes from, in words for the ledger.
    """

    policy: str

    def add_noise(
        self, sums: Sequence[torch.Tensor], *, noise_multiplier: float, max_grad_norm: float, step: int
    ) -> list[torch.Tensor]:
        """The sums with noise; shapes, devices and dtypes are kept.

        Args:
            sums: per parameter, the sum of the clipped gradients of a logical batch; *all* parameters at once.
            noise_multiplier: standard deviation of the noise in units of `max_grad_norm`.
            max_grad_norm: what each unit's gradient, over all parameters together, was clipped to.
            step: the step's number in the ledger; no two steps get the same noise.

        Raises:
            PrivacySettingError: a setting is not positive and finite, or a sum is not finite.
        """
        ...


class SeededNoise:
    """Noise of torch's generator: for experiments that must be repeatable, not against an adversary.

    The generator is seeded from `seed` and the step's number, so that a resumed run never adds the noise of an earlier
    step again: the difference of two sums with equal noise would be free of it.

    Args:
        seed: the seed. Whoever knows it can take the noise off again.
        device: where the noise is drawn; one seed gives different noise on different kinds of devices.
    """

    policy = "seeded torch generator: repeatable, and private only while the seed is secret"

    def __init__(self, seed: int, device: str | torch.device = "cpu") -> None:
        import torch

        self.seed = seed
        self._generator = torch.Generator(device)

    def add_noise(  # noqa: D102 - described by NoiseSource
        self, sums: Sequence[torch.Tensor], *, noise_multiplier: float, max_grad_norm: float, step: int
    ) -> list[torch.Tensor]:
        import torch

        _check(sums, noise_multiplier, max_grad_norm)
        self._generator.manual_seed(int(np.random.SeedSequence([self.seed, step]).generate_state(1)[0]))
        std = noise_multiplier * max_grad_norm
        noisy = []
        for total in sums:
            noise = torch.randn(total.shape, generator=self._generator, device=self._generator.device)
            noisy.append((total + std * noise.to(total.device)).to(total.dtype))
        return noisy


class SecureNoise:
    """Cryptographic noise on a grid, under a key that is drawn anew for every object and never shown."""

    policy = "ChaCha20 keyed by the operating system; inverse normal in double, rounded to a grid"

    def __init__(self) -> None:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

        # 256 GB of key stream under one nonce; the zeros that are encrypted make the key stream itself the output.
        self._stream = Cipher(algorithms.ChaCha20(os.urandom(32), os.urandom(16)), mode=None).encryptor()

    def add_noise(  # noqa: D102 - described by NoiseSource
        self, sums: Sequence[torch.Tensor], *, noise_multiplier: float, max_grad_norm: float, step: int
    ) -> list[torch.Tensor]:
        import torch

        _check(sums, noise_multiplier, max_grad_norm)
        grid = grid_spacing(max_grad_norm, sum(total.numel() for total in sums))
        std = noise_multiplier * max_grad_norm * (1 + _SENSITIVITY_SLACK)
        noisy = []
        for total in sums:
            exact = total.detach().to("cpu", torch.float64).numpy().reshape(-1)
            released = torch.from_numpy(self._on_grid(exact, std, grid)).reshape(total.shape)
            noisy.append(released.to(total.device, total.dtype))
        return noisy

    def normals(self, n: int) -> NDArray[np.float64]:
        """`n` independent standard normals."""
        blocks = [self._block(min(_BLOCK, n - start)) for start in range(0, n, _BLOCK)]
        return np.concatenate(blocks) if blocks else np.empty(0)

    def _on_grid(self, exact: NDArray[np.float64], std: float, grid: float) -> NDArray[np.float64]:
        whole = np.rint(exact / grid)
        if whole.size and np.abs(whole).max() > _LARGEST_WHOLE / 2:
            raise PrivacySettingError(
                f"a summed gradient reaches {np.abs(exact).max():.3g}, too much for a grid of {grid:.3g} in double "
                "precision; were the gradients clipped to max_grad_norm before they were summed?"
            )
        return (whole + np.rint(self.normals(exact.size) * (std / grid))) * grid

    def _block(self, n: int) -> NDArray[np.float64]:
        """By inverting the distribution function at a uniform that keeps 53 significant bits however small it is."""
        from scipy.special import ndtri

        words = np.frombuffer(self._stream.update(bytes(16 * n)), dtype=np.uint64).reshape(n, 2)
        high, low = words[:, 0].astype(np.float64), words[:, 1].astype(np.float64)
        uniform = (high + (low + 0.5) * 2.0**-64) * 2.0**-64  # in (0, 1]
        below = ndtri(uniform / 2)  # the lower half, where the inverse is precise
        return np.where(words[:, 1] & np.uint64(1), below, -below)


def noise_source(*, secure: bool, seed: int | None = None, device: str | torch.device = "cpu") -> NoiseSource:
    """The source that the settings of a training ask for.

    Args:
        secure: cryptographic noise, which takes no seed.
        seed: of the seeded source; None draws one from the operating system.
        device: where the seeded source draws.

    Raises:
        PrivacySettingError: `secure` together with a seed.
    """
    if not secure:
        return SeededNoise(int.from_bytes(os.urandom(16)) if seed is None else seed, device)
    if seed is not None:
        raise PrivacySettingError(
            f"secure noise with seed = {seed}; expected no seed: noise that can be repeated can be taken off again. "
            "Leave out the noise seed, or set secure=False"
        )
    return SecureNoise()


def grid_spacing(max_grad_norm: float, coordinates: int) -> float:
    """The largest power of two with `spacing * sqrt(coordinates) <= 2^-20 * max_grad_norm`."""
    return 2.0 ** math.floor(math.log2(_SENSITIVITY_SLACK * max_grad_norm / math.sqrt(max(coordinates, 1))))


def _check(sums: Sequence[torch.Tensor], noise_multiplier: float, max_grad_norm: float) -> None:
    check_noise_multiplier(noise_multiplier)
    check_max_grad_norm(max_grad_norm)
    if not all(bool(total.isfinite().all()) for total in sums):
        raise PrivacySettingError(
            "a summed gradient is NaN or infinite, and no noise hides that; the loss of a unit was not finite: "
            "lower the learning rate, or look for the example"
        )
