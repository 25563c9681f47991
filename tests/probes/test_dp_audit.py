"""The bound is computed anew and judged by the gate: a claim that is exceeded fails."""

import json
from dataclasses import replace

import numpy as np
import pytest

from auditkit import plugins
from auditkit.errors import DataError
from auditkit.privacy.accounting import PrivacyCost
from auditkit.privacy.bounds import OneRun, best_guesses_epsilon, one_run_epsilon
from auditkit.privacy.one_run_audit import OneRunAudit
from auditkit.probes.base import generator
from auditkit.probes.dp_audit import EpsilonAudit
from auditkit.runner import audit as run_audit
from auditkit.testing import FakeMaskedLM, check_probe

M, DELTA = 500, 1e-5
CLAIM = PrivacyCost(2.0, DELTA, "example", 1500, "add or remove one", "PRV", 2.2, 1.99)
METRICS = ("epsilon_claimed", "epsilon_lower_bound", "epsilon_ceiling", "share_of_ceiling", "epsilon_excess")


def seen(mu):
    """Canaries of a Gaussian mechanism."""
    rng = np.random.default_rng(0)
    included = rng.random(M) < 0.5
    return OneRun(mu * included + rng.normal(size=M), included)


@pytest.fixture
def saved(tmp_path):
    """Path of an audit of a Gaussian mechanism with this mu."""

    def save(mu, claim=CLAIM, guesses=(100, 400), **training):
        audit = OneRunAudit.of("white_box", seen(mu), guesses, claim, {"weights_sha256": "other"} | training)
        return str(audit.save(tmp_path / "audit.json"))

    return save


def measured(path, model=None):
    result = EpsilonAudit(audit=path).measure(model or FakeMaskedLM(), generator(0, "privacy"))
    return {m.id.removeprefix("privacy/"): m for m in result.measurements}


def test_it_is_a_probe_by_its_name(saved):
    probe = plugins.probe("privacy", {"audit": saved(1.0)})
    assert [m.id for m in check_probe(probe, FakeMaskedLM()).measurements] == [f"privacy/{m}" for m in METRICS]


def test_the_numbers_are_those_of_the_bounds(saved):
    found = measured(saved(1.0))
    bound = best_guesses_epsilon(seen(1.0), (100, 400), delta=DELTA)
    assert 0.3 < bound.epsilon < CLAIM.epsilon
    share, excess = 100 * bound.epsilon / bound.ceiling, bound.epsilon - CLAIM.epsilon
    expected = [CLAIM.epsilon, bound.epsilon, bound.ceiling, share, excess]
    assert [found[m].value for m in METRICS] == pytest.approx(expected)
    assert found["share_of_ceiling"].unit == "%"
    assert found["epsilon_lower_bound"].n == M
    details = found["epsilon_lower_bound"].details
    assert details["power"] == bound.power
    assert bound.power.startswith("with 500 canaries and 100 or 400 guesses the audit could at most have shown")
    assert details["gaussian_lower_bound"] > bound.epsilon
    assert (details["delta"], details["level"], details["kind"]) == (DELTA, 0.95, "white_box")


def test_one_number_of_guesses_is_not_corrected_for(saved):
    run = seen(1.0)
    expected = one_run_epsilon(*run.guess(100), delta=DELTA).epsilon
    assert measured(saved(1.0, guesses=(100,)))["epsilon_lower_bound"].value == expected


RULES = [
    {"measurement": "privacy/epsilon_excess", "max": 0},
    {"measurement": "privacy/epsilon_lower_bound", "max": CLAIM.epsilon},
    {"measurement": "privacy/epsilon_claimed", "max": 4},
]


@pytest.mark.parametrize(("mu", "outcomes"), [(1.0, ["PASS"] * 3), (6.0, ["FAIL", "FAIL", "PASS"])])
def test_the_gate_fails_a_claim_that_is_exceeded_and_is_never_inconclusive(saved, mu, outcomes):
    report = run_audit(FakeMaskedLM(), [EpsilonAudit(audit=saved(mu))])
    assert [v.outcome for v in report.gate(RULES)] == outcomes


def test_a_pattern_over_all_of_them_widens_nothing(saved):
    report = run_audit(FakeMaskedLM(), [EpsilonAudit(audit=saved(1.0))])
    verdicts = report.gate([{"measurement": "privacy/*", "max": 100}])
    assert [v.outcome for v in verdicts] == ["PASS"] * 5


def test_without_a_claim_there_is_no_excess_and_a_rule_about_it_is_an_error(saved):
    path = saved(6.0, claim=None)
    found = measured(path)
    assert [m for m in METRICS if found[m].status == "undefined"] == ["epsilon_claimed", "epsilon_excess"]
    assert "claims no privacy" in found["epsilon_excess"].details["reason"]
    assert found["epsilon_lower_bound"].value > 4
    assert found["epsilon_lower_bound"].details["gaussian_lower_bound"] is None
    report = run_audit(FakeMaskedLM(), [EpsilonAudit(audit=path)])
    assert [v.outcome for v in report.gate(RULES[:1])] == ["ERROR"]


def test_whose_weights_were_audited_is_known(saved):
    model = FakeMaskedLM()
    same = saved(1.0, weights_sha256=model.describe()["weights_sha256"])
    assert measured(same, model)["epsilon_lower_bound"].details["same_weights_as_audited"]
    assert not measured(saved(1.0), model)["epsilon_lower_bound"].details["same_weights_as_audited"]


def test_a_better_looking_claim_changes_no_bound(saved):
    low = measured(saved(1.0, claim=replace(CLAIM, epsilon=0.1)))
    high = measured(saved(1.0))
    assert low["epsilon_lower_bound"] == high["epsilon_lower_bound"]
    assert low["epsilon_excess"].value > 0 > high["epsilon_excess"].value


def test_no_file_or_a_damaged_one_is_a_clear_error(saved, tmp_path):
    with pytest.raises(DataError, match="privacy needs audit, the path of the file"):
        measured("")
    with pytest.raises(DataError, match="is not the file of an audit"):
        measured(str(tmp_path / "none.json"))
    (tmp_path / "audit.json").write_text(json.dumps({"schema": 1}))
    with pytest.raises(DataError, match="is not the file of an audit"):
        measured(str(tmp_path / "audit.json"))
