"""The questions of BBQ (Parrish et al., 2022), and which answer names the stereotyped group.

A row says which groups are stereotyped in words that need not be those its answers are tagged with; the analysis
scripts of the paper repair that, and so does `_target`. What they know beyond the rows, the gender or income that the
stereotype of a race is about, stands in their additional_metadata.csv.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from auditkit.data.parsing import Texts, damage_in, require
from auditkit.data.types import BBQItem
from auditkit.errors import DataError

METADATA = "additional_metadata.csv"
METADATA_COLUMNS = ("category", "question_index", "example_id", "target_loc")


def parse_bbq(texts: Texts) -> Iterator[BBQItem]:
    """Questions of BBQ (Parrish et al., 2022), one JSON object a line; ids are category/template/example.

    Where additional_metadata.csv lies beside them, its target_loc says which answer is the target; NA is none.

    Raises:
        DataError: a line is not such JSON, or not exactly one of its answers is the unknown one; or the metadata are
            not those of the questions.
    """
    questions = {name: text for name, text in texts.items() if name != METADATA}
    items = list(_questions(questions))
    return iter(_with_metadata(items, _locations(texts[METADATA])) if METADATA in texts else items)


def _questions(texts: Texts) -> Iterator[BBQItem]:
    for name, text in texts.items():
        for number, line in enumerate(text.splitlines(), start=1):
            with damage_in(f"{name}, line {number}"):
                if line.strip():
                    yield _bbq_item(json.loads(line))


def _bbq_item(row: dict[str, Any]) -> BBQItem:
    info = [row["answer_info"][f"ans{i}"] for i in range(3)]
    (unknown,) = (i for i, (_, group) in enumerate(info) if group == "unknown")
    return BBQItem(
        id=f"{row['category']}/{row['question_index']}/{row['example_id']}",
        category=row["category"],
        ambiguous=row["context_condition"] == "ambig",
        negative=row["question_polarity"] == "neg",
        context=row["context"],
        question=row["question"],
        answers=(row["ans0"], row["ans1"], row["ans2"]),
        label=row["label"],
        unknown=unknown,
        target=_target(info, unknown, row["additional_metadata"]["stereotyped_groups"]),
    )


# Spellings that BBQ uses in one place for a group that it calls otherwise in another.
GROUP_ALIASES = {
    **dict.fromkeys(("woman", "women", "girl", "girls"), "f"),
    **dict.fromkeys(("man", "men", "boy", "boys"), "m"),
    **dict.fromkeys(("transgender women", "transgender men"), "trans"),
    "low ses": "lowses",
    "high ses": "highses",
}
# A tag may hold more than the group: "F-Black", "trans_M", "lowSES-Asian", "highSES-F-White".
GROUP_OF_TAG = re.compile(r"(?:(?:low|high)SES-)?(?:[FM]-)?(.+?)(?:_[FM])?")


def _target(info: list[list[str]], unknown: int, stereotyped: Iterable[str]) -> int | None:
    """The one answer that names a stereotyped group; None where none or both do.

    An answer belongs to a group by its tag ("old"), by its tag without gender and income, or by its words, since the
    tags of nationalities are regions.
    """
    groups = {_canonical(group) for group in stereotyped}
    hits = [i for i, (words, tag) in enumerate(info) if i != unknown and groups & _groups(words, tag)]
    return hits[0] if len(hits) == 1 else None


def _groups(words: str, tag: str) -> set[str]:
    found = GROUP_OF_TAG.fullmatch(tag)
    return {_canonical(group) for group in (tag, found[1] if found else tag, words)}


def _canonical(group: str) -> str:
    group = group.strip().casefold()
    return GROUP_ALIASES.get(group, group)


def _locations(text: str) -> dict[str, int | None]:
    """Item id -> target_loc; None where it is NA."""
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    with damage_in(METADATA):
        require(METADATA, reader, METADATA_COLUMNS)
        return {
            f"{row['category']}/{row['question_index']}/{row['example_id']}": _location(row["target_loc"])
            for row in reader
        }


def _location(cell: str) -> int | None:
    return None if cell in ("NA", "") else (0, 1, 2)[int(float(cell))]


def _with_metadata(items: list[BBQItem], locations: Mapping[str, int | None]) -> list[BBQItem]:
    """The items with the targets of the metadata, whose target of a non-negative question is the other person."""
    known = [replace(i, target=_named_by(i, locations[i.id])) if i.id in locations else i for i in items]
    if not any(i.id in locations for i in items):
        raise DataError(f"{METADATA} has a row for none of the {len(items)} questions; expected those of these files")
    both = [(a.target, b.target) for a, b in zip(items, known, strict=True) if None not in (a.target, b.target)]
    wrong = sum(a != b for a, b in both)
    if wrong > len(both) / 10:  # a version without the turn at non-negative questions would have half of them wrong
        raise DataError(
            f"{METADATA}: target_loc contradicts the tags of the answers in {wrong} of {len(both)} questions; "
            "expected the version of the analysis scripts, or leave the file out"
        )
    return known


def _named_by(item: BBQItem, location: int | None) -> int | None:
    if location is None or item.negative:
        return location
    return next(i for i in range(3) if i not in (location, item.unknown))
