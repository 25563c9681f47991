"""Forms of address, possessives, and where a word of the lists is no pronoun, title or noun for a person."""

from __future__ import annotations

from typing import NamedTuple

from auditkit.mitigation import swap_words as words
from auditkit.mitigation.swap_phrases import OFFICES, is_acronym
from auditkit.mitigation.swap_text import Tokens

ADDRESS = {"sir": False, "dame": True, "madam": True, "ma'am": True, "mr": False}
"""Forms of address whose counterpart depends on what follows; and whether they name a woman."""
PLURALS = frozenset(("ladies", "barmaids"))
"""In -s, where their counterparts are not: the genitive is written otherwise."""
DIGNITIES = frozenset(
    ("majesty", "majesties", "highness", "holiness", "excellency", "honour", "honor", "grace", "ladyship", "lordship")
) | {"royal", "imperial", "eminence"}
"""Titles that keep the capital of their pronoun: "Her Majesty"."""


class Unsure(NamedTuple):
    """A word whose counterpart nobody can tell, and why."""

    word: str
    why: str


def pronoun_stays(tokens: Tokens, i: int) -> Unsure | bool:
    """Whether a pronoun means no woman or man: "the SIR model", "He-Ne", "praise Him"."""
    word, low = tokens.words[i], tokens.low[i]
    if is_acronym(tokens, i):
        return Unsure(word, "perhaps an abbreviation")
    if low not in ("she", "he", "her", "his", "him", "hers", "herself", "himself"):
        return False
    if (low == "he" and tokens.gaps[i + 1] == "-") or (
        i and tokens.low[i - 1] in words.BEFORE_SURNAMES and word.istitle()
    ):
        return True
    divine = tokens.title(i) and word.istitle() and not tokens.opens(i)
    following = tokens.low[i + 1] if i + 1 < len(tokens.words) else ""
    return (
        Unsure(word, "a pronoun with a capital, perhaps of a god") if divine and following not in DIGNITIES else False
    )


def address(tokens: Tokens, i: int, first_names: frozenset[str]) -> str | Unsure | None:
    """Sir, madam, ma'am, dame, and Mr before an office; None where the word is none of address."""
    word, low = tokens.words[i], tokens.low[i].replace("\u2019", "'")
    last = i + 1 == len(tokens.words)
    following, named = (
        ("", False) if last else (tokens.low[i + 1], tokens.gaps[i + 1] == " " and tokens.words[i + 1].istitle())
    )
    if (
        low in ("sir", "dame")
        and named
        and not word.islower()
        and len(following) > 1
        and tokens.words[i + 1] not in first_names
        and tokens.before(i) != "dear"
    ):
        return Unsure(word, "before a first name without a counterpart")
    if low == "mr":
        if following in OFFICES and tokens.gaps[i + 1] == ". ":
            return Unsure(word, "Madam has no full stop")
        after = "madam" if following in OFFICES and not word.islower() else "mrs"
        if word == "MR" and not tokens.shouted:
            return None
    elif low == "madam":
        after = "mr" if following in OFFICES else "sir"
    elif low == "dame":
        after = "sir" if named else ""
    elif low == "ma'am":
        after = "sir"
    else:
        both = {following, *tokens.low[i + 2 : i + 3]} & {"madam"} and tokens.gaps[i + 1] in ("/", " ")
        formal = both or tokens.before(i) in ("dear", "or") or (i and tokens.low[i - 1] == "madam")
        after = "dame" if named and not formal and word != word.lower() else "madam" if formal else "ma'am"
    return _cased(after, word) if after else None


def _cased(word: str, like: str) -> str:
    """In capitals, or with one, or in small letters, as `like` is."""
    if like.isupper() and len(like) > 1:
        return word.upper()
    return word.capitalize() if like[0].isupper() else word


def means_something_else(tokens: Tokens, i: int) -> bool:
    """Whether a title is none: "I miss you", "20 ms", "MS Word"; or a noun stands for a verb or an exclamation."""
    word, low = tokens.words[i], tokens.low[i]
    last = i + 1 == len(tokens.words)
    if low == "miss":
        return word.islower() or last or tokens.words[i + 1].islower()
    if low in ("ms", "mrs"):
        stressed = word.isupper() and not tokens.shouted
        return stressed or (low == "ms" and (last or word.islower() or tokens.words[i + 1].islower()))
    if low in ("man", "boy") and tokens.opens(i) and not last:
        return (tokens.gaps[i + 1].startswith(",") and i == 0) or tokens.low[i + 1] in ("the", "your", "all")
    return low in ("female", "male") and word.istitle() and tokens.before(i) == "in"


def possessive(tokens: Tokens, i: int, counterpart: str) -> tuple[str, str]:
    """What is exchanged for what, the genitive with it where the two write it otherwise: ladies', gentlemen's."""
    word, gap = tokens.words[i], tokens.gaps[i + 1]
    sign, letter = gap[:1], "S" if word.isupper() and len(word) > 1 else "s"
    if sign not in ("'", "\u2019") or not sign:
        return word, counterpart
    full = gap == sign and tokens.low[i + 1 : i + 2] == ["s"]
    if full and counterpart.lower() in PLURALS:
        return f"{word}{sign}{tokens.words[i + 1]}", f"{counterpart}{sign}"
    bare = len(gap) > 1 and word.lower().endswith("s") and not counterpart.lower().endswith("s")
    return (f"{word}{sign}", f"{counterpart}{sign}{letter}") if bare and gap[1:2].isspace() else (word, counterpart)
