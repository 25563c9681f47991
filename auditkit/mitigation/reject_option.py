"""Reject-option classification: whom the model is least sure of, it decides in favour of the group that fares worse.

Within a margin around one half, people of groups that the model favours get the unfavourable decision and people of the
others the favourable one; outside it the model decides. No lottery is drawn, and nobody of whom the model is sure is
decided about otherwise. Kamiran, Karim & Zhang (2012), Decision Theory for Discrimination-Aware Classification,
algorithm 1; the margin is chosen on people held out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np

from auditkit.errors import InputError
from auditkit.mitigation.baseline import LogisticBaseline, Stage
from auditkit.mitigation.postprocess import by_group, check_share, fit_base
from auditkit.mitigation.task import Bools, Decider, Floats, Mitigation, Split, Texts

MARGINS = np.linspace(0.0, 0.5, 201)
"""Tried in this order; at 0.5 nobody is left to the model."""


@dataclass(frozen=True, slots=True)
class RejectOptionDecider:
    """A model that gives way where it is least sure.

    Attributes:
        base: the model.
        sensitive: the attribute that must be known of everybody; who has no known value is left to the model.
        favoured: for each group, whether the model favours it.
        margin: how near to one half a score is within it.
        about: what a report should say of how it was made.
    """

    base: Decider
    sensitive: str
    favoured: Mapping[str, bool]
    margin: float
    about: Mapping[str, Any] = field(default_factory=dict)

    def scores(self, people: Split) -> Floats:
        """(n,) probability of the favourable outcome, which the margin leaves as the base model gives it."""
        return self.base.scores(people)

    def decide(self, people: Split) -> Bools:
        """(n,) the decision.

        Raises:
            DataError: somebody is of a group that the margin was not fitted to.
        """
        scores = self.scores(people)
        moved = {group: partial(np.full_like, fill_value=self._shift(group)) for group in self.favoured}
        return with_margin(scores, by_group(people, self.sensitive, scores, moved, otherwise=np.zeros_like))

    def _shift(self, group: str) -> float:
        return -self.margin if self.favoured[group] else self.margin


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectOption:
    """The narrowest margin around one half that makes selection rates alike on people held out.

    Groups selected less often than people at large are the disfavoured ones. Deciding needs the group of the person:
    see `needs_group`.

    Attributes:
        tolerance: how far selection rates may still differ on the people held out; where no margin gets there, the one
            that comes nearest is taken.
        held_out: share of the people by whom the margin is chosen; the base model learns from the others.
        base: the model to correct.
    """

    name: ClassVar[str] = "reject option"
    stage: ClassVar[Stage] = "after"
    source: ClassVar[str] = "Kamiran, Karim & Zhang (2012), ICDM"
    needs_group: ClassVar[bool] = True

    tolerance: float = 0.02
    held_out: float = 0.3
    base: Mitigation = field(default_factory=LogisticBaseline)

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance < 1:
            raise InputError(f"tolerance={self.tolerance}; expected a difference of selection rates from 0 to 1")
        check_share(self.held_out)

    def fit(self, train: Split, *, sensitive: str, rng: np.random.Generator) -> RejectOptionDecider:
        """Learn the base model and then the margin; `rng` draws whom to hold out."""
        base, held, groups = fit_base(self.base, train, sensitive, self.held_out, rng)
        favoured, margin, gap = choose_margin(base.scores(held), groups, held.counts, self.tolerance)
        about = {"margin": margin, "held_out_gap": gap, "disfavoured": sorted(g for g, f in favoured.items() if not f)}
        return RejectOptionDecider(base, sensitive, favoured, margin, about)


def choose_margin(
    scores: Floats, groups: Texts, counts: Floats, tolerance: float
) -> tuple[dict[str, bool], float, float]:
    """Which groups are favoured, the margin, and the difference of selection rates that it leaves.

    Args:
        scores: (n,) probability of the favourable outcome.
        groups: (n,) each person's group, all of them known.
        counts: (n,) how many people each one stands for.
        tolerance: the difference that is small enough.
    """
    members = {group: groups == group for group in sorted(set(groups))}
    overall = float(np.average(scores >= 0.5, weights=counts))
    rates = {g: float(np.average(scores[m] >= 0.5, weights=counts[m])) for g, m in members.items()}
    favoured = {group: rate >= overall for group, rate in rates.items()}
    side = np.where(np.array([favoured[g] for g in groups]), -1.0, 1.0)
    gaps = []
    for margin in MARGINS.tolist():
        decided = with_margin(scores, side * margin)
        found = [float(np.average(decided[m], weights=counts[m])) for m in members.values()]
        gaps.append(max(found) - min(found))
        if gaps[-1] <= tolerance:
            break
    best = int(np.argmin(gaps)) if gaps[-1] > tolerance else len(gaps) - 1
    return favoured, float(MARGINS[best]), gaps[best]


def with_margin(scores: Floats, shift: Floats) -> Bools:
    """(n,) the decisions: within the margin in favour where the shift is above 0, against where it is below.

    Args:
        scores: (n,) probability of the favourable outcome.
        shift: (n,) the margin, below 0 for people of favoured groups.
    """
    within = np.abs(scores - 0.5) < np.abs(shift)
    return np.asarray(np.where(within, shift > 0, scores >= 0.5), dtype=np.bool_)
