import runpy
from pathlib import Path

import pytest

from auditkit.report import AuditReport

SAMPLE = Path(__file__).parents[1] / "fixtures" / "make_sample_report.py"

# As the shipped probes name them, in real runs or in their own documentation; one or a few of each kind.
KNOWN = [
    "attribution/all/completeness_error",
    "attribution/all/failed_checks",
    "attribution/all/preference",
    "bbq/Age/accuracy_ambiguous",
    "bbq/Age/accuracy_disambiguated",
    "bbq/Age/s_amb",
    "bbq/all/s_dis",
    "compression/dense/accuracy",
    "compression/dense/loss",
    "compression/int8-dynamic/agreement",
    "compression/int8-dynamic/answer_flips",
    "compression/int8-dynamic/bytes_in_memory",
    "compression/int8-dynamic/cpu_seconds",
    "compression/int8-dynamic/crows_pairs/all/metric_score/worsening",
    "compression/int8-dynamic/energy",
    "compression/int8-dynamic/group=Female/accuracy",
    "compression/int8-dynamic/group=Female/loss",
    "compression/int8-dynamic/hidden_harms",
    "compression/int8-dynamic/quality_loss",
    "counterfactual_flips/gender/decision_gap",
    "counterfactual_flips/gender/flip_rate",
    "crows_pairs/all/metric_score",
    "crows_pairs/all/neutral_share",
    "dp_sgd/epsilon-2/clipped_share",
    "dp_sgd/epsilon-2/epsilon",
    "dp_sgd/epsilon-2/utility",
    "exposure/id/control_mean",
    "exposure/id/max",
    "exposure/id/mean",
    "exposure/id/rank_one",
    "extraction/generations/personal_data",
    "extraction/id/completed_at_25pct",
    "extraction/id/control_at_25pct",
    "group_fairness/all/accuracy",
    "group_fairness/sex+race/selection_rate_ratio",
    "group_fairness/sex/accuracy_difference",
    "group_fairness/sex/false_positive_rate_difference",
    "group_fairness/sex/selection_rate_difference",
    "group_fairness/sex/selection_rate_ratio",
    "group_fairness/sex/true_positive_rate_difference",
    "group_fairness/sex=Female/accuracy",
    "group_fairness/sex=Female/false_positive_rate",
    "group_fairness/sex=Female/selection_rate",
    "group_fairness/sex=Female/true_positive_rate",
    "introspection/layer_1/entropy",
    "introspection/max/gradient_agreement",
    "lpbs/age/stereotype_bias",
    "mask_fill/gender/log_odds",
    "membership/blind_baseline/auc",
    "membership/loss/auc",
    "membership/loss/tpr_at_1pct_fpr",
    "model_mitigation/hidden_projection/crows_pairs/all/metric_score/worsening",
    "model_mitigation/hidden_projection/quality_loss",
    "mitigation/inlp/accuracy_change",
    "mitigation/inlp/selection_rate_difference_change",
    "privacy/epsilon_ceiling",
    "privacy/epsilon_claimed",
    "privacy/epsilon_excess",
    "privacy/epsilon_lower_bound",
    "privacy/share_of_ceiling",
    "pronoun_gap/all/slope",
    "seat/age-names/effect_size",
    "similarity/age/preference",
    "similarity/age/rank_gap",
    "similarity/texts/top_pairs",
    "stereoset/all/icat",
    "stereoset/all/language_model_score",
    "stereoset/all/stereotype_score",
    "stereotype_pairs/all/control_score",
    "stereotype_pairs/all/metric_score",
    "surrogate/anchors/found",
    "surrogate/tree/fidelity",
    "surrogate/tree/gain",
    "weat/gender-work/effect_size",
    "winobias/type1/accuracy_pro",
    "winobias/type1/gap",
    "winogender/occupation/slope",
    "winogender/participant/mean_gap",
]


@pytest.fixture
def make():
    """A report of the given measurements and runs, judged by the given rules."""
    from dataclasses import replace

    def make(measurements=(), *, rules=(), runs=()):
        report = AuditReport(
            subject={"name": "m"}, environment={}, config={}, seed=0, runs=runs, measurements=measurements
        )
        return replace(report, verdicts=tuple(report.gate(rules))) if rules else report

    return make


@pytest.fixture(scope="session")
def sample():
    return runpy.run_path(str(SAMPLE))["sample_report"]


@pytest.fixture(scope="session")
def known():
    return KNOWN
