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

from typing import TYPE_CHECKING

from auditkit import lazy

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
    ".bootstrap": ("resample",),
    ".calibration": ("calibration_by_group",),
    ".groups": ("measure_groups",),
    ".impact": ("four_fifths", "local_law_144"),
    ".metrics": ("METRICS",),
    ".paired": ("compare",),
    ".people": ("People", "cross", "read_people"),
    "auditkit.models.predictions": ("Predictions",),
}

__getattr__, __dir__ = lazy.exports(__name__, _HOMES)
