"""`assert_fair` and the fixture `audit`, as a user's own test suite runs them."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from auditkit.errors import DataError, InputError, UnknownName
from auditkit.pytest_plugin import InconclusiveWarning, assert_fair


def people(n, rates, *, seed=0):
    """n people of each group, selected at exactly their group's rate."""
    group = np.repeat(list(rates), n)
    selected = np.concatenate([np.arange(n) < round(rate * n) for rate in rates.values()]).astype(int)
    label = np.tile([0, 1], len(group) // 2)
    return pd.DataFrame({"label": label, "prediction": selected, "sex": group})


def check(table, **options):
    return assert_fair(table["label"], table["prediction"], sensitive_features=table[["sex"]], **options)


def message(table, **options):
    with pytest.raises(pytest.fail.Exception) as caught:
        check(table, **options)
    return str(caught.value)


def test_fair_decisions_pass_and_give_the_report():
    report = check(people(2_000, {"F": 0.5, "M": 0.5}), max_difference=0.1)
    assert report["group_fairness/sex/selection_rate_difference"].value == 0
    assert [v.outcome for v in report.verdicts] == ["PASS"]


def test_a_failure_says_what_was_found_between_whom_and_what_to_do():
    text = message(people(1_000, {"F": 0.2, "M": 0.5}), max_difference=0.1)
    assert text.startswith("FAIL: group_fairness/sex/selection_rate_difference must be <= 0.1\n")
    assert "the value is 0.3, its interval 0.2596 to 0.3389" in text
    assert "lowest   sex=F: 0.200 (0.176 to 0.226) of 1,000 people" in text
    assert "highest  sex=M: 0.500 (0.469 to 0.531) of 1,000 people" in text
    assert "differs from everybody else, after correction: sex=F, sex=M" in text
    assert "mitigate, then test again" in text


def test_the_undecided_fails_and_says_how_many_people_it_takes():
    text = message(people(100, {"F": 0.45, "M": 0.5}), max_difference=0.1)
    assert text.startswith("INCONCLUSIVE")
    # The interval reaches 0.134 above the value, the limit is 0.05 above it: (0.134 / 0.05)^2 times the people.
    assert "about 7.2 times as many people would, if the value stays inside" in text
    check(people(800, {"F": 0.45, "M": 0.5}), max_difference=0.1)  # and so many do decide it


def test_the_undecided_only_warns_where_that_is_asked_for():
    with pytest.warns(InconclusiveWarning, match="INCONCLUSIVE: group_fairness/sex/selection_rate_difference"):
        check(people(100, {"F": 0.45, "M": 0.5}), max_difference=0.1, on_inconclusive="warn")


def test_a_value_at_its_limit_is_not_decided_by_more_people():
    assert "reconsider the limit" in message(people(100, {"F": 0.4, "M": 0.5}), max_difference=0.1)


def test_ratios_are_judged_too():
    assert "FAIL: group_fairness/sex/selection_rate_ratio must be >= 0.8" in message(
        people(1_000, {"F": 0.2, "M": 0.5}), min_ratio=0.8
    )
    check(people(2_000, {"F": 0.5, "M": 0.5}), min_ratio=0.8)


def test_small_groups_are_named():
    table = pd.concat([people(500, {"F": 0.2, "M": 0.5}), people(4, {"X": 0.5})], ignore_index=True)
    assert "not compared, too few people: sex=X" in message(table, max_difference=0.1)


def test_one_group_only_cannot_be_judged():
    text = message(people(200, {"F": 0.5}), max_difference=0.1)
    assert text.startswith("ERROR: group_fairness/sex/selection_rate_difference must be <= 0.1")
    assert "all 200 people have sex=F: there is nobody to compare them with" in text


def test_crossed_attributes_are_judged_with_the_others():
    table = people(4_000, {"F": 0.5, "M": 0.5})
    other = np.where((table["sex"] == "F") == (table["prediction"] == 1), "A", "B")
    with pytest.raises(
        pytest.fail.Exception, match="FAIL: group_fairness/sex\\+race/selection_rate_difference"
    ) as caught:
        assert_fair(
            table["label"],
            table["prediction"],
            sensitive_features=table[["sex"]].assign(race=other),
            max_difference=0.1,
        )
    assert "group_fairness/sex/selection" not in str(caught.value)


@pytest.mark.parametrize("kind", [list, np.array, pd.Series])
def test_columns_of_any_kind_are_taken_by_position(kind):
    table = people(1_000, {"F": 0.5, "M": 0.5})
    sensitive = {"sex": kind(table["sex"].tolist())}
    assert_fair(
        kind(table["label"].tolist()),
        kind(table["prediction"].tolist()),
        sensitive_features=sensitive,
        max_difference=0.2,
    )
    assert_fair(table["label"], table["prediction"], sensitive_features=kind(table["sex"].tolist()), max_difference=0.2)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({}, InputError, "give either max_difference, e.g. 0.1, or min_ratio, e.g. 0.8"),
        ({"max_difference": 0.1, "min_ratio": 0.8}, InputError, "give either"),
        ({"max_difference": 0.1, "metric": "acuracy"}, UnknownName, "did you mean 'accuracy'"),
        ({"max_difference": 0.1, "positive": "yes"}, DataError, "unknown value of label and prediction 'yes'"),
    ],
)
def test_wrong_use_is_an_error_of_its_own(options, error, text):
    with pytest.raises(error) as caught:
        check(people(100, {"F": 0.5, "M": 0.5}), **options)
    assert text in str(caught.value)


def test_misaligned_predictions_are_refused():
    table = people(100, {"F": 0.5, "M": 0.5})
    with pytest.raises(DataError, match="label: 200, prediction: 199, sex: 200; expected the same people"):
        assert_fair(table["label"], table["prediction"][1:], sensitive_features=table[["sex"]], max_difference=0.1)


SUITE = """
import numpy as np
import pandas as pd
from auditkit.fairness import Predictions
from auditkit.probes.group_fairness import GroupFairness
from auditkit.pytest_plugin import assert_fair

table = pd.DataFrame({"sex": ["F", "M"] * 2000, "label": [1, 0, 0, 1] * 1000})
table["prediction"] = [1, 0] * 2000
GATE = [{"measurement": "group_fairness/sex/accuracy_difference", "max": 0.1}]


def test_fair(audit):
    report = audit(Predictions(table, name="m"), [GroupFairness(sensitive=["sex"])], gate=GATE)
    assert report["group_fairness/sex/accuracy_difference"].value == 0


def test_unfair():
    assert_fair(table["label"], table["prediction"], sensitive_features=table["sex"], max_difference=0.1)


def test_unfair_by_gate(audit):
    gate = [{"measurement": "group_fairness/sex/selection_rate_difference", "max": 0.1}]
    audit(Predictions(table, name="m"), [GroupFairness(sensitive=["sex"])], gate=gate)
"""


def test_a_suite_of_a_users_own(tmp_path):
    (tmp_path / "test_mine.py").write_text(SUITE)
    plugins = ["-p", "auditkit.pytest_plugin", "-p", "no:cacheprovider"]
    environment = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PATH": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, "-q", "test_mine.py"],
        capture_output=True, text=True, cwd=tmp_path, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "2 failed, 1 passed" in done.stdout
    assert "lowest   sex=M: 0.000" in done.stdout
    assert "pytest_plugin.py" not in done.stdout  # the message, not the traceback of this package


def test_the_plugin_costs_a_suite_that_does_not_use_it_nothing():
    heavy = ("torch", "pandas", "scipy", "numpy")
    code = f"import sys, auditkit.pytest_plugin; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
