"""Probes and models of other packages: found by their entry points, without being imported before they are used."""

from pathlib import Path

import pytest

from auditkit import plugins
from auditkit.errors import ConfigError, InputError, UnknownName
from auditkit.runner import audit
from auditkit.testing import FakeMaskedLM


@pytest.fixture
def install(monkeypatch, tmp_path):
    """Put a package with these entry points on the path, as pip would."""

    def install(
        entry_points, module="from sample_probes import Mean, Picky\nfrom auditkit.testing import FakeMaskedLM\n"
    ):
        (tmp_path / "their_package.py").write_text(module)
        info = tmp_path / "their_package-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(entry_points)
        monkeypatch.syspath_prepend(tmp_path)
        plugins._entry_points.cache_clear()

    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.delitem(__import__("sys").modules, "their_package", raising=False)
    yield install
    plugins._entry_points.cache_clear()


def test_a_probe_of_another_package_runs_by_its_name(install):
    install("[auditkit.probes]\ntheir_mean = their_package:Mean\n")
    assert plugins.probes()["their_mean"] == "their_package:Mean"
    report = audit(FakeMaskedLM(), ["their_mean"])
    assert report.runs[0].status == "ok"


def test_a_model_of_another_package_loads_by_its_name(install):
    install("[auditkit.models]\ntheir_model = their_package:FakeMaskedLM\n")
    report = audit("their_model", ["sample_probes:Mean"])
    assert report.subject["architecture"] == "FakeMaskedLM"


def test_listing_names_does_not_import_them(install):
    install("[auditkit.probes]\nbroken = their_package:Mean\n", module="raise RuntimeError('imported')\n")
    assert "broken" in plugins.probes()
    with pytest.raises(
        InputError, match="cannot import 'their_package' for 'their_package:Mean': RuntimeError: imported"
    ):
        plugins.probe("broken")


def test_a_package_may_not_take_a_name_that_is_taken(install):
    install("[auditkit.probes]\ncrows_pairs = their_package:Mean\n")
    with pytest.raises(InputError, match="are both named 'crows_pairs'; uninstall one"):
        plugins.probes()


def test_a_typo_is_answered_with_the_nearest_name(install):
    install("[auditkit.probes]\ntheir_mean = their_package:Mean\n")
    with pytest.raises(UnknownName, match="unknown probe 'their_maen'; did you mean 'their_mean'"):
        plugins.probe("their_maen")


def test_what_lacks_a_probes_parts_is_refused(install):
    lines = ["from dataclasses import dataclass", "@dataclass(kw_only=True)", "class Half:", "    id: str = 'half'"]
    install("", module="\n".join([*lines, "    needs = ()"]))
    with pytest.raises(InputError, match="it lacks source, measure"):
        plugins.probe("their_package:Half")


def test_options_are_checked_against_the_fields(install):
    install("")
    assert plugins.probe("their_package:Mean", {"n": 3}).n == 3
    with pytest.raises(ConfigError) as caught:
        plugins.probe("their_package:Mean", {"m": 3, "n": None})
    assert caught.value.problems == [
        "n: input should be a valid integer, got None",
        "m: unknown option; known: fail, id, n, shift",
    ]


def test_the_probes_own_refusal_names_the_probe(install):
    install("")
    with pytest.raises(InputError, match=r"their_package:Picky: n=1; expected at least 2"):
        plugins.probe("their_package:Picky", {"n": 1})


@pytest.mark.parametrize("name", plugins.BUILTIN_PROBES)
def test_every_built_in_probe_can_be_built_and_has_its_registered_id(name):
    assert plugins.probe(name).id == name
