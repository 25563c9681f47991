"""The gate: three-valued verdicts, false-alarm rates by simulation, and paired comparison with a baseline."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from auditkit import stats
from auditkit.errors import ConfigError, GateFailed, ReportError
from auditkit.gate import Rule, Verdict, Verdicts, evaluate
from auditkit.measurement import Interval, Measurement
from auditkit.report import AuditReport

SCORE = "pairs/all/score"


def report(*measurements: Measurement, items: pd.DataFrame | None = None, seed: int = 0) -> AuditReport:
    return AuditReport(
        subject={}, environment={}, config={}, seed=seed, runs=[], measurements=measurements, _items=items
    )


def measured(low: float, high: float, id: str = SCORE, unit: str = "%") -> Measurement:
    return Measurement(id=id, value=(low + high) / 2, interval=Interval(low, high), n=100, unit=unit, ideal=50)


def outcome(rule: dict, *measurements: Measurement) -> str:
    return evaluate(report(*measurements), [{"measurement": SCORE, **rule}]).outcome


# --- limits and equivalence -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "low", "high", "expected"),
    [
        ({"max": 55}, 48, 54, "PASS"),
        ({"max": 55}, 48, 55, "PASS"),
        ({"max": 55}, 48, 56, "INCONCLUSIVE"),
        ({"max": 55}, 55, 57, "INCONCLUSIVE"),
        ({"max": 55}, 56, 60, "FAIL"),
        ({"min": 45}, 46, 60, "PASS"),
        ({"min": 45}, 40, 44, "FAIL"),
        ({"min": 45}, 44, 46, "INCONCLUSIVE"),
        ({"min": 45, "max": 55}, 46, 54, "PASS"),
        ({"min": 45, "max": 55}, 40, 60, "INCONCLUSIVE"),
        ({"min": 45, "max": 55}, 30, 44, "FAIL"),
        ({"equivalent_to": 50, "margin": 3}, 48, 52, "PASS"),
        ({"equivalent_to": 50, "margin": 3}, 40, 60, "INCONCLUSIVE"),  # no evidence of bias is no evidence of none
        ({"equivalent_to": 50, "margin": 3}, 54, 60, "FAIL"),
        ({"max": 3}, 3, 3, "PASS"),
        ({"max": 3}, 3.5, 3.5, "FAIL"),
    ],
)
def test_a_verdict_is_about_the_whole_interval(rule, low, high, expected):
    assert outcome(rule, measured(low, high)) == expected


def test_a_verdict_says_what_was_judged():
    (verdict,) = evaluate(report(measured(56, 60)), [Rule(measurement=SCORE, max=55, reason="as last year")])
    assert (verdict.value, verdict.interval, verdict.n, verdict.limit) == (58, Interval(56, 60), 100, "<= 55")
    assert str(verdict) == (
        "FAIL         pairs/all/score (<= 55): the value is 58 %, its interval 56 to 60 wholly outside the limit."
    )
    exact = evaluate(report(measured(3, 3, unit="")), [{"measurement": SCORE, "max": 2}])[0]
    assert exact.explanation == "the value, 3, is exact and outside the limit."


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"min": 45}, ">= 45"),
        ({"min": 45, "max": 55.5}, "45 to 55.5"),
        ({"equivalent_to": 50, "margin": 3}, "50 ± 3"),
        ({"max_worsening": 2}, "worse by <= 2"),
    ],
)
def test_limits_in_a_few_characters(rule, text):
    assert Rule(measurement=SCORE, **rule).limit == text


# --- errors and exit codes --------------------------------------------------------------------------------------------

SKIPPED = Measurement(id=SCORE, value=None, status="skipped", details={"reason": "no mask token"})
UNDEFINED = Measurement(id=SCORE, value=None, status="undefined", details={"reason": "no answers"})
UNCERTAIN = Measurement(id=SCORE, value=50.0, n=1)


@pytest.mark.parametrize(
    ("measurements", "why"),
    [
        ([SKIPPED], "is skipped: no mask token"),
        ([UNDEFINED], "is undefined: no answers"),
        ([UNCERTAIN], "has no interval"),
        ([measured(1, 2, id="other/all/score")], "matches no measurement"),
    ],
)
def test_what_cannot_be_judged_is_an_error_never_a_pass(measurements, why):
    verdicts = evaluate(report(*measurements), [{"measurement": SCORE, "max": 99, "on_inconclusive": "warn"}])
    assert verdicts.exit_code == 3
    assert verdicts[0].blocking
    assert verdicts[0].explanation.startswith(why)


def test_exit_codes():
    passes, fails, unclear = ({"measurement": SCORE, "max": limit} for limit in (60, 40, 50))
    nothing = {"measurement": "nothing/*", "max": 1}
    subject = report(measured(45, 55))

    def code(*rules: dict) -> int:
        return evaluate(subject, rules).exit_code

    assert code(passes) == code() == 0
    assert code(passes, fails) == 1
    assert code(passes, unclear) == 1
    assert code(unclear | {"on_inconclusive": "warn"}) == 0
    assert code(fails, nothing) == 3
    assert code(nothing, fails) == 3
    assert [evaluate(subject, [r]).outcome for r in (passes, unclear, fails, nothing)] == [
        "PASS",
        "INCONCLUSIVE",
        "FAIL",
        "ERROR",
    ]


def test_check_raises_with_all_verdicts():
    subject = report(measured(45, 55))
    rules = [{"measurement": SCORE, "max": 40}, {"measurement": SCORE, "max": 60}]
    with pytest.raises(GateFailed, match="wholly outside the limit") as raised:
        subject.check(rules)
    assert [v.outcome for v in raised.value.verdicts] == ["FAIL", "PASS"]
    assert subject.check(rules[1:]).exit_code == 0


# --- rules ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mapping", "problem"),
    [
        ({"measurement": "a", "maxx": 3, "max": 3}, "unknown key 'maxx'; did you mean 'max'"),
        ({"max": 3}, "no 'measurement'"),
        ({"measurement": "a"}, "expected one criterion.*given none"),
        ({"measurement": "a", "max": 3, "max_worsening": 1}, "expected one criterion.*given max, max_worsening"),
        ({"measurement": "a", "equivalent_to": 3}, "belong together"),
        ({"measurement": "a", "min": 3, "max": 1}, "min 3 is above max 1"),
        ({"measurement": "a", "max": "3"}, "max '3'; expected a finite number"),
        ({"measurement": "a", "max": True}, "max True; expected a finite number"),
        ({"measurement": "a", "max": float("nan")}, "expected a finite number"),
        ({"measurement": "a", "max_worsening": -1}, "expected 0 or more"),
        ({"measurement": "a", "max": 1, "on_inconclusive": "ignore"}, "expected 'fail' or 'warn'"),
        ({"measurement": "a", "max": 1, "reason": 3}, "expected text"),
        ({"measurement": 7, "max": 1}, "expected an id or a pattern"),
        (["a"], "expected keys and values"),
    ],
)
def test_a_wrong_rule_is_refused(mapping, problem):
    with pytest.raises(ConfigError, match=problem):
        Rule.from_mapping(mapping)


def test_all_problems_of_all_rules_come_at_once():
    rules = [{"measurement": "a", "maxx": 3}, {"measurement": "b", "margin": -1}]
    with pytest.raises(ConfigError) as raised:
        evaluate(report(), rules)
    assert len(raised.value.problems) == 4  # a: key, no criterion; b: no equivalent_to, negative
    assert "rule 'a'" in str(raised.value)
    assert "rule 'b'" in str(raised.value)


# --- json -------------------------------------------------------------------------------------------------------------


def test_verdicts_survive_json():
    rules = [{"measurement": SCORE, "max": 50, "reason": "why"}, {"measurement": "nothing", "max_worsening": 1}]
    for verdict in evaluate(report(measured(45, 55)), rules):
        assert Verdict.from_json(json.loads(json.dumps(verdict.to_json()))) == verdict


@pytest.mark.parametrize(
    "damage", [{"outcome": "FINE"}, {"rule": {}}, {"rule": None}, {"interval": {"low": 3}}, {"extra": 1}]
)
def test_a_damaged_verdict_is_refused(damage):
    (verdict,) = evaluate(report(measured(45, 55)), [{"measurement": SCORE, "max": 50}])
    with pytest.raises(ReportError, match="a verdict is damaged"):
        Verdict.from_json(verdict.to_json() | damage)


# --- several measurements under one rule ------------------------------------------------------------------------------


def test_a_pattern_widens_the_intervals_and_says_so():
    subject = report(*(measured(51, 54, id=f"pairs/{group}/score") for group in "abcdefghi"))
    verdicts = evaluate(subject, [{"measurement": "pairs/*/score", "max": 54.5}])
    assert len(verdicts) == 9
    first = verdicts[0]
    assert first.outcome == "INCONCLUSIVE"
    assert first.interval is not None
    # z(1 - .05/18) / z(.975) = 2.7729 / 1.9600
    assert (first.interval.low, first.interval.high) == pytest.approx(
        (52.5 - 1.5 * 1.41477, 52.5 + 1.5 * 1.41477), abs=1e-4
    )
    assert first.interval.level == pytest.approx(1 - 0.05 / 9)
    assert "widened for the 9 measurements" in first.explanation
    assert evaluate(subject, [{"measurement": "pairs/a/score", "max": 54.5}]).outcome == "PASS"


def test_widening_stays_within_0_and_100_percent_and_leaves_exact_values_alone():
    subject = report(measured(90, 99.5, id="a/x"), measured(3, 3, id="a/y"))
    near, exact = evaluate(subject, [{"measurement": "a/*", "max": 100}])
    assert near.interval is not None
    assert near.interval.high == 100
    assert exact.interval == Interval(3, 3)


def test_an_id_with_brackets_matches_itself():
    assert len(evaluate(report(measured(1, 2, id="weat/[a]/d")), [{"measurement": "weat/[a]/d", "max": 3}])) == 1


def shares(g: np.random.Generator, truth: float, groups: int, n: int = 300) -> AuditReport:
    """A report of `groups` independent scores, in %, whose true value is `truth`."""
    measurements = []
    for group, successes in enumerate(g.binomial(n, truth, groups)):
        interval = stats.wilson(int(successes), n)
        measurements.append(
            Measurement(
                id=f"pairs/{group}/score",
                value=100 * int(successes) / n,
                interval=Interval(100 * interval.low, 100 * interval.high),
                n=n,
                unit="%",
            )
        )
    return report(*measurements)


@pytest.mark.parametrize("groups", [1, 9])
def test_models_at_the_limit_fail_in_at_most_5_percent(groups):
    g, rule = np.random.default_rng(0), {"measurement": "pairs/*/score", "max": 55}
    false_alarms = np.mean([evaluate(shares(g, 0.55, groups), [rule]).outcome == "FAIL" for _ in range(1_000)])
    assert 0.005 < false_alarms <= 0.05
    caught = np.mean([evaluate(shares(g, 0.7, groups), [rule]).outcome == "FAIL" for _ in range(50)])
    assert caught > 0.95


def test_without_widening_nine_groups_would_fail_far_too_often():
    g = np.random.default_rng(0)
    rules = [{"measurement": f"pairs/{group}/score", "max": 55} for group in range(9)]
    assert np.mean([evaluate(shares(g, 0.55, 9), rules).outcome == "FAIL" for _ in range(500)]) > 0.1


# --- worsening --------------------------------------------------------------------------------------------------------


def audited(scores: np.ndarray, *, x: np.ndarray | None = None, ideal: float | None = 50, seed: int = 0) -> AuditReport:
    """A report whose only measurement is the mean of `scores`, or their slope on `x`; ten items a cluster."""
    n = len(scores)
    items = pd.DataFrame(
        {
            "measurement": SCORE,
            "item": [f"item {i:04}" for i in range(n)],
            "value": scores.astype(float),
            "cluster": [f"writer {i // 10}" for i in range(n)],
            "x": None if x is None else x,
        }
    )
    value = float(scores.mean()) if x is None else float(np.polyfit(x, scores, 1)[0])
    return report(Measurement(id=SCORE, value=value, n=n, ideal=ideal), items=items, seed=seed)


def two_models(g: np.random.Generator, before: float, now: float, n: int = 600) -> tuple[AuditReport, AuditReport]:
    """Answers of two models that find the same items hard; in truth they score `before` and `now` %."""
    difficulty, noise = g.uniform(0, 100, n), g.normal(0, 4, (2, n))
    return tuple(audited(100.0 * ((difficulty + e) % 100 < t)) for e, t in zip(noise, (before, now), strict=True))


def worse(now: AuditReport, baseline: AuditReport | None, limit: float = 0) -> Verdict:
    return evaluate(now, [{"measurement": SCORE, "max_worsening": limit}], baseline=baseline)[0]


def test_the_same_model_is_not_worse_than_itself():
    model, again = (
        replace(audited(np.repeat([100, 0], 50)), subject={"name": name, "subject_sha256": "ab"}) for name in "mn"
    )
    verdict = worse(model, again)
    assert (verdict.outcome, verdict.value, verdict.n) == ("PASS", 0, 100)
    assert "100 items shared, 0 only here, 0 only there" in verdict.explanation


def test_another_model_that_decides_alike_may_be_worse_on_other_items():
    model, other = (audited(np.repeat([100, 0], 50)) for _ in range(2))
    verdict = worse(model, other)
    assert (verdict.outcome, verdict.value, verdict.n) == ("INCONCLUSIVE", 0, 100)
    unseen = 100 * stats.wilson(0, 10).high  # ten writers
    assert worse(model, other, limit=unseen + 0.1).outcome == "PASS"
    assert worse(model, other, limit=unseen - 0.1).outcome == "INCONCLUSIVE"


def test_a_planted_worsening_is_caught_although_the_intervals_overlap():
    baseline, now = two_models(np.random.default_rng(1), 58, 64)
    alone = [stats.wilson(round(r[SCORE].value * 6), 600) for r in (baseline, now)]
    assert alone[0].high > alone[1].low
    assert worse(now, baseline).outcome == "FAIL"
    assert worse(baseline, now).outcome == "PASS"  # the other way round it is an improvement
    assert worse(now, baseline, limit=20).outcome == "PASS"


def test_worsening_is_distance_from_the_ideal_on_either_side():
    baseline, now = two_models(np.random.default_rng(1), 58, 30)
    verdict = worse(now, baseline, limit=2)
    assert verdict.outcome == "FAIL"
    assert verdict.value == pytest.approx(abs(now[SCORE].value - 50) - abs(baseline[SCORE].value - 50))
    assert verdict.value in verdict.interval


@pytest.mark.parametrize(
    ("before", "now"),
    [(60, 60), pytest.param(50, 50, marks=pytest.mark.slow), pytest.param(42, 58, marks=pytest.mark.slow)],
)
def test_equally_biased_models_fail_in_at_most_5_percent(before, now):
    g = np.random.default_rng(2)
    verdicts = [worse(*reversed(two_models(g, before, now, n=300))) for _ in range(150)]
    assert np.mean([v.outcome == "FAIL" for v in verdicts]) <= 0.05
    assert np.mean([0 in v.interval for v in verdicts]) >= 0.92  # no more than 5 % outside, and noise of 150 runs


def test_worsening_of_a_slope():
    g = np.random.default_rng(3)
    x = np.repeat(g.uniform(0, 1, 40), 10)  # the same within a cluster
    hard = g.normal(0, 1, 400)
    before, now = (audited(slope * x + hard + g.normal(0, 0.3, 400), x=x, ideal=0) for slope in (1, 3))
    verdict = worse(now, before)
    assert (verdict.outcome, verdict.n) == ("FAIL", 400)
    assert verdict.value == pytest.approx(2, abs=0.3)
    assert verdict.value in verdict.interval
    assert worse(now, before, limit=4).outcome == "PASS"


def correlated(scores: np.ndarray, x: np.ndarray, cluster: list[str] | str = "") -> AuditReport:
    """A report whose only measurement is the correlation of `scores` with `x`."""
    names = [f"item {i:04}" for i in range(len(scores))]
    items = pd.DataFrame({"measurement": SCORE, "item": names, "value": scores, "cluster": cluster, "x": x})
    r = float(np.corrcoef(scores, x)[0, 1])
    return report(Measurement(id=SCORE, value=r, n=len(x), ideal=0, details={"over_items": "correlation"}), items=items)


def test_worsening_of_a_correlation():
    g = np.random.default_rng(7)
    x, hard = g.uniform(0, 1, 100), g.normal(0, 0.3, 100)
    before, same, turned = (correlated(slope * x + hard + g.normal(0, 0.1, 100), x) for slope in (0.3, 0.3, -1.5))
    verdict = worse(turned, before)  # on the other side of 0, and farther from it
    assert (verdict.outcome, verdict.n) == ("FAIL", 100)
    assert verdict.value == pytest.approx(abs(turned[SCORE].value) - abs(before[SCORE].value))
    assert verdict.value in verdict.interval
    assert "Zou" in verdict.interval.method
    assert worse(before, turned).outcome == "PASS"
    assert worse(same, before).outcome == "INCONCLUSIVE"
    assert worse(same, same).value == 0


def test_two_equal_correlations_differ_in_at_most_5_percent():
    g = np.random.default_rng(8)
    x = g.uniform(0, 1, 62)
    found = []
    for _ in range(300):
        hard = g.normal(0, 0.3, 62)
        now, before = (correlated(x + hard + g.normal(0, 0.2, 62), x) for _ in range(2))
        found.append(worse(now, before))
    assert np.mean([v.outcome == "FAIL" for v in found]) <= 0.05
    assert np.mean([0 in v.interval for v in found]) >= 0.92


def test_correlations_over_items_of_one_writer_are_not_compared():
    g = np.random.default_rng(9)
    x = g.uniform(0, 1, 40)
    verdict = worse(*(correlated(g.normal(size=40), x, cluster="one writer") for _ in range(2)))
    assert verdict.outcome == "ERROR"
    assert "independent items only" in verdict.explanation


def test_only_shared_items_are_compared_and_the_others_are_counted():
    baseline, now = two_models(np.random.default_rng(4), 55, 75)
    noisy = np.concatenate([now.items["value"], np.full(50, 50.0)])  # fifty items that the baseline lacks
    verdict = worse(audited(noisy), baseline)
    assert (verdict.outcome, verdict.n) == ("FAIL", 600)
    assert "600 items shared, 50 only here, 0 only there" in verdict.explanation
    assert verdict.value == worse(now, baseline).value


def test_a_verdict_depends_on_the_run_seed_alone():
    baseline, now = two_models(np.random.default_rng(5), 55, 60)
    assert worse(now, baseline) == worse(now, baseline)
    other = audited(now.items["value"].to_numpy(), seed=1)
    assert worse(other, baseline).interval != worse(now, baseline).interval
    shuffled = report(now[SCORE], items=now.items.sample(frac=1, random_state=0))
    assert worse(shuffled, baseline) == worse(now, baseline)


def test_what_cannot_be_compared_is_an_error():
    scores = np.repeat([100.0, 0.0], 20)
    good = audited(scores)
    renamed = report(good[SCORE], items=good.items.assign(item=lambda t: "other " + t["item"]))
    doubled = report(good[SCORE], items=pd.concat([good.items, good.items]))
    wrong = report(good[SCORE], items=good.items.assign(value=lambda t: t["value"] / 100))  # a share, not %
    cases = [
        (good, None, "needs a baseline report"),
        (good, report(), "is not in the baseline report"),
        (good, report(SKIPPED), "is skipped in the baseline"),
        (report(SKIPPED), good, "is skipped: no mask token"),
        (audited(scores, ideal=None), good, "has no ideal value"),
        (good, report(good[SCORE]), "the baseline has no item scores"),
        (good, renamed, "has no item in common"),
        (good, doubled, "the baseline holds an item of it twice"),
        (good, report(good[SCORE], items=good.items.iloc[:0]), "the baseline keeps no item scores"),
        (wrong, good, "it is 50.0 but its item scores give 0.5"),
        (audited(100 - scores[:10]), audited(scores[:10]), "too few|do not differ"),
    ]
    for now, baseline, why in cases:
        verdict = worse(now, baseline, limit=1)
        assert verdict.outcome == "ERROR", why
        assert re.search(why, verdict.explanation), (why, verdict.explanation)


# --- light ------------------------------------------------------------------------------------------------------------


def test_judging_limits_imports_nothing_heavy():
    code = (
        "import sys; from auditkit.gate import evaluate; from auditkit.report import AuditReport;"
        "r = AuditReport(subject={}, environment={}, config={}, seed=0, runs=[], measurements=[]);"
        "evaluate(r, [{'measurement': 'a', 'max': 1}]);"
        "print({'torch', 'numpy', 'scipy', 'pandas', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_verdicts_are_a_sequence():
    verdicts = evaluate(report(measured(45, 55)), [{"measurement": SCORE, "max": m} for m in (40, 60)])
    assert isinstance(verdicts, Verdicts)
    assert [v.outcome for v in verdicts] == ["FAIL", "PASS"]
    assert verdicts[-1:] == (verdicts[1],)
    assert len(str(verdicts).splitlines()) == 2
