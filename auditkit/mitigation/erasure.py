"""LEACE: the smallest change of the features after which no linear classifier can tell the groups apart.

A linear classifier of z from x, under any convex loss, beats a constant one exactly where x and z are correlated
(Belrose et al. 2023, theorems 3.1 to 3.4). Of all affine maps that leave no correlation, the one that moves x least
(in expected squared distance, whatever the inner product; theorem 4.3) is, in closed form,

    r(x) = x - W+ P W (x - mean),        W = Cov(x)^(-1/2),    P = projection on the columns of W Cov(x, z)

All projections of this package have that shape, x less `left @ right @ (x - mean)`, and can be put on an encoder with
`auditkit.mitigation.sentence_debias.DebiasedEncoder`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np

from auditkit import extras
from auditkit.errors import DataError
from auditkit.mitigation.baseline import MAX_ITERATIONS, ClassifierDecider, Stage, check_train, known, known_features
from auditkit.mitigation.task import Bools, Floats, Split, Texts

SPREAD_TOLERANCE = 1e-12
"""Directions in which the features spread less than this, relative to the widest, are rounding."""
RANK_TOLERANCE = 1e-9
"""Correlations, and relative lengths of directions, below this are rounding: n people correlate by about 1/sqrt(n) by
chance alone."""


@dataclass(frozen=True, slots=True)
class Projection:
    """An affine map x -> x - left @ right @ (x - mean) that takes k directions out of the features.

    Attributes:
        method: as in a report, e.g. "LEACE".
        mean: (d,) the point that stays where it is.
        left: (d, k) the directions along which features move.
        right: (k, d) what is read off the features; right @ left is the identity, so that the map is idempotent.
    """

    method: str
    mean: Floats
    left: Floats
    right: Floats

    @classmethod
    def orthogonal(cls, method: str, directions: Floats) -> Self:
        """The orthogonal projection (through 0) on what is perpendicular to the (k, d) `directions`."""
        _, sizes, rows = np.linalg.svd(directions, full_matrices=False)
        basis = rows[sizes > RANK_TOLERANCE * sizes.max(initial=0.0)]
        return cls(method, np.zeros(directions.shape[1]), basis.T, basis)

    @property
    def rank(self) -> int:
        """How many directions are taken out."""
        return len(self.right)

    @property
    def sha256(self) -> str:
        """Hash of the map."""
        digest = hashlib.sha256(self.method.encode())
        for array in (self.mean, self.left, self.right):
            digest.update(f"|{array.shape}|".encode())
            digest.update(np.ascontiguousarray(array, dtype=np.float64).tobytes())
        return digest.hexdigest()

    def apply(self, x: Floats) -> Floats:
        """(n, d) features without these directions.

        Raises:
            DataError: another number of features.
        """
        if x.ndim != 2 or x.shape[1] != len(self.mean):
            raise DataError(f"{self.method}: features of shape {x.shape}; expected (n, {len(self.mean)})")
        return np.asarray(x - (x - self.mean) @ self.right.T @ self.left.T, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class LeaceEraser(Projection):
    """The projection of LEACE, fitted to features and a concept."""

    @classmethod
    def fit(cls, x: Floats, z: Floats, counts: Floats | None = None) -> Self:
        """Closed form of theorem 4.3, with the covariance of the sample as it is, not shrunk towards a simpler one.

        concept-erasure's fitter shrinks it by default. Either map erases exactly on the people that it is fitted to;
        they differ in the direction along which features move, the more the fewer people there are for each feature
        (docs/mitigation.md has figures).

        Args:
            x: (n, d) features; constant and collinear ones are welcome.
            z: (n,) or (n, k) the concept: groups as columns of 0 and 1 (`one_hot`), or numbers.
            counts: (n,) how many people each row stands for; None for one each.

        Raises:
            DataError: not one row of z for each of x, or no rows.
        """
        z = np.asarray(z, dtype=np.float64).reshape(len(z), -1)
        if len(x) != len(z) or len(x) < 2:
            raise DataError(f"{len(x)} rows of features and {len(z)} of the concept; expected as many, 2 or more")
        each = np.ones(len(x)) if counts is None else counts
        share = np.sqrt(each / each.sum())[:, None]
        mean, (scale, scaled) = np.average(x, axis=0, weights=each), _standardized(x, each)
        white, spreads, axes = np.linalg.svd(scaled * share, full_matrices=False)
        kept = spreads > SPREAD_TOLERANCE * spreads.max(initial=0.0)
        white, spreads, axes = white[:, kept], spreads[kept], axes[kept].T
        whitened = white.T @ (_standardized(z, each)[1] * share)  # (rank, k) correlations
        u, correlations, _ = np.linalg.svd(whitened, full_matrices=False)
        u = u[:, correlations > RANK_TOLERANCE]
        return cls("LEACE", mean, scale[:, None] * (axes * spreads @ u), (axes / spreads @ u).T / scale)


def one_hot(groups: Texts) -> Floats:
    """(n, k) a column of 0 and 1 for each group, in alphabetical order."""
    return (groups[:, None] == np.array(sorted(set(groups)), dtype=object)).astype(np.float64)


@dataclass(frozen=True, slots=True)
class ProjectedDecider:
    """A model of projected features.

    Attributes:
        projection: applied to the features first.
        decider: decides by what is left.
        about: what a report should say of how it was made.
    """

    projection: Projection
    decider: ClassifierDecider
    about: Mapping[str, Any] = field(default_factory=dict)

    def represent(self, people: Split) -> Floats:
        """(n, d) what the model is given to know of each: the features to look for traces of the groups in."""
        return self.projection.apply(known_features(people, len(self.projection.mean)))

    def scores(self, people: Split) -> Floats:
        """(n,) probability of the favourable outcome."""
        return self.decider.scores(replace(people, features=self.represent(people)))

    def decide(self, people: Split) -> Bools:
        """(n,) whether the score is at least one half."""
        return self.decider.decide(replace(people, features=self.represent(people)))


@dataclass(frozen=True, slots=True, kw_only=True)
class LEACE:
    """Logistic regression on features from which the groups were erased.

    No linear model of the erased features can tell the groups apart, so that the groups' mean log-odds of this one are
    alike. The shares above a threshold need not be: the spread may still differ between the groups. A direction is
    erased for every group but one, even where the groups differ by chance only: many groups, crossed ones in
    particular, take much from few features.
    """

    name: ClassVar[str] = "LEACE"
    stage: ClassVar[Stage] = "before"
    source: ClassVar[str] = "Belrose et al. (2023), NeurIPS"

    def fit(self, train: Split, *, sensitive: str, rng: np.random.Generator) -> ProjectedDecider:
        """Erase the groups from the features of `train`, then learn from them; nothing is drawn.

        What is erased is learned from those whose group is known.
        """
        people, groups = known(train, check_train(train, sensitive))
        eraser = LeaceEraser.fit(people.features, one_hot(groups), people.weights)
        return projected_logistic(
            eraser, train, shrinkage="none: the sample's covariance, where concept-erasure shrinks"
        )


@extras.explained()
def projected_logistic(projection: Projection, train: Split, **about: Any) -> ProjectedDecider:
    """Logistic regression on projected features, in units of the standard deviations that they had before.

    Standardised anew, what little is left along an erased direction would count as much as everything else.

    Args:
        projection: of the features.
        train: people to learn from, each as often as they count.
        about: what a report should say of how it was made.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(train.features, sample_weight=train.weights)
    left = scaler.transform(projection.apply(train.features))
    model = LogisticRegression(max_iter=MAX_ITERATIONS).fit(left, train.label, sample_weight=train.weights)
    return ProjectedDecider(projection, ClassifierDecider(Pipeline([("scale", scaler), ("decide", model)])), about)


def _standardized(x: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Standard deviations (1 for a constant column) and the centred columns over them.

    LEACE does not depend on the scale of the columns; the rank of their covariance, computed in floating point, does.
    """
    centred = x - np.average(x, axis=0, weights=counts)
    spread = np.sqrt(np.average(centred**2, axis=0, weights=counts))
    constant = spread <= SPREAD_TOLERANCE * np.abs(x).max(axis=0)
    scale = np.where(constant, 1.0, spread)
    return scale, np.where(constant, 0.0, centred / scale)
