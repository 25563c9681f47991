"""Gradient inversion: which tokens were in the batch, read off the gradient of a single training step?

Whoever sees the gradients of a training (another party of a federated one, a log, a checkpoint before and after a
step) sees this. After Zhu et al. (2019), Deep leakage from gradients, https://arxiv.org/abs/1906.08935; Gupta et al.
(2022), Recovering private text in federated learning, https://arxiv.org/abs/2205.08514; Zhao et al. (2020), iDLG,
https://arxiv.org/abs/2001.02610. No optimisation is needed:

- Only the rows of tokens that were read get a gradient in an input embedding. Where it is tied to the output layer,
  every row gets some, and those that were read stand out by their norm.
- In the gradient of an output bias, p(v) - 1[v is the target], only targets can be negative.

Clipping and noise drown both: rows that were read then look like all others.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from auditkit import stats
from auditkit.errors import DataError, MissingCapability
from auditkit.measurement import Measurement
from auditkit.models.protocols import Floats
from auditkit.privacy.bookkeeping import BookKeeping
from auditkit.privacy.noise import NoiseSource
from auditkit.privacy.release import release

Losses = Callable[[nn.Module], torch.Tensor]
"""Runs the model on a batch, and returns one loss for each example, (B,)."""

SOURCE = "Zhu et al. (2019), NeurIPS; Gupta et al. (2022), NeurIPS, https://arxiv.org/abs/2205.08514"


@dataclass(frozen=True, slots=True)
class Privatisation:
    """What DP-SGD does to the gradient before anybody sees it."""

    max_grad_norm: float
    noise_multiplier: float
    noise: NoiseSource


def step_gradient(
    module: nn.Module, losses: Losses, *, privatisation: Privatisation | None = None, step: int = 0
) -> dict[str, torch.Tensor]:
    """The gradient that one training step sends out, by parameter: of the mean loss, or clipped and noised.

    Args:
        module: the model; it is not changed.
        losses: the batch.
        privatisation: None for a training without privacy.
        step: the number of the step; each gets noise of its own.

    Raises:
        DataError: the losses are not one for each example.
    """
    twin = copy.deepcopy(module).eval()
    twin.zero_grad()
    if privatisation is None:
        values = losses(twin)
        if values.ndim != 1:
            raise DataError(f"losses of shape {tuple(values.shape)}; expected one for each example, (B,)")
        values.mean().backward()
    else:
        with (engine := BookKeeping(twin, max_grad_norm=privatisation.max_grad_norm)):
            size = len(engine.backward(losses(twin)))
        release(
            [p for p in twin.parameters() if p.requires_grad], privatisation.noise,
            noise_multiplier=privatisation.noise_multiplier, max_grad_norm=privatisation.max_grad_norm,
            expected_batch_size=size, step=step,
        )  # fmt: skip
    return {name: p.grad for name, p in twin.named_parameters() if p.grad is not None}


def embedding_name(module: nn.Module) -> str:
    """The parameter that holds one row for each input token: of `get_input_embeddings()`, or the first embedding.

    Raises:
        MissingCapability: the model has no embedding.
    """
    layers = [m for m in module.modules() if isinstance(m, nn.Embedding)]
    if hasattr(module, "get_input_embeddings"):
        layers.insert(0, module.get_input_embeddings())
    for name, parameter in module.named_parameters():
        if layers and parameter is layers[0].weight:
            return name
    raise MissingCapability("the model has no embedding of tokens; this attack reads nothing else")


def tokens_read(embedding_gradient: torch.Tensor) -> list[int]:
    """The ids whose row of the (V, D) gradient is not zero: without noise and ties exactly the tokens of the batch."""
    return embedding_gradient.any(dim=1).nonzero()[:, 0].tolist()


def targets_predicted(bias_gradient: torch.Tensor) -> list[int]:
    """The ids whose entry of the (V,) gradient of an output bias is negative: without noise, all of them targets."""
    return (bias_gradient < 0).nonzero()[:, 0].tolist()


def likeliest_tokens(embedding_gradient: torch.Tensor, n: int) -> list[int]:
    """The `n` ids whose rows of the (V, D) gradient are the longest, the longest first."""
    return embedding_gradient.norm(dim=1).topk(n).indices.tolist()


def invert_gradients(
    module: nn.Module,
    batches: Sequence[tuple[torch.Tensor, Losses]],
    *,
    rng: np.random.Generator,
    privatisation: Privatisation | None = None,
) -> Measurement:
    """Attack one step on each batch, all from the same weights, and measure the share of tokens that is recovered.

    The attacker names as many tokens as the batch has different ones. Names drawn blindly recover the share of the
    vocabulary that is in the batch: what no access recovers.

    Args:
        module: the model; it is not changed.
        batches: for each the input ids that its losses depend on, (B, T), with -1 for others (padding; the last token
            of a text, after which nothing is predicted), and its losses.
        rng: draws the bootstrap samples.
        privatisation: what DP-SGD does to each gradient; None for a training without privacy.

    Returns:
        `gradient_inversion/step/tokens`, the mean over batches in percent; the ideal is what no access recovers. The
        details hold the interval of the difference to it.

    Raises:
        DataError: no batches.
        MissingCapability: the model has no embedding.
    """
    if not batches:
        raise DataError("no batches; expected at least one, and several for a useful interval")
    name = embedding_name(module)
    recovered, by_chance = np.empty(len(batches)), np.empty(len(batches))
    for step, (ids, losses) in enumerate(batches):
        truth = set(ids[ids >= 0].unique().tolist())
        gradient = step_gradient(module, losses, privatisation=privatisation, step=step)[name]
        recovered[step] = 100 * len(truth & set(likeliest_tokens(gradient, len(truth)))) / len(truth)
        by_chance[step] = 100 * len(truth) / len(gradient)
    return _measurement(recovered, by_chance, privatisation, rng)


def _measurement(
    recovered: Floats, by_chance: Floats, privatisation: Privatisation | None, rng: np.random.Generator
) -> Measurement:
    steps = np.arange(len(recovered))
    gain = stats.cluster_bootstrap(recovered - by_chance, steps, bounds=(-100, 100), rng=rng)
    seen = "as it is" if privatisation is None else (
        f"clipped to {privatisation.max_grad_norm:g}, with noise of {privatisation.noise_multiplier:g} times that"
    )  # fmt: skip
    return Measurement(
        id="gradient_inversion/step/tokens",
        value=float(recovered.mean()),
        interval=stats.cluster_bootstrap(recovered, steps, bounds=(0, 100), rng=rng),
        n=len(recovered),
        unit="%",
        ideal=float(by_chance.mean()),
        method=f"longest rows of the embedding's gradient, {seen}, of one step a batch",
        source=SOURCE,
        details={
            "no_access": float(by_chance.mean()),
            "gain": float((recovered - by_chance).mean()),
            "gain_low": gain.low,
            "gain_high": gain.high,
        },
    )
