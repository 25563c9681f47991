"""Runs the command line in a folder of its own, as a user would; `run` and `start` as a process of its own."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from auditkit.cli import main

HERE = Path(__file__).parent
COMMAND = [sys.executable, "-m", "auditkit"]
VARIABLES = {
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parents[1]}",  # for acceptance_models
}


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def problems(self) -> list[str]:
        """What is said to be wrong: on stderr, beside one line a probe about the run's progress."""
        return [line for line in self.err.splitlines() if line.startswith("auditkit: ")]


def run(folder, *args, under=()):
    """Run a command in `folder`, through the command `under` if given. Nothing ever shows a traceback."""
    command = [*under, *COMMAND, *map(str, args)]
    done = subprocess.run(command, cwd=folder, env=os.environ | VARIABLES, capture_output=True, text=True, timeout=300)
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return Result(done.returncode, done.stdout, done.stderr)


def start(folder, *args):
    """Start a command in `folder` and return its process."""
    return subprocess.Popen(
        [*COMMAND, *map(str, args)], cwd=folder, env=os.environ | VARIABLES, stderr=subprocess.DEVNULL
    )


@pytest.fixture
def auditkit(tmp_path, monkeypatch, capsys):
    """Runs a command in the test's own folder, which is the current one: auditkit("run", "audit.yaml") -> Result.

    In this process, which has imported everything. What would end a process with a traceback is raised.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(HERE)

    def command(*args):
        with pytest.raises(SystemExit) as ended:
            main([str(a) for a in args])
        shown = capsys.readouterr()
        assert "Traceback" not in shown.out + shown.err, shown.err
        return Result(ended.value.code or 0, shown.out, shown.err)

    return command
