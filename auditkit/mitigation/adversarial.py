"""Adversarial debiasing: a network decides, while an adversary guesses the group from its scores.

The adversary learns to guess; the gradient that reaches the network through it is reversed, so that the network learns
to leave nothing to guess by. It sees

    demographic_parity    the score: at the end, scores are alike in every group
    equalized_odds        the score and the outcome: alike among people of the same outcome

Zhang, Lemoine & Mitchell (2018), Mitigating unwanted biases with adversarial learning; reversed gradients from Ganin &
Lempitsky (2015). Groups count alike for the adversary however large they are, or it would not look at small ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from auditkit.errors import UnknownName
from auditkit.mitigation.network import NetworkDecider, People, Rows, Training, divide, network, train
from auditkit.mitigation.strength import BUDGET, check_search, rate_gap, search
from auditkit.mitigation.task import Split

TARGETS = ("demographic_parity", "equalized_odds")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdversarialDebiasing:
    """A network trained against an adversary.

    Attributes:
        target: what the adversary sees beside the score: nothing, or the outcome.
        strength: by how much its gradient is multiplied; None searches the strength that makes the gap on a validation
            part smallest within the budget (see `auditkit.mitigation.strength.search`).
        budget: the accuracy that a searched strength may cost there.
        adversary: the widths of its hidden layers; () is linear in the score, as published.
        training: of the network.
    """

    name: ClassVar[str] = "adversarial debiasing"
    stage: ClassVar[Literal["during"]] = "during"
    source: ClassVar[str] = "Zhang, Lemoine & Mitchell (2018), AIES; Ganin & Lempitsky (2015), ICML"

    target: Literal["demographic_parity", "equalized_odds"] = "demographic_parity"
    strength: float | None = None
    budget: float = BUDGET
    adversary: tuple[int, ...] = ()
    training: Training = field(default_factory=Training)

    def __post_init__(self) -> None:
        if self.target not in TARGETS:
            raise UnknownName("target", self.target, TARGETS)
        check_search(self.strength, self.budget)

    def fit(self, train: Split, *, sensitive: str, rng: np.random.Generator) -> NetworkDecider:
        """Learn from `train`, of which a part is held out; the decisions do not need to know anybody's group.

        Raises:
            DataError: as every mitigation; or a group has too few people to hold one out.
        """
        people = divide(train, sensitive, self.training, rng)
        attempt = partial(self._attempt, people, int(rng.integers(2**62)))
        gap = partial(rate_gap, by_outcome=self.target == "equalized_odds")
        return search(attempt, people, gap, strength=self.strength, budget=self.budget)

    def _attempt(self, people: People, seed: int, strength: float) -> nn.Module:
        """A network at one strength; from the same weights and batches at each."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            judge = network(people.rows.features.shape[1], self.training.hidden)
            guesser = network(1 if self.target == "demographic_parity" else 3, self.adversary, len(people.groups))
        judge, guesser = judge.to(people.scale.device), guesser.to(people.scale.device)
        sizes = torch.bincount(people.rows.group, minlength=len(people.groups)).float()
        weight = sizes.mean() / sizes

        def loss(rows: Rows) -> Tensor:
            logits = judge(rows.features)
            score = _Reversed.apply(torch.sigmoid(logits), strength)
            guesses = guesser(self._seen(score, rows.label.unsqueeze(1)))
            wrong = binary_cross_entropy_with_logits(logits.squeeze(1), rows.label)
            return wrong + cross_entropy(guesses, rows.group, weight=weight)

        train(judge, loss, people, self.training, seed=seed, adversary=guesser)
        return judge

    def _seen(self, score: Tensor, label: Tensor) -> Tensor:
        """What the adversary guesses by; with the outcome, a linear one has a slope for either outcome."""
        return score if self.target == "demographic_parity" else torch.cat([score, score * label, label], dim=1)


class _Reversed(torch.autograd.Function):
    """The identity; its gradient is turned round and multiplied by `strength`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradients[0], None
