"""The methods of attribution, each from values or gradients of v(a) alone; see `auditkit.explain.questions`.

    integrated_gradients  integral of the gradient along the straight path from the baseline (Sundararajan et al. 2017)
    gradient_x_activation gradient times embedding: first order, no baseline
    gradient_shap         expected gradients at random points of the paths from several baselines (Lundberg & Lee 2017)
    occlusion             what is lost when one token is replaced by the baseline (leave one out; Zeiler & Fergus 2014)
    shapley_sampling      mean marginal contribution over random orders and their reverses (Castro et al. 2009)
    kernel_shap           Shapley values by weighted least squares over coalitions (Lundberg & Lee 2017)

All but the second and fourth promise completeness: the values sum to v(all) - v(none).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auditkit.explain.engine import Engine, Shares, Unit, everything, nothing
from auditkit.models.protocols import Floats

MAX_STEPS = 1024
ROUGH = 0.1  # an error above this share that a doubling to ENOUGH steps or more hardly lessened will not go away
ENOUGH = 128
LESSENED = 0.8


@dataclass(frozen=True, slots=True)
class Settings:
    """What a method may be told.

    Attributes:
        steps: points of the path for integrated gradients to begin with.
        tolerance: they double for the texts whose completeness error is larger, a share; None: never.
        samples: draws: points (gradient_shap), orders (shapley_sampling), coalitions (kernel_shap).
        seed: of all draws; what a text gets depends on nothing else in the batch.
    """

    steps: int = 32
    tolerance: float | None = 0.005
    samples: int | None = None
    seed: int = 0

    def generator(self, engine: Engine, q: int) -> np.random.Generator:
        """Of one question: from the seed and the question's own tokens."""
        key = b"".join(b.ids.astype(np.int64).tobytes() for b in engine.questions[q].branches)
        return np.random.default_rng([self.seed, int.from_bytes(hashlib.sha256(key).digest()[:8], "big")])


@dataclass(frozen=True, slots=True)
class Found:
    """The values (F,) of one question, and how many evaluations (or steps of the path) they took."""

    values: Floats
    steps: int


Method = Callable[[Engine, Floats, Settings], list[Found]]
"""(engine, (questions, 2) values with everything and with nothing there, settings) -> what was found."""


def integrated_gradients(engine: Engine, ends: Floats, settings: Settings) -> list[Found]:
    """Gauss-Legendre nodes, twice as many for the texts that are not within tolerance yet.

    On the path of a large language model the prediction can jump many times over (where attention moves from one token
    to another); such a text is given up early, and its error says so.
    """
    found: list[Found] = [Found(np.zeros(0), 0)] * len(ends)
    before = np.full(len(ends), np.inf)
    todo, steps = list(range(len(ends))), settings.steps
    while todo:
        for q, values in zip(todo, _integrals(engine, todo, steps), strict=True):
            found[q] = Found(values, steps)
        if settings.tolerance is None or 2 * steps > MAX_STEPS:
            break
        errors = np.array(
            [completeness_error(f.values, end) if f.steps == steps else 0.0 for f, end in zip(found, ends, strict=True)]
        )
        rough = (steps >= ENOUGH) & (errors > ROUGH) & (errors > LESSENED * before)
        todo = np.flatnonzero((errors > settings.tolerance) & ~rough).tolist()
        before, steps = errors, 2 * steps
    return found


def _integrals(engine: Engine, which: Sequence[int], steps: int) -> list[Floats]:
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    places = ((nodes + 1) / 2).astype(np.float32)
    units = [Unit(q, _between(engine, q, t)) for q in which for t in places]
    gradients = engine.gradients(units)
    return [
        np.average(gradients[i * steps : (i + 1) * steps], axis=0, weights=weights) * _free(engine, q)
        for i, q in enumerate(which)
    ]


def _between(engine: Engine, q: int, share: float) -> Shares:
    """Everything ordinary there to a share, special tokens whole."""
    start = nothing(engine.questions[q])
    return start + np.float32(share) * (1 - start)


def _free(engine: Engine, q: int) -> Floats:
    """(F,) 1 at ordinary tokens: special ones are the same at both ends of the path, so they get exactly zero."""
    return 1.0 - nothing(engine.questions[q]).astype(np.float64)


def completeness_error(values: Floats, ends: Floats) -> float:
    """|sum of the values - (v(all) - v(none))|, as a share of that change.

    Where the change is small beside what cancels in it, as a share of a tenth of the absolute values' sum instead; and
    never of less than a ten-thousandth of the number itself, where float32 begins to round.
    """
    change = float(ends[0] - ends[1])
    scale = max(abs(change), 0.1 * float(np.abs(values).sum()), 1e-4 * float(np.abs(ends).max()))
    return abs(float(values.sum()) - change) / scale if scale > 0 else 0.0


def gradient_x_activation(engine: Engine, ends: Floats, settings: Settings) -> list[Found]:
    """Special tokens get a value too, since nothing is held here; it stays apart from the words."""
    units = [Unit(q, everything(question)) for q, question in enumerate(engine.questions)]
    return [Found(values, 1) for values in engine.gradients(units)]


def gradient_shap(engine: Engine, ends: Floats, settings: Settings) -> list[Found]:
    """Points are stratified along the path, and all baselines are used equally often: unbiased, with less noise."""
    origins = len(engine.origins)
    samples = math.ceil((settings.samples or 32) / origins) * origins
    units = []
    for q in range(len(engine.questions)):
        rng = settings.generator(engine, q)
        places = np.concatenate([_stratified(samples // origins, rng) for _ in range(origins)])
        units += [Unit(q, _between(engine, q, t), i * origins // samples) for i, t in enumerate(places)]
    gradients = engine.gradients(units)
    return [
        Found(np.mean(gradients[q * samples : (q + 1) * samples], axis=0) * _free(engine, q), samples)
        for q in range(len(engine.questions))
    ]


def _stratified(n: int, rng: np.random.Generator) -> Floats:
    return (np.arange(n) + rng.random(n)) / n


def occlusion(engine: Engine, ends: Floats, settings: Settings) -> list[Found]:
    """One evaluation for each ordinary token."""
    units = [Unit(q, _except(engine, q, [f])) for q, question in enumerate(engine.questions) for f in question.ordinary]
    remaining = iter(engine.values(units)[:, 0])
    found = []
    for question, (whole, _) in zip(engine.questions, ends, strict=True):
        values = np.zeros(len(question.tokens))
        for f in question.ordinary:
            values[f] = whole - next(remaining)
        found.append(Found(values, len(question.ordinary)))
    return found


def _except(engine: Engine, q: int, absent: Sequence[int]) -> Shares:
    shares = everything(engine.questions[q])
    shares[list(absent)] = 0
    return shares


def shapley_sampling(engine: Engine, ends: Floats, settings: Settings) -> list[Found]:
    """Every order telescopes, so completeness is exact however few there are."""
    pairs = max(1, (settings.samples or 24) // 2)
    orders = [_orders(engine, q, pairs, settings) for q in range(len(engine.questions))]
    units = [
        Unit(q, shares) for q, those in enumerate(orders) for order in those for shares in _grown(engine, q, order)
    ]
    values = iter(engine.values(units)[:, 0])
    found = []
    for q, those in enumerate(orders):
        total = np.zeros(len(engine.questions[q].tokens))
        for order in those:
            path = [ends[q][1], *(next(values) for _ in order[:-1]), ends[q][0]]
            total[order] += np.diff(path)
        found.append(Found(total / len(those), len(those)))
    return found


def _orders(engine: Engine, q: int, pairs: int, settings: Settings) -> list[list[int]]:
    rng, ordinary = settings.generator(engine, q), engine.questions[q].ordinary
    drawn = [rng.permutation(ordinary).tolist() for _ in range(pairs)]
    return [order for one in drawn for order in (one, one[::-1])]


def _grown(engine: Engine, q: int, order: Sequence[int]) -> list[Shares]:
    """Shares as the tokens come in one by one, without both ends."""
    steps = np.repeat(nothing(engine.questions[q])[None], len(order) - 1, axis=0)
    for i, f in enumerate(order[:-1]):
        steps[i:, f] = 1
    return list(steps)


def kernel_shap(engine: Engine, ends: Floats, settings: Settings) -> list[Found]:
    """All coalitions where they are no more than the samples: then the values are exactly Shapley's."""
    coalitions = [_coalitions(engine, q, settings) for q in range(len(engine.questions))]
    units = []
    for q, (members, _) in enumerate(coalitions):
        shares = np.repeat(nothing(engine.questions[q])[None], len(members), axis=0)
        shares[:, engine.questions[q].ordinary] = members
        units += [Unit(q, row) for row in shares]
    values, start, found = engine.values(units)[:, 0], 0, []
    for q, (members, weights) in enumerate(coalitions):
        total = np.zeros(len(engine.questions[q].tokens))
        here = values[start : start + len(members)]
        total[engine.questions[q].ordinary] = _least_squares(
            members, weights, here - ends[q][1], ends[q][0] - ends[q][1]
        )
        found.append(Found(total, len(members)))
        start += len(members)
    return found


def _coalitions(engine: Engine, q: int, settings: Settings) -> tuple[Floats, Floats]:
    """(n, m) membership and (n,) weights; drawn ones come with their complements, and their frequency is the weight."""
    m = len(engine.questions[q].ordinary)
    samples = settings.samples or 2 * m + 256
    if 2**m - 2 <= samples:
        members = (np.arange(1, 2**m - 1)[:, None] >> np.arange(m) & 1).astype(np.float64)
        sizes = members.sum(axis=1)
        weights = np.array([(m - 1) / (math.comb(m, int(s)) * s * (m - s)) for s in sizes])
        return members, weights
    rng, sizes = settings.generator(engine, q), np.arange(1, m)
    odds = 1 / (sizes * (m - sizes))
    drawn = rng.choice(sizes, size=samples // 2, p=odds / odds.sum())
    rows = np.zeros((2 * len(drawn), m))
    for i, size in enumerate(drawn):
        rows[2 * i, rng.permutation(m)[:size]] = 1
        rows[2 * i + 1] = 1 - rows[2 * i]
    return rows, np.ones(len(rows))


def _least_squares(members: Floats, weights: Floats, gains: Floats, change: float) -> Floats:
    """(m,) values that fit the gains best among those that sum to the change (by Lagrange's condition)."""
    m = members.shape[1]
    if m == 1:
        return np.array([change])
    gram = members.T @ (weights[:, None] * members)
    system = np.block([[gram, np.ones((m, 1))], [np.ones((1, m)), np.zeros((1, 1))]])
    right = np.append(members.T @ (weights * gains), change)
    return np.linalg.lstsq(system, right, rcond=None)[0][:m]


@dataclass(frozen=True, slots=True)
class Properties:
    """What is promised of a method, and what it needs."""

    run: Method
    complete: bool
    gradients: bool


METHODS: Mapping[str, Properties] = {
    "integrated_gradients": Properties(integrated_gradients, complete=True, gradients=True),
    "gradient_x_activation": Properties(gradient_x_activation, complete=False, gradients=True),
    "gradient_shap": Properties(gradient_shap, complete=True, gradients=True),
    "occlusion": Properties(occlusion, complete=False, gradients=False),
    "shapley_sampling": Properties(shapley_sampling, complete=True, gradients=False),
    "kernel_shap": Properties(kernel_shap, complete=True, gradients=False),
}
