"""A rule that its items cannot decide is told so before the run; one that they can is not."""

from pathlib import Path

import numpy as np
import pytest
import yaml

import auditkit as ak
from auditkit import attainability, config, stats
from auditkit.errors import DataError
from auditkit.gate import Rule, evaluate
from auditkit.measurement import Interval, Measurement
from auditkit.probes.base import Planned
from auditkit.probes.pairs import CrowsPairs, StereotypePairs
from auditkit.rendering import narrative
from auditkit.report import AuditReport
from auditkit.runner import Listener
from auditkit.testing import FakeMaskedLM
from tests.docs_reader import PAGES, blocks

ROOT = Path(__file__).parents[1]
SCORE = "stereotype_pairs/all/metric_score"
GROUPS = ("age", "disability", "gender", "origin", "religion", "socioeconomic")
HALF = Planned.share([f"topic {i % 14}" for i in range(56)])  # what a group had before its topics were doubled


def plan(group: Planned, groups: int) -> dict[str, Planned]:
    return {f"p/{i}/score": group for i in range(groups)}


def test_by_hand():
    """The error is 50 / sqrt(56) = 6.68; t(13) = 2.160, so ±14.4; for 7 rules 2.690 / 1.960 times that, ±19.8."""
    said = attainability.remark(Rule(measurement="p/*/score", min=30, max=70), plan(HALF, 7))
    assert said == (
        "p/*/score: 56 items in 14 clusters give an interval of about ±14.4 (±19.8, widened for 7 measurements), "
        "too wide for 30 to 70: a model at 50 hardly ever passes; allow 13 to 87, or take more items"
    )
    alone = attainability.remark(Rule(measurement="p/0/score", equivalent_to=50, margin=15), plan(HALF, 1))
    assert alone == (
        "p/0/score: 56 items in 14 clusters give an interval of about ±14.4, too wide for 50 ± 15: "
        "a model at 50 passes in 7% of the runs; allow 24 to 76, or take more items"
    )


@pytest.mark.parametrize(
    ("rule", "warned"),
    [
        ({"equivalent_to": 50, "margin": 5}, True),
        ({"equivalent_to": 50, "margin": 26}, False),
        ({"max": 60}, True),
        ({"min": 40}, True),
        ({"max": 70}, False),
        ({"max": 40}, False),  # leaves out 50 itself: no model without bias is meant to pass
        ({"max_worsening": 1}, False),
    ],
)
def test_only_limits_too_near_to_the_ideal_value_are_named(rule, warned):
    assert bool(attainability.remark(Rule(measurement="p/0/score", **rule), plan(HALF, 1))) is warned


@pytest.mark.parametrize(("rule", "wide_enough"), [({"max": 60}, "<= 76"), ({"min": 40}, ">= 24")])
def test_the_limit_that_is_recommended_is_of_the_same_kind(rule, wide_enough):
    said = attainability.remark(Rule(measurement="p/0/score", **rule), plan(HALF, 1))
    assert f"allow {wide_enough}, or" in said


def test_a_quantity_without_error_can_keep_any_limit():
    exact = Planned(n=5, clusters=5, error=0.0, ideal=1.0)
    assert attainability.remark(Rule(measurement="p/0/score", equivalent_to=1, margin=0.001), plan(exact, 3)) == ""


@pytest.mark.parametrize("margin", [14, 18, 22])
def test_the_chance_is_that_of_simulated_models(margin):
    rng, clusters = np.random.default_rng(margin), np.repeat(np.arange(28), 4)
    passed = []
    for _ in range(150):
        values = 100.0 * (rng.random(len(clusters)) < 0.5)
        interval = stats.cluster_bootstrap(values, clusters, bounds=(0, 100), rng=rng, resamples=499)
        passed.append(50 - margin <= interval.low and interval.high <= 50 + margin)
    planned = Planned.share([str(c) for c in clusters])
    odds = attainability.Odds(planned, 1, 50 - margin, 50 + margin)
    assert odds.chance == pytest.approx(np.mean(passed), abs=0.1)


def test_the_recommended_margin_lets_an_unbiased_model_pass_in_nine_of_ten_runs():
    odds = attainability.Odds(HALF, 1, 0, 100)
    assert attainability.Odds(HALF, 1, 50 - odds.margin, 50 + odds.margin).chance == pytest.approx(0.9)


# --- before a run ----------------------------------------------------------------------------------------------


def test_the_old_defaults_are_named_with_their_place():
    rules = [Rule(measurement=SCORE, min=0), Rule(measurement=SCORE, equivalent_to=50, margin=5)]
    (said,) = attainability.warnings([StereotypePairs()], rules)
    assert said.startswith(f"gate[1]: {SCORE}: 672 items in 168 clusters give an interval of about ±3.81, too wide")


class Unplannable:
    id = "unplannable"

    def planned(self):
        raise ZeroDivisionError


class Unread:
    id = "unread"

    def planned(self):
        pytest.fail("no rule asks about it")


def test_what_cannot_be_planned_is_left_out_and_stops_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("AUDITKIT_DATA", str(tmp_path))
    monkeypatch.setenv("AUDITKIT_CACHE", str(tmp_path))
    with pytest.raises(DataError):
        CrowsPairs().planned()
    rules = [Rule(measurement=f"{p}/*", equivalent_to=50, margin=0.1) for p in ("crows_pairs", "unplannable", "p")]
    assert attainability.warnings([CrowsPairs(), Unplannable(), Unread(), object()], rules) == []


AUDITS = [ROOT / "audit.yaml", *sorted((ROOT / "examples").rglob("*.yaml"))]


@pytest.mark.parametrize("path", AUDITS, ids=lambda p: p.name)
def test_no_shipped_gate_is_warned_of(path):
    settings = config.load(path, model="auditkit.testing:FakeMaskedLM")  # one names a table that only its user has
    assert settings.gate
    assert attainability.warnings(settings.build_probes(), settings.rules()) == []


def test_no_rule_of_the_documentation_is_warned_of_but_the_one_that_shows_the_warning():
    warned = []
    for page in PAGES:
        for block in blocks(page):
            shown = yaml.safe_load(block.text) if block.language == "yaml" else None
            if isinstance(shown, dict) and "gate" in shown:
                rules = [Rule.from_mapping(rule) for rule in shown["gate"]]
                said = attainability.warnings([StereotypePairs(), CrowsPairs()], rules)
                warned += [page for _ in said] if block.title != "narrow.yaml" else []
    assert warned == []


class Order(Listener):
    def __init__(self):
        self.told = []

    def warned(self, warning):
        self.told.append(warning.split(":")[0])

    def run_started(self, subject, probes):
        self.told.append("started")


def test_a_run_is_warned_before_the_model_is_loaded_and_goes_on():
    listener = Order()
    probe = StereotypePairs(groups=("gender",), methods=("aul",), null_items=2)
    gate = [{"measurement": SCORE, "equivalent_to": 50, "margin": 0.5}]
    report = ak.audit(FakeMaskedLM(), [probe], gate=gate, listener=listener)
    assert listener.told == ["gate[0]", "started"]
    assert report.verdicts


# --- in the report ---------------------------------------------------------------------------------------------


def judged(half: float, rule: Rule) -> AuditReport:
    measurements = [
        Measurement(
            id=f"p/{g}/score", value=52.0, interval=Interval(52 - half, 52 + half), n=56, unit="%", ideal=50.0,
            details={"clusters": 14},
        )
        for g in GROUPS
    ]  # fmt: skip
    report = AuditReport(subject={}, environment={}, config={}, seed=0, runs=(), measurements=measurements)
    return AuditReport(**{**vars(report), "verdicts": tuple(evaluate(report, [rule]))})


def test_a_report_says_it_of_rules_that_were_inconclusive():
    said = [s for s in narrative.unknowns(judged(12, Rule(measurement="p/*/score", max=60))) if "too wide" in s]
    assert said == [
        "The rule on p/*/score: 56 items in 14 clusters give an interval of about ±12 (±16.2, widened for 6 "
        "measurements), too wide for <= 60: a model at 50 hardly ever passes; allow <= 80, or take more items."
    ]


@pytest.mark.parametrize(("half", "limit"), [(2, 60), (2, 54), (12, 95)])
def test_a_report_does_not_say_it_of_a_rule_that_can_be_kept(half, limit):
    """Whether it was passed, or was inconclusive because the value lies near the limit."""
    report = judged(half, Rule(measurement="p/*/score", max=limit))
    assert not [s for s in narrative.unknowns(report) if "too wide" in s]
