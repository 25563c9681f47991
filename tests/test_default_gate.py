"""The operating curve of the shipped audit.yaml: an unbiased model passes its gate, one at 65 % fails it."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import auditkit as ak
from auditkit import config, data, stats
from auditkit.gate import evaluate
from auditkit.measurement import Measurement
from auditkit.models.protocols import TokenScores
from auditkit.probes.pairs import StereotypePairs
from auditkit.probes.pronoun_gap import PronounGap
from auditkit.report import AuditReport
from auditkit.testing import FakeCausalLM

SETTINGS = config.load(Path(__file__).parents[1] / "audit.yaml")
SENTENCES = frozenset(data.load("builtin_sentences").items)
"""Likelier than their words shuffled, and than everything else that is no pair."""

RESAMPLES = 999
NOISE = 0.3
"""Standard deviation in nats of an occupation's gap about the line, as minilm-mlm has it."""


class Decides(FakeCausalLM):
    """Prefers the stereotype in `share` of the shipped pairs, decided by lot; says "she" or "he" by noise."""

    def __init__(self, share: float, seed: int) -> None:
        super().__init__(seed=seed)
        self.sentences = SENTENCES
        self.rng = np.random.default_rng(seed)
        pairs = data.load("builtin_pairs").items
        prefers = self.rng.random(len(pairs)) < share
        self.scores = {p.more: float(yes) for p, yes in zip(pairs, prefers, strict=True)} | {
            p.less: float(not yes) for p, yes in zip(pairs, prefers, strict=True)
        }

    def token_logprobs(self, texts):
        one = np.zeros(1, dtype=np.int64), np.zeros((1, 2), dtype=np.int64)
        return [
            TokenScores(one[0], np.array([self.scores.get(text, text in self.sentences)], float), one[1])
            for text in texts
        ]

    def randomized(self, seed):
        twin = super().randomized(seed)
        twin.sentences = frozenset()
        return twin

    def next_token_logprobs(self, prefixes, words):
        return self.rng.normal(scale=NOISE, size=(len(prefixes), len(words)))


def outcomes(model: Decides) -> dict[str, set[str]]:
    """What each rule of audit.yaml says of `model`, measured by the real probes."""
    probes = [StereotypePairs(methods=("total",), null_items=2), PronounGap(null_items=4)]
    found: dict[str, set[str]] = {}
    for verdict in ak.audit(model, probes, gate=SETTINGS.gate).verdicts:
        found.setdefault(verdict.rule.measurement, set()).add(verdict.outcome)
    return found


def test_a_model_without_a_preference_passes_every_rule():
    assert set().union(*outcomes(Decides(0.5, seed=1)).values()) == {"PASS"}


def test_a_model_that_prefers_65_percent_fails():
    found = outcomes(Decides(0.65, seed=1))
    assert found["stereotype_pairs/all/metric_score"] == {"FAIL"}
    assert found["pronoun_gap/all/slope"] == {"PASS"}


def simulated(rng: np.random.Generator, share: float, icc: float) -> list[Measurement]:
    """The scores over all pairs and by group that the gate judges, the answers within a topic correlated by `icc`."""
    pairs = [p for p in data.load("builtin_pairs").items if p.direction != "control"]
    topics = np.unique([p.cluster for p in pairs], return_inverse=True)[1]
    spread = (1 - icc) / icc if icc else np.inf
    of_topic = np.full(topics.max() + 1, share)
    if icc:
        of_topic = rng.beta(share * spread, (1 - share) * spread, size=topics.max() + 1)
    values, group = 100.0 * (rng.random(len(pairs)) < of_topic[topics]), np.array([p.group for p in pairs])
    parts: Mapping[str, np.ndarray] = {"all": group != ""} | {g: group == g for g in sorted(set(group.tolist()))}
    return [
        Measurement(
            id=f"stereotype_pairs/{name}/metric_score",
            value=float(values[part].mean()),
            interval=stats.cluster_bootstrap(values[part], topics[part], bounds=(0, 100), rng=rng, resamples=RESAMPLES),
            n=int(part.sum()),
            unit="%",
        )
        for name, part in parts.items()
    ]


def operating(share: float, *, runs: int, icc: float = 0.0, seed: int = 0) -> dict[str, float]:
    """How often the rules on pairs all PASS, one says FAIL, and the gate lets through (exit code 0)."""
    rng = np.random.default_rng(seed)
    rules = [rule for rule in SETTINGS.rules() if rule.measurement.startswith("stereotype_pairs/")]
    judged = []
    for _ in range(runs):
        measurements = simulated(rng, share, icc)
        report = AuditReport(subject={}, environment={}, config={}, seed=0, runs=(), measurements=measurements)
        judged.append(evaluate(report, rules))
    return {
        "pass": np.mean([v.outcome == "PASS" for v in judged]),
        "fail": np.mean([v.outcome == "FAIL" for v in judged]),
        "open": np.mean([v.exit_code == 0 for v in judged]),
    }


@pytest.mark.slow  # 400 gates each
@pytest.mark.parametrize(("share", "outcome"), [(0.5, "pass"), (0.65, "fail")])
def test_the_gate_decides_right_in_nine_of_ten_runs(share, outcome):
    assert operating(share, runs=400)[outcome] >= 0.9


@pytest.mark.slow
def test_with_correlated_topics_it_still_lets_an_unbiased_model_through():
    fair, biased = (operating(share, runs=400, icc=0.1, seed=1) for share in (0.5, 0.65))
    assert fair["open"] >= 0.87
    assert biased["open"] == 0
    assert biased["fail"] >= 0.87


def test_few_simulated_gates_agree_with_the_many():
    fair, biased = (operating(share, runs=25) for share in (0.5, 0.65))
    assert fair["pass"] >= 0.8
    assert fair["fail"] == 0
    assert biased["fail"] >= 0.8
    assert biased["open"] == 0


@pytest.mark.parametrize("noise", [NOISE, 2 * NOISE])
def test_a_pronoun_that_ignores_the_occupation_passes_its_rule(noise):
    share = np.array([o.female_share for o in data.load("builtin_occupations").items])
    (rule,) = (rule for rule in SETTINGS.rules() if rule.measurement == "pronoun_gap/all/slope")
    rng, low, high = np.random.default_rng(0), *rule.allowed
    gaps = rng.normal(-1.2, noise, size=(100, len(share)))  # a model that prefers "he", everywhere alike
    intervals = [stats.cluster_bootstrap(g, np.arange(len(g)), x=share, rng=rng, resamples=RESAMPLES) for g in gaps]
    assert np.mean([low <= i.low and i.high <= high for i in intervals]) >= 0.9
