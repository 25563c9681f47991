"""Membership inference: can training texts be told from unseen ones by how likely the model finds them?

Yeom et al. (2018), Carlini et al. (2021), Shi et al. (2024), Zhang et al. (2024). From each attack of
`auditkit.privacy.membership`, overall and by group:

    auc                 P(a member scores higher than a non-member); 0.5 is no leak
    tpr_at_1pct_fpr     share of members found while 1 % of the non-members are accused, in percent; 1 is no leak
    tpr_at_0.1pct_fpr   the same while 0.1 % are accused; needs at least 1,000 non-members

Members and non-members must come from one distribution. A blind baseline that never asks the model is always run; if
it tells them apart, the attacks have no value, because the difference of the texts may be all that they see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from auditkit import stats
from auditkit.errors import DataError, InputError
from auditkit.measurement import Interval, Measurement
from auditkit.models.protocols import Classifies, Floats, PredictsTokens
from auditkit.privacy.attack_metrics import SMALLEST_GROUP, AttackResult, evaluate
from auditkit.privacy.blind_baseline import BlindBaseline, blind_baseline
from auditkit.privacy.membership import K, label_scores, likelihood_scores
from auditkit.privacy.records import Record, Texts, distinct, read_records, refuse_unusable
from auditkit.privacy.roc import TprAtFpr, auc
from auditkit.probes.base import ItemScore, ProbeResult
from auditkit.probes.evidence import adjust_p_values, random_weights_nulls, subset

METHODS = {
    "loss": "mean log-probability per token (Yeom et al. 2018)",
    "zlib": "mean log-probability per token over the zlib-compressed size (Carlini et al. 2021)",
    "reference": "log-likelihood ratio with a reference model, per token (Carlini et al. 2021)",
    "min_k": "mean log-probability of the least likely tokens (Min-K%, Shi et al. 2024)",
    "min_k_plus_plus": "the same, standardised by the model's own mean and deviation (Min-K%++, Zhang et al. 2024)",
}
BLIND = "bag-of-words logistic regression on the texts alone, five-fold cross-validation"
EXPOSED = 6


@dataclass(frozen=True, kw_only=True)
class Membership:
    """Whether training texts can be told from unseen ones by the model's likelihoods.

    Attributes:
        id: name in the report.
        members: texts that the model was trained on: the path of a .txt (one a line), .jsonl or .csv file, or a list.
        nonmembers: texts from the same source that it was not trained on.
        reference: a second model that has not seen the members (what `load_model` takes); "" for none.
        groups: the key or column that names each text's group; "" for none.
        k: the share of least likely tokens that Min-K% and Min-K%++ read.
        redact: show of the most exposed records only the beginning, length and hash.
        null_items: how many members, and non-members, the random-weights null is computed on.
    """

    id: str = "membership"
    members: Texts = ()
    nonmembers: Texts = ()
    reference: str = ""
    groups: str = ""
    k: float = K
    redact: bool = True
    null_items: int = 60

    private: ClassVar[tuple[str, ...]] = ("members", "nonmembers")
    needs: ClassVar[tuple[type, ...]] = (PredictsTokens, Classifies)
    source: ClassVar[str] = (
        "Carlini et al. (2022), IEEE S&P, https://arxiv.org/abs/2112.03570; Shi et al. (2024), ICLR, "
        "https://arxiv.org/abs/2310.16789; Zhang et al. (2024), https://arxiv.org/abs/2404.02936"
    )

    def __post_init__(self) -> None:
        if not 0 < self.k <= 1 or self.null_items < 2:
            raise InputError(f"k={self.k}, null_items={self.null_items}; expected a share in (0, 1] and at least 2")

    def measure(self, model: Any, rng: np.random.Generator) -> ProbeResult:
        """Score every text once, and judge each attack.

        Raises:
            DataError: no texts, too few, unreadable, or the same text on both sides.
            InputError: the reference cannot be compared with the model.
        """
        labelled = not isinstance(model, PredictsTokens)
        given = [
            read_records(source, whose, groups=self.groups, labelled=labelled) for whose, source in self._sources()
        ]
        members, nonmembers = (distinct(side) for side in given)
        refuse_unusable(members, nonmembers)
        reference = self._load_reference(model)
        blind = blind_baseline([r.text for r in members], [r.text for r in nonmembers], rng=rng)
        scores = self._score(model, [*members, *nonmembers], reference)
        few = [[side[i] for i in subset(len(side), self.null_items, rng)] for side in (members, nonmembers)]
        nulls = random_weights_nulls(
            model,
            lambda random: _areas(self._score(random, [*few[0], *few[1]], reference), len(few[0])),
            dict.fromkeys(scores, len(few[0]) + len(few[1])),
        )
        details = {
            "duplicates_left_out": sum(map(len, given)) - len(members) - len(nonmembers),
            "attack_budget": "each text read once by the audited model; no shadow model",
            **({} if reference is None else {"reference": _identity(reference)}),
        }
        results = _Results(self, members, nonmembers, scores, blind, nulls, model.describe()["weights_sha256"], details)
        for attack in scores:
            results.add(attack, rng)
        results.add_blind_baseline()
        return results.result()

    def _sources(self) -> tuple[tuple[str, Texts], tuple[str, Texts]]:
        if not self.members or not self.nonmembers:
            raise DataError(
                f"{self.id} needs members, texts that the model was trained on, and nonmembers, texts from the same "
                "source that it was not; give each as a path or a list"
            )
        return ("members", self.members), ("nonmembers", self.nonmembers)

    def _load_reference(self, model: Any) -> Any:
        if not self.reference:
            return None
        from auditkit.models import load_model

        reference = load_model(self.reference)
        needed = PredictsTokens if isinstance(model, PredictsTokens) else Classifies
        if not isinstance(reference, needed):
            raise InputError(f"reference {self.reference!r} is another kind of model; expected one of the same task")
        if reference.describe()["weights_sha256"] == model.describe()["weights_sha256"]:
            raise InputError(
                f"reference {self.reference!r} is the audited model; give one that has not seen the members"
            )
        return reference

    def _score(self, model: Any, records: Sequence[Record], reference: Any) -> dict[str, Floats]:
        """(records,) scores of every attack that the model allows."""
        texts = [r.text for r in records]
        if isinstance(model, PredictsTokens):
            return likelihood_scores(model, texts, reference=reference, k=self.k)
        return label_scores(model, texts, [r.label for r in records], reference=reference)


def _areas(scores: Mapping[str, Floats], members: int) -> dict[str, float]:
    return {attack: auc(s[:members], s[members:]).value for attack, s in scores.items()}


def _identity(reference: Any) -> dict[str, Any]:
    described = reference.describe()
    notices = dict(sorted(reference.notices.items()))
    return {"name": described["name"], "weights_sha256": described["weights_sha256"], "notices": notices}


class _Results:
    """Collects measurements and item scores."""

    def __init__(
        self,
        probe: Membership,
        members: Sequence[Record],
        nonmembers: Sequence[Record],
        scores: Mapping[str, Floats],
        blind: BlindBaseline,
        nulls: Mapping[str, Mapping[str, Any]],
        weights: str,
        details: Mapping[str, Any],
    ) -> None:
        self.probe, self.members, self.records = probe, members, [*members, *nonmembers]
        self.scores, self.blind, self.nulls, self.weights, self.details = scores, blind, nulls, weights, details
        self.measurements: list[Measurement] = []
        self.items: list[ItemScore] = []

    def add(self, attack: str, rng: np.random.Generator) -> None:
        """All measurements of one attack, overall and by group."""
        m, scores = len(self.members), self.scores[attack]
        labels = [r.group for r in self.records]
        groups = (labels[:m], labels[m:]) if self.probe.groups else None
        found = evaluate(scores[:m], scores[m:], rng=rng, groups=groups)
        self._add_result(attack, found, self.records, self._evidence(attack, found), attack)
        for group, of_group in found.groups.items():
            records = [r for r in self.records if r.group == group]
            self._add_result(
                f"{attack}/{group}", of_group, records, {"validity": self._validity(attack, of_group)}, attack
            )
        for group, (some, others) in found.small_groups.items():
            reason = f"{some} members and {others} nonmembers; expected at least {SMALLEST_GROUP} of each"
            self._add(f"{attack}/{group}/auc", None, {"reason": reason}, attack, ideal=0.5)

    def add_blind_baseline(self) -> None:
        """The AUC of the texts alone."""
        details: dict[str, Any] = {"beats_chance": self.blind.beats_chance}
        if not self.probe.redact:
            details["telltale"] = {"members": list(self.blind.telltale[0]), "nonmembers": list(self.blind.telltale[1])}
        name = f"{self.probe.id}/blind_baseline/auc"
        measurement = Measurement(
            id=name,
            value=self.blind.auc,
            interval=self.blind.interval,
            n=len(self.records),
            ideal=0.5,
            method=BLIND,
            source="Das, Zhang & Tramèr (2024), https://arxiv.org/abs/2406.16201",
            details=details,
        )
        self.measurements.append(measurement)
        self._add_items(name, self.records, self.blind.contributions)

    def result(self) -> ProbeResult:
        """Everything, with p-values adjusted, and without value where the blind baseline forbids one."""
        return ProbeResult(adjust_p_values(self.measurements), self.items)

    def _add_result(
        self, name: str, found: AttackResult, records: Sequence[Record], details: Mapping[str, Any], attack: str
    ) -> None:
        """AUC and TPRs of one attack, on all records or on one group's."""
        numbers = {
            "members": found.members,
            "nonmembers": found.nonmembers,
            "p_value": found.p_value,
            "minimum_detectable_effect": found.minimum_detectable_auc,
        }
        area = found.auc
        scored = records, area.contributions
        self._add(f"{name}/auc", area.value, {**numbers, **details}, attack, area.interval, scored, ideal=0.5)
        for tpr in found.tpr:
            self._add_tpr(f"{name}/tpr_at_{100 * tpr.fpr:g}pct_fpr", tpr, records[: found.members], found, attack)

    def _add_tpr(self, name: str, tpr: TprAtFpr, members: Sequence[Record], found: AttackResult, attack: str) -> None:
        validity = {"tie_rate": found.tie_rate, "weights_sha256": self.weights, "blind_baseline": self._blind()}
        details: dict[str, Any] = {"nonmembers": found.nonmembers, "threshold": tpr.threshold, "validity": validity}
        detectable = tpr.minimum_detectable_effect
        details["minimum_detectable_effect"] = None if detectable is None else 100 * detectable
        scale: dict[str, Any] = {"unit": "%", "ideal": 100 * tpr.fpr}
        if tpr.value is None or tpr.interval is None:
            self._add(name, None, {**details, "reason": tpr.note}, attack, **scale)
            return
        if tpr.note:
            details["note"] = tpr.note
        interval = replace(tpr.interval, low=100 * tpr.interval.low, high=100 * tpr.interval.high)
        scored = members, np.where(tpr.found, 100.0, 0.0)
        self._add(name, 100 * tpr.value, details, attack, interval, scored, **scale)

    def _add(
        self,
        name: str,
        value: float | None,
        details: Mapping[str, Any],
        attack: str,
        interval: Interval | None = None,
        scored: tuple[Sequence[Record], Floats] = ((), np.empty(0)),
        *,
        unit: str = "",
        ideal: float,
    ) -> None:
        """One measurement and its item scores; without value where the blind baseline beats chance."""
        if value is not None and self.blind.beats_chance:
            ends = [] if interval is None else [interval.low, interval.high]
            details = {**details, "reason": self._invalid(), "invalid_value": [value, *ends]}
            value, interval, scored = None, None, ((), np.empty(0))
        measurement = Measurement(
            id=f"{self.probe.id}/{name}",
            value=value,
            interval=interval,
            n=len(scored[0]),
            unit=unit,
            ideal=ideal,
            status="undefined" if value is None else "ok",
            method=METHODS[attack],
            source=self.probe.source,
            details=details,
        )
        self.measurements.append(measurement)
        self._add_items(measurement.id, *scored)

    def _add_items(self, measurement: str, records: Sequence[Record], values: Floats) -> None:
        self.items += [ItemScore(measurement, r.id, v) for r, v in zip(records, values.tolist(), strict=True)]

    def _invalid(self) -> str:
        low, high = self.blind.interval.low, self.blind.interval.high
        return (
            f"invalid: without the model, the texts alone tell members from nonmembers (AUC {self.blind.auc:.2f}, "
            f"{low:.2f} to {high:.2f}), so an attack's success need not be the model's; take both from one source"
        )

    def _evidence(self, attack: str, found: AttackResult) -> dict[str, Any]:
        """What stands beside the overall AUC."""
        return {
            **self.details,
            "validity": self._validity(attack, found),
            "roc": found.roc.thinned(),
            "most_exposed": self._most_exposed(attack),
            **({} if found.groups_p_value is None else {"groups_p_value": found.groups_p_value}),
        }

    def _validity(self, attack: str, found: AttackResult) -> dict[str, Any]:
        others = {other: stats.spearman(self.scores[attack], s) for other, s in self.scores.items() if other != attack}
        return {
            "tie_rate": found.tie_rate,
            "null": dict(self.nulls[attack]),
            "agreement": {other: rho for other, rho in others.items() if rho is not None},
            "weights_sha256": self.weights,
            "blind_baseline": self._blind(),
        }

    def _blind(self) -> dict[str, Any]:
        interval = self.blind.interval
        beats = self.blind.beats_chance
        return {"auc": self.blind.auc, "low": interval.low, "high": interval.high, "beats_chance": beats}

    def _most_exposed(self, attack: str) -> list[dict[str, Any]]:
        """The members with the highest scores."""
        scores = self.scores[attack][: len(self.members)]
        rows = [(self.members[i], float(scores[i])) for i in np.argsort(-scores, kind="stable")[:EXPOSED]]
        redact = self.probe.redact
        return [{"text": r.shown(redact=redact), "score": round(s, 3), "group": r.group} for r, s in rows]
