"""The epsilon that an audit showed, beside the one that is claimed: has the training kept its promise?

Read from the file of a one-run audit (Steinke et al. 2023, "Privacy Auditing with One (1) Training Run"). The bounds
are computed anew from the scores and the coins of its canaries; the claim is the training's own.

    epsilon_claimed        what the training says that it cost: exact, an upper bound
    epsilon_lower_bound    epsilon is at least this, with 95 % confidence
    epsilon_ceiling        what a perfect attacker would have shown with as many canaries and guesses
    share_of_ceiling       the bound in percent of the ceiling
    epsilon_excess         bound minus claim: above 0, the implementation is broken

The gate judges the *bound*. That is a number, computed exactly from what was seen: its uncertainty is what makes it lie
below epsilon, so its interval has no width, and `epsilon_excess: {max: 0}` passes or fails and is never inconclusive. A
pass says that this audit has not refuted the claim. Epsilon itself has no interval: no attack bounds it from above.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from auditkit.errors import DataError
from auditkit.measurement import Interval, Measurement
from auditkit.models.protocols import Model
from auditkit.probes.base import ProbeResult

if TYPE_CHECKING:
    from auditkit.privacy.one_run_audit import OneRunAudit

SOURCE = "Steinke, Nasr & Jagielski (2023), arXiv:2305.08846"
ONE_SIDED = "one-sided: epsilon is at least this with the stated confidence; the bound itself is computed"
EXACT = "exact: follows from the numbers of canaries and guesses"


@dataclass(frozen=True, kw_only=True)
class EpsilonAudit:
    """Claimed and audited epsilon of a private training.

    Attributes:
        id: name in the report.
        audit: path of the file that `OneRunAudit.save` wrote.
    """

    id: str = "privacy"
    audit: str = ""

    needs: ClassVar[tuple[type, ...]] = (Model,)
    source: ClassVar[str] = SOURCE

    def measure(self, model: Any, rng: np.random.Generator) -> ProbeResult:
        """Claim, lower bound, ceiling, its share and the excess, each a single number.

        Raises:
            DataError: no file, or a damaged one.
        """
        from auditkit.privacy.one_run_audit import OneRunAudit

        if not self.audit:
            raise DataError(
                f"{self.id} needs audit, the path of the file that auditkit.privacy.one_run_audit wrote: "
                "audit_training(...).save(path)"
            )
        audit = OneRunAudit.load(self.audit)
        same = audit.training.get("weights_sha256") == model.describe().get("weights_sha256")
        return ProbeResult([replace(m, id=f"{self.id}/{m.id}") for m in _measurements(audit, same_weights=same)])


def _measurements(audit: OneRunAudit, *, same_weights: bool) -> Iterator[Measurement]:
    """All five, by metric."""
    bound, claimed = audit.bound, audit.claimed
    details = {
        "kind": audit.kind,
        "delta": bound.delta,
        "level": bound.level,
        "budget": bound.details["budget"],
        "power": bound.power,
        "guesses": {"about": bound.details["m"], "made": bound.details["r"], "right": bound.details["v"]},
        "gaussian_lower_bound": None if audit.f_dp_bound is None else audit.f_dp_bound.epsilon,
        "same_weights_as_audited": same_weights,
    }
    if claimed is None:
        yield _without_claim("epsilon_claimed")
    else:
        upper = _number("epsilon_claimed", claimed.epsilon, claimed.units, claimed.method, "exact: an upper bound", 1.0)
        yield upper.with_details(**asdict(claimed))
    one_sided = (ONE_SIDED, bound.level)
    yield _number("epsilon_lower_bound", bound.epsilon, bound.n, bound.method, *one_sided).with_details(**details)
    yield _number("epsilon_ceiling", bound.ceiling, bound.n, "the bound if all guesses were right", EXACT, 1.0)
    share = _number("share_of_ceiling", 100 * audit.share_of_ceiling, bound.n, "bound by ceiling", *one_sided)
    yield replace(share, unit="%")
    if claimed is None:
        yield _without_claim("epsilon_excess")
    else:
        excess = bound.epsilon - claimed.epsilon
        yield _number("epsilon_excess", excess, bound.n, "lower bound minus claim", *one_sided)


def _number(metric: str, value: float, n: int, method: str, how: str, level: float) -> Measurement:
    """A number that is computed, with an interval of no width."""
    interval = Interval(value, value, level, how)
    return Measurement(id=metric, value=value, interval=interval, n=n, method=method, source=SOURCE)


def _without_claim(metric: str) -> Measurement:
    reason = "the audited training claims no privacy: it ran without clipping and noise"
    return Measurement(id=metric, value=None, status="undefined", source=SOURCE, details={"reason": reason})
