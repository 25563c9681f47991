"""A substitute for the runners of GitHub and GitLab: the `run:` steps of a workflow, executed in bash as they would be.

What a runner brings itself (checkout, Python, cache, artifacts) is recorded, not done; `pip` is a stub, so that nothing
is fetched, and `auditkit` is this checkout.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CI = ROOT / "examples" / "ci"
PROBE = '''
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from auditkit.measurement import Interval, Measurement
from auditkit.probes.base import ItemScore, ProbeResult


@dataclass(frozen=True, kw_only=True)
class Drift:
    """A score of 1 on average, and as much more as the model has drifted; the same items in every run."""

    id: str = "drift"
    crash: bool = False
    needs: ClassVar[tuple[type, ...]] = ()
    source: ClassVar[str] = "made up"

    def measure(self, model, rng):
        if self.crash:
            raise ZeroDivisionError("planted")
        shift = float(Path("shift.txt").read_text())
        noise = np.random.default_rng(int(1000 * shift)).normal(0, 0.05, 60)
        values = 1 + np.random.default_rng(0).normal(0, 1, 60) + shift + noise
        mean = float(values.mean())
        m = Measurement(id="drift/all/mean", value=mean, interval=Interval(mean - 1, mean + 1), n=60, ideal=0.0)
        return ProbeResult([m], [ItemScore(m.id, str(i), float(v)) for i, v in enumerate(values)])
'''


@dataclass
class Result:
    """What a job left behind."""

    code: int = 0
    used: list = field(default_factory=list)
    outputs: dict = field(default_factory=dict)
    summary: str = ""
    log: str = ""


class Runner:
    """Runs jobs in `folder`."""

    def __init__(self, folder):
        self.folder = folder
        stubs = folder / ".stubs"
        stubs.mkdir()
        for name, body in {"pip": 'echo "pip $@"', "auditkit": f'exec {sys.executable} -m auditkit "$@"'}.items():
            (stubs / name).write_text(f"#!/bin/bash\n{body}\n")
            (stubs / name).chmod(0o755)
        path = f"{stubs}{os.pathsep}{os.environ['PATH']}"
        self.environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}

    def bash(self, script, **variables):
        """Code and output of `script`."""
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
        environment = self.environment | variables
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done = subprocess.run(command, cwd=self.folder, env=environment, text=True, **pipes, timeout=60)
        return done.returncode, done.stdout

    def github(self, steps, *, context):
        """The steps of a job or of a composite action. `context` are the values that `${{ }}` may name."""
        result = Result()
        for step in steps:
            wanted = _true(step["if"], context, failed=result.code != 0) if "if" in step else not result.code
            if not wanted:
                continue
            if step.get("uses", "").startswith("./"):
                self._action(step, context, result)
            elif "uses" in step:
                result.used.append(step["uses"].split("@")[0])
            else:
                self._step(step, context, result)
        return result

    def _action(self, step, context, result):
        action = yaml.safe_load((CI / "action" / "action.yml").read_text())
        assert set(step.get("with", {})) <= set(action["inputs"])
        given = {name: entry.get("default", "") for name, entry in action["inputs"].items()} | step.get("with", {})
        inner = self.github(action["runs"]["steps"], context=context | {f"inputs.{k}": v for k, v in given.items()})
        values = {f"steps.audit.outputs.{k}": v for k, v in inner.outputs.items()}
        result.outputs |= {name: _filled(entry["value"], values) for name, entry in action["outputs"].items()}
        result.code, result.used = result.code or inner.code, [*result.used, *inner.used]
        result.summary, result.log = result.summary + inner.summary, result.log + inner.log

    def _step(self, step, context, result):
        files = {name: self.folder / f".{name}" for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for file in files.values():
            file.write_text("")
        variables = {name: _filled(str(value), context) for name, value in step.get("env", {}).items()}
        paths = {name: str(file) for name, file in files.items()}
        code, log = self.bash(step["run"], GITHUB_ACTIONS="true", **paths, **variables)
        result.outputs |= dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
        result.summary += files["GITHUB_STEP_SUMMARY"].read_text()
        result.code, result.log = result.code or code, result.log + log


def _filled(text, context):
    return re.sub(r"\$\{\{ *([\w.-]+) *\}\}", lambda found: str(context.get(found[1], "")), text)


def _true(condition, context, *, failed):
    """The conditions of the examples: `always()`, alone or with an equation."""
    terms = [term.strip() for term in condition.split("&&")]
    for term in terms:
        if term != "always()":
            name, value = (side.strip().strip("'") for side in term.split("=="))
            if context.get(name) != value:
                return False
    return not failed or "always()" in terms


@pytest.fixture
def runner(tmp_path):
    (tmp_path / "drift_probe.py").write_text(PROBE)
    return Runner(tmp_path)


@pytest.fixture
def configure(tmp_path):
    """Write audit.yaml: the drift probe with options, judged by rules; and how far the model has drifted."""

    def configure(*rules, shift=0.0, **options):
        (tmp_path / "shift.txt").write_text(str(shift))
        probe = {"drift_probe:Drift": options}
        content = {"model": "auditkit.testing:FakeMaskedLM", "probes": [probe], "gate": list(rules)}
        (tmp_path / "audit.yaml").write_text(yaml.safe_dump(content))

    return configure
