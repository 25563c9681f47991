"""What each probe means, in plain words, for a reader who does not know its paper."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from auditkit.rendering.formatting import plain, sentence_case


@dataclass(frozen=True, slots=True)
class Description:
    """The texts of one probe; the fields are explained at the head of descriptions.toml."""

    risk: str
    title: str
    question: str
    reading: str
    evidence_for: str
    not_covered: str


def describe(probe: str) -> Description:
    """The description whose id is the longest prefix of `probe`; for an unknown probe the default, titled by its id."""
    table = _descriptions()
    found = max((known for known in table if _names(known, probe)), key=len, default="default")
    texts = table[found]
    return Description(**{**texts, "title": texts["title"] or sentence_case(plain(probe))})


def _names(known: str, probe: str) -> bool:
    """Whether `known` is `probe` or its beginning, up to a word boundary: "weat" names "weat-6", not "weather"."""
    return probe == known or (probe.startswith(known) and not probe[len(known)].isalpha())


@cache
def _descriptions() -> dict[str, dict[str, str]]:
    text = resources.files("auditkit.rendering").joinpath("descriptions.toml").read_text(encoding="utf-8")
    # A number and its percent sign stay on one line.
    return tomllib.loads(text.replace(" %", "\N{NARROW NO-BREAK SPACE}%"))
