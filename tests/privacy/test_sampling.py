"""The samplers draw what the accountant is told they draw."""

import numpy as np
import pytest

from auditkit.privacy.sampling import PoissonSampler, ShuffledSampler, group_examples, physical_batches
from auditkit.privacy.settings import PrivacySettingError


@pytest.mark.parametrize("seed", [7, None])
def test_poisson_batches_have_the_size_and_spread_of_a_binomial(seed):
    sampler = PoissonSampler(500, 20, seed=seed)
    sizes = np.array([len(sampler.batch(step)) for step in range(2000)])
    deviation = np.sqrt(500 * sampler.rate * (1 - sampler.rate))
    assert sizes.mean() == pytest.approx(20, abs=5 * deviation / np.sqrt(2000))
    assert sizes.std() == pytest.approx(deviation, rel=0.08)  # fixed-size batches would have 0
    assert sampler.rate == 0.04


@pytest.mark.parametrize("seed", [7, None])
def test_units_join_independently_of_each_other_and_of_the_step(seed):
    sampler = PoissonSampler(4, 2, seed=seed)
    joined = np.zeros((4000, 4))
    for step, row in enumerate(joined):
        row[sampler.batch(step)] = 1
    assert joined.mean(axis=0) == pytest.approx(np.full(4, 0.5), abs=0.05)
    assert np.corrcoef(joined.T) == pytest.approx(np.eye(4), abs=0.09)
    assert np.corrcoef(joined[:-1, 0], joined[1:, 0])[0, 1] == pytest.approx(0, abs=0.09)


def test_empty_poisson_batches_are_as_frequent_as_they_must_be():
    sampler = PoissonSampler(10, 1, seed=3)
    empty = np.mean([len(sampler.batch(step)) == 0 for step in range(3000)])
    assert empty == pytest.approx(0.9**10, abs=0.045)


def test_a_rate_of_one_takes_everybody():
    assert PoissonSampler(6, 6).batch(0).tolist() == [0, 1, 2, 3, 4, 5]


def test_a_seed_repeats_every_step_and_no_seed_repeats_none():
    seeded = [PoissonSampler(200, 50, seed=1).batch(5).tolist() for _ in range(2)]
    assert seeded[0] == seeded[1]
    assert seeded[0] != PoissonSampler(200, 50, seed=1).batch(6).tolist()
    assert seeded[0] != PoissonSampler(200, 50, seed=2).batch(5).tolist()
    unseeded = PoissonSampler(200, 50)
    assert unseeded.batch(5).tolist() != unseeded.batch(5).tolist()


def test_a_shuffled_epoch_uses_every_unit_once_and_the_next_in_another_order():
    sampler = ShuffledSampler(103, 10, seed=0)
    assert sampler.steps_per_epoch == 11
    epochs = [np.concatenate([sampler.batch(e * 11 + i) for i in range(11)]) for e in range(2)]
    assert all(sorted(epoch) == list(range(103)) for epoch in epochs)
    assert epochs[0].tolist() != epochs[1].tolist()
    assert [len(sampler.batch(i)) for i in (9, 10, 11)] == [10, 3, 10]


def test_what_a_unit_sees():
    assert PoissonSampler(100, 10).composition(1.5, 42) == (1.5, 0.1, 42)
    assert ShuffledSampler(100, 10, seed=0).composition(1.5, 42) == (0.75, 1.0, 5)


def test_physical_batches_are_the_logical_batch_in_order():
    parts = list(physical_batches(np.arange(7), 3))
    assert [p.tolist() for p in parts] == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(physical_batches(np.array([], dtype=np.int64), 3)) == []
    with pytest.raises(PrivacySettingError, match="physical batch size 0"):
        physical_batches(np.arange(7), 0)


def test_users_own_their_examples():
    groups = group_examples(["ann", "bob", "ann", "cy", "bob", "ann"])
    assert [g.tolist() for g in groups] == [[0, 2, 5], [1, 4], [3]]


@pytest.mark.parametrize("make", [PoissonSampler, lambda n, b: ShuffledSampler(n, b, seed=0)])
def test_impossible_batches_are_refused(make):
    with pytest.raises(PrivacySettingError, match=r"hold 10 units of privacy .* a batch takes 11; .* at most 10"):
        make(10, 11)
    with pytest.raises(PrivacySettingError, match="batch size 0; expected 1 or more"):
        make(10, 0)
