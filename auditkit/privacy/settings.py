"""What a private training may be asked for: each setting is checked once, here."""

from __future__ import annotations

from auditkit.errors import InputError

MAX_TARGET_EPSILON = 200.0
LEAST_NOISE_MULTIPLIER = 1e-9
LARGEST = 1e6
"""Of a noise multiplier or a clipping norm: beyond it nothing is clipped, or nothing is left but noise."""


class PrivacySettingError(InputError):
    """A setting of the private training protects nothing, or cannot be reached."""


def check_delta(delta: float, units: int) -> None:
    """Refuse a delta with which a mechanism that publishes a random record whole would count as private.

    Raises:
        PrivacySettingError: `delta` is not in (0, 1/units).
    """
    if not 0 < delta < 1 / units:
        raise PrivacySettingError(
            f"delta = {delta:g} with {units} units of privacy; expected 0 < delta < 1/{units} = {1 / units:.3g}, "
            f"for instance {0.1 / units:.1g}: a larger delta allows whole records to be published"
        )


def check_noise_multiplier(noise_multiplier: float) -> None:
    """Raise PrivacySettingError unless `noise_multiplier` is in [1e-9, 1e6]: less, no accountant can tell from 0."""
    if not LEAST_NOISE_MULTIPLIER <= noise_multiplier <= LARGEST:
        raise PrivacySettingError(
            f"noise_multiplier = {noise_multiplier}; expected {LEAST_NOISE_MULTIPLIER:g} to {LARGEST:g}, "
            "for instance 1.0: without noise no epsilon holds"
        )


def check_max_grad_norm(max_grad_norm: float) -> None:
    """Raise PrivacySettingError unless `max_grad_norm` is positive and at most 1e6."""
    if not 0 < max_grad_norm <= LARGEST:
        raise PrivacySettingError(
            f"max_grad_norm = {max_grad_norm}; expected a positive number up to {LARGEST:g}, for instance 1.0: it is "
            "the norm that every unit's gradient is clipped to"
        )


def check_target_epsilon(target_epsilon: float) -> None:
    """Raise PrivacySettingError unless `target_epsilon` is in (0, 200]."""
    if not 0 < target_epsilon <= MAX_TARGET_EPSILON:
        raise PrivacySettingError(
            f"target_epsilon = {target_epsilon}; expected a number in (0, {MAX_TARGET_EPSILON:g}], usually 1 to 10: "
            "zero cannot be reached by a training that uses its data, and a larger one protects nobody"
        )
