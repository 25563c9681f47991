"""Group fairness of decisions about people: who is selected, who is judged rightly, and how sure that is.

    from auditkit.fairness import Predictions

    decisions = Predictions(table, name="credit model")     # columns label, prediction, [score], and who people are
    report = ak.audit(decisions, [GroupFairness(sensitive=["sex", "race"])])

The modules, in the order in which a number passes through them:

    people       a checked table: label, prediction, score, sensitive attributes; attributes crossed into groups
    metrics      selection rate, accuracy, TPR, FPR, precision of every group, from counts
    bootstrap    resampled counts, and intervals of the largest difference and the smallest ratio
    groups       both together, with an exact test of each group against all others
    calibration  scores against outcomes, group by group
    discrimination  how well the scores rank the people of each group
    impact       the four-fifths rule of the EEOC, and the impact ratios of New York City's Local Law 144
    paired       two models on the same people
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditkit.fairness.bootstrap import resample
    from auditkit.fairness.calibration import calibration_by_group
    from auditkit.fairness.groups import measure_groups
    from auditkit.fairness.impact import four_fifths, local_law_144
    from auditkit.fairness.metrics import METRICS
    from auditkit.fairness.paired import compare
    from auditkit.fairness.people import People, cross, read_people
    from auditkit.models.predictions import Predictions

__all__ = [
    "METRICS",
    "People",
    "Predictions",
    "calibration_by_group",
    "compare",
    "cross",
    "four_fifths",
    "local_law_144",
    "measure_groups",
    "read_people",
    "resample",
]

_HOMES = {
    "auditkit.fairness.bootstrap": ("resample",),
    "auditkit.fairness.calibration": ("calibration_by_group",),
    "auditkit.fairness.groups": ("measure_groups",),
    "auditkit.fairness.impact": ("four_fifths", "local_law_144"),
    "auditkit.fairness.metrics": ("METRICS",),
    "auditkit.fairness.paired": ("compare",),
    "auditkit.fairness.people": ("People", "cross", "read_people"),
    "auditkit.models.predictions": ("Predictions",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'auditkit.fairness' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
