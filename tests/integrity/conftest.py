import runpy
from pathlib import Path

import pytest

from auditkit import integrity
from auditkit.cli import main
from auditkit.integrity import envelope

SAMPLE = runpy.run_path(str(Path(__file__).parents[1] / "fixtures" / "make_signed_report.py"))


@pytest.fixture(scope="session")
def make_report():
    """Makes the report; takes rules, runs, and more of the subject."""
    return SAMPLE["make_report"]


@pytest.fixture
def keys(tmp_path):
    public = envelope.create_key(tmp_path / "key.pem")
    return tmp_path / "key.pem", public


@pytest.fixture
def signed(tmp_path, keys, make_report):
    """A report that was signed; its path."""
    path = make_report().save(tmp_path / "report.json")
    integrity.sign(path, keys[0])
    return path


@pytest.fixture
def cli(capsys):
    """Run a command: code, stdout, stderr."""

    def run(*args):
        with pytest.raises(SystemExit) as caught:
            main([str(a) for a in args])
        captured = capsys.readouterr()
        return caught.value.code or 0, captured.out, captured.err

    return run
