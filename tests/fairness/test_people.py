"""A table of people is checked before anything is computed from it; every mistake has one clear error."""

import numpy as np
import pandas as pd
import pytest

from auditkit.errors import DataError, UnknownName
from auditkit.fairness.people import MISSING, align, cross, read_people


def table(**columns):
    given = {"label": [0, 1, 1, 0], "prediction": [0, 1, 0, 1], "sex": ["F", "F", "M", "M"]}
    return pd.DataFrame(given | columns)


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"label": ["good", "bad", "good", "bad"]}, DataError, "label takes the values bad, good; say which of them"),
        ({"label": [0, 1, 2, 1]}, DataError, "label takes the values 0, 1, 2; say which of them is the favourable one"),
        ({"label": [0, None, 1, None]}, DataError, "label: 2 of 4 people have none (first in row 2)"),
        ({"prediction": [0, 1, None, 1]}, DataError, "prediction: 1 of 4 people have none (first in row 3)"),
        ({"prediction": [0.2, 0.7, 0.1, 0.9]}, DataError, "probabilities belong into the column score"),
        ({"score": [0.1, None, 0.3, 0.4]}, DataError, "score: 1 of 4 are no probability (first in row 2: nan)"),
        ({"score": [0.1, 0.2, 1.3, 0.4]}, DataError, "score: 1 of 4 are no probability (first in row 3: 1.3)"),
        ({"score": ["a", "0.2", "0.3", "0.4"]}, DataError, "(first in row 1: a); expected numbers from 0 to 1"),
    ],
)
def test_wrong_values_are_named(columns, error, message):
    with pytest.raises(error) as caught:
        read_people(table(**columns), ["sex"])
    assert message in str(caught.value)


def test_an_absent_column_is_named_with_the_nearest_one():
    with pytest.raises(UnknownName, match="unknown column 'gender'; known: label, prediction, sex"):
        read_people(table(), ["gender"])
    with pytest.raises(UnknownName, match="did you mean 'sex'"):
        read_people(table(), ["sexx"])
    with pytest.raises(DataError, match="no column 'prediction' among 'label', 'sex'"):
        read_people(table().drop(columns="prediction"), ["sex"])


def test_an_empty_table_and_no_sensitive_column_are_refused():
    with pytest.raises(DataError, match="no rows"):
        read_people(table().iloc[:0], ["sex"])
    with pytest.raises(DataError, match="no sensitive column was named"):
        read_people(table(), [])


def test_a_measurement_is_not_a_group():
    ages = pd.DataFrame({"label": 1, "prediction": 1, "age": np.arange(101) + 0.5})
    with pytest.raises(DataError, match="'age' has 101 values; cut it into at most 100 groups"):
        read_people(ages, ["age"])


def test_a_positive_value_that_nobody_has_is_refused():
    with pytest.raises(UnknownName, match="did you mean 'good'"):
        read_people(table(label=["good", "bad", "good", "bad"]), ["sex"], positive="goood")


@pytest.mark.parametrize(
    "label", [[0, 1, 1, 0], [False, True, True, False], ["0", "1", "1", "0"], [0.0, 1.0, 1.0, 0.0]]
)
@pytest.mark.parametrize("positive", ["", "1", "True", "true"])
def test_yes_and_no_may_be_written_in_any_usual_way(label, positive):
    found = read_people(table(label=label), ["sex"], positive=positive)
    assert found.label.tolist() == [False, True, True, False]
    assert found.prediction.tolist() == [False, True, False, True]


def test_a_named_value_is_read_as_that_or_any_other():
    words = {"label": ["A", "B", "C", "A"], "prediction": ["A", "A", "B", "C"]}
    found = read_people(table(**words), ["sex"], positive="A")
    assert found.label.tolist() == [True, False, False, True]
    assert found.prediction.tolist() == [True, True, False, False]


def test_missing_values_are_a_group_of_their_own():
    found = read_people(table(sex=["F", None, np.nan, "M"]), ["sex"])
    (partition,) = cross(found.sensitive)
    assert partition.groups == (f"sex={MISSING}", "sex=F", "sex=M")
    assert np.bincount(partition.codes).tolist() == [2, 1, 1]
    assert partition.unknown.tolist() == [True, False, False]


def test_attributes_are_crossed_and_constant_ones_are_not():
    people = read_people(
        table(race=["A", "B", "A", "A"], country=["X"] * 4, age=[1.0, 2.0, 2.0, 1.0]), ["sex", "race", "country", "age"]
    )
    found = {p.name: p for p in cross(people.sensitive)}
    assert list(found) == ["sex", "race", "country", "age", "sex+race", "sex+age", "race+age", "sex+race+age"]
    assert found["sex+race"].groups == ("sex=F+race=A", "sex=F+race=B", "sex=M+race=A")  # nobody is M and B
    assert found["sex+race"].codes.tolist() == [0, 1, 2, 2]
    assert found["age"].groups == ("age=1", "age=2")
    assert [p.name for p in cross(people.sensitive, max_order=1)] == ["sex", "race", "country", "age"]


def test_a_slash_in_a_value_does_not_divide_the_id():
    (partition,) = cross(read_people(table(sex=["n/a", "F", "M", "M"]), ["sex"]).sensitive)
    assert partition.groups == ("sex=F", "sex=M", "sex=n|a")


# --- two tables of the same people ------------------------------------------------------------------------------


def test_rows_are_aligned_by_id():
    here, there = table(id=[1, 2, 3, 4]), table(id=[1, 2, 3, 4]).iloc[[2, 0, 3, 1]]
    assert align(here, there, ["sex"])["prediction"].tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("here", "there", "message"),
    [
        ({}, {"label": [0, 1, 0, 0]}, "row 3 has label 1 in one table and 0 in the other"),
        ({}, {"sex": ["F", "M", "M", "M"]}, "row 2 has sex F in one table and M in the other"),
        ({"id": [1, 2, 3, 4]}, {"id": [1, 2, 3, 5]}, "2 people are in one of the two tables only"),
        ({"id": [1, 2, 3, 4]}, {"id": [1, 2, 3, 3]}, "id 3 appears twice"),
    ],
)
def test_other_people_are_refused(here, there, message):
    with pytest.raises(DataError) as caught:
        align(table(**here), table(**there), ["sex"])
    assert message in str(caught.value)


def test_another_number_of_people_is_refused():
    with pytest.raises(DataError, match="4 people here, 3 there"):
        align(table(), table().iloc[:3], ["sex"])
