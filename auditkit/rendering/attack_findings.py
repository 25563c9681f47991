"""What an attack on privacy found, arranged for a page; and how its numbers are written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from auditkit.measurement import Measurement
from auditkit.rendering import evidence, narrative
from auditkit.rendering.evidence import is_number
from auditkit.rendering.formatting import ABSENT, NARROW, interval, number, plain, quantity, scalar, shortened
from auditkit.rendering.private_runs import Grid

SIGNIFICANT = 0.05
MAX_TEXTS = 12
MAX_TEXT = 120  # characters of one
VERDICT = "Verdict"
JUDGED = {"FAIL": "failed a limit", "INCONCLUSIVE": "inconclusive"}  # the outcomes with a mark of their own

ATTACKS = {
    "loss": "loss",
    "zlib": "loss over zlib size",
    "reference": "reference model",
    "min_k": "Min-K%",
    "min_k_plus_plus": "Min-K%++",
    "lira": "LiRA",
    "rmia": "RMIA",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: the table of its numbers, a chart of them, or both, and what to know when reading them.

    Attributes:
        id: unique in the page.
        legend: what the marks of the chart mean, as (symbol, text).
        folded: the words behind which the table stands; "" shows it at once.
        sensitive: whether it stays closed on paper.
    """

    id: str
    caption: str
    grid: Grid | None
    svg: str = ""
    legend: Sequence[tuple[str, str]] = ()
    note: str = ""
    folded: str = ""
    sensitive: bool = False


class Claim(NamedTuple):
    """A sentence or two: the first words of it say how it stands."""

    lead: str
    text: str


@dataclass(frozen=True, slots=True)
class AttackSection:
    """Everything that the page shows of one attack beside the table of its measurements.

    Attributes:
        warnings: what keeps the numbers from being believed, or must not be overlooked.
        claims: what was found, and what could have been found.
        findings: charts and tables.
    """

    warnings: Sequence[str]
    claims: Sequence[Claim]
    findings: Sequence[Finding]


def attack_name(attack: str) -> str:
    """What the field calls it."""
    return ATTACKS.get(attack, plain(attack))


def value_text(m: Measurement | None) -> str:
    """As in "0.52 (0.47 to 0.56)"; what stands in its place where there is no value."""
    if m is None:
        return ABSENT
    if m.value is None:
        return "invalid" if "invalid_value" in m.details else m.status
    return quantity(m.value, m.unit) + (f" ({interval(m.interval)})" if m.interval else "")


def percent(share: str) -> str:
    """A share as it was asked for, "0.1" or "1", with its sign."""
    return f"{share}{NARROW}%"


def p_value(m: Measurement | None) -> float | None:
    """Its p-value, corrected for multiple comparisons where that was done."""
    found = None if m is None else m.details.get("p_value_holm", m.details.get("p_value"))
    return float(found) if is_number(found) else None


def shown(m: Measurement | None) -> bool:
    """Whether the difference that `m` is tested for is statistically shown."""
    p = p_value(m)
    return p is not None and p < SIGNIFICANT


def tested(m: Measurement | None) -> str:
    """As in "p = 0.012 after correction for 12 comparisons"; "" where nothing was tested."""
    p = p_value(m)
    if m is None or p is None:
        return ""
    times = m.details.get("comparisons")
    corrected = f" after correction for {number(times)} comparisons" if is_number(times) and times > 1 else ""
    return f"p = {number(p)}{corrected}"


def with_verdicts(grid: Grid, verdicts: Sequence[str]) -> Grid:
    """`grid` with the gate's verdict on each row as its last column, if there is any."""
    if not any(verdicts):
        return grid
    rows = [[*row, verdict or ABSENT] for row, verdict in zip(grid.rows, verdicts, strict=True)]
    return Grid(grid.caption, (*grid.header, VERDICT), rows, grid.numeric)


def worst(outcomes: Mapping[str, str], measurements: Sequence[Measurement | None]) -> str:
    """The gate's worst verdict on any of these measurements; "" where no rule asked."""
    found = {outcomes.get(m.id, "") for m in measurements if m is not None}
    return next((outcome for outcome in narrative.WORST_FIRST if outcome in found), "")


def exposed_texts(
    id: str, caption: str, score: str, measurements: Sequence[Measurement], note: str
) -> Iterator[Finding]:
    """The texts that the attack got at, as the probe shows them: redacted unless it was told otherwise.

    Args:
        id: unique in the page.
        caption: names the table.
        score: heads the column of the scores; "" leaves them out.
        measurements: of which the `extremes` are shown, each text once.
        note: stands above the table.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for m in measurements:
        for item in evidence.extremes(m):
            text, group = shortened(str(item.get("a", "")), MAX_TEXT), plain(str(item.get("group", "")))
            found.setdefault((text, group), [text, group, *([scalar(item.get("score"))] if score else [])])
    if found:
        header = ("Text", "Which", *([score] if score else []))
        grid = Grid(caption, header, list(found.values())[:MAX_TEXTS], numeric=False)
        yield Finding(id, caption, grid, note=note, folded=caption, sensitive=True)
