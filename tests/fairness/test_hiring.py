"""The shipped table as an audit and as a task: on any machine, without torch, and with the planted bias found."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

import auditkit as ak
from auditkit.cli import app
from auditkit.errors import InputError
from auditkit.fairness.tables import read_hiring

ROOT = Path(__file__).parents[2]
AUDIT = ROOT / "examples" / "audits" / "hiring.yaml"
VERDICTS = {
    "sex/selection_rate_ratio": "FAIL",
    "origin/selection_rate_difference": "PASS",
    "origin/true_positive_rate_difference": "FAIL",
    "age_group/selection_rate_difference": "PASS",
    "children/selection_rate_difference": "PASS",
    "age_group+children/selection_rate_difference": "FAIL",
    "residence/selection_rate_difference": "PASS",
    "residence/true_positive_rate_difference": "PASS",
    "residence/false_positive_rate_difference": "PASS",
}
WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""


def python(code, absent, cwd):
    """Run `code` in a fresh interpreter in which these packages cannot be imported."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WITHOUT.format(absent=absent) + code]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=cwd)


def test_the_example_audit_fails_for_what_is_planted_and_for_nothing_else(tmp_path):
    result = CliRunner().invoke(app, ["run", str(AUDIT), "--out", str(tmp_path), "--json"])
    assert result.exit_code == 1, result.output
    report = json.loads((tmp_path / "report.json").read_text())
    found = {v["measurement"].removeprefix("group_fairness/"): v["outcome"] for v in report["verdicts"]}
    assert found == VERDICTS


def test_a_table_is_audited_without_torch_transformers_and_pyarrow(tmp_path):
    code = f"from auditkit.cli import main; main(['run', {str(AUDIT)!r}, '--out', 'out'])"
    done = python(code, ("torch", "transformers", "pyarrow"), tmp_path)
    assert done.returncode == 1, done.stderr
    assert re.search(r"FAIL\W+group_fairness/sex/selection_rate_ratio", done.stdout)


def test_mitigations_that_train_no_network_do_without_torch(tmp_path):
    code = """
import auditkit as ak
import numpy as np
task = ak.mitigate.hiring_task(limit=400)
for name in set(ak.mitigate.METHODS) - {"adversarial", "regularizer"}:
    ak.mitigate.mitigation(name).fit(task.train, sensitive="sex", rng=np.random.default_rng(0)).decide(task.test)
report = ak.mitigate.compare(task, ["thresholds"], sensitive="sex")
print([m.id for m in report.measurements if m.status != "ok"])
"""
    done = python(code, ("torch", "transformers"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("[]")


def test_the_task_learns_from_invitations_and_is_judged_by_performance():
    task, table = ak.mitigate.hiring_task(), ak.load_model("hiring").predictions()
    np.testing.assert_array_equal(task.train.label, table["prediction"][:3_500] == 1)
    np.testing.assert_array_equal(task.test.label, table["label"][3_500:] == 1)
    assert list(task.test.ids[:2]) == ["applicant 3501", "applicant 3502"]
    assert set(task.train.ids).isdisjoint(task.test.ids)
    numbers = [i for i, c in enumerate(task.columns) if "=" not in c]
    np.testing.assert_allclose(task.train.features[:, numbers].mean(axis=0), 0, atol=1e-9)


def test_who_somebody_is_stays_out_of_the_features_unless_asked_for():
    columns = ak.mitigate.hiring_task(limit=100).columns
    assert {"test_score", "education=degree"} <= set(columns)
    assert not any(c.startswith(("sex", "origin", "age", "children", "residence")) for c in columns)
    assert {"sex=woman", "origin=hills"} <= set(ak.mitigate.hiring_task(limit=100, include_sensitive=True).columns)


def test_what_is_learned_from_the_past_passes_women_over_and_what_is_learned_from_performance_does_not():
    task, new = ak.mitigate.hiring_task(), read_hiring()[1]
    women = new.sensitive["sex"] == "woman"

    def gap(label, features):
        invited = LogisticRegression(max_iter=1_000).fit(features, label).predict(task.test.features)
        return invited[~women].mean() - invited[women].mean()

    assert gap(task.train.label, task.train.features) > 0.15
    assert abs(gap(task.test.label, task.test.features)) < 0.06


def test_a_limit_draws_people():
    task = ak.mitigate.hiring_task(limit=50)
    assert len(task.train) == len(task.test) == 50
    assert set(task.train.ids) != set(ak.mitigate.hiring_task(limit=50, seed=1).train.ids)
    with pytest.raises(InputError, match="limit=0"):
        ak.mitigate.hiring_task(limit=0)
