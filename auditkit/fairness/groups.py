"""Each metric in each group, how far the groups are apart, and which of them differ from everybody else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from auditkit import stats
from auditkit.fairness import bootstrap, metrics
from auditkit.fairness.metrics import SMALL_CELL, Floats, Ints
from auditkit.fairness.people import Bools, Partition
from auditkit.measurement import Interval


@dataclass(frozen=True, slots=True)
class GroupRate:
    """One metric of one group.

    Attributes:
        group: its name, as in "sex=Female+race=Black".
        successes: how many people are counted.
        trials: among how many.
        value: successes / trials; None over nobody.
        interval: Wilson interval of it.
        p_value: Fisher's exact test of the group against everybody else, two-sided; None where nobody is compared.
    """

    group: str
    successes: int
    trials: int
    value: float | None
    interval: Interval | None
    p_value: float | None

    @property
    def small(self) -> bool:
        """Whether the rate rests on too few people to be compared with others."""
        return self.trials < SMALL_CELL


@dataclass(frozen=True, slots=True)
class Gap:
    """How far apart the groups are: the largest difference, or the smallest ratio, with its interval."""

    value: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class MetricByGroup:
    """One metric over one partition.

    Attributes:
        metric: a key of `METRICS`.
        partition: the groups.
        groups: the metric in every one of them, in the partition's order, small cells too.
        difference: largest less smallest rate among the groups that are not small; None where fewer than two are.
        ratio: smallest over largest rate among them; None also where the largest is 0.
        critical: how many standard errors wide the pairwise intervals are that hold jointly.
    """

    metric: str
    partition: Partition
    groups: tuple[GroupRate, ...]
    difference: Gap | None
    ratio: Gap | None
    critical: float

    @property
    def compared(self) -> list[GroupRate]:
        """The groups between which `difference` and `ratio` are taken."""
        return [g for g in self.groups if not g.small]

    @property
    def lowest(self) -> GroupRate:
        """Of the groups compared, the one with the smallest rate."""
        return min(self.compared, key=lambda g: g.value or 0.0)

    @property
    def highest(self) -> GroupRate:
        """Of the groups compared, the one with the largest rate."""
        return max(self.compared, key=lambda g: g.value or 0.0)

    @property
    def difference_of_all(self) -> float | None:
        """The difference that fairlearn reports: that of all groups, however small."""
        values = [g.value for g in self.groups if g.value is not None]
        return max(values) - min(values) if values else None

    @property
    def ratio_of_all(self) -> float | None:
        """The ratio that fairlearn reports: that of all groups; None where the largest rate is 0."""
        values = [g.value for g in self.groups if g.value is not None]
        return min(values) / max(values) if any(values) else None


def measure_groups(
    partition: Partition,
    label: Bools,
    prediction: Bools,
    *,
    rng: np.random.Generator,
    resamples: int = bootstrap.RESAMPLES,
    chosen: Iterable[str] = tuple(metrics.METRICS),
) -> list[MetricByGroup]:
    """Every metric in every group, with intervals.

    Args:
        partition: each person's group.
        label: (n,) whether the true outcome is positive.
        prediction: (n,) whether the positive outcome was predicted.
        rng: draws the resamples.
        resamples: how many of them.
        chosen: which of `METRICS`.

    Raises:
        DataError: groups, labels and predictions are not of equally many people.
    """
    counts = metrics.count(partition.codes, label, prediction, groups=len(partition.groups))
    drawn = bootstrap.resample(counts, rng, resamples)
    return [_measure(metric, partition, counts, drawn) for metric in chosen]


def _measure(metric: str, partition: Partition, counts: Ints, drawn: Ints) -> MetricByGroup:
    successes, trials = metrics.shares(counts, metric)
    tested = against_others(successes, trials) if len(trials) > 1 else None
    groups = tuple(
        GroupRate(
            group=name,
            successes=int(s),
            trials=int(n),
            value=s / n if n else None,
            interval=stats.wilson(int(s), int(n)) if n else None,
            p_value=float(tested[i]) if tested is not None and n else None,
        )
        for i, (name, s, n) in enumerate(zip(partition.groups, successes.tolist(), trials.tolist(), strict=True))
    )
    difference, ratio, critical = _gaps(successes, trials, *metrics.shares(drawn, metric))
    return MetricByGroup(metric, partition, groups, difference, ratio, critical)


def _gaps(
    successes: Ints, trials: Ints, drawn_successes: Ints, drawn_trials: Ints
) -> tuple[Gap | None, Gap | None, float]:
    """Difference, ratio and critical value of the groups that are not small."""
    kept = trials >= SMALL_CELL
    successes, trials = successes[kept], trials[kept]
    critical = bootstrap.critical_value(successes, trials, drawn_successes[:, kept], drawn_trials[:, kept])
    if len(trials) < 2:
        return None, None, critical
    values, bounds = metrics.rates(successes, trials), bootstrap.wilson_bounds(successes, trials, critical)
    method = f"jointly valid pairwise Newcombe and Donner-Zou intervals, {len(drawn_trials)} multinomial resamples"
    low, high = bootstrap.difference_interval(values, bounds)
    difference = Gap(float(metrics.difference(values)), Interval(low, min(1.0, high), method=method))
    if not values.any():
        return difference, None, critical
    ratio = Gap(float(metrics.ratio(values)), Interval(*bootstrap.ratio_interval(values, bounds), method=method))
    return difference, ratio, critical


def against_others(successes: Ints, trials: Ints) -> Floats:
    """(G,) two-sided p-values of each group's rate against that of everybody else (Fisher, 1935).

    Exact for groups of any size: given how many people there are and how many of them are counted, a group's count is
    hypergeometric where the group makes no difference. Twice the smaller tail.
    """
    from scipy.stats import hypergeom

    total, counted = int(trials.sum()), int(successes.sum())
    at_most = hypergeom.cdf(successes, total, counted, trials)
    at_least = hypergeom.sf(successes - 1, total, counted, trials)
    return np.minimum(1.0, 2 * np.minimum(at_most, at_least))
