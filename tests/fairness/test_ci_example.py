"""The example for a CI job runs as it is written, in far less than a minute."""

import re
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from auditkit.cli import app

CI = Path(__file__).parents[2] / "examples" / "ci"


@pytest.fixture
def command():
    """The arguments of the workflow's `auditkit run`."""
    steps = yaml.safe_load((CI / "fairness-github-actions.yml").read_text())["jobs"]["fairness"]["steps"]
    run = next(s["run"] for s in steps if s.get("run", "").startswith("auditkit run"))
    return run.replace('"$GITHUB_STEP_SUMMARY"', "summary.md").split()[1:]


@pytest.mark.parametrize(("harm", "code"), [(0.0, 0), (0.5, 1)])
def test_the_workflow_passes_fair_decisions_and_stops_unfair_ones(tmp_path, monkeypatch, command, harm, code):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    n = 40_000
    table = pd.DataFrame({"sex": rng.choice(["F", "M"], n), "age_group": rng.choice(["young", "old"], n)})
    harmed = (table["sex"] == "F") & (table["age_group"] == "old")
    label = rng.random(n) < 0.5
    decided = rng.random(n) < 0.6 - harm * harmed
    table.assign(label=label.astype(int), prediction=decided.astype(int)).to_csv("predictions.csv", index=False)
    (tmp_path / "fairness.yaml").write_text((CI / "fairness.yaml").read_text())
    start = time.perf_counter()
    result = CliRunner().invoke(app, command)
    assert time.perf_counter() - start < 60
    assert result.exit_code == code, result.output
    assert "sex+age_group/true_positive_rate_difference" in (tmp_path / "summary.md").read_text().replace("\\", "")
    assert (tmp_path / "audit-out" / "junit.xml").exists()


def test_on_the_table_that_ships_the_workflow_stops(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fairness.yaml").write_text((CI / "fairness.yaml").read_text())
    result = CliRunner().invoke(app, [*command, "--model", "hiring"])
    assert result.exit_code == 1, result.output
    assert re.search(r"FAIL\W+group_fairness/sex/true_positive_rate", result.output)
