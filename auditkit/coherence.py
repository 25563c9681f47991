"""What a report as a whole may not say, and what its rules may not lose sight of.

One entry by itself is checked where it is made (`Measurement`, `ProbeRun`, `Verdict`); here is what only shows between
them. The configuration promises a run of each of its probes, a run accounts for the measurements of its probe, and a
verdict is about a measurement.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditkit.gate import Verdict
    from auditkit.measurement import Measurement
    from auditkit.report import AuditReport, ProbeRun


def contradictions(report: AuditReport) -> Iterator[str]:
    """What cannot all be true of one run, one sentence each."""
    yield from (f"two measurements are called {id!r}" for id in _twice([m.id for m in report.measurements]))
    yield from (f"two runs of the probe {probe!r}" for probe in _twice([run.probe for run in report.runs]))
    yield from _broken_promises(report)
    for m in report.measurements:
        yield from _unaccounted(m, [run for run in report.runs if _is_of(m, run)])
    yield from (
        f"the probe {run.probe!r} is ok and measured nothing"
        for run in report.runs
        if run.status == "ok" and not any(_is_of(m, run) for m in report.measurements)
    )
    by_id = {m.id: m for m in report.measurements}
    for verdict in report.verdicts:
        yield from _unfounded(verdict, by_id.get(verdict.measurement))


def silent(report: AuditReport, pattern: str, matched: Sequence[Measurement]) -> list[ProbeRun]:
    """The probes that a pattern asks about and that gave no value at all: no measurement of theirs is in `matched`.

    What a probe would have measured is not known until it has run, so that the pattern may be about all of them.
    """
    heard = [*matched, *(m for m in report.measurements if m.status == "ok")]
    asked = [run for run in report.runs if _may_match(pattern, f"{run.probe}/")]
    return [run for run in asked if not any(_is_of(m, run) for m in heard)]


def _is_of(m: Measurement, run: ProbeRun) -> bool:
    return m.id == run.probe or m.id.startswith(f"{run.probe}/")


def _may_match(pattern: str, start: str) -> bool:
    """Whether an id with this start can fit the pattern, whatever follows: some of the pattern's places stay in reach.

    A place is how many of the pattern's tokens (a character, `?`, `*`, or a set in brackets) have been used up.
    """
    tokens = _TOKEN.findall(pattern)
    places = _with_stars({0}, tokens)
    for character in start:
        fitting = {i for i in places if i < len(tokens) and fnmatchcase(character, tokens[i])}
        places = _with_stars({i if tokens[i] == "*" else i + 1 for i in fitting}, tokens)
    return bool(places)


_TOKEN = re.compile(r"\[!?\]?[^\]]*\]|.", re.DOTALL)


def _with_stars(places: set[int], tokens: Sequence[str]) -> set[int]:
    """Also the places behind a star, which may stand for nothing."""
    found = set(places)
    for i in places:
        while i < len(tokens) and tokens[i] == "*" and i + 1 not in found:
            i += 1
            found.add(i)
    return found


def _twice(names: Sequence[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _broken_promises(report: AuditReport) -> Iterator[str]:
    """Where the probes of the configuration are not those that ran, in this order; a ledger's report names none."""
    promised = report.config.get("probes")
    if promised is None:
        return
    if not isinstance(promised, list):
        yield "its configuration does not list the probes"
        return
    if len(promised) != len(report.runs):
        yield f"its configuration names {len(promised)} probes, and {len(report.runs)} are said to have run"
    for entry, run in zip(promised, report.runs, strict=False):
        id = _id(entry)
        if id is not None and id != run.probe:
            yield f"where its configuration names the probe {id!r}, a run of {run.probe!r} stands"


def _id(entry: Any) -> str | None:
    """The id of a probe in the configuration; None where only its class knows it."""
    if isinstance(entry, str):
        return None if ":" in entry else entry
    if not isinstance(entry, Mapping) or not entry:
        return ""
    options = entry.get("options") if "spec" in entry else next(iter(entry.values()))
    id = options.get("id") if isinstance(options, Mapping) else None
    return id if isinstance(id, str) else None


def _unaccounted(m: Measurement, runs: Sequence[ProbeRun]) -> Iterator[str]:
    """A measurement that the runs of its probe do not account for."""
    if not runs:
        yield f"{m.id!r} was measured by a probe that has no run"
    for run in runs:
        if run.status != "ok" and m.status == "ok":
            yield f"{m.id!r} has a value, and its probe is {run.status}"
        elif m.id == run.probe and m.status != run.status:  # what stands for a probe without results
            yield f"the probe {run.probe!r} is {run.status} as a run and {m.status} as a measurement"


def _unfounded(verdict: Verdict, m: Measurement | None) -> Iterator[str]:
    """A verdict about a number that the report does not hold."""
    if verdict.value is None:
        return
    if m is None or m.value is None:
        yield f"a verdict judges {verdict.measurement!r}, which has no value here"
    elif verdict.rule.max_worsening is None and not math.isclose(verdict.value, m.value, rel_tol=1e-9, abs_tol=1e-9):
        yield f"a verdict judges {m.id!r} as {verdict.value:.6g}, and it is {m.value:.6g}"
