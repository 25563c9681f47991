"""Whether the checks of a private training can be believed: bugs planted in the trainer, and who notices them.

    result = validate()          # every seeded bug x every check, and the correct trainer on 20 seeds
    result.passed                # every bug caught by at least one check, and no alarm on the correct trainer

The command `auditkit validate dp` prints the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from auditkit.errors import InputError
from auditkit.privacy.implementation_checks import CHECKS, Finding
from auditkit.privacy.seeded_bugs import SEEDED_BUGS, SeededBug

SCHEMA = 1
Check = Callable[[int], Finding]
Findings = Mapping[str, Finding]
"""Check -> what it found."""


@dataclass(frozen=True, slots=True)
class Caught:
    """One seeded bug, and what every check made of it."""

    name: str
    what: str
    findings: Findings

    @property
    def by(self) -> list[str]:
        """The checks that noticed."""
        return [check for check, finding in self.findings.items() if finding.alarm]


@dataclass(frozen=True, slots=True)
class Validation:
    """The table.

    Attributes:
        bugs: one row each.
        correct: for every seed the findings on the trainer as it is.
    """

    bugs: tuple[Caught, ...]
    correct: tuple[Findings, ...]

    @property
    def caught(self) -> int:
        """How many bugs at least one check noticed."""
        return sum(bool(bug.by) for bug in self.bugs)

    @property
    def false_alarms(self) -> dict[str, int]:
        """Check -> how many seeds of the correct trainer it accused."""
        checks = self.correct[0] if self.correct else {}
        return {check: sum(findings[check].alarm for findings in self.correct) for check in checks}

    @property
    def passed(self) -> bool:
        """Whether every bug was caught, and nothing else."""
        return self.caught == len(self.bugs) and not any(self.false_alarms.values())

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "schema": SCHEMA,
            "passed": self.passed,
            "caught": self.caught,
            "bugs": [asdict(bug) | {"caught_by": bug.by} for bug in self.bugs],
            "seeds": len(self.correct),
            "false_alarms": self.false_alarms,
            "correct": [{check: asdict(found) for check, found in findings.items()} for findings in self.correct],
        }


def validate(
    *,
    bugs: Sequence[SeededBug] = SEEDED_BUGS,
    checks: Mapping[str, Check] = CHECKS,
    seeds: int = 20,
    tell: Callable[[str], None] = lambda line: None,
) -> Validation:
    """Run every check on every seeded bug, and on the correct trainer with several seeds. About four minutes.

    Args:
        bugs: the seeded bugs.
        checks: the checks, by name.
        seeds: on how many seeds the correct trainer is tried.
        tell: is told what was just done, in words.

    Raises:
        InputError: fewer than one seed.
    """
    if seeds < 1:
        raise InputError(f"seeds = {seeds}; expected 1 or more, and 20 to learn something about false alarms")
    correct = []
    for seed in range(seeds):
        correct.append(_findings(checks, nullcontext, seed))
        alarms = [check for check, finding in correct[-1].items() if finding.alarm]
        tell(f"correct trainer, seed {seed}: {', '.join(alarms) or 'no alarm'}")
    rows = []
    for bug in bugs:
        rows.append(Caught(bug.name, bug.what, _findings(checks, bug.planted, seed=0)))
        tell(f"{bug.name}: {', '.join(rows[-1].by) or 'NOT CAUGHT'}")
    return Validation(tuple(rows), tuple(correct))


def _findings(checks: Mapping[str, Check], planted: Callable[[], AbstractContextManager[None]], seed: int) -> Findings:
    found = {}
    for name, check in checks.items():
        with planted():
            found[name] = check(seed)
    return found
