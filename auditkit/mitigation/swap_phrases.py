"""Names and fixed phrases in which a word of the lists says nothing about a person: "Isle of Man", "Indian Ocean".

The phrases of `swap_gazetteer` and a few rules, no recogniser: what counts is that a name is not taken for a group.
"""

from __future__ import annotations

import re
from functools import cache

from auditkit.mitigation import swap_words as words
from auditkit.mitigation.swap_gazetteer import FIXED
from auditkit.mitigation.swap_text import Tokens


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


BEFORE_PLACES = _words("""
    saint st ste san santa sankt são sao sint lake mount mt cape fort port hurricane storm typhoon cyclone camp villa
    rio bahia isle
    """)
"""What follows them is a place, a saint or a storm."""
PLACES = _words("""
    street st road rd avenue ave island islands university college hospital school academy cathedral river lake ocean
    sea airport bridge station museum institute foundation prize trophy stadium square palace castle company
    corporation inc ltd llc plc gmbh co county bank peninsula bay gulf mountains desert airlines railway library
    theatre theater press hotel inn hall centre center terrace lane beach canal strait falls park gardens memorial
    harbour harbor barracks dam brewery partnership group holdings scholarship scholarships fellowship medal records
    pictures studios brothers bros
    """)
"""Names that end in one of these are of places, houses or firms: "Mary Street", "King George Hospital"."""
OFFICES = _words("""
    president speaker secretary justice ambassador mayor chancellor minister prime vice chair foreman
    """)
"""Addressed as "Madam Speaker" and "Mr Speaker"."""
LONGEST_NAME = 8
BEFORE_NAMES = words.BEFORE_SURNAMES
GIVEN = _words("""
    henry frank jack harry ben elton ray ron bob tom jim joe bill sam max luke martin kate ella etta greg stan fred
    carl oscar hugo victor edgar bruce chris alex jesse lebron marlon judy betty dolly elmore lil saint billy bobby
    jimmy johnny tommy willie dustin dwight clint ralph rosa hans sean boris elon steve jeff dave mike dan matt nick
    rob ed ted al lou leo rick phil don dean clark louis miles otis percy philip prince roger russell scott stuart
    walter wesley zachary ava mia chloe zoe lily ivy pearl hazel iris ada eva eve ann anne annie ellen elena nina tina
    gina rita lola lucy molly polly sally holly penny abby cathy kathy sue joan joanna jean june april claire clara
    julie kelly kim tracy wendy
    """)
"""First names that are on no list of pairs: what follows one is a surname, "Elton John"."""
OPENERS = _words("""
    ask tell give call meet let see yesterday today tomorrow dear hello hi hey thanks sorry yes no well now then did
    does will would can could should may might please only even both like unlike sometimes often maybe perhaps once
    later meanwhile suddenly finally poor young old little nurse doctor professor president captain sergeant judge
    cousin great queen king prince princess uncle aunt sister brother mother father grandma grandpa lady actor actress
    mrs mr ms miss sir dame when while until historian historians general senator governor democrat republican author
    writer singer rapper director coach manager critic critics actors mayor bishop pope architect engineer detective
    inspector officer lieutenant colonel major admiral chief reverend pastor rabbi neighbour classmate teammate
    physicist chemist philosopher poet painter composer journalist reporter economist novelist biographer artist
    lawyer attorney chairman chairwoman spokesman spokeswoman midfielder striker goalkeeper pitcher quarterback driver
    said pretty everyone nobody somebody everybody someone thank love loved hate hated called name named saw told gave
    congratulations happy merry good goodbye welcome where why how who what here there because if though although
    """)
"""With a capital only because a sentence starts there, or before a first name."""
ADDRESSED = _words("mom dad mum mommy mummy daddy grandma grandpa granny grandad mama papa")
"""Nouns with a capital as of a name: "Thank Mom"."""
ROYAL = _words("""
    grandma grandpa mama papa granny queen king prince princess emperor empress mother father sister brother aunt
    uncle lady baron baroness
    """)
"""Before a first name that has no counterpart, nobody can tell what the name would be: "Queen Victoria"."""
BEFORE_NOUNS = _words("""
    a an the another every each no any some devout fellow good proper practising practicing first former non new young
    old black white american european is are was were be been being becomes became not nor as or and muslim jewish for
    his her their my your our this that only of in by between among against
    """)
"""After these "Christian" is a word for a believer or their belief, before a noun or at the end."""
PEOPLE_WORDS = frozenset(w.lower() for pair in (*words.RELIGIONS, *words.NATIONALITIES) for w in pair)
CHESS = frozenset(f"{file}{rank}" for file in "abcdefgh" for rank in "12345678") | _words(
    "chess pawn pawns rook rooks checkmate castled castling stalemate"
)
VERBS = _words("""
    said says is was has had will would can could came went left told asked got took gave thought knew did does wants
    wanted and who whose to lost found called likes loves works lives plays played made makes looked smiled laughed
    """)


@cache
def _fixed() -> re.Pattern[str]:
    return re.compile(rf"(?<![\w])(?:{FIXED})(?!\w)".replace("'", "['\u2019]"), re.IGNORECASE)


def in_fixed(tokens: Tokens) -> set[int]:
    """Which words start inside a fixed phrase."""
    return tokens.inside(m.span() for m in _fixed().finditer(tokens.text))


def is_name(tokens: Tokens, i: int, first_names: frozenset[str]) -> bool | None:
    """Whether a word of the lists is here part of a name that says nothing of a group; None where nobody can tell.

    Args:
        tokens: the sentence.
        i: which word.
        first_names: the first names of the lists, as "Mary".
    """
    word, low = tokens.words[i], tokens.low[i]
    if low == "christian":
        return _is_given_name(tokens, i)
    if not tokens.title(i):
        return low in ("king", "queen") and bool(CHESS & set(tokens.low))
    if tokens.before(i) in BEFORE_PLACES | {"st"} or _after_saint(tokens, i):
        return True
    if low not in words.GROUP_NOUNS and _names_a_place(tokens, i):
        return True
    if low in ("king", "queen") and CHESS & set(tokens.low):
        return True
    if low in PEOPLE_WORDS:
        return _is_people_in_a_name(tokens, i)
    if word in first_names:
        return _is_surname(tokens, i, first_names)
    return _is_noun_in_a_name(tokens, i, first_names)


def is_acronym(tokens: Tokens, i: int) -> bool:
    """Whether capitals among small letters perhaps shorten a name rather than stress a word: "the SIR model"."""
    word = tokens.words[i]
    return len(word) > 1 and word.isupper() and not tokens.shouted and tokens.before(i) in ("the", "a", "an")


def _after_saint(tokens: Tokens, i: int) -> bool:
    """Whether "St." stands before."""
    return i > 0 and tokens.low[i - 1] in ("st", "ste", "mt", "ft") and tokens.gaps[i] == ". "


def _names_a_place(tokens: Tokens, i: int) -> bool:
    """Whether the capitalised words from here on end in a word for a place, a house or a firm."""
    j = i + 1
    while j < i + LONGEST_NAME and tokens.title(j) and tokens.gaps[j].strip("s'\u2019") in (" ", ""):
        if tokens.low[j] in PLACES:
            return True
        j += 1
    return tokens.low[j : j + 1] == ["s"] and tokens.title(j + 1) and tokens.low[j + 1] in PLACES


def _is_surname(tokens: Tokens, i: int, first_names: frozenset[str]) -> bool | None:
    """Whether a first name stands where a surname does: "Elton John", "Mr James"; None after an unknown name."""
    before = tokens.before(i)
    if not before:
        return i > 0 and tokens.low[i - 1] in BEFORE_NAMES and tokens.gaps[i] == ". "
    if before in BEFORE_NAMES | GIVEN or before.capitalize() in first_names:
        return True
    role = before.endswith(("ist", "ists", "ian", "ians", "ologist", "ing"))
    if not tokens.title(i - 1) or role or before in words.STOPS | OPENERS or before in words.GENDERED:
        return False
    return None if tokens.opens(i - 1) else True


def _is_noun_in_a_name(tokens: Tokens, i: int, first_names: frozenset[str]) -> bool | None:
    """Whether a noun with a capital belongs to a name: "Burger King", "Guy Ritchie"; None for "Queen Victoria"."""
    low, before = tokens.low[i], tokens.before(i)
    after = i + 1 < len(tokens.words) and tokens.gaps[i + 1] == " " and tokens.title(i + 1)
    following = tokens.low[i + 1] if after else ""
    if low in ("guy", "gal", "church") and (
        after or (low == "church" and tokens.title(i - 1) and not tokens.opens(i - 1))
    ):
        return before != "christian"
    if low in ROYAL and after and following.capitalize() not in first_names:
        return None if following not in words.GENDERED | {"of"} else False
    if low in words.SURNAMES:
        named = bool(before) and tokens.title(i - 1) and before not in words.STOPS and before not in OPENERS
        return named or (low.endswith("s") and not tokens.opens(i))
    return low in words.GENDER_NOUNS and _follows_a_name(tokens, i)


def _follows_a_name(tokens: Tokens, i: int) -> bool:
    """Whether a capitalised word that opens no sentence and names no group stands before."""
    before = tokens.before(i)
    known = words.STOPS | words.GENDERED | OPENERS | words.PEOPLES
    addressed = tokens.low[i] in ADDRESSED and tokens.opens(i - 1)
    return bool(before) and tokens.title(i - 1) and not addressed and before not in known


def _is_people_in_a_name(tokens: Tokens, i: int) -> bool | None:
    """Whether a nation or belief stands in a name: "Northern Ireland"; None before another capital, "Irish Spring"."""
    if _follows_a_name(tokens, i):
        return True
    if (
        i + 1 == len(tokens.words)
        or tokens.gaps[i + 1] != " "
        or not tokens.title(i + 1)
        or tokens.low[i].endswith("s")
    ):
        return False
    following = tokens.low[i + 1]
    return False if following in PEOPLE_WORDS | words.PEOPLES | OFFICES | OPENERS | words.GENDERED else None


def _is_given_name(tokens: Tokens, i: int) -> bool | None:
    """Whether "Christian" is somebody's name: no article before a noun's place, or a surname after."""
    if not tokens.words[i].istitle():
        return False
    before, after = tokens.before(i), tokens.ahead(i)[:1]
    if before in ROYAL | BEFORE_NAMES and tokens.title(i - 1):
        return True
    surname = (
        bool(after) and tokens.title(i + 1) and after[0] not in PLACES | words.GENDERED | {"church", "bible", "god"}
    )
    if tokens.title(i - 1) and not tokens.opens(i - 1) and before not in words.PEOPLES | words.STOPS:
        return True
    if surname:
        return None if before in ("a", "the", "an") else True
    bare = not after or after[0] in words.STOPS | VERBS
    return bare and before not in BEFORE_NOUNS
