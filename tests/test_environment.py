"""The environment block names what the numbers depend on, and costs no import of it."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from auditkit import environment


def test_versions_are_those_installed():
    described = environment.describe()
    assert described["libraries"]["torch"] == version("torch")
    assert described["python"] == ".".join(map(str, sys.version_info[:3]))
    assert json.loads(json.dumps(described)) == described


def test_a_library_that_is_absent_is_left_out(monkeypatch):
    monkeypatch.setattr(environment, "LIBRARIES", ("numpy", "no-such-library"))
    assert environment.library_versions() == {"numpy": version("numpy")}


def test_nothing_is_imported_to_find_its_version():
    code = "import sys; from auditkit import environment; environment.describe(); print('torch' in sys.modules)"
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "False"


def test_the_commit_is_that_of_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert environment.git_commit() is None
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    assert len(environment.git_commit()) == 40
    monkeypatch.setenv("PATH", "")
    assert environment.git_commit() is None
