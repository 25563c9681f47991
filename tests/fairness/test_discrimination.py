"""Areas under the ROC by group: equal to scikit-learn; a group ranked at random is found, equal groups are not."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from auditkit.fairness.discrimination import POINTS, area_difference, discrimination_by_group
from auditkit.fairness.people import cross


def people(n, strengths, seed):
    """(partition, label, score): group g's score tells the outcomes apart by strengths[g] standard deviations."""
    rng = np.random.default_rng(seed)
    group = rng.integers(len(strengths), size=n)
    label = rng.random(n) < 0.5
    raw = rng.normal(size=n) + label * np.array(strengths)[group]
    score = 1 / (1 + np.exp(-raw))
    (partition,) = cross({"g": np.array([f"{i}" for i in group], dtype=object)}, 1)
    return partition, label, score


def test_the_area_is_that_of_scikit_learn():
    partition, label, score = people(900, [1.0, 0.3], 0)
    for code, found in enumerate(discrimination_by_group(partition, label, score)):
        m = partition.codes == code
        assert found.area == pytest.approx(roc_auc_score(label[m], score[m]))
        assert found.area in found.interval
        assert (len(found.fpr), found.fpr[0], found.fpr[-1], found.tpr[-1]) == (POINTS, 0, 1, 1)
        assert list(found.tpr) == sorted(found.tpr)
        assert (found.positives, found.negatives) == (label[m].sum(), (~label[m]).sum())


def test_a_group_that_is_ranked_at_random_is_found():
    found = area_difference(discrimination_by_group(*people(2000, [1.5, 0.0, 1.5], 1)))
    assert found.interval.low > 0.2


def test_equal_groups_are_told_apart_in_at_most_a_twentieth_of_the_draws():
    missed = 0
    for seed in range(200):
        gap = area_difference(discrimination_by_group(*people(400, [1.0, 1.0, 1.0], seed)))
        missed += gap.interval.low > 0
    assert missed <= 15  # 5 % and two standard errors of 200 draws


def test_small_groups_are_shown_and_not_compared():
    partition, label, score = people(500, [1.0, 1.0], 2)
    partition.codes[:497] = 0  # only three people are in the other group
    partition.codes[497:] = 1
    large, small = discrimination_by_group(partition, label, score)
    assert small.small
    assert not large.small
    assert area_difference([large, small]) is None


def test_a_group_with_one_outcome_has_no_area():
    partition, label, score = people(100, [1.0, 1.0], 3)
    label[partition.codes == 1] = True
    alone = discrimination_by_group(partition, label, score)[1]
    assert (alone.area, alone.interval, alone.negatives) == (None, None, 0)
