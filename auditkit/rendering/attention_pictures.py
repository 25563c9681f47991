"""The pictures of attention in a measurement's details; what does not have the expected shape is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from auditkit.measurement import Measurement
from auditkit.rendering import attention_charts, svg
from auditkit.rendering.evidence import is_number
from auditkit.rendering.formatting import ABSENT, number, plain, sentence_case, shortened
from auditkit.rendering.private_runs import Grid
from auditkit.rendering.private_training import Picture

MAX_TOKENS = 40  # of one matrix
MAX_TITLE = 60  # characters of a caption


def mappings(m: Measurement, key: str) -> list[Mapping[str, Any]]:
    """The entries of a list among the details; none where it is no list of mappings."""
    found = m.details.get(key)
    return [entry for entry in found if isinstance(entry, Mapping)] if isinstance(found, list) else []


def heads(id: str, m: Measurement) -> Picture | None:
    """All heads at once; None where the details hold no such grid."""
    found = m.details.get("head_grid")
    if not isinstance(found, Mapping):
        return None
    entropy = _table(found.get("entropy"), is_number)
    roles = _table(found.get("roles"), lambda role: isinstance(role, str))
    if not entropy or [len(row) for row in entropy] != [len(row) for row in roles]:
        return None
    caption = "What each attention head looks at"
    picture = svg.inline(
        attention_charts.head_grid(entropy, roles),
        id=id,
        title=caption,
        description=f"{len(entropy)} layers of attention heads; the table below holds the numbers.",
    )
    names = list(attention_charts.LETTERS)
    rows = [
        [
            f"Layer {i}",
            number(sum(values) / len(values)),
            *(", ".join(str(j) for j, r in enumerate(of, 1) if r == role) or ABSENT for role in names),
        ]
        for i, (values, of) in enumerate(zip(entropy, roles, strict=True), 1)
    ]
    header = ("Layer", "Mean entropy", *(f"Heads: {plain(role)}" for role in names))
    return Picture(id, caption, picture, (), Grid("Entropy and roles of the heads, layer by layer", header, rows))


def matrices(id: str, m: Measurement) -> Iterator[Picture]:
    """The attention of one text, for a few heads; what is no square of weights is left out."""
    for i, entry in enumerate(mappings(m, "matrices")):
        tokens, weights = entry.get("tokens"), _table(entry.get("weights"), _is_share)
        if not (isinstance(tokens, list) and 0 < len(tokens) <= MAX_TOKENS):
            continue
        if [len(row) for row in weights] != [len(tokens)] * len(tokens):
            continue
        names = [str(token) for token in tokens]
        caption = sentence_case(shortened(str(entry.get("title", "attention")), MAX_TITLE))
        picture = svg.inline(
            attention_charts.attention_matrix(names, weights),
            id=f"{id}-{i}",
            title=caption,
            description=f"Attention among {len(names)} tokens; the table below holds the numbers.",
        )
        rows = [[name, *(f"{w:.2f}" for w in row)] for name, row in zip(names, weights, strict=True)]
        yield Picture(f"{id}-{i}", caption, picture, (), Grid(caption, ("Looks", *names), rows))


def _is_share(value: Any) -> bool:
    return is_number(value) and 0 <= value <= 1


def _table(value: Any, fits: Callable[[Any], bool]) -> list[list[Any]]:
    """`value` where it is a list of lists of cells that fit; else an empty one."""
    if not (isinstance(value, list) and all(isinstance(row, list) and row for row in value)):
        return []
    return value if all(fits(cell) for row in value for cell in row) else []
