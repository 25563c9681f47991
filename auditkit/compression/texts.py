"""The texts that a model is compared on before and after, with true labels, groups and origins where known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from auditkit.errors import DataError
from auditkit.privacy.records import Record

Source = str | Path | Sequence[str | Mapping[str, Any]]
"""A path; or the texts, each a string or a mapping with "text" and what else is known of it."""

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Texts:
    """One entry a text.

    Attributes:
        texts: (n,) what is read.
        ids: (n,) 16 hex digits of each text's hash; of the second of two equal ones with "-2" behind.
        labels: (n,) what is true of each; empty where that is not known.
        groups: the (n,) value of each attribute; "" where a text has none.
        clusters: (n,) texts of one cluster are not independent of each other; by default each is its own.
    """

    texts: tuple[str, ...]
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]
    clusters: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)

    def members(self) -> dict[str, Bools]:
        """Each group, as "sex=Female" (of an attribute that is itself called "group", only "Female"), with which of
        the texts belong to it.
        """
        found = {}
        for attribute, values in self.groups.items():
            prefix = "" if attribute == "group" else f"{attribute}="
            for value in sorted(set(values) - {""}):
                found[f"{prefix}{value}"] = np.array([v == value for v in values])
        return found

    def group_of(self, i: int) -> dict[str, str]:
        """The values of one text's attributes."""
        return {attribute: values[i] for attribute, values in self.groups.items()}


def read_texts(source: Source, *, groups: Sequence[str] = (), label: str = "label", cluster: str = "") -> Texts:
    """Read and check texts.

    Args:
        source: the path of a .txt file (one text a line), or of a .csv or .parquet file with the column "text"; or a
            list of texts or mappings; "" for the sentences of the shipped pairs.
        groups: columns, or keys, that say which group a text belongs to.
        label: the column of the true labels, where there is one.
        cluster: the column that says which texts are not independent of each other; "" for none.

    Raises:
        DataError: no text, an empty one, a column that is missing, or a group's name with "/" in it.
    """
    if source == "":
        rows, groups, cluster = _shipped(), ("group",), "cluster"
    else:
        rows = _rows(source)
    if not rows:
        raise DataError("no texts; give at least a few hundred that are like those the model will meet")
    wanted = ["text", *groups, *([cluster] if cluster else [])]
    if absent := [name for name in wanted if not any(name in row for row in rows)]:
        known = ", ".join(map(str, rows[0]))
        raise DataError(f"texts: no column {' and no '.join(map(repr, absent))}; there are {known}")
    texts = [_value(row, "text").strip() for row in rows]
    if empty := [i for i, text in enumerate(texts, start=1) if not text]:
        raise DataError(f"text {empty[0]} of {len(texts)} is empty; leave out the {len(empty)} empty text(s)")
    return Texts(
        texts=tuple(texts),
        ids=_ids(texts),
        labels=_labels(rows, label),
        groups={name: _group(rows, name) for name in groups},
        clusters=tuple(_value(row, cluster) or f"text {i}" for i, row in enumerate(rows)),
    )


def in_rows(
    texts: Source, labels: Sequence[Any] | None, groups: Sequence[str] | Mapping[str, Sequence[str]] | None
) -> tuple[Source, tuple[str, ...]]:
    """What Python callers give side by side, as one source with the names of its groups.

    `groups` of texts in a file, or of mappings, are names already.

    Raises:
        DataError: not as many labels or group values as texts.
    """
    if isinstance(texts, str | Path) or any(isinstance(t, Mapping) for t in texts):
        if labels is not None or isinstance(groups, Mapping):
            raise DataError("these texts bring their labels and groups along; give groups as names of their columns")
        return texts, tuple(groups or ())
    columns: dict[str, Sequence[Any]] = {"text": texts}
    named = groups if isinstance(groups, Mapping) else {"group": groups} if groups is not None else {}
    columns |= ({"label": labels} if labels is not None else {}) | dict(named)
    for name, values in columns.items():
        if len(values) != len(texts):
            raise DataError(f"{len(values)} values of {name} for {len(texts)} texts; expected one for each text")
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return rows, tuple(named)


def _rows(source: Source) -> list[Mapping[str, Any]]:
    if not isinstance(source, str | Path):
        return [row if isinstance(row, Mapping) else {"text": row} for row in source]
    path = Path(source)
    if path.suffix == ".txt":
        try:
            return [{"text": line} for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as e:
            raise DataError(f"texts: cannot read {str(path)!r} ({e}); give a UTF-8 file with one text a line") from e
    from auditkit.models.predictions import read_table

    table = read_table(path)
    return [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False, name=None)]


def _shipped() -> list[Mapping[str, Any]]:
    from auditkit import data

    pairs = data.load("builtin_pairs", kind="pairs").items
    return [{"text": s, "group": p.group, "cluster": p.cluster} for p in pairs for s in (p.more, p.less)]


def _value(row: Mapping[str, Any], name: str) -> str:
    """A cell as text; "" where it is missing, which pandas writes as a number that is not equal to itself."""
    value = row.get(name)
    return "" if value is None or value != value else str(value)


def _labels(rows: Sequence[Mapping[str, Any]], label: str) -> tuple[str, ...]:
    labels = tuple(_value(row, label) for row in rows)
    if any(labels) and not all(labels):
        raise DataError(f"{labels.count('')} of {len(labels)} texts have no {label!r}; label all of them or none")
    return labels if any(labels) else ()


def _group(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[str, ...]:
    values = tuple(_value(row, name) for row in rows)
    if strange := sorted({v for v in (*values, name) if "/" in v}):
        raise DataError(f"group {strange[0]!r}; '/' separates the parts of a measurement's id, so use another sign")
    return values


def _ids(texts: Iterable[str]) -> tuple[str, ...]:
    seen: Counter[str] = Counter()
    out = []
    for text in texts:
        name = Record(text).id
        seen[name] += 1
        out.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return tuple(out)
