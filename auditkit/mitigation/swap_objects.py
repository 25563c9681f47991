"""Verbs with two objects: whether what is given, told or made is hers, or is given to her.

"Told her mother" is about a mother; "sent her three letters" about letters; "baked her cookies" can be either.
"""

from __future__ import annotations

from collections.abc import Sequence

from auditkit.mitigation import swap_valency as v
from auditkit.mitigation.swap_classes import PRONOUNS, Role, at, is_abstract, is_plural, phrase_of, time_follows
from auditkit.mitigation.swap_text import Tokens


def second_object(tokens: Tokens, i: int, after: Sequence[str]) -> Role | None:
    """What is given, told or made: hers, or for her?"""
    before = tokens.before(i)
    if before not in v.TRANSFER | v.BENEFIT:
        return None
    if before == "given" and tokens.opens(i - 1):
        return "determiner"
    if before in ("do", "does", "did", "done") and after[0] in (
        "justice",
        "good",
        "harm",
        "credit",
        "favours",
        "favors",
    ):
        return "object"
    if before.startswith("wish"):
        return "object"
    phrase = phrase_of(after)
    head, first, then = phrase[-1], phrase[0], at(after, len(phrase))
    if before in v.TRANSFER and then in v.ARTICLES and not time_follows(after[len(phrase) :]):
        return "determiner"
    if then == "to" and _receives(tokens, i + len(phrase) + 2) and head not in v.GIFTS:
        return "determiner"
    if first in v.QUANTIFIERS | v.NUMBERS or first.isdigit():
        owner = head in v.PERSONS | v.OWN or before not in v.TRANSFER
        return ("unsure" if before in v.TRANSFER else None) if owner else "object"
    if first in ("extra", "additional") and before in v.TRANSFER:
        return "object"
    if first == "little" and head in v.MASS | v.GIFTS | {"choice", "hope", "time"}:
        return "object" if before in v.TRANSFER else None
    if before in v.TRANSFER and first == "first" and head in ("prize", "place"):
        return "object"
    if any(w in v.PERSONS for w in phrase[:2]) or first in ("own", "entire", "whole", "old", "first", "last", "late"):
        return "determiner"
    if before in v.TRANSFER:
        return _transferred(before, phrase)
    return "unsure" if head in v.GIFTS | v.MASS | v.THINGS and first not in v.OWN and len(phrase) < 3 else None


def _receives(tokens: Tokens, i: int) -> bool:
    """Whether "to" is followed by somebody: "her letters to the paper", "to him", "to Anna"."""
    return i < len(tokens.words) and (
        tokens.low[i] in v.ARTICLES | {*PRONOUNS, "my", "our", "your", "their"} or tokens.title(i)
    )


def _transferred(before: str, phrase: Sequence[str]) -> Role:
    head = phrase[-1]
    if len(phrase) == 1 and head in v.GIFTS:
        return "object" if not (before.startswith("ask") and head == "advice") else "unsure"
    if head in v.OWN or before.startswith(("ask", "envy", "envi", "forg", "sell", "sold", "leav", "left")):
        return "unsure" if head in v.GIFTS or (head in v.THINGS and not before.startswith("ask")) else "determiner"
    return "unsure" if is_plural(head) or head in v.MASS | v.GIFTS or is_abstract(head) else "determiner"
