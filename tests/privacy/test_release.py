"""The release: clipped sums plus noise, divided by the expected batch size, whatever the batch was."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest, kurtosis, skew
from torch import nn

from auditkit.privacy.noise import SecureNoise, SeededNoise
from auditkit.privacy.release import release
from auditkit.privacy.settings import PrivacySettingError

SETTINGS = {"noise_multiplier": 1.5, "max_grad_norm": 0.5, "expected_batch_size": 10}


def parameters(*sums):
    """One parameter for each sum; None leaves it without a gradient."""
    made = []
    for total in sums:
        parameter = nn.Parameter(torch.zeros(3) if total is None else torch.zeros_like(total))
        parameter.grad = None if total is None else total.clone()
        made.append(parameter)
    return made


class NoNoise:
    policy = "none"

    def add_noise(self, sums, **settings):
        self.settings = settings
        return [total.clone() for total in sums]


def test_the_sum_is_divided_by_the_expected_batch_size():
    noise = NoNoise()
    first, second = parameters(torch.tensor([10.0, -20.0]), torch.tensor([[5.0]]))
    release([first, second], noise, **SETTINGS, step=7)
    assert first.grad.tolist() == [1.0, -2.0]
    assert second.grad.tolist() == [[0.5]]
    assert noise.settings == {"noise_multiplier": 1.5, "max_grad_norm": 0.5, "step": 7}


def test_the_noise_is_that_of_the_source_at_this_step():
    totals = [torch.randn(50), torch.randn(4, 5)]
    made = parameters(*totals)
    release(made, SeededNoise(3), **SETTINGS, step=2)
    expected = SeededNoise(3).add_noise(totals, noise_multiplier=1.5, max_grad_norm=0.5, step=2)
    for parameter, noisy in zip(made, expected, strict=True):
        assert torch.equal(parameter.grad, noisy / 10)


@pytest.mark.parametrize("source", [SeededNoise(0), SecureNoise()])
def test_a_released_zero_is_normal_with_deviation_sigma_c_over_l(source):
    n = 100_000
    (parameter,) = parameters(torch.zeros(n, dtype=torch.float64))
    release([parameter], source, **SETTINGS, step=0)
    sample = parameter.grad.numpy() / (1.5 * 0.5 / 10)
    assert kstest(sample, "norm").pvalue > 1e-4
    assert abs(sample.mean()) < 5 / math.sqrt(n)
    assert abs(sample.var() - 1) < 5 * math.sqrt(2 / n)
    assert abs(skew(sample)) < 5 * math.sqrt(6 / n)
    assert abs(kurtosis(sample)) < 5 * math.sqrt(24 / n)


def test_a_parameter_without_a_gradient_gets_noise_like_the_others():
    """Without noise on it, that it was not used would show."""
    with_gradient, without = parameters(torch.zeros(3), None)
    release([with_gradient, without], SeededNoise(0), **SETTINGS, step=0)
    assert (without.grad != 0).all()
    assert not np.allclose(without.grad, with_gradient.grad)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_sum_that_is_not_finite_is_never_released(broken):
    fine, spoiled = parameters(torch.ones(2), torch.tensor([1.0, broken]))
    with pytest.raises(PrivacySettingError, match="not finite"):
        release([fine, spoiled], SeededNoise(0), **SETTINGS, step=0)
    assert fine.grad.tolist() == [1.0, 1.0]  # nothing was changed


def test_half_precision_keeps_its_format():
    (parameter,) = parameters(torch.zeros(4, dtype=torch.bfloat16))
    release([parameter], SeededNoise(0), **SETTINGS, step=0)
    assert parameter.grad.dtype == torch.bfloat16
    assert (parameter.grad != 0).all()
