"""Mitigations by name: each built-in one can be had, and what is none is refused with a way out."""

import pkgutil
import subprocess
import sys

import pytest

import auditkit.mitigation as package
from auditkit import plugins
from auditkit.errors import InputError, UnknownName
from auditkit.mitigation import registry
from auditkit.mitigation.erasure import LEACE
from auditkit.mitigation.registry import METHODS, mitigation


@pytest.mark.parametrize("name", METHODS)
def test_every_name_gives_a_mitigation_with_its_source(name):
    method = mitigation(name)
    assert method.stage in ("none", "before", "during", "after")
    assert any(c.isdigit() for c in method.source)  # a year
    assert type(method).__name__ == METHODS[name].partition(":")[2]


def test_names_of_methods_in_reports_are_unique():
    assert len({mitigation(name).name for name in METHODS}) == len(METHODS)


def test_an_object_is_what_it_is():
    method = LEACE()
    assert mitigation(method) is method


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("reweigh", UnknownName, "unknown mitigation 'reweigh'; did you mean 'reweighing'"),
        ("INLP", UnknownName, "known: .*inlp"),
        (LEACE, InputError, r"is a class; expected an object of it: LEACE\(\)"),
        (5, InputError, "5 is no mitigation: it has no `fit`"),
    ],
)
def test_what_is_no_mitigation(given, error, message):
    with pytest.raises(error, match=message):
        mitigation(given)


def test_a_package_can_add_one_but_not_nonsense(monkeypatch):
    known = METHODS | {"mine": "auditkit.mitigation.erasure:LEACE", "sum": "fractions:Fraction"}
    monkeypatch.setattr(plugins, "with_entry_points", lambda group, builtin: known)
    assert isinstance(registry.mitigation("mine"), LEACE)
    with pytest.raises(InputError, match="fractions:Fraction is no mitigation: it has no `fit`"):
        registry.mitigation("sum")


# --- public names -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", package.__all__)
def test_every_public_name_is_there(name):
    assert getattr(package, name) is not None
    assert name in dir(package)


def test_every_class_that_mitigates_is_public():
    homes = {target.partition(":")[2] for target in METHODS.values()}
    assert homes <= set(package.__all__)
    assert sorted(package.__all__) == sorted(dir(package))


def test_no_function_has_the_name_of_a_module():
    # Importing a module sets it as an attribute of the package, where it would replace the function.
    assert not {m.name for m in pkgutil.iter_modules(package.__path__)} & set(package.__all__)


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, auditkit.mitigation; "
        "print([m for m in ('torch', 'sklearn', 'pandas', 'scipy', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"auditkit\.mitigation' has no attribute 'LEASE'"):
        package.LEASE  # noqa: B018
