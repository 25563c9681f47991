"""Finished probes of an unfinished run, kept in `<out>/.partial`, so that a run that was stopped loses nothing.

A finished probe is found again only by a run that would compute exactly the same: its file carries a hash of
everything that its numbers depend on.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from auditkit import __version__, environment
from auditkit.errors import ReportError
from auditkit.integrity import canonical
from auditkit.measurement import Measurement
from auditkit.probes.base import ItemScore, Probe, ProbeResult
from auditkit.report import ProbeRun, write_atomically


def options(probe: Probe) -> dict[str, Any]:
    """The options of a probe as JSON values; TypeError where one has no JSON form."""
    if not dataclasses.is_dataclass(probe):
        raise TypeError(f"{type(probe).__name__} is not a dataclass")
    values = {f.name: getattr(probe, f.name) for f in dataclasses.fields(probe) if f.init}
    return dict(json.loads(json.dumps(values, allow_nan=False, default=_as_json)))


def key(probe: Probe, subject: Mapping[str, Any], seed: int) -> str | None:
    """Hash of what the result depends on; None where that is not known: such a result is never reused.

    Model (weights and how they are computed with), probe with options, its source code, files named by its options,
    seed, and library versions.
    """
    try:
        chosen = options(probe)
        code = Path(inspect.getfile(type(probe))).read_bytes()
    except (TypeError, ValueError, OSError):
        return None
    if not subject.get("weights_sha256"):
        return None
    parts = {
        "auditkit": __version__,
        "libraries": environment.library_versions(),
        "subject": dict(subject),
        "seed": seed,
        "probe": f"{type(probe).__module__}:{type(probe).__qualname__}",
        "code": hashlib.sha256(code).hexdigest(),
        "options": chosen,
        "files": _file_hashes(chosen),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _as_json(value: Any) -> Any:
    """A path as text; a probe or step of ours among the options, whose code the version identifies, by its class."""
    if isinstance(value, Path):
        return str(value)
    cls = type(value)
    if dataclasses.is_dataclass(value) and cls.__module__.startswith("auditkit."):
        return {f"{cls.__module__}:{cls.__qualname__}": options(value)}  # type: ignore[arg-type]
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _file_hashes(value: Any) -> Any:
    """In place of every text of an option, however deep in lists and mappings, the hash of what it names."""
    if isinstance(value, dict):
        return {name: _file_hashes(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_file_hashes(inner) for inner in value]
    return _file_hash(value) if isinstance(value, str) else None


def _file_hash(name: str) -> str | None:
    """Hash of the file, or of all files of the folder, of this name; None where there is none."""
    if not os.path.exists(name):  # unlike Path.exists, also False for a text that is too long to be a name
        return None
    path = Path(name)
    files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    return hashlib.sha256(b"".join(f.name.encode() + f.read_bytes() for f in files)).hexdigest()


class Checkpoints:
    """The finished probes kept under one output folder.

    Args:
        out: the run's output folder; None keeps nothing.
    """

    def __init__(self, out: Path | None) -> None:
        self.folder = out / ".partial" if out is not None else None

    def _path(self, probe_id: str, key: str | None) -> Path | None:
        return self.folder / f"{probe_id}-{key[:16]}.json" if self.folder is not None and key is not None else None

    def store(self, run: ProbeRun, result: ProbeResult, key: str | None) -> None:
        """Keep one finished probe.

        Raises:
            ReportError: it cannot be written (disk full, no permission).
        """
        path = self._path(run.probe, key)
        if path is None:
            return
        content = {
            "key": key,
            "run": asdict(run),
            "measurements": [m.to_json() for m in result.measurements],
            "items": [asdict(item) for item in result.items],
        }
        write_atomically(path, json.dumps(content).encode())

    def find(self, probe_id: str, key: str | None) -> tuple[ProbeRun, ProbeResult] | None:
        """What `store` kept under this key; a damaged file counts as absent, because it can be computed again."""
        path = self._path(probe_id, key)
        if path is None or not path.exists():
            return None
        try:
            data = canonical.read(path)
            measurements = [Measurement.from_json(m) for m in data["measurements"]]
            items = [ItemScore(**item) for item in data["items"]]
            return (ProbeRun(**data["run"]), ProbeResult(measurements, items)) if data["key"] == key else None
        except (OSError, ValueError, KeyError, TypeError, ReportError):
            return None

    def clear(self) -> None:
        """Forget everything: the report now holds it."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
