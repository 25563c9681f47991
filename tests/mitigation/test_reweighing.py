import numpy as np
import pytest

from auditkit.mitigation.baseline import LogisticBaseline
from auditkit.mitigation.reweighing import Reweighing, reweighing_weights


def test_the_worked_example_of_the_publication():
    # Kamiran & Calders (2012), table 1: 10 applicants, 5 of each sex; 4 men and 2 women are hired.
    sex = np.array(list("MMMMMFFFFF"), dtype=object)
    hired = np.array([1, 1, 1, 1, 0, 0, 0, 1, 1, 0], dtype=bool)
    weights = reweighing_weights(sex, hired)
    expected = {("M", True): 0.75, ("M", False): 2.0, ("F", True): 1.5, ("F", False): 2 / 3}
    np.testing.assert_allclose(weights, [expected[s, y] for s, y in zip(sex, hired.tolist(), strict=True)])


@pytest.mark.parametrize("attribute", ["group", "group+coin"])
def test_weighted_outcome_and_group_are_independent(made_up, attribute):
    people = made_up(1500, groups=("A", "B", "C"))
    groups = people.groups(attribute)
    weights = reweighing_weights(groups, people.label)
    unweighted = [people.label[groups == g].mean() for g in set(groups)]
    assert max(unweighted) - min(unweighted) > 0.2
    for group in set(groups):
        members = groups == group
        assert np.average(people.label[members], weights=weights[members]) == pytest.approx(people.label.mean(), 1e-12)
        assert weights[members].sum() == pytest.approx(members.sum(), 1e-12)


def test_people_already_treated_alike_all_count_one():
    groups, label = np.array(list("AABB"), dtype=object), np.array([True, False, True, False])
    np.testing.assert_array_equal(reweighing_weights(groups, label), np.ones(4))


def test_the_planted_gap_shrinks(made_up, gap, rng):
    train, test = made_up(5000), made_up(5000, seed=1)
    before, after = (m.fit(train, sensitive="group", rng=rng).decide(test) for m in (LogisticBaseline(), Reweighing()))
    assert gap(before, test) > 0.3
    assert gap(after, test) < 0.4 * gap(before, test)
