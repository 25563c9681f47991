"""Winogender: does the occupation that a sentence names decide the model's pronoun, as the labour market would?

Rudinger et al. (2018). A sentence names an occupation and another person, and its pronoun refers to one of them. For
each sentence, gap = log p(with her pronoun) - log p(with his). Two groups of sentences:

    occupation    the pronoun is that of the one with the occupation
    participant   it is that of the other person, about whom the occupation says nothing

Of each: slope and correlation of an occupation's mean gap with its share of women (`auditkit.probes.pronoun_gap`), and
the mean. The paper correlates what coreference systems resolve; a language model is asked for likelihoods instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from auditkit import data, stats
from auditkit.data.types import Occupation, WinogenderItem
from auditkit.errors import DataError, MissingCapability
from auditkit.models.protocols import Floats
from auditkit.probes.base import ItemScore, ProbeResult
from auditkit.probes.evidence import (
    check_null_items,
    less_left_out,
    random_weights_nulls,
    subset,
    summarize,
    undefined,
    with_data,
)
from auditkit.probes.likelihood import LIKELIHOOD_MODEL, preferences
from auditkit.probes.pronoun_gap import FEWEST, STATISTICS, measured, statistics

GROUPS = {"occupation": True, "participant": False}
"""Name of a group -> whether its pronouns refer to the occupation."""
ASKED = "the sentences about an occupation are averaged"
NO_DATA = (
    "winogender needs data, the folder of its files: get all_sentences.tsv and occupations-stats.tsv of "
    "github.com/rudinger/winogender-schemas (MIT licence), in its data/"
)


def gaps(model: Any, items: Sequence[WinogenderItem]) -> Floats:
    """(n,) log p(sentence with her pronoun) - log p(with his), in nats; NaN where a sentence is not read whole."""
    return preferences(model, [i.female for i in items], [i.male for i in items])


def by_occupation(items: Sequence[WinogenderItem], values: Floats) -> dict[str, float]:
    """Occupation -> mean of the values of its items; NaN where one of them is."""
    found: dict[str, list[float]] = {}
    for item, value in zip(items, values.tolist(), strict=True):
        found.setdefault(item.occupation, []).append(value)
    return {title: float(np.mean(of)) for title, of in found.items()}


@dataclass(frozen=True, kw_only=True)
class Winogender:
    """Slope, mean and correlation of the pronoun gap, of pronouns of the occupation and of the other person.

    Attributes:
        id: name in the report.
        data: the folder of the published files, or all_sentences.tsv alone: then without shares of women.
        null_items: on how many occupations the random-weights null is computed.
    """

    id: str = "winogender"
    data: str = ""
    null_items: int = 40

    needs: ClassVar[tuple[type, ...]] = LIKELIHOOD_MODEL
    needs_competence: ClassVar[bool] = True
    source: ClassVar[str] = "Rudinger et al. (2018), NAACL 2018, https://aclanthology.org/N18-2002"

    def __post_init__(self) -> None:
        check_null_items(self.null_items)

    def measure(self, model: Any, rng: np.random.Generator) -> ProbeResult:
        """The three statistics of each group, intervals over occupations.

        Raises:
            DataError: no data given.
            MissingCapability: the model reads too few of the sentences whole.
        """
        if not self.data:
            raise DataError(NO_DATA)
        dataset = data.load(self.data, "winogender")
        asked = {g: [i for i in dataset.items if i.of_occupation == own] for g, own in GROUPS.items()}
        groups = {g: _Group(f"{self.id}/{g}", items, gaps(model, items)) for g, items in asked.items() if items}
        nulls = self._nulls(model, groups, rng)
        weights, source = model.describe()["weights_sha256"], f"{self.source}; data: {dataset.source}"
        results = [g.result(nulls[name], weights, source, rng) for name, g in groups.items()]
        together = ProbeResult([m for r in results for m in r.measurements], [i for r in results for i in r.items])
        return with_data(together, dataset.sha256)

    def _nulls(
        self, model: Any, groups: Mapping[str, _Group], rng: np.random.Generator
    ) -> dict[str, dict[str, dict[str, Any]]]:
        """Of each group and statistic, on some of its occupations."""
        few = {name: g.some(max(self.null_items, FEWEST), rng) for name, g in groups.items()}

        def scores(random: Any) -> dict[tuple[str, str], float]:
            found = {n: _Group("", items, gaps(random, items)).statistics() for n, items in few.items()}
            return {(n, s): found[n].get(s, 0.0) for n, s in sizes}  # no slope where few have one share

        sizes = {(n, s): len({i.occupation for i in few[n]}) for n, g in groups.items() for s in g.statistics()}
        found = random_weights_nulls(model, scores, sizes)
        return {n: {s: found[n, s] for s in g.statistics()} for n, g in groups.items()}


class _Group:
    """The sentences of one group and their gaps; occupations of which one is not read whole are left out."""

    def __init__(self, prefix: str, items: Sequence[WinogenderItem], values: Floats) -> None:
        self.prefix, self.items, self.values = prefix, items, values
        found, shares = by_occupation(items, values), {i.occupation: i.female_share for i in items}
        self.asked = len(found)
        self.gap_of = {title: gap for title, gap in found.items() if not np.isnan(gap)}
        if not self.gap_of:
            raise MissingCapability("the model reads of no occupation all sentences whole")
        self.unknown = [title for title in self.gap_of if shares[title] is None]
        self.jobs = [Occupation(t, share) for t in self.gap_of if (share := shares[t]) is not None]

    def some(self, size: int, rng: np.random.Generator) -> list[WinogenderItem]:
        """The sentences about at most so many occupations."""
        titles = list(self.gap_of)
        chosen = {titles[i] for i in subset(len(titles), size, rng)}
        return [i for i in self.items if i.occupation in chosen]

    def statistics(self) -> dict[str, float]:
        """Those of STATISTICS that the known shares of women allow."""
        gap = np.array(list(self.gap_of.values()))
        if not self.has_slope:
            return {"mean_gap": float(gap.mean())}
        return statistics(np.array([o.female_share for o in self.jobs]), gap)

    @property
    def has_slope(self) -> bool:
        """Whether a line can be laid through the occupations."""
        return not self.unknown and len({o.female_share for o in self.jobs}) > 1 and len(self.jobs) >= FEWEST

    def result(self, nulls: Mapping[str, Any], weights: str, source: str, rng: np.random.Generator) -> ProbeResult:
        """Measurements and item scores; a slope without shares of women is undefined."""
        common = {"tie_rate": float((self.values == 0).mean()), "agreement": self._agreement()}
        validity = {s: {**common, "null": null, "weights_sha256": weights} for s, null in nulls.items()}
        if self.has_slope:
            gap = np.array(list(self.gap_of.values()))
            found = measured(self.prefix, self.jobs, gap, validity, source=source, asked=ASKED, rng=rng)
        else:
            found = self._mean(validity["mean_gap"], source, rng)
        counted = {"of": self.asked, "unscored": self.asked - len(self.gap_of)}
        return ProbeResult([less_left_out(m, **counted) for m in found.measurements], found.items)

    def _mean(self, validity: Mapping[str, Any], source: str, rng: np.random.Generator) -> ProbeResult:
        name = f"{self.prefix}/mean_gap"
        items = [ItemScore(name, title, gap, title) for title, gap in self.gap_of.items()]
        unit, method = STATISTICS["mean_gap"]
        common: dict[str, Any] = {"ideal": 0.0, "source": source}
        mean = summarize(
            items, unit=unit, method=f"{method}; {ASKED}", rng=rng, details={"validity": validity}, **common
        )
        reason = (
            f"of {len(self.gap_of)} occupations the share of women is known of {len(self.jobs)}; expected all of at "
            f"least {FEWEST}, with different shares: put the occupations-stats.tsv of Winogender beside the sentences"
        )
        others = [
            undefined(f"{self.prefix}/{s}", reason, unit=STATISTICS[s][0], method=STATISTICS[s][1], **common)
            for s in ("slope", "correlation")
        ]
        return ProbeResult([others[0], mean, others[1]], items)

    def _agreement(self) -> dict[str, float]:
        """Spearman over occupations between sentences that name the other person and those that say "someone"."""
        bleached = np.array([i.participant == "someone" for i in self.items])
        sides = [by_occupation([i for i, k in zip(self.items, keep, strict=True) if k], self.values[keep])
                 for keep in (bleached, ~bleached)]  # fmt: skip
        both = [t for t in self.gap_of if all(t in side for side in sides)]
        rho = stats.spearman(*(np.array([side[t] for t in both]) for side in sides)) if len(both) > 1 else None
        return {} if rho is None else {"other person named, or someone": rho}
