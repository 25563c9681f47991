import math

import numpy as np
import pytest
from scipy.stats import norm

from auditkit.errors import DataError, InputError, ModelError
from auditkit.privacy.lira import confidence_logit, lira, rmia


def logprob(phi):
    """The mean log-likelihood whose confidence has this logit."""
    return -np.log1p(np.exp(-np.asarray(phi, dtype=float)))


def columns(*rows):
    return np.array(rows, dtype=float)


# --- the logit ------------------------------------------------------------------------------------------------------


def test_the_logit_by_hand():
    assert confidence_logit(np.log([0.5, 0.8, 0.01])) == pytest.approx([0, math.log(4), -math.log(99)])


def test_the_logit_at_the_extremes():
    phi = confidence_logit(np.array([0.0, -1e-300, -1e-12, -700.0, -1e6]))
    assert np.isfinite(phi).all()
    assert phi[2] == pytest.approx(12 * math.log(10))
    assert phi[3:].tolist() == [-700, -1e6]
    assert phi[0] == phi[1] > phi[2]


# --- LiRA -----------------------------------------------------------------------------------------------------------

THREE_OUT = np.zeros((3, 2), dtype=bool)
"""Offline, three shadows without either record: phi 1, 2, 3 and -1, 0, 4."""
PHI_OUT = columns([1, -1], [2, 0], [3, 4])


def test_offline_with_three_shadows_by_hand():
    # Record 0: mean 2, variance (1 + 0 + 1)/2 = 1. Record 1: mean 1, variance (4 + 1 + 9)/2 = 7.
    scores = lira(logprob([4, 8]), logprob(PHI_OUT), THREE_OUT, online=False, variance="per_record")
    assert scores == pytest.approx([2, 7 / math.sqrt(7)])
    # Pooled: (2 + 14) / (2 + 2) = 4.
    pooled = lira(logprob([4, 8]), logprob(PHI_OUT), THREE_OUT, online=False, variance="global")
    assert pooled == pytest.approx([1, 3.5])
    assert lira(logprob([4, 8]), logprob(PHI_OUT), THREE_OUT, online=False).tolist() == pooled.tolist()


def test_offline_ignores_the_shadow_that_saw_the_record():
    # Three shadows, of which the last saw record 0: mean 1.5 and variance 1/2 remain.
    membership = THREE_OUT.copy()
    membership[2, 0] = True
    scores = lira(logprob([4, 8]), logprob(PHI_OUT), membership, online=False, variance="per_record")
    assert scores == pytest.approx([2.5 / math.sqrt(0.5), math.sqrt(7)])


def test_online_with_three_shadows_on_each_side_by_hand():
    phi = columns([4, 1], [1, 5], [5, 2], [2, 6], [6, 3], [3, 10])
    membership = np.array([[True, False], [False, True]] * 3)
    # Record 0: in 4, 5, 6 (mean 5, variance 1), out 1, 2, 3 (mean 2, variance 1); phi = 4:
    #   -(4-5)^2/2 + (4-2)^2/2 = 1.5.
    # Record 1: in 5, 6, 10 (mean 7, variance 7), out 1, 2, 3 (mean 2, variance 1); phi = 4:
    #   -(4-7)^2/14 - ln(7)/2 + (4-2)^2/2 = 2 - 9/14 - ln(7)/2.
    scores = lira(logprob([4, 4]), logprob(phi), membership, variance="per_record")
    assert scores == pytest.approx([1.5, 2 - 9 / 14 - math.log(7) / 2])
    # Pooled: in (2 + 14)/4 = 4, out (2 + 2)/4 = 1.
    pooled = lira(logprob([4, 4]), logprob(phi), membership, variance="global")
    assert pooled == pytest.approx([2 - 1 / 8 - math.log(2), 2 - 9 / 8 - math.log(2)])


def test_the_scores_are_the_papers_densities_and_tail():
    rng = np.random.default_rng(0)
    membership = rng.permuted(np.tile(np.arange(20)[:, None] < 10, (1, 50)), axis=0)
    phi, target = rng.normal(size=(20, 50)) + membership, rng.normal(size=50)
    in_, out = (np.where(side, phi, np.nan) for side in (membership, ~membership))
    fits = [(np.nanmean(side, axis=0), np.nanstd(side, axis=0, ddof=1)) for side in (in_, out)]
    expected = norm.logpdf(target, *fits[0]) - norm.logpdf(target, *fits[1])
    assert lira(logprob(target), logprob(phi), membership, variance="per_record") == pytest.approx(expected, rel=1e-9)
    offline = lira(logprob(target), logprob(phi), membership, variance="per_record", online=False)
    assert norm.cdf(offline) == pytest.approx(norm.cdf(target, *fits[1]), rel=1e-9)


@pytest.mark.parametrize(("shadows", "expected"), [(62, "global"), (64, "per_record")])
def test_own_variances_from_32_shadows_on_each_side(shadows, expected):
    rng = np.random.default_rng(1)
    membership = np.tile(np.arange(shadows)[:, None] % 2 == 0, (1, 5))
    args = logprob(rng.normal(size=5)), logprob(rng.normal(size=(shadows, 5))), membership
    assert lira(*args).tolist() == lira(*args, variance=expected).tolist()
    assert lira(*args, online=False).tolist() == lira(*args, online=False, variance=expected).tolist()


def test_shadows_that_all_agree_give_finite_scores():
    membership = np.array([[True], [False]] * 2)
    assert np.isfinite(lira(logprob([1]), logprob(np.ones((4, 1))), membership)).all()


# --- RMIA -----------------------------------------------------------------------------------------------------------

MEMBERSHIP = np.array([[True, False], [False, True], [True, True], [False, False]])
P_SHADOWS = np.array([[0.8, 0.3], [0.2, 0.6], [0.6, 0.8], [0.4, 0.1]])
P_TARGET = np.array([0.7, 0.2])
POPULATION = {
    "population_target": np.log([0.1, 0.6, 0.4, 0.9]),
    "population_shadows": np.log(np.tile([0.2, 0.5, 0.4, 0.3], (4, 1))),
}


def test_rmia_by_hand():
    # p(x): (mean in + mean out)/2 = (0.7 + 0.3)/2 = 0.5 and (0.7 + 0.2)/2 = 0.45; ratios 1.4 and 0.444.
    # Ratios of z: 0.5, 1.2, 1, 3. At gamma 1 record 0 exceeds three of them, record 1 none; at 2, 0.7 exceeds one.
    args = np.log(P_TARGET), np.log(P_SHADOWS), MEMBERSHIP
    assert rmia(*args, **POPULATION).tolist() == [0.75, 0.0]
    assert rmia(*args, **POPULATION, gamma=2).tolist() == [0.25, 0.0]


def test_rmia_offline_by_hand():
    # a = 0.5: p_in = (p_out + 1)/2, so p(x) = 0.75 p_out + 0.25: 0.475 and 0.4; ratios 1.474 and 0.5.
    # p(z) = 0.4, 0.625, 0.55, 0.475; ratios 0.25, 0.96, 0.727, 1.895: three and one are exceeded.
    args = np.log(P_TARGET), np.log(P_SHADOWS), MEMBERSHIP
    assert rmia(*args, **POPULATION, online=False, offline_a=0.5).tolist() == [0.75, 0.25]
    # With a = 1, memorising nothing, p(x) = p_out: ratios 2.333 and 1 against 0.5, 1.2, 1, 3 (a tie counts).
    assert rmia(*args, **POPULATION, online=False, offline_a=1.0).tolist() == pytest.approx([0.75, 0.5])


def test_rmia_takes_a_single_pair_of_shadows():
    membership = np.array([[True, False], [False, True]])
    population = {"population_target": np.log([0.5]), "population_shadows": np.log([[0.5], [0.5]])}
    assert rmia(np.log([0.9, 0.1]), np.log(np.full((2, 2), 0.5)), membership, **population).tolist() == [1.0, 0.0]


# --- refused --------------------------------------------------------------------------------------------------------


def attack(name, target, shadows, membership, **options):
    if name == "lira":
        return lira(target, shadows, membership, **options)
    population = {"population_target": target, "population_shadows": shadows}
    return rmia(target, shadows, membership, **population, **options)


@pytest.mark.parametrize("name", ["lira", "rmia"])
@pytest.mark.parametrize(
    ("target", "shadows", "membership"),
    [
        ((5,), (4, 5), (4, 6)),
        ((5,), (4, 5), (3, 5)),
        ((6,), (4, 5), (4, 5)),
        ((5,), (5,), (5,)),
        ((5, 1), (4, 5), (4, 5)),
    ],
)
def test_a_matrix_that_does_not_fit_the_records(name, target, shadows, membership):
    with pytest.raises(DataError, match="trained on a split of these very records"):
        attack(name, -np.ones(target), -np.ones(shadows), np.ones(membership, dtype=bool))


def test_a_matrix_of_numbers():
    with pytest.raises(DataError, match="of int64; expected booleans"):
        lira(-np.ones(2), -np.ones((2, 2)), np.array([[0, 1], [1, 0]]))


def test_fewer_than_two_shadows_with_or_without_a_record():
    membership = np.array([[True, True], [True, False], [False, False], [False, False]])
    args = -np.ones(2), -np.ones((4, 2)), membership
    with pytest.raises(DataError, match=r"1 of 2 records, the first of them record 1, .* attack offline"):
        lira(*args)
    lira(*args, online=False)
    rmia(*args, population_target=args[0], population_shadows=args[1])
    with pytest.raises(DataError, match=r"fewer than 2 shadows without them or with them; train more shadows$"):
        lira(*args[:2], ~membership)
    with pytest.raises(DataError, match=r"1 of 2 .* fewer than 2 shadows without them; train more shadows$"):
        lira(*args[:2], ~membership, online=False)
    with pytest.raises(DataError, match=r"2 of 2 .* fewer than 1 shadows"):
        rmia(*args[:2], np.zeros((4, 2), dtype=bool), population_target=args[0], population_shadows=args[1])


@pytest.mark.parametrize("name", ["lira", "rmia"])
@pytest.mark.parametrize("wrong", [0.1, math.nan, -math.inf])
def test_a_model_without_probabilities(name, wrong):
    membership = np.array([[True], [False]] * 2)
    with pytest.raises(ModelError, match="gives no probabilities, or losses"):
        attack(name, np.array([wrong]), -np.ones((4, 1)), membership)
    with pytest.raises(ModelError, match="gives no probabilities, or losses"):
        attack(name, np.array([-1.0]), np.full((4, 1), wrong), membership)


def test_options_out_of_range():
    args = -np.ones(1), -np.ones((4, 1)), np.array([[True], [False]] * 2)
    with pytest.raises(InputError, match="variance 'fixed'"):
        lira(*args, variance="fixed")
    for options in ({"gamma": 0.0}, {"offline_a": 1.5}):
        with pytest.raises(InputError, match="expected a positive number"):
            attack("rmia", *args, **options)
