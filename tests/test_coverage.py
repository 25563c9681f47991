"""How often the intervals of a report hold the truth, by simulation. docs/statistics.md lists what each one covers.

Every case draws data whose truth is known and makes the interval as a probe does. The fast runs tell 95 % from 91; the
slow ones hold each case to 95 +- 1.5 %, or, where it says so, to that and wider. Wilson's and Clopper & Pearson's, the
means and slopes of clusters, calibration, group gaps, WEAT, the TPR and the bounds of epsilon have their simulations
beside their other tests.
"""

import math
from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import pytest

import auditkit
from auditkit import stats
from auditkit.compression.cost import median_interval
from auditkit.compression.exemplars import over_representation
from auditkit.correlations import correlation_difference, correlation_interval
from auditkit.explain.introspection import _selectivity
from auditkit.fairness.bootstrap import pairwise_ratios, wilson_bounds
from auditkit.fairness.discrimination import area_difference, discrimination_by_group
from auditkit.fairness.paired import compare
from auditkit.fairness.people import Partition
from auditkit.gate import _family_wise
from auditkit.mitigation.traces import Told
from auditkit.privacy.roc import auc
from auditkit.probes.stereoset import icat, icat_interval

PHI = NormalDist()
RESAMPLES = 499
PACKAGE = Path(auditkit.__file__).parent

Draw = Callable[[np.random.Generator], tuple[float, object]]


class Case(NamedTuple):
    """`draw` gives a truth and an interval; the interval holds it in `least` to `most` of the draws."""

    draw: Draw
    least: float = 0.935
    most: float = 0.965
    fast: int = 300
    slow: int = 4_000


CONSERVATIVE = 1.0


# --- correlations -----------------------------------------------------------------------------------------------------


def noise(kind: str, g: np.random.Generator, x: np.ndarray) -> np.ndarray:
    """(n,) with variance 1 on average."""
    if kind == "skewed":
        return g.exponential(size=len(x)) - 1
    if kind == "wide ends":  # the spread grows with the distance from the middle of x
        spread = np.sqrt(0.3 + 1.4 * np.abs(x) / np.abs(x).max())
        return spread / math.sqrt(float((spread**2).mean())) * g.normal(size=len(x))
    return g.normal(size=len(x))


def scores(kind: str, n: int, *rhos: float, shared: float = 0.0) -> Callable:
    """x of the items, and for each rho scores that correlate so with it; `shared` of their noise is common."""

    def draw(g: np.random.Generator) -> list[np.ndarray]:
        x = g.normal(size=n) if kind in ("normal", "heavy tails") else np.linspace(-1, 1, n)
        spread = 1.0 if kind in ("normal", "heavy tails") else math.sqrt(float((x**2).mean()))
        common = noise(kind, g, x)
        own = [math.sqrt(shared) * common + math.sqrt(1 - shared) * noise(kind, g, x) for _ in rhos]
        found = [x, *(r / spread * x + math.sqrt(1 - r * r) * e for r, e in zip(rhos, own, strict=True))]
        weight = np.sqrt(5 / g.chisquare(5, n)) if kind == "heavy tails" else 1.0
        return [weight * f for f in found]

    return draw


def correlation(kind: str, n: int, rho: float) -> Draw:
    make = scores(kind, n, rho)
    return lambda g: (rho, correlation_interval(*make(g)))


def change_of_correlation(kind: str, a: float, b: float, shared: float) -> Draw:
    make = scores(kind, 62, a, b, shared=shared)
    return lambda g: (b - a, correlation_difference(*make(g)))


# --- areas under the ROC ----------------------------------------------------------------------------------------------


def area(m: int, n: int, truth: float, spread: float = 1.0) -> Draw:
    """Members `spread` times as wide as non-members."""
    distance = PHI.inv_cdf(truth) * math.hypot(1, spread)
    return lambda g: (truth, auc(g.normal(distance, spread, m), g.normal(size=n)).interval)


def some_remembered(m: int, n: int, truth: float) -> Draw:
    """A share of the members is told without fail, the others not at all."""

    def draw(g: np.random.Generator) -> tuple[float, object]:
        known = g.random(m) < 2 * truth - 1
        return truth, auc(g.normal(size=m) + 100 * known, g.normal(size=n)).interval

    return draw


def gap_of_areas(g: np.random.Generator) -> tuple[float, object]:
    codes = np.repeat([0, 1, 2], [120, 200, 90])
    label = g.random(len(codes)) < 0.5
    areas = np.array([0.95, 0.9, 0.8])
    score = g.normal(size=len(codes)) + label * math.sqrt(2) * np.array([PHI.inv_cdf(a) for a in areas])[codes]
    groups = discrimination_by_group(Partition(("g",), ("a", "b", "c"), codes), label, score)
    return 0.15, area_difference(groups).interval


# --- means that few decide, and changes that few make -----------------------------------------------------------------


def rare(n: int, share: float) -> Draw:
    def draw(g: np.random.Generator) -> tuple[float, object]:
        values = 100.0 * (g.random(n) < share)
        return 100 * share, stats.cluster_bootstrap(
            values, np.arange(n), bounds=(0, 100), rng=g, resamples=RESAMPLES
        )  # fmt: skip

    return draw


def rare_in_clusters(clusters: int, share: float) -> Draw:
    """Items of one cluster are alike (intra-class correlation 1/5), and clusters are of unequal size."""

    def draw(g: np.random.Generator) -> tuple[float, object]:
        group = np.repeat(np.arange(clusters), 1 + g.poisson(4, clusters))
        values = 100.0 * (g.random(len(group)) < g.beta(4 * share, 4 - 4 * share, clusters)[group])
        return 100 * share, stats.cluster_bootstrap(values, group, bounds=(0, 100), rng=g, resamples=RESAMPLES)

    return draw


def changed_answers(n: int, lost: float, won: float) -> Callable:
    """(n,) -1 where an answer is lost, 1 where it is won."""

    def draw(g: np.random.Generator) -> np.ndarray:
        u = g.random(n)
        return (u > 1 - won).astype(float) - (u < lost)

    return draw


def paired_share(n: int, lost: float, won: float) -> Draw:
    make = changed_answers(n, lost, won)

    def draw(g: np.random.Generator) -> tuple[float, object]:
        change = 100 * make(g)
        found = stats.paired_bootstrap(np.where(change < 0, 100.0, 0.0), np.where(change > 0, 100.0, 0.0), rng=g,
                                       span=100, resamples=RESAMPLES)  # fmt: skip
        return 100 * (won - lost), found

    return draw


def change_of_rate(n: int, lost: float, won: float) -> Draw:
    make = changed_answers(n, lost, won)

    def draw(g: np.random.Generator) -> tuple[float, object]:
        change = make(g)
        before = np.where(change == 0, g.random(n) < 0.5, change < 0)
        after = np.where(change == 0, before, change > 0).astype(bool)
        everybody = Partition(("all",), ("all",), np.zeros(n, dtype=np.int64))
        found = compare(everybody, np.ones(n, dtype=bool), before.astype(bool), after, rng=g, resamples=200)
        return won - lost, next(c for c in found if c.metric == "selection_rate").groups[0].interval

    return draw


# --- ratios, medians and others ---------------------------------------------------------------------------------------


def exemplars(n: int, others: int, share: float, elsewhere: float) -> Draw:
    def draw(g: np.random.Generator) -> tuple[float, object]:
        hits, rest = int(g.binomial(n, share)), int(g.binomial(others, elsewhere))
        return share / elsewhere, over_representation((hits, n), (rest, others))[1]

    return draw


def impact_ratio(g: np.random.Generator) -> tuple[float, object]:
    rates, sizes = np.array([0.2, 0.3]), np.array([60, 150])
    hits = g.binomial(sizes, rates)
    low, high = pairwise_ratios(hits / sizes, wilson_bounds(hits, sizes, 1.959964))
    return 2 / 3, Ends(low[0, 1], high[0, 1])


class Ends(NamedTuple):
    """What may be infinite."""

    low: float
    high: float

    def __contains__(self, value: object) -> bool:
        return self.low <= value <= self.high


def median(n: int) -> Draw:
    return lambda g: (1.0, median_interval(np.exp(0.1 * g.standard_t(3, n))))


def icat_of_terms(n: int, lms: float, ss: float, items: int) -> Draw:
    """Terms differ (a beta distribution of size 10), and each has a few items."""

    def draw(g: np.random.Generator) -> tuple[float, object]:
        shares = [g.beta(10 * s, 10 - 10 * s, n) for s in (lms, ss)]
        rows = [100 * g.binomial(k, s) / k for k, s in zip((2 * items, items), shares, strict=True)]
        terms = {str(i): (float(a), float(b)) for i, (a, b) in enumerate(zip(*rows, strict=True))}
        return float(icat(100 * lms, 100 * ss)), icat_interval(terms, g)

    return draw


def selectivity(words: int) -> Draw:
    """A layer that knows nothing: the group's labels are as hard to learn as any control's."""

    def draw(g: np.random.Generator) -> tuple[float, object]:
        types = np.repeat(np.arange(words), 5)
        hard = g.normal(0, 0.3, (9, words)) + g.normal(0, 0.2, (9, 1))
        right = g.normal(size=(9, len(types))) < 0.5 + hard[:, types]
        return 0.0, _selectivity(right.astype(float), types)[1]

    return draw


def knowledge(n: int) -> Draw:
    """What people's texts tell of their group: most a little, some the contrary."""
    return lambda g: (20.0, Told(100 * (0.5 - 0.3 * g.exponential(size=n))).information(g))


def of_gap(draw: Draw) -> Draw:
    def inner(g: np.random.Generator) -> tuple[float, object]:
        truth, gap = draw(g)
        return truth, gap.interval

    return inner


def family(k: int) -> Draw:
    """1 where all k intervals hold together: the truth "1" lies in what they say."""

    def draw(g: np.random.Generator) -> tuple[float, object]:
        hits = g.binomial(80, 0.3, k)
        wide = [_family_wise(h / 80, stats.wilson(int(h), 80), k, (0.0, 1.0)) for h in hits]
        return 1.0, Ends(1.0, 1.0) if all(0.3 in w for w in wide) else Ends(0.0, 0.0)

    return draw


CASES = {
    "correlation, normal, n=60": Case(correlation("normal", 60, 0.4)),
    "correlation, heavy tails, n=60": Case(correlation("heavy tails", 60, 0.4), most=0.975),
    "correlation, spread grows, n=60": Case(correlation("wide ends", 60, 0.4), most=0.975),
    "correlation, skewed, n=60": Case(correlation("skewed", 60, 0.4), least=0.925),
    "correlation, normal, n=20": Case(correlation("normal", 20, 0.0), most=0.975),
    "correlation, spread grows, n=20": Case(correlation("wide ends", 20, 0.4)),
    "correlations, normal": Case(change_of_correlation("normal", 0.3, 0.7, 0.5), most=0.975),
    "correlations, spread grows": Case(change_of_correlation("wide ends", 0.0, 0.0, 0.0)),
    "correlations, heavy tails": Case(change_of_correlation("heavy tails", 0.3, 0.7, 0.5), most=0.98),
    "area, 10 and 10": Case(area(10, 10, 0.7), most=CONSERVATIVE),
    "area, 10 and 100, .9": Case(area(10, 100, 0.9), most=CONSERVATIVE),
    "area, 10 and 1,000, .97": Case(area(10, 1000, 0.97), most=CONSERVATIVE),
    "area, 30 and 300, .97": Case(area(30, 300, 0.97), most=CONSERVATIVE),
    "area, 300 and 30, .03": Case(area(300, 30, 0.03), most=CONSERVATIVE),
    "area, 30 wide ones and 300, .97": Case(area(30, 300, 0.97, 3.0), most=CONSERVATIVE),
    "area, 100 and 100, .99": Case(area(100, 100, 0.99, 1 / 3), most=CONSERVATIVE),
    "area, 100 and 100, .5": Case(area(100, 100, 0.5)),
    "area, some remembered": Case(some_remembered(30, 300, 0.97), most=CONSERVATIVE),
    "gap of areas": Case(gap_of_areas, most=CONSERVATIVE, fast=150, slow=1_500),
    "rare, 5 % of 60": Case(rare(60, 0.05), most=CONSERVATIVE, fast=120, slow=1_500),
    "rare, 2 % of 150": Case(rare(150, 0.02), most=CONSERVATIVE, fast=120, slow=1_500),
    "rare, 98 % of 150": Case(rare(150, 0.98), most=CONSERVATIVE, fast=120, slow=1_500),
    "rare, in clusters": Case(rare_in_clusters(100, 0.05), least=0.92, most=CONSERVATIVE, fast=120, slow=1_500),
    "paired, 5 of 100 lost": Case(paired_share(100, 0.05, 0.0), most=CONSERVATIVE, fast=120, slow=1_500),
    "paired, 2 of 100 lost, often none": Case(paired_share(60, 0.02, 0.0), most=CONSERVATIVE, fast=120, slow=1_500),
    "paired, some lost and some won": Case(paired_share(150, 0.03, 0.01), most=CONSERVATIVE, fast=120, slow=1_500),
    "change of a rate, 5 % of 60": Case(change_of_rate(60, 0.05, 0.0), most=CONSERVATIVE, fast=150, slow=1_500),
    "change of a rate, 2 % of 200": Case(change_of_rate(200, 0.02, 0.02), most=CONSERVATIVE, fast=150, slow=1_500),
    "exemplars, 3 of 30": Case(exemplars(30, 300, 0.1, 0.1), most=CONSERVATIVE),
    "exemplars, 1 of 30": Case(exemplars(30, 300, 0.03, 0.1), most=CONSERVATIVE),
    "exemplars, 30 of 100": Case(exemplars(100, 300, 0.3, 0.1), most=0.975),
    "impact ratio": Case(impact_ratio),
    "median of 21": Case(median(21), most=CONSERVATIVE),
    "median of 6": Case(median(6), most=CONSERVATIVE),
    "icat, 12 terms": Case(icat_of_terms(12, 0.85, 0.55, 27), most=0.99, fast=30, slow=600),
    "icat, 40 terms at the peak": Case(icat_of_terms(40, 0.85, 0.5, 9), most=0.99, fast=30, slow=600),
    "icat, 40 terms on a side": Case(icat_of_terms(40, 0.85, 0.65, 9), most=0.975, fast=30, slow=600),
    "selectivity": Case(selectivity(20), most=CONSERVATIVE),
    "knowledge of a group": Case(of_gap(lambda g: knowledge(200)(g)), least=0.925, fast=60, slow=400),
    "five rates at once": Case(family(5), most=0.975, fast=200, slow=2_000),
}


def coverage(case: Case, draws: int) -> float:
    found = (case.draw(np.random.default_rng([7, seed])) for seed in range(draws))
    return float(np.mean([truth in interval for truth, interval in found]))


@pytest.mark.parametrize("name", CASES)
def test_the_interval_covers(name):
    case = CASES[name]
    reach = 3.5 * math.sqrt(0.05 * 0.95 / case.fast)
    assert case.least - reach <= coverage(case, case.fast) <= case.most + reach


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_interval_covers_to_within_one_and_a_half_points(name):
    case = CASES[name]
    reach = 2 * math.sqrt(0.05 * 0.95 / case.slow)
    assert case.least - reach <= coverage(case, case.slow) <= case.most + reach


def test_every_place_that_makes_an_interval_is_listed_with_what_it_covers():
    """A new one needs a simulation, or the reason why it has none."""
    makers = [f.relative_to(PACKAGE).as_posix() for f in PACKAGE.rglob("*.py") if "Interval(" in f.read_text("utf-8")]
    page = (PACKAGE.parent / "docs" / "statistics.md").read_text("utf-8")
    assert len(makers) > 25
    assert [m for m in makers if f"`{m}`" not in page] == []
