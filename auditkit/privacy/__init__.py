"""Private training, and audits of what models give away. Names are imported when they are first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditkit import lazy

if TYPE_CHECKING:
    from auditkit.privacy import bounds
    from auditkit.privacy.accounting import Phase, PrivacyCost, account, affordable_steps, noise_multiplier_for
    from auditkit.privacy.bookkeeping import BookKeeping
    from auditkit.privacy.doctor import examine
    from auditkit.privacy.engine import PrivacyEngine
    from auditkit.privacy.ledger import Ledger, read_ledger
    from auditkit.privacy.one_run_audit import OneRunAudit, audit_training
    from auditkit.privacy.opacus_mode import register_with_opacus
    from auditkit.privacy.sampling import PoissonSampler, ShuffledSampler
    from auditkit.privacy.training import PrivateTrainingResult, train

_HOMES = {
    ".accounting": ("Phase", "PrivacyCost", "account", "affordable_steps", "noise_multiplier_for"),
    ".bookkeeping": ("BookKeeping",),
    ".doctor": ("examine",),
    ".engine": ("PrivacyEngine",),
    ".ledger": ("Ledger", "read_ledger"),
    ".one_run_audit": ("OneRunAudit", "audit_training"),
    ".opacus_mode": ("register_with_opacus",),
    ".sampling": ("PoissonSampler", "ShuffledSampler"),
    ".training": ("PrivateTrainingResult", "train"),
}
__all__ = [
    "BookKeeping",
    "Ledger",
    "OneRunAudit",
    "Phase",
    "PoissonSampler",
    "PrivacyCost",
    "PrivacyEngine",
    "PrivateTrainingResult",
    "ShuffledSampler",
    "account",
    "affordable_steps",
    "audit_training",
    "bounds",
    "examine",
    "noise_multiplier_for",
    "read_ledger",
    "register_with_opacus",
    "train",
]

__getattr__, __dir__ = lazy.exports(__name__, _HOMES, modules={"bounds": ".bounds"})
