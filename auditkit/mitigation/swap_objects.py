"""Verbs with two objects: whether what is given, told or made is hers, or is given to her.

"Told her mother" is about a mother; "sent her three letters" about letters; "baked her cookies" can be either.
"""

from __future__ import annotations

from collections.abc import Sequence

from auditkit.mitigation import swap_valency as v
from auditkit.mitigation.swap_classes import PRONOUNS, Role, at, is_abstract, is_plural, phrase_of, time_follows
from auditkit.mitigation.swap_text import Tokens

ONE_S_OWN = ("own", "entire", "whole", "old", "first", "last", "late")


def second_object(tokens: Tokens, i: int, after: Sequence[str]) -> Role | None:
    """What is given, told or made: hers, or for her?"""
    before = tokens.before(i)
    if before not in v.TRANSFER | v.BENEFIT:
        return None
    phrase = phrase_of(after)
    then = at(after, len(phrase))
    if role := _set_phrase(tokens, i, phrase, then):
        return role
    if before in v.TRANSFER and then in v.ARTICLES and not time_follows(after[len(phrase) :]):
        return "determiner"
    if then == "to" and _receives(tokens, i + len(phrase) + 2) and phrase[-1] not in v.GIFTS:
        return "determiner"
    if role := _counted(before, phrase):
        return role
    if any(w in v.PERSONS for w in phrase[:2]) or phrase[0] in ONE_S_OWN:
        return "determiner"
    if before in v.TRANSFER:
        named = tokens.title(i + 1) and then not in v.AUXILIARIES
        return "unsure" if named or phrase[0] in v.COMPARED else _transferred(before, phrase)
    either = phrase[-1] in v.GIFTS | v.MASS | v.THINGS and phrase[0] not in v.OWN and len(phrase) < 3
    return "unsure" if either and before not in ("do", "does", "did") else None


def _set_phrase(tokens: Tokens, i: int, phrase: Sequence[str], then: str) -> Role | None:
    """As in "did her good", "saved her hours of work", "wished her luck"; and "given her age" as a preposition."""
    before, first = tokens.before(i), phrase[0]
    if before == "given" and tokens.opens(i - 1):
        return "determiner"
    good = before in ("do", "does", "did", "done") and first in v.DONE_TO
    return (
        "object"
        if good or before.startswith("wish") or (len(phrase) == 1 and first in v.TIMES and then == "of")
        else None
    )


def _counted(before: str, phrase: Sequence[str]) -> Role | None:
    """What is counted or measured is given, unless somebody is counted: "three letters", "her two sons"."""
    first, head = phrase[0], phrase[-1]
    given = before in v.TRANSFER
    if first in v.QUANTIFIERS | v.NUMBERS or first.isdigit():
        owned = head in v.PERSONS | v.OWN
        return "unsure" if owned == given else "object" if given else None
    little = first == "little" and head in v.MASS | v.GIFTS | {"choice", "hope", "time"}
    prize = first == "first" and head in ("prize", "place")
    return "object" if given and (little or prize or first in ("extra", "additional")) else None


def _receives(tokens: Tokens, i: int) -> bool:
    """Whether "to" is followed by somebody: "her letters to the paper", "to him", "to Anna"."""
    known = v.ARTICLES | {*PRONOUNS, "my", "our", "your", "their"}
    return i < len(tokens.words) and (tokens.low[i] in known or tokens.title(i))


def _transferred(before: str, phrase: Sequence[str]) -> Role:
    """By the noun alone: a single thing is hers ("told her name"), several or a mass can be either."""
    head = phrase[-1]
    if before.startswith("ow") and head in v.DUES:
        return "object" if head == "money" else "unsure"
    if before.startswith("promis") and len(phrase) == 1 and head not in v.OWN | v.GIFTS:
        return "unsure"
    if len(phrase) == 1 and head in v.GIFTS:
        return "object" if not (before.startswith("ask") and head == "advice") else "unsure"
    if head in v.OWN or before.startswith(("ask", "envy", "envi", "forg", "sell", "sold", "leav", "left")):
        return "unsure" if head in v.GIFTS or (head in v.THINGS and not before.startswith("ask")) else "determiner"
    return "unsure" if is_plural(head) or head in v.MASS | v.GIFTS or is_abstract(head) else "determiner"
