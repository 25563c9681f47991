"""Finished probes of an unfinished run, kept in `<out>/.partial`, so that a run that was stopped loses nothing.

A finished probe is found again only by a run that would compute exactly the same: its file carries a hash of
everything that its numbers depend on, and one of its own content, so that a file edited by hand is not believed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from auditkit import __version__, environment, packages, source_code
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


def key(probe: Probe, subject: Mapping[str, Any], seed: int, *, code_of: Sequence[type] = ()) -> str | None:
    """Hash of what the result depends on; None where that is not known: such a result is never reused.

    Model (weights and how they are computed with), probe with options, its source code and that of the project's own
    modules that it imports, files named by its options, seed, and library versions; and the code of the classes
    `code_of`, that of the model being one.
    """
    try:
        chosen = options(probe)
        code = [source_code.sha256(cls) for cls in (type(probe), *code_of)]
        files = _file_hashes(chosen)
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
        "code": code,
        "options": chosen,
        "files": files,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


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
    """Hash of the file, or of all files of the folder however deep, of this name; None where there is none."""
    if not os.path.exists(name):  # unlike Path.exists, also False for a text that is too long to be a name
        return None
    path = Path(name)
    digest = hashlib.sha256()
    for file in _files(path) if path.is_dir() else [path]:
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(path)}|{content}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _files(folder: Path) -> list[Path]:
    """All files in it, links not followed; of a folder that holds the current one only those at its top."""
    deep = not Path.cwd().is_relative_to(folder.resolve())
    found = [Path(at) / name for at, _, names in os.walk(folder) for name in names] if deep else folder.iterdir()
    return sorted(path for path in found if path.is_file())


class Checkpoints:
    """The finished probes kept under one output folder.

    Args:
        out: the run's output folder; None keeps nothing.

    Attributes:
        imported: the packages that had been imported when the probes that were found again were measured.
    """

    def __init__(self, out: Path | None) -> None:
        self.folder = out / ".partial" if out is not None else None
        self.imported: set[str] = set()

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
            "imported": sorted(packages.imported()),
        }
        write_atomically(path, json.dumps({"sha256": _digest(content), **content}).encode())

    def find(self, probe_id: str, key: str | None) -> tuple[ProbeRun, ProbeResult] | None:
        """What `store` kept under this key; a damaged or edited file counts as absent: it is computed again."""
        path = self._path(probe_id, key)
        if path is None or not path.exists():
            return None
        try:
            data = canonical.read(path)
            if data["key"] != key or data.pop("sha256") != _digest(data):
                return None
            measurements = [Measurement.from_json(m) for m in data["measurements"]]
            items = [ItemScore(**item) for item in data["items"]]
            found = ProbeRun(**data["run"]), ProbeResult(measurements, items)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, ReportError):
            return None
        self.imported.update(data["imported"])
        return found

    def clear(self) -> None:
        """Forget everything: the report now holds it."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
