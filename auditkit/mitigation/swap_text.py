"""A sentence as words and gaps, and what in a text is no English prose: addresses, code, other languages."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


WORD = re.compile(r"[Mm][Aa]['\u2019][Aa][Mm](?!\w)|[\w\u0300-\u036f]+")
"""A letter keeps its combining accents; "ma'am" is one word."""
OPENING = re.compile("\\s+[\"'\u2018\u201c*_\\[]{0,3}\\s?")
"""What stands between a word and the next of the same phrase: white space, perhaps an opening quotation mark."""
STARTS = frozenset('.!?:;\u2026"\u201c\u201d\u2018([\u2014\u2013\n*#>|')
"""After these a capital letter says nothing."""
QUOTING = frozenset('"\u201c\u201d\u201e\u00ab\u00bb()[]')

END = re.compile(
    r"""
    (?<![.!?\u2026])[.!?\u2026]+["'\u2019\u201d)\]]*\s+(?=["'\u2018\u201c(\[]*[^\W_a-z])  # before a capital, a number
    |\n[ \t]*\n\s*                                                         # an empty line
    """,
    re.VERBOSE,
)
ABBREVIATION = re.compile(r"(?:^|\W)(?:Mrs?|Ms|Dr|Prof|St|Ste|Sgt|Capt|Gen|Col|Lt|Rev|Hon|Jr|Sr|vs|No|[A-Z])\.\s+$")

NOT_PROSE = re.compile(
    r"""
    ```.*?```|`[^`\n]+`                                                   # code between back ticks
    |\b\w+://[^\s<>"]+|\bwww\.[^\s<>"]+                                   # an address of a page
    |(?<![\w.+-])[\w.+-]+@[\w-]+\.[\w.-]+                               # of a mail box
    |(?<!\w)[@\#]\w+(?:[.-]\w+)*                                          # a handle, a hashtag
    |(?<![\w-])[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|edu|gov|io|co|de|uk|fr|es|eu|info|ai|dev|app|py|js|ts|txt|html?|csv
        |json|md|pdf|png|jpe?g|docx?|xlsx?|zip|exe|sh)\b(?:/[^\s<>"]*)?           # a host, a file
    |(?<![\w.])(?:[A-Z]:\\|~?/)[\w.-]+[/\\][\w./\\-]*                     # a path
    |(?<![\w-])[\w-]+(?:/[\w-]+)+\.[a-z]{1,5}\b                                   # a relative one
    |\b\w+\((?!s\)|-)[\w\s,.'"=]{0,40}\)                                  # a call, a page of the manual
    |\b\w+\[['"a-z_]\w*['"]?\]                                            # an item of a mapping
    |\b[a-z_][\w.]*\s?={1,2}\s?[\w'"]+                                     # an assignment
    |\b[a-z_]\w*(?:\.[a-z_]\w*)+\b                                        # an attribute
    |[$%\\]\w+|\{+\s*\w+\s*\}+|<[^<>\n]{1,200}>                           # a variable, a tag
    """,
    re.VERBOSE | re.DOTALL,
)

ENGLISH = _words("""
    the a an of and to is was were that it for on with as at by this but not are be have has had or from they you your
    i we my our their them me us who which when what would will could should been do does did there if all so about
    said says into than then very just because before after where how why can may must up out
    """)
OTHER_LANGUAGES = _words("""
    vu oncle tante amis femme homme fille garçon sa ses weit daher hierher gib hol stell zeig raus rein lang jahre
    tage kinder der das dem und ist nicht ein eine einen einem einer ich sie wir ihr zu zum zur auf für aus bei nach
    wie wo woher komm kommt kommst kam kamen kommen geh geht gehen hin schon noch nur aber auch wenn dass sich kann
    muss soll sagt sagte sagen weiß seit lange jahren mir dir ihm ihn uns euch haben habe wird wurde sind bist vom im
    hier dort nichts immer wieder frau herr doch oder über unter bitte danke gibt mein meine dein sein seine heute una
    unos unas y es está están que qué por para sobre al yo tú él ella ellos nosotros su sus mis se lo les muy pero
    como cómo cuando fue ser estar tiene tengo quiero puede hace más también señor señora gracias buenos usted desde
    hasta nos et est dans avec sur pas qui il elle ils elles nous vous je tu ce cette ces mais ou où être avoir suis
    fait très bien père mère fils mes ta leur leurs au aux sont était chez gli di che è sono ho hai della nel alla
    anche molto più mio tuo suo uma em não ao seu sua ele ela você muito het een ik jij hij zij wij niet op voor maar
    ook naar bij zijn haar heeft hebben och att det som ett är inte han på för av til og ikke jeg
    """)
"""Frequent words of German, Spanish, French, Italian, Portuguese, Dutch and Swedish that English does not have."""
WINDOW = 4
"""So many words to either side tell the language of a word."""


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Where each sentence starts and ends; together they are the text."""
    start = 0
    for end in END.finditer(text):
        if not ABBREVIATION.search(text, max(start, end.start() - 6), end.end()):
            yield start, end.end()
            start = end.end()
    if start < len(text):
        yield start, len(text)


@dataclass(frozen=True)
class Tokens:
    """A sentence as its words and the gaps around them: gaps[i] stands before words[i], the last gap at the end."""

    words: Sequence[str]
    gaps: Sequence[str]
    starts: Sequence[int]
    text: str

    @classmethod
    def of(cls, text: str) -> Tokens:
        """The words and gaps of `text`."""
        found = list(WORD.finditer(text))
        ends = [0, *(m.end() for m in found)]
        starts = [*(m.start() for m in found), len(text)]
        gaps = [text[a:b] for a, b in zip(ends, starts, strict=True)]
        return cls([m.group() for m in found], gaps, starts[:-1], text)

    @cached_property
    def low(self) -> list[str]:
        """The words in small letters."""
        return [w.lower() for w in self.words]

    @cached_property
    def shouted(self) -> bool:
        """Whether it has capital letters only."""
        return self.text.upper() == self.text

    @cached_property
    def headline(self) -> bool:
        """Whether nearly all words start with a capital letter, so that a capital says nothing."""
        if len(self.words) > 3 and all(w[:1].isupper() for w in self.words if w.isalpha()):
            return True
        long = [w for w in self.words if len(w) > 2 and w.isalpha()]
        return len(long) > 4 and sum(w.istitle() for w in long) > 0.8 * len(long)

    @cached_property
    def not_prose(self) -> set[int]:
        """Which words start inside an address or code."""
        return self.inside(m.span() for m in NOT_PROSE.finditer(self.text))

    def inside(self, spans: Iterable[tuple[int, int]]) -> set[int]:
        """Which words start inside one of some spans, in characters."""
        return {i for a, b in spans for i in range(bisect_left(self.starts, a), bisect_left(self.starts, b))}

    def before(self, i: int, back: int = 1) -> str:
        """The word before (or further back), in small letters; "" where there is none in the same phrase."""
        inside = i >= back and all(self.gaps[i - k].isspace() for k in range(back))
        return self.low[i - back] if inside else ""

    def ahead(self, i: int, most: int = 6) -> list[str]:
        """The words after, in small letters, to the end of the phrase; a hyphen joins two of them as "well-being"."""
        found: list[str] = []
        for j in range(i + 1, len(self.words)):
            if found and self.gaps[j] in ("-", "\u2010", "\u2011"):
                found[-1] += f"-{self.low[j]}"
            elif OPENING.fullmatch(self.gaps[j]) and len(found) < most:
                found.append(self.low[j])
            else:
                break
        return found

    def title(self, i: int) -> bool:
        """Whether the word at i exists and starts with a capital, where that says something."""
        return 0 <= i < len(self.words) and self.words[i][:1].isupper() and not self.headline and not self.shouted

    def opens(self, i: int) -> bool:
        """Whether a sentence or a quotation starts at the word at i, so that its capital says nothing."""
        return i == 0 or bool(STARTS & set(self.gaps[i]))

    def in_prose(self, i: int) -> bool:
        """Whether the word at i is English prose: no part of an address, of code, of a sentence in another language."""
        if i in self.not_prose:
            return False
        low = high = i
        while low > max(0, i - WINDOW) and not QUOTING & set(self.gaps[low]):
            low -= 1
        while high < min(len(self.words) - 1, i + WINDOW) and not QUOTING & set(self.gaps[high + 1]):
            high += 1
        around = [*self.low[low:i], *self.low[i + 1 : high + 1]]
        return sum(w in OTHER_LANGUAGES for w in around) <= sum(w in ENGLISH for w in around)
