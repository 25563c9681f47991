import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from auditkit.errors import DataError, InputError
from auditkit.mitigation.baseline import LogisticBaseline
from auditkit.mitigation.erasure import LeaceEraser, one_hot
from auditkit.mitigation.inlp import INLP


@pytest.fixture
def planted():
    """Features in 10 dimensions of which a rotated plane holds three groups, and nothing else does."""

    def make(n, seed=0, effect=3.0):
        rng = np.random.default_rng(seed)
        code = rng.integers(3, size=n)
        x = rng.normal(size=(n, 10))
        x[:, :2] += effect * np.array([[0, 0], [1, 0], [0, 1]])[code]
        rotation = np.linalg.qr(np.random.default_rng(99).normal(size=(10, 10)))[0]
        return x @ rotation.T, np.array(["A", "B", "C"], dtype=object)[code], rotation[:, :2]

    return make


def recognized(x, groups, fresh, names):
    """Accuracy of a new classifier on people whom neither it nor the projection has seen."""
    return LogisticRegression(max_iter=1000).fit(x, groups).score(fresh, names)


def test_the_group_cannot_be_told_on_new_people(planted, rng):
    x, groups, _ = planted(4000)
    fresh, names, _ = planted(4000, seed=1)
    found = INLP().project(x, groups, rng=rng)
    assert found.reached_chance
    assert recognized(x, groups, fresh, names) > 0.75
    assert recognized(found.apply(x), groups, found.apply(fresh), names) < 0.37


def test_the_planted_plane_is_what_goes(planted, rng):
    x, groups, plane = planted(4000)
    found = INLP().project(x, groups, rng=rng)
    np.testing.assert_allclose(found.left, found.right.T, atol=1e-12)  # orthogonal, as published
    assert np.linalg.norm(found.right @ plane, axis=0) == pytest.approx(np.ones(2), abs=0.01)
    assert found.rank <= 6
    np.testing.assert_allclose(found.apply(found.apply(x)), found.apply(x), atol=1e-10)


def test_the_rounds_are_recorded_and_end_at_chance(planted, rng):
    found = INLP().project(*planted(4000)[:2], rng=rng)
    assert found.recognition[0] > 0.75
    assert found.recognition[-1] < 0.36
    assert len(found.recognition) >= 2


def test_groups_that_are_nowhere_to_be_seen_cost_nothing_nineteen_times_in_twenty(planted):
    stopped = [
        INLP().project(*planted(400, seed=s, effect=0.0)[:2], rng=np.random.default_rng(s)).rank == 0 for s in range(40)
    ]
    assert sum(stopped) >= 34  # P[Binomial(40, 0.95) < 34] is 0.3 %


def test_the_rounds_can_be_limited_and_the_result_says_so(made_up, rng):
    people = made_up(3000)
    shown = people.features.copy()
    shown[:, 2] += 0.5 * shown[:, 1]  # the group shows in two places
    found = INLP(max_rounds=1).project(shown, people.groups("group"), rng=rng)
    assert found.rank == 1
    assert len(found.recognition) == 2
    assert not INLP(max_rounds=1).project(*_many_traces(), rng=rng).reached_chance


def _many_traces():
    """Groups of which the variance of each feature also differs, so that one direction is not enough."""
    rng = np.random.default_rng(0)
    code = rng.integers(2, size=3000)
    x = rng.normal(size=(3000, 6)) * np.array([0.2, 3, 1, 1, 1, 1]) + code[:, None] * np.array([0.3, 3, 1, 0, 0, 0])
    return x, np.array(["A", "B"], dtype=object)[code]


def test_leace_keeps_more_of_features_that_correlate_with_the_group_s(made_up, rng):
    people = made_up(4000)
    x, groups = people.features.copy(), people.groups("group")
    x[:, 1] += 0.5 * x[:, 0]
    maps = (INLP().project(x, groups, rng=rng), LeaceEraser.fit(x, one_hot(groups)))
    moved = [np.square(m.apply(x - x.mean(axis=0)) - (x - x.mean(axis=0))).sum(axis=1).mean() for m in maps]
    assert moved[1] < moved[0]


@pytest.mark.parametrize("unit", [1.0, 1e6])
def test_the_mitigation_does_not_depend_on_the_units_and_shrinks_the_gap(made_up, gap, unit):
    people, others = made_up(5000), made_up(5000, seed=1)
    for p in (people, others):
        p.features[:, 3] = p.features[:, 3] * unit + unit
    decider = INLP().fit(people, sensitive="group", rng=np.random.default_rng(0))
    before = LogisticBaseline().fit(people, sensitive="group", rng=np.random.default_rng(0)).decide(others)
    assert gap(before, others) > 0.3
    assert gap(decider.decide(others), others) < 0.1
    assert decider.projection.reached_chance
    assert decider.projection.rank == len(decider.projection.recognition) - 1
    names = people.groups("group")
    fresh = others.groups("group")
    assert recognized(decider.represent(people), names, decider.represent(others), fresh) < 0.56


@pytest.mark.parametrize("options", [{"max_rounds": 0}, {"held_out": 0.0}, {"held_out": 1.0}])
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(InputError, match="expected 1 or more rounds and a share between 0 and 1"):
        INLP(**options)


def test_a_group_of_one_person_is_refused(rng):
    with pytest.raises(DataError, match="group 'B' has 1 person; expected 2 or more"):
        INLP().project(rng.normal(size=(3, 2)), np.array(["A", "A", "B"], dtype=object), rng=rng)
