"""Every error that auditkit raises on purpose.

    AuditkitError
    ├── InputError              the user's input is wrong; the command line exits with 2
    │   ├── UnknownName         no such model, probe, dataset or option; says what is close
    │   ├── ConfigError         audit.yaml: all its problems at once
    │   ├── DataError           a dataset is missing, empty, unreadable, or lacks a column
    │   │   └── DataAbsent      a published dataset is not on this machine; a probe that needs it is skipped
    │   ├── DownloadError       a download broke off or its hash is wrong
    │   ├── ModelError          a model cannot be loaded, or its weights are damaged
    │   ├── VocabularyError     the model's vocabulary cannot express the words that a probe needs
    │   ├── ReportError         a report file is damaged or of an unknown schema
    │   ├── MissingExtra        a library that is not installed; says which extra of auditkit brings it
    │   ├── PrivacySettingError (auditkit.privacy) a setting of private training protects nothing or is out of reach
    │   └── LedgerError         (auditkit.privacy) a privacy ledger is damaged or belongs to another training
    ├── MissingCapability       the model cannot do what the probe needs; the probe is skipped, with this reason
    ├── ForeignExit             a model, a factory, a probe or a plug-in tried to end the run: a crash
    ├── AccountantsDisagree     (auditkit.privacy) the privacy accountants contradict each other
    ├── BudgetExhausted         (auditkit.privacy) the next step would spend more than the target epsilon
    └── GateFailed              at least one rule did not pass; carries the verdicts

A message says what was given, what was expected, and the fix.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auditkit.gate import Verdicts


class AuditkitError(Exception):
    """Root of the tree above."""


class InputError(AuditkitError):
    """The user's input is wrong; nothing already computed is lost."""


class UnknownName(InputError):
    """No such name. `UnknownName("probe", "crow_pairs", known)` suggests the nearest known ones."""

    def __init__(self, kind: str, given: str, known: Iterable[str]) -> None:
        known = sorted(known)
        close = difflib.get_close_matches(given, known, n=3, cutoff=0.6)
        hint = f"did you mean {' or '.join(repr(c) for c in close)}?" if close else f"known: {', '.join(known)}."
        super().__init__(f"unknown {kind} {given!r}; {hint}")


class ConfigError(InputError):
    """audit.yaml is wrong. `problems` lists every problem found, each one line."""

    def __init__(self, problems: Iterable[str], where: str = "audit.yaml") -> None:
        self.problems = list(problems)
        super().__init__("\n".join(f"{where}: {p}" for p in self.problems))


class DataError(InputError):
    """A dataset is missing, empty, unreadable, or lacks a column."""


class DataAbsent(DataError):
    """A published dataset is not on this machine; a probe that needs it is skipped, with `short` as the reason."""

    def __init__(self, dataset: str, elsewhere: str) -> None:
        self.short = f"{dataset} is not on this machine; `auditkit data fetch {dataset}`"
        super().__init__(f"{self.short}, {elsewhere}")


class DownloadError(InputError):
    """A download broke off, or what arrived does not have the hash in the catalogue."""


class ModelError(InputError):
    """A model cannot be loaded: no such model, damaged weights, or weights that do not fit the architecture."""


class VocabularyError(InputError):
    """The model's vocabulary cannot express the words that a probe needs."""


class ReportError(InputError):
    """A report file is damaged, or was written by a schema this version does not know."""


class MissingExtra(InputError, ModuleNotFoundError):
    """A library is not installed that this needs; the message is the command that installs it."""


class MissingCapability(AuditkitError):
    """The model cannot do what the probe needs (for instance: it has no mask token)."""


class ForeignExit(AuditkitError):
    """A model, a factory, a probe or a plug-in tried to end the run; it counts as a crash of that code."""


class GateFailed(AuditkitError):
    """At least one rule did not pass, or the audit is `incomplete`, which says why. `verdicts` holds all of them."""

    def __init__(self, verdicts: Verdicts, incomplete: str = "") -> None:
        self.verdicts = verdicts
        super().__init__("\n".join(filter(None, (incomplete, str(verdicts)))))
