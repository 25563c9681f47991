"""The packages that a run imported, as a bill of materials: what a number was computed with."""

from __future__ import annotations

import csv
import hashlib
import re
import sys
from collections.abc import Collection
from functools import cache, lru_cache
from importlib.metadata import Distribution, distributions, packages_distributions
from pathlib import Path

_WRITTEN_BY_THE_INSTALLER = re.compile(
    r"^(\.\.|/|[A-Za-z]:)|\.dist-info/(RECORD|INSTALLER|REQUESTED|direct_url\.json)$"
)


def imported() -> set[str]:
    """Names of the packages of which this process has imported anything."""
    loaded = {name.partition(".")[0] for name, module in list(sys.modules.items()) if module is not None}
    return {name for top, names in _packages().items() if top in loaded for name in names}


@cache
def _packages() -> dict[str, list[str]]:
    """For each name that can be imported, the packages that bring it: a third of a second to find out."""
    return {top: [_plain(name) for name in names] for top, names in packages_distributions().items()}


def listed(names: Collection[str]) -> dict[str, str]:
    """`{"numpy": "2.4.6 sha256:1f0a..."}`: version and, where its files are recorded, the digest of each of `names`.

    The digest is the sha256 over path and hash of every file that the wheel brought, as the package's RECORD lists
    them. It is the same on every machine that installed the same wheel, and says nothing of files changed afterwards.
    """
    found: dict[str, str] = {}
    for entry in sys.path:
        folder = Path(entry).absolute()  # "" is the current folder
        for name, text in _in_folder(folder, folder.stat().st_mtime_ns if folder.exists() else 0).items():
            if name in names:
                found.setdefault(name, text)  # the first one on the path is the one that is imported
    return dict(sorted(found.items()))


@lru_cache(maxsize=32)
def _in_folder(folder: Path, changed: int) -> dict[str, str]:
    """The packages in one folder of the path, read again only when the folder has `changed`: installing does that."""
    found: dict[str, str] = {}
    for package in distributions(path=[str(folder)]):
        name = _plain(package.name or "")
        if name and name not in found:
            digest = _files_sha256(package)
            found[name] = package.version + (f" sha256:{digest}" if digest else "")
    return found


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _files_sha256(package: Distribution) -> str | None:
    record = package.read_text("RECORD")
    if not record:
        return None
    rows = (row for row in csv.reader(record.splitlines()) if len(row) == 3)
    files = sorted(
        f"{path},{digest}" for path, digest, _ in rows if digest and not _WRITTEN_BY_THE_INSTALLER.search(path)
    )
    return hashlib.sha256("\n".join(files).encode()).hexdigest() if files else None
