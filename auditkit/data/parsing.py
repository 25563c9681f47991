"""What the parsers of all formats share."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from auditkit.errors import DataError

Texts = Mapping[str, str]
"""File name -> contents."""


def require(name: str, reader: csv.DictReader[str], columns: Sequence[str], separator: str = "commas") -> None:
    """Raise DataError unless the header line has all of `columns`."""
    found = list(reader.fieldnames or [])
    if not found:
        raise DataError(f"{name} is empty; expected a header line with the columns {', '.join(columns)}")
    missing = [column for column in columns if column not in found]
    if missing:
        raise DataError(
            f"{name}: missing column {', '.join(map(repr, missing))}; found {', '.join(map(repr, found))}; "
            f"columns are separated by {separator}"
        )


@contextmanager
def damage_in(where: str) -> Iterator[None]:
    """Turn what a malformed file makes the parser stumble over into one DataError that says where."""
    try:
        yield
    except json.JSONDecodeError as e:
        raise DataError(f"{where}: not valid JSON: {e}") from e
    except csv.Error as e:
        raise DataError(f"{where}: not valid csv: {e}") from e
    except KeyError as e:
        raise DataError(f"{where}: the key {e} is missing") from e
    except (AttributeError, IndexError, TypeError, ValueError) as e:
        raise DataError(f"{where}: not in the expected format: {e}") from e
