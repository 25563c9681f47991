"""What differs between two reports besides their numbers: model, data, versions, options, probes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from auditkit.measurement import Measurement
from auditkit.rendering.formatting import ABSENT, flat
from auditkit.report import AuditReport, ProbeRun

Kind = Literal["model", "data", "versions", "options", "run"]
_KINDS: dict[str, Kind] = {"subject": "model", "data": "data", "environment": "versions", "config": "options"}


class Fact(NamedTuple):
    """Something about the model, the data, the versions or the options that differs; a dash where one side lacks it."""

    name: str
    before: str
    after: str

    @property
    def kind(self) -> Kind:
        """What it is about; "run" for the seed and the time."""
        return _KINDS.get(self.name.partition(".")[0], "run")


class ProbeChange(NamedTuple):
    """A probe that only one report has, or that went differently or had other options; `before` and `after` say how."""

    kind: Literal["new", "lost", "changed"]
    probe: str
    before: str
    after: str


def facts(before: AuditReport, after: AuditReport) -> list[Fact]:
    """Every entry of subject, data hashes, environment, options, seed and time that is not the same in both."""
    old, new = _described(before), _described(after)
    found = (Fact(name, old.get(name, ABSENT), new.get(name, ABSENT)) for name in dict.fromkeys([*old, *new]))
    return [fact for fact in found if fact.before != fact.after]


def probe_changes(before: AuditReport, after: AuditReport) -> list[ProbeChange]:
    """New, lost and changed probes, in the order in which the reports ran them."""
    old, new = ({run.probe: run for run in report.runs} for report in (before, after))
    options = [{id: given for id, (_, given) in probes_asked(report).items()} for report in (before, after)]
    found = []
    for probe in dict.fromkeys([*old, *new]):
        sides = [_went(runs.get(probe), given.get(probe, {})) for runs, given in zip((old, new), options, strict=True)]
        if probe not in old or probe not in new:
            found.append(ProbeChange("lost" if probe in old else "new", probe, *sides))
        elif sides[0] != sides[1]:
            found.append(ProbeChange("changed", probe, *sides))
    return found


def probes_asked(report: AuditReport) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Of each probe by its id: its registered name or `module:Class`, and its options.

    A configuration says it as `- name: {...}` or as `{spec: name, options: {...}}`.
    """
    entries = report.config.get("probes")
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    seen: Counter[str] = Counter()
    for entry in entries if isinstance(entries, list | tuple) else ():
        kind, options = _named(entry)
        id = str(options.get("id", kind))
        seen[id] += 1
        found[id if seen[id] == 1 else f"{id} ({seen[id]})"] = kind, options
    return found


def data_hash(m: Measurement) -> str:
    """The hash of the items that `m` was measured on, "" where its probe did not record it."""
    return str(m.details.get("data_sha256", ""))


def _described(report: AuditReport) -> dict[str, str]:
    described: Mapping[str, Any] = {
        "subject": report.subject,
        "data": _data(report),
        "environment": report.environment,
        "config": {**report.config, "probes": {id: given for id, (_, given) in probes_asked(report).items()}},
        "seed": str(report.seed),
        "created": report.created,
    }
    return dict(flat(described))


def _data(report: AuditReport) -> dict[str, str]:
    """The hashes of each probe's data; nearly always one."""
    hashes: dict[str, list[str]] = {}
    for m in report.measurements:
        if data_hash(m):
            hashes.setdefault(m.probe, []).append(data_hash(m))
    return {probe: ", ".join(dict.fromkeys(found)) for probe, found in hashes.items()}


def _named(entry: Any) -> tuple[str, Mapping[str, Any]]:
    if isinstance(entry, Mapping) and "spec" in entry:
        name, options = entry["spec"], entry.get("options")
    elif isinstance(entry, Mapping) and len(entry) == 1:
        name, options = next(iter(entry.items()))
    else:
        name, options = entry, None
    return str(name), options if isinstance(options, Mapping) else {}


def _went(run: ProbeRun | None, options: Mapping[str, Any]) -> str:
    """How a probe went and with which options, as one text."""
    if run is None:
        return ABSENT
    went = f"{run.status}: {run.reason}" if run.reason else run.status
    return "; ".join([went, *(f"{name} {value}" for name, value in flat(options))])
