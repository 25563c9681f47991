"""Gate rules on a sweep: hidden harms are forbidden, and a point may not get worse than in an earlier report."""

from dataclasses import replace

import pytest

from auditkit.compression.sweeps import sweep
from auditkit.gate import evaluate
from tests.compression.fragile import Scale, fragile_classifier, prune_all_but_the_large, texts
from tests.privacy import tiny_models

pytestmark = pytest.mark.usefixtures("believed")

SAME = Scale(factor=1.0)


def planted(spec):
    lines, labels, groups = texts()
    return sweep(fragile_classifier(), [spec], texts=lines, labels=labels, groups=groups, costs=False)


def distance(report, id):
    return abs(report[id].value - report[id].ideal)


def outcomes(report, measurement, baseline=None, **criterion):
    verdicts = evaluate(report, [{"measurement": measurement, **criterion}], baseline=baseline)
    return {v.outcome for v in verdicts}


def test_a_hidden_harm_fails_and_its_absence_passes():
    harmed, same = planted(prune_all_but_the_large(fragile_classifier())), planted(SAME)
    assert outcomes(harmed, "compression/*/hidden_harms", max=0) == {"FAIL"}
    assert outcomes(same, "compression/*/hidden_harms", max=0) == {"PASS"}
    assert outcomes(harmed, "compression/*/group=few/quality_loss", max=2) == {"FAIL"}
    assert outcomes(harmed, "compression/*/safe", min=1) == {"FAIL"}


@pytest.mark.parametrize("metric", ["loss", "stereotype_pairs/all/metric_score", "pronoun_gap/all/correlation"])
def test_a_point_is_paired_with_the_same_point_of_the_baseline(metric):
    pairs = {"stereotype_pairs": {"groups": ["gender"], "methods": ["total"], "null_items": 2}}
    probes = [{"pronoun_gap": {"null_items": 4}} if "pronoun" in metric else pairs]
    options = {"texts": tiny_models.TEXTS, "costs": False}
    before = sweep(tiny_models.gpt2(), [SAME], probes, **options)
    after = sweep(tiny_models.gpt2().randomized(5), [SAME], probes, **options)
    rule = f"compression/scaled-1/{metric}"
    earlier = replace(before, created="2026-01-01T00:00:00+00:00")  # a report is not its own baseline
    assert outcomes(before, rule, earlier, max_worsening=0) == {"PASS"}
    (verdict,) = evaluate(after, [{"measurement": rule, "max_worsening": 1000}], baseline=before)
    assert verdict.outcome == "PASS"
    worse, better = (after, before) if distance(after, rule) > distance(before, rule) else (before, after)
    (verdict,) = evaluate(worse, [{"measurement": rule, "max_worsening": 0}], baseline=better)
    assert verdict.outcome in ("FAIL", "INCONCLUSIVE")
    assert verdict.value == pytest.approx(distance(worse, rule) - distance(better, rule))
    assert outcomes(before, rule, None, max_worsening=0) == {"ERROR"}
