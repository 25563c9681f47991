"""From a name or a path to a Dataset: find the files, check them, decode them, hand them to the parser."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from auditkit.data.catalog import Entry, entries, find, locate, read, verify
from auditkit.data.loaders import PARSERS
from auditkit.data.types import Dataset
from auditkit.errors import DataError, UnknownName


def load(name_or_path: str, kind: str | None = None) -> Dataset[Any]:
    """Load test data.

    Args:
        name_or_path: a name of the catalogue ("builtin_pairs", "crows_pairs", ...), or the path of a file of yours,
            or of a folder holding only such files.
        kind: what the data must be: "pairs", "occupations", "sentences", "stereoset", "stereoset_intersentence",
            "weat", "winobias", "winogender" or "bbq". Needed for a path; for a name it is a check.

    Returns:
        The items with their source, licence, and the sha256 of the file they come from (of several files: of their
        contents one after another).

    Raises:
        UnknownName: neither a dataset nor a file is called so, or no such kind.
        DataAbsent: it is a published dataset, and nothing of it is on this machine.
        DataError: the data are missing, empty, damaged, wrongly encoded, or not of this kind.
    """
    if kind is not None and kind not in PARSERS:
        raise UnknownName("kind of data", kind, PARSERS)
    if name_or_path in entries():
        return _load_named(find(name_or_path), kind)
    path = Path(name_or_path)
    if path.exists():
        return _load_path(path, kind)
    if path.suffix or len(path.parts) > 1:
        raise DataError(f"no such file: {name_or_path}")
    raise UnknownName("dataset", name_or_path, entries())


def _load_named(entry: Entry, kind: str | None) -> Dataset[Any]:
    if entry.kind not in PARSERS:
        raise DataError(f"dataset {entry.name!r} is a {entry.kind}, not test items; data.locate() gives its folder")
    if kind not in (None, entry.kind):
        raise DataError(f"dataset {entry.name!r} is of kind {entry.kind!r}, but {kind!r} was asked for")
    folder = locate(entry.name)
    contents = {}
    for file in entry.files:
        contents[folder / file.name] = read(folder / file.name)
        verify(file, contents[folder / file.name], folder / file.name)
    return _dataset(entry.name, contents, entry.kind, entry.citation, entry.licence)


def _load_path(path: Path, kind: str | None) -> Dataset[Any]:
    if kind is None:
        raise DataError(f"{path}: say what it holds with kind=, one of {', '.join(PARSERS)}")
    files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    contents = {file: read(file) for file in files}
    return _dataset(path.stem, contents, kind, str(path), "not stated")


def _dataset(name: str, contents: dict[Path, bytes], kind: str, source: str, licence: str) -> Dataset[Any]:
    items = tuple(PARSERS[kind]({path.name: decode(data, path) for path, data in contents.items()}))
    if not items:
        raise DataError(f"{source}: the dataset is empty; expected at least one item")
    return Dataset(name, items, source, licence, hashlib.sha256(b"".join(contents.values())).hexdigest())


def decode(data: bytes, path: Path) -> str:
    """The text of a file, without a byte order mark.

    Raises:
        DataError: it is not UTF-8; says which byte on which line.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        line = data.count(b"\n", 0, e.start) + 1
        raise DataError(
            f"{path}: wrong encoding: byte 0x{data[e.start]:02x} at offset {e.start}, line {line}, is not UTF-8; "
            f"save the file as UTF-8"
        ) from e
