"""The same text about another group: "She lost her keys" becomes "He lost his keys".

Swaps keep case ("HE" becomes "SHE"), contractions and possessives, and leave everything else as it is, byte by byte:
names and fixed phrases ("Isle of Man"), addresses, code, sentences in other languages. A sentence whose swap nobody can
tell ("I saw her duck") stays as it is, whole, and is counted in `Swapped.left`; so is one that swapping twice would not
give back. Words for women that have no man's of their own (Ms, Miss, ma'am) become one that another goes back to.

"her" is "his" before a noun phrase and else "him", as "his" is "her" or "hers": `swap_pronouns` decides by verbs and
the words after. No tagger is asked: those of the package index either come without their weights, or with weights that
strangers have uploaded. docs/mitigation.md says how often the rules are right.

After Lu, Mardziel, Wu, Amancharla & Datta (2020), Gender Bias in Neural Natural Language Processing, and Hall Maudslay,
Gonen, Cotterell & Teufel (2019), It's All in the Name (EMNLP), who add the names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from auditkit.errors import InputError, UnknownName
from auditkit.mitigation import swap_words as words
from auditkit.mitigation.swap_forms import ADDRESS, Unsure, address, means_something_else, possessive, pronoun_stays
from auditkit.mitigation.swap_phrases import in_fixed, is_name
from auditkit.mitigation.swap_pronouns import her_role, his_role
from auditkit.mitigation.swap_text import Tokens, sentences

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
ONE_WAY = frozenset(words.ONE_WAY) | {"madam", "ma'am"}


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


class Left(NamedTuple):
    """A sentence that was left as it is, since its swap is unsure.

    Attributes:
        start: where it starts in the text, in characters.
        end: where it ends.
        word: the first word whose counterpart nobody can tell.
        why: in a few words.
    """

    start: int
    end: int
    word: str
    why: str


@dataclass(frozen=True, slots=True)
class Swapped:
    """A text after a swap.

    Attributes:
        text: the text.
        changes: what was exchanged, from left to right; empty where the text names no group.
        left: the sentences that stayed, unsure; a text with any is no counterfactual of the whole.
    """

    text: str
    changes: tuple[Change, ...]
    left: tuple[Left, ...] = ()

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
        pieces: list[str] = []
        changes: list[Change] = []
        left: list[Left] = []
        for start, end in sentences(text):
            sentence, found = text[start:end], self._sentence(text[start:end])
            if isinstance(found, Unsure):
                left.append(Left(start, end, *found))
                found = {}
            pieces += _exchanged(sentence, found.values())
            changes += [change._replace(start=start + change.start) for change in found.values()]
        return Swapped("".join(pieces), tuple(changes), tuple(left))

    def _sentence(self, sentence: str) -> dict[int, Change] | Unsure:
        """What becomes of which word of a sentence; or why it stays."""
        tokens = Tokens.of(sentence)
        found = self._found(tokens)
        if isinstance(found, Unsure) or not found:
            return found
        swapped = "".join(_exchanged(sentence, found.values()))
        back = self._found(Tokens.of(swapped))
        again = "" if isinstance(back, Unsure) else "".join(_exchanged(swapped, back.values()))
        if _as_it_was(sentence, found.values()).fullmatch(again):
            return found
        return Unsure(next(iter(found.values())).before, "swapping twice would not give it back")

    def _found(self, tokens: Tokens) -> dict[int, Change] | Unsure:
        """What becomes of each word, by rules alone."""
        named = [i for i, word in enumerate(tokens.words) if any(word in _listed(kind) for kind in self.kinds)]
        if not named:
            return {}
        fixed = in_fixed(tokens)
        found: dict[int, Change] = {}
        for i in named:
            if i in fixed or not tokens.in_prose(i):
                continue
            change = self._change(tokens, i)
            if isinstance(change, Unsure):
                return change
            if change:
                found[i] = change
        return found

    def _change(self, tokens: Tokens, i: int) -> Change | Unsure | None:
        """What becomes of one word; None where it stays."""
        word, start = tokens.words[i], tokens.starts[i]
        if "gender" in self.kinds:
            if stays := pronoun_stays(tokens, i):
                return stays if isinstance(stays, Unsure) else None
            if word in _either():
                return _ruled_pronoun(tokens, i)
            if (low := tokens.low[i].replace("\u2019", "'")) in ADDRESS:
                after = address(tokens, i, _first_names())
                return Change(start, word, after, "gender", ADDRESS[low], False) if isinstance(after, str) else after
        for kind in self.kinds:
            counterpart, first = _counterparts(kind).get(word, ("", False))
            if word == "Man" and tokens.opens(i) and tokens.low[i + 1 : i + 2] in (["is"], ["has"], ["can"], ["does"]):
                return Unsure(word, "perhaps all of mankind")
            if word.lower() in ("bride", "brides") and {"groom", "grooms"} & set(tokens.low):
                return Unsure(word, "a groom is a man of hers, or a stable hand")
            if not counterpart or means_something_else(tokens, i):
                continue
            if name := is_name(tokens, i, _first_names()):
                continue
            if name is None:
                return Unsure(word, "perhaps part of a name")
            return Change(start, *possessive(tokens, i, counterpart), kind, first, False)
        return None


def _exchanged(sentence: str, changes: Iterable[Change]) -> Iterator[str]:
    """The parts of a sentence, with the changed words in it."""
    at = 0
    for change in changes:
        yield sentence[at : change.start]
        yield change.after
        at = change.start + len(change.before)
    yield sentence[at:]


def _as_it_was(sentence: str, changes: Iterable[Change]) -> re.Pattern[str]:
    """The sentence, with any word where a word of no counterpart of its own stood."""
    pieces, at = [], 0
    for change in changes:
        any_word = change.before.lower().replace("\u2019", "'") in ONE_WAY
        pieces += [re.escape(sentence[at : change.start]), r"[\w'\u2019]+" if any_word else re.escape(change.before)]
        at = change.start + len(change.before)
    return re.compile("".join(pieces) + re.escape(sentence[at:]))


def _ruled_pronoun(tokens: Tokens, i: int) -> Change | Unsure:
    """What becomes of "her" or "his", by the words around."""
    word, low = tokens.words[i], tokens.low[i]
    role = her_role(tokens, i) if low == "her" else his_role(tokens, i)
    if role == "unsure":
        return Unsure(word, "a pronoun that can be read in two ways")
    before_noun, elsewhere = _either()[word]
    return Change(
        tokens.starts[i], word, before_noun if role == "determiner" else elsewhere, "gender", low == "her", True
    )


@cache
def _first_names() -> frozenset[str]:
    return frozenset(name for pair in (*words.FIRST_NAMES, *words.NAME_GROUPS) for name in pair)


@cache
def _listed(kind: str) -> frozenset[str]:
    """Every form of the words that one kind of swap knows."""
    address = {form(word).replace("'", sign) for word in ADDRESS for form in FORMS for sign in ("'", "\u2019")}
    return frozenset(_counterparts(kind)) | ({*_either(), *address} if kind == "gender" else set())


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
