"""The spine: reproducible, resumable, and never stopped by one probe."""

import errno
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import auditkit.report
from auditkit.errors import ConfigError, MissingCapability, ReportError, UnknownName
from auditkit.gate import Rule
from auditkit.measurement import Measurement
from auditkit.models.protocols import FillsMask
from auditkit.probes.base import ItemScore, ProbeResult
from auditkit.probes.compression import Compression
from auditkit.probes.extraction import Extraction
from auditkit.probes.membership import Membership
from auditkit.report import AuditReport, items_path
from auditkit.runner import Listener, audit, run
from auditkit.testing import FakeEncoder, FakeMaskedLM

HERE = Path(__file__).parent
MODEL = "auditkit.testing:FakeMaskedLM"


@pytest.fixture(autouse=True)
def _sample_probes(monkeypatch):
    monkeypatch.syspath_prepend(HERE)


@pytest.fixture
def probe(_sample_probes):
    """Builds sample probes: probe(id="a", fail="crash")."""
    import sample_probes

    return sample_probes.Mean


@pytest.fixture
def log(tmp_path, monkeypatch):
    """Which probes were measured, in order: log()."""
    path = tmp_path / "log"
    monkeypatch.setenv("SAMPLE_LOG", str(path))
    return lambda: path.read_text().split() if path.exists() else []


def evidence(out):
    """The bytes of a report that must not differ between two runs."""
    data = json.loads((out / "report.json").read_text())
    data.pop("created")
    for entry in data["runs"]:
        entry.pop("seconds")
    return json.dumps(data), items_path(out / "report.json").read_bytes()


# --- numbers ----------------------------------------------------------------------------------------------------


def test_a_probe_gets_its_own_generator(probe):
    from auditkit.probes.base import generator

    report = audit(FakeMaskedLM(), [probe(id="a", n=4)], seed=3)
    assert report["a/all/mean"].value == float(generator(3, "a").normal(size=4).mean())
    assert report["a/all/mean"].seed == 3


def test_adding_a_probe_changes_no_other_number(probe):
    alone = audit(FakeMaskedLM(), [probe(id="b")])
    among = audit(FakeMaskedLM(), [probe(id="a"), probe(id="b"), probe(id="c")])
    assert alone["b/all/mean"] == among["b/all/mean"]
    assert among["a/all/mean"].value != among["b/all/mean"].value


def test_another_seed_gives_other_numbers(probe):
    first, second = (audit(FakeMaskedLM(), [probe()], seed=s)["mean/all/mean"].value for s in (0, 1))
    assert first != second


def test_two_runs_give_the_same_bytes(probe, tmp_path):
    for name in ("first", "second"):
        audit(FakeMaskedLM(), [probe(id="a"), probe(id="b", fail="crash")], out=tmp_path / name, gate=[RULE])
    assert evidence(tmp_path / "first") == evidence(tmp_path / "second")


RULE = {"measurement": "a/all/mean", "max": 9}


def test_item_scores_are_kept_beside_the_report(probe, tmp_path):
    audit(FakeMaskedLM(), [probe(id="a", n=3), probe(id="b", n=2)], out=tmp_path)
    report = AuditReport.load(tmp_path / "report.json")
    assert list(report.items.columns) == ["measurement", "item", "value", "cluster", "x"]
    means = report.items.groupby("measurement")["value"].mean()
    assert means["a/all/mean"] == pytest.approx(report["a/all/mean"].value)
    assert report.items["x"].isna().all()


def test_a_probe_may_take_its_item_ids_from_an_array(tmp_path):
    @dataclass(frozen=True, kw_only=True)
    class Numbered:
        id: str = "numbered"
        needs: ClassVar = ()
        source: ClassVar = "x"

        def measure(self, model, rng):
            items = [ItemScore("numbered/all/mean", i, np.float32(i), cluster=i % 2) for i in np.arange(3)]
            return ProbeResult([Measurement(id="numbered/all/mean", value=1.0, n=3)], items)

    audit(FakeMaskedLM(), [Numbered()], out=tmp_path)
    table = AuditReport.load(tmp_path / "report.json").items
    assert table[["item", "value", "cluster"]].to_numpy().tolist() == [["0", 0, "0"], ["1", 1, "1"], ["2", 2, "0"]]


# --- what can go wrong in a probe -------------------------------------------------------------------------------


def test_a_crash_leaves_the_other_probes(probe):
    report = audit(FakeMaskedLM(), [probe(id="a"), probe(id="b", fail="crash"), probe(id="c")])
    assert [r.status for r in report.runs] == ["ok", "error", "ok"]
    assert report.runs[1].reason == "ZeroDivisionError: planted"
    assert report["c/all/mean"] == audit(FakeMaskedLM(), [probe(id="c")])["c/all/mean"]
    crashed = report["b"]
    assert (crashed.status, crashed.value, crashed.details["cause"]) == ("error", None, "crash")
    assert crashed.details["traceback"][-1].startswith("sample_probes.py:")
    assert str(HERE) not in json.dumps(report.to_json())


def test_wrong_input_found_by_a_probe_is_told_apart_from_a_crash(probe):
    report = audit(FakeMaskedLM(), [probe(fail="input")])
    assert report["mean"].details == {"reason": "pairs.csv has no rows", "cause": "input"}


def test_a_probe_that_the_model_cannot_serve_is_skipped():
    import sample_probes

    report = audit(FakeMaskedLM(), [sample_probes.NeedsEncoder()])
    assert report.runs[0].status == report["encoder_only"].status == "skipped"
    assert report.runs[0].reason == "the model offers none of what this probe needs: EmbedsText"
    assert audit(FakeEncoder(), [sample_probes.NeedsEncoder()]).runs[0].status == "ok"


def test_a_probe_may_find_out_late_that_it_cannot_measure(probe):
    report = audit(FakeMaskedLM(), [probe(fail="missing")])
    assert (report.runs[0].status, report.runs[0].reason) == ("skipped", "no mask token")


def test_one_of_several_needs_is_enough():
    @dataclass(frozen=True, kw_only=True)
    class Either:
        id: str = "either"
        needs: ClassVar = (FillsMask, dict)
        source: ClassVar = "x"

        def measure(self, model, rng):
            raise MissingCapability("reached")

    assert audit(FakeMaskedLM(), [Either()]).runs[0].reason == "reached"


@pytest.mark.parametrize(
    ("fail", "reason"),
    [
        ("wrong-id", "ValueError: measurement id 'other/mean'; expected it to start with 'mean/'"),
        ("twice", "ValueError: measurement id 'mean/all/mean' is used twice"),
        ("nan", "ValueError: mean/all/mean: nan cannot be reported; use status 'undefined' with a reason"),
    ],
)
def test_a_malformed_result_is_an_error_of_the_probe(probe, fail, reason):
    report = audit(FakeMaskedLM(), [probe(fail=fail), probe(id="other")])
    assert report.runs[0].reason == reason
    assert report.runs[1].status == "ok"


def test_notices_are_counted_by_probe(probe):
    model = FakeMaskedLM()
    model.notices["weights converted"] += 1
    report = audit(model, [probe(id="a"), probe(id="b")])
    assert report.subject["notices"] == {"weights converted": 1}
    assert [r.notices for r in report.runs] == [{"texts truncated to 4 tokens": 2}] * 2
    assert not model.notices


# --- arguments --------------------------------------------------------------------------------------------------


def test_ids_must_be_unique(probe):
    with pytest.raises(ConfigError, match=r"probes\[1\]: id 'mean' is taken by probes\[0\]"):
        audit(FakeMaskedLM(), [probe(), probe(n=2)])


def test_an_unknown_probe_is_refused():
    with pytest.raises(UnknownName, match="did you mean 'crows_pairs'"):
        audit(FakeMaskedLM(), ["crow_pairs"])


def test_rules_are_judged(probe):
    report = audit(MODEL, ["sample_probes:Mean"], gate=[{"measurement": "mean/all/mean", "max": 9}])
    assert [v.outcome for v in report.verdicts] == ["PASS"]
    rule = Rule(measurement="mean/all/mean", max=-9)
    assert audit(MODEL, [probe()], gate=[rule]).verdicts[0].outcome == "FAIL"


def test_the_listener_hears_everything(probe):
    heard = []

    class Ear(Listener):
        def run_started(self, subject, probes):
            heard.append(("run", subject["name"], list(probes)))

        def probe_started(self, probe):
            heard.append(("start", probe))

        def advanced(self, done, total):
            heard.append((done, total))

        def probe_finished(self, run, measurements, reused):
            heard.append(("end", run.probe, run.status, len(measurements), reused))

    audit(FakeMaskedLM(), [probe(n=7)], listener=Ear())
    assert heard == [("run", "fake-masked-lm", ["mean"]), ("start", "mean"), (7, 7), ("end", "mean", "ok", 1, False)]


# --- audit.yaml -------------------------------------------------------------------------------------------------

YAML = f"""
model: {MODEL}
probes:
  - sample_probes:Mean: {{id: first}}
  - sample_probes:Mean: {{id: second, n: 6}}
gate:
  - {{measurement: first/all/mean, max: 9}}
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "audit.yaml"
    path.write_text(YAML)
    return path


def test_the_config_in_a_report_repeats_the_run(config, tmp_path):
    from auditkit.config import parse

    first = run(config, out=tmp_path / "a", overrides=["seed=5"])
    again = run(parse(first.config), out=tmp_path / "b")
    assert evidence(tmp_path / "a") == evidence(tmp_path / "b")
    assert again.seed == 5
    assert str(tmp_path) not in json.dumps(first.config)


def test_audit_and_run_share_one_spine(config, tmp_path, probe):
    from_yaml = run(config, out=tmp_path / "a")
    from_python = audit(MODEL, [probe(id="first"), probe(id="second", n=6)])
    assert from_yaml.measurements == from_python.measurements
    assert from_yaml.config["probes"] == from_python.config["probes"]


@pytest.mark.parametrize(
    "entry", [{"membership": {"members": ["I am Zoe Quist"] * 2}}, Membership(members=("Zoe Quist",))]
)
def test_peoples_texts_given_in_a_list_are_recorded_by_number_and_hash(entry):
    specs = [{"wanda": {"ratio": 0.5, "texts": ["Zoe Quist lives here"]}}]
    texts = [{"text": "Zoe Quist", "sex": "f"}, {"text": "Ann Quist", "sex": "f"}]
    of_sweep = Compression(specs=specs, texts=texts, groups=["sex"], probes=[entry], resume="")
    written = audit(MODEL, [of_sweep, Membership(id="m", members=("Zoe Quist", "Ann")), Extraction(members=("Quist",))])
    assert "Quist" not in json.dumps(written.to_json())
    options = written.config["probes"][0]["compression"]
    assert options["texts"]["given"] == 2
    assert len(options["texts"]["sha256"]) == 64
    assert options["groups"] == ["sex"]
    assert options["specs"][0]["wanda"]["ratio"] == 0.5
    assert written.config["probes"][1]["membership"]["members"]["given"] == 2


def test_peoples_texts_are_recorded_where_redaction_is_off():
    shown = audit(MODEL, [Membership(members=("Zoe Quist",), redact=False)])
    assert shown.config["probes"][0]["membership"]["members"] == ["Zoe Quist"]


def test_a_baseline_is_compared_with(config, tmp_path):
    run(config, out=tmp_path / "before")
    worsening = ["gate=[{measurement: first/all/mean, max_worsening: 1}]"]
    report = run(config, out=tmp_path / "after", baseline=tmp_path / "before" / "report.json", overrides=worsening)
    assert len(report.verdicts) == 1
    assert run(config, out=tmp_path / "alone", overrides=worsening).verdicts[0].outcome == "ERROR"


def test_a_damaged_baseline_is_refused_before_anything_is_measured(config, tmp_path, log):
    (tmp_path / "old.json").write_text("{")
    with pytest.raises(ReportError, match="not a readable report"):
        run(config, out=tmp_path / "out", baseline=tmp_path / "old.json")
    assert log() == []


# --- stopping and going on --------------------------------------------------------------------------------------


def test_a_finished_run_leaves_no_checkpoints(config, tmp_path):
    run(config, out=tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "report.html",
        "report.items.parquet",
        "report.json",
    ]


def test_after_ctrl_c_the_finished_probes_are_kept(probe, tmp_path, log):
    probes = [probe(id="a"), probe(id="b", fail="interrupt")]
    with pytest.raises(KeyboardInterrupt):
        audit(FakeMaskedLM(), probes, out=tmp_path / "out")
    audit(FakeMaskedLM(), [probe(id="a"), probe(id="c")], out=tmp_path / "out")
    assert log() == ["a", "b", "c"]
    audit(FakeMaskedLM(), [probe(id="a"), probe(id="c")], out=tmp_path / "uninterrupted")
    assert evidence(tmp_path / "out") == evidence(tmp_path / "uninterrupted")


def test_only_the_crashed_probe_is_repeated(probe, tmp_path, log):
    audit(FakeMaskedLM(), [probe(id="a"), probe(id="b", fail="crash")], out=tmp_path)
    audit(FakeMaskedLM(), [probe(id="a"), probe(id="b", fail="crash")], out=tmp_path)
    assert log() == ["a", "b", "b"]


@pytest.mark.parametrize("change", ["seed", "option", "weights", "damaged"])
def test_a_checkpoint_of_something_else_is_not_reused(probe, tmp_path, log, change):
    audit(FakeMaskedLM(), [probe(id="a"), probe(id="b", fail="crash")], out=tmp_path)
    if change == "damaged":
        (kept,) = (tmp_path / ".partial").glob("a-*.json")
        kept.write_text(kept.read_text()[:-40])
    model = FakeMaskedLM(seed=1) if change == "weights" else FakeMaskedLM()
    audit(model, [probe(id="a", n=6 if change == "option" else 5)], out=tmp_path, seed=int(change == "seed"))
    assert log() == ["a", "b", "a"]


def test_a_checkpoint_notices_that_a_named_file_has_changed(tmp_path):
    from auditkit import checkpoint

    @dataclass(frozen=True, kw_only=True)
    class Reads:
        id: str = "reads"
        data: str = ""

    data = tmp_path / "pairs.csv"
    data.write_text("one")
    subject = FakeMaskedLM().describe()
    before = checkpoint.key(Reads(data=str(data)), subject, 0)
    assert before == checkpoint.key(Reads(data=str(data)), subject, 0)
    data.write_text("two")
    assert before != checkpoint.key(Reads(data=str(data)), subject, 0)


@pytest.mark.parametrize("form", [str, lambda folder: [folder], lambda folder: {"runs": {"eps-8": folder, "n": 3}}])
def test_a_checkpoint_notices_that_a_named_folder_has_changed(tmp_path, form):
    from auditkit import checkpoint

    @dataclass(frozen=True, kw_only=True)
    class Reads:
        id: str = "reads"
        trainings: dict[str, Any] | list[str] | str = ""

    folder = tmp_path / "eps-8"
    folder.mkdir()
    (folder / "ledger.json").write_text("one")
    subject, probe = FakeMaskedLM().describe(), Reads(trainings=form(str(folder)))
    before = checkpoint.key(probe, subject, 0)
    assert before == checkpoint.key(probe, subject, 0)
    (folder / "ledger.json").write_text("two")
    assert before != checkpoint.key(probe, subject, 0)


def test_texts_among_the_options_need_not_be_names_of_files():
    from auditkit import checkpoint

    @dataclass(frozen=True, kw_only=True)
    class Texts:
        id: str = "texts"
        members: tuple[str, ...] = ("a" * 5000, "a\0b", "", "//", "no such file")

    assert checkpoint.key(Texts(), FakeMaskedLM().describe(), 0) is not None


def test_what_cannot_be_identified_is_never_reused(probe):
    from auditkit import checkpoint

    subject = FakeMaskedLM().describe()
    assert checkpoint.key(replace(probe(), shift=float("nan")), subject, 0) is None
    assert checkpoint.key(replace(probe(), n=np.int64(3)), subject, 0) is None
    assert checkpoint.key(probe(), {**subject, "weights_sha256": None}, 0) is None
    assert checkpoint.key(probe(), subject, 0) is not None


def test_killed_half_way_nothing_is_lost(config, tmp_path, log):
    command = [sys.executable, "-m", "auditkit", "run", str(config), "--out", str(tmp_path / "out")]
    environment = os.environ | {"PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parent}"}
    process = subprocess.Popen(command, env=environment | {"SAMPLE_HANG": "second"}, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while log() != ["first", "second"] and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert log() == ["first", "second"]
    assert not (tmp_path / "out" / "report.json").exists()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "first: ok, 1 measurement, kept from the stopped run" in done.stderr
    assert log() == ["first", "second", "second"]
    subprocess.run([*command[:-1], str(tmp_path / "whole")], env=environment, capture_output=True, check=True)
    assert evidence(tmp_path / "out") == evidence(tmp_path / "whole")


@pytest.mark.parametrize("written", [0, 1, 2])
def test_when_the_disk_is_full_the_old_report_is_intact(probe, tmp_path, monkeypatch, written):
    """The disk fills up after `written` of the three files: checkpoint, item scores, report."""
    audit(FakeMaskedLM(), [probe()], out=tmp_path)
    old = evidence(tmp_path)
    syncs = []

    def full(descriptor):
        syncs.append(descriptor)
        if len(syncs) > written:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(auditkit.report.os, "fsync", full)
    with pytest.raises(ReportError, match=r"cannot write .*: No space left on device; the old file"):
        audit(FakeMaskedLM(), [probe()], out=tmp_path)
    assert evidence(tmp_path) == old
    assert not [p for p in tmp_path.rglob(".report*")]
