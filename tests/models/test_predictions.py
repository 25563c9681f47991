"""A table of decisions is a model that has already spoken."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from auditkit import load_model
from auditkit.errors import DataError
from auditkit.models.predictions import Predictions, read_table
from auditkit.models.protocols import Classifies, Predicts
from auditkit.testing import check_model

TABLE = pd.DataFrame({"label": [0, 1] * 20, "prediction": [0, 1, 1, 1] * 10, "sex": ["F", "M", None, "NA"] * 10})


@pytest.mark.parametrize("name", ["people.csv", "people.parquet"])
def test_a_file_is_loaded_as_a_model(tmp_path, name):
    path = tmp_path / name
    TABLE.to_csv(path, index=False) if name.endswith("csv") else TABLE.to_parquet(path)
    model = load_model(str(path))
    check_model(model)
    assert isinstance(model, Predicts)
    assert not isinstance(model, Classifies)
    table = model.predictions()
    assert table["sex"].isna().sum() == 10  # the empty cells; "NA" is a value like any other
    assert (table["sex"] == "NA").sum() == 10
    assert model.describe()["architecture"] == "predictions for 40 people"
    assert model.describe()["weights_sha256"] == Predictions(TABLE, name="m").describe()["weights_sha256"]


def test_dealt_out_at_random_the_decisions_stay_and_the_people_stay():
    twin = Predictions(TABLE, name="m").randomized(0).predictions()
    assert twin.drop(columns="prediction").equals(TABLE.drop(columns="prediction"))
    assert sorted(twin["prediction"]) == sorted(TABLE["prediction"])
    assert twin["prediction"].tolist() != TABLE["prediction"].tolist()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.csv", None, "no such file: .*absent.csv"),
        ("people.xlsx", b"", "expected a table of people as a file that ends in .csv or .parquet"),
        ("empty.csv", b"", "empty.csv cannot be read"),
        ("damaged.parquet", b"no parquet", "damaged.parquet cannot be read"),
        ("latin.csv", "label\nJosé".encode("latin-1"), "latin.csv cannot be read"),
        ("ragged.csv", b"a,b\n1,2\n1,2,3\n", "ragged.csv cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_table(path)


def test_loading_a_table_never_imports_torch(tmp_path):
    path = tmp_path / "people.csv"
    TABLE.to_csv(path, index=False)
    code = "import sys, auditkit as ak; ak.load_model(sys.argv[1]); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_fitted_estimator_of_scikit_learn_is_audited_like_a_file():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(300, 3))
    people = pd.DataFrame({"label": (features[:, 0] > 0).astype(int), "sex": rng.choice(["F", "M"], 300)})
    estimator = LogisticRegression().fit(features, people["label"])
    model = Predictions.of_estimator(estimator, features, people)
    table = model.predictions()
    assert (model.name, list(table)) == ("LogisticRegression", ["label", "sex", "prediction", "score"])
    assert (table["prediction"] == (table["score"] > 0.5)).all()
    assert table["score"].iloc[0] == pytest.approx(estimator.predict_proba(features)[0, 1])
    without = Predictions.of_estimator(LinearSVC().fit(features, people["label"]), features, people, name="svc")
    assert (without.name, "score" in without.predictions()) == ("svc", False)


def test_an_estimator_that_does_not_fit_the_people_is_refused():
    features = np.arange(30.0).reshape(10, 3)
    people = pd.DataFrame({"label": [0, 1] * 5})
    with pytest.raises(DataError, match="expected a fitted one with two"):
        Predictions.of_estimator(LogisticRegression(), features, people)
    fitted = LogisticRegression().fit(features, people["label"])
    with pytest.raises(DataError, match="9 rows of features, 10 people"):
        Predictions.of_estimator(fitted, features[1:], people)
