"""Group fairness: do a model's decisions treat groups of people alike, and how sure is that?

Decisions are read from a table (`model: predictions.csv`), or made by a text classifier for the texts of one (`data`).
For each sensitive attribute, and for attributes crossed, as `fairlearn.metrics.MetricFrame` (Bird et al. 2020) defines
them:

    group_fairness/sex=Female/selection_rate        one metric of one group, with Fisher's test against everybody else
    group_fairness/sex/selection_rate_difference    largest less smallest, over groups of at least 30 people
    group_fairness/sex/selection_rate_ratio         smallest over largest: the disparate-impact ratio
    group_fairness/sex+race/...                     the same for attributes crossed

and so for accuracy, true_positive_rate, false_positive_rate, precision and, where there are scores, calibration_gap and
roc_auc.
Beside another model's predictions for the same people (`compare_with`), the change of each difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from auditkit.errors import DataError, InputError, UnknownName
from auditkit.fairness.calibration import calibration_by_group
from auditkit.fairness.discrimination import discrimination_by_group
from auditkit.fairness.groups import MetricByGroup, measure_groups
from auditkit.fairness.metrics import SMALL_CELL
from auditkit.fairness.paired import Change, compare
from auditkit.fairness.people import MISSING, Partition, People, align, cross, read_people
from auditkit.measurement import Measurement
from auditkit.models.predictions import read_table
from auditkit.models.protocols import Classifies, Predicts
from auditkit.probes import fairness_measurements as as_measurements
from auditkit.probes.base import ProbeResult

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class GroupFairness:
    """Group metrics of decisions about people, their differences and ratios, by single and by crossed attributes.

    Attributes:
        id: name in the report.
        sensitive: the columns that say who people are.
        data: for a text classifier: a .csv or .parquet file with the columns text, label, and the sensitive ones.
        positive: the favourable value of label and prediction; may be left out where they are 0/1 or true/false.
        compare_with: a .csv or .parquet file of another model's predictions for the same people.
        max_order: how many attributes are crossed at most.
        groups_as_written: whether groups whose names differ in spelling only ("Black", "black ") are different groups;
            otherwise such a table is refused.
    """

    id: str = "group_fairness"
    sensitive: list[str] = field(default_factory=list)
    data: str = ""
    positive: str | int = ""
    compare_with: str = ""
    max_order: int = 3
    groups_as_written: bool = False

    needs: ClassVar[tuple[type, ...]] = (Predicts, Classifies)
    source: ClassVar[str] = as_measurements.SOURCE

    def __post_init__(self) -> None:
        if self.max_order < 1:
            raise InputError(f"max_order={self.max_order}; expected 1 (no crossing) or more")

    def measure(self, model: Any, rng: np.random.Generator) -> ProbeResult:
        """Every metric of every group, and how far the groups are apart.

        Raises:
            DataError: no table, or one that lacks a column, a value, or people.
            UnknownName: no such sensitive column, or nobody has the value `positive`.
        """
        table = self._table(model)
        people = self._people(table, str(self.positive), getattr(model, "labels", ()))
        partitions = list(cross(people.sensitive, self.max_order))
        found = [m for p in partitions for m in measure_groups(p, people.label, people.prediction, rng=rng)]
        rates = as_measurements.rates(self.id, found)
        measurements: list[Measurement] = [
            *as_measurements.overall(self.id, people),
            *as_measurements.gaps(self.id, people, found, rates),
            *rates,
        ]
        if people.score is not None:
            for partition in partitions:
                groups = calibration_by_group(partition, people.label, people.score)
                measurements += as_measurements.calibration(self.id, partition, groups)
                ranked = discrimination_by_group(partition, people.label, people.score)
                measurements += as_measurements.discrimination(self.id, partition, ranked)
        if self.compare_with:
            changes = self._changes(table, people, partitions, rng)
            measurements += as_measurements.changes(self.id, changes, self.compare_with)
        self._notice(model, people, found)
        return ProbeResult(measurements)

    def _people(self, table: pd.DataFrame, positive: str, predictable: Sequence[str]) -> People:
        return read_people(
            table,
            self.sensitive,
            positive=positive,
            predictable=predictable,
            groups_as_written=self.groups_as_written,
        )

    def _table(self, model: Any) -> pd.DataFrame:
        """One row a person, with what the model decided."""
        if not isinstance(model, Predicts):
            return self._classified(model)
        if self.data:
            raise InputError(f"{self.id}: the model is a table of decisions already; leave out data={self.data!r}")
        return model.predictions()

    def _classified(self, model: Classifies) -> pd.DataFrame:
        if not self.data:
            raise DataError(
                f"{self.id} needs texts about people to classify; give data, a .csv or .parquet file with the columns "
                "text, label and the sensitive ones; or audit a file of predictions, e.g. model: predictions.csv"
            )
        table = read_table(self.data)
        if "text" not in table or table["text"].isna().any():
            raise DataError(f"{self.data}: column 'text' is missing or has empty cells; expected a text a person")
        positive = str(self.positive)
        if positive not in model.labels:
            raise UnknownName("value of `positive` among the classifier's labels", positive, model.labels)
        probabilities = model.classify(table["text"].astype(str).tolist())
        decided = np.array(model.labels, dtype=object)[probabilities.argmax(axis=1)]
        return table.assign(prediction=decided, score=probabilities[:, model.labels.index(positive)].clip(0, 1))

    def _changes(
        self, table: pd.DataFrame, people: People, partitions: Sequence[Partition], rng: np.random.Generator
    ) -> list[Change]:
        """From the other model to this one, on the same people."""
        other = align(table, read_table(self.compare_with), self.sensitive)
        other = other.assign(**{name: table[name].to_numpy() for name in self.sensitive})
        before = self._people(other, people.positive, ()).prediction
        return [c for p in partitions for c in compare(p, people.label, before, people.prediction, rng=rng)]

    def _notice(self, model: Any, people: People, found: Sequence[MetricByGroup]) -> None:
        """Count everything that was not compared with the rest."""
        for name, values in people.sensitive.items():
            if missing := int((values == MISSING).sum()):
                model.notices[f"people without a value of {name}, kept as a group of their own"] += missing
        if small := sum(g.small for m in found if m.metric == "selection_rate" for g in m.groups):
            model.notices[f"groups of fewer than {SMALL_CELL} people, shown but not compared"] += small
