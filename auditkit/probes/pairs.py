"""Stereotyped minimal pairs: which of two sentences that differ only in the group they name does the model prefer?

CrowS-Pairs (Nangia et al. 2020, "CrowS-Pairs: A Challenge Dataset for Measuring Social Biases in Masked Language
Models", EMNLP) and the pairs that ship with auditkit. The score is the share of pairs whose more stereotyping sentence
is preferred: 50 % is no preference. `auditkit.probes.pair_scores` says how a preference is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from auditkit import data as datasets
from auditkit import stats
from auditkit.data.types import Dataset, Pair
from auditkit.errors import InputError
from auditkit.measurement import Measurement
from auditkit.models.protocols import FillsMask, Ints, ScoresText
from auditkit.probes.base import ItemScore, Planned, ProbeResult
from auditkit.probes.evidence import (
    adjust_p_values,
    check_null_items,
    extremes,
    mean_scored,
    null_of,
    of_random_weights,
    scored,
    sign_flip_test,
    summarize,
    undefined,
    with_data,
)
from auditkit.probes.pair_scores import (
    CAUSAL_METHODS,
    MASKED_METHODS,
    METHOD_NAMES,
    ROUGH_FIRST,
    PairScores,
    score_causal,
    score_masked,
)
from auditkit.probes.rescoring import WORTH, gain, settle

Scores = dict[str, PairScores]
"""The scores of the same pairs by each method; the first is the primary one."""

Chosen = npt.NDArray[np.bool_]
"""(n,) which of the pairs."""

PRECISIONS = ("float32", "mixed")


@dataclass(frozen=True, kw_only=True)
class StereotypePairs:
    """Preference for the more stereotyping sentence of a pair.

    Attributes:
        data: name of a pair set, or the path of a csv with the columns id, more, less, group, direction.
        methods: which of the methods of `pair_scores`; the first that suits the model is the primary one.
        groups: which bias types to keep; empty keeps all.
        null_items: on how many pairs of each group the random-weights null is computed.
        precision: "mixed" reads a masked model's pairs in bfloat16, where this device is faster in it, and again in
            float32 those whose decision, or place among the extremes, lies within the measured error; rank agreement
            between the methods is then left out.
    """

    id: str = "stereotype_pairs"
    data: str = "builtin_pairs"
    methods: tuple[str, ...] = (*MASKED_METHODS, *CAUSAL_METHODS)
    groups: tuple[str, ...] = ()
    null_items: int = 10
    precision: str = "float32"

    needs: ClassVar[tuple[type, ...]] = (FillsMask, ScoresText)
    needs_competence: ClassVar[bool] = True
    ties_count: ClassVar[bool] = False  # against the stereotype, in the published score; else they are left out
    source: ClassVar[str] = "Nangia et al. 2020 (CrowS-Pairs)"

    def __post_init__(self) -> None:
        check_null_items(self.null_items)
        unknown = ", ".join(sorted(set(self.methods) - set(METHOD_NAMES)))
        if unknown:
            raise InputError(f"unknown method {unknown}; known: {', '.join(METHOD_NAMES)}")
        if self.precision not in PRECISIONS:
            raise InputError(f"precision {self.precision!r}: expected {' or '.join(PRECISIONS)}")

    def measure(self, model: Any, rng: np.random.Generator) -> ProbeResult:
        """Score all pairs and, with random weights, some of each group; then summarise."""
        dataset, pairs = self._chosen()
        mixed = self._reads_mixed(model, pairs)
        scores = self.score_mixed(model, pairs, shown_together(pairs)) if mixed else self.score(model, pairs)
        some = some_of_each_group(pairs, self.null_items, rng)
        score = self.score_mixed if mixed else self.score
        nulls = of_random_weights(model, lambda random: score(random, [pairs[i] for i in some]))
        source = f"{self.source}; data: {dataset.name}"
        weights = model.describe()["weights_sha256"]
        summary = _Summary(
            self.id, pairs, scores, some, nulls, weights, rng, source, ranks=not mixed, ties_count=self.ties_count
        )
        return with_data(summary.result(), dataset.sha256)

    def planned(self) -> dict[str, Planned]:
        """Of the score over all pairs and of each group's."""
        scored = [p for p in self._chosen()[1] if p.direction != "control"]
        groups = {"all": scored} | {g: [p for p in scored if p.group == g] for g in {p.group for p in scored}}
        clusters = {g: [p.cluster or p.id for p in members] for g, members in groups.items()}
        return {f"{self.id}/{g}/metric_score": Planned.share(of) for g, of in clusters.items() if of}

    def _chosen(self) -> tuple[Dataset[Pair], list[Pair]]:
        """The data, and the pairs of the wanted groups."""
        dataset = datasets.load(self.data, kind="pairs")
        pairs = [p for p in dataset.items if not self.groups or p.group in self.groups]
        if not pairs:
            wanted, known = ", ".join(self.groups), ", ".join(sorted({p.group for p in dataset.items}))
            raise InputError(f"no pair of group {wanted} in {dataset.name}; groups: {known}")
        return dataset, pairs

    def score(self, model: FillsMask | ScoresText, pairs: Sequence[Pair]) -> Scores:
        """Scores of `pairs` by all methods that suit the model."""
        return _score(model, pairs, self._suited(model))

    def score_mixed(self, model: Any, pairs: Sequence[Pair], ranked: Sequence[Chosen] = ()) -> Scores:
        """As `score`, in bfloat16 where that decides; see `auditkit.probes.rescoring`. Counted in `model.notices`.

        `ranked` are sets of pairs whose largest differences by the primary method are those of float32 as well.
        """
        methods = self._suited(model)
        quickly = [m for m in methods if m in ROUGH_FIRST]
        exactly = [m for m in methods if m not in ROUGH_FIRST]
        found, again = _settle(model, pairs, quickly, ranked if methods[0] in quickly else ())
        if exactly:
            found |= _score(model, pairs, exactly)
        exact = len(quickly) * int(again.sum()) + len(exactly) * len(pairs)
        notice = f"of {len(methods) * len(pairs)} scores of a pair computed in float32, the others in bfloat16"
        model.notices[notice] += exact
        return {m: found[m] for m in methods}

    def _suited(self, model: FillsMask | ScoresText) -> list[str]:
        suited = MASKED_METHODS if isinstance(model, FillsMask) else CAUSAL_METHODS
        methods = [m for m in self.methods if m in suited]
        if not methods:
            given, fix = ", ".join(self.methods), ", ".join(suited)
            raise InputError(f"none of {given} suits this model; use {fix}")
        return methods

    def _reads_mixed(self, model: Any, pairs: Sequence[Pair]) -> bool:
        """Whether mixed precision is asked for, suits the methods and pays on this device; if not, that is counted."""
        if self.precision == "float32":
            return False
        rough = set(self._suited(model)) & set(ROUGH_FIRST)
        if rough and gain(model) >= WORTH:
            return True
        why = "bfloat16 is not fast enough here" if rough else f"only {' and '.join(ROUGH_FIRST)} may be read otherwise"
        model.notices[f"pairs scored in float32 alone, not in precision mixed: {why}"] += len(pairs)
        return False


@dataclass(frozen=True, kw_only=True)
class CrowsPairs(StereotypePairs):
    """Preference for the more stereotyping sentence of a pair of the published CrowS-Pairs."""

    id: str = "crows_pairs"
    data: str = "crows_pairs"

    ties_count: ClassVar[bool] = True


def _score(model: FillsMask | ScoresText, pairs: Sequence[Pair], methods: Sequence[str]) -> Scores:
    return score_masked(model, pairs, methods) if isinstance(model, FillsMask) else score_causal(model, pairs, methods)


def _settle(
    model: Any, pairs: Sequence[Pair], methods: Sequence[str], ranked: Sequence[Chosen]
) -> tuple[Scores, Chosen]:
    from auditkit.models.mixed_precision import multiplying_in_bfloat16

    def exact(rows: Ints) -> Scores:
        return _score(model, [pairs[i] for i in rows], methods)

    def rough(rows: Ints) -> Scores:
        with multiplying_in_bfloat16(model):
            return exact(rows)

    return settle(exact, rough, len(pairs), ranked)


def shown_together(pairs: Sequence[Pair]) -> list[Chosen]:
    """The sets of pairs whose extremes stand beside one measurement: all scored, each direction, each group."""
    group, direction = (np.array([getattr(p, name) for p in pairs]) for name in ("group", "direction"))
    scored = direction != "control"
    return [
        scored,
        *(direction == d for d in sorted(set(direction))),
        *(scored & (group == g) for g in sorted(set(group))),
    ]


def some_of_each_group(pairs: Sequence[Pair], size: int, rng: np.random.Generator) -> list[int]:
    """Indices of at most `size` pairs of each group and kind (scored or control), in order."""
    kinds = np.array([f"{p.group}/{p.direction == 'control'}" for p in pairs])
    rows = [np.flatnonzero(kinds == kind) for kind in sorted(set(kinds.tolist()))]
    chosen = [rng.choice(row, size=min(size, len(row)), replace=False) for row in rows]
    return sorted(int(i) for row in chosen for i in row)


class _Summary:
    """Turns pair scores into measurements, each with its validity block."""

    def __init__(
        self,
        probe: str,
        pairs: Sequence[Pair],
        scores: Scores,
        some: Sequence[int],
        nulls: Sequence[Scores],
        weights: str,
        rng: np.random.Generator,
        source: str,
        *,
        ranks: bool,
        ties_count: bool,
    ) -> None:
        self.probe, self.pairs, self.scores, self.source = probe, pairs, scores, source
        self.ranks = ranks  # whether every difference is exact, so that ranks of them are
        self.ties_count = ties_count
        self.some, self.nulls, self.weights, self.rng = np.array(some), nulls, weights, rng
        self.primary = next(iter(scores))
        self.items: list[ItemScore] = []

    def result(self) -> ProbeResult:
        """The score overall, its parts, by the other methods, and by group."""
        direction = np.array([p.direction for p in self.pairs])
        control = direction == "control"
        overall = [
            self._share("all/metric_score", ~control),
            self._share("all/stereo_score", direction == "stereo", ties_count=False),
            self._share("all/antistereo_score", direction == "antistereo", ties_count=False),
            self._share("all/neutral_share", ~control, of="tied", ideal=None),
        ]
        if control.any():
            overall.append(self._share("all/control_score", control))
        others = [self._share(f"all/{m}_score", ~control, method=m) for m in self.scores if m != self.primary]
        return ProbeResult([*overall, *others, *self._by_group(~control)], self.items)

    def _by_group(self, scored: Chosen) -> list[Measurement]:
        """The score of each group, its p-value corrected by Holm over all of them."""
        group = np.array([p.group for p in self.pairs])
        names = sorted(set(group[scored].tolist()))
        return adjust_p_values([self._share(f"{g}/metric_score", scored & (group == g)) for g in names])

    def _share(
        self,
        name: str,
        asked: Chosen,
        *,
        method: str = "",
        of: str = "preferred",
        ideal: float | None = 50.0,
        ties_count: bool | None = None,
    ) -> Measurement:
        """Share (in %) of the pairs asked for that are `of` ("preferred" or "tied")."""
        method, ties_count = method or self.primary, self.ties_count if ties_count is None else ties_count
        about: dict[str, Any] = {"unit": "%", "ideal": ideal, "source": self.source}
        about["method"], id = f"share of pairs; {METHOD_NAMES[method]}", f"{self.probe}/{name}"
        scores = self.scores[method]
        tied = asked & (scores.tied == 1) if of == "preferred" else np.zeros_like(asked)
        if not asked.any():
            return undefined(id, "no pair of this kind is among the data", **about)
        chosen = asked if ties_count else asked & ~tied
        values = np.where(asked & ~chosen, np.nan, 100 * getattr(scores, of))
        items = [
            ItemScore(id, self.pairs[i].id, float(values[i]), self.pairs[i].cluster)
            for i in np.flatnonzero(asked).tolist()
        ]
        details: dict[str, Any] = {"validity": self._validity(method, of, chosen), "extremes": self._extremes(chosen)}
        if ideal is not None and (kept := scored(items)):
            # In the published score a tie counts against the stereotype; as evidence it speaks for neither side.
            neutral = np.where(scores.tied == 1, ideal, values)[chosen & scores.scored]
            details["p_value"] = sign_flip_test(neutral, [i.cluster for i in kept], ideal, self.rng)
        share = summarize(items, null=ideal, bounds=(0, 100), rng=self.rng, tied=tied[asked], details=details, **about)
        self.items += scored(items) if share.value is not None else []
        return share

    def _validity(self, method: str, of: str, chosen: Chosen) -> dict[str, Any]:
        """What makes the share believable: ties, random weights, agreement between methods, the weights' hash."""
        used = chosen[self.some]
        values = [100 * getattr(null[method], of)[used] for null in self.nulls]
        others = [m for m in self.scores if m != method and self.ranks]
        agreement = {m: self._agreement(method, m, chosen) for m in others}
        return {
            "tie_rate": mean_scored(self.scores[method].tied[chosen]),
            "null": null_of([mean_scored(v) for v in values], n=int(used.sum())) if used.any() else None,
            "agreement": agreement,
            "weights_sha256": self.weights,
        }

    def _agreement(self, one: str, other: str, chosen: Chosen) -> float | None:
        both = chosen & self.scores[one].scored & self.scores[other].scored
        if not both.any():
            return None
        return stats.spearman(self.scores[one].difference[both], self.scores[other].difference[both])

    def _extremes(self, chosen: Chosen) -> list[dict[str, Any]]:
        difference = self.scores[self.primary].difference
        rows = [(self.pairs[i], float(difference[i])) for i in np.flatnonzero(chosen).tolist()]
        return extremes([{"a": p.more, "b": p.less, "score": d, "group": p.group} for p, d in rows])
