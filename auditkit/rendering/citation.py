"""What a reader needs in order to cite one number, link to it, and measure it again."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from auditkit.measurement import Measurement
from auditkit.rendering.formatting import parts, plain, sentence_case
from auditkit.report import AuditReport

LONGEST_ID = 120
"""Characters of an id in an anchor. A longer one is cut, and told apart by a hash."""
LONGEST_OPTIONS = 1_500
"""Characters of the options of one probe in a command; with more, the command repeats the whole run."""

# "Wilson score interval, n=415", "DeLong, 296 members and 806 non-members": n has a column of its own.
_COUNT = re.compile(r",? n ?= ?\d+|, \d+ members and \d+ non-members")


@dataclass(frozen=True, slots=True)
class Way:
    """One way of measuring, and the metrics that were measured so."""

    metrics: str
    text: str


@dataclass(frozen=True, slots=True)
class Origins:
    """Where the numbers of one probe come from: each way of measuring once, and what all of them share."""

    ways: Sequence[Way]
    shared: str


def anchor(id: str) -> str:
    """The id of a place on the page for a measurement id or any other name: the same in every report.

    >>> anchor("crows_pairs/gender/metric_score"), anchor("p/65 and over/s")
    ('m-crows_pairs/gender/metric_score', 'm-p/65%20and%20over/s')
    """
    if len(id) > LONGEST_ID:
        digest = hashlib.sha256(id.encode(errors="surrogatepass")).hexdigest()
        id = f"{id[:LONGEST_ID]}~{digest[:12]}"
    return "m-" + quote(id, safe="/=+:,@", errors="replace")


def interval_method(m: Measurement) -> str:
    """How the interval of `m` was obtained, without the number of items that this one rests on."""
    return _COUNT.sub("", m.interval.method) if m.interval else ""


def way_of(m: Measurement) -> tuple[str, ...]:
    """Method, kind of interval, source and seed of `m`, as the clauses of a citation."""
    by = interval_method(m)
    seed = "" if m.seed is None else f"seed {m.seed}"
    return tuple(c.rstrip(".") for c in (m.method, f"interval: {by}" if by else "", m.source, seed) if c)


def origins(probe: str, measurements: Iterable[Measurement]) -> Origins:
    """The ways of measuring in the order in which they first appear; what all share is said once."""
    found: dict[tuple[str, ...], dict[str, None]] = {}
    for m in measurements:
        found.setdefault(way_of(m), {})[plain(parts(m)[1])] = None
    everywhere = [c for c in next(iter(found), ()) if all(c in way for way in found)] if len(found) > 1 else []
    ways = [
        Way(", ".join(metrics), sentence_case("; ".join(c for c in way if c not in everywhere)))
        for way, metrics in found.items()
    ]
    return Origins(ways, "; ".join([f"Probe {probe}", *everywhere]))


def fingerprint(report: AuditReport) -> str:
    """SHA-256 of everything that the report says but when it was made and how long its probes took.

    The same audit again has the same fingerprint.
    """
    content = report.to_json()
    del content["created"]
    content["runs"] = [{key: value for key, value in run.items() if key != "seconds"} for run in content["runs"]]
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def of_report(report: AuditReport) -> str:
    """The report in one line, as a citation names it."""
    name, weights = report.subject.get("name", "unnamed model"), report.subject.get("weights_sha256")
    model = f"{name} (weights SHA-256 {str(weights)[:16]})" if weights else str(name)
    tool = f"auditkit {report.environment.get('auditkit', '')}".rstrip()
    made = f", {report.created}" if report.created else ""
    return f"Audit of {model} with {tool}{made}; report SHA-256 {fingerprint(report)[:16]}"


def command(report: AuditReport, probe: str) -> str:
    """What measures the numbers of `probe` again, given the configuration of `report` as audit.yaml.

    Every probe's randomness comes from the seed and its own id, so that the others need not run. Empty where a
    configuration file cannot hold what the probe was given, see `from_python`.
    """
    options = _entry(report, probe)
    text = json.dumps([options], ensure_ascii=False) if options else ""
    alone = 0 < len(text) <= LONGEST_OPTIONS
    if from_python(report, probe if alone else None):
        return ""
    words = ["auditkit", "run", "audit.yaml", "--set", f"seed={report.seed}"]
    words += ["--set", f"probes={text}"] if alone else []
    return shlex.join([*words, "--out", "repeated"])


def from_python(report: AuditReport, probe: str | None = None) -> bool:
    """Whether `probe`, or any where None, was given objects, or texts themselves, that no configuration file can hold.

    The runner records of such texts their number and hash, and of an object its class.
    """
    entries = [_entry(report, probe)] if probe else report.config.get("probes")
    return any(_beyond_a_file(e) for e in entries if isinstance(e, Mapping)) if isinstance(entries, list) else False


def _beyond_a_file(entry: Mapping[str, Any]) -> bool:
    """Of {name of the probe: options}."""
    return any(
        set(part) == {"given", "sha256"} or (len(part) == 1 and ":" in next(iter(part))) or _is_shown(part)
        for options in entry.values()
        for part in _mappings(options)
    )


def _is_shown(options: Mapping[str, Any]) -> bool:
    """Options without a JSON form are recorded as {"options": what they print as}."""
    return set(options) == {"options"} and isinstance(options["options"], str)


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    """`value` and what is inside it, as far as it has names."""
    if isinstance(value, Mapping):
        yield value
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    for part in inner:
        yield from _mappings(part)


def _entry(report: AuditReport, probe: str) -> Mapping[str, Any] | None:
    """The entry of `probe` in the configuration; None where it cannot be told which one it is."""
    entries = report.config.get("probes")
    if not isinstance(entries, list) or len(entries) != len(report.runs):
        return None
    of_run = {run.probe: entry for run, entry in zip(report.runs, entries, strict=True)}
    entry = of_run.get(probe)
    return entry if isinstance(entry, Mapping) else None
