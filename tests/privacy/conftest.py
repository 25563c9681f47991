from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from auditkit.privacy.bookkeeping import BookKeeping

Losses = Callable[..., torch.Tensor]


def micro_batched(module: nn.Module, losses: Losses, batch: tuple[torch.Tensor, ...], max_grad_norm: float):
    """The definition: the gradient of every example alone, clipped, then added. -> norms (B,), {name: sum}."""
    trainable = {name: p for name, p in module.named_parameters() if p.requires_grad}
    sums = {name: torch.zeros_like(p) for name, p in trainable.items()}
    norms = []
    for i in range(len(batch[0])):
        loss = losses(*(t[i : i + 1] for t in batch)).sum()
        gradients = torch.autograd.grad(loss, list(trainable.values()), allow_unused=True)
        present = [(name, g) for name, g in zip(trainable, gradients, strict=True) if g is not None]
        norm = torch.stack([g.double().norm() for _, g in present]).norm()
        norms.append(norm)
        for name, g in present:
            sums[name] += g * min(1.0, max_grad_norm / max(float(norm), 1e-30))
    return torch.stack(norms), sums


def check_exact(
    module: nn.Module, losses: Losses, batch: tuple[torch.Tensor, ...], tolerance: float, mode: str = "auto"
) -> None:
    """Norms, the whole clipped sum, and every parameter's part of it equal those of one example at a time.

    C lies between the norms, so that some examples are clipped and some are not.
    """
    module.zero_grad()
    norms, _ = micro_batched(module, losses, batch, 1.0)
    max_grad_norm = float(norms.median()) * 1.0001 or 1.0
    _, sums = micro_batched(module, losses, batch, max_grad_norm)
    with (engine := BookKeeping(module, max_grad_norm=max_grad_norm, mode=mode)):
        measured = engine.backward(losses(*batch))
    assert measured.tolist() == pytest.approx(norms.tolist(), rel=tolerance, abs=1e-14)
    found = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
    assert found.keys() == sums.keys()
    whole = torch.stack([g.norm() for g in sums.values()]).norm()
    distances = {name: float((found[name] - sums[name]).norm()) for name in sums}
    assert sum(d**2 for d in distances.values()) ** 0.5 <= tolerance * whole + 1e-14
    for name, distance in distances.items():
        assert distance <= tolerance * max(float(sums[name].norm()), 1e-3 * float(whole)) + 1e-14, name


@pytest.fixture(scope="session")
def reference() -> Any:
    return micro_batched


@pytest.fixture(scope="session")
def assert_exact() -> Any:
    return check_exact
