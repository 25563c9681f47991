"""The names of `auditkit.explain`: all there, none hidden by a module, none imported before it is used."""

import pkgutil
import subprocess
import sys

import pytest

import auditkit as ak


@pytest.mark.parametrize("name", ak.explain.__all__)
def test_every_name_is_there(name):
    assert getattr(ak.explain, name) is not None
    assert name in dir(ak.explain)


def test_no_name_is_hidden_by_a_module():
    assert not {m.name for m in pkgutil.iter_modules(ak.explain.__path__)} & set(ak.explain.__all__)


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, auditkit.explain; print([m for m in ('torch', 'numpy', 'captum') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'atribute'"):
        ak.explain.atribute  # noqa: B018
