"""One fitted model, judged on people that it has not seen, beside the model without mitigation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from auditkit import stats
from auditkit.errors import DataError
from auditkit.fairness.groups import Gap, measure_groups
from auditkit.fairness.paired import Change
from auditkit.fairness.paired import compare as paired
from auditkit.fairness.people import Partition, cross
from auditkit.measurement import Interval, Measurement
from auditkit.mitigation import traces
from auditkit.mitigation.baseline import known
from auditkit.mitigation.task import Bools, Decider, Floats, Mitigation, Split, Task
from auditkit.probes.base import ItemScore, generator

GAPS = ("selection_rate", "true_positive_rate", "false_positive_rate")
ALPHA = 0.05
SOURCE = "Bellamy et al. 2018, arXiv:1810.01943; Kearns et al. 2018, ICML (fairness gerrymandering)"
TOO_FEW = "too few people in all groups but one to compute this from"
NOTHING_COMPARED = "nothing to compare: no other attribute, or too few people in its groups"


@dataclass(kw_only=True)
class Judged:
    """A model and what is found of it.

    Attributes:
        at: what its measurements' ids start with.
        name: of the method, as in a report.
        method: what made the model.
        decider: the model.
        task: the people.
        sensitive: whose groups are to be treated alike.
        seed: of the resamples and fresh models; the same for all models that are compared.
        before: the model without mitigation; None where this is it.
    """

    at: str
    name: str
    method: Mitigation
    decider: Decider
    task: Task
    sensitive: str
    seed: int
    before: Judged | None
    _told: dict[tuple[str, str], traces.Told] = field(default_factory=dict)

    @property
    def test(self) -> Split:
        """Those it is judged by."""
        return self.task.test

    @cached_property
    def decided(self) -> Bools:
        """(n,) the decisions."""
        return np.asarray(self.decider.decide(self.test), dtype=bool)

    @cached_property
    def right(self) -> Floats:
        """(n,) 100 for whom it is right, else 0."""
        return 100.0 * (self.decided == self.test.label)

    @property
    def accuracy(self) -> float:
        """Per cent."""
        return float(self.right.mean())

    @cached_property
    def gap(self) -> float | None:
        """The difference in selection rates; None where fewer than two groups are large enough."""
        found = next(iter(self._rates(GAPS[:1]))).difference
        return None if found is None else found.value

    def items(self) -> Iterator[ItemScore]:
        """Who is decided rightly: two reports on the same people can be compared in pairs."""
        for person, value in zip(self.test.ids.tolist(), self.right.tolist(), strict=True):
            yield ItemScore(f"{self.at}/accuracy", str(person), value)

    def measurements(self) -> Iterator[Measurement]:
        """In the order in which the comparison lists them."""
        found = stats.wilson(int((self.decided == self.test.label).sum()), len(self.test))
        share = Gap(self.accuracy, Interval(100 * found.low, 100 * found.high, method=found.method))
        yield self._measured("accuracy", share, "share of people decided rightly", unit="%", ideal=100.0)
        if self.before:
            yield self._accuracy_change(self.before)
        yield from self._gaps()
        yield from self._traces()
        if self.before:
            yield from self._elsewhere(self.before)

    # --- accuracy and gaps --------------------------------------------------------------------------------------

    def _rng(self, of: str) -> np.random.Generator:
        """One generator for each kind of draw: no number depends on what else was measured."""
        return generator(self.seed, of)

    def _partition(self) -> Partition:
        return next(cross({self.sensitive: self.test.groups(self.sensitive)}, 1))

    def _rates(self, chosen: Sequence[str]) -> Any:
        return measure_groups(
            self._partition(), self.test.label, self.decided, rng=self._rng("gaps"), chosen=chosen
        )  # fmt: skip

    def _compared(self, partition: Partition, before: Judged) -> list[Change]:
        return paired(
            partition, self.test.label, before.decided, self.decided, rng=self._rng(f"changes {partition.name}")
        )

    def _accuracy_change(self, before: Judged) -> Measurement:
        everybody = Partition(("all",), ("all",), np.zeros(len(self.test), dtype=np.int64))
        (found,) = (c for c in self._compared(everybody, before) if c.metric == "accuracy")
        group = found.groups[0]
        change = None
        if group.interval is not None:
            ends = Interval(100 * group.interval.low, 100 * group.interval.high, method=group.interval.method)
            change = Gap(self.accuracy - before.accuracy, ends)
        details: dict[str, Any] = {} if group.p_value is None else {"p_value": group.p_value}
        what = "accuracy less that without mitigation"
        return self._measured("accuracy_change", change, what, "points", before=before.accuracy, **details)

    def _gaps(self) -> Iterator[Measurement]:
        changes = {c.metric: c for c in self._compared(self._partition(), self.before)} if self.before else {}
        for found in self._rates(GAPS):
            words = found.metric.replace("_", " ")
            rows = [{"group": g.group, "value": g.value, "n": g.trials} for g in found.groups]
            what = f"largest less smallest {words} among the groups of {self.sensitive}"
            yield self._measured(f"{found.metric}_difference", found.difference, what, ideal=0.0, by_group=rows)
            if found.metric in changes:
                yield self._gap_change(changes[found.metric], found.difference)

    def _gap_change(self, change: Change, after: Gap | None) -> Measurement:
        details: dict[str, Any] = {}
        if after is not None and change.difference is not None:
            before = after.value - change.difference.value
            details = {"before": before} | ({"cut_percent": 100 * (1 - after.value / before)} if before > 0 else {})
        return self._measured(
            f"{change.metric}_difference_change", change.difference, "that difference less the one without mitigation",
            **details,
        )  # fmt: skip

    # --- traces -------------------------------------------------------------------------------------------------

    def told(self, kind: str, what: traces.Basis) -> traces.Told:
        """What a fresh model of this kind can tell of the groups; each is trained once."""
        if (kind, what) not in self._told:
            learn, judge = (
                (traces.read(self.decider, people, what), groups)
                for people, groups in (known(p, p.groups(self.sensitive)) for p in (self.task.train, self.test))
            )
            self._told[kind, what] = traces.tell(learn, judge, kind, rng=self._rng("fresh models"))
        return self._told[kind, what]

    def _traces(self) -> Iterator[Measurement]:
        what = traces.basis(self.decider)
        for kind in traces.KINDS:
            about: dict[str, Any] = {"source": traces.SOURCE, "read_from": what}
            method = f"usable information of a fresh {kind} model about the group, from the {what}, of its entropy"
            metric, rng = f"group_told_by_{kind}", self._rng("traces")
            try:
                told = self.told(kind, what)
                before = self.before.told(kind, what) if self.before else None
            except DataError as e:
                yield self._measured(metric, None, method, "%", ideal=0.0, reason=str(e), **about)
                continue
            yield self._measured(metric, told.information(rng), method, "%", ideal=0.0, **about)
            if before:
                about |= {"before": float(before.shares.mean()), "before_from": self._read_before(what)}
                words = f"{method}, less that from the {about['before_from']} without mitigation"
                yield self._measured(f"{metric}_change", told.change(before, rng), words, "points", **about)

    def _read_before(self, what: traces.Basis) -> str:
        """What the model without mitigation was asked by, in words."""
        shown = self.before is not None and traces.basis(self.before.decider) == "representation"
        return "features" if what == "representation" and not shown else what

    # --- who pays -----------------------------------------------------------------------------------------------

    def _elsewhere(self, before: Judged) -> Iterator[Measurement]:
        """Gaps and groups that the mitigation was not about: every attribute, and all of them crossed."""
        changes = [c for p in cross(self.test.sensitive) for c in self._compared(p, before)]
        mitigated = set(self.sensitive.split("+"))
        others = [c for c in changes if c.metric in GAPS and c.difference and set(c.partition.columns) != mitigated]
        grown = [_grown(c, c.difference) for c in others if c.difference and c.difference.interval.low > 0]
        yield self._counted("gaps_grown", grown, len(others), "gaps between other groups that surely grew")
        tested = [g for c in changes if c.metric == "accuracy" for g in c.groups if g.p_value is not None]
        holm = stats.holm([float(g.p_value or 0.0) for g in tested]).tolist() if tested else []
        worse = [
            {"group": g.group, "n": g.n, "before": g.before, "after": g.after, "p_value_holm": p}
            for g, p in zip(tested, holm, strict=True)
            if p < ALPHA and g.before is not None and g.after is not None and g.after < g.before
        ]
        what = "groups surely decided less rightly: McNemar's test, corrected for all groups (Holm)"
        yield self._counted("groups_less_accurate", worse, len(tested), what)

    def _counted(self, metric: str, found: Sequence[Mapping[str, Any]], among: int, what: str) -> Measurement:
        value = float(len(found)) if among else None
        details = (
            self._details() | {"found": [dict(f) for f in found]} | ({} if among else {"reason": NOTHING_COMPARED})
        )
        return Measurement(
            id=f"{self.at}/{metric}", value=value, n=among, status="ok" if among else "undefined",
            interval=None if value is None else Interval(value, value, method="exact: counted"),
            ideal=0.0, method=what, source=SOURCE, details=details,
        )  # fmt: skip

    def _measured(
        self, metric: str, found: Gap | None, what: str, unit: str = "", *, ideal: float | None = None,
        source: str = "", reason: str = TOO_FEW, **details: Any,
    ) -> Measurement:  # fmt: skip
        return Measurement(
            id=f"{self.at}/{metric}", value=found.value if found else None, interval=found.interval if found else None,
            n=len(self.test), status="ok" if found else "undefined", unit=unit, ideal=ideal, method=what,
            source=source or f"{self.method.source}; {SOURCE}; data: {self.task.source}",
            details=self._details() | ({} if found else {"reason": reason}) | details,
        )  # fmt: skip

    def _details(self) -> dict[str, Any]:
        about = {"mitigation": self.name, "stage": self.method.stage, "attribute": self.sensitive}
        needs_group = {"needs_group": True} if getattr(self.method, "needs_group", False) else {}
        return (
            about | needs_group | dict(getattr(self.decider, "about", {})) | ({} if self.before else {"baseline": True})
        )


def _grown(change: Change, difference: Gap) -> dict[str, Any]:
    return {
        "attribute": change.partition.name, "metric": change.metric, "change": difference.value,
        "low": difference.interval.low, "high": difference.interval.high,
    }  # fmt: skip
