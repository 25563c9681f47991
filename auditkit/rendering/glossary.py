"""The words of a report, explained where they are used: as a pop-up of pure CSS, and in a list at the end."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources

MAX_TERMS = 9
"""Terms of one section: more are noise."""
ALWAYS = frozenset({"g-interval", "g-n", "g-ideal", "g-null", "g-limit", "g-inconclusive"})
"""What the parts of a report explain that do not belong to a probe."""


@dataclass(frozen=True, slots=True)
class Term:
    """One entry; the fields are explained at the head of glossary.toml."""

    id: str
    name: str
    words: tuple[str, ...]
    says: str


@cache
def terms() -> tuple[Term, ...]:
    """All of them, in the order of the file: the commonest first."""
    text = resources.files("auditkit.rendering").joinpath("glossary.toml").read_text(encoding="utf-8")
    entries = tomllib.loads(text.replace(" %", "\N{NARROW NO-BREAK SPACE}%"))
    return tuple(Term(f"g-{key}", e["name"], tuple(e["words"]), e["says"]) for key, e in entries.items())


def used_in(texts: Iterable[str]) -> list[Term]:
    """The terms that occur in `texts`, in the order of the glossary."""
    text = "\n".join(texts).replace("\N{NARROW NO-BREAK SPACE}", " ").lower()
    by_word = {word.replace("\N{NARROW NO-BREAK SPACE}", " "): term for term in terms() for word in term.words}
    found = {by_word[word].id for word in _pattern().findall(text)}
    return [term for term in terms() if term.id in found]


@cache
def _pattern() -> re.Pattern[str]:
    """Any word of any term, as a whole word; the longest wins."""
    words = sorted((word for term in terms() for word in term.words), key=len, reverse=True)
    plain = (re.escape(word.replace("\N{NARROW NO-BREAK SPACE}", " ")) for word in words)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(plain)})(?![\w-])")


def css(shown: Iterable[Term]) -> str:
    """The pop-up of each term, as the content of a pseudo-element: it is written once, however often it is used.

    Only where there are scripts, because a pop-up that hides what is below it must go away at Escape (WCAG 1.4.13); a
    term without one is a link to the glossary.
    """
    rules = "\n".join(f'.term[href="#{term.id}"]::after {{ content: "{_escaped(term.says)}"; }}' for term in shown)
    return f"@media (scripting: enabled) {{\n{rules}\n}}\n"


def _escaped(text: str) -> str:
    r"""As the inside of a CSS string.

    >>> print(_escaped('a "b" \\ c'))
    a \"b\" \\ c
    """
    return text.replace("\\", "\\\\").replace('"', '\\"')
