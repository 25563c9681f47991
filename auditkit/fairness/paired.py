"""Two models on the same people: what changed for each group, and whether the groups came closer together.

The change of the largest difference has a trap. After a successful mitigation the groups hardly differ, and the largest
of small differences is mostly chance; a bootstrap of it as it stands then misses the truth far more often than it says
(here in 7 of 10 cases for six groups). Its interval is therefore put together from pairwise intervals that hold jointly
for both models and for the change between them: the largest difference can only be that of a pair which may be the
largest.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from auditkit import rare_events
from auditkit.errors import DataError
from auditkit.fairness import metrics
from auditkit.fairness.bootstrap import LARGEST_CRITICAL, RESAMPLES, resample
from auditkit.fairness.groups import Gap
from auditkit.fairness.metrics import METRICS, SMALL_CELL, Floats, Ints
from auditkit.fairness.people import Bools, Partition
from auditkit.measurement import LEVEL, Interval

Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class GroupChange:
    """One metric of one group under both models.

    Attributes:
        group: its name.
        n: among how many people the metric counts, under the model where these are fewer.
        before: the first model's rate; None over nobody.
        after: the second model's rate; None over nobody.
        interval: of after - before; None where one of them is missing.
        p_value: exact McNemar test; None for precision, whose people differ between the models.
    """

    group: str
    n: int
    before: float | None
    after: float | None
    interval: Interval | None
    p_value: float | None

    @property
    def small(self) -> bool:
        """Whether the change rests on too few people to be compared with others."""
        return self.n < SMALL_CELL


@dataclass(frozen=True, slots=True)
class Change:
    """One metric under both models: group by group, and the change of the largest difference among groups.

    Attributes:
        metric: a key of `METRICS`.
        partition: the groups.
        groups: every group, small ones too.
        difference: the second model's difference less the first's, over the groups that are not small; None where
            fewer than two are.
        n: among how many people of the groups compared.
    """

    metric: str
    partition: Partition
    groups: tuple[GroupChange, ...]
    difference: Gap | None
    n: int

    @property
    def difference_of_all(self) -> float | None:
        """The change of the largest difference among all groups, however small."""
        before = [g.before for g in self.groups if g.before is not None]
        after = [g.after for g in self.groups if g.after is not None]
        return max(after) - min(after) - (max(before) - min(before)) if before and after else None


class _Rates(NamedTuple):
    """Rates of both models, (2, G), and of the resamples, (2, B, G), and how many people each is over, (2, G)."""

    values: Floats
    drawn: Floats
    trials: Ints


def compare(
    partition: Partition,
    label: Bools,
    before: Bools,
    after: Bools,
    *,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> list[Change]:
    """Every metric of `METRICS` under two models, paired person by person.

    Args:
        partition: each person's group.
        label: (n,) whether the true outcome is positive.
        before: (n,) what the first model predicted.
        after: (n,) what the second model predicted.
        rng: draws the resamples.
        resamples: how many of them.

    Raises:
        DataError: not as many predictions of one model as of the other, or as there are people.
    """
    if len({len(partition.codes), len(label), len(before), len(after)}) > 1:
        raise DataError(
            f"{len(partition.codes)} people, {len(label)} labels, {len(before)} and {len(after)} predictions; expected "
            "the same people in all of them"
        )
    cells = ((partition.codes * 2 + label) * 2 + before) * 2 + after
    counts = np.bincount(cells, minlength=8 * len(partition.groups)).reshape(-1, 2, 2, 2)  # (G, label, before, after)
    drawn = resample(counts, rng, resamples)
    return [_change(metric, partition, counts, drawn) for metric in METRICS]


def _change(metric: str, partition: Partition, counts: Ints, drawn: Ints) -> Change:
    found = _rates(metric, counts, drawn)
    fewest = found.trials.min(axis=0)
    kept = fewest >= SMALL_CELL
    difference = _difference(_Rates(found.values[:, kept], found.drawn[:, :, kept], found.trials[:, kept]))
    if difference is not None and not disagreements(metric, counts).any():
        difference = Gap(0.0, _no_change(fewest[kept]))
    return Change(metric, partition, _groups(metric, partition, counts, found), difference, int(fewest[kept].sum()))


def _no_change(people: Ints) -> Interval:
    """Of a largest difference, where both models agree on all of `people` (G,): the two least known groups may part."""
    most = math.hypot(*heapq.nlargest(2, (rare_events.of_changes(0, 0, n, LEVEL)[1] for n in people.tolist())))
    return Interval(-most, most, method="Wilson's: both models agree on everybody here")


def _rates(metric: str, counts: Ints, drawn: Ints) -> _Rates:
    sides = [metrics.shares(counts.sum(axis=axis), metric) for axis in (-1, -2)]
    resampled = [metrics.shares(drawn.sum(axis=axis), metric) for axis in (-1, -2)]
    values, rates = (np.stack([metrics.rates(*side) for side in which]) for which in (sides, resampled))
    return _Rates(values, np.where(np.isnan(rates), values[:, None], rates), np.stack([n for _, n in sides]))


def disagreements(metric: str, counts: Ints) -> Ints:
    """(G,) how many people `metric` counts differently under the two models."""
    cells = [np.array(t) for t in (METRICS[metric].successes, METRICS[metric].trials)]
    differ = np.any([cell[:, :, None] != cell[:, None, :] for cell in cells], axis=0)
    return np.asarray((counts * differ).sum(axis=(1, 2, 3)))


def discordant(metric: str, counts: Ints) -> tuple[Ints, Ints]:
    """(G,) how many people only the first, and only the second model counts as a success."""
    success = np.array(METRICS[metric].successes, dtype=bool)
    first, second = success[:, :, None], success[:, None, :]
    return (counts * (first & ~second)).sum(axis=(1, 2, 3)), (counts * (second & ~first)).sum(axis=(1, 2, 3))


def _groups(metric: str, partition: Partition, counts: Ints, found: _Rates) -> tuple[GroupChange, ...]:
    from scipy.stats import binom

    only_before, only_after = discordant(metric, counts)
    fewer = np.minimum(only_before, only_after)
    p_values = np.minimum(1.0, 2 * binom.cdf(fewer, only_before + only_after, 0.5))
    fixed = np.ptp(np.array(METRICS[metric].trials), axis=1).max() == 0  # the model does not choose the people
    errors = np.where(disagreements(metric, counts) > 0, _errors(found)[2], 0.0)
    rows = []
    for i, group in enumerate(partition.groups):
        n, (before, after) = int(found.trials[:, i].min()), found.values[:, i].tolist()
        change, reach = after - before, Z * float(errors[i])
        below = above = reach
        if n and (fixed or reach == 0):  # few changed decisions, or none, do not show how many there may be
            rare = rare_events.of_changes(int(only_after[i]), int(only_before[i]), n, LEVEL)
            below, above = max(below, rare[0]), max(above, rare[1])
        rows.append(
            GroupChange(
                group=group,
                n=n,
                before=before if found.trials[0, i] else None,
                after=after if found.trials[1, i] else None,
                interval=Interval(change - below, change + above, method=_METHOD) if n else None,
                p_value=float(p_values[i]) if fixed and n else None,
            )
        )
    return tuple(rows)


_METHOD = "the wider of normal, from multinomial resamples of both models' joint counts, and Wilson, of the changes"


def _errors(found: _Rates) -> Floats:
    """(3, G) standard errors of the first rate, the second, and the change; at least those of one person more."""
    spread = np.stack([*found.drawn, found.drawn[1] - found.drawn[0]]).std(axis=1)
    return np.maximum(spread, 1 / np.maximum(found.trials.min(axis=0), 1))


def _difference(found: _Rates) -> Gap | None:
    """Change of the largest difference among at least two groups."""
    groups = found.values.shape[1]
    if groups < 2:
        return None
    i, j = np.nonzero(~np.eye(groups, dtype=bool))
    values = np.stack([*found.values, found.values[1] - found.values[0]])  # (3, G)
    drawn = np.stack([*found.drawn, found.drawn[1] - found.drawn[0]])  # (3, B, G)
    errors = _errors(found)
    gaps, reach = values[:, i] - values[:, j], np.hypot(errors[:, i], errors[:, j])  # (3, pairs)
    reach *= _critical(drawn - values[:, None], errors)
    (low_a, low_b, low), (high_a, high_b, high) = gaps - reach, gaps + reach
    least_a, least_b = max(0.0, low_a.max()), max(0.0, low_b.max())
    may_be_largest_a, may_be_largest_b = high_a >= low_a.max(), high_b >= low_b.max()
    lowest = np.maximum(low, least_b - high_a)[may_be_largest_a].min()
    highest = np.minimum(high, high_b - least_a)[may_be_largest_b].max()
    value = float(gaps[1].max() - gaps[0].max())
    method = f"jointly valid pairwise intervals of both models and their change, {drawn.shape[1]} multinomial resamples"
    return Gap(value, Interval(min(float(lowest), value), max(float(highest), value), method=method))


def _critical(deviations: Floats, errors: Floats) -> float:
    """The 95 % quantile of the largest standardised pairwise deviation, over all pairs and all three differences."""
    largest = np.zeros(deviations.shape[1])
    for i in range(deviations.shape[2] - 1):
        rest = slice(i + 1, None)
        scale = np.hypot(errors[:, None, rest], errors[:, None, i, None])
        pairs = np.abs(deviations[:, :, rest] - deviations[:, :, i, None]) / scale
        np.maximum(largest, pairs.max(axis=(0, 2)), out=largest)
    return float(np.clip(np.quantile(largest, 0.95), Z, LARGEST_CRITICAL))
