"""The evidence computed beside a score."""

import numpy as np
import pytest

from auditkit.measurement import Measurement
from auditkit.probes.base import ItemScore
from auditkit.probes.evidence import adjust_p_values, extremes, random_weights_nulls, sign_flip_test, subset, summarize
from auditkit.testing import FakeMaskedLM


def test_sign_flips_are_enumerated():
    rng = np.random.default_rng(0)
    assert sign_flip_test(np.array([1.0, 1.0, 1.0]), ["a", "b", "c"], 0.0, rng) == 2 / 8
    assert sign_flip_test(np.array([1.0, 1.0, 1.0]), ["a", "a", "b"], 0.0, rng) == 2 / 4
    # sums 3, -1: |3-1| = 2 is reached by all four assignments (4, 2, -2, -4)
    assert sign_flip_test(np.array([53.0, 49.0]), ["a", "b"], 50.0, rng) == 1.0
    # sums 3, 1: 4 is reached by two of the four
    assert sign_flip_test(np.array([53.0, 51.0]), ["a", "b"], 50.0, rng) == 0.5


def test_drawn_sign_flips_never_give_zero():
    values = np.ones(100)
    p = sign_flip_test(values, [str(i) for i in range(100)], 0.0, np.random.default_rng(0))
    assert p == 1 / 20_001


def test_sign_flips_keep_their_level_with_clusters():
    rng = np.random.default_rng(1)
    clusters = [str(c) for c in np.repeat(np.arange(12), 5)]
    nulls = [rng.normal(size=12).repeat(5) + 0.3 * rng.normal(size=60) for _ in range(600)]
    rejected = np.mean([sign_flip_test(v, clusters, 0.0, rng) <= 0.05 for v in nulls])
    assert 0.03 <= rejected <= 0.07


def items(values, measurement="p/all/share"):
    return [ItemScore(measurement, str(i), v, f"c{i // 2}") for i, v in enumerate(values)]


def test_a_summary_is_the_mean_with_its_evidence():
    found = summarize(
        items([100.0, 0.0, 100.0, 100.0, 0.0, 100.0]),
        unit="%",
        ideal=50,
        null=50,
        bounds=(0, 100),
        method="m",
        source="s",
        rng=np.random.default_rng(0),
    )
    assert found.value == pytest.approx(400 / 6)
    assert found.value in found.interval
    assert found.n == 6
    assert found.details["clusters"] == 3
    assert found.details["p_value"] == 1.0  # cluster sums 0, 100, 0: every assignment reaches +-100
    assert found.details["minimum_detectable_effect"] > 90


def test_a_mean_without_spread_and_bounds_has_no_interval_and_says_why():
    found = summarize(items([1.0, 1.0]), unit="", ideal=None, method="m", source="s", rng=np.random.default_rng(0))
    assert found.interval is None
    assert found.details["no_interval"]
    assert "p_value" not in found.details


def test_holm_runs_over_what_was_tested():
    def tested(name, **details):
        return Measurement(id=f"p/{name}/m", value=1.0, n=1, details=details)

    a, b, c = adjust_p_values([tested("a", p_value=0.01), tested("b"), tested("c", p_value=0.04)])
    assert a.details == {"p_value": 0.01, "p_value_holm": 0.02, "comparisons": 2}
    assert b.details == {}
    assert c.details["p_value_holm"] == 0.04
    assert adjust_p_values([b]) == [b]


def test_extremes_lie_farthest_from_the_center():
    rows = [{"a": str(s), "b": "", "score": s, "group": ""} for s in (40.0, 52.0, 70.00049, 49.0)]
    assert [r["score"] for r in extremes(rows, center=50, k=2)] == [70.0, 40.0]


def test_a_subset_is_drawn_without_repeats():
    rng = np.random.default_rng(0)
    assert subset(3, 10, rng) == [0, 1, 2]
    drawn = subset(1000, 60, rng)
    assert len(set(drawn)) == 60
    assert drawn == sorted(drawn)


def test_each_random_model_is_drawn_once_for_all_nulls():
    drawn = []

    class Model(FakeMaskedLM):
        def randomized(self, seed):
            drawn.append(seed)
            return seed

    nulls = random_weights_nulls(Model(), lambda seed: {"a": seed, "b": 10.0 * seed}, {"a": 5, "b": 7})
    assert drawn == [0, 1, 2]
    assert nulls["a"] == {"values": [0.0, 1.0, 2.0], "mean": 1.0, "sd": 1.0, "n": 5, "seeds": [0, 1, 2]}
    assert nulls["b"]["sd"] == 10.0
