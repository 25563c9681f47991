"""What attacks on the training data found, arranged for a page: membership, exposure, extraction, audited epsilon."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from auditkit.measurement import Measurement
from auditkit.rendering import (
    attack_charts,
    exposure_findings,
    extraction_findings,
    membership_findings,
    narrative,
    svg,
)
from auditkit.rendering.attack_findings import AttackSection, Claim, Finding, worst
from auditkit.rendering.evidence import is_number
from auditkit.rendering.formatting import ABSENT, number, parts, plain, quantity, scalar
from auditkit.rendering.ledger_table import small
from auditkit.rendering.private_runs import Grid

BOUND, CLAIM, CEILING = "epsilon_lower_bound", "epsilon_claimed", "epsilon_ceiling"
SHARE, EXCESS = "share_of_ceiling", "epsilon_excess"
KINDS = {"white_box": "every step", "black_box": "the final model"}
NO_PROOF = Claim(
    "A small lower bound is no proof of privacy.",
    "The attack may have been weak, or the canaries few: no attack bounds epsilon from above.",
)


def arrange(
    id: str, measurements: Sequence[Measurement], outcomes: Mapping[str, str], scores: Mapping[str, Sequence[float]]
) -> AttackSection | None:
    """The part of a page about attacks on the training data; None where `measurements` are of something else.

    Args:
        id: unique in the page; every chart's id starts with it.
        measurements: of one probe.
        outcomes: the gate's verdict by measurement.
        scores: the item scores of those measurements for which `draws_spread` holds, as far as they are at hand.
    """
    return (
        _epsilon(id, measurements, outcomes)
        or membership_findings.arrange(id, measurements, outcomes)
        or exposure_findings.arrange(id, measurements, outcomes, scores)
        or extraction_findings.arrange(id, measurements, outcomes)
    )


draws_spread = exposure_findings.draws_spread


@dataclass(frozen=True, slots=True)
class Audit:
    """The measurements of one audit of an epsilon, by metric."""

    name: str
    metrics: dict[str, Measurement] = field(default_factory=dict)

    def value(self, metric: str) -> float | None:
        """The number measured; None where there is none."""
        return self.metrics[metric].value if metric in self.metrics else None

    def detail(self, name: str) -> object:
        """What the bound, or else the ceiling or the claim, says beside its value; None where none does."""
        found = [self.metrics[m].details.get(name) for m in (BOUND, CEILING, CLAIM) if m in self.metrics]
        return next((value for value in found if value is not None), None)

    @property
    def lead(self) -> str:
        """What a sentence about one of several audits begins with."""
        return f"{self.name}: " if self.name else ""

    @property
    def broken(self) -> bool:
        """Whether the bound lies above the claim."""
        bound, claim = self.value(BOUND), self.value(CLAIM)
        return bound is not None and claim is not None and bound > claim


def _epsilon(id: str, measurements: Sequence[Measurement], outcomes: Mapping[str, str]) -> AttackSection | None:
    """Claimed, audited and possible epsilon of every audit."""
    audits: dict[str, Audit] = {}
    for m in measurements:
        name, metric = parts(m)
        audits.setdefault(name, Audit("" if name == "all" else plain(name))).metrics[metric] = m
    found = [audit for audit in audits.values() if BOUND in audit.metrics]
    if not found:
        return None
    return AttackSection(
        warnings=[warning for audit in found for warning in _warnings(audit)],
        claims=[*(_claim(audit) for audit in found if audit.value(BOUND) is not None), NO_PROOF],
        findings=[_finding(id, found, outcomes)],
    )


def _warnings(audit: Audit) -> Iterator[str]:
    """A claim that is refuted, that could not have been, or a bound that there is none of."""
    bound, claim, ceiling = (audit.value(metric) for metric in (BOUND, CLAIM, CEILING))
    if audit.detail("same_weights_as_audited") is False:
        yield (
            f"{audit.lead}The audited training did not give the model of this report: their weights differ. Its bound "
            "speaks of the code that trained both, not of these weights."
        )
    if bound is None:
        yield f"{audit.lead}No lower bound: {narrative.reason_of(audit.metrics[BOUND])}"
    elif audit.broken:
        yield (
            f"{audit.lead}The claim is refuted. With {_level(audit)} confidence epsilon is at least {number(bound)}, "
            f"above the {number(claim)} that is claimed: the training does not do what its accountant assumes."
        )
    elif claim is not None and ceiling is not None and ceiling <= claim:
        yield (
            f"{audit.lead}This audit could not have refuted the claim. Even a perfect attacker would have shown no "
            f"more than {number(ceiling)}, and {number(claim)} is claimed; it takes more canaries, or more guesses."
        )


def _claim(audit: Audit) -> Claim:
    """What was shown, and what could have been."""
    bound, claim, ceiling = (audit.value(metric) for metric in (BOUND, CLAIM, CEILING))
    lead = f"{audit.lead}With {_level(audit)} confidence, epsilon is at least {number(bound)}."
    if claim is None:
        said = "Nothing is claimed that it could be compared with."
    else:
        said = f"{number(claim)} is claimed, which this {'refutes' if audit.broken else 'does not contradict'}."
    if ceiling is None:
        return Claim(lead, f"{said} What the audit could at most have shown is not known.")
    guesses = audit.detail("guesses")
    if isinstance(guesses, Mapping):
        said += f" Of {scalar(guesses.get('made'))} guesses {scalar(guesses.get('right'))} were right."
    budget = audit.detail("budget")
    how = f"With {budget}, the" if isinstance(budget, str) else "The"
    return Claim(lead, f"{said} {how} audit could at most have shown {number(ceiling)}{_share(audit)}.")


def _share(audit: Audit) -> str:
    share = audit.value(SHARE)
    return "" if share is None else f"; it reached {quantity(share, '%')} of that"


def _level(audit: Audit) -> str:
    m, level = audit.metrics[BOUND], audit.detail("level")
    found = level if is_number(level) else m.interval.level if m.interval else 0.95
    return f"{100 * found:g}\N{NARROW NO-BREAK SPACE}%"


def _finding(id: str, audits: Sequence[Audit], outcomes: Mapping[str, str]) -> Finding:
    """All audits on one scale."""
    caption = "Epsilon: claimed, audited, and the most that this audit could show"
    drawn = [
        attack_charts.Audited(audit.name, bound, audit.value(CLAIM), audit.value(CEILING))
        for audit in audits
        if (bound := audit.value(BOUND)) is not None
    ]
    names = [audit.name or "this audit" for audit in audits]
    rows = [[label, *map(text, audits)] for label, text in _FACTS.items()]
    verdicts = [worst(outcomes, list(audit.metrics.values())) or ABSENT for audit in audits]
    if any(verdict != ABSENT for verdict in verdicts):
        rows.append(["The gate's verdict", *verdicts])
    grid = Grid("Every audit, and what it rests on", ("", *names), rows)
    if not drawn:
        return Finding(f"{id}-epsilon", caption, grid)
    picture = svg.inline(
        attack_charts.epsilon_scale(drawn),
        id=f"{id}-epsilon",
        title=caption,
        description=f"{len(drawn)} audits on one scale of epsilon; the table below holds the same numbers.",
    )
    legend = [
        ("bar", "audited lower bound: epsilon is at least this"),
        ("bar-null", "ceiling: as far as a perfect attacker would have come"),
        ("ideal", "claimed: epsilon is at most this"),
    ]
    return Finding(f"{id}-epsilon", caption, grid, picture, legend)


_FACTS: dict[str, Callable[[Audit], str]] = {
    "Claimed: epsilon is at most": lambda audit: number(audit.value(CLAIM)),
    "Audited: epsilon is at least": lambda audit: number(audit.value(BOUND)),
    "with a confidence of": _level,
    "Ceiling: at most this audit could have shown": lambda audit: number(audit.value(CEILING)),
    "Share of the ceiling": lambda audit: quantity(audit.value(SHARE), "%"),
    "Bound minus claim; above 0 the claim is refuted": lambda audit: number(audit.value(EXCESS)),
    "Lower bound if the noise is Gaussian, as it should be": lambda audit: scalar(audit.detail("gaussian_lower_bound")),
    "Delta": lambda audit: small(audit.detail("delta")),
    "Canaries": lambda audit: number(audit.metrics[BOUND].n),
    "The auditor sees": lambda audit: KINDS.get(str(audit.detail("kind")), ABSENT),
}
"""What a row says, and how it is read from an audit."""
