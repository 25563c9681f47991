"""What a run shows while it goes on: one line a probe, and on a terminal a bar with items per second and time left."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.progress import TimeRemainingColumn as TimeLeft
from rich.text import Text

from auditkit.measurement import Measurement
from auditkit.rendering.formatting import one_line
from auditkit.report import ProbeRun
from auditkit.runner import Listener


def is_live() -> bool:
    """Whether stderr is a terminal that someone watches."""
    return sys.stderr.isatty() and not os.environ.get("CI")


class CountingListener(Listener):
    """Counts what is finished, so that an interrupted run can say what it keeps; prints one line a probe."""

    def __init__(self) -> None:
        self.finished = 0
        self.planned = 0
        self.err = Console(stderr=True, highlight=False, soft_wrap=True)

    def warned(self, warning: str) -> None:  # noqa: D102
        self._say(f"warning: {warning}")

    def run_started(self, subject: Mapping[str, Any], probes: Sequence[str]) -> None:  # noqa: D102
        self.planned = len(probes)
        parameters = f"{subject['parameters']:,} parameters, " if subject.get("parameters") else ""
        where = f"{parameters}{subject.get('dtype')} on {subject.get('device')}" if subject.get("device") else ""
        self._say(f"auditing {subject.get('name')}: {where or subject.get('architecture')}")

    def probe_finished(self, run: ProbeRun, measurements: Sequence[Measurement], reused: bool) -> None:  # noqa: D102
        self.finished += run.status == "ok"
        took = "kept from the stopped run" if reused else f"{run.seconds:.1f} s"
        what = run.reason or f"{len(measurements)} measurement{'s' * (len(measurements) != 1)}"
        noticed = "".join(f"; {count} {notice}" for notice, count in run.notices.items())
        self._say(f"{run.probe}: {run.status}, {what}, {took}{noticed}")

    def _say(self, line: str) -> None:
        self.err.print(one_line(line), markup=False)


class ProgressListener(CountingListener):
    """Besides that, a bar with items per second and the time left."""

    def __init__(self) -> None:
        super().__init__()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeLeft())
        self.progress = Progress(*columns, console=self.err, transient=True)
        self.task: TaskID | None = None
        self.loop = (0, 0)

    def probe_started(self, probe: str) -> None:  # noqa: D102
        self.task = self.progress.add_task(probe, total=None)
        self.loop = (0, 0)

    def advanced(self, done: int, total: int) -> None:  # noqa: D102
        if self.task is None:
            return
        if done < self.loop[0] or total != self.loop[1]:  # the probe's next loop
            self.progress.reset(self.task)
        self.loop = (done, total)
        self.progress.update(self.task, completed=done, total=total)

    def probe_finished(self, run: ProbeRun, measurements: Sequence[Measurement], reused: bool) -> None:  # noqa: D102
        if self.task is not None:
            self.progress.remove_task(self.task)
        super().probe_finished(run, measurements, reused)


class _Rate(ProgressColumn):
    """Items per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", style="progress.data.speed")


@contextmanager
def listening() -> Iterator[CountingListener]:
    """The listener that fits where stderr goes."""
    if not is_live():
        yield CountingListener()
        return
    listener = ProgressListener()
    with listener.progress:
        yield listener
