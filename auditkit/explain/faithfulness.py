"""Can a set of explanations be trusted? Checked on the model itself, judged from intervals.

Four checks decide; each has an interval over the texts, and passes, fails, or is undecided:

    completeness       mean completeness error below 1 % (of methods that promise it)
    comprehensiveness  above that of a random order of the words, on the same texts
    sufficiency        below that of a random order
    randomization      rank correlation below 0.5 with the same explanation of a model whose layers, all but the
                       embeddings, have random weights (Adebayo et al. 2018)

One failure: "not trusted". All pass: "trusted". Else "undecided": more texts are needed. The other measures are
reported without a limit, since no value of theirs is known to be right: areas under the deletion and insertion curves,
Kendall's tau with leaving one word out, stability under two irrelevant clauses that change places, and agreement with
other methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from auditkit import stats
from auditkit.errors import DataError, InputError
from auditkit.explain.attribution import Attributions, explain
from auditkit.explain.checks import Check, Faithfulness, Outcome, outcome_of
from auditkit.explain.methods import Method, Settings
from auditkit.explain.questions import Question
from auditkit.explain.randomization import EMBEDDINGS, randomized_from_the_top
from auditkit.explain.removal import Curves, Remover, curves, leave_one_out
from auditkit.explain.stability import ask_again, correlation, permuted_clauses, similarity
from auditkit.explain.targets import Target, ask, settled
from auditkit.measurement import Interval
from auditkit.models.protocols import Floats

ERROR_LIMIT = 0.01
CORRELATION_LIMIT = 0.5
RANDOM_ORDERS = 2
STAGES = 4
AGREEMENT = ("occlusion", "gradient_x_activation")


def judge(
    model: Any,
    texts: Sequence[str],
    *,
    rng: np.random.Generator,
    target: Target | Sequence[Target] | None = None,
    method: str | Method = "integrated_gradients",
    baseline: str = "auto",
    against: Sequence[str] = AGREEMENT,
    clusters: Sequence[str] | None = None,
    settings: Settings | None = None,
) -> Faithfulness:
    """Explain the texts, and judge the explanations.

    Args:
        model: an adapter of auditkit.
        texts: what to explain; about 20 are needed for a verdict.
        rng: draws the random orders, the random weights and the bootstrap.
        target: what is explained, as `attribute` takes it.
        method: how it is explained, as `attribute` takes it.
        baseline: what stands for an absent word, as `attribute` takes it.
        against: methods to compare with.
        clusters: one label for each text: texts of one label are not independent.
        settings: steps, samples and seed of the method.

    Raises:
        InputError, MissingCapability: as `attribute`.
    """
    targets = settled(model, texts, target)
    questions = ask(model, texts, targets)
    variants = [list(v) for v in zip(*map(permuted_clauses, texts), strict=True)]
    try:
        changed = [ask_again(model, v, targets, questions) for v in variants]
    except InputError:  # the clauses do not fit into the context
        changed = []
    return judge_questions(
        model, questions, rng=rng, method=method, baseline=baseline, against=against, clusters=clusters,
        settings=settings, variants=changed,
    )  # fmt: skip


def judge_questions(
    model: Any,
    questions: Sequence[Question],
    *,
    rng: np.random.Generator,
    method: str | Method = "integrated_gradients",
    baseline: str = "auto",
    against: Sequence[str] = AGREEMENT,
    clusters: Sequence[str] | None = None,
    settings: Settings | None = None,
    variants: Sequence[Sequence[Question]] = (),
) -> Faithfulness:
    """`judge` for questions that are already put, such as contrasts of pairs.

    `variants` are two versions of them that ought to be explained alike; without them, stability has no value.
    """
    judged = _Judge(model, questions, method, baseline, settings or Settings(), rng, clusters)
    return judged.result(against, variants)


class _Judge:
    """Collects the checks of one set of explanations.

    Args:
        model: the adapter.
        questions: what is asked.
        method, baseline, settings: how it is explained.
        rng: see `judge`.
        clusters: see `judge`.
    """

    def __init__(
        self,
        model: Any,
        questions: Sequence[Question],
        method: str | Method,
        baseline: str,
        settings: Settings,
        rng: np.random.Generator,
        clusters: Sequence[str] | None,
    ) -> None:
        self.model, self.questions, self.method, self.settings, self.rng = model, questions, method, settings, rng
        self.clusters = np.array([str(i) for i in range(len(questions))] if clusters is None else list(clusters))
        if len(self.clusters) != len(questions):
            raise DataError(f"{len(self.clusters)} clusters for {len(questions)} texts; give one label for each text")
        self.baseline = baseline
        self.attributions = self._explain(model, questions)
        self.values = [item.values for item in self.attributions]
        self.checks: dict[str, Check] = {}

    def result(self, against: Sequence[str], variants: Sequence[Sequence[Question]]) -> Faithfulness:
        """All checks, those that decide first."""
        remover = Remover(self.model, self.questions, self._one_baseline())
        found = curves(remover, self.values)
        self._completeness()
        self._against_random(remover, found)
        cascade = self._randomization()
        self._report("comprehensiveness", found.comprehensiveness)
        self._report("sufficiency", found.sufficiency)
        self._report("deletion_area", found.deletion)
        self._report("insertion_area", found.insertion)
        self._leave_one_out(remover)
        self._stability(variants)
        for other in against:
            if other != self.attributions.method:
                self._agreement(other)
        return Faithfulness(self.attributions, self.checks, found, cascade)

    def _explain(self, model: Any, questions: Sequence[Question], method: str | Method | None = None) -> Attributions:
        chosen = self.method if method is None else method
        return explain(model, questions, method=chosen, baseline=self.baseline, settings=self.settings)

    def _one_baseline(self) -> str:
        """What replaces words: of several baselines the first; the mean for a method that has none."""
        return self.attributions.baseline[0] if self.attributions.baseline else "mean"

    def _completeness(self) -> None:
        errors = np.array([item.error for item in self.attributions])
        limit = ERROR_LIMIT if self.attributions.complete else None
        self._add("completeness_error", dict(enumerate(errors.tolist())), (0.0, 1e6), below=limit)

    def _against_random(self, remover: Remover, found: Curves) -> None:
        """Paired differences to random orders of the same words."""
        orders = [[self.rng.random(len(v)) for v in self.values] for _ in range(RANDOM_ORDERS)]
        random = [curves(remover, order) for order in orders]
        more = found.comprehensiveness - np.mean([r.comprehensiveness for r in random], axis=0)
        less = found.sufficiency - np.mean([r.sufficiency for r in random], axis=0)
        self._add("comprehensiveness_over_random", dict(enumerate(more.tolist())), (-2.0, 2.0), above=0.0)
        self._add("sufficiency_over_random", dict(enumerate(less.tolist())), (-2.0, 2.0), below=0.0)

    def _randomization(self) -> dict[str, float | None]:
        """Down to the embeddings decides; the other stages are reported with it."""
        cascade: dict[str, float | None] = {}
        deciding: dict[int, float] = {}
        for group, random in randomized_from_the_top(self.model, int(self.rng.integers(2**31)), STAGES):
            values = _correlations(self.values, [item.values for item in self._explain(random, self.questions)])
            cascade[group] = float(np.mean([*values.values()])) if values else None
            if group != EMBEDDINGS:
                deciding = values
        self._add("randomization_correlation", deciding, (-1.0, 1.0), below=CORRELATION_LIMIT)
        return cascade

    def _leave_one_out(self, remover: Remover) -> None:
        from scipy import stats as scipy_stats

        pairs = enumerate(zip(self.values, leave_one_out(remover), strict=True))
        taus = {i: float(scipy_stats.kendalltau(a, b).statistic) for i, (a, b) in pairs if len(a) > 1}
        self._add("leave_one_out_tau", {i: t for i, t in taus.items() if np.isfinite(t)}, (-1.0, 1.0))

    def _stability(self, variants: Sequence[Sequence[Question]]) -> None:
        values: dict[int, float] = {}
        if variants:
            one, other = (self._explain(self.model, questions) for questions in variants)
            pairs = enumerate(zip(one, other, strict=True))
            values = {i: r for i, (a, b) in pairs if (r := similarity(a, b)) is not None}
        self._add("stability", values, (-1.0, 1.0))

    def _agreement(self, other: str) -> None:
        values = [item.values for item in self._explain(self.model, self.questions, other)]
        self._add(f"agreement_{other}", _correlations(self.values, values), (-1.0, 1.0))

    def _report(self, name: str, values: Floats) -> None:
        self._add(name, dict(enumerate(values.tolist())), (-2.0, 2.0))

    def _add(
        self,
        name: str,
        values: dict[int, float],
        bounds: tuple[float, float],
        *,
        below: float | None = None,
        above: float | None = None,
    ) -> None:
        value = float(np.mean([*values.values()])) if values else None
        interval = self._interval(values, bounds)
        outcome: Outcome = "reported"
        limit = ""
        if below is not None:
            outcome, limit = outcome_of(interval, -np.inf, below), f"below {below:g}"
        elif above is not None:
            outcome, limit = outcome_of(interval, above, np.inf), f"above {above:g}"
        self.checks[name] = Check(name, values, value, interval, outcome, limit)

    def _interval(self, values: dict[int, float], bounds: tuple[float, float]) -> Interval | None:
        numbers = np.array([*values.values()])
        if len(numbers) and np.ptp(numbers) == 0:
            return Interval(numbers[0], numbers[0], 0.95, "none: the same for every text") if len(numbers) > 1 else None
        try:
            return stats.cluster_bootstrap(numbers, self.clusters[list(values)], rng=self.rng, bounds=bounds)
        except DataError:  # too few texts
            return None


def _correlations(a: Sequence[Floats], b: Sequence[Floats]) -> dict[int, float]:
    """Rank correlation of the words' values, of the texts that have one."""
    pairs = enumerate(zip(a, b, strict=True))
    return {i: r for i, (x, y) in pairs if (r := correlation(x, y)) is not None}
