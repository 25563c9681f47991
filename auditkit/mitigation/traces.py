"""Whether the bias is gone or only hidden: can a fresh model still tell the groups by what a decision is made from?

After a linear erasure no linear model can, and a nonlinear one often still does (Gonen & Goldberg 2019; Elazar &
Goldberg 2018). So both kinds are trained anew, on people that the mitigation learned from, and asked about others.

What they know is measured in bits, as usable information (Xu et al. 2020): how much better than the groups' shares
alone they predict the group, as a share of all there is to know. Accuracy would not do: where the groups have the same
mean but not the same shape, a model that knows nothing in bits can still sort people well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from auditkit import extras, stats
from auditkit.errors import DataError
from auditkit.fairness.groups import Gap
from auditkit.measurement import Interval
from auditkit.mitigation.task import Decider, Floats, Split, Texts

MOST = 8_000  # people that a fresh model learns from; more hardly change what it finds
SMALLEST = 1e-6  # probability: one sure mistake must not outweigh everybody else
RESAMPLES = 1_999
SOURCE = "Xu et al. (2020), ICLR (usable information); Elazar & Goldberg (2018), EMNLP"

Basis = Literal["representation", "score"]


def basis(decider: Decider) -> Basis:
    """What to look for traces in: the mitigated features where the decider shows them, else its score alone."""
    return "representation" if hasattr(decider, "represent") else "score"


def read(decider: Decider, people: Split, what: Basis) -> Floats:
    """(n, d) what a decision about each person is made from.

    A decider that shows no representation takes the features as they are.
    """
    if what == "score":
        return np.asarray(decider.scores(people), dtype=np.float64)[:, None]
    represent = getattr(decider, "represent", None)
    return np.asarray(people.features if represent is None else represent(people), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Told:
    """What a fresh model can tell of people's groups.

    Attributes:
        shares: (n,) their mean is the per cent of the groups' entropy that it knows: 0 where nothing can be told, 100
            where everything can, and below 0 where the model only learned noise. Each is the mean plus what the person
            adds to the ratio of bits known to bits there are (linearised), so that they spread as the ratio does.
    """

    shares: Floats

    def information(self, rng: np.random.Generator) -> Gap:
        """The mean, with its bootstrap interval; nobody can know more than there is to know."""
        found = _mean(self.shares, rng)
        return replace(found, interval=replace(found.interval, high=min(100.0, found.interval.high)))

    def change(self, before: Told, rng: np.random.Generator) -> Gap:
        """How much more can be told than `before`, of the same people, with the interval paired person by person."""
        return _mean(self.shares - before.shares, rng)


def tell(learn: tuple[Floats, Texts], judge: tuple[Floats, Texts], kind: str, *, rng: np.random.Generator) -> Told:
    """Train a fresh model on some people, and ask it about others.

    Args:
        learn: (m, d) what is known of people, and their groups.
        judge: (n, d) the same of others.
        kind: a key of `KINDS`.
        rng: draws at most 8,000 people to learn from, and the seed of the model.

    Raises:
        DataError: nobody to learn from is of a group that is asked about.
    """
    x, groups = learn
    chosen = rng.permutation(len(x))[:MOST]
    if strangers := sorted(set(judge[1]) - set(groups[chosen])):
        raise DataError(
            f"group {strangers[0]!r} is asked about, but nobody of the {len(chosen)} people to learn from is of it; "
            "merge it with another, or leave its people out"
        )
    model = KINDS[kind](int(rng.integers(2**31))).fit(x[chosen], groups[chosen])
    names = list(model.classes_)
    of = np.array([names.index(g) for g in judge[1]])
    told = model.predict_proba(judge[0])[np.arange(len(of)), of]
    prior = np.array([(groups[chosen] == g).mean() for g in names])[of]
    bits, known = -np.log2(prior), np.log2(np.maximum(told, SMALLEST)) - np.log2(prior)
    ratio = known.mean() / bits.mean()
    return Told(100 * (ratio + (known - ratio * bits) / bits.mean()))


def _mean(values: Floats, rng: np.random.Generator) -> Gap:
    value = float(values.mean())
    try:
        return Gap(value, stats.bootstrap(values, rng=rng, resamples=RESAMPLES))
    except DataError:  # the same for everybody
        return Gap(value, Interval(value, value, method="exact: the same for everybody"))


@extras.explained()
def _linear(seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))


@extras.explained()
def _nonlinear(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(max_iter=60, random_state=seed)


KINDS: dict[str, Callable[[int], Any]] = {"linear": _linear, "nonlinear": _nonlinear}
"""Logistic regression, and gradient boosting."""
