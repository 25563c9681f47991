"""A report is saved whole or not at all, and a damaged one is refused."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pandas as pd
import pytest

from auditkit.errors import ReportError
from auditkit.measurement import Interval, Measurement
from auditkit.report import AuditReport, ProbeRun, items_path

ITEMS = pd.DataFrame(
    {"measurement": ["a/b/c"] * 2, "item": ["1", "2"], "value": [0.1, 0.7], "cluster": ["w", ""], "x": [0.5, 1 / 3]}
)


@pytest.fixture
def report() -> AuditReport:
    return AuditReport(
        subject={"name": "modèle", "parameters": 3},
        environment={"python": "3.13"},
        config={"probes": ["a", "b"], "nested": {"k": [1, None, 0.1]}},
        seed=7,
        runs=[ProbeRun("a", "ok", notices={"texts truncated": 2}, seconds=1.5), ProbeRun("b", "skipped", "no mask")],
        measurements=[
            Measurement(id="a/b/c", value=0.4, interval=Interval(0.1, 0.7, 0.99, "by hand"), n=2, unit="nats", seed=7),
            Measurement(id="a/b/d", value=None, status="undefined", details={"reason": "0 of 0"}),
        ],
        created="2026-01-01T00:00:00Z",
        _items=ITEMS,
    )


def test_what_is_saved_is_what_is_loaded(report, tmp_path):
    judged = replace(report, verdicts=list(report.gate([{"measurement": "a/*", "max": 1, "reason": "ünder"}])))
    path = judged.save(tmp_path / "new" / "report.json")
    back = AuditReport.load(path)
    assert back == judged
    pd.testing.assert_frame_equal(back.items, ITEMS)
    assert sorted(p.name for p in path.parent.iterdir()) == ["report.items.parquet", "report.json"]


def test_saving_twice_gives_the_same_bytes(report, tmp_path):
    first, second = report.save(tmp_path / "1.json"), report.save(tmp_path / "2.json")
    assert first.read_bytes() == second.read_bytes()
    assert items_path(first).read_bytes() == items_path(second).read_bytes()
    assert AuditReport.load(first).save(tmp_path / "3.json").read_bytes() == first.read_bytes()


def test_a_report_without_item_scores_has_none(report, tmp_path):
    assert AuditReport.load(replace(report, _items=None).save(tmp_path / "r.json")).items is None


def test_lookup_by_id_suggests_close_ones(report):
    assert report["a/b/c"].value == 0.4
    with pytest.raises(KeyError, match="close: a/b/c"):
        report["a/b/cc"]


def test_to_frame_has_one_row_a_measurement(report):
    frame = report.to_frame()
    assert frame["id"].tolist() == ["a/b/c", "a/b/d"]
    assert frame.loc[0, ["value", "low", "high", "level", "interval_method"]].tolist() == [
        0.4,
        0.1,
        0.7,
        0.99,
        "by hand",
    ]
    assert frame.loc[1, "reason"] == "0 of 0"
    assert pd.isna(frame.loc[1, "value"])


@pytest.mark.parametrize("broken", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_files_intact(report, tmp_path, monkeypatch, broken):
    path = report.save(tmp_path / "report.json")
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    create = Path.open

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def file_on_a_full_disk(path: Path, *mode: Any) -> Any:
        create(path, *mode).close()
        file = MagicMock()
        file.__enter__.return_value.write.side_effect = full
        file.__exit__.return_value = False
        return file

    if broken == "write":
        monkeypatch.setattr(Path, "open", file_on_a_full_disk)
    elif broken == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(Path, "replace", full)
    changed = replace(report, seed=8, _items=ITEMS.assign(value=0.0))
    with pytest.raises(ReportError, match=r"cannot write .*No space left on device; the old file, if any, is intact"):
        changed.save(path)
    monkeypatch.undo()
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before  # and no temporary file is left behind
    assert AuditReport.load(path) == report


def test_damaged_reports_are_refused_in_one_line(report, tmp_path):
    whole = report.save(tmp_path / "whole.json").read_text()
    data = json.loads(whole)
    damaged = {
        "truncated": whole[: len(whole) // 2],
        "empty": "",
        "a list": "[]",
        "binary": b"\xff\xfe\x00",
        "no schema": json.dumps({k: v for k, v in data.items() if k != "schema"}),
        "next schema": json.dumps(data | {"schema": 2}),
        "no measurements": json.dumps({k: v for k, v in data.items() if k != "measurements"}),
        "damaged measurement": json.dumps(data | {"measurements": [{"id": "a"}]}),
        "measurement not a mapping": json.dumps(data | {"measurements": ["a"]}),
        "NaN": whole.replace('"value": 0.4', '"value": NaN'),
        "damaged verdict": json.dumps(data | {"verdicts": [{"outcome": "PASS"}]}),
        "unknown key in a run": json.dumps(data | {"runs": [{"probe": "a", "status": "ok", "colour": 1}]}),
    }
    for name, content in damaged.items():
        path = tmp_path / f"{name}.json"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(ReportError) as raised:
            AuditReport.load(path)
        assert "\n" not in str(raised.value), name


def test_a_missing_report_says_how_to_get_one(tmp_path):
    with pytest.raises(ReportError, match=r"no report at .*`auditkit run` writes one"):
        AuditReport.load(tmp_path / "none.json")


@pytest.mark.parametrize("keep", [0, 4, 200])
def test_a_damaged_sidecar_is_refused(report, tmp_path, keep):
    path = report.save(tmp_path / "report.json")
    sidecar = items_path(path)
    sidecar.write_bytes(sidecar.read_bytes()[:keep])
    loaded = AuditReport.load(path)  # read only when asked for
    with pytest.raises(ReportError, match=r"report\.items\.parquet is damaged.*run the audit again"):
        _ = loaded.items
