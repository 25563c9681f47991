"""Where a report was changed: each of its fields in brief, which is enough to tell without the original.

Whether it was changed at all, the hash of the whole report says. A number or a short text stands in the fingerprint as
it is, so that a change can be told with what was there before; of anything longer the first 64 bits of its hash do.
Nobody finds another value with the same ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from auditkit.integrity.canonical import canonical, sha256

Path = tuple[str, ...]
DIGITS = 16
PREFIX = "sha256:"
SHORT = len(PREFIX) + DIGITS
"""Characters of canonical JSON that are not worth a hash."""
NAMED_BY = {"measurements": "id", "runs": "probe", "verdicts": "measurement"}
"""The lists whose entries are told apart by name, and the field that names them."""
DEPTH = {"measurements": 2, "runs": 2, "verdicts": 2, "environment": 2}
"""How many levels below such a section, or below one of its entries, a field has a digest of its own; else 1."""


@dataclass(frozen=True, slots=True)
class Change:
    """One field, or one whole entry, that is not as it was.

    Attributes:
        path: where: the section, the entry, the field.
        kind: "changed", "added" or "removed".
        was: what the fingerprint holds of the value that stood there, as canonical JSON; "" for an entry with parts.
        now: the value that stands there now, as canonical JSON; "" where it was removed.
    """

    path: Path
    kind: Literal["changed", "added", "removed"]
    was: str = ""
    now: str = ""

    def __str__(self) -> str:
        values = [f"was {self.was}"] * bool(self.was) + [f"now {_shortened(self.now)}"] * bool(self.now)
        values = values if self.kind == "changed" else []
        return f"{' > '.join(self.path)}: {', '.join([self.kind, *values])}"


def fingerprint(report: Mapping[str, Any]) -> dict[str, Any]:
    """All fields in brief, nested as in `report`; entries of the named lists stand under their names."""
    tree: dict[str, Any] = {}
    for path, value in _fields(report):
        branch = tree
        for step in path[:-1]:
            branch = branch.setdefault(step, {})
        branch[path[-1]] = _brief(value)
    return tree


def changes(before: Mapping[str, Any], report: Mapping[str, Any]) -> list[Change]:
    """What differs from the report whose fingerprint is `before`, in the order of the report.

    An entry that is new or gone is one change. Empty where only the order of the entries differs.
    """
    old, new = {path: _text(value) for path, value in _leaves(before)}, dict(_fields(report))
    inner = {path[:i] for path in old for i in range(1, len(path))}
    found = [
        Change(path, "changed" if path in old or path in inner else "added", old.get(path, ""), _text(value))
        for path, value in new.items()
        if old.get(path) != _text(_brief(value))
    ]
    gone = [path for path in old if path not in new and not any(path[:i] in new for i in range(len(path)))]
    found += [Change(path, "removed") for path in gone]
    return list(dict.fromkeys(_whole_entries(found, _entries(old), _entries(new))))


def _whole_entries(found: list[Change], old: set[Path], new: set[Path]) -> Iterator[Change]:
    for change in found:
        entry = change.path[:2]
        if change.kind == "changed" or (entry in old and entry in new):
            yield change
        else:
            yield Change(entry, change.kind)


def _entries(paths: Mapping[Path, Any]) -> set[Path]:
    return {path[:2] for path in paths}


def _brief(value: Any) -> Any:
    """`value`, or its digest where that is shorter or where `value` could be taken for one, or for a branch."""
    readable = isinstance(value, str | int | float | Decimal | None) and not str(value).startswith(PREFIX)
    return value if readable and len(_text(value)) <= SHORT else PREFIX + sha256(value)[:DIGITS]


def _leaves(tree: Mapping[str, Any], above: Path = ()) -> Iterator[tuple[Path, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key), value


def _fields(report: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    for section, content in report.items():
        if section in NAMED_BY and isinstance(content, list) and content:
            for name, entry in _named(content, NAMED_BY[section]):
                yield from _split(entry, (section, name), DEPTH[section])
        else:
            yield from _split(content, (section,), DEPTH.get(section, 1))


def _named(entries: list[Any], by: str) -> Iterator[tuple[str, Any]]:
    """Each entry with its name; the second of the same name is "NAME (2)"."""
    seen: dict[str, int] = {}
    for entry in entries:
        name = str(entry.get(by, "without a name")) if isinstance(entry, dict) else "without a name"
        seen[name] = seen.get(name, 0) + 1
        yield (name if seen[name] == 1 else f"{name} ({seen[name]})"), entry


def _split(value: Any, path: Path, depth: int) -> Iterator[tuple[Path, Any]]:
    if depth and isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _split(inner, (*path, key), depth - 1)
    else:
        yield path, value


def _text(value: Any) -> str:
    return canonical(value).decode()


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "\N{HORIZONTAL ELLIPSIS}"
