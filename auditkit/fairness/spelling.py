"""Values that are one value, written in several ways: "yes" and "Yes", ">50K" and ">50K.", "1" and "1.0", "NA" and "".

Compared as they stand, a prediction "Yes" is never the label "yes": everybody would count as rejected, and all groups
as treated alike. So spellings are never guessed at: they are named, and whoever knows the table decides.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable

ABSENT = frozenset(
    ("", "na", "n/a", "n.a", "#n/a", "<na>", "nan", "nat", "null", "none", "missing", "unknown", "?", "-")
)
"""Folded texts that stand for "no value" in tables of various origin: R writes NA, pandas nan, UCI a question mark."""
TRUTH = {"true": "1", "false": "0"}

_BETWEEN_WORDS = re.compile(r"(?<=[^\W\d])[\s-]+(?=\w)|(?<=\w)[\s-]+(?=[^\W\d])|(?<!\w)\s+|\s+(?!\w)")


def folded(text: str) -> str:
    """What all spellings of a value have in common.

    Case, surrounding and inner spaces, hyphens and underscores between words, Unicode forms and invisible characters,
    a full stop at the end, and how a number is written make no difference; a sign before a number does.
    """
    known = unicodedata.normalize("NFKC", text).casefold()
    seen = "".join("-" if _is(c, "Pd") else c for c in known if not _is(c, "Cf")).replace("_", " ")
    bare = _BETWEEN_WORDS.sub("", " ".join(seen.split()).rstrip(". "))
    return _number(TRUTH.get(bare, bare))


def is_absent(text: str) -> bool:
    """Whether a text says that there is no value."""
    return text.strip() in ("-", ".", "?", "--") or folded(text) in ABSENT


def alike(texts: Iterable[str]) -> list[tuple[str, ...]]:
    """The values among `texts` that are written in more than one way, with all their spellings, sorted."""
    spelled: dict[str, set[str]] = {}
    for text in texts:
        spelled.setdefault(folded(text), set()).add(text)
    return sorted(tuple(sorted(ways)) for ways in spelled.values() if len(ways) > 1)


def _is(character: str, category: str) -> bool:
    return unicodedata.category(character) == category


def _number(text: str) -> str:
    """Numbers in one form, "1" and "1.0" and "1e0" alike; any other text as it is."""
    try:
        number = float(text)
    except ValueError:
        return text
    return repr(number) if math.isfinite(number) else text
