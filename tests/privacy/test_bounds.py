"""Published and hand-computed bounds, how they grow, how guesses are made, and that pooled canaries are refused."""

import math

import numpy as np
import pytest
from scipy import stats

from auditkit.errors import InputError
from auditkit.privacy import bounds
from auditkit.privacy.bounds import (
    IndependentTrials,
    OneRun,
    best_guesses_epsilon,
    best_threshold_epsilon,
    clopper_pearson_epsilon,
    f_dp_one_run_epsilon,
    gdp_epsilon,
    one_run_epsilon,
)

DELTA = 1e-4


def separable_run(m: int) -> OneRun:
    """Three standard deviations between the canaries that were included and the others."""
    rng = np.random.default_rng(0)
    included = rng.random(m) < 0.5
    return OneRun(rng.normal(3 * included, 1), included)


class TestKnownValues:
    def test_one_run_published_example(self):
        assert one_run_epsilon(5000, 200, 198, delta=1e-4).epsilon == pytest.approx(2.47, abs=0.005)

    @pytest.mark.parametrize("delta", [0, 1e-9, 1e-6])
    def test_one_run_ceiling_of_1000_guesses(self, delta):
        assert bounds.one_run_ceiling(1000, 1000, delta=delta) == pytest.approx(5.8, abs=0.02)

    def test_one_run_at_delta_0_by_hand(self):
        """All of 10 right: q^10 = 0.05."""
        q = 0.05 ** (1 / 10)
        assert one_run_epsilon(10, 10, 10, delta=0).epsilon == pytest.approx(math.log(q / (1 - q)), abs=1e-9)

    def test_one_run_of_two_canaries_by_hand(self):
        """With both right and delta: q^2 + 4 delta max(2 q (1 - q), (1 - q^2) / 2) = 1 - level."""
        q = 0.6
        p_value = q**2 + 4 * 0.01 * max(2 * q * (1 - q), (1 - q**2) / 2)
        bound = one_run_epsilon(2, 2, 2, delta=0.01, level=1 - p_value)
        assert bound.epsilon == pytest.approx(math.log(q / (1 - q)), abs=1e-9)

    @pytest.mark.parametrize(("m", "r", "v"), [(5000, 200, 198), (1000, 1000, 700), (400, 50, 45), (40, 40, 40)])
    @pytest.mark.parametrize("delta", [1e-6, 1e-4])
    def test_one_run_is_where_the_p_value_is_5_percent(self, m, r, v, delta):
        q = 1 / (1 + math.exp(-one_run_epsilon(m, r, v, delta=delta).epsilon))
        right = stats.binom(r, q)
        nearly = max((right.cdf(v - 1) - right.cdf(v - i - 1)) / i for i in range(1, v + 1))
        assert right.sf(v - 1) + 2 * m * delta * nearly == pytest.approx(0.05, rel=1e-6)

    def test_clopper_pearson_by_hand(self):
        """Never wrong in n trials each: both error rates are at most 1 - 0.025^(1/n)."""
        least = 0.025 ** (1 / 50)
        bound = clopper_pearson_epsilon(50, 50, 0, 50, delta=0.01)
        assert bound.epsilon == pytest.approx(math.log((least - 0.01) / (1 - least)), abs=1e-9)
        assert bound.ceiling == bound.epsilon

    def test_clopper_pearson_takes_the_better_direction(self):
        few_misses = clopper_pearson_epsilon(100, 100, 20, 100, delta=1e-5)
        few_false_alarms = clopper_pearson_epsilon(80, 100, 0, 100, delta=1e-5)
        assert few_misses.epsilon == pytest.approx(few_false_alarms.epsilon, abs=1e-9)

    def test_gdp_by_hand(self):
        """The same error rates as mu, and mu as epsilon by the analytic Gaussian mechanism."""
        bound = gdp_epsilon(50, 50, 0, 50, delta=DELTA)
        mu, epsilon = bound.details["mu"], bound.epsilon
        assert mu == pytest.approx(2 * stats.norm.ppf(0.025 ** (1 / 50)), abs=1e-9)
        left, right = stats.norm.cdf([mu / 2 - epsilon / mu, -mu / 2 - epsilon / mu])
        assert left - math.exp(epsilon) * right == pytest.approx(DELTA, rel=1e-6)

    @pytest.mark.parametrize(("m", "refuted"), [(4, False), (5, True)])
    def test_f_dp_at_mu_0_is_the_binomial_test(self, m, refuted):
        """Without any leak all m guesses are right with probability 2^-m: 0.0625 for 4, 0.03125 for 5."""
        assert (f_dp_one_run_epsilon(m, m, m, delta=DELTA).details["mu"] > 0) == refuted

    @pytest.mark.parametrize(
        ("guesses", "delta", "one_run", "f_dp"),
        [
            ((5000, 200, 198), 1e-4, 2.4716097, 4.1676066),
            ((5000, 200, 198), 1e-6, 3.4316571, 5.3328054),
            ((1000, 1000, 1000), 1e-6, 5.8063965, 13.5142448),
            ((1000, 1000, 700), 1e-4, 0.7292531, 1.1576313),
            ((1000, 100, 98), 1e-6, 2.7219696, 4.7226594),
            ((2000, 500, 400), 1e-6, 1.1985103, 2.1316280),
        ],
    )
    def test_one_run_bounds_equal_those_of_jax_privacy(self, guesses, delta, one_run, f_dp):
        """Computed with jax-privacy 2.0.0."""
        assert one_run_epsilon(*guesses, delta=delta).epsilon == pytest.approx(one_run, abs=2e-6)
        assert f_dp_one_run_epsilon(*guesses, delta=delta).epsilon == pytest.approx(f_dp, abs=2e-6)

    @pytest.mark.parametrize(
        ("counts", "delta", "clopper_pearson", "gdp"),
        [
            ((95, 100, 3, 100), 1e-5, 2.3432995, 12.6768826),
            ((60, 200, 1, 300), 1e-2, 2.5126173, 3.1221681),
            ((500, 500, 0, 500), 1e-5, 4.9055841, 30.2806380),
            ((100, 100, 20, 100), 1e-2, 2.9589243, 6.7144593),
        ],
    )
    def test_bounds_of_trials_equal_those_of_jax_privacy(self, counts, delta, clopper_pearson, gdp):
        """Computed with jax-privacy 2.0.0, whose GDP bound corrects for three thresholds here."""
        assert clopper_pearson_epsilon(*counts, delta=delta).epsilon == pytest.approx(clopper_pearson, abs=2e-6)
        assert gdp_epsilon(*counts, delta=delta, level=1 - 0.05 / 3).epsilon == pytest.approx(gdp, abs=2e-6)


class TestShape:
    @pytest.mark.parametrize("bound", [one_run_epsilon, f_dp_one_run_epsilon])
    def test_one_run_bounds_are_monotone(self, bound):
        by_v = [bound(500, 100, v, delta=DELTA).epsilon for v in range(101)]
        assert by_v == sorted(by_v)
        assert by_v[50] == 0 < by_v[100]
        assert len(set(by_v)) > 30
        by_delta = [bound(500, 100, 95, delta=delta).epsilon for delta in (1e-8, 1e-5, 1e-3, 1e-2)]
        assert by_delta == sorted(set(by_delta), reverse=True)
        by_level = [bound(500, 100, 95, delta=DELTA, level=level).epsilon for level in (0.5, 0.9, 0.95, 0.999)]
        assert by_level == sorted(set(by_level), reverse=True)
        by_ceiling = [bound(1000, r, r, delta=1e-6).ceiling for r in (10, 100, 1000)]
        assert by_ceiling == sorted(set(by_ceiling))

    @pytest.mark.parametrize("bound", [clopper_pearson_epsilon, gdp_epsilon])
    def test_bounds_of_trials_are_monotone(self, bound):
        by_hits = [bound(hits, 100, 10, 100, delta=DELTA).epsilon for hits in range(20, 101)]
        assert by_hits == sorted(by_hits)
        by_false = [bound(90, 100, false, 100, delta=DELTA).epsilon for false in range(90)]
        assert by_false == sorted(by_false, reverse=True)
        by_level = [bound(90, 100, 10, 100, delta=DELTA, level=level).epsilon for level in (0.5, 0.9, 0.95, 0.999)]
        assert by_level == sorted(set(by_level), reverse=True)

    def test_nothing_right_bounds_nothing(self):
        for m, r, v in [(100, 0, 0), (100, 100, 0), (100, 100, 50), (1, 1, 1)]:
            assert one_run_epsilon(m, r, v, delta=DELTA).epsilon == 0
            assert f_dp_one_run_epsilon(m, r, v, delta=DELTA).epsilon == 0
        for counts in [(0, 100, 0, 100), (50, 100, 50, 100), (10, 100, 90, 100), (1, 1, 0, 1)]:
            assert clopper_pearson_epsilon(*counts, delta=DELTA).epsilon == 0
            assert gdp_epsilon(*counts, delta=DELTA).epsilon == 0

    def test_a_small_delta_changes_little_and_0_is_its_limit(self):
        pure = one_run_epsilon(1000, 500, 450, delta=0).epsilon
        assert one_run_epsilon(1000, 500, 450, delta=1e-14).epsilon == pytest.approx(pure, abs=1e-6)
        pure = clopper_pearson_epsilon(90, 100, 5, 100, delta=0).epsilon
        assert clopper_pearson_epsilon(90, 100, 5, 100, delta=1e-14).epsilon == pytest.approx(pure, abs=1e-9)

    def test_numbers_stay_finite_far_out(self):
        n = 10**10
        assert bounds.clopper_pearson_ceiling(n, n, delta=0) == pytest.approx(math.log(n / -math.log(0.025)), abs=1e-6)
        m = 100_000
        largest = math.log(m / -math.log(0.05))  # q^m = 0.05 with q close to 1
        assert bounds.one_run_ceiling(m, m, delta=0) == pytest.approx(largest, abs=1e-4)
        assert bounds.one_run_ceiling(m, m, delta=1e-12) == pytest.approx(largest, abs=1e-3)
        assert 20 < bounds.f_dp_one_run_ceiling(m, m, delta=1e-6) < 25
        assert 0 < one_run_epsilon(m, m, m // 2 + 600, delta=1e-9).epsilon < 0.02

    def test_a_result_says_how_far_it_could_see(self):
        bound = one_run_epsilon(1000, 1000, 600, delta=1e-9)
        assert bound.epsilon < 1 < bound.ceiling == bounds.one_run_ceiling(1000, 1000, delta=1e-9)
        assert bound.power == "with 1000 canaries and 1000 guesses the audit could at most have shown epsilon 5.81"
        assert (bound.n, bound.level, bound.delta, bound.details["v"]) == (1000, 0.95, 1e-9, 600)
        assert "2305.08846" in bound.source


class TestGuessing:
    def test_the_best_number_of_guesses_is_found(self):
        run = separable_run(1000)
        bound = best_guesses_epsilon(run, (10, 100, 1000), delta=1e-6)
        corrected = [one_run_epsilon(*run.guess(r), delta=1e-6, level=1 - 0.05 / 3) for r in (10, 100, 1000)]
        assert bound.epsilon == max(b.epsilon for b in corrected) > 1
        assert bound.ceiling == max(b.ceiling for b in corrected)
        assert bound.level == 0.95
        assert "10 or 100 or 1000 guesses" in bound.power

    def test_highest_are_guessed_in_and_lowest_out(self):
        run = OneRun([0.1, 0.9, 0.5, 0.3, 0.7], [False, True, True, True, False])
        assert run.guess(2) == (5, 2, 2)  # 0.9 in: right; 0.1 out: right
        assert run.guess(3) == (5, 3, 2)  # 0.7 in: wrong
        assert run.guess(4) == (5, 4, 2)  # 0.3 out: wrong
        assert run.guess(0) == (5, 0, 0)

    @pytest.mark.parametrize("order", [1, -1])
    def test_equal_scores_give_nothing_away(self, order):
        """Sorted canaries, all with the same score: breaking ties by position would be right every time."""
        included = np.repeat([True, False], 50)[::order]
        assert OneRun(np.zeros(100), included).guess(100).v == 0

    def test_threshold_counts(self):
        trials = IndependentTrials([1.0, 2.0, 3.0], [0.0, 2.0], models=5)
        assert trials.counts(2.0) == (2, 3, 1, 2)


class TestRefusals:
    @pytest.mark.parametrize("bound", [clopper_pearson_epsilon, gdp_epsilon, best_threshold_epsilon])
    def test_one_run_where_trials_must_be_independent(self, bound):
        run = separable_run(100)
        with pytest.raises(InputError, match=r"not: whatever happens to the run happens to all.*one_run_epsilon"):
            bound(run, delta=DELTA)

    def test_fewer_models_than_trials(self):
        with pytest.raises(InputError, match=r"10 scores from 1 models are not independent.*one_run_epsilon"):
            IndependentTrials(np.ones(5), np.zeros(5), models=1)

    @pytest.mark.parametrize("guesses", [(10, 11, 5), (10, 5, 6), (10, 5, -1), (0, 0, 0)])
    def test_impossible_guesses(self, guesses):
        for bound in (one_run_epsilon, f_dp_one_run_epsilon):
            with pytest.raises(InputError, match="expected 0 <= v <= r <= m"):
                bound(*guesses, delta=DELTA)

    @pytest.mark.parametrize("counts", [(11, 10, 0, 10), (-1, 10, 0, 10), (5, 10, 11, 10), (0, 0, 0, 10)])
    def test_impossible_counts(self, counts):
        for bound in (clopper_pearson_epsilon, gdp_epsilon):
            with pytest.raises(InputError, match="expected at least one trial of each"):
                bound(*counts, delta=DELTA)

    @pytest.mark.parametrize("delta", [-0.1, 1.0, math.nan])
    def test_delta_out_of_range(self, delta):
        with pytest.raises(InputError, match="delta"):
            one_run_epsilon(10, 10, 10, delta=delta)

    def test_gaussian_bounds_at_delta_0(self):
        for audit in (lambda: gdp_epsilon(9, 10, 1, 10, delta=0), lambda: f_dp_one_run_epsilon(10, 10, 10, delta=0)):
            with pytest.raises(InputError, match="no finite epsilon"):
                audit()

    @pytest.mark.parametrize("level", [0.0, 1.0, 95])
    def test_level_out_of_range(self, level):
        with pytest.raises(InputError, match="level"):
            clopper_pearson_epsilon(9, 10, 1, 10, delta=0, level=level)

    def test_coins_that_were_not_fair(self):
        with pytest.raises(InputError, match="100 of 100 canaries were included; fair coins"):
            OneRun(np.zeros(100), np.ones(100, bool))

    @pytest.mark.parametrize(
        ("scores", "included", "message"),
        [
            ([0.1, math.nan], [True, False], "NaN"),
            ([0.1, 0.2], [True], "included has shape"),
            ([0.1, 0.2], [0.5, 1], "True or False"),
            ([], [], "one score for each canary"),
        ],
    )
    def test_unusable_scores(self, scores, included, message):
        with pytest.raises(InputError, match=message):
            OneRun(scores, included)

    def test_nothing_to_choose_from(self):
        rng = np.random.default_rng(0)
        with pytest.raises(InputError, match="expected two of"):
            best_threshold_epsilon(IndependentTrials([1.0], [0.0, 0.1], models=3), rng=rng, delta=DELTA)
        with pytest.raises(InputError, match="no number of guesses"):
            best_guesses_epsilon(separable_run(10), (), delta=DELTA)
        with pytest.raises(InputError, match="did you mean 'gdp'"):
            best_threshold_epsilon(
                IndependentTrials(np.ones(10), np.zeros(10), models=20), rng=rng, delta=DELTA, bound="gdpp"
            )
        with pytest.raises(InputError, match="11 guesses about 10"):
            separable_run(10).guess(11)
