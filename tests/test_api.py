"""The public names. A name leaves this list only with a major version."""

import importlib
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import auditkit as ak

PUBLIC = [
    "AuditReport",
    "AuditkitError",
    "ConfigError",
    "DataError",
    "DownloadError",
    "GateFailed",
    "InputError",
    "Interval",
    "Measurement",
    "MissingCapability",
    "ModelError",
    "ProbeRun",
    "ReportError",
    "Rule",
    "UnknownName",
    "Verdict",
    "Verdicts",
    "VocabularyError",
    "audit",
    "compress",
    "compression",
    "data",
    "explain",
    "fairness",
    "load_model",
    "mitigate",
    "privacy",
    "probes",
    "run",
    "stats",
]


def test_the_public_names_are_pinned():
    assert sorted(ak.__all__) == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there(name):
    assert getattr(ak, name) is not None
    assert name in dir(ak)


def test_functions_are_not_shadowed_by_modules_of_the_same_name():
    # Importing a submodule sets it as an attribute of the package: a module `run` would replace the function.
    submodules = {m.name for m in pkgutil.iter_modules(ak.__path__)}
    assert submodules & set(PUBLIC) == {"compression", "data", "explain", "fairness", "privacy", "probes", "stats"}
    importlib.import_module("auditkit.runner")
    assert callable(ak.run)
    assert callable(ak.audit)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'audti'"):
        ak.audti  # noqa: B018


def test_importing_auditkit_imports_nothing_heavy():
    code = (
        "import sys, auditkit; "
        "print([m for m in ('torch', 'transformers', 'pandas', 'scipy', 'numpy', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_version_is_that_of_the_project():
    pyproject = Path(__file__).parents[1] / "pyproject.toml"
    assert tomllib.loads(pyproject.read_text())["project"]["version"] == ak.__version__
