"""The theorems of Belrose et al. (2023), each with what holds before erasure, so that the tests can tell."""

import dataclasses
import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from auditkit.errors import DataError
from auditkit.mitigation.baseline import LogisticBaseline
from auditkit.mitigation.erasure import LEACE, LeaceEraser, Projection, one_hot


def centred(x):
    return x - x.mean(axis=0)


def optimum(x, groups):
    """A logistic regression without penalty, fitted until the gradient vanishes."""
    return LogisticRegression(C=np.inf, max_iter=20_000, tol=1e-10).fit(x, groups)


@pytest.fixture(params=["two groups", "three groups", "crossed", "unscaled", "collinear", "more columns than rows"])
def data(request, made_up):
    """Features and the groups of people."""
    rng = np.random.default_rng(1)
    groups = ("A", "B", "C") if request.param == "three groups" else ("A", "B")
    people = made_up(1500, groups=groups, width=8)
    x, z = people.features, people.groups("group+coin" if request.param == "crossed" else "group")
    if request.param == "unscaled":
        x = x * np.logspace(-3, 6, 8) + 1
    if request.param == "collinear":
        x = np.column_stack([x @ rng.normal(size=(8, 12)), np.ones(1500), z == "A", z == "B"])
    if request.param == "more columns than rows":
        x, z = np.tile(x[:60], (1, 10)) + 1e-3 * rng.normal(size=(60, 80)), z[:60]
    return x, z


def test_nothing_of_the_features_correlates_with_the_group(data):
    x, groups = data
    z = one_hot(groups)
    scale = np.where(x.std(axis=0) > 0, x.std(axis=0), 1)
    before = centred(x).T @ centred(z) / len(x) / scale[:, None]
    after = centred(LeaceEraser.fit(x, z).apply(x)).T @ centred(z) / len(x) / scale[:, None]
    assert np.abs(before).max() > 0.1
    assert np.abs(after).max() < 1e-10


def test_erasing_twice_is_erasing_once(data):
    x, groups = data
    eraser = LeaceEraser.fit(x, one_hot(groups))
    once = eraser.apply(x)
    scale = np.where(x.std(axis=0) > 0, x.std(axis=0), 1)
    np.testing.assert_allclose(eraser.apply(once) / scale, once / scale, atol=1e-9)
    np.testing.assert_allclose(eraser.right @ eraser.left, np.eye(eraser.rank), atol=1e-9)
    assert LeaceEraser.fit(once, one_hot(groups)).rank == 0  # nothing is left to erase


@pytest.mark.parametrize("groups", [("A", "B"), ("A", "B", "C")])
def test_no_linear_classifier_beats_chance_afterwards_and_one_does_before(made_up, groups):
    people = made_up(1500, groups=groups, width=8)
    named = people.groups("group")
    shares = np.array([(named == g).mean() for g in groups])
    prior = -float(shares @ np.log(shares))
    erased = LeaceEraser.fit(people.features, one_hot(named)).apply(people.features)
    before, after = optimum(people.features, named), optimum(erased, named)
    assert log_loss(named, before.predict_proba(people.features)) < 0.7 * prior
    assert before.score(people.features, named) > shares.max() + 0.15
    assert log_loss(named, after.predict_proba(erased)) == pytest.approx(prior, abs=1e-8)
    np.testing.assert_allclose(after.predict_proba(erased), np.tile(shares, (1500, 1)), atol=1e-3)
    assert after.score(erased, named) == pytest.approx(shares.max(), abs=1e-12)


def test_crossed_groups_cannot_be_told_apart_either_way(made_up):
    people = made_up(1500, width=8)
    erased = LeaceEraser.fit(people.features, one_hot(people.groups("group+coin"))).apply(people.features)
    for attribute in ("group", "coin", "group+coin"):
        named = people.groups(attribute)
        shares = np.unique(named.astype(str), return_counts=True)[1] / 1500
        loss = log_loss(named, optimum(erased, named).predict_proba(erased))
        assert loss == pytest.approx(-float(shares @ np.log(shares)), abs=1e-8)


def test_it_is_the_orthogonal_projection_in_whitened_space(made_up):
    people = made_up(1500, groups=("A", "B", "C"), width=8)
    x, z = people.features @ np.random.default_rng(2).normal(size=(8, 8)), one_hot(people.groups("group"))
    values, axes = np.linalg.eigh(np.cov(x.T))
    whiten, unwhiten = (axes * values**power @ axes.T for power in (-0.5, 0.5))
    u = np.linalg.svd(whiten @ centred(x).T @ centred(z))[0][:, :2]
    expected = x.mean(axis=0) + centred(x) @ whiten @ (np.eye(8) - u @ u.T) @ unwhiten
    np.testing.assert_allclose(LeaceEraser.fit(x, z).apply(x), expected, atol=1e-9)


def test_every_other_map_that_erases_moves_the_features_further(made_up):
    rng = np.random.default_rng(3)
    people = made_up(1500, groups=("A", "B", "C"), width=8)
    x, z = people.features @ rng.normal(size=(8, 8)), one_hot(people.groups("group"))
    eraser = LeaceEraser.fit(x, z)
    cross = centred(x).T @ centred(z) / len(x)
    basis = np.linalg.svd(cross)[0][:, :2]
    keeps_erasing = np.eye(8) - basis @ basis.T
    here = np.eye(8) - eraser.left @ eraser.right
    others = [keeps_erasing, *(here + scale * rng.normal(size=(8, 8)) @ keeps_erasing for scale in (0.01, 0.1, 1) * 30)]
    weight = rng.normal(size=(8, 8))
    for inner in (np.eye(8), weight @ weight.T):  # the theorem holds for every inner product at once

        def moved(a, inner=inner):
            step = centred(x) @ (a - np.eye(8)).T
            return np.einsum("ni,ij,nj->n", step, inner, step).mean()

        assert np.abs(others[1] @ cross).max() < 1e-10  # they do erase
        assert min(map(moved, others)) > moved(here)


def test_it_equals_the_authors_implementation(made_up):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch.jit.script, where theirs is imported
        theirs = pytest.importorskip("concept_erasure", reason="needs `pip install --no-deps concept-erasure`")
    import torch

    people = made_up(1500, groups=("A", "B", "C"), width=8)
    x, z = people.features @ np.random.default_rng(4).normal(size=(8, 8)), one_hot(people.groups("group"))
    settings = {"shrinkage": False, "constrain_cov_trace": False, "svd_tol": 1e-8, "dtype": torch.float64}
    eraser = theirs.LeaceFitter(8, 3, **settings).update(torch.tensor(x), torch.tensor(z)).eraser
    np.testing.assert_allclose(LeaceEraser.fit(x, z).apply(x), eraser(torch.tensor(x)).numpy(), atol=1e-6)


def test_a_group_that_shows_only_in_a_tiny_difference_of_two_columns_is_erased(made_up):
    people = made_up(500, width=3)
    groups = people.groups("group")
    noise = np.random.default_rng(6).normal(size=500)
    twin = people.features[:, 0] + 1e-7 * ((groups == "A") + 0.5 * noise)
    x = np.column_stack([people.features[:, [0, 2]], twin])
    erased = LeaceEraser.fit(x, one_hot(groups)).apply(x)
    tiny = [(e[:, 2] - e[:, 0]) * 1e7 for e in (x, erased)]
    assert abs(np.corrcoef(tiny[0], groups == "A")[0, 1]) > 0.6
    assert abs(np.corrcoef(tiny[1], groups == "A")[0, 1]) < 1e-6


def test_numbers_can_be_erased_like_groups(made_up):
    people = made_up(500)
    age = people.features @ np.arange(20.0) + np.random.default_rng(5).normal(size=500)
    erased = LeaceEraser.fit(people.features, age).apply(people.features)
    assert np.abs(centred(erased).T @ centred(age)).max() / 500 < 1e-10
    assert np.abs(centred(people.features).T @ centred(age)).max() / 500 > 1


def test_an_unrelated_concept_is_barely_a_change_and_a_constant_one_is_none(made_up):
    x = made_up(500).features
    none = LeaceEraser.fit(x, np.ones(500))
    assert none.rank == 0
    np.testing.assert_array_equal(none.apply(x), x)


@pytest.mark.parametrize(("rows", "concept"), [(3, 4), (1, 1)])
def test_rows_that_do_not_match_are_refused(rows, concept):
    with pytest.raises(DataError, match=f"{rows} rows of features and {concept} of the concept"):
        LeaceEraser.fit(np.ones((rows, 2)), np.ones(concept))


def test_a_projection_takes_out_the_span_of_its_directions():
    directions = np.array([[3.0, 0, 0], [1.0, 1, 0], [2.0, 1, 0]])  # of rank 2
    projection = Projection.orthogonal("mine", directions)
    assert projection.rank == 2
    np.testing.assert_allclose(projection.apply(np.array([[1.0, 2, 3]])), [[0, 0, 3]], atol=1e-12)
    assert Projection.orthogonal("mine", np.zeros((0, 3))).rank == 0
    with pytest.raises(DataError, match=r"mine: features of shape \(1, 2\); expected \(n, 3\)"):
        projection.apply(np.ones((1, 2)))


def test_the_hash_is_of_the_map():
    one = Projection.orthogonal("mine", np.eye(3)[:1])
    assert one.sha256 == Projection.orthogonal("mine", np.eye(3)[:1]).sha256
    assert one.sha256 != Projection.orthogonal("mine", np.eye(3)[1:2]).sha256
    assert one.sha256 != dataclasses.replace(one, mean=np.ones(3)).sha256


def test_the_mean_log_odds_of_the_groups_become_alike_and_the_gap_shrinks(made_up, gap, rng):
    people, others = made_up(5000), made_up(5000, seed=1)
    before, after = (m.fit(people, sensitive="group", rng=rng) for m in (LogisticBaseline(), LEACE()))
    means = []
    for decider in (before, after):
        odds = np.log(decider.scores(people) / (1 - decider.scores(people)))
        means.append(abs(odds[people.groups("group") == "A"].mean() - odds[people.groups("group") == "B"].mean()))
    assert means[0] > 1
    assert means[1] < 1e-9
    assert gap(before.decide(others), others) > 0.3
    assert gap(after.decide(others), others) < 0.05
    represented = after.represent(others)
    assert np.abs(centred(represented).T @ centred(one_hot(others.groups("group")))).max() / 5000 < 0.03


@pytest.mark.data
@pytest.mark.slow
def test_adult_loses_little_accuracy_and_most_of_the_gap(adult, gap, rng):
    before, after = (
        m.fit(adult.train, sensitive="sex", rng=rng).decide(adult.test) for m in (LogisticBaseline(), LEACE())
    )
    assert gap(after, adult.test, "sex") < 0.4 * gap(before, adult.test, "sex")
    assert (after == adult.test.label).mean() > (before == adult.test.label).mean() - 0.02
