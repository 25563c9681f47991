"""The measurements of one probe as the rows of a table: the texts of the cells, and which numbers get a column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from auditkit.measurement import Measurement
from auditkit.rendering import citation, evidence, narrative
from auditkit.rendering.formatting import number, parts, plain, scalar, shortened

MAX_NOTE = 80  # characters of one detail
MAX_COLUMNS = 4  # for further numbers
MIN_REPEATED = 5  # times that a further number must be the same in order to be said only once


# Details that have a place of their own on the page.
_PLACED = ("validity", "extremes", "points", "reason", "data_sha256")


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement as a row of a table: the texts of its cells, beside the measurement itself.

    Attributes:
        way: which of its section's ways of measuring it was measured by.
    """

    measurement: Measurement
    group: str
    metric: str
    null: str
    outcome: str
    numbers: Mapping[str, str]
    notes: str
    way: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """Rows, and the names of the further numbers that most of them carry: those get a column each.

    Attributes:
        constants: further numbers that are the same wherever there is one: said once, with the table's name.
    """

    rows: Sequence[Row]
    columns: Sequence[str]
    constants: Sequence[tuple[str, str]] = ()


def as_row(m: Measurement, outcome: str) -> Row:
    """`m` as a row; `outcome` is the worst verdict on it, "" where no rule asked."""
    group, metric = parts(m)
    null = evidence.null(m)
    numbers = {plain(key): number(value) for key, value in m.details.items() if evidence.is_number(value)}
    return Row(m, group, metric, null.text if null else "", outcome, numbers, _notes(m))


def as_table(rows: Sequence[Row]) -> Table:
    """The columns are the commonest further numbers, each carried by at least half of the rows."""
    counts = Counter(name for row in rows for name in row.numbers)
    values = {name: {row.numbers[name] for row in rows if name in row.numbers} for name in counts}
    constants = {name: min(values[name]) for name, n in counts.items() if n >= MIN_REPEATED and len(values[name]) == 1}
    common = [name for name, n in counts.most_common() if 2 * n >= len(rows) and name not in constants]
    return Table(rows, common[:MAX_COLUMNS], list(constants.items()))


def _notes(m: Measurement) -> str:
    """Why there is no value, or the words among the details that the measurement's id does not say."""
    if m.status != "ok":
        return narrative.reason_of(m)
    words = {key: value for key, value in m.details.items() if key not in _PLACED and isinstance(value, bool | str)}
    words = {key: value for key, value in words.items() if isinstance(value, bool) or not _says(m.id, value)}
    return "; ".join(f"{plain(key)}: {shortened(scalar(value), MAX_NOTE)}" for key, value in words.items())


def _says(id: str, words: str) -> bool:
    """Whether each part of `words`, such as "race+sex", is in the id anyhow."""
    return all(plain(part) in plain(id) for part in words.split("+"))


def with_ways(rows: Sequence[Row]) -> list[Row]:
    """The rows, each with the place of its way of measuring among all ways, as `citation.origins` lists them."""
    texts = [citation.way_of(r.measurement) for r in rows]
    places = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    return [replace(row, way=places[text]) for row, text in zip(rows, texts, strict=True)]
