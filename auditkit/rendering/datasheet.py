"""The data that an audit used: what it is, whose it is, under which licence, and exactly which version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from auditkit.rendering import markdown
from auditkit.rendering.formatting import ABSENT, number
from auditkit.report import AuditReport

if TYPE_CHECKING:
    from auditkit.data.catalog import Entry

OPTIONS = ("data", "occupations")
"""The options of a probe that name its data."""
HEADER = ("Data", "Used by", "n", "Licence", "Source", "SHA-256")


@dataclass(frozen=True, slots=True)
class DataUse:
    """One dataset as one probe used it.

    Attributes:
        name: of the catalogue, or of the user's file.
        title: for a reader.
        probe: who used it.
        n: items that the probe's largest measurement rests on; 0 where it has none.
        licence: the licence; "" where the catalogue does not know the data.
        source: what to cite.
        description: one line.
        sha256: of the items as they were read where the probe recorded it, else of the catalogue's files, which are
            verified when they are read.
    """

    name: str
    title: str
    probe: str
    n: int
    licence: str
    source: str
    description: str
    sha256: tuple[str, ...]


def data_used(report: AuditReport) -> list[DataUse]:
    """Every dataset that an option of a probe names, in the order of the probes."""
    return [
        _use(report, probe, name)
        for probe, options in _probes(report)
        for name in dict.fromkeys(options.get(option) for option in OPTIONS)
        if isinstance(name, str) and name
    ]


def table(report: AuditReport) -> list[str]:
    """The lines of a Markdown table, one row a use; empty where no data is named."""
    rows = [
        (
            f"{use.title}: {use.description}" if use.description else use.title,
            use.probe,
            number(use.n) if use.n else ABSENT,
            use.licence or "not known to auditkit",
            use.source or "not known to auditkit",
            ", ".join(use.sha256) or "not recorded",
        )
        for use in data_used(report)
    ]
    return markdown.table(HEADER, rows) if rows else []


def _probes(report: AuditReport) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(id, options) of each probe of the configuration; an entry of another shape is none of ours."""
    entries = report.config.get("probes")
    for entry in entries if isinstance(entries, list) else []:
        for name, options in entry.items() if isinstance(entry, Mapping) else ():
            if isinstance(options, Mapping):
                yield str(options.get("id", name)), options


def _use(report: AuditReport, probe: str, name: str) -> DataUse:
    from auditkit.data.catalog import entries

    of_probe = [m for m in report.measurements if m.probe == probe]
    recorded = tuple(dict.fromkeys(str(h) for m in of_probe if (h := m.details.get("data_sha256"))))
    n = max((m.n for m in of_probe), default=0)
    entry: Entry | None = entries().get(name)
    if entry is None:  # a path: the folders above it are nobody's business
        file = PurePath(name.replace("\\", "/")).name
        return DataUse(file, f"own data, {file}", probe, n, "", "", "", recorded)
    published = tuple(file.sha256 for file in entry.files)
    return DataUse(name, entry.title, probe, n, entry.licence, entry.citation, entry.description, recorded or published)
