"""The wild cluster bootstrap-t: tests, and by inversion intervals, of a mean or a slope of clustered items.

Cameron, Gelbach & Miller (2008), Review of Economics and Statistics 90(3), with the null imposed. Each cluster's
residuals keep or change their sign, so that a test of "no difference" is a sign-flipping test. Where few clusters
leave few sign patterns, the six-point weights of Webb (2023), Canadian Journal of Economics 56(3).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FEW_CLUSTERS = 12
SIGNS = np.array([-1.0, 1.0])
WEBB = np.array([sign * math.sqrt(k / 2) for sign in (-1, 1) for k in (1, 2, 3)])
CELLS = 200_000  # weights drawn at a time: they stay in the processor's cache
TIE = 1e-10  # statistics closer than this share of each other differ by rounding only
FARTHEST = 2.0**12  # standard errors from the estimate at which the search for an end gives up


class WildClusterTest:
    """Tests every value of a mean or a slope with one set of random weights.

    The estimate is sum(z y) / sum(z z), where z is 1 for a mean and the centred covariate for a slope. Under the null
    hypothesis that the truth is `estimate + shift` the residuals are e - shift * z. The effects and scores that they
    give in a resample are linear in the residuals: they are worked out once for e and once for z, after which a test
    of any null value costs one pass over the resamples.

    Attributes:
        estimate: the mean or the slope.
        error: its cluster-robust standard error; 0 where the clusters do not differ.
        clusters: how many there are.
    """

    def __init__(self, y: Floats, x: Floats | None, group: Ints, *, rng: np.random.Generator, resamples: int) -> None:
        """Fit to values `y` (n,), covariate `x` (n,) or None for a mean, and cluster numbers `group` (n,) from 0."""
        z = np.ones_like(y) if x is None else x - x.mean()
        centred = y if x is None else y - y.mean()
        self.estimate = float(z @ centred / (z @ z))
        self.clusters = int(group.max()) + 1
        e = centred - self.estimate * z
        self._information = float(z @ z)
        self._score_norm = float(np.linalg.norm(np.bincount(group, z * e)))
        if self._score_norm <= TIE * np.abs(z * y).sum():
            self._score_norm = 0.0
        self.error = self._score_norm / self._information
        if self.error == 0:  # nothing to test with
            return
        self._moments = np.concatenate(
            [_moments(w, z, e, group, slope=x is not None) for w in _weights(rng, resamples, self.clusters)], axis=1
        )

    def p_value(self, shift: float) -> float:
        """Two-sided p-value of the null hypothesis that the truth is `estimate + shift`."""
        effect_e, effect_z, ee, ez, zz = self._moments
        variance = ee - 2 * shift * ez + shift**2 * zz
        observed = (shift * self._information / self._score_norm) ** 2
        extreme = (effect_e - shift * effect_z) ** 2 >= observed * variance * (1 - TIE)
        return float((1 + extreme.sum()) / (1 + len(extreme)))

    def end(self, sign: int, alpha: float) -> float:
        """The end of the interval below (sign -1) or above (+1) the estimate; infinite where nothing is rejected."""
        inside, outside = 0.0, self.error
        while self.p_value(sign * outside) > alpha:
            inside, outside = outside, 2 * outside
            if outside > FARTHEST * self.error:
                return sign * math.inf
        for _ in range(40):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if self.p_value(sign * middle) > alpha else (inside, middle)
        return self.estimate + sign * outside


def _weights(rng: np.random.Generator, resamples: int, clusters: int) -> Iterator[Floats]:
    """One weight per cluster, in all (resamples, clusters), a part at a time to bound memory."""
    values = WEBB if clusters < FEW_CLUSTERS else SIGNS
    rows = max(1, CELLS // clusters)
    for start in range(0, resamples, rows):
        yield rng.choice(values, (min(rows, resamples - start), clusters))


def _moments(w: Floats, z: Floats, e: Floats, group: Ints, *, slope: bool) -> Floats:
    """(5, len(w)): effects of e and of z, and the sums of squares and products of their scores."""
    effect_e, scores_e = _scores(w, z, e, group, slope=slope)
    effect_z, scores_z = _scores(w, z, z, group, slope=slope)
    products = [
        np.einsum("rg,rg->r", a, b) for a, b in ((scores_e, scores_e), (scores_e, scores_z), (scores_z, scores_z))
    ]
    return np.stack([effect_e, effect_z, *products])


def _scores(w: Floats, z: Floats, residuals: Floats, group: Ints, *, slope: bool) -> tuple[Floats, Floats]:
    """Effect (r,) in each resample of the residuals, and each cluster's score (r, G) after refitting there.

    The null leaves the intercept of a slope to be estimated, which draws the residuals of a large cluster towards 0;
    taking each cluster's from the intercept of the others undoes that (MacKinnon, Nielsen & Webb, 2022, "Fast and
    reliable jackknife and bootstrap methods for cluster-robust inference").
    """
    if slope:
        sums, sizes = np.bincount(group, residuals), np.bincount(group)
        residuals = residuals + (sums / (len(z) - sizes))[group]
    by_cluster = np.bincount(group, z * residuals)
    effect = w @ by_cluster
    scores = w * by_cluster - np.outer(effect / (z @ z), np.bincount(group, z * z))
    if slope:  # the refitted intercept
        intercept = w @ np.bincount(group, residuals) / len(z)
        scores -= np.outer(intercept, np.bincount(group, z))
    return effect, scores
