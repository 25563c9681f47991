"""A fairness penalty in the loss: decisions become alike because anything else costs.

    demographic_parity             mean scores differ from group to group (Kamishima et al. 2012)
    equalized_odds                 they do among people of the same outcome (Bechavod & Ligett 2017)
    counterfactual_logit_pairing   somebody's log odds would be others in another group (Garg et al. 2019)

The last needs everybody's features had they been of another group. Of people described in texts these are embeddings of
the swapped texts. Of a table they are the same columns with another group's values in those that say the group: that
changes nothing that merely tells of it, so a model which never sees the group has no counterfactual.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from auditkit.errors import DataError, InputError, UnknownName
from auditkit.mitigation.augmentation import Swaps, embedded_twins
from auditkit.mitigation.baseline import check_train, known
from auditkit.mitigation.network import NetworkDecider, People, Rows, Training, Twins, divide, network, train
from auditkit.mitigation.strength import BUDGET, check_search, rate_gap, search
from auditkit.mitigation.task import Floats, Split
from auditkit.models.protocols import EmbedsText

PAIRING = "counterfactual_logit_pairing"
PENALTIES = ("demographic_parity", "equalized_odds", PAIRING)


@dataclass(frozen=True, slots=True, kw_only=True)
class FairnessRegularizer:
    """A network whose loss has a fairness penalty.

    Attributes:
        penalty: what is penalised.
        strength: by how much it is multiplied; None searches the strength that makes the gap on a validation part
            smallest within the budget (see `auditkit.mitigation.strength.search`). The gap is that of selection rates,
            of true or false positive rates, or how far scores move on average when the group is exchanged.
        budget: the accuracy that a searched strength may cost there.
        encoder: embeds swapped texts, for counterfactual_logit_pairing of people described in texts.
        swapper: swaps them.
        training: of the network.
    """

    name: ClassVar[str] = "fairness regulariser"
    stage: ClassVar[Literal["during"]] = "during"
    source: ClassVar[str] = "Kamishima et al. (2012), ECML; Bechavod & Ligett (2017); Garg et al. (2019), AIES"

    penalty: Literal["demographic_parity", "equalized_odds", "counterfactual_logit_pairing"] = "demographic_parity"
    strength: float | None = None
    budget: float = BUDGET
    encoder: EmbedsText | None = None
    swapper: Swaps | None = None
    training: Training = field(default_factory=Training)

    def __post_init__(self) -> None:
        if self.penalty not in PENALTIES:
            raise UnknownName("penalty", self.penalty, PENALTIES)
        check_search(self.strength, self.budget)
        if (self.encoder is None) != (self.swapper is None) or (self.encoder is not None and self.penalty != PAIRING):
            raise InputError(f"expected an encoder and a swapper, both of them, only for {PAIRING} of texts")

    def fit(self, train: Split, *, sensitive: str, rng: np.random.Generator) -> NetworkDecider:
        """Learn from `train`, of which a part is held out; the decisions do not need to know anybody's group.

        Raises:
            DataError: as every mitigation; a group has too few people to hold one out; or there is no counterfactual.
        """
        twins = self._twins(train, sensitive, rng) if self.penalty == PAIRING else None
        people = divide(train, sensitive, self.training, rng, twins)
        attempt = partial(self._attempt, people, int(rng.integers(2**62)))
        gaps: dict[str, Callable[[nn.Module, Rows], float]] = {
            "demographic_parity": partial(rate_gap, by_outcome=False),
            "equalized_odds": partial(rate_gap, by_outcome=True),
            PAIRING: counterfactual_gap,
        }
        return search(attempt, people, gaps[self.penalty], strength=self.strength, budget=self.budget)

    def _attempt(self, people: People, seed: int, strength: float) -> nn.Module:
        """A network at one strength; from the same weights and batches at each."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            judge = network(people.rows.features.shape[1], self.training.hidden).to(people.scale.device)

        def loss(rows: Rows) -> Tensor:
            logits = judge(rows.features).squeeze(1)
            wrong = binary_cross_entropy_with_logits(logits, rows.label)
            if self.penalty == PAIRING:
                return wrong + strength * (logits - judge(rows.twin).squeeze(1)).abs().mean()
            outcome = rows.label.long() if self.penalty == "equalized_odds" else torch.zeros_like(rows.group)
            return wrong + strength * unlikeness(torch.sigmoid(logits), rows.group, outcome)

        train(judge, loss, people, self.training, seed=seed)
        return judge

    def _twins(self, train: Split, sensitive: str, rng: np.random.Generator) -> Twins:
        check_train(train, sensitive)
        if self.encoder is not None and self.swapper is not None:
            return partial(embedded_twins, encoder=self.encoder, swapper=self.swapper)
        return other_group(train, sensitive, rng)


def unlikeness(scores: Tensor, group: Tensor, outcome: Tensor) -> Tensor:
    """How much mean scores differ among groups: squared deviations from their mean, summed over groups and outcomes.

    The mean of few people deviates by chance. What chance adds on average, the variance of a group's scores over its
    size, is taken off, or small groups would pull all scores to the middle.

    Args:
        scores: (n,) soft decisions.
        group: (n,) positions of the groups.
        outcome: (n,) groups are compared among people for whom this is equal: 0 for all of them, or their outcome.
    """
    total = scores.new_zeros(())
    for value in outcome.unique():
        here = outcome == value
        s, g = scores[here], group[here]
        size = torch.bincount(g).to(s.dtype)
        at = size.clamp(min=1)
        mean = torch.zeros_like(size).index_add(0, g, s) / at
        spread = torch.zeros_like(size).index_add(0, g, (s - mean[g]) ** 2) / (size - 1).clamp(min=1)
        enough = size > 1  # of one person nothing is known of chance
        if enough.sum() > 1:
            deviation = mean[enough] - mean[enough].mean()
            total = total + (deviation**2 - (spread / at)[enough] * (1 - 1 / enough.sum())).sum()
    return total


def counterfactual_gap(module: nn.Module, rows: Rows) -> float:
    """How far the score moves on average when somebody's group is exchanged."""
    with torch.no_grad():
        here, there = (torch.sigmoid(module(x)) for x in (rows.features, rows.twin))
    return float((here - there).abs().mean())


def other_group(train: Split, sensitive: str, rng: np.random.Generator) -> Twins:
    """Features of people of a table had they been of another group, drawn at random where there are several.

    Raises:
        DataError: no column says the group.
    """
    train, groups = known(train, train.groups(sensitive))
    names = sorted(set(groups))
    members = [train.features[groups == name] for name in names]
    says = np.all([np.ptp(m, axis=0) == 0 for m in members], axis=0)
    says &= np.ptp([m[0] for m in members], axis=0) > 0
    if not says.any():
        raise DataError(
            f"no column of the features has one value for each group of {sensitive}, so nobody has a counterfactual: "
            "keep such a column (include_sensitive=True), or give texts, an encoder and a swapper"
        )
    values = np.array([m[0][says] for m in members])

    def twins(people: Split) -> Floats:
        codes = np.searchsorted(names, people.groups(sensitive))
        others = (codes + rng.integers(1, len(names), size=len(codes))) % len(names)
        features = people.features.copy()
        features[:, says] = values[others]
        return features

    return twins
