"""Checks of a trainer's privacy that need no attack, and one that is one: does it do what DP-SGD is proved for?

    sensitivity    noise off, two data sets that differ in one record: the sums differ by at most C, in norm
    noise          what a step adds is N(0, (sigma C)^2) on every coordinate, whatever the batch, and new every step
    ledger         who was drawn, counted again: the rate, the spread of the sizes, the steps, and the epsilon of these
    engine         per-example gradients equal those of one example at a time
    lower bound    a one-run audit shows no more epsilon than is claimed

Gradient canaries come in where gradients have been clipped: what is wrong with clipping, the first check sees.
All train a small char-GPT with a tied output layer through `auditkit.privacy.training`. A check draws conclusions from
chance at a level of 1e-6 (the audit's own level is 95 %), so that twenty seeds of a correct trainer alarm nobody.
The doctor's look before and during a training is switched off inside: it would hide what the other checks can do.
"""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from auditkit import extras
from auditkit.models.char_gpt import CharGPT
from auditkit.models.char_transformer import CharGPTConfig, CharTransformer
from auditkit.privacy.adapters import copy_of
from auditkit.privacy.doctor import examine
from auditkit.privacy.gradient_canaries import IdleUnits
from auditkit.privacy.ledger import read_ledger
from auditkit.privacy.objectives import objective_for
from auditkit.privacy.one_run_audit import audit_training
from auditkit.privacy.sampling import Indices, PoissonSampler
from auditkit.privacy.seeded_bugs import patched
from auditkit.privacy.training import train
from auditkit.privacy.training_loop import Loop
from auditkit.privacy.training_run import Run
from auditkit.privacy.training_settings import Settings

Floats = NDArray[np.float64]

ALPHA = 1e-6
TOLERANCE = 1e-3  # of a sum of float32 numbers, relative to C
MAX_GRAD_NORM = 0.1
NOISE_MULTIPLIER = 2.0
DELTA = 1e-5
EXPECTED_BATCH_SIZE = 4
NOISY_STEPS = 6
IDLE = 2000
WORDS = ("cat", "dog", "tree", "house", "bird", "sees", "a", "the")
LARGE_GRADIENT = "zqzqzqzqzqzqzqz"  # the record that a model of words expects least


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: whether it raises the alarm, and the number behind that."""

    alarm: bool
    found: str


def small_model(seed: int) -> CharGPT:
    """A char-GPT of 4,000 parameters with tied weights, large ones, so that no gradient is short."""
    config = CharGPTConfig(
        vocabulary="\n abcdefghijklmnopqrstuvwxyz", hidden=16, layers=1, heads=2, context=16, causal=True,
        positions=True, scaled=True, pre_norm=True,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = CharTransformer(config)
    with torch.no_grad():
        module.tokens.weight.mul_(20)
    module.head.weight = module.tokens.weight
    return CharGPT(module)


def small_texts(seed: int, n: int = 7) -> list[str]:
    """`n` texts of two words of different lengths, and one of which the gradient is large."""
    rng = np.random.default_rng(seed)
    return [*(" ".join(rng.choice(WORDS, 2)) for _ in range(n)), LARGE_GRADIENT]


# --- deterministic sensitivity ----------------------------------------------------------------------------------


def check_sensitivity(seed: int) -> Finding:
    """Take away each record in turn: by how much, in units of C, does the released sum change at most?"""
    model, texts = small_model(seed), small_texts(seed)
    whole = _released(_loop(model, texts, seed, silent=True), 0)
    changes = [
        float(np.linalg.norm(whole - _released(_loop(model, [*texts[:i], *texts[i + 1 :]], seed, silent=True), 0)))
        for i in range(len(texts))
    ]
    largest = EXPECTED_BATCH_SIZE * max(changes) / MAX_GRAD_NORM
    return Finding(largest > 1 + TOLERANCE, f"a record changes the sum by up to {largest:.4g} C; allowed is 1 C")


# --- noise ------------------------------------------------------------------------------------------------------


def check_noise(seed: int) -> Finding:
    """The noise of several steps, of empty batches and of full ones: variance, distribution, and whether it is new.

    Chi-square for the variance, Kolmogorov and Smirnov for the distribution. One seed gives both kinds of batches the
    same noise, so each is tested by itself.
    """
    from scipy import stats

    p_values, stds = {}, []
    for batches, nobody in (("empty batches", True), ("full batches", False)):
        noise = _noise(seed, nobody=nobody)  # (steps, coordinates), in units of sigma C
        stds.append(f"{noise.std():.4g}")
        p_values[f"variance, {batches}"] = _two_sided(stats.chi2(noise.size), float((noise**2).sum()))
        p_values[f"distribution, {batches}"] = float(stats.kstest(noise.ravel(), "norm").pvalue)
        p_values[f"correlation of steps, {batches}"] = _correlation_p_value(noise)
    what, p = min(p_values.items(), key=lambda item: item[1])
    found = f"std {' and '.join(stds)} sigma C with empty and full batches; {what}: p = {p:.2g}"
    return Finding(p < ALPHA / len(p_values), found)


def _noise(seed: int, *, nobody: bool) -> Floats:
    """What noisy steps release beyond the same training without noise."""
    model, texts = small_model(seed), small_texts(seed)
    silent = _released(_loop(model, texts, seed, silent=True, nobody=nobody), 0)
    noisy = _loop(model, texts, seed, silent=False, nobody=nobody)
    difference = np.stack([_released(noisy, step) - silent for step in range(NOISY_STEPS)])
    return difference * EXPECTED_BATCH_SIZE / (NOISE_MULTIPLIER * MAX_GRAD_NORM)


def _correlation_p_value(steps: Floats) -> float:
    """The smallest p-value of a correlation between two steps' noise, corrected for the number of pairs."""
    from scipy import stats

    if not steps.std(1).all():  # no noise at all
        return 0.0
    correlations = np.asarray(np.corrcoef(steps))[np.triu_indices(len(steps), 1)]
    z = np.abs(correlations).max() * np.sqrt(steps.shape[1])
    return float(min(1.0, 2 * stats.norm.sf(z) * len(correlations)))


# --- ledger -----------------------------------------------------------------------------------------------------


def check_ledger(seed: int) -> Finding:
    """Count again who was drawn, and compare with what the ledger says and the training claims."""
    idle = IdleUnits(IDLE)
    with _unguarded(), tempfile.TemporaryDirectory() as folder:
        result = train(
            small_model(seed), small_texts(seed), epochs=1, logical_batch_size=IDLE // 16, delta=DELTA,
            noise_multiplier=NOISE_MULTIPLIER, max_grad_norm=MAX_GRAD_NORM, seed=seed, out=folder, witness=idle,
        )  # fmt: skip
        (entry,) = read_ledger(Path(folder) / "ledger.json").entries
    drawn = np.zeros((len(idle.drawn), IDLE), dtype=bool)
    for step, units in enumerate(idle.drawn):
        drawn[step, units] = True
    if entry.steps != len(drawn) or entry.rate is None:
        return Finding(True, f"{len(drawn)} steps taken, {entry.steps} in the ledger")
    recounted = _epsilon(entry.noise_multiplier, entry.rate, entry.steps)
    if result.cost.epsilon < 0.98 * recounted:
        return Finding(True, f"epsilon {result.cost.epsilon:.3g} is claimed, and {recounted:.3g} was spent")
    p_values = _sampling_p_values(drawn, entry.rate)
    what, p = min(p_values.items(), key=lambda item: item[1])
    return Finding(p < ALPHA / len(p_values), f"epsilon {recounted:.3g} as claimed; {what}: p = {p:.2g}")


def _sampling_p_values(drawn: NDArray[np.bool_], rate: float) -> dict[str, float]:
    """Of what Poisson batches must look like: T steps by m units, all drawn independently at one rate."""
    from scipy import stats

    steps, units = drawn.shape
    total = stats.binom(steps * units, rate)
    sizes = ((drawn.sum(1) - units * rate) ** 2).sum() / (units * rate * (1 - rate))
    squares = (drawn.sum(0) - steps * rate) ** 2
    variance = steps * rate * (1 - rate)
    fourth = variance * (1 + 3 * (steps - 2) * rate * (1 - rate))  # central moment of a binomial
    z = (squares.mean() - variance) / np.sqrt((fourth - variance**2) / units)
    return {
        "rate": _two_sided(total, float(drawn.sum())),
        "spread of the batch sizes": _two_sided(stats.chi2(steps), float(sizes)),
        "spread of how often a unit is drawn": float(2 * stats.norm.sf(abs(z))),
    }


@extras.explained()
@lru_cache
def _epsilon(noise_multiplier: float, rate: float, steps: int) -> float:
    """By an accountant that is not the trainer's."""
    import dp_accounting
    from dp_accounting.pld import PLDAccountant

    accountant = PLDAccountant(value_discretization_interval=1e-3)
    event = dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise_multiplier))
    accountant.compose(event, steps)
    return float(accountant.get_epsilon(DELTA))


# --- engine -----------------------------------------------------------------------------------------------------


def check_engine(seed: int) -> Finding:
    """The doctor's proof: norms and clipped sums of two examples against those of one at a time."""
    model = small_model(seed)
    objective = objective_for(model, small_texts(seed))
    batch = objective.batch([0, len(objective.lengths) - 1], np.random.default_rng(0))
    problems = examine(model.module, lambda b: objective.losses(model.module, b), batch)
    return Finding(bool(problems), problems[0].split(";")[0] if problems else "norms and clipped sums are exact")


# --- lower bound ------------------------------------------------------------------------------------------------


def check_lower_bound(seed: int) -> Finding:
    """One run, white box, of one step that draws all 1000 gradient canaries: more shown than claimed?"""
    texts = small_texts(seed)
    with _unguarded():
        audit = audit_training(
            small_model(seed), texts, canaries=1000, seed=seed, epochs=1, logical_batch_size=len(texts) + 1000,
            delta=DELTA, noise_multiplier=3.0, max_grad_norm=MAX_GRAD_NORM,
        )  # fmt: skip
    assert audit.claimed is not None
    shown, claimed = audit.bound.epsilon, audit.claimed.epsilon
    return Finding(audit.refuted, f"{shown:.2f} shown of {claimed:.2f} claimed; ceiling {audit.ceiling:.2f}")


CHECKS: dict[str, Callable[[int], Finding]] = {
    "sensitivity": check_sensitivity,
    "noise": check_noise,
    "ledger": check_ledger,
    "engine": check_engine,
    "lower bound": check_lower_bound,
}


# --- one step at a time -----------------------------------------------------------------------------------------


class _Catcher(IdleUnits):
    """No units; keeps what the last step released."""

    def observe(self, parameters: Sequence[torch.nn.Parameter], step: int) -> None:
        self.released = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]).double().numpy()


class _Silent:
    """A noise source that adds none."""

    policy = "no noise"

    def add_noise(
        self, sums: Sequence[torch.Tensor], *, noise_multiplier: float, max_grad_norm: float, step: int
    ) -> list[torch.Tensor]:
        return [total.clone() for total in sums]


class _Everybody(PoissonSampler):
    """Every unit in every batch, whatever the size that is expected."""

    def batch(self, step: int) -> Indices:
        return np.arange(self.units)


class _Nobody(PoissonSampler):
    """Empty batches."""

    def batch(self, step: int) -> Indices:
        return np.arange(0)


def _loop(model: CharGPT, texts: Sequence[str], seed: int, *, silent: bool, nobody: bool = False) -> Loop:
    """A training whose weights do not move, of physical batches of 3, with or without its noise."""
    settings = _settings(
        epochs=1, logical_batch_size=EXPECTED_BATCH_SIZE, delta=DELTA, noise_multiplier=NOISE_MULTIPLIER,
        max_grad_norm=MAX_GRAD_NORM, physical_batch_size=3, seed=seed,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.0),
    )  # fmt: skip
    trained = copy_of(model)
    with _unguarded(), tempfile.TemporaryDirectory() as folder:
        run = Run.prepare(
            trained, objective_for(trained, texts), None, settings, Path(folder), keep=False, witness=_Catcher(0)
        )
    loop = run.loop
    assert loop.mechanism is not None
    loop.sampler = (_Nobody if nobody else _Everybody)(len(texts), EXPECTED_BATCH_SIZE, seed=seed)
    if silent:
        loop.mechanism = replace(loop.mechanism, noise=_Silent())
    loop.module.train()
    return loop


def _released(loop: Loop, step: int) -> Floats:
    """What one step releases: the noisy sum by the expected batch size."""
    loop.step(step)
    assert isinstance(loop.witness, _Catcher)
    return loop.witness.released


def _settings(**given: Any) -> Settings:
    """Settings with the defaults of `train`."""
    arguments = inspect.signature(train).bind(None, (), **given)
    arguments.apply_defaults()
    return Settings(**{f.name: arguments.arguments[f.name] for f in fields(Settings)})


@contextmanager
def _unguarded() -> Iterator[None]:
    """Trainings without the doctor."""
    with (
        patched(Loop, "examine", lambda self: None),
        patched(Loop, "verify_first_step", lambda self, before: None),
    ):
        yield


def _two_sided(distribution: Any, value: float) -> float:
    return float(min(1.0, 2 * min(distribution.cdf(value), distribution.sf(value))))
