"""A full group audit of UCI Adult against a loop over fairlearn's MetricFrame, one frame a resample and partition.

    python benchmarks/fairness.py [--loops 3]

48,842 people, three sensitive columns and their crossings (seven partitions), five metrics, 2,000 bootstrap resamples.
The loop is timed on a few resamples and scaled up. Targets: at most 15 s, at least 20 times faster, and point values
equal to fairlearn's to the last bit.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, precision_score
from sklearn.preprocessing import StandardScaler
from timing import seconds

from auditkit import data
from auditkit.errors import DataError
from auditkit.fairness import METRICS, Predictions, cross, measure_groups, read_people
from auditkit.fairness.groups import MetricByGroup
from auditkit.probes.base import generator
from auditkit.probes.group_fairness import GroupFairness

RESAMPLES = 2_000
TARGET_SECONDS = 15
TARGET_RATIO = 20
SENSITIVE = ["sex", "race", "age_group"]
COLUMNS = [
    *("age", "workclass", "fnlwgt", "education", "education_num", "marital", "occupation", "relationship", "race"),
    *("sex", "gain", "loss", "hours", "country", "label"),
]
THEIRS = {
    "selection_rate": selection_rate,
    "accuracy": accuracy_score,
    "true_positive_rate": true_positive_rate,
    "false_positive_rate": false_positive_rate,
    "precision": lambda y_true, y_pred: precision_score(y_true, y_pred, zero_division=0),
}


def adult() -> pd.DataFrame:
    """Everybody in UCI Adult, with the decisions of a logistic regression."""
    root = data.root()
    if root is None or not (root / "adult" / "adult.data").is_file():
        raise DataError("this benchmark reads UCI Adult; set AUDITKIT_DATA to the folder that holds adult/")
    options: dict[str, Any] = {"names": COLUMNS, "skipinitialspace": True}
    files = (("adult.data", 0), ("adult.test", 1))
    parts = [pd.read_csv(root / "adult" / name, skiprows=skip, **options) for name, skip in files]
    table = pd.concat(parts, ignore_index=True)
    label = table["label"].str.strip(".").eq(">50K").astype(int)
    features = pd.get_dummies(table.drop(columns=["label", "fnlwgt"]), dtype=float)
    scaled = StandardScaler().fit_transform(features)
    score = LogisticRegression(max_iter=300).fit(scaled, label).predict_proba(scaled)[:, 1]
    ages = ["under 25", "25 to 34", "35 to 49", "50 to 64", "65 and over"]
    age = pd.cut(table["age"], [0, 24, 34, 49, 64, 120], labels=ages).astype(str)
    who = table[["sex", "race"]].assign(age_group=age)
    return who.assign(label=label, prediction=(score > 0.5).astype(int), score=score)


def ours(table: pd.DataFrame) -> dict[str, list[MetricByGroup]]:
    people, rng = read_people(table, SENSITIVE), np.random.default_rng(0)
    return {
        p.name: measure_groups(p, people.label, people.prediction, rng=rng, resamples=RESAMPLES)
        for p in cross(people.sensitive)
    }


def theirs(table: pd.DataFrame, partitions: list[str]) -> dict[str, MetricFrame]:
    y = {"y_true": table["label"], "y_pred": table["prediction"]}
    return {p: MetricFrame(metrics=THEIRS, sensitive_features=table[p.split("+")], **y) for p in partitions}


def unequal(found: dict[str, list[MetricByGroup]], frames: dict[str, MetricFrame]) -> Iterator[str]:
    """Every rate that is not the same number; rates over nobody, which fairlearn calls 0, are undefined here."""
    for partition, by_metric in found.items():
        for m in by_metric:
            column = frames[partition].by_group[m.metric]
            for g in m.groups:
                values = tuple(part.partition("=")[2] for part in g.group.split("+"))
                if g.value is not None and g.value != column[values if len(values) > 1 else values[0]]:
                    yield f"{g.group}/{m.metric}"


def measure(loops: int = 3) -> dict[str, Any]:
    """Times, their ratio, and how many values differ from fairlearn's."""
    table = adult()
    ours(table)  # imports
    took, found = seconds(lambda: ours(table))
    frames = theirs(table, list(found))
    drawn = [table.sample(len(table), replace=True, random_state=seed) for seed in range(loops)]
    loop = min(seconds(lambda sample=sample: theirs(sample, list(found)))[0] for sample in drawn)
    probe = GroupFairness(sensitive=SENSITIVE)
    whole, _ = seconds(lambda: probe.measure(Predictions(table, name="adult"), generator(0, probe.id)))
    return {
        "people": len(table),
        "partitions": len(found),
        "groups": sum(len(ms[0].groups) for ms in found.values()),
        "metrics": len(METRICS),
        "resamples": RESAMPLES,
        "ours, s": took,
        "whole probe, with calibration and tests, s": whole,
        "fairlearn, s a resample (least of the loops)": loop,
        "fairlearn, s for all resamples (scaled up)": loop * RESAMPLES,
        "times faster": loop * RESAMPLES / took,
        "values that differ": len(list(unequal(found, frames))),
        "target, s": TARGET_SECONDS,
        "target, times faster": TARGET_RATIO,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loops", type=int, default=3)
    for key, value in measure(parser.parse_args().loops).items():
        print(f"{key:<48} {value:.4g}" if isinstance(value, float) else f"{key:<48} {value}")


if __name__ == "__main__":
    main()
