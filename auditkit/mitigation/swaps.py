"""The same text about another group: "She lost her keys" becomes "He lost his keys".

Swaps keep case ("HE" becomes "SHE"), contractions and possessives, and leave everything else as it is, byte by byte.
What takes a decision is counted: "her" is "his" before a noun phrase and else "him", as "his" is "her" or "hers".
The decision is by the words around, without a parser. Men's pronouns show how good it is: with "his" and "him" both
read as if "her" stood there, it tells them apart in 96.5 % of 16,130 cases in English sentences, many of them old verse
(98.6 % of "his", 87.7 % of "him"), in 98.2 % of 2,328 in WikiText-2, both of which were looked at while it was written,
and in 32 of 40 hard sentences labelled by hand, which were not. Where it errs ("a friend of hers called"), swapping
twice does not give the text back.

After Lu, Mardziel, Wu, Amancharla & Datta (2020), Gender Bias in Neural Natural Language Processing, and Hall Maudslay,
Gonen, Cotterell & Teufel (2019), It's All in the Name (EMNLP), who add the names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from auditkit.errors import InputError, UnknownName
from auditkit.mitigation import swap_words as words

WORD = re.compile(r"[\w\u0300-\u036f]+")  # a letter keeps its combining accents
HYPHEN = re.compile("[-\u2010\u2011]")
OPENING = re.compile('\\s+["\u2018\u201c]?')
"""What stands between a determiner and its noun: white space, perhaps an opening quotation mark."""

GROUPS = {
    "gender": ("women", "men"),
    "name_group": ("black_names", "white_names"),
    "religion": ("muslims", "christians"),
    "nationality": ("global_south", "global_north"),
}
"""Each kind of swap -> the two groups between which it moves a text."""
FORMS: tuple[Callable[[str], str], ...] = (str, str.capitalize, str.upper)
NAME_FORMS: tuple[Callable[[str], str], ...] = (str, str.upper)
EITHER = {"her": ("his", "him"), "his": ("her", "hers")}
"""What a pronoun becomes before a noun phrase, and elsewhere."""
SURE = {"him": ("her", False), "hers": ("his", True)}
"""What one word answers to, whatever stands around it; and whether it names a woman."""


class Change(NamedTuple):
    """One word that was exchanged.

    Attributes:
        start: where it stands in the original text, in characters.
        before: the word that was there.
        after: the word that replaced it.
        kind: the kind of swap that it belongs to.
        first: whether `before` names the first group of `GROUPS[kind]`, so that `after` names the second.
        ruled: whether its counterpart depended on the words around, so that a rule decided.
    """

    start: int
    before: str
    after: str
    kind: str
    first: bool
    ruled: bool


@dataclass(frozen=True, slots=True)
class Swapped:
    """A text after a swap.

    Attributes:
        text: the text.
        changes: what was exchanged, from left to right; empty where the text names no group.
    """

    text: str
    changes: tuple[Change, ...]

    @property
    def ruled(self) -> int:
        """How many of the changes a rule decided."""
        return sum(change.ruled for change in self.changes)


@dataclass(frozen=True)
class Swapper:
    """Exchanges the words of two groups, in both directions at once.

    Attributes:
        kinds: any of "gender" (pronouns, nouns, titles, first names), "name_group" (first names more frequent among
            Black or among White Americans), "religion" (Muslim and Christian) and "nationality".

    Raises:
        UnknownName: no such kind.
        InputError: no kind at all.
    """

    kinds: tuple[str, ...] = ("gender",)

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in GROUPS:
                raise UnknownName("kind of swap", kind, GROUPS)
        if not self.kinds:
            raise InputError(f"no kind of swap; expected one or more of {', '.join(GROUPS)}")

    def swap(self, text: str) -> Swapped:
        """The text about the other group; where it names none, the same text and no changes."""
        found = list(WORD.finditer(text))
        tokens = Tokens.of(text, found)
        changed = {i: change for i, m in enumerate(found) if (change := self._change(tokens, i, m.start()))}
        after = [changed[i].after if i in changed else word for i, word in enumerate(tokens.words)]
        pieces = [part for pair in zip(tokens.gaps, [*after, ""], strict=True) for part in pair]
        return Swapped("".join(pieces), tuple(changed.values()))

    def _change(self, tokens: Tokens, i: int, start: int) -> Change | None:
        """What becomes of one word; None where it stays."""
        word = tokens.words[i]
        if "gender" in self.kinds and word in _either():
            before_noun, elsewhere = _either()[word]
            determiner = determines(tokens.before(i), *tokens.after(i))
            after = before_noun if determiner else elsewhere
            return Change(start, word, after, "gender", word.lower() == "her", True)
        for kind in self.kinds:
            counterpart, first = _counterparts(kind).get(word, ("", False))
            if counterpart and not _means_something_else(tokens, i):
                return Change(start, word, counterpart, kind, first, False)
        return None


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text as its words and the gaps around them: gaps[i] stands before words[i], the last gap at the end."""

    words: Sequence[str]
    gaps: Sequence[str]

    @classmethod
    def of(cls, text: str, found: Sequence[re.Match[str]]) -> Tokens:
        """From the words `found` in `text`."""
        ends = [0, *(m.end() for m in found)]
        starts = [*(m.start() for m in found), len(text)]
        return cls([m.group() for m in found], [text[a:b] for a, b in zip(ends, starts, strict=True)])

    def before(self, i: int) -> str:
        """The word before, in small letters; "" where there is none in the same phrase."""
        return self.words[i - 1].lower() if i and self.gaps[i].isspace() else ""

    def joined(self, i: int) -> str:
        """The next word, in small letters, where only a hyphen or a space is between; "" elsewhere."""
        return self.words[i + 1].lower() if self.gaps[i + 1] in ("-", " ") and i + 1 < len(self.words) else ""

    def after(self, i: int) -> tuple[str, str]:
        """The two words after; "" for what is beyond the phrase, "-" for a word that a hyphen joins to the first.

        Of "his or her job", and of "his/her job", both see the job.
        """
        left = len(self.words) - i - 1
        if left > 1 and self.words[i + 1].lower() in ("and", "or") and self.words[i + 2] in _either():
            return self.after(i + 2)
        if left and self.gaps[i + 1] == "/" and self.words[i + 1] in _either():
            return self.after(i + 1)
        if not left or not OPENING.fullmatch(self.gaps[i + 1]):
            return "", ""
        first, gap = self.words[i + 1].lower(), self.gaps[i + 2]
        if left > 1 and HYPHEN.fullmatch(gap):
            return first, "-"
        return first, self.words[i + 2].lower() if left > 1 and gap.isspace() else ""


def determines(before: str, after: str, beyond: str) -> bool:
    """Whether "her" is a determiner ("her keys"), by the word before it and the two after; else it is an object.

    Args:
        before: the word before it, in small letters; "" for none.
        after: the word after it; "" at the end of a phrase.
        beyond: the word after that; "-" where a hyphen joins it.
    """
    if after == "" or beyond == "-":
        return beyond == "-"
    if after == "will" and before in words.BEFORE_A_WILL:
        return True
    ends = beyond == "" or beyond in words.STOPS
    object_here = (
        after in words.STOPS,
        ends and after in words.PERHAPS,
        after == "one" and beyond == "of",
        ends and after.endswith("ly") and after not in words.NOT_ADVERBS,
        ends and before in words.COMPLEMENT_VERBS and after in words.COMPLEMENTS,
        ends and before in words.PARTICIPLE_VERBS and after.endswith("ed"),
        before in words.PERCEPTION_VERBS and after.endswith("ing") and after not in words.NOT_PARTICIPLES,
        before in words.CAUSATIVE_VERBS and after in words.INFINITIVES,
        before in words.DATIVE_VERBS and after in words.GIFTS,
        before in words.LEADING_VERBS and after in ("home", "back"),
        before in words.MEETING_VERBS and after in ("last", "next") and beyond in words.TIMES,
    )
    return not any(object_here)


def _means_something_else(tokens: Tokens, i: int) -> bool:
    """Whether a word of the lists is here part of something else: a surname, a compound, a verb."""
    word, before, (after, _) = tokens.words[i], tokens.before(i), tokens.after(i)
    if word.lower() in words.COMPOUNDS and tokens.joined(i) in words.COMPOUNDS_WITH:
        return True
    if word.lower() in words.SURNAMES and word.istitle():
        named = bool(before) and tokens.words[i - 1].istitle() and before not in words.STOPS
        return named or word.endswith("s")
    if word.lower() == "miss":
        return word.islower() or not after or tokens.words[i + 1].islower()
    return word in _names() and (before in words.BEFORE_SURNAMES or before.capitalize() in _names())


@cache
def _names() -> frozenset[str]:
    return frozenset(_forms(_both_ways(words.FIRST_NAMES), NAME_FORMS))


@cache
def _either() -> dict[str, tuple[str, str]]:
    """Each form of a pronoun that takes a decision -> before a noun phrase, and elsewhere."""
    return {form(word): (form(noun), form(other)) for word, (noun, other) in EITHER.items() for form in FORMS}


@cache
def _counterparts(kind: str) -> dict[str, tuple[str, bool]]:
    """Each form of a word -> the same form of its counterpart, and whether the word names the first group."""
    if kind == "gender":
        one_way = {word: (other, True) for word, other in words.ONE_WAY.items()}
        small = {**_both_ways(words.PRONOUNS, words.NOUNS, words.TITLES), **one_way, **SURE}
        return _forms(small, FORMS) | _forms(_both_ways(words.FIRST_NAMES), NAME_FORMS)
    pairs = {"name_group": words.NAME_GROUPS, "religion": words.RELIGIONS, "nationality": words.NATIONALITIES}
    return _forms(_both_ways(pairs[kind]), NAME_FORMS)


def _both_ways(*lists: Iterable[tuple[str, str]]) -> dict[str, tuple[str, bool]]:
    pairs = [pair for pairs in lists for pair in pairs]
    return {a: (b, True) for a, b in pairs} | {b: (a, False) for a, b in pairs}


def _forms(table: Mapping[str, tuple[str, bool]], forms: Sequence[Callable[[str], str]]) -> dict[str, tuple[str, bool]]:
    return {form(a): (form(b), first) for a, (b, first) in table.items() for form in forms}
