"""How strongly a network is made fair: as much as a budget of accuracy allows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from auditkit.errors import InputError
from auditkit.fairness import metrics
from auditkit.mitigation.network import NetworkDecider, People, Rows, Trial

STRENGTHS = (0.1, 0.18, 0.32, 0.56, 1.0, 1.8, 3.2, 5.6, 10.0, 18.0, 32.0, 56.0, 100.0)  # tried where none is given
BUDGET = 0.015  # accuracy that may be lost on the validation part: 1.5 points


def search(
    attempt: Callable[[float], nn.Module],
    people: People,
    gap: Callable[[nn.Module, Rows], float],
    *,
    strength: float | None,
    budget: float,
) -> NetworkDecider:
    """The network of the given strength; or, where none is given, of the strength that a stated rule chooses.

    The rule: of 0 and `STRENGTHS`, those whose accuracy on the validation part is at most `budget` below that of
    strength 0; among them the one with the smallest gap there. Strength 0 is always eligible.

    Args:
        attempt: trains a network at a strength.
        people: whose validation part is used.
        gap: what is to become small, of a network on people.
        strength: None to search.
        budget: the accuracy that may be lost.
    """
    tried = []
    for value in (0.0, *STRENGTHS) if strength is None else (strength,):
        module = attempt(value)
        tried.append((Trial(value, accuracy(module, people.held_out), gap(module, people.held_out)), module))
    enough = tried[0][0].accuracy - budget
    trial, module = min((t for t in tried if t[0].accuracy >= enough), key=lambda t: t[0].gap)
    return NetworkDecider(module, people.scale, trial.strength, tuple(t for t, _ in tried))


def accuracy(module: nn.Module, rows: Rows) -> float:
    """Share of people decided about as their outcome is."""
    return float((decided(module, rows) == rows.label.bool()).float().mean())


def decided(module: nn.Module, rows: Rows) -> Tensor:
    """(n,) the decisions of a network."""
    with torch.no_grad():
        return module(rows.features).squeeze(1) >= 0


def rate_gap(module: nn.Module, rows: Rows, *, by_outcome: bool) -> float:
    """How far apart the groups' rates of favourable decisions are, as an audit would say it.

    Args:
        module: the network.
        rows: the people.
        by_outcome: whether among people with the same outcome (the larger of both differences: equalized odds), or
            among all (demographic parity).
    """
    label, group = rows.label.bool().cpu().numpy(), rows.group.cpu().numpy()
    counts = metrics.count(group, label, decided(module, rows).cpu().numpy(), groups=int(group.max()) + 1)
    names = ("true_positive_rate", "false_positive_rate") if by_outcome else ("selection_rate",)
    return max(_spread(*metrics.shares(counts, name)) for name in names)


def _spread(successes: metrics.Ints, trials: metrics.Ints) -> float:
    """The largest difference among groups; groups too small to be compared count only where all others are, too."""
    large = trials >= metrics.SMALL_CELL
    chosen = large if large.sum() > 1 else trials > 0
    return float(metrics.difference(metrics.rates(successes[chosen], trials[chosen])))


def check_search(strength: float | None, budget: float) -> None:
    """InputError where the strength, or the budget of its search, makes no sense."""
    if (strength is not None and not 0 <= strength < np.inf) or not 0 <= budget <= 1:
        raise InputError(
            f"strength={strength}, budget={budget}; expected a strength of 0 or more, or None to search it, and a "
            "budget from 0 to 1, as 0.02 for two points of accuracy"
        )
