"""Exposure of planted canaries: how much has the model memorised of secrets that stood in its training set?

Carlini et al. (2019), The secret sharer. Of each kind of canary, in bits:

    mean            mean exposure of the inserted canaries
    control_mean    the same of those that a coin left out: what no memory looks like, 1.44 in a large space
    max             the most exposed inserted canary
    rank_one        share of the inserted canaries that the model prefers to every other candidate, in percent
    change          mean exposure here minus that in an earlier report, for instance without privacy; in pairs
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from auditkit import stats
from auditkit.errors import DataError, InputError
from auditkit.measurement import Interval, Measurement
from auditkit.models.protocols import FillsMask, Floats, ScoresText
from auditkit.privacy import canaries as planted
from auditkit.privacy.canaries import Canaries, Canary, CandidateSpace
from auditkit.privacy.exposure import SAMPLES, SMALLEST_SAMPLE, Exposures, expected_exposure, exposure
from auditkit.privacy.recovery import percent
from auditkit.privacy.redaction import redact
from auditkit.probes.base import ItemScore, ProbeResult
from auditkit.probes.evidence import adjust_p_values, extremes, summarize, undefined
from auditkit.report import AuditReport


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """Exposure of the canaries that were planted in the training set.

    Attributes:
        id: name in the report.
        canaries: path of the file that `auditkit.privacy.canaries.save` wrote when they were inserted.
        max_exact: spaces of at most so many candidates are ranked in full.
        samples: how many candidates of a larger space are scored.
        redact: show of the most exposed canaries only the length and a mark.
        before: path of the report.json of another model on the same canaries, such as the one trained without privacy.
    """

    id: str = "exposure"
    canaries: str = ""
    max_exact: int = 10_000
    samples: int = SAMPLES
    redact: bool = True
    before: str = ""

    needs: ClassVar[tuple[type, ...]] = (ScoresText, FillsMask)
    source: ClassVar[str] = "Carlini et al. (2019), USENIX Security, https://arxiv.org/abs/1802.08232"

    def __post_init__(self) -> None:
        if self.samples < SMALLEST_SAMPLE or self.max_exact < 0:
            raise InputError(
                f"samples={self.samples}, max_exact={self.max_exact}; expected at least {SMALLEST_SAMPLE} and 0"
            )

    def measure(self, model: Any, rng: np.random.Generator) -> ProbeResult:
        """Score the candidates of each kind once, and rank its canaries.

        Raises:
            DataError: no file, a damaged one, fewer than 20 canaries, or a report before that is of other canaries.
            ReportError: the report before cannot be read.
            VocabularyError: the model cannot write the canaries.
        """
        if not self.canaries:
            raise DataError(
                f"{self.id} needs canaries, the path of the file that auditkit.privacy.canaries.save wrote before "
                "the training"
            )
        canaries = planted.load(self.canaries)
        planted.refuse_inexpressible(canaries, model)
        earlier = AuditReport.load(self.before) if self.before else None
        measurements: list[Measurement] = []
        items: list[ItemScore] = []
        for space in canaries.spaces:
            chosen = canaries.of_kind(space.kind)
            if chosen:
                found = exposure(
                    model, space, [c.secret for c in chosen], rng=rng, max_exact=self.max_exact, samples=self.samples
                )
                kind = _Kind(self, canaries, space, chosen, found, model.describe()["weights_sha256"])
                measurements += kind.measurements(rng)
                if earlier is not None and kind.inside:
                    measurements.append(kind.change(earlier, rng))
                items += kind.items
        return ProbeResult(adjust_p_values(measurements), items)


class _Kind:
    """The canaries of one kind and their exposure, made into measurements."""

    def __init__(
        self,
        probe: Exposure,
        canaries: Canaries,
        space: CandidateSpace,
        chosen: Sequence[Canary],
        found: Exposures,
        weights_sha256: str,
    ) -> None:
        self.probe, self.canaries, self.space, self.chosen, self.found = probe, canaries, space, chosen, found
        self.weights_sha256 = weights_sha256
        inserted = np.array([c.inserted for c in chosen])
        self.inside, self.outside = np.flatnonzero(inserted).tolist(), np.flatnonzero(~inserted).tolist()
        self.items = [*self._items("mean", self.inside), *self._items("control_mean", self.outside)]

    def measurements(self, rng: np.random.Generator) -> list[Measurement]:
        """mean, control_mean, max and rank_one."""
        mean, control = self._mean("mean", self.inside, rng), self._mean("control_mean", self.outside, rng)
        if self.inside and self.outside:
            of = self.found.values
            test = stats.permutation_test(of[self.inside], of[self.outside], rng=rng, alternative="greater")
            mean = mean.with_details(
                p_value=test.p_value, test="permutation test, inserted against left-out canaries, one-sided"
            )
        return [mean, control, *([self._max(), self._rank_one()] if self.inside else [])]

    def change(self, earlier: AuditReport, rng: np.random.Generator) -> Measurement:
        """How much more the inserted canaries are exposed here than in `earlier`."""
        then = self._earlier(earlier)
        now = self.found.values[self.inside]
        details = {"before": float(then.mean()), "now": float(now.mean()), "model_before": str(earlier.subject["name"])}
        return Measurement(
            id=self._id("change"),
            value=float((now - then).mean()),
            interval=stats.paired_bootstrap(then, now, rng=rng),
            n=len(now),
            unit="bits",
            method=f"mean difference over the same inserted canaries; {self._method}",
            source=self.probe.source,
            details=details,
        )

    def _earlier(self, earlier: AuditReport) -> Floats:
        """The exposure of the inserted canaries in an earlier report, in their order here."""
        name, table = self._id("mean"), earlier.items
        found = [m for m in earlier.measurements if m.id == name and m.details.get("canaries") == self._canaries]
        if table is None or not found:
            raise DataError(
                f"before: {self.probe.before} holds no exposure of these canaries ({name}); expected the report, with "
                "its .items.parquet beside it, of an audit with the same file of canaries"
            )
        values = table[table["measurement"] == name].set_index("item")["value"]
        return np.array([values[self.chosen[i].id] for i in self.inside], dtype=np.float64)

    @property
    def _canaries(self) -> str:
        """Which canaries these are; tells nothing about any one of them."""
        return hashlib.sha256("\n".join(c.secret for c in self.canaries.canaries).encode()).hexdigest()[:16]

    @property
    def _method(self) -> str:
        if self.found.exact:
            return f"exact rank among all {self.found.candidates} candidates"
        return f"skew-normal distribution fitted to the log-perplexity of {self.found.candidates} sampled candidates"

    def _id(self, metric: str) -> str:
        return f"{self.probe.id}/{self.space.kind}/{metric}"

    def _items(self, metric: str, rows: Sequence[int]) -> list[ItemScore]:
        of = self.found.values
        return [ItemScore(self._id(metric), self.chosen[i].id, float(of[i]), self.chosen[i].id) for i in rows]

    def _mean(self, metric: str, rows: Sequence[int], rng: np.random.Generator) -> Measurement:
        unseen = expected_exposure(self.space)
        whose = "inserted" if metric == "mean" else "left-out"
        method = f"mean over the {whose} canaries; {self._method}"
        if not rows:
            reason = f"the coins decided that none of the {len(self.chosen)} canaries is {whose}; draw more"
            return undefined(
                self._id(metric), reason, unit="bits", ideal=unseen, method=method, source=self.probe.source
            )
        return summarize(
            self._items(metric, rows), unit="bits", ideal=unseen, method=method, source=self.probe.source,
            bounds=(0.0, self.space.bits), rng=rng, details=self._details(rows, extreme=metric == "mean"),
        )  # fmt: skip

    def _details(self, rows: Sequence[int], *, extreme: bool) -> dict[str, Any]:
        details: dict[str, Any] = {
            "largest_possible": self.space.bits,
            "exact": self.found.exact,
            "attack_budget": f"{self.found.candidates} candidates scored once each",
            "repetitions": sorted({self.chosen[i].repetitions for i in rows}),
            "weights_sha256": self.weights_sha256,
            "canaries": self._canaries,
        }
        if not self.found.exact:
            details["mean_standard_error_of_estimate"] = float(self.found.errors[rows].mean())
            details["fit_p_value"] = self.found.fit_p_value
        if extreme:
            details["extremes"] = extremes([self._shown(i) for i in rows])
        return details

    def _shown(self, i: int) -> dict[str, Any]:
        canary = self.chosen[i]
        text = redact(canary.secret) if self.probe.redact else self.canaries.text(canary)
        group = f"{canary.id}, {canary.repetitions} times"
        return {"a": text, "b": "", "score": float(self.found.values[i]), "group": group}

    def _max(self) -> Measurement:
        at = max(self.inside, key=lambda i: self.found.values[i])
        value, (low, high) = float(self.found.values[at]), self.found.ends[at].tolist()
        how = "exact rank" if self.found.exact else "Clopper-Pearson of the sampled candidates at least as likely"
        return Measurement(
            id=self._id("max"), value=value, interval=Interval(min(low, value), max(high, value), method=how),
            n=len(self.inside), unit="bits", method=f"largest over the inserted canaries; {self._method}",
            source=self.probe.source, details={"largest_possible": self.space.bits, "canary": self.chosen[at].id},
        )  # fmt: skip

    def _rank_one(self) -> Measurement:
        """Exposure reaches log2 |R| only at rank 1 (Wilson interval over the canaries)."""
        first = self.found.values[self.inside] >= self.space.bits - 1e-9
        interval = percent(stats.wilson(int(first.sum()), len(self.inside)))
        ids = [self.chosen[i].id for i in self.inside]
        shares = zip(ids, (100.0 * first).tolist(), strict=True)
        self.items += [ItemScore(self._id("rank_one"), id, share, id) for id, share in shares]
        return Measurement(
            id=self._id("rank_one"), value=float(100 * first.mean()), interval=interval, n=len(first),
            unit="%", ideal=0.0, method=f"share of inserted canaries ranked first; {self._method}",
            source=self.probe.source,
        )  # fmt: skip
