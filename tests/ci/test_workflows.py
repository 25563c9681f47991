"""The examples for GitHub and GitLab do what they say, run by a substitute for their runners."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

CI = Path(__file__).parents[2] / "examples" / "ci"
ID = "drift/all/mean"
LIMIT = {"measurement": ID, "max": 5}
TIGHT = {"measurement": ID, "max": -5}
WORSE = {"measurement": ID, "max_worsening": 0.5}
MAIN, PULL = {"github.ref": "refs/heads/main"}, {"github.ref": "refs/pull/1/merge"}


def read(name):
    return yaml.safe_load((CI / name).read_text())


def workflow(runner, context):
    return runner.github(read("audit-with-action.yml")["jobs"]["audit"]["steps"], context=context)


def action(runner, **given):
    step = {"uses": "./.github/actions/audit", "with": given}
    return runner.github([step], context={})


@pytest.mark.parametrize(
    ("rules", "options", "code", "annotation"),
    [
        ([LIMIT], {}, 0, "::notice title=audit%3A PASS,file=audit.yaml,line=1::"),
        ([LIMIT, TIGHT], {}, 1, f"::error title=FAIL {ID},file=audit.yaml,line="),
        ([LIMIT], {"crash": True}, 3, "::error title=ERROR drift,file=audit.yaml,line=1::the probe crashed: Zero"),
    ],
)
def test_the_action_ends_as_the_gate_does(runner, configure, tmp_path, rules, options, code, annotation):
    configure(*rules, **options)
    result = action(runner, out="results", package="auditkit==9")
    assert result.code == code
    assert result.outputs == {"exit-code": str(code), "report": "results/report.html"}
    assert result.used == ["actions/setup-python", "actions/upload-artifact"]  # the artifact also where it failed
    assert "pip install auditkit==9" in result.log
    assert annotation in result.log
    assert "audit of fake" in result.summary.replace("\\", "")
    assert (tmp_path / "results" / "junit.xml").exists()


def test_the_action_passes_wrong_input_on(runner):
    result = action(runner, config="missing.yaml")
    assert (result.code, result.outputs) == (2, {"exit-code": "2", "report": ""})
    assert "auditkit: missing.yaml: cannot be read" in result.log


def test_no_input_of_the_action_is_run_as_code(runner, configure, tmp_path):
    configure(LIMIT)
    assert not any("${{" in step.get("run", "") for step in read("action/action.yml")["runs"]["steps"])
    result = action(runner, baseline="$(touch owned)", package="`touch owned`; touch owned")
    assert result.code == 0
    assert "::warning title=no baseline::" in result.log
    assert not (tmp_path / "owned").exists()


def test_a_pull_request_is_compared_with_main(runner, configure, tmp_path):
    """The first run of main has nothing to compare with and says so; from then on there is a baseline."""
    configure(WORSE)
    first = workflow(runner, MAIN)
    assert (first.code, first.outputs["exit-code"]) == (3, "3")
    assert "actions/cache/save" in first.used
    assert (tmp_path / "audit-main" / "report.json").exists()
    configure(WORSE, shift=0.01)
    same = workflow(runner, PULL)
    assert (same.code, same.outputs["exit-code"]) == (0, "0")
    assert "actions/cache/save" not in same.used
    assert "baseline: audit-main/report.json, newest of 1" in same.log
    configure(WORSE, shift=2.0)
    assert workflow(runner, PULL).code == 1


def test_gitlab_gets_tests_code_quality_and_a_baseline(runner, configure, tmp_path):
    job = read("gitlab-ci.yml")["audit"]
    branch = {"CI_DEFAULT_BRANCH": "main"}

    def pipeline(branch_name):
        code, log = runner.bash("\n".join(job["script"]), CI_COMMIT_BRANCH=branch_name, **branch)
        after, _ = runner.bash("\n".join(job["after_script"]), CI_COMMIT_BRANCH=branch_name, **branch)
        assert after == 0
        return code, log

    configure(LIMIT)
    assert pipeline("main")[0] == 0
    configure(LIMIT, WORSE, shift=2.0)
    code, log = pipeline("")
    assert code == 1
    assert "::error" not in log  # GitLab has no annotations
    reports = job["artifacts"]["reports"]
    tests = ElementTree.parse(tmp_path / reports["junit"]).getroot()
    assert (tests.attrib["tests"], tests.attrib["failures"]) == ("2", "1")
    (issue,) = json.loads((tmp_path / reports["codequality"]).read_text())
    assert (issue["severity"], issue["location"]["path"]) == ("critical", "audit.yaml")
    line = (tmp_path / "audit.yaml").read_text().splitlines()[issue["location"]["lines"]["begin"] - 1]
    assert line.startswith("- max_worsening")


WITH_COMMANDS = sorted(path for path in CI.rglob("*.yml") if "auditkit run" in path.read_text())


@pytest.mark.parametrize("path", WITH_COMMANDS, ids=lambda path: path.name)
def test_every_option_of_the_examples_exists(path):
    from typer.testing import CliRunner

    from auditkit.cli import app

    lines = (line for line in path.read_text().splitlines() if "--out" in line or "--baseline" in line)
    used = set(re.findall(r"(?<![\w-])--[a-z-]+", "".join(lines)))
    shown = CliRunner().invoke(app, ["run", "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"}).output
    assert used
    assert all(option in shown for option in used)
