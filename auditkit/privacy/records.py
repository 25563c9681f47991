"""Texts whose membership is known: read from files or lists, told apart by hash, shown without being told."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditkit.data.reading import decode
from auditkit.errors import DataError

SMALLEST = 20
SHOWN = 3  # characters of a redacted text, and at most a quarter of it

Texts = str | tuple[str | dict[str, str], ...]
"""A path, or the texts themselves, each a string or a mapping with "text" and what else is known of it."""


@dataclass(frozen=True, slots=True)
class Record:
    """One text, with its true label (for a classifier) and its group; "" where there is none."""

    text: str
    label: str = ""
    group: str = ""

    @property
    def id(self) -> str:
        """16 hex digits of the sha256 of the text, whatever its case and spacing.

        Whoever holds the data finds the record by it. Whoever can guess the text can confirm the guess.
        """
        return hashlib.sha256(" ".join(self.text.casefold().split()).encode()).hexdigest()[:16]

    def shown(self, *, redact: bool) -> str:
        """The text, or only its beginning, length and hash."""
        if not redact:
            return self.text
        return f"{self.text[: min(SHOWN, len(self.text) // 4)]}… ({len(self.text)} characters, sha256 {self.id})"


def read_records(source: Texts, whose: str, *, groups: str = "", labelled: bool = False) -> list[Record]:
    """Records from a file or a list.

    Args:
        source: the path of a .txt file (one text a line; empty lines are skipped), a .jsonl file (a string, or an
            object with "text", a line), or a .csv file (with the column "text"); or a list of such texts or objects.
        whose: "members" or "nonmembers", for messages.
        groups: the key, or column, that names each text's group; "" for none.
        labelled: whether each text must bring its true "label".

    Raises:
        DataError: the file is unreadable, a text is empty, or a key is missing.
    """
    rows = _rows(Path(source)) if isinstance(source, str) else enumerate(source, start=1)
    return [_record(row, f"{whose}, line {number}", groups, labelled) for number, row in rows]


def distinct(records: Sequence[Record]) -> list[Record]:
    """The records with each text once, in order: the same text again is no further evidence."""
    return list({record.id: record for record in reversed(records)}.values())[::-1]


def refuse_unusable(members: Sequence[Record], nonmembers: Sequence[Record]) -> None:
    """Raise unless both sides are large enough and share no text.

    Raises:
        DataError: fewer than 20 different texts on a side, or a text on both.
    """
    for whose, side in (("members", members), ("nonmembers", nonmembers)):
        if len(side) < SMALLEST:
            raise DataError(
                f"{len(side)} different {whose}; expected at least {SMALLEST}, and several hundred to learn much"
            )
    shared = sorted({r.id for r in members} & {r.id for r in nonmembers})
    if shared:
        examples = ", ".join(shared[:3])
        raise DataError(
            f"{len(shared)} texts are among both members and nonmembers (sha256 {examples}, ...); a text was trained "
            "on or it was not: remove them from the nonmembers"
        )


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    """(line number, text or mapping) of each row of a file."""
    readers = {".txt": _lines, ".jsonl": _json_lines, ".csv": _csv_rows}
    if path.suffix.lower() not in readers:
        raise DataError(f"{path}: expected a file that ends in {', '.join(readers)}")
    try:
        text = decode(path.read_bytes(), path)
    except OSError as e:
        raise DataError(f"{path} cannot be read: {e.strerror or e}; give the path of an existing file") from e
    try:
        yield from readers[path.suffix.lower()](text)
    except (ValueError, csv.Error) as e:
        raise DataError(f"{path} is damaged: {e}; expected what its ending {path.suffix!r} says") from e


def _lines(text: str) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip())


def _json_lines(text: str) -> Iterator[tuple[int, Any]]:
    return ((number, json.loads(line)) for number, line in _lines(text))


def _csv_rows(text: str) -> Iterator[tuple[int, Any]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    return ((reader.line_num, row) for row in reader)


def _record(row: Any, where: str, groups: str, labelled: bool) -> Record:
    fields = row if isinstance(row, Mapping) else {"text": row}
    wanted = ["text", *(["label"] if labelled else []), *([groups] if groups else [])]
    missing = [name for name in wanted if fields.get(name) is None or not str(fields[name]).strip()]
    if missing:
        raise DataError(f"{where}: no {' and no '.join(map(repr, missing))}; every text needs {', '.join(wanted)}")
    group = str(fields[groups]) if groups else ""
    if "/" in group:
        raise DataError(f"{where}: group {group!r}; '/' separates the parts of a measurement's id, so use another sign")
    return Record(str(fields["text"]).strip(), str(fields["label"]) if labelled else "", group)
