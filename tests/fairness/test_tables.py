"""The published tables are read whole, and a damaged or missing one is said to be."""

import json

import numpy as np
import pytest

from auditkit.errors import DataError
from auditkit.fairness.tables import read_adult, read_german_credit

LINE = "39, ?, 77516, Bachelors, 13, Never-married, ?, Not-in-family, White, Male, 2174, 0, 40, ?, <=50K"
APPLICANT = "A11 6 A34 A43 1169 A65 A75 4 A93 A101 4 A121 {age} A143 A152 2 A173 1 A192 A201 1"


@pytest.fixture
def adult(tmp_path):
    folder = tmp_path / "adult"
    folder.mkdir()
    (folder / "adult.data").write_text(f"{LINE}\n\n")
    (folder / "adult.test").write_text(f"|1x3 Cross validator\n{LINE.replace('<=50K', '>50K.').replace('39', '66')}\n")
    (folder / "adult.names").write_text("")
    return tmp_path


@pytest.mark.data
def test_all_of_adult():
    train, test = read_adult()
    assert (len(train), len(test)) == (32_561, 16_281)
    assert (int(train.label.sum()), int(test.label.sum())) == (7_841, 3_846)
    assert {k: int((train.sensitive["sex"] == k).sum()) for k in ("Male", "Female")} == {
        "Male": 21_790,
        "Female": 10_771,
    }
    assert (train.rows["workclass"] == "?").sum() == 1_836


@pytest.mark.data
def test_all_of_german_credit():
    table = read_german_credit()
    assert len(table) == 1_000
    assert int(table.label.sum()) == 700
    assert (table.sensitive["sex"] == "female").sum() == 310
    assert (table.sensitive["foreign_worker"] == "no").sum() == 37
    ages = table.rows["age"].to_numpy()
    np.testing.assert_array_equal(table.sensitive["age_group"] == "25 or under", ages <= 25)


def test_missing_values_labels_and_lines(adult):
    train, test = read_adult(adult)
    assert list(train.label) == [False]
    assert list(test.label) == [True]  # "." at the end, and the note above, are no part of the data
    assert train.rows["occupation"].tolist() == ["?"]
    assert list(train.ids) == ["adult.data:1"]
    assert list(test.ids) == ["adult.test:2"]
    assert list(test.sensitive["age_group"]) == ["over 65"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no rows"),
        (LINE[:-8], "line 1: 14 values; expected 15"),
        (LINE.replace("77516", "many"), "many.*expected numbers"),
        (LINE.replace("<=50K", "rich"), "income 'rich'"),
    ],
)
def test_damaged_lines(adult, text, message):
    (adult / "adult" / "adult.data").write_text(text)
    with pytest.raises(DataError, match=message):
        read_adult(adult)


def test_missing_files_and_how_to_get_them(adult, tmp_path, monkeypatch):
    (adult / "adult" / "adult.test").unlink()
    with pytest.raises(DataError, match=r"has no adult\.test.*auditkit data fetch adult"):
        read_adult(adult)
    monkeypatch.setenv("AUDITKIT_DATA", str(tmp_path))
    monkeypatch.setenv("AUDITKIT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DataError, match="auditkit data fetch german_credit"):
        read_german_credit()


def test_an_unknown_code_is_refused(tmp_path):
    folder = tmp_path / "german_credit"
    folder.mkdir()
    (folder / "german.data").write_text(APPLICANT.format(age=25))
    (folder / "values_maps.json").write_text(json.dumps({"status_sex": {"A91": "male : divorced/separated"}}))
    with pytest.raises(DataError, match="status_sex has the code A93"):
        read_german_credit(tmp_path)
