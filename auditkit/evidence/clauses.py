"""The clauses, as the TOML files beside this module hold them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

from auditkit.errors import UnknownName

Basis = Literal["direct", "structural", "interpretation"]
BASES: Mapping[str, str] = {
    "direct": "the clause asks for such a measurement",
    "structural": "the clause asks for a document or a process that such measurements are a part of",
    "interpretation": "that such measurements bear on the clause is our reading",
}
ORDER = ("eu_ai_act", "nist_ai_rmf", "iso_42001", "nyc_ll144", "gdpr")


@dataclass(frozen=True, slots=True)
class Source:
    """A public text that something was checked against."""

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Aspect:
    """Something that a report can be evidence about.

    Attributes:
        id: its name in the files.
        what: it, in a few words.
        patterns: measurement ids that show it, as patterns of gate rules.
    """

    id: str
    what: str
    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that a clause asks for.

    Attributes:
        any_of: the aspects of which any shows it; none, where no measurement can show it or auditkit has none.
        how: how they bear on the clause; where there is no aspect, what is missing.
    """

    any_of: tuple[Aspect, ...]
    how: str


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause.

    Attributes:
        framework: the id of its framework.
        id: how lawyers cite it.
        paraphrase: what it asks for, shortened and in our words.
        basis: how close measurements are to what it asks for; see `BASES`.
        applies: ISO date from which it applies as enacted, or on which a voluntary text was published; a month where
            the day could not be verified.
        link: its text, https.
        verified_in: what it was checked against.
        needs: what it asks for that measurements may show.
    """

    framework: str
    id: str
    paraphrase: str
    basis: Basis
    applies: str
    link: str
    verified_in: Source
    needs: tuple[Need, ...]


@dataclass(frozen=True, slots=True)
class Framework:
    """A law or a standard.

    Attributes:
        id: its name on the command line.
        title: what readers call it.
        nature: whether it binds.
        dates: what is to know about its dates of application.
        dated_in: what those were checked against.
        scope: to whom or what it applies.
        clauses: those that measurements speak to, in its own order.
    """

    id: str
    title: str
    nature: Literal["law", "voluntary"]
    dates: str
    dated_in: Source
    scope: str
    clauses: tuple[Clause, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """Where the texts of the clauses are, each address once, without the place in it."""
        return tuple(dict.fromkeys(clause.link.partition("#")[0] for clause in self.clauses))


@cache
def frameworks() -> tuple[Framework, ...]:
    """All frameworks, in a fixed order."""
    return tuple(_framework(_read(f"frameworks/{id}.toml")) for id in ORDER)


def framework(id: str) -> Framework:
    """The framework of this id.

    Raises:
        UnknownName: there is none; says which are close.
    """
    for known in frameworks():
        if known.id == id:
            return known
    raise UnknownName("framework", id, ORDER)


@cache
def aspects() -> Mapping[str, Aspect]:
    """Every aspect by its id."""
    rows = _read("aspects.toml").items()
    return {id: Aspect(id, texts["what"], tuple(texts["patterns"])) for id, texts in rows}


def _framework(data: Mapping[str, Any]) -> Framework:
    head = dict(data["framework"])
    applies = head.pop("applies")
    clauses = tuple(_clause(head["id"], applies, row) for row in data["clause"])
    return Framework(**head | {"dated_in": Source(**head["dated_in"]), "clauses": clauses})


def _clause(framework: str, applies: str, row: Mapping[str, Any]) -> Clause:
    needs = tuple(Need(tuple(aspects()[id] for id in need["any_of"]), need["how"]) for need in row["needs"])
    checked = {"verified_in": Source(**row["verified_in"]), "needs": needs}
    return Clause(**{"framework": framework, "applies": applies} | dict(row) | checked)


def _read(name: str) -> dict[str, Any]:
    text = resources.files("auditkit.evidence").joinpath(name).read_text(encoding="utf-8")
    # A number and its percent sign stay on one line.
    return tomllib.loads(text.replace(" %", "\N{NARROW NO-BREAK SPACE}%"))
