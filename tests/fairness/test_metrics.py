"""The metrics are fairlearn's, to the last bit, and undefined where nobody is there."""

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
from sklearn.metrics import accuracy_score, precision_score

from auditkit.errors import DataError
from auditkit.fairness import metrics
from auditkit.fairness.people import cross, read_people

THEIRS = {
    "selection_rate": selection_rate,
    "accuracy": accuracy_score,
    "true_positive_rate": true_positive_rate,
    "false_positive_rate": false_positive_rate,
    "precision": precision_score,
}


def ours(table, sensitive):
    """{(partition, metric): {group: rate}}."""
    people = read_people(table, sensitive)
    found = {}
    for p in cross(people.sensitive):
        counts = metrics.count(p.codes, people.label, people.prediction, groups=len(p.groups))
        for metric in metrics.METRICS:
            values = metrics.rates(*metrics.shares(counts, metric))
            found[p.name, metric] = (dict(zip(p.groups, values, strict=True)), values)
    return found


def frame(table, columns):
    return MetricFrame(
        metrics=THEIRS, y_true=table["label"], y_pred=table["prediction"], sensitive_features=table[list(columns)]
    )


def assert_equal_to_fairlearn(table, sensitive):
    found = ours(table, sensitive)
    for columns in {name for name, _ in found}:
        theirs = frame(table, columns.split("+"))
        for metric in THEIRS:
            by_name, values = found[columns, metric]
            for key, row in theirs.by_group.dropna().iterrows():
                key = key if isinstance(key, tuple) else (key,)
                name = "+".join(f"{c}={v}" for c, v in zip(columns.split("+"), key, strict=True))
                assert by_name[name] == row[metric]
            assert metrics.difference(values) == theirs.difference()[metric]
            assert metrics.ratio(values) == theirs.ratio()[metric]


@pytest.mark.parametrize("seed", range(3))
def test_every_group_difference_and_ratio_is_that_of_fairlearn(people, seed):
    assert_equal_to_fairlearn(people(900, seed=seed, rates={("F", "*"): 0.2, ("M", "C"): 0.6}), ["sex", "race"])


@pytest.mark.data
def test_the_same_on_adult(adult):
    table = adult[adult["race"] != "Other"]  # in no cell of the others is a rate over nobody
    assert_equal_to_fairlearn(table, ["sex", "race"])


def test_hand_computed():
    #            negatives: predicted 0, 1   positives: predicted 0, 1
    counts = np.array([[[6, 2], [1, 3]]])
    found = {m: float(metrics.rates(*metrics.shares(counts, m))[0]) for m in metrics.METRICS}
    assert found == {
        "selection_rate": 5 / 12,
        "accuracy": 9 / 12,
        "true_positive_rate": 3 / 4,
        "false_positive_rate": 2 / 8,
        "precision": 3 / 5,
    }


def test_a_rate_over_nobody_is_undefined_where_fairlearn_says_zero():
    table = pd.DataFrame({"label": [0, 0, 1, 0], "prediction": [0, 1, 1, 0], "sex": ["F", "F", "M", "M"]})
    rate = metrics.rates(
        *metrics.shares(
            metrics.count([0, 0, 1, 1], table["label"], table["prediction"], groups=2), "true_positive_rate"
        )
    )
    assert np.isnan(rate[0])
    assert rate[1] == 1
    assert frame(table, ["sex"]).by_group["true_positive_rate"]["F"] == 0


def test_a_ratio_of_zeros_is_undefined():
    assert np.isnan(metrics.ratio(np.array([0.0, 0.0])))


def test_other_numbers_of_labels_and_predictions_are_refused():
    with pytest.raises(DataError, match="of 3 and 3 and 2 people; expected one of each for every person"):
        metrics.count([0, 1, 1], [0, 1, 1], [0, 1], groups=2)
