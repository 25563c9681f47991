"""Whether "her" stands before a noun phrase ("her keys"), and whether "his" does; or that nobody can tell.

No parser: the verb or preposition before, and the classes of the words after (`swap_valency`), decide. The order of the
rules is that of their certainty. What two readings of English fit ("baked her cookies") is left to the reader.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from auditkit.mitigation import swap_valency as v
from auditkit.mitigation.swap_classes import (
    PRONOUNS,
    Role,
    adverbs,
    at,
    ends,
    is_adverb,
    is_past,
    is_plural,
)
from auditkit.mitigation.swap_complements import complement, gerund, infinitive
from auditkit.mitigation.swap_objects import second_object
from auditkit.mitigation.swap_text import Tokens
from auditkit.mitigation.swap_words import STOPS

CLAUSE = 12
"""So many words back a relative clause may have begun."""
QUOTES = "\"'\u2018\u201c\u2019\u201d"
MONEY = re.compile(r"\s+[$\u00a3\u20ac]\s?")
IN_BRACKETS = re.compile(r"\s+[(\[{]\s*|\s*\.\.\.\s*|\s*\u2026\s*")


def her_role(tokens: Tokens, i: int) -> Role:
    """What "her" is at i: "determiner" where "his" answers to it, "object" where "him" does."""
    if role := _by_gap(tokens, i):
        return role
    after = tokens.ahead(i)
    for rule in RULES:
        if role := rule(tokens, i, after):
            return role
    return "determiner"


def his_role(tokens: Tokens, i: int) -> Role:
    """What "his" is at i: "determiner" where "her" answers to it, "object" (a pronoun) where "hers" does."""
    gap, after = tokens.gaps[i + 1], tokens.ahead(i, 3)
    if _mentioned(tokens, i) or (gap[:1] in ("'", "\u2019") and gap[1:] == ""):
        return "unsure"
    if gap == "/" and _pronoun_at(tokens, i + 1):
        return _role_at(tokens, i + 1)
    if IN_BRACKETS.fullmatch(gap) or _bracket_closes(tokens, i) or after[:1] == ["not"]:
        return "unsure"
    if MONEY.fullmatch(gap):
        return "determiner"
    if after[:1] in (["or"], ["nor"], ["and"]) and _pronoun_at(tokens, i + 2):
        return "object" if tokens.low[i + 2] == "his" else _role_at(tokens, i + 2)
    if tokens.before(i) == "of" and after and (role := _double_genitive(tokens, i, after)):
        return role
    if after[:1] == ["will"] and tokens.before(i):
        return "determiner"
    if after[:1] == ["every"] and at(after, 1) in v.EVERY:
        return "determiner"
    if not after or (after[0] in STOPS and not _stop_modifies(after)):
        return "object"
    return "object" if after[0] in v.AFTER_HIS and ends(after) else "determiner"


def _double_genitive(tokens: Tokens, i: int, after: Sequence[str]) -> Role | None:
    """As in "A friend of his called": the verb that goes on behind "of his", or a noun that "his" determines."""
    if after[0] in v.FINITE and ends(after[1:]):
        return "object"
    if after[0] in v.AMBIGUOUS_PAST and at(after, 1) in v.OBJECTS | v.ARTICLES:
        return "object"
    if is_past(after[0]) and tokens.before(i, 2) in v.PERSONS and ends(after[1:]):
        return "object"
    pointed = tokens.before(i, 3) in v.POINTERS
    return "unsure" if pointed and (is_past(after[0]) or after[0].endswith("s")) and ends(after[1:]) else None


def _role_at(tokens: Tokens, i: int) -> Role:
    low = tokens.low[i]
    return her_role(tokens, i) if low == "her" else his_role(tokens, i) if low == "his" else "object"


def _pronoun_at(tokens: Tokens, i: int) -> bool:
    return i < len(tokens.words) and tokens.low[i] in PRONOUNS


def _mentioned(tokens: Tokens, i: int) -> bool:
    """Whether it stands alone between quotation marks or tags: the word is meant, not a person."""
    if tokens.gaps[i][-1:] == ">" and tokens.gaps[i + 1][:1] == "<":
        return True
    return tokens.gaps[i][-1:] in QUOTES and tokens.gaps[i][-1:] != "" and tokens.gaps[i + 1][:1] in tuple(QUOTES)


def _bracket_closes(tokens: Tokens, i: int) -> bool:
    """As in "Each (his or her) vote": what the pronoun belongs to stands behind the bracket."""
    return i > 0 and tokens.gaps[i + 1] == ") " and tokens.low[i - 1] in ("or", "and", "his", "her")


def _by_gap(tokens: Tokens, i: int) -> Role | None:
    """What the signs behind it tell."""
    gap, before = tokens.gaps[i + 1], tokens.before(i)
    if _mentioned(tokens, i) or gap in ("'", "\u2019") or IN_BRACKETS.fullmatch(gap):
        return "unsure" if i + 1 < len(tokens.words) or _mentioned(tokens, i) else "object"
    if _bracket_closes(tokens, i):
        return "unsure"
    if gap == "/" and _pronoun_at(tokens, i + 1):
        return _role_at(tokens, i + 1) if tokens.low[i + 1] != "hers" else "object"
    if MONEY.fullmatch(gap):
        return "object" if before in v.TRANSFER | v.BENEFIT else "determiner"
    if gap[:1].isspace() and gap[-1:] in tuple(QUOTES) and before in v.SPOKEN_TO:
        return "object" if before in v.SPEECH else "unsure"
    return None


# --- rules: each gives a role, or None where it does not apply ------------------------------------------------------


def _nothing_after(tokens: Tokens, i: int, after: Sequence[str]) -> Role | None:
    return None if after else "object"


def _an_article_before(tokens: Tokens, i: int, after: Sequence[str]) -> Role | None:
    """As in "a her or a him"."""
    return "object" if tokens.before(i) in ("a", "another", "the") else None


def _coordinated(tokens: Tokens, i: int, after: Sequence[str]) -> Role | None:
    """As in "His or her job", "saw her and her mother"; of "her and his mother" both readings are English."""
    if after[0] not in ("or", "nor", "and") or not _pronoun_at(tokens, i + 2):
        return None
    other = tokens.low[i + 2]
    if other in ("her", "him", "hers"):
        return "object"
    role = his_role(tokens, i + 2)
    return role if role != "determiner" or after[0] != "and" or i == 0 else "unsure"


def _hyphenated(tokens: Tokens, i: int, after: Sequence[str]) -> Role | None:
    if "-" not in after[0] or (tokens.before(i) in v.NAMING and tokens.title(i + 1)):
        return None
    sure = bool(set(after[0].split("-")) & v.PERSONS) or tokens.before(i) not in v.TRANSFER
    complement = tokens.before(i) in v.COMPLEX and ends(after[1:]) and after[0].split("-")[-1] not in v.PERSONS
    return "unsure" if complement or not sure else "determiner"


def _function_word(tokens: Tokens, i: int, after: Sequence[str]) -> Role | None:
    """No noun phrase of hers starts with a function word; a few can be something else."""
    first, second, before = after[0], at(after, 1), tokens.before(i)
    if first == "will":
        testament = not second or second in STOPS or before in v.BEFORE_A_WILL
        return "determiner" if testament and before else "object"
    if first == "every":
        return (
            "determiner" if second in v.EVERY else "object" if second in v.TIMES or before in v.TRANSFER else "unsure"
        )
    if (first == "might" and tokens.before(i, 2) == "all") or (first == "all" and tokens.before(i) in ("it", "them")):
        return "determiner"
    if first == "all" and before in v.TRANSFER and not second:
        return "unsure"
    if tokens.words[i + 1] == "A" and not tokens.shouted:
        return "unsure"
    if first in STOPS and _stop_modifies(after):
        return "determiner" if before in v.PREPOSITIONS | v.HURT | v.WEARING else "unsure"
    return "object" if first in STOPS else None


def _stop_modifies(after: Sequence[str]) -> bool:
    """As in "Her inside pocket", "her down jacket": a preposition that modifies a noun."""
    second = at(after, 1)
    plain = bool(second) and second not in STOPS | v.TIMES | v.NUMBERS and not is_adverb(second) and second.isalpha()
    return after[0] in ("inside", "outside", "down", "off", "near", "then", "do", "must", "above") and plain


def _direction(tokens: Tokens, i: int, after: Sequence[str]) -> Role | None:
    """As in "took her home", "hit her back", "let her past the gate"; her home and her back are hers."""
    first, second, before = after[0], at(after, 1), tokens.before(i)
    if first == "back" and before not in v.HURT | {"", "or", "and"} and ends(after[1:]):
        return "object"
    if first == "home" and before in v.LEADING and ends(after[1:]):
        return "object"
    if first == "right" and (second in STOPS - {"to", "of", "and", "or"} or second in v.ADVERBS):
        return "object"
    return "object" if first == "past" and second in v.ARTICLES else None


def _time(tokens: Tokens, i: int, after: Sequence[str]) -> Role | None:
    """As in "met her last week", "saw her three days ago", "took her two years"."""
    first, second, before = after[0], at(after, 1), tokens.before(i)
    if before in v.MEETING and first in ("last", "next", "that", "early", "late") and second in v.TIMES:
        return "object"
    if first in v.MONTHS and second.isdigit():
        return "object"
    if first in v.TIMES and before in v.TAKING:
        return "object" if second == "to" else "unsure"
    counted = first in v.NUMBERS | {"several", "many", "countless"} or first.isdigit()
    dated = second == "times" or at(after, 2) in ("ago", "later", "before", "earlier", "after") or before in v.TAKING
    if counted and second in v.TIMES and dated:
        return "object"
    alone = not second or second in v.TIMES or second in STOPS
    return "object" if first in v.DAYS and alone and before not in v.PREPOSITIONS | v.KEPT_DAYS else None


def _adverbs(tokens: Tokens, i: int, after: Sequence[str]) -> Role | None:
    """Adverbs to the end of the phrase go with the verb: "knew her very well", "paid her handsomely"."""
    first, second = after[0], at(after, 1)
    if first in ("one", "half") and second == "of":
        return "object"
    if first in ("first", "second", "third", "last"):
        elliptic = tokens.before(i) in v.PREPOSITIONS | v.AUXILIARIES | {"be", "been", "became"}
        return None if not ends(after[1:]) else "determiner" if elliptic else "unsure"
    named = second and second not in STOPS and not is_adverb(second)
    if first in ("only", "best", "most") and named and not _relative(tokens, i):
        return None
    skipped = adverbs(after)
    goes_on = at(after, skipped)
    if skipped and _relative(tokens, i) and (goes_on in v.FINITE or is_past(goes_on)) and ends(after[skipped + 1 :]):
        return "object"
    noun = first in ("best", "half", "home", "back")
    return "object" if skipped and ends(after[skipped:]) and not noun else None


def _finite(tokens: Tokens, i: int, after: Sequence[str]) -> Role | None:
    """A verb that goes on behind her: "the man behind her said", "who loves her knows", "beside her sat a dog"."""
    first, second, before = after[0], at(after, 1), tokens.before(i)
    placed = before in v.LOCATIVE or (before == "of" and tokens.before(i, 2) in v.BESIDE)
    if (placed or (before == "to" and tokens.before(i, 2) in ("next", "close"))) and first in v.POSTURES - {"rose"}:
        return "object"
    if first in v.AMBIGUOUS_PAST and before in v.PREPOSITIONS and second in {*PRONOUNS, *v.OBJECTS, *v.ARTICLES}:
        return "object"
    if first in v.AMBIGUOUS_PAST and _relative(tokens, i):
        return "object" if ends(after[1:]) else "unsure"
    if (
        before in v.LOCATIVE
        and _fronted(tokens, i)
        and is_plural(first)
        and (is_past(second) or second in v.FINITE | v.POSTURES)
    ):
        return "unsure"
    if first in v.FINITE | v.PRESENT and before not in v.TRANSFER | v.CAUSATIVE | v.PARTICIPLE:
        return "object"
    if first in v.FINITE and ends(after[1:]):
        return "object"
    if is_past(first) and ends(after[1:]) and (before not in v.TRANSFER or _relative(tokens, i)):
        return "object"
    if before == "like" and first in v.LIKE_HER:
        return "object"
    goes_on = {*PRONOUNS, "it", "them", "me", "us", "you", "the", "a"}
    return "object" if _relative(tokens, i) and first.endswith("s") and second in goes_on else None


def _relative(tokens: Tokens, i: int) -> bool:
    """Whether a relative clause stands before, so that the verb of the sentence is still to come."""
    return bool(v.RELATIVE & set(tokens.low[max(0, i - CLAUSE) : i]))


def _fronted(tokens: Tokens, i: int) -> bool:
    return i < 2 or not tokens.gaps[i - 1].isspace()


RULES: tuple[Callable[[Tokens, int, Sequence[str]], Role | None], ...] = (
    _nothing_after, _an_article_before, _coordinated, _hyphenated, _function_word, infinitive, gerund, complement,
    _direction, _time, _adverbs, _finite, second_object,
)  # fmt: skip
