"""Recovery by hand: overlaps, exact shares, and the difference to a guess without access."""

import numpy as np
import pytest

from auditkit.errors import DataError
from auditkit.privacy.recovery import in_any_order, in_place, recovery


def test_overlaps_by_hand():
    assert in_place("abcd", "abdc") == 0.5
    assert in_place("abcd", "ab") == 0.5
    assert in_place("ab", "abcd") == 0.5
    assert in_any_order("abcd", "dcba") == 1
    assert in_any_order("aab", "abb") == pytest.approx(2 / 3)
    assert in_any_order("ab", "abcd") == 0.5  # a long guess is not a good one
    assert in_any_order("", "") == in_place("", "") == 1


def measure(truths, guesses, baseline):
    rng = np.random.default_rng(0)
    found = recovery("inversion/x", truths, guesses, baseline, overlap=in_place, rng=rng, method="m", source="s")
    return {m.id: m for m in found}


def test_shares_by_hand():
    found = measure(
        ["abcd", "efgh", "ijkl", "mnop"], ["abcd", "efgh", "ijxx", "xxxx"], ["abxx", "xxxx", "xxxx", "xxxx"]
    )
    exact, tokens = found["inversion/x/exact"], found["inversion/x/tokens"]
    assert (exact.value, exact.ideal, exact.n, exact.unit) == (50, 0, 4, "%")
    assert exact.details["p_value"] == 0.5  # two secrets that only the attack found: 2 * (1/2)^2
    assert tokens.value == pytest.approx((100 + 100 + 50 + 0) / 4)
    assert tokens.ideal == tokens.details["no_access"] == 12.5
    assert tokens.details["gain"] == 50
    assert tokens.value in tokens.interval
    assert tokens.details["gain_low"] <= 50 <= tokens.details["gain_high"]


def test_an_attack_that_is_the_baseline_gains_nothing():
    tokens = measure(["ab", "cd"], ["ax", "xx"], ["ax", "xx"])["inversion/x/tokens"]
    assert tokens.details["gain"] == 0
    assert tokens.details["gain_low"] <= 0 <= tokens.details["gain_high"]


@pytest.mark.parametrize(("truths", "guesses"), [([], []), (["ab"], [])])
def test_unequal_numbers_are_refused(truths, guesses):
    with pytest.raises(DataError, match="expected as many of each, at least one"):
        measure(truths, guesses, truths)
