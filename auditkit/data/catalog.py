"""The datasets known by name: what they are, where they lie on this machine, and how to get them."""

from __future__ import annotations

import hashlib
import os
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from auditkit.errors import DataAbsent, DataError, DownloadError, UnknownName

HERE = Path(__file__).parent
TIMEOUT = (10, 60)
"""Seconds that a server may take to answer at all, and may stay silent during a download."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of a dataset: its name here, its path under the dataset's `base`, and its sha256."""

    name: str
    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One dataset of the catalogue.

    Attributes:
        name: what `load` and `fetch` call it.
        title: what a report calls it.
        kind: "pairs", "occupations", "sentences", "stereoset", "weat", "winobias" or "bbq", which `load` turns into
            items; "text" or "table", whose files `locate` finds.
        licence: the licence of the data.
        citation: the publication to cite.
        description: one line.
        folder: name of its folder under `root()` and in the cache.
        base: the address that its files lie under; None for data shipped in this package.
        files: its files.
    """

    name: str
    title: str
    kind: str
    licence: str
    citation: str
    description: str
    folder: str
    base: str | None
    files: tuple[File, ...]


@cache
def entries() -> dict[str, Entry]:
    """Every dataset known by name, in the order of catalog.toml."""
    with open(HERE / "catalog.toml", "rb") as f:
        return {name: _entry(name, table) for name, table in tomllib.load(f).items()}


def _entry(name: str, table: dict[str, Any]) -> Entry:
    files = tuple(File(**{"path": file["name"], **file}) for file in table["files"])
    return Entry(**{"folder": name, "base": None, **table, "name": name, "files": files})


def find(name: str) -> Entry:
    """The catalogue's entry for `name`.

    Raises:
        UnknownName: there is none; the message suggests the nearest names.
    """
    try:
        return entries()[name]
    except KeyError:
        raise UnknownName("dataset", name, entries()) from None


def root() -> Path | None:
    """The folder of datasets on this machine: AUDITKIT_DATA, else ../shared/data next to the checkout, else None.

    Raises:
        DataError: AUDITKIT_DATA names no folder.
    """
    given = os.environ.get("AUDITKIT_DATA")
    if given:
        if not Path(given).is_dir():
            raise DataError(f"AUDITKIT_DATA is {given!r}, which is no folder; correct it or unset it")
        return Path(given)
    beside_checkout = HERE.parents[2] / "shared" / "data"
    return beside_checkout if beside_checkout.is_dir() else None


def holds_nothing() -> str:
    """One line where AUDITKIT_DATA names a folder without any published dataset, which is hardly meant; else "".

    Raises:
        DataError: as `root`.
    """
    given = root() if os.environ.get("AUDITKIT_DATA") else None
    folders = [entry.folder for entry in entries().values() if entry.base is not None]
    if given is None or any(any((given / folder).glob("*")) for folder in folders):
        return ""
    return f"AUDITKIT_DATA is {str(given)!r}, which holds no published dataset; expected folders as {folders[0]}/ in it"


def cache_folder() -> Path:
    """Where `fetch` keeps what it downloads: AUDITKIT_CACHE, else the user's cache folder of this system."""
    import pooch

    return Path(os.environ.get("AUDITKIT_CACHE") or pooch.os_cache("auditkit"))


def locate(name: str) -> Path:
    """The folder that holds all files of `name`: in the package, under `root()`, or in the cache, in this order.

    Raises:
        UnknownName: no dataset is called so.
        DataAbsent: nothing of it is on this machine; says which folders were looked in.
        DataError: a part of it is; says which file is missing.
    """
    entry = find(name)
    if entry.base is None:
        return HERE / "builtin"
    folders = [home / entry.folder for home in (root(), cache_folder()) if home is not None]
    missing = {folder: _missing(entry, folder) for folder in folders}
    for folder in folders:
        if not missing[folder]:
            return folder
    for folder in folders:
        if len(missing[folder]) < len(entry.files):
            raise DataError(
                f"{folder} is incomplete: {len(missing[folder])} of the {len(entry.files)} files of {name!r} are "
                f"missing, first of them {missing[folder][0]}; `auditkit data fetch {name}` gets the whole set"
            )
    looked = " and ".join(str(folder.parent) for folder in folders)
    raise DataAbsent(name, f"or set AUDITKIT_DATA to a folder that contains {entry.folder}/; looked in {looked}")


def _missing(entry: Entry, folder: Path) -> list[str]:
    """The files of a dataset that `folder` does not hold."""
    return [file.name for file in entry.files if not (folder / file.name).is_file()]


def verified(name: str) -> Path:
    """As `locate`, after each file was read once: all of them are the published ones.

    Raises:
        UnknownName, DataAbsent, DataError: as `locate`; DataError also where a file is another than the published.
    """
    folder = locate(name)
    for file in find(name).files:
        verify(file, read(folder / file.name), folder / file.name)
    return folder


def fetch(name: str, *, base_url: str | None = None) -> Path:
    """Make sure that a dataset is on this machine: where it already lies, else downloaded into the cache.

    A file enters the cache only when it is complete and its hash is the catalogue's.

    Args:
        name: a name of the catalogue.
        base_url: address of a mirror to download from, used in place of the entry's `base`.

    Returns:
        The folder that holds the files.

    Raises:
        UnknownName: no dataset is called so.
        DataError: it lies in AUDITKIT_DATA and is damaged.
        DownloadError: no connection, a connection that broke off, a file that is not there, or a wrong hash.
    """
    entry, yours = find(name), root()
    if entry.base is None:
        return locate(name)
    if base_url is None and yours is not None and not _missing(entry, yours / entry.folder):
        return verified(name)
    folder = cache_folder() / entry.folder
    try:
        for file in entry.files:
            _fetch_file(f"{(base_url or entry.base).rstrip('/')}/{file.path}", file, folder)
    except ConnectionError as e:
        raise DownloadError(
            f"{name} cannot be fetched: {e}; check the connection, "
            f"or set AUDITKIT_DATA to a folder that contains {entry.folder}/"
        ) from e
    return folder


def _fetch_file(url: str, file: File, folder: Path) -> None:
    """Download one file, unless the folder holds it whole already.

    Raises:
        ConnectionError: the server does not answer.
        DownloadError: it has no such file, breaks off, or sends another one; nothing is kept of it.
    """
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")
    downloader = pooch.HTTPDownloader(timeout=TIMEOUT)
    try:
        pooch.retrieve(url, f"sha256:{file.sha256}", fname=file.name, path=folder, downloader=downloader)
    except ValueError as e:
        raise DownloadError(
            f"{url} does not have the expected sha256 {file.sha256}; it was discarded. "
            f"Try again; if it persists, the file has changed at its source"
        ) from e
    except requests.ConnectionError as e:
        raise ConnectionError(f"{urlsplit(url).hostname} is out of reach") from e
    except OSError as e:  # the base of every error of the requests library
        raise DownloadError(
            f"{url} could not be downloaded to {folder}: {e}. Check the connection and try again"
        ) from e


def read(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as e:
        raise DataError(f"{path} cannot be read: {e.strerror}") from e


def verify(file: File, data: bytes, where: Path) -> None:
    """Refuse bytes that are not the published file.

    Raises:
        DataError: the hash differs from the catalogue's.
    """
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        raise DataError(
            f"{where} is not the published file: sha256 {found[:12]}..., expected {file.sha256[:12]}...; "
            f"delete it and fetch it again, or load your own version by its path"
        )
