"""All reports under a folder, in the order in which they were made; and the newest of them, as a baseline."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from auditkit.changes import data_hash
from auditkit.comparability import no_baseline
from auditkit.errors import InputError, ReportError
from auditkit.measurement import Measurement
from auditkit.report import AuditReport

FILE = "report.json"
OWN = "the report that is to be compared"


@dataclass(frozen=True, slots=True)
class Entry:
    """One report of a history: its path below the folder, and when it was made."""

    path: str
    created: datetime
    report: AuditReport


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that is not part of the history, and why: unreadable, of another schema, without a time, a copy."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class History:
    """What lies under `folder`: the reports, oldest first, and the files that could not be used."""

    folder: str
    entries: Sequence[Entry]
    left_out: Sequence[LeftOut]


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement in one report.

    Attributes:
        number: the place of its report in the history, from 1.
        entry: the report.
        measurement: what it found.
        outcome: the gate's verdict on it, the worst where there are several; "" where no rule asked.
        changed: what differs from the report before that has this measurement: "model", "data", "versions".
    """

    number: int
    entry: Entry
    measurement: Measurement
    outcome: str
    changed: Sequence[str]


def collect(folder: Path, own: Path | None = None) -> History:
    """Read every report.json under `folder`, but for the one at `own`.

    Raises:
        InputError: no such folder, or none of its files can be read.
    """
    if not folder.is_dir():
        raise InputError(f"no folder {folder}; give one that holds report.json files, at any depth")
    seen: dict[str, str] = {}
    entries: list[Entry] = []
    left_out: list[LeftOut] = []
    for path in sorted(folder.rglob(FILE)):
        name = path.relative_to(folder).as_posix()
        same = own is not None and path.resolve() == own.resolve()
        found = LeftOut(name, OWN) if same else _read(path, name, seen)
        if isinstance(found, Entry):
            entries.append(found)
        else:
            left_out.append(found)
    if not entries:
        why = [f"; {file.path}: {file.reason}" for file in left_out]
        raise InputError(f"no {FILE} under {folder} that can be used{''.join(why[:3])}; `auditkit run` writes one")
    return History(str(folder), sorted(entries, key=lambda e: (e.created, e.path)), left_out)


def load_baseline(path: Path, *, own: Path | None = None, judged: AuditReport | None = None) -> tuple[AuditReport, str]:
    """The report at `path` or, where that is a folder, the newest one in it that can be an earlier one.

    Args:
        path: a report.json, or a folder.
        own: where the report that is to be compared lies, or will lie: in a folder, passed over.
        judged: the report that is to be compared, where it is there already: its copies are passed over too.

    Returns:
        The report, and a sentence that says which it is, and which newer ones it is not and why.

    Raises:
        InputError: no such file or folder, or a folder without an earlier report.
        ReportError: the report is damaged.
    """
    if not path.exists():
        raise InputError(f"no report at {path}; give a report.json or a folder of them, or no baseline if none is yet")
    if not path.is_dir():
        return AuditReport.load(path), f"baseline: {path}"
    history = collect(path, own)
    passed = [f"{file.path}: {OWN}" for file in history.left_out if file.reason == OWN]
    for entry in reversed(history.entries):
        why = no_baseline(entry.report, judged)
        if not why:
            return entry.report, _chosen(path / entry.path, entry, history, passed)
        passed.append(f"{entry.path} {why}")
    raise InputError(f"no earlier report under {path}: {'; '.join(passed)}")


def _chosen(where: Path, entry: Entry, history: History, passed: Sequence[str]) -> str:
    """Which report was chosen, of how many, and what was not."""
    unused = len(history.left_out) - sum(file.reason == OWN for file in history.left_out)
    more = [f"{unused} other files were left out"] * bool(unused) + [f"passed over {name}" for name in passed]
    said = f"baseline: {where}, newest of {len(history.entries)} ({entry.report.created})"
    return "; ".join([said, *more])


def series(history: History, pattern: str = "*") -> dict[str, list[Point]]:
    """The points of every measurement whose id fits `pattern`, by id, in the order of the newest report that has it."""
    found: dict[str, list[Point]] = {}
    for number, entry in reversed(list(enumerate(history.entries, 1))):
        outcomes = _outcomes(entry.report)
        for m in entry.report.measurements:
            if fnmatchcase(m.id, pattern):
                found.setdefault(m.id, []).append(Point(number, entry, m, outcomes.get(m.id, ""), ()))
    return {id: list(_with_changes(points[::-1])) for id, points in found.items()}


def _read(path: Path, name: str, seen: dict[str, str]) -> Entry | LeftOut:
    """`seen` maps the hash of each report to its name: a copy would look like a second run."""
    try:
        report = AuditReport.load(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except (ReportError, OSError) as e:
        return LeftOut(name, str(e).removeprefix(f"{path}").removeprefix(":").strip())
    if digest in seen:
        return LeftOut(name, f"the same as {seen[digest]}")
    seen[digest] = name
    try:
        created = datetime.fromisoformat(report.created)
    except ValueError:
        return LeftOut(name, f"created {report.created!r} is not a time, so that it has no place in the order")
    return Entry(name, created if created.tzinfo else created.replace(tzinfo=UTC), report)


def _outcomes(report: AuditReport) -> dict[str, str]:
    from auditkit.gate import SEVERITY

    found: dict[str, str] = {}
    for v in sorted(report.verdicts, key=lambda v: SEVERITY.index(v.outcome)):
        found[v.measurement] = v.outcome
    return found


def _with_changes(points: Sequence[Point]) -> Iterator[Point]:
    """Each point with what changed since the one before."""
    before: Point | None = None
    for point in points:
        yield point if before is None else replace(point, changed=tuple(_changed(before, point)))
        before = point


def _changed(a: Point, b: Point) -> Iterator[str]:
    """What is not the same: the model, the items that were asked (known by hash or number), the versions."""
    old, new = a.entry.report, b.entry.report
    if any(old.subject.get(key) != new.subject.get(key) for key in ("name", "weights_sha256")):
        yield "model"
    if (data_hash(a.measurement), a.measurement.n) != (data_hash(b.measurement), b.measurement.n):
        yield "data"
    if any(old.environment.get(key) != new.environment.get(key) for key in ("auditkit", "python", "libraries")):
        yield "versions"
