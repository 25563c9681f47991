"""The epsilon that a training really spent, from the sampler that really ran.

Several accountants are asked. The answer is the larger bound of the first two; the others must not contradict it:

    PRV   privacy random variables, convolved numerically (Gopi et al., 2021), by Opacus: the reported bound
    SP    the saddle-point integral (Alghamdi et al., 2023), from 1000 steps on: PRV's rounding adds up, and its grid
          grows, with the steps. Where that grid would be too large, SP and 0.2 % for its own errors is the bound
    PLD   privacy loss distributions (Koskela et al., 2020; Doroshenko et al., 2022), by dp-accounting: must agree, if
          need be on a finer grid
    RDP   Renyi DP (Mironov et al., 2019), by Opacus: looser, so it must not lie below

What epsilon and delta say: for any two data sets that are neighbours, and any set S of outcomes,
P[S | one] <= e^epsilon P[S | other] + delta. *Neighbours* are, for Poisson batches, two data sets of which one holds
one unit of privacy more; for shuffled batches, two of equal size that differ in one unit. The *unit* is what the
sampler counts (an example, unless it says user or document). The outcome is every model of the run, not only the last.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from auditkit import extras
from auditkit.errors import AuditkitError
from auditkit.privacy import saddle_point
from auditkit.privacy.sampling import Composition, Sampler
from auditkit.privacy.settings import (
    PrivacySettingError,
    check_delta,
    check_noise_multiplier,
    check_target_epsilon,
)

RELATIVE_TOLERANCE = 0.01
ABSOLUTE_TOLERANCE = 1e-3
NO_PRIVACY = "none: trained without clipping and noise"
SOURCE = "Abadi et al. (2016), arXiv:1607.00133; Gopi et al. (2021), arXiv:2106.02848"

# Beyond this the numerical accountants need ever finer grids to tell apart what no longer protects; RDP bounds it.
_LARGEST_COMPUTED = 200.0
_LARGEST_NOISE_MULTIPLIER = 1000.0
_LEAST_NOISE_MULTIPLIER = 0.01
_LEAST_ERROR = 1e-3  # asked of PRV; its grid grows as one over the error
_LARGEST_GRID = 1 << 21  # of PRV: about 200 MB and two seconds
_LONG = 1000  # steps, beyond which PRV's quadrature, good to 1e-8 a step, is not relied on alone
_SADDLE_POINT_ERROR = 0.002  # relative; what is claimed on top of it
_FINEST_SPACING = 2e-6  # of PLD, which needs seconds there
_ROUNDING = 1e-17  # of PLD for each step: whole trainings at a delta below that are beyond it
_ORDERS = [1 + x / 10 for x in range(1, 100)] + list(range(12, 64)) + [2**k for k in range(6, 10)]


class AccountantsDisagree(AuditkitError):
    """The accountants contradict each other: one of them is broken, or the setting is beyond their reach.

    Attributes:
        claimed: the bound by PRV or the saddle point.
        rdp: the bound by RDP.
        pld: the bound by PLD.
    """

    def __init__(self, claimed: float, rdp: float, pld: float) -> None:
        self.claimed, self.rdp, self.pld = claimed, rdp, pld
        super().__init__(
            f"epsilon is {claimed:.5g} by PRV, {pld:.5g} by PLD and {rdp:.5g} by RDP; expected PRV within "
            f"{_allowed(pld):.2g} of PLD, and RDP not below it: no epsilon is claimed; report these settings with the "
            "versions of opacus and dp-accounting"
        )


@dataclass(frozen=True, slots=True)
class Phase:
    """`steps` steps of one sampler at one noise level.

    Raises:
        PrivacySettingError: a sampler without an accounting, a noise multiplier or a number of steps out of range.
    """

    sampler: Sampler
    noise_multiplier: float
    steps: int

    def __post_init__(self) -> None:
        if not isinstance(self.sampler, Sampler):
            raise PrivacySettingError(
                f"batches drawn by {type(self.sampler).__name__} have no known epsilon; "
                "draw them with a PoissonSampler (amplified) or a ShuffledSampler (not amplified)"
            )
        check_noise_multiplier(self.noise_multiplier)
        if self.steps < 0:
            raise PrivacySettingError(f"steps = {self.steps}; expected 0 or more")

    @property
    def composition(self) -> Composition:
        """The mechanism that these steps amount to for one unit."""
        return self.sampler.composition(self.noise_multiplier, self.steps)


@dataclass(frozen=True, slots=True)
class PrivacyCost:
    """What was spent, and about whom the guarantee speaks.

    Attributes:
        epsilon: the upper bound that is claimed; infinite without privacy, like `rdp` and `pld`.
        delta: the probability with which epsilon need not hold.
        unit: the unit of privacy.
        units: how many of them the data hold.
        adjacency: how neighbouring data sets differ: "add or remove one" or "replace one" unit.
        method: how epsilon was obtained.
        rdp: the bound by RDP.
        pld: the bound by PLD; None where it can say nothing: epsilon is above 200, or delta below its rounding.
    """

    epsilon: float
    delta: float
    unit: str
    units: int
    adjacency: str
    method: str
    rdp: float
    pld: float | None


def without_privacy(sampler: Sampler) -> PrivacyCost:
    """What a training without noise costs: no epsilon, however large, bounds what it may reveal."""
    return PrivacyCost(math.inf, 0.0, sampler.unit, sampler.units, sampler.adjacency, NO_PRIVACY, math.inf, math.inf)


def account(phases: Sequence[Phase], delta: float) -> PrivacyCost:
    """The epsilon of `phases` composed, checked by all accountants.

    Raises:
        PrivacySettingError: no phase, a delta that is no probability below 1/units, or phases that cannot be composed.
        AccountantsDisagree: the claim and PLD differ by more than 1 % and 0.001, or RDP lies that far below them.
    """
    sampler = common_sampler(phases)
    check_delta(delta, sampler.units)
    done = _compositions(phases)
    rdp, claimed = _rdp(done, delta), _bound(done, delta)
    pld = _pld_to_compare(done, delta, rdp, claimed)
    refuse_disagreement(claimed, rdp, claimed if pld is None else pld)
    return _cost(sampler, delta, claimed, rdp, pld, _accountants(done, delta, rdp, pld))


def account_anyway(phases: Sequence[Phase], delta: float) -> PrivacyCost:
    """As `account`; where the accountants disagree, the largest of their bounds, and `method` says so.

    For a training under way, which must not be lost for that. A report or a gate reads the ledger, by `account`.
    """
    try:
        return account(phases, delta)
    except AccountantsDisagree as e:
        sampler, found = common_sampler(phases), (e.claimed, e.rdp, e.pld)
        largest = max((x for x in found if not math.isnan(x)), default=math.inf)
        return _cost(sampler, delta, largest, e.rdp, e.pld, f"largest of bounds that disagree ({e})")


def _cost(
    sampler: Sampler, delta: float, epsilon: float, rdp: float, pld: float | None, accountants: str
) -> PrivacyCost:
    epoch = "Poisson-subsampled Gaussians" if sampler.kind == "poisson" else "one Gaussian an epoch, not amplified"
    method = f"{accountants}; {sampler.kind} batches: {epoch}; neighbours: {sampler.adjacency} {sampler.unit}"
    return PrivacyCost(epsilon, delta, sampler.unit, sampler.units, sampler.adjacency, method, rdp, pld)


def _accountants(done: tuple[Composition, ...], delta: float, rdp: float, pld: float | None) -> str:
    if rdp > _LARGEST_COMPUTED:
        return "RDP bound, epsilon being too large for the others"
    first = "saddle point" if _by_saddle_point_alone(done, delta) else "PRV"
    return f"{first}, checked by {'RDP' if pld is None else 'PLD and RDP'}"


def noise_multiplier_for(target_epsilon: float, delta: float, sampler: Sampler, steps: int) -> float:
    """The least noise multiplier (to 0.1 %) with which `steps` steps spend at most `target_epsilon`.

    Raises:
        PrivacySettingError: a target that is out of range, or that no noise multiplier up to 1000 reaches.
    """
    from scipy.optimize import brentq

    check_target_epsilon(target_epsilon)
    check_delta(delta, sampler.units)

    def bound(accountant: Callable[[tuple[Composition, ...], float], float], log_noise: float) -> float:
        return accountant(_compositions([Phase(sampler, math.exp(log_noise), steps)]), delta) - target_epsilon

    def excess(log_noise: float) -> float:
        return bound(_bound, log_noise)

    least, most = math.log(_LEAST_NOISE_MULTIPLIER), math.log(_LARGEST_NOISE_MULTIPLIER)
    enough = most  # RDP, looser and a hundred times faster, says where to begin
    if bound(_rdp, most) <= 0 < bound(_rdp, least):
        enough = float(brentq(lambda x: bound(_rdp, x), least, most, xtol=1e-3))
    while excess(enough) > 0:
        if enough >= most:
            raise PrivacySettingError(
                f"target_epsilon = {target_epsilon} at delta = {delta:g} is out of reach: {steps} steps with a batch "
                f"of {sampler.expected_batch_size} of {sampler.units} need a noise multiplier above "
                f"{_LARGEST_NOISE_MULTIPLIER:g}; take fewer steps, smaller batches, more data or a larger target"
            )
        enough = min(most, enough + 0.1)
    too_little = enough - 0.1
    while excess(too_little) <= 0:
        if too_little < least:
            return math.exp(least)
        too_little, enough = too_little - 0.1, too_little
    noise = float(brentq(excess, too_little, enough, xtol=5e-4))
    while excess(noise) > 0:  # the root is found from either side; the target must not be exceeded
        noise += 5e-4
    return math.exp(noise)


@lru_cache(maxsize=64)
def affordable_steps(
    target_epsilon: float,
    delta: float,
    sampler: Sampler,
    noise_multiplier: float,
    *,
    spent: tuple[Phase, ...] = (),
    at_most: int = 1_000_000,
) -> int:
    """How many steps may follow `spent` before `target_epsilon` is exceeded; exact, and never more than `at_most`.

    Raises:
        PrivacySettingError: a setting out of range, or `spent` cannot be composed with this sampler.
    """
    check_target_epsilon(target_epsilon)
    check_delta(delta, common_sampler((*spent, Phase(sampler, noise_multiplier, 0))).units)

    def after(steps: int) -> tuple[Composition, ...]:
        return _compositions((*spent, Phase(sampler, noise_multiplier, steps)))

    def excess(steps: int) -> float:
        return _bound(after(steps), delta) - target_epsilon

    if excess(0) > 0:
        return 0
    low, high = 0, 1
    while high < at_most and _rdp(after(high), delta) <= target_epsilon:  # RDP is looser, and much faster
        high = min(2 * high, at_most)
    while excess(high) <= 0:
        if high == at_most:
            return at_most
        low, high = high, min(2 * high, at_most)
    last, guess = low, high
    while high - low > 1:  # the secant method, kept inside the bracket
        slope = (excess(guess) - excess(last)) / (guess - last)
        aim = guess - excess(guess) / slope if slope > 0 else (low + high) / 2
        last, guess = guess, round(min(max(aim, low + 1), high - 1))
        low, high = (guess, high) if excess(guess) <= 0 else (low, guess)
    return low


def would_overspend(spent: Sequence[Phase], target_epsilon: float, delta: float) -> bool:
    """Whether one more step like those of the last phase would exceed `target_epsilon`. Ask before every step.

    The accountants look ahead and are asked again only when the steps have doubled; other answers are comparisons.
    """
    common_sampler(spent)
    *before, now = spent
    horizon = 1 << max(10, now.steps.bit_length())  # doubled as the run goes on: one look ahead for many steps
    limit = affordable_steps(
        target_epsilon, delta, now.sampler, now.noise_multiplier, spent=tuple(before), at_most=horizon
    )
    return now.steps + 1 > limit


def common_sampler(phases: Sequence[Phase]) -> Sampler:
    """The last phase's sampler, when one guarantee covers all phases.

    Raises:
        PrivacySettingError: no phase, or phases that differ in how neighbours differ, in the unit, or in the data.
    """
    if not phases:
        raise PrivacySettingError("there is no phase of training to account for; expected at least one")
    kinds = {(p.sampler.adjacency, p.sampler.unit, p.sampler.units) for p in phases}
    if len(kinds) > 1:
        given = "; ".join(f"{adjacency} of {units} {unit}" for adjacency, unit, units in sorted(kinds))
        raise PrivacySettingError(
            f"these phases of training protect different things and have no common epsilon: {given}; "
            "use one kind of sampler, one unit and one data set throughout"
        )
    return phases[-1].sampler


def refuse_disagreement(prv: float, rdp: float, pld: float) -> None:
    """Raise AccountantsDisagree unless PRV and PLD agree and RDP, the looser bound, does not lie below them."""
    if not _agree(prv, rdp, pld):
        raise AccountantsDisagree(prv, rdp, pld)


def _agree(prv: float, rdp: float, pld: float) -> bool:
    allowed = _allowed(pld)
    return abs(prv - pld) <= allowed and rdp >= pld - allowed


def _allowed(epsilon: float) -> float:
    return RELATIVE_TOLERANCE * epsilon + ABSOLUTE_TOLERANCE


def _compositions(phases: Sequence[Phase]) -> tuple[Composition, ...]:
    return tuple(p.composition for p in phases if p.steps)


@extras.explained()
@lru_cache(maxsize=1024)
def _rdp(done: tuple[Composition, ...], delta: float) -> float:
    from opacus.accountants import RDPAccountant

    if not done:
        return 0.0
    accountant = RDPAccountant()
    accountant.history = list(done)
    with warnings.catch_warnings():  # that the best order is the last one loosens the bound and is no error
        warnings.simplefilter("ignore")
        return float(accountant.get_epsilon(delta, alphas=_ORDERS))


@lru_cache(maxsize=1024)
def _bound(done: tuple[Composition, ...], delta: float) -> float:
    """The upper bound that is claimed: the larger of PRV's and the saddle point's; RDP's where that is above 200."""
    rdp = _rdp(done, delta)
    if rdp > _LARGEST_COMPUTED or not done:
        return rdp
    exact = _saddle_point(done, delta)
    if exact is not None and _by_saddle_point_alone(done, delta):
        return min(rdp, exact * (1 + _SADDLE_POINT_ERROR))
    return max(_prv(done, delta), exact or 0.0)


@lru_cache(maxsize=1024)
def _saddle_point(done: tuple[Composition, ...], delta: float) -> float | None:
    return saddle_point.epsilon(done, delta) if _steps(done) > _LONG else None


def _by_saddle_point_alone(done: tuple[Composition, ...], delta: float) -> bool:
    """Whether PRV would need a grid that is too large, and is not asked."""
    return _saddle_point(done, delta) is not None and _grid(_first_error(done, delta), done, delta) > _LARGEST_GRID


def _first_error(done: tuple[Composition, ...], delta: float) -> float:
    return max(_rdp(done, delta) / 500, _LEAST_ERROR)


def _grid(error: float, done: tuple[Composition, ...], delta: float) -> float:
    """About how many points PRV's grid would have (Gopi et al., 2021, remark 5.6)."""
    spacing = error / math.sqrt(_steps(done) * math.log(12_000 / delta) / 2)
    return 2 * (_rdp(done, delta / 4000) + 3) / spacing


def _steps(done: tuple[Composition, ...]) -> int:
    return sum(steps for _, _, steps in done)


@lru_cache(maxsize=1024)
def _prv(done: tuple[Composition, ...], delta: float) -> float:
    """Upper bound by PRV, at most 0.8 % or 0.001 above epsilon; more where its grid would be too large otherwise."""
    if not done:
        return 0.0
    if (rdp := _rdp(done, delta)) > _LARGEST_COMPUTED:
        return rdp
    error = _first_error(done, delta)
    coarsest = error * max(1.0, _grid(error, done, delta) / _LARGEST_GRID)
    bound = _prv_to_within(coarsest, done, delta)
    needed = max(bound / 250, _LEAST_ERROR)
    if error < 2 * needed or _grid(needed, done, delta) > _LARGEST_GRID:
        return bound
    return _prv_to_within(needed, done, delta)  # RDP was far off


@extras.explained()
def _prv_to_within(error: float, done: tuple[Composition, ...], delta: float) -> float:
    """RDP's bound where Opacus finds none."""
    from opacus.accountants import PRVAccountant

    accountant = PRVAccountant()
    accountant.history = list(done)
    with warnings.catch_warnings():  # a rate of 1 takes the logarithm of 0, which is then multiplied by 0
        warnings.simplefilter("ignore")
        try:
            return max(0.0, float(accountant.get_epsilon(delta, eps_error=error)))
        except (RuntimeError, ValueError):  # its grid is too coarse, or delta below its rounding
            return _rdp(done, delta)


def _pld_to_compare(done: tuple[Composition, ...], delta: float, rdp: float, claimed: float) -> float | None:
    """PLD's bound, on a finer grid where the first differs from the claim; None where it can say nothing.

    Its rounding upwards grows with the square of the spacing, that of its Fourier transform with the steps.
    """
    if rdp > _LARGEST_COMPUTED or _steps(done) * _ROUNDING > delta:
        return None
    spacing = _spacing(done, claimed)
    pld = _pld(done, delta, spacing)
    if _agree(claimed, rdp, pld):
        return pld
    finer = spacing * math.sqrt(_allowed(claimed) / (4 * abs(pld - claimed)))
    refined = _pld(done, delta, max(finer, spacing / 16, _FINEST_SPACING))
    out_of_reach = finer < _FINEST_SPACING and refined > claimed
    return None if out_of_reach else refined


def _spacing(done: tuple[Composition, ...], epsilon: float) -> float:
    """The pessimistic rounding adds up to about steps * spacing^2: a grid this fine costs well under the tolerance."""
    return min(1e-3, max(1e-5, math.sqrt(epsilon / (3000 * max(1, _steps(done))))))


@extras.explained()
@lru_cache(maxsize=64)
def _pld(done: tuple[Composition, ...], delta: float, spacing: float) -> float:
    import dp_accounting
    from dp_accounting.pld import PLDAccountant

    accountant = PLDAccountant(
        neighboring_relation=dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE, value_discretization_interval=spacing
    )
    for noise_multiplier, rate, steps in done:
        gaussian = dp_accounting.GaussianDpEvent(noise_multiplier)
        accountant.compose(dp_accounting.PoissonSampledDpEvent(rate, gaussian), steps)
    return float(accountant.get_epsilon(delta))
