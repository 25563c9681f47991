"""Progress: a bar where someone watches, plain lines elsewhere."""

import sys

import pytest

from auditkit.live import CountingListener, ProgressListener, is_live, listening
from auditkit.report import ProbeRun


@pytest.mark.parametrize(
    ("terminal", "ci", "live"), [(True, "", True), (True, "true", False), (False, "", False), (False, "true", False)]
)
def test_there_is_a_bar_only_on_a_terminal_outside_ci(monkeypatch, terminal, ci, live):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    monkeypatch.setenv("CI", ci)
    assert is_live() is live
    with listening() as listener:
        assert isinstance(listener, ProgressListener) is live


def test_the_bar_follows_the_loops_of_a_probe():
    listener = ProgressListener()
    listener.run_started({"name": "m"}, ["p"])
    listener.probe_started("p")
    (task,) = listener.progress.tasks
    assert (task.completed, task.total) == (0, None)
    listener.advanced(8, 10)
    assert (task.completed, task.total) == (8, 10)
    listener.advanced(20, 100)  # a second loop, which is already farther than the first one was
    assert (task.completed, task.total, len(task._progress)) == (20, 100, 1)
    listener.advanced(5, 100)  # a third one
    assert (task.completed, len(task._progress)) == (5, 1)
    listener.probe_finished(ProbeRun("p", "ok"), [], reused=False)
    assert listener.progress.tasks == []


def test_the_rate_and_the_time_left_are_shown():
    listener = ProgressListener()
    clock = [0.0]
    listener.progress.get_time = lambda: clock[0]
    listener.probe_started("p")
    listener.advanced(0, 100)
    for second in range(1, 5):
        clock[0] = float(second)
        listener.advanced(second * 10, 100)
    (task,) = listener.progress.tasks
    rate, left = (column(task) for column in listener.progress.columns[-2:])
    assert rate.plain == "10/s"
    assert left.plain == "0:00:06"


def test_lines_of_a_log(capsys):
    listener = CountingListener()
    listener.run_started({"name": "m", "parameters": 12345, "dtype": "float32", "device": "cpu"}, ["a", "b", "c"])
    listener.probe_finished(ProbeRun("a", "ok", seconds=1.25), [None, None], reused=False)
    listener.probe_finished(ProbeRun("b", "error", "bad [bold]\x1b[31m", {"texts cut": 3}, 0.5), [None], reused=False)
    listener.probe_finished(ProbeRun("c", "ok"), [None], reused=True)
    assert capsys.readouterr().err.splitlines() == [
        "auditing m: 12,345 parameters, float32 on cpu",
        "a: ok, 2 measurements, 1.2 s",
        "b: error, bad [bold]\N{REPLACEMENT CHARACTER}[31m, 0.5 s; 3 texts cut",
        "c: ok, 1 measurement, kept from the stopped run",
    ]
    assert (listener.finished, listener.planned) == (2, 3)
