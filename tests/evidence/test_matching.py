"""Which measurements speak to which clause, and what a row may say."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from auditkit.evidence import STATUSES, evidence_for, framework
from auditkit.measurement import Interval, Measurement

ROOT = Path(__file__).parents[2]


def measured(id, value=0.9):
    return Measurement(id=id, value=value, interval=Interval(value - 0.05, value + 0.05), n=100)


def missing(id, status="undefined"):
    return Measurement(id=id, value=None, status=status, details={"reason": "too few people"})


def row(report, id, of="nyc_ll144"):
    return next(r for r in evidence_for(report, [framework(of)]) if r.clause.id == id)


# A clause with one need, and one with three: rates, ratios, ratios of crossed attributes.
SINGLE, TRIPLE = ("Art. 13(3)(b)(v)", "eu_ai_act"), ("6 RCNY 5-301(b)", "nyc_ll144")
ACCURACY = [measured("group_fairness/sex=Female/accuracy"), measured("group_fairness/sex=Male/accuracy")]
RATES = [measured("group_fairness/sex=Female/selection_rate"), measured("group_fairness/sex=Male/selection_rate")]
RATIO = measured("group_fairness/sex/selection_rate_ratio")
CROSSED = measured("group_fairness/sex+race/selection_rate_ratio")


def test_without_measurements_there_is_no_evidence(make):
    rows = evidence_for(make())
    assert rows
    assert {r.status for r in rows} == {"no evidence here"}
    assert not any(r.measurements or r.outcomes for r in rows)


@pytest.mark.parametrize("status", ["skipped", "error"])
def test_what_did_not_run_is_no_evidence(make, status):
    report = make([missing("group_fairness", status), missing("group_fairness/sex=Female/selection_rate", status)])
    assert {r.status for r in evidence_for(report)} == {"no evidence here"}


def test_a_need_that_is_met(make):
    found = row(make(ACCURACY), *SINGLE)
    assert found.status == "evidence for"
    assert found.measurements == tuple(ACCURACY)


def test_undefined_is_partial(make):
    report = make([missing("group_fairness/sex=Female/accuracy")])
    assert row(report, *SINGLE).status == "partial"


def test_one_group_without_a_value_does_not_undo_the_others(make):
    report = make([*ACCURACY, missing("group_fairness/sex=Other/accuracy")])
    found = row(report, *SINGLE)
    assert found.status == "evidence for"
    assert len(found.measurements) == 3


def test_two_needs_of_three_are_partial(make):
    assert row(make([*RATES, RATIO]), *TRIPLE).status == "partial"
    assert row(make([*RATES, RATIO, missing(CROSSED.id)]), *TRIPLE).status == "partial"
    assert row(make([*RATES, RATIO, CROSSED]), *TRIPLE).status == "evidence for"


def test_what_no_measurement_can_show_keeps_a_clause_partial(make, known):
    everything = make([measured(id) for id in known])
    assert row(everything, "Adm. Code 20-871").status == "partial"
    for found in evidence_for(everything):
        gap = any(not need.any_of for need in found.clause.needs)
        assert found.status == ("partial" if gap else "evidence for"), found.clause.id


@pytest.mark.parametrize(
    ("rule", "outcome", "status"),
    [
        ({"min": 0.8}, "PASS", "evidence for"),
        ({"min": 0.99}, "FAIL", "evidence for"),
        ({"min": 0.9}, "INCONCLUSIVE", "partial"),
        ({"max_worsening": 0.1}, "ERROR", "partial"),
    ],
)
def test_an_undecided_rule_makes_a_clause_partial_and_a_failed_one_is_shown(make, rule, outcome, status):
    report = make([RATIO], rules=[{"measurement": RATIO.id, **rule}])
    found = row(report, "6 RCNY 5-301(d)")
    assert (found.status, found.outcomes) == (status, ((outcome, 1),))


def test_a_measurement_judged_twice_counts_with_the_worst(make):
    rules = [{"measurement": RATIO.id, "min": limit} for limit in (0.8, 0.99)]
    assert row(make([RATIO], rules=rules), "6 RCNY 5-301(d)").outcomes == (("FAIL", 1),)


def test_a_probe_under_a_longer_name_is_found(make):
    report = make([measured("weat_published/WEAT6/effect_size")])
    assert row(report, "MEASURE 2.11", "nist_ai_rmf").status == "evidence for"


def test_the_order_does_not_depend_on_the_report(make, known):
    forwards, backwards = ([measured(id) for id in ids] for ids in (known, known[::-1]))
    order = [(r.clause.framework, r.clause.id) for r in evidence_for(make())]
    assert [(r.clause.framework, r.clause.id) for r in evidence_for(make(forwards))] == order
    assert [r.status for r in evidence_for(make(forwards))] == [r.status for r in evidence_for(make(backwards))]


def test_more_measurements_never_lose_a_clause(make, known):
    for id in known:
        before, after = evidence_for(make()), evidence_for(make([measured(id)]))
        assert all(STATUSES.index(a.status) <= STATUSES.index(b.status) for a, b in zip(after, before, strict=True))
        assert any(a.measurements for a in after), f"no clause knows {id}"


def test_json_holds_the_sources_and_the_ids(make):
    data = row(make(ACCURACY), *SINGLE).to_json()
    assert data["verified_in"]["url"].startswith("https://")
    assert data["needs"][0]["measurements"] == [m.id for m in ACCURACY]
    assert data["status"] == "evidence for"


def test_a_loaded_report_gives_the_same(tmp_path, sample):
    from auditkit.report import AuditReport

    report = sample()
    loaded = AuditReport.load(report.save(tmp_path / "report.json"))
    assert evidence_for(loaded) == evidence_for(replace(report))


def test_torch_is_never_imported():
    code = "import sys, auditkit.evidence as e, auditkit.rendering.evidence_map; e.frameworks(); "
    code += "print([m for m in ('torch', 'pandas', 'scipy') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": ROOT}
    )
    assert done.stdout.strip() == "[]"
