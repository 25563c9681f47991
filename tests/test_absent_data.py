"""A published dataset that is not on this machine is a line in every output, and never the end of a run."""

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from auditkit import data
from auditkit.cli import main

HERE = Path(__file__).parent
LINE = "not measured: crows_pairs is not on this machine; `auditkit data fetch crows_pairs`"
MEAN = "{measurement: mean/all/mean, max: 9}"
CROWS = "{measurement: crows_pairs/all/metric_score, max: 60}"


@pytest.fixture(autouse=True)
def stranger(monkeypatch, tmp_path):
    """A machine without any published dataset; returns the folder that AUDITKIT_DATA names."""
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("AUDITKIT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("AUDITKIT_CACHE", str(tmp_path / "cache"))
    for variable in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    return tmp_path / "data"


@pytest.fixture
def cli(capsys):
    """Run a command: code, stdout, stderr."""

    def run(*args):
        with pytest.raises(SystemExit) as caught:
            main([str(a) for a in args])
        captured = capsys.readouterr()
        return caught.value.code or 0, captured.out, captured.err

    return run


def write(probes, rules=""):
    Path("audit.yaml").write_text(
        f"model: auditkit.testing:FakeMaskedLM\nprobes: [{', '.join(probes)}]\ngate: [{rules}]\n"
    )


def report():
    return json.loads(Path("audit-out/report.json").read_text())


@pytest.mark.parametrize(
    ("probes", "rules", "code", "outcome"),
    [
        (["sample_probes:Mean", "crows_pairs"], MEAN, 0, "PASS"),
        (["sample_probes:Mean", "crows_pairs"], MEAN.replace("9", "-9"), 1, "FAIL"),
        (["sample_probes:Mean", "crows_pairs"], "", 0, "NOT JUDGED"),
        (["sample_probes:Mean", "crows_pairs"], f"{MEAN}, {CROWS}", 3, "ERROR"),  # nothing passes unmeasured
        (["sample_probes:Mean", "crows_pairs"], "{measurement: crows_pairs*, max: 60}", 3, "ERROR"),
        (["crows_pairs", "bbq"], "", 3, "ERROR"),  # nothing at all was measured
    ],
)
def test_the_run_ends_as_its_rules_say(cli, probes, rules, code, outcome):
    write(probes, rules)
    found, out, _ = cli("run", "--json")
    assert (found, json.loads(out)["outcome"], json.loads(out)["exit_code"]) == (code, outcome, code)
    assert {"probe": "crows_pairs", "status": "skipped", "reason": LINE} in json.loads(out)["not_measured"]
    (measurement,) = [m for m in report()["measurements"] if m["id"] == "crows_pairs"]
    assert (measurement["status"], measurement["details"]) == ("skipped", {"reason": LINE})


def test_every_output_shows_the_line(cli):
    write(["sample_probes:Mean", "crows_pairs"], MEAN)
    _, out, err = cli("run", "--junit", "junit.xml", "--summary", "summary.md", "--annotations", "github")
    assert LINE in err
    assert LINE in out
    assert f"::notice title=not measured%3A crows_pairs,file=audit.yaml,line=1::{LINE}" in out
    assert [e.attrib["message"] for e in ElementTree.parse("junit.xml").iter("skipped")] == [LINE]
    unknown = "was not measured (skipped): crows_pairs is not on this machine; `auditkit data fetch crows_pairs`"
    assert unknown in Path("summary.md").read_text().replace("\\", "")
    page = Path("audit-out/report.html").read_text()
    top, coverage = page.split('id="coverage"')
    assert unknown in top.split('id="unknown"')[1].partition("</section>")[0]
    assert LINE in coverage


def test_a_rule_on_it_says_why_it_could_not_be_judged(cli):
    write(["sample_probes:Mean", "crows_pairs"], CROWS)
    cli("run")
    (verdict,) = report()["verdicts"]
    assert verdict["explanation"] == f"its probe is skipped: {LINE}."


def test_where_nothing_was_measured_every_output_says_so(cli):
    write(["crows_pairs"])
    code, out, _ = cli("run", "--junit", "junit.xml", "--code-quality", "quality.json", "--annotations", "github")
    said = "nothing was measured: no probe gave a value"
    assert code == 3
    assert f"ERROR: {said}" in out
    assert f"::error title=ERROR nothing measured,file=audit.yaml,line=1::{said}" in out
    assert ElementTree.parse("junit.xml").getroot().attrib["errors"] == "1"
    assert [e["severity"] for e in json.loads(Path("quality.json").read_text())] == ["info", "blocker"]
    assert f"The audit is incomplete: {said}." in Path("audit-out/report.html").read_text()


def test_a_folder_without_our_datasets_is_noticed(cli, stranger):
    write(["sample_probes:Mean"])
    notice = f"AUDITKIT_DATA is '{stranger}', which holds no published dataset; expected folders as crows_pairs/ in it"
    assert notice in cli("run")[2].splitlines()
    (stranger / "bbq").mkdir()
    assert notice in cli("run")[2]
    (stranger / "bbq" / "Age.jsonl").write_text("{}")
    assert "AUDITKIT_DATA" not in cli("run")[2]


def test_a_path_of_ones_own_that_is_not_there_is_an_error(cli):
    write(["sample_probes:Mean", "crows_pairs: {data: my.csv}"])
    code, _, err = cli("run")
    assert code == 2
    assert "auditkit: crows_pairs: no such file: my.csv" in err.splitlines()


def test_half_a_dataset_is_an_error_and_not_absent(cli, stranger):
    folder = stranger / "winobias"
    folder.mkdir()
    for name in ("male_occupations.txt", "female_occupations.txt"):
        (folder / name).write_text("nurse\n")
    write(["sample_probes:Mean", "winobias"])
    code, _, err = cli("run")
    assert code == 2
    # The folder by its name: what a report says of a path outside of the run's folder.
    assert f"{folder.name} is incomplete: 10 of the 12 files of 'winobias' are missing, first of" in err
    assert "`auditkit data fetch winobias` gets the whole set" in err


def test_a_damaged_dataset_is_an_error_that_names_its_file(cli, stranger):
    (file,) = data.find("crows_pairs").files
    (stranger / "crows_pairs").mkdir()
    (stranger / "crows_pairs" / file.name).write_text("id,sent_more\n")
    write(["sample_probes:Mean", "crows_pairs"])
    for command in (["run"], ["data", "fetch", "crows_pairs"]):
        code, _, err = cli(*command)
        assert code == 2
        assert f"{stranger / 'crows_pairs' / file.name} is not the published file" in err
        assert "delete it and fetch it again" in err


def test_what_was_absent_is_measured_once_it_is_there(cli, stranger, monkeypatch):
    """A probe that was skipped is not kept for the next run."""
    write(
        [
            "crows_pairs: {data: builtin_absent, methods: [metric], groups: [age], null_items: 2}",
            "sample_probes:Mean: {fail: crash}",
        ]
    )
    entry = data.find("builtin_pairs")
    absent = data.Entry(
        **{f: getattr(entry, f) for f in data.Entry.__slots__} | {"name": "builtin_absent", "base": "x"}
    )
    monkeypatch.setitem(data.entries(), "builtin_absent", absent)
    cli("run")
    assert [run["status"] for run in report()["runs"]] == ["skipped", "error"]
    shutil.copytree(data.locate("builtin_pairs"), stranger / absent.folder)
    cli("run")
    assert [run["status"] for run in report()["runs"]] == ["ok", "error"]


def test_fetch_tries_all_names_and_says_one_line_of_each_that_failed(cli):
    code, out, err = cli("data", "fetch", "crows_pairs", "builtin_pairs", "weat", "crow_pairs")
    assert code == 2
    assert out.startswith("builtin_pairs: ")
    host = "raw.githubusercontent.com is out of reach; check the connection, or set AUDITKIT_DATA to a folder that"
    assert err.splitlines() == [
        f"auditkit: crows_pairs cannot be fetched: {host} contains crows_pairs/",
        f"auditkit: weat cannot be fetched: {host} contains weat_wordsets/",
        "auditkit: unknown dataset 'crow_pairs'; did you mean 'crows_pairs'?",
    ]
