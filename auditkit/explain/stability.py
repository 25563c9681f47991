"""Whether an explanation stays when the text changes in a way that should not matter."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from auditkit import stats
from auditkit.errors import InputError
from auditkit.explain.attribution import Attribution
from auditkit.explain.questions import Question
from auditkit.explain.targets import Target, ask
from auditkit.models.protocols import Floats

CLAUSES = ("It was a Tuesday.", "The window was open.")
"""Two clauses that have nothing to do with most texts."""
FEWEST = 3  # words that a rank correlation needs


def permuted_clauses(text: str, clauses: tuple[str, str] = CLAUSES) -> tuple[str, str]:
    """The text behind two irrelevant clauses, in both orders."""
    first, second = clauses
    return f"{first} {second} {text}", f"{second} {first} {text}"


def with_synonym(text: str, synonyms: dict[str, str]) -> str:
    """The text with the first of its words that has a synonym replaced by it.

    Raises:
        InputError: no word of the text has one.
    """
    for word in text.split():
        bare = word.strip(".,;:!?\"'()")
        if bare.lower() in synonyms:
            return text.replace(bare, synonyms[bare.lower()], 1)
    raise InputError(
        f"none of {', '.join(sorted(synonyms))} stands in {text[:60]!r}; give a synonym of one of its words"
    )


def ask_again(
    model: Any, variants: Sequence[str], targets: Sequence[Target], asked: Sequence[Question]
) -> list[Question]:
    """The same questions about other texts: what the model predicted for the original stays the target."""
    again = ask(model, variants, targets)
    return [
        replace(new, asks=old.asks, branches=tuple(
            replace(b, targets=a.targets) if len(a.targets) == len(b.targets) else b
            for a, b in zip(old.branches, new.branches, strict=True)
        ))
        for old, new in zip(asked, again, strict=True)
    ]  # fmt: skip


def similarity(a: Attribution, b: Attribution) -> float | None:
    """Rank correlation of the values of the words that two texts share, in order; None of fewer than three."""
    blocks = difflib.SequenceMatcher(None, a.words, b.words, autojunk=False).get_matching_blocks()
    pairs = [(block.a + i, block.b + i) for block in blocks for i in range(block.size)]
    return correlation(a.values[[i for i, _ in pairs]], b.values[[j for _, j in pairs]])


def correlation(a: Floats, b: Floats) -> float | None:
    """Spearman's; None of fewer than three words, or where one side does not vary."""
    return stats.spearman(a, b) if len(a) >= FEWEST else None
