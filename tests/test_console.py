"""The terminal: with colours or without, wide or narrow, in UTF-8 or in what a console can."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from auditkit.measurement import Interval, Measurement
from auditkit.report import AuditReport, ProbeRun

ROOT = Path(__file__).parents[1]
MINUS = "\N{MINUS SIGN}"
ID = "crows_pairs/socioeconomic/metric_score"
COLOUR = re.compile(r"\x1b\[[0-9;]*(?:3[0-7]|9[0-7]|4[0-7]|38|48)[0-9;]*m")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A report with a negative value, rules of every outcome, and a probe that was skipped."""
    monkeypatch.chdir(tmp_path)
    m = Measurement(id=ID, value=-1.25, interval=Interval(-2.5, -0.5), n=172)
    runs = [ProbeRun("crows_pairs", "ok"), ProbeRun("weat", "skipped", "no word vectors “at all”")]
    report = AuditReport(
        subject={"name": "m"}, environment={}, config={}, seed=0, runs=runs, measurements=[m], created=""
    )
    report.save(tmp_path / "report.json")
    rules = "\n".join(f"  - {{measurement: {ID}, max: {limit}}}" for limit in (9, -9, -1))
    (tmp_path / "rules.yaml").write_text(f"gate:\n{rules}\n")
    return tmp_path


def clean(**variables):
    dropped = ("NO_COLOR", "FORCE_COLOR", "GITHUB_ACTIONS", "CI", "COLUMNS", "TTY_COMPATIBLE")
    inherited = {k: v for k, v in os.environ.items() if k not in dropped}
    return inherited | {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color"} | variables


def piped(*args, **variables):
    """Code, stdout and stderr as bytes."""
    command = [sys.executable, "-m", "auditkit", *args]
    done = subprocess.run(command, capture_output=True, env=clean(**variables), check=False, timeout=60)
    return done.returncode, done.stdout, done.stderr


def terminal(*args, columns=120, **variables):
    """What appears on a terminal that is `columns` wide."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    command = [sys.executable, "-m", "auditkit", *args]
    started = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=clean(**variables))
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not part:
            break
        shown += part
    started.wait(timeout=60)
    os.close(ours)
    return shown.decode()


GATE = ("gate", "report.json", "--rules", "rules.yaml")


def test_a_terminal_gets_colours_unless_it_asks_for_none():
    assert COLOUR.search(terminal(*GATE))
    assert not COLOUR.search(terminal(*GATE, NO_COLOR="1"))


def test_a_log_gets_no_escape_sequences():
    _, out, _ = piped(*GATE)
    assert b"\x1b" not in out
    assert ID.encode() in out  # in one piece: a log is searched


@pytest.mark.parametrize("columns", [40, 80, 160])
def test_every_width_shows_verdict_value_and_interval(columns):
    text = re.sub(r"\x1b\[[0-9;]*m", "", terminal(*GATE, columns=columns)).replace("\r", "")
    assert max(map(len, text.splitlines())) <= columns
    assert [word for word in re.findall(r"[A-Z]{4,}", text)] == ["PASS", "FAIL", "INCONCLUSIVE"]
    for told in (ID, f"({MINUS}2.50 to {MINUS}0.50)", "<= 9", "172"):
        assert told.replace(" ", "") in re.sub(r"[\s│]", "", text)


def test_a_narrow_terminal_keeps_words_whole():
    """At 40 columns a table of seven would leave five letters a column."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", terminal(*GATE, columns=40))
    assert "verdict: PASS" in text
    assert f"value and interval: {MINUS}1.25 ({MINUS}2.50 to" in text


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "cp1252"},
        {"LC_ALL": "C", "PYTHONUTF8": "0"},
        {"LC_ALL": "POSIX"},
    ],
    ids=lambda v: "-".join(v.values()),
)
@pytest.mark.parametrize("args", [GATE, ("compare", "report.json", "report.json"), ("--help",), ("list", "probes")])
def test_every_console_can_show_it(args, variables):
    code, out, err = piped(*args, **variables)
    assert code in (0, 1)
    assert b"Traceback" not in err
    text = out.decode({"PYTHONIOENCODING": "cp1252"}.get("", variables.get("PYTHONIOENCODING", "utf-8")))
    assert "?1.25" not in text
    if args == GATE:
        assert re.search(rf"[-{MINUS}]1\.25 \([-{MINUS}]2\.50 to [-{MINUS}]0\.50\)", text)


def test_what_ascii_lacks_is_spelled_out():
    _, out, _ = piped(*GATE, PYTHONIOENCODING="ascii")
    text = out.decode("ascii")
    assert "-1.25 (-2.50 to -0.50)" in text
    assert 'no word vectors "at all"' in text
    assert "?" not in text


def test_errors_are_shown_on_every_console():
    code, _, err = piped("render", "mi\N{MINUS SIGN}\x1b[31m\N{SNOWMAN}.json", PYTHONIOENCODING="ascii")
    assert code == 2
    assert err.decode("ascii").startswith("auditkit: no report at mi-?[31m?.json")


# --- JSON and annotations ---------------------------------------------------------------------------------------


def test_json_is_all_that_stdout_holds():
    code, out, err = piped(*GATE, "--json")
    data = json.loads(out)
    assert code == data["exit_code"] == 1
    assert data["outcome"] == "FAIL"
    assert [v["outcome"] for v in data["verdicts"]] == ["PASS", "FAIL", "INCONCLUSIVE"]
    assert data["not_measured"] == [{"probe": "weat", "status": "skipped", "reason": "no word vectors “at all”"}]
    assert data["measurements"][0]["interval"]["low"] == -2.5
    assert err == b""


def test_annotations_appear_inside_a_workflow_or_when_asked_for():
    def lines(stream):
        return [line for line in stream.decode().splitlines() if line.startswith("::")]

    inside = lines(piped(*GATE, GITHUB_ACTIONS="true")[1])
    assert [line.split()[0] for line in inside] == ["::error", "::error", "::notice", "::notice"]
    assert inside[0].startswith(f"::error title=FAIL {ID},file=rules.yaml,line=3::{ID} (<= -9): ")
    assert inside[1].startswith(f"::error title=INCONCLUSIVE {ID},file=rules.yaml,line=4::")
    assert lines(piped(*GATE, "--annotations", "github")[1]) == inside
    assert lines(piped(*GATE)[1]) == []
    assert lines(piped(*GATE, "--annotations", "none", GITHUB_ACTIONS="true")[1]) == []
    _, out, err = piped(*GATE, "--json", GITHUB_ACTIONS="true")
    assert json.loads(out)
    assert lines(err) == inside


def test_an_unknown_kind_of_annotations_is_an_error():
    code, _, err = piped(*GATE, "--annotations", "githup")
    assert (code, err.decode().strip()) == (
        2,
        "auditkit: unknown kind of annotations 'githup'; did you mean 'github'?",
    )


def test_code_quality_points_at_the_rules(folder):
    assert piped(*GATE, "--code-quality", "q/gl.json")[0] == 1
    found = json.loads((folder / "q" / "gl.json").read_text())
    assert [(i["severity"], i["location"]["path"], i["location"]["lines"]["begin"]) for i in found] == [
        ("critical", "rules.yaml", 3),
        ("major", "rules.yaml", 4),
        ("info", "rules.yaml", 1),
    ]


# --- history and compare on the command line --------------------------------------------------------------------


def test_history_writes_a_page_and_names_what_it_left_out(folder):
    (folder / "old").mkdir()
    (folder / "old" / "report.json").write_text('{"schema": 99}')
    report = json.loads((folder / "report.json").read_text())
    (folder / "report.json").write_text(json.dumps(report | {"created": "2026-01-01T00:00:00+00:00"}))
    code, out, err = piped("history", ".", "--out", "h.html", "--measurement", "crows_pairs/*")
    assert (code, out.decode().strip()) == (0, "h.html")
    assert err.decode().startswith("auditkit: left out: old/report.json: schema 99; this version reads schema ")
    assert ID in (folder / "h.html").read_text(encoding="utf-8")
    code, _, err = piped("history", ".", "--measurement", "nothing")
    assert code == 2
    assert b"none of 1 ids fits" in err


def test_compare_takes_any_number_of_reports(folder):
    code, out, _ = piped("compare", *["report.json"] * 3)
    assert code == 0
    assert out.decode().count("1 measurements: ") == 2
    assert piped("compare", *["report.json"] * 3, "--out", "c.md")[0] == 0
    assert (folder / "c.md").read_text(encoding="utf-8").startswith("## All reports")
    code, _, err = piped("compare", "report.json")
    assert code == 2
    assert b"expected at least two" in err
