"""Judging, drawing and asking for help must not wait for torch."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIGHT = ["errors", "measurement", "progress", "stats", "gate", "report", "config", "plugins", "console", "cli"]
LIGHT += ["conclusion", "outputs", "changes", "history", "plain_text", "rule_lines", "cli_compare", "attainability"]
LIGHT += ["comparability", "idle_limits", "standard_streams", "worsening", "yaml_file"]
RENDERING = sorted(f"rendering.{p.stem}" for p in (ROOT / "auditkit" / "rendering").glob("[!_]*.py"))


def python(code, *args, cwd=None):
    """Standard output of `code` in a fresh interpreter."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=cwd)
    return done.stdout


@pytest.fixture(scope="module")
def heavy_after():
    """What is imported of the heavy libraries after each light module; one interpreter imports them all in turn."""
    heavy = ("torch", "transformers", "pandas", "scipy", "pyarrow", "altair", "sklearn")
    code = f"""
import importlib, json, sys
found = {{}}
for name in sys.argv[1:]:
    importlib.import_module("auditkit." + name)
    found[name] = [m for m in {heavy} if m in sys.modules]
print(json.dumps(found))"""
    return json.loads(python(code, *LIGHT, *RENDERING))


@pytest.mark.parametrize("module", [*LIGHT, *RENDERING])
def test_the_light_modules_import_nothing_heavy(module, heavy_after):
    """The first module to fail is the one to blame: those after it find what it imported."""
    assert heavy_after[module] == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a report and rules for it."""
    from auditkit.measurement import Interval, Measurement
    from auditkit.report import AuditReport, ProbeRun

    folder = tmp_path_factory.mktemp("light")
    one = Measurement(id="p/all/m", value=1.0, interval=Interval(0.5, 1.5), n=10, method="m", source="s", seed=0)
    subject = {"name": "m", "weights_sha256": "0"}
    runs = [ProbeRun("p", "ok")]
    AuditReport(
        subject=subject,
        environment={},
        config={},
        seed=0,
        runs=runs,
        measurements=[one],
        created="2025-01-01T00:00:00+00:00",
    ).save(folder / "report.json")
    (folder / "rules.yaml").write_text("gate: [{measurement: p/all/m, max: 2}]\n")
    return folder


COMMANDS = {
    "--help": [],
    "gate": ["report.json", "--rules", "rules.yaml", "--junit", "j", "--summary", "s", "--code-quality", "q"],
    "render": ["report.json"],
    "compare": ["report.json", "report.json"],
    "history": ["."],
    "list": ["probes"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_light_commands_never_import_torch(command, folder):
    code = """
import json, sys
from auditkit.cli import main
try:
    main(sys.argv[1:])
except SystemExit as e:
    print(json.dumps([e.code or 0, "torch" in sys.modules]))
"""
    last = python(code, command, *COMMANDS[command], cwd=folder).splitlines()[-1]
    assert json.loads(last) == [0, False]


def cpu_seconds(*command, cwd, times=3):
    """The least of some measurements of user + system time."""
    seconds = []
    for _ in range(times):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, *command], capture_output=True, check=True, cwd=cwd, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(seconds)


def test_help_and_gate_cost_at_most_a_fifth_of_importing_torch_and_transformers(folder):
    heavy = cpu_seconds("-c", "import torch, transformers", cwd=folder, times=1)
    assert cpu_seconds("-m", "auditkit", "--help", cwd=folder) <= 0.2 * heavy
    assert cpu_seconds("-m", "auditkit", "gate", "report.json", "--rules", "rules.yaml", cwd=folder) <= 0.2 * heavy
