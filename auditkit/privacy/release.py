"""What leaves a step: the mean of clipped gradients, made private. The one place where noise meets gradients."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import distributed, nn

from auditkit.privacy.noise import NoiseSource


def release(
    parameters: Iterable[nn.Parameter],
    noise: NoiseSource,
    *,
    noise_multiplier: float,
    max_grad_norm: float,
    expected_batch_size: int,
    step: int,
) -> None:
    """Turn every `p.grad`, a sum of clipped gradients, into the private mean gradient, in place.

    Where several processes train together (torch.distributed is initialised), each brings the sum over its part of the
    batch. The parts are added, the first process adds the noise *once*, and all receive the same result.

    Args:
        parameters: the trainable ones; one without a gradient counts as a sum of zero.
        noise: the source; only that of the first process is used.
        noise_multiplier: standard deviation of the noise in units of `max_grad_norm`.
        max_grad_norm: what each unit's gradient was clipped to.
        expected_batch_size: in units; the divisor. Never the size of this batch, which tells who is in it.
        step: the step's number in the ledger.

    Raises:
        PrivacySettingError: a setting is out of range, or a sum is not finite.
    """
    parameters = list(parameters)
    for p in parameters:
        if p.grad is None:
            p.grad = torch.zeros_like(p)
    sums = [p.grad for p in parameters if p.grad is not None]
    together = distributed.is_available() and distributed.is_initialized()
    if together:
        for total in sums:
            distributed.all_reduce(total)
    if not together or distributed.get_rank() == 0:
        noisy = noise.add_noise(sums, noise_multiplier=noise_multiplier, max_grad_norm=max_grad_norm, step=step)
        for total, private in zip(sums, noisy, strict=True):
            total.copy_(private.div_(expected_batch_size))
    if together:
        for total in sums:
            distributed.broadcast(total, src=0)
