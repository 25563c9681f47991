"""The bill of materials names what was imported, and tells the same wheel from another one."""

import csv
import hashlib
import os
from importlib.metadata import distribution, version
from pathlib import Path

from auditkit import packages
from auditkit.report import AuditReport


def test_every_package_has_its_version_and_a_digest():
    wanted = ("numpy", "pandas", "cryptography")
    found = packages.listed(wanted)
    for name in wanted:
        number, digest = found[name].split(" ")
        assert number == version(name)
        assert digest.startswith("sha256:")
        assert len(digest) == len("sha256:") + 64
    assert list(found) == sorted(found)


def test_the_digest_is_over_the_files_of_the_wheel():
    """Built anew from the hashes of a package whose files are really there."""
    rows = []
    for file in distribution("markupsafe").files:
        name = str(file)
        if (
            file.hash is None
            or name.startswith("..")
            or name.endswith(("/INSTALLER", "/REQUESTED", "/direct_url.json"))
        ):
            continue
        rows.append(f"{name},{file.hash.mode}={file.hash.value}")
    expected = hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()
    assert packages.listed({"markupsafe"})["markupsafe"].split(":")[1] == expected


def install(folder: Path, rows):
    info = folder / "Some_Package-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: Some.Package\nVersion: 1.0\n")
    with (info / "RECORD").open("w", newline="") as f:
        csv.writer(f).writerows(rows)


def digest_of(folder: Path, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    return packages.listed({"some-package"})["some-package"]


def test_the_same_wheel_has_the_same_digest_wherever_it_is_installed(tmp_path, monkeypatch):
    wheel = [("a,b.py", "sha256=x", "1"), ("Some_Package-1.0.dist-info/METADATA", "sha256=y", "2")]
    here = [
        ("../../bin/tool", "sha256=shebang-of-this-machine", "3"),
        ("__pycache__/a.pyc", "", ""),
        ("Some_Package-1.0.dist-info/INSTALLER", "sha256=pip", "4"),
        ("Some_Package-1.0.dist-info/RECORD", "", ""),
    ]
    install(tmp_path / "1", wheel)
    install(tmp_path / "2", [*here, *reversed(wheel)])
    install(tmp_path / "3", [("a,b.py", "sha256=z", "1"), wheel[1]])
    plain, elsewhere, other = (digest_of(tmp_path / n, monkeypatch) for n in "123")
    assert plain == elsewhere
    assert plain != other


def test_a_package_that_records_no_files_has_its_version_only(tmp_path, monkeypatch):
    install(tmp_path / "1", [])
    assert digest_of(tmp_path / "1", monkeypatch) == "1.0"


def test_what_is_installed_while_the_process_runs_is_seen(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    os.utime(tmp_path, (1, 1))  # a clock may be too coarse to tell the two looks apart
    assert "some-package" not in packages.listed({"some-package"})
    install(tmp_path, [])
    assert packages.listed({"some-package"})["some-package"] == "1.0"


def test_a_report_keeps_the_list_and_an_old_one_has_none(tmp_path):
    from auditkit import environment

    environments = {"new": environment.describe(), "old": {"python": "3.11"}}
    assert environments["new"]["packages"] == packages.listed(packages.imported())
    for name, described in environments.items():
        report = AuditReport(subject={}, environment=described, config={}, seed=0, runs=(), measurements=())
        assert AuditReport.load(report.save(tmp_path / f"{name}.json")).environment == described
