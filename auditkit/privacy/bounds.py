"""Lower bounds on epsilon from how well an attack did.

    independent trials     clopper_pearson_epsilon   assumes nothing about the mechanism
    (one model each)       gdp_epsilon               assumes a Gaussian; sees a large epsilon in far fewer trials
    one training run       one_run_epsilon           assumes nothing about the mechanism
                           f_dp_one_run_epsilon      assumes a Gaussian

Scores of independent trials are an `IndependentTrials`: as many models as scores. Scores of the canaries of one run are
a `OneRun`, which is refused where trials must be independent. Every result says its `ceiling`, what a perfect attacker
would have reached; `*_ceiling` gives it alone, to plan an audit with.

Thresholds and numbers of guesses are chosen before looking at the scores, or by `best_threshold_epsilon` and
`best_guesses_epsilon`, which pay for looking.
"""

from auditkit.privacy.epsilon_bound import EpsilonBound
from auditkit.privacy.independent_trials import (
    IndependentTrials,
    TrialCounts,
    best_threshold_epsilon,
    clopper_pearson_ceiling,
    clopper_pearson_epsilon,
    gdp_ceiling,
    gdp_epsilon,
)
from auditkit.privacy.one_run import (
    Guesses,
    OneRun,
    best_guesses_epsilon,
    f_dp_one_run_ceiling,
    f_dp_one_run_epsilon,
    one_run_ceiling,
    one_run_epsilon,
)

__all__ = [
    "EpsilonBound",
    "Guesses",
    "IndependentTrials",
    "OneRun",
    "TrialCounts",
    "best_guesses_epsilon",
    "best_threshold_epsilon",
    "clopper_pearson_ceiling",
    "clopper_pearson_epsilon",
    "f_dp_one_run_ceiling",
    "f_dp_one_run_epsilon",
    "gdp_ceiling",
    "gdp_epsilon",
    "one_run_ceiling",
    "one_run_epsilon",
]
