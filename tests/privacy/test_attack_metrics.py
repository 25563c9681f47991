"""Attack metrics by hand, against the definitions, and by simulation where they promise a coverage."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from auditkit.errors import DataError
from auditkit.privacy.attack_metrics import compare_groups, evaluate, minimum_detectable_auc
from auditkit.privacy.roc import auc, roc, tpr_at_fpr

MEMBERS, NONMEMBERS = np.array([3.0, 2.0, 1.0]), np.array([2.0, 0.0])
PHI = NormalDist()


def judged(members, nonmembers, **options):
    return evaluate(members, nonmembers, rng=np.random.default_rng(0), **options)


# --- by hand ----------------------------------------------------------------------------------------------------


def test_auc_counts_pairs_and_a_tie_half():
    result = judged(MEMBERS, NONMEMBERS)
    assert result.auc.value == pytest.approx((2 + 1.5 + 1) / 6)  # 3 > 2, 0; 2 = 2 and > 0; 1 > 0
    assert result.tie_rate == pytest.approx(1 / 6)
    assert (result.members, result.nonmembers) == (3, 2)


def test_roc_at_every_score():
    curve = roc(MEMBERS, NONMEMBERS)
    assert curve.thresholds.tolist() == [3.0, 2.0, 1.0, 0.0, -math.inf]
    assert curve.tpr == pytest.approx([0, 1 / 3, 2 / 3, 1, 1])
    assert curve.fpr == pytest.approx([0, 0, 0.5, 0.5, 1])


def test_the_area_under_the_roc_is_the_auc():
    rng = np.random.default_rng(1)
    members, nonmembers = rng.integers(0, 9, 40) + 1.0, rng.integers(0, 9, 30).astype(float)
    curve = roc(members, nonmembers)
    assert np.trapezoid(curve.tpr, curve.fpr) == pytest.approx(auc(members, nonmembers).value)


def test_the_thinned_curve_lies_on_the_curve():
    rng = np.random.default_rng(1)
    thin = roc(rng.normal(1, 1, 500), rng.normal(size=1000)).thinned(20)
    assert len(thin["fpr"]) == 20
    assert (thin["fpr"][0], thin["fpr"][-1], thin["tpr"][-1]) == pytest.approx((0.001, 1, 1))
    assert thin["tpr"] == sorted(thin["tpr"])


def test_delong_variance_by_the_definition():
    """Logit-scale half width = t * sqrt(S10/m + S01/n) / (A (1 - A)), with the placements counted pair by pair."""
    rng = np.random.default_rng(2)
    x, y = rng.normal(0.7, 1, 25), rng.normal(size=35)
    wins = (x[:, None] > y) + 0.5 * (x[:, None] == y)
    a, parts = wins.mean(), [wins.mean(1).var(ddof=1) / 25, wins.mean(0).var(ddof=1) / 35]
    from scipy.stats import t

    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 24 + parts[1] ** 2 / 34)
    half = t.ppf(0.975, freedom) * math.sqrt(sum(parts)) / (a * (1 - a))
    found = auc(x, y)
    assert found.value == pytest.approx(a)
    assert math.log(found.interval.low / (1 - found.interval.low)) == pytest.approx(math.log(a / (1 - a)) - half)
    assert math.log(found.interval.high / (1 - found.interval.high)) == pytest.approx(math.log(a / (1 - a)) + half)


def test_contributions_have_the_auc_as_mean_and_its_variance():
    rng = np.random.default_rng(2)
    x, y = rng.normal(0.7, 1, 250), rng.normal(size=350)
    found = auc(x, y)
    wins = x[:, None] > y
    delong = wins.mean(1).var() / 250 + wins.mean(0).var() / 350
    assert found.contributions.mean() == pytest.approx(found.value)
    assert found.contributions.var() / 600 == pytest.approx(delong)


def test_perfect_separation_is_not_taken_for_certainty():
    """20 disjoint pairs that are all right: Clopper-Pearson, 0.025 ** (1 / 20)."""
    found = auc(np.arange(20.0) + 100, np.arange(50.0))
    assert found.value == 1.0
    assert (found.interval.low, found.interval.high) == pytest.approx((0.025 ** (1 / 20), 1.0))
    flipped = auc(np.arange(50.0), np.arange(20.0) + 100)
    assert (flipped.value, flipped.interval.high) == pytest.approx((0.0, 1 - 0.025 ** (1 / 20)))


def test_scores_that_are_all_equal_say_nothing():
    result = judged(np.ones(30), np.ones(40))
    assert (result.auc.value, result.tie_rate, result.p_value) == (0.5, 1.0, 1.0)
    assert result.auc.interval.low < 0.35 < 0.65 < result.auc.interval.high


def test_tpr_threshold_by_hand():
    """Of 1,000 non-members 0..999 one per cent is 10, so the threshold is the eleventh from above, 989."""
    members = np.array([2000.0] * 30 + [989.5] * 5 + [989.0] * 15 + [0.0] * 50)
    found = tpr_at_fpr(members, np.arange(1000.0), 0.01)
    assert found.threshold == 989.0
    assert found.value == 0.35
    assert found.found.sum() == 35
    strictest = tpr_at_fpr(members, np.arange(1000.0), 0.001)
    assert (strictest.threshold, strictest.value) == (998.0, 0.3)


def test_tpr_interval_by_hand():
    """P(Bin(1000, 0.01) <= 3) = 0.010, P(Bin <= 4) = 0.028: the fourth from above. P(Bin >= 19) = 0.007 < 1/80."""
    from scipy.stats import beta, binom

    assert binom.cdf(3, 1000, 0.01) < 0.0125 < binom.cdf(4, 1000, 0.01)
    k = next(k for k in range(1000) if binom.sf(k - 1, 1000, 0.01) <= 0.0125)
    strict, lax = 996.0, 1000.0 - k
    members = np.array([strict + 1] * 20 + [strict] * 10 + [lax + 0.5] * 10 + [lax] * 60)
    found = tpr_at_fpr(members, np.arange(1000.0), 0.01)
    assert found.interval.low == pytest.approx(beta.ppf(0.0125, 20, 81))
    assert found.interval.high == pytest.approx(beta.ppf(0.9875, 41, 60))


def test_too_few_nonmembers_for_the_fpr_are_said():
    rng = np.random.default_rng(0)
    one, tenth = judged(rng.normal(3, 1, 200), rng.normal(size=200)).tpr
    assert one.value is not None
    assert one.interval.low == 0
    assert (
        one.note == "n is small: with 200 non-members the lower end is 0 whatever the attack; a positive one needs 437"
    )
    assert (tenth.value, tenth.interval, tenth.threshold, len(tenth.found)) == (None, None, None, 0)
    assert tenth.note == "n is too small: 200 non-members cannot show an FPR of 0.10%; give at least 1000"


def test_the_stated_number_of_nonmembers_is_the_smallest_that_bounds_from_below():
    members = np.full(200, 10.0)
    for n, bounded in ((436, False), (437, True)):
        assert (tpr_at_fpr(members, np.arange(n) / n, 0.01).interval.low > 0) == bounded


# --- by simulation ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("m", "n", "distance"), [(20, 20, 0.0), (20, 20, 1.5), (60, 40, 0.5), (100, 100, 2.0)])
def test_the_auc_interval_covers(m, n, distance):
    rng = np.random.default_rng(m + n)
    truth = PHI.cdf(distance / math.sqrt(2))
    hits = sum(truth in auc(rng.normal(distance, 1, m), rng.normal(size=n)).interval for _ in range(600))
    assert hits >= 0.93 * 600


@pytest.mark.parametrize(("m", "n", "fpr"), [(50, 100, 0.01), (300, 1000, 0.01), (300, 5000, 0.001)])
@pytest.mark.parametrize("distance", [0.0, 2.0])
def test_the_tpr_interval_covers(m, n, fpr, distance):
    rng = np.random.default_rng(n)
    truth = 1 - PHI.cdf(PHI.inv_cdf(1 - fpr) - distance)
    found = [tpr_at_fpr(rng.normal(distance, 1, m), rng.normal(size=n), fpr).interval for _ in range(300)]
    assert sum(truth in interval for interval in found) >= 0.95 * 300


def test_the_tpr_interval_covers_where_scores_are_tied():
    """Scores 0..9 uniform against 0..9 and one more: P(non-member > 8) = 0.1, so at FPR 10 % the threshold is 8."""
    rng = np.random.default_rng(5)
    found = [tpr_at_fpr(rng.integers(0, 11, 200) * 1.0, rng.integers(0, 10, 400) * 1.0, 0.1) for _ in range(300)]
    assert sum(2 / 11 in f.interval for f in found) >= 0.95 * 300


def test_a_plain_interval_at_the_chosen_threshold_would_not_cover():
    """The positive control: forgetting that the threshold was estimated misses far more often than 5 %."""
    from auditkit.stats import clopper_pearson

    rng = np.random.default_rng(5)
    truth, hits = 1 - PHI.cdf(PHI.inv_cdf(0.99) - 2), 0
    for _ in range(300):
        found = tpr_at_fpr(rng.normal(2, 1, 1000), rng.normal(size=200), 0.01)
        hits += truth in clopper_pearson(int(found.found.sum()), 1000)
    assert hits < 0.7 * 300


def test_minimum_detectable_auc_is_found_four_times_out_of_five():
    rng, m, n = np.random.default_rng(6), 80, 120
    distance = math.sqrt(2) * PHI.inv_cdf(minimum_detectable_auc(m, n))
    found = [judged(rng.normal(distance, 1, m), rng.normal(size=n)).p_value < 0.05 for _ in range(400)]
    assert 0.74 < np.mean(found) < 0.87
    assert minimum_detectable_auc(2, 2) == 1.0


def test_minimum_detectable_tpr_is_found_four_times_out_of_five():
    rng, nonmembers = np.random.default_rng(7), np.arange(1000.0)
    effect = tpr_at_fpr(np.zeros(300), nonmembers, 0.01).minimum_detectable_effect
    members = np.where(rng.random((400, 300)) < effect, 2000.0, 0.0)
    found = [tpr_at_fpr(row, nonmembers, 0.01).interval.low > 0.01 for row in members]
    assert 0.74 < np.mean(found) < 0.87
    assert tpr_at_fpr(np.zeros(300), np.arange(100.0), 0.01).minimum_detectable_effect is None


# --- groups -----------------------------------------------------------------------------------------------------


def two_groups(rng, leak, n=80):
    """Group b is harder to predict; its members score `leak` higher than its non-members."""
    members = np.concatenate([rng.normal(0, 1, n), rng.normal(leak - 5, 1, n)])
    nonmembers = np.concatenate([rng.normal(0, 1, n), rng.normal(-5, 1, n)])
    labels = np.repeat(["a", "b"], n)
    return members, nonmembers, labels


def test_the_leaked_group_is_found():
    members, nonmembers, labels = two_groups(np.random.default_rng(8), leak=1.5)
    result = judged(members, nonmembers, groups=(labels, labels))
    assert 0.5 in result.groups["a"].auc.interval
    assert result.groups["b"].auc.interval.low > 0.7
    assert result.groups_p_value == 1 / 500


@pytest.mark.slow
def test_a_group_that_is_only_harder_to_predict_is_not_called_leaked():
    rng = np.random.default_rng(9)
    p = []
    for _ in range(200):
        members, nonmembers, labels = two_groups(rng, leak=0, n=25)
        p.append(compare_groups(members, nonmembers, labels, labels, ["a", "b"], rng=rng, draws=39))
    assert np.mean(np.array(p) <= 0.05) <= 0.09


def test_small_groups_are_named_and_left_out():
    scores, labels = np.arange(50.0), ["a"] * 31 + ["b"] * 19
    result = judged(scores, scores, groups=(labels, labels))
    assert list(result.groups) == ["a"]
    assert result.small_groups == {"b": (19, 19)}
    assert result.groups_p_value is None


# --- bad input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "nonmembers", "message"),
    [
        ([1.0], [1.0, 2.0], "scores of members: an array of shape (1,)"),
        ([1.0, 2.0], [[1.0, 2.0]], r"scores of non-members: an array of shape (1, 2)"),
        ([1.0, math.nan, math.inf], [1.0, 2.0], "2 scores of members are NaN or infinite"),
    ],
)
def test_scores_that_say_nothing_are_refused(members, nonmembers, message):
    with pytest.raises(DataError) as caught:
        judged(members, nonmembers)
    assert message in str(caught.value)


def test_a_wrong_fpr_and_wrong_groups_are_refused():
    with pytest.raises(DataError, match="fpr=1: expected a share between 0 and 1"):
        judged(MEMBERS, NONMEMBERS, fprs=[1])
    with pytest.raises(DataError, match="groups of 1 members and 2 non-members, but scores of 3 and 2"):
        judged(MEMBERS, NONMEMBERS, groups=(["a"], ["a", "b"]))
