"""The noise is normal, of the right size, new at every step, and on a grid where it is meant to resist an attack."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest, kurtosis, skew

from auditkit.privacy.noise import SecureNoise, SeededNoise, grid_spacing, noise_source
from auditkit.privacy.settings import PrivacySettingError

N = 200_000
SOURCES = [lambda: SeededNoise(0), SecureNoise]


def noise_of(source, n=N, *, noise_multiplier=1.0, max_grad_norm=1.0, step=0, dtype=torch.float64):
    sums = [torch.zeros(n, dtype=dtype)]
    return source.add_noise(sums, noise_multiplier=noise_multiplier, max_grad_norm=max_grad_norm, step=step)[0].numpy()


def assert_standard_normal(sample):
    """Thresholds of 5 standard errors, and a p-value that a right generator misses once in 10,000 runs."""
    n = len(sample)
    assert kstest(sample, "norm").pvalue > 1e-4
    assert abs(sample.mean()) < 5 / math.sqrt(n)
    assert abs(sample.var() - 1) < 5 * math.sqrt(2 / n)
    assert abs(skew(sample)) < 5 * math.sqrt(6 / n)
    assert abs(kurtosis(sample)) < 5 * math.sqrt(24 / n)
    assert abs(np.corrcoef(sample[:-1], sample[1:])[0, 1]) < 5 / math.sqrt(n)


@pytest.mark.parametrize("make", SOURCES)
def test_noise_is_normal_with_standard_deviation_sigma_times_c(make):
    assert_standard_normal(noise_of(make(), noise_multiplier=1.3, max_grad_norm=0.5) / 0.65)


def test_the_check_of_normality_finds_a_sample_that_is_not():
    rng = np.random.default_rng(0)
    for wrong in (rng.normal(0, 1.02, N), rng.standard_t(10, N) / math.sqrt(1.25), rng.uniform(-1, 1, N) * 3**0.5):
        with pytest.raises(AssertionError):
            assert_standard_normal(wrong)


@pytest.mark.parametrize("make", SOURCES)
def test_noise_is_added_to_the_sums_and_keeps_their_shapes_and_dtypes(make):
    sums = [torch.full((3, 4), 100.0), torch.full((), -7.0, dtype=torch.bfloat16), torch.zeros(0, 2)]
    noisy = make().add_noise(sums, noise_multiplier=1e-3, max_grad_norm=1.0, step=0)
    assert [(t.shape, t.dtype) for t in noisy] == [(t.shape, t.dtype) for t in sums]
    for before, after in zip(sums, noisy, strict=True):
        torch.testing.assert_close(after, before, atol=0.05, rtol=0)
    assert not torch.equal(noisy[0], sums[0])


@pytest.mark.parametrize("make", SOURCES)
def test_no_two_steps_and_no_two_tensors_share_their_noise(make):
    source, zeros = make(), [torch.zeros(1000), torch.zeros(1000)]
    first, second = (source.add_noise(zeros, noise_multiplier=1, max_grad_norm=1, step=s) for s in (0, 1))
    assert all(abs(np.corrcoef(a, b)[0, 1]) < 0.2 for a, b in [(first[0], first[1]), (first[0], second[0])])


def test_seeded_noise_repeats_a_step_in_a_resumed_run_and_secure_noise_never():
    assert np.array_equal(noise_of(SeededNoise(5), 10, step=9), noise_of(SeededNoise(5), 10, step=9))
    assert not np.array_equal(noise_of(SeededNoise(5), 10, step=9), noise_of(SeededNoise(6), 10, step=9))
    assert not np.array_equal(noise_of(SecureNoise(), 10), noise_of(SecureNoise(), 10))


def released(source, x):
    sums = [torch.full((1000,), x, dtype=torch.float64)]
    return source.add_noise(sums, noise_multiplier=1.0, max_grad_norm=1.0, step=0)[0].numpy()


def test_the_low_bits_of_secure_noise_do_not_depend_on_the_sum():
    """Mironov's attack: low bits left by adding in floating point tell which sum it was, as with the other source."""
    grid = grid_spacing(1.0, 1000)
    for x in (0.0, 1 / 3, 1e6):
        assert not np.any(released(SecureNoise(), x) % grid)
    naive = [np.spacing(abs(released(SeededNoise(0), x))) for x in (0.0, 1e6)]
    assert naive[0].max() < naive[1].min()  # every single outcome tells the two sums apart


def test_the_grid_moves_neighbours_apart_by_less_than_the_noise_is_enlarged():
    for coordinates in (1, 1000, 10**8):
        grid = grid_spacing(0.7, coordinates)
        assert math.log2(grid).is_integer()
        assert 2**-22 < grid * math.sqrt(coordinates) / 0.7 <= 2**-20


class Words:
    """A key stream of known words instead of ChaCha20's."""

    def __init__(self, *words):
        self.words = words

    def update(self, zeros):
        return np.array(self.words, dtype=np.uint64).tobytes()[: len(zeros)]


def test_normals_are_inverted_to_the_last_bit_of_the_tail():
    source = SecureNoise()
    source._stream = Words(0, 1, 0, 0, 2**64 - 1, 1, 2**63, 2)
    low, high, middle, quarter = source.normals(4)
    assert low == pytest.approx(-12.8, abs=0.5)  # uniform 2^-128: far beyond the 8.2 of a 53-bit uniform
    assert high > 12
    assert middle == 0
    assert quarter == pytest.approx(0.6745, abs=1e-4)


def test_normals_in_blocks_are_all_there():
    assert len(SecureNoise().normals((1 << 18) + 3)) == (1 << 18) + 3
    assert len(SecureNoise().normals(0)) == 0


def test_the_settings_choose_the_source():
    assert isinstance(noise_source(secure=True), SecureNoise)
    assert noise_source(secure=False, seed=3).seed == 3
    assert noise_source(secure=False).seed != noise_source(secure=False).seed
    with pytest.raises(PrivacySettingError, match="secure noise with seed = 3; expected no seed"):
        noise_source(secure=True, seed=3)


@pytest.mark.parametrize("make", SOURCES)
@pytest.mark.parametrize(
    ("sigma", "c", "x", "message"),
    [
        (0.0, 1.0, 0.0, "noise_multiplier = 0.0"),
        (1.0, 0.0, 0.0, "max_grad_norm = 0.0"),
        (1.0, -1.0, 0.0, "max_grad_norm = -1.0"),
        (1.0, 1.0, math.nan, "NaN or infinite"),
    ],
)
def test_bad_input_is_refused(make, sigma, c, x, message):
    with pytest.raises(PrivacySettingError, match=message):
        make().add_noise([torch.tensor([x])], noise_multiplier=sigma, max_grad_norm=c, step=0)


def test_a_sum_too_large_for_the_grid_is_refused():
    with pytest.raises(PrivacySettingError, match=r"reaches 1e\+20"):
        SecureNoise().add_noise([torch.tensor([1e20])], noise_multiplier=1, max_grad_norm=1, step=0)
