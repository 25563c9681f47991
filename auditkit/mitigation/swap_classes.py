"""Classes of the words after a pronoun: adverbs, adjectives, participles, plurals, and where a noun phrase ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from auditkit.mitigation import swap_valency as v
from auditkit.mitigation.swap_adjectives import ADJECTIVE_ENDINGS, ADJECTIVES, NOT_ADJECTIVES
from auditkit.mitigation.swap_words import STOPS

Role = Literal["determiner", "object", "unsure"]
PRONOUNS = ("her", "his", "him", "hers")


def at(after: Sequence[str], k: int) -> str:
    """The word at k, or ""."""
    return after[k] if k < len(after) else ""


def ends(rest: Sequence[str]) -> bool:
    """Whether no noun of the same phrase can follow, adverbs skipped."""
    rest = rest[adverbs(rest) :]
    if not rest or rest[0] in STOPS or rest[0] in PRONOUNS or rest[0] in v.DAYS:
        return True
    return rest[0] in ("last", "next") and at(rest, 1) in v.TIMES


def adverbs(rest: Sequence[str]) -> int:
    """How many adverbs come first."""
    j = 0
    while j < len(rest) and (rest[j] in v.ADVERBS or is_adverb(rest[j])):
        j += 1
    return j


def is_adverb(word: str) -> bool:
    """Whether a word in -ly is an adverb."""
    return word.endswith("ly") and word not in v.NOT_ADVERBS


def is_adjective(word: str) -> bool:
    """Whether a word is an adjective, by list or by ending."""
    if word in ADJECTIVES:
        return True
    return word.endswith(ADJECTIVE_ENDINGS) and len(word) > 4 and word not in NOT_ADJECTIVES


def is_past(word: str) -> bool:
    """Whether a word is a past form or participle in -ed."""
    return word.endswith("ed") and not word.endswith("eed") and len(word) > 3 and word not in v.NO_PARTICIPLES


def is_plural(word: str) -> bool:
    """Whether a noun is in the plural."""
    if word in v.PLURALS:
        return True
    return word.endswith("s") and not word.endswith(("ss", "us", "is")) and word not in v.SINGULAR_S


def is_abstract(word: str) -> bool:
    """Whether a noun is of a quality or a deed, by its ending."""
    return word.endswith(("ness", "ence", "ance", "ism", "ship", "ment", "tion")) and word not in (
        "appointment",
        "apartment",
    )


def phrase_of(after: Sequence[str]) -> Sequence[str]:
    """The words of open classes that come first: "three long letters" of "three long letters to the paper"."""
    end = next((k for k, w in enumerate(after) if w in STOPS), len(after))
    while end > 1 and (is_adverb(after[end - 1]) or after[end - 1] in v.ADVERBS):
        end -= 1
    return after[:end] or after[:1]


def time_follows(rest: Sequence[str]) -> bool:
    """Whether "the next day" follows rather than a second object."""
    return any(w in v.TIMES for w in rest[1:3])
