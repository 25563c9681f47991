"""Outcomes are read as true and false in whatever type they come, and everything else is refused."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from auditkit.errors import DataError
from auditkit.fairness.calibration import calibration_by_group
from auditkit.fairness.discrimination import discrimination_by_group
from auditkit.fairness.people import cross
from auditkit.fairness.yes_no import yes_no
from auditkit.mitigation.baseline import LogisticBaseline
from auditkit.mitigation.task import Split

TRUE = np.array([True, False, False, True, True, False] * 20)
TYPES = {
    "int": TRUE.astype(int),
    "int8": TRUE.astype(np.int8),
    "float": TRUE.astype(float),
    "object": TRUE.astype(object),
    "list": TRUE.tolist(),
    "nullable boolean": pd.array(TRUE, dtype="boolean"),
    "nullable integer": pd.Series(TRUE.astype(int), dtype="Int64"),
    "nullable float": pd.Series(TRUE.astype(float), dtype="Float64"),
    "arrow boolean": pd.Series(TRUE, dtype="bool[pyarrow]"),
    "arrow integer": pd.Series(TRUE.astype(int), dtype="int64[pyarrow]"),
    "arrow decimal": pd.Series([Decimal(int(v)) for v in TRUE], dtype=pd.ArrowDtype(pa.decimal128(3, 1))),
}


@pytest.mark.parametrize("given", TYPES.values(), ids=TYPES)
def test_every_type_of_two_outcomes_is_the_same(given):
    assert yes_no(given, "label").tolist() == TRUE.tolist()


@pytest.mark.parametrize(
    ("given", "first"),
    [
        ([0, 2, 1], "row 2: 2"),
        ([0.0, 0.5], "row 2: 0.5"),
        ([1.0, float("nan")], "row 2: nan"),
        (pd.array([None, True], dtype="boolean"), "row 1: <NA>"),
        (pd.Series([1, None], dtype="int64[pyarrow]"), "first in row 2"),
        (["yes", "no"], "row 1: yes"),
    ],
    ids=["a third value", "a share", "nan", "nullable", "arrow", "texts"],
)
def test_what_is_neither_is_refused_with_its_row(given, first):
    with pytest.raises(DataError, match=first):
        yes_no(given, "label")


@pytest.mark.parametrize("given", TYPES.values(), ids=TYPES)
def test_a_split_judges_alike_whatever_the_type_of_its_labels(given):
    sensitive = {"sex": np.array(["f", "m"] * 60, dtype=object)}
    features = np.random.default_rng(0).normal(size=(120, 3)) + TRUE[:, None]

    def people(label):
        return Split(features, label, sensitive, None, np.arange(120).astype(object))

    plain, other = people(TRUE), people(given)
    assert (~other.label == ~TRUE).all()
    decided = [
        LogisticBaseline().fit(p, sensitive="sex", rng=np.random.default_rng(0)).decide(p) for p in (plain, other)
    ]
    assert (decided[0] == decided[1]).all()


@pytest.mark.parametrize("measure", [calibration_by_group, discrimination_by_group])
def test_scores_are_judged_alike_whatever_the_type_of_the_labels(measure):
    (partition,) = cross({"sex": np.array(["f", "m"] * 60, dtype=object)})
    score = np.random.default_rng(0).random(120)
    assert measure(partition, TRUE.astype(int), score) == measure(partition, TRUE, score)
