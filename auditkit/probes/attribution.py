"""Which words carry a prediction, and can that be trusted?

By default the shipped pairs are explained: which of the words that both sentences of a pair share make the model prefer
one of them (a classifier: score one higher), and which words drive that over all pairs. Given texts, what the model
predicts for each is explained. Every set of explanations is judged (DeYoung et al. 2020; Adebayo et al. 2018):

    failed_checks  how many of the checks that decide failed; 0 is the ideal, and details["verdict"] the judgement
    <check>        each measure of `auditkit.explain.faithfulness`, over the texts
    preference     mean of what is explained in the pairs; details["drivers"] are the words that drive it
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np

from auditkit import data as datasets
from auditkit.data.types import Pair
from auditkit.errors import InputError, MissingCapability, UnknownName
from auditkit.measurement import Measurement
from auditkit.models.protocols import HasModule
from auditkit.probes.base import ItemScore, ProbeResult
from auditkit.probes.evidence import subset, summarize

SOURCES = {
    "integrated_gradients": "Sundararajan et al. 2017",
    "gradient_x_activation": "Shrikumar et al. 2017",
    "gradient_shap": "Lundberg & Lee 2017",
    "occlusion": "Zeiler & Fergus 2014",
    "shapley_sampling": "Castro et al. 2009",
    "kernel_shap": "Lundberg & Lee 2017",
}
IDEALS = {
    "completeness_error": 0.0,
    "randomization_correlation": 0.0,
    "stability": 1.0,
}
TOO_FEW = "no text has the three words that differ in value which this measure needs"
DRIVERS = 20
AUTO, GRADIENTS, COMPLETE = "auto", "integrated_gradients", "shapley_sampling"
TRIED = 2  # texts on which a rough path shows
ORDERS = 8  # of Shapley sampling where it stands in: complete with however few, and a model that needs it is large


@dataclass(frozen=True, kw_only=True)
class WordAttribution:
    """Which words carry the model's predictions, and whether these explanations pass the checks.

    Attributes:
        id: name in the report.
        texts: what to explain: the path of a text file (one a line), or a list; empty explains pairs.
        data: name or path of the pairs, as `stereotype_pairs` takes it.
        method: one of `auditkit.explain.methods.METHODS`; "auto" is integrated gradients or, where their path is too
            rough for the values to sum to the prediction within 1 %, Shapley sampling, which always does.
        baseline: "auto", "mask", "pad", "mean" or "zero".
        explained: at most so many texts or pairs are explained, drawn at random.
        judged: on how many of them the explanations are checked.
        shown: of how many the values are kept for the report.
    """

    id: str = "attribution"
    texts: str | tuple[str, ...] = ()
    data: str = "builtin_pairs"
    method: str = "auto"
    baseline: str = "auto"
    explained: int = 120
    judged: int = 24
    shown: int = 6

    needs: ClassVar[tuple[type, ...]] = (HasModule,)
    source: ClassVar[str] = "DeYoung et al. 2020 (ERASER); Adebayo et al. 2018 (Sanity Checks for Saliency Maps)"

    def __post_init__(self) -> None:
        if self.method not in (AUTO, *SOURCES):
            raise UnknownName("method", self.method, (AUTO, *SOURCES))
        if min(self.explained, self.judged) < 2 or self.shown < 0:
            raise InputError(
                f"explained={self.explained}, judged={self.judged}, shown={self.shown}; expected at least 2, 2 and 0"
            )

    def measure(self, model: Any, rng: np.random.Generator) -> ProbeResult:
        """Explain, judge, and, of pairs, find the words that drive the preference.

        Raises:
            InputError: no such file, or a text that cannot be explained.
            MissingCapability: the model cannot be explained.
        """
        from auditkit.explain.attribution import explain
        from auditkit.explain.faithfulness import AGREEMENT, judge_questions
        from auditkit.explain.methods import METHODS, Settings

        settings = Settings(seed=int(rng.integers(2**31)))
        asked = self._ask(model, rng)
        some = subset(len(asked.questions), self.judged, rng)
        questions = [asked.questions[i] for i in some]
        method = self.method if self.method != AUTO else self._whichever_adds_up(model, questions, settings)
        if self.method == AUTO and method == COMPLETE:
            settings = replace(settings, samples=ORDERS)
        judged = judge_questions(
            model, questions, rng=rng, method=method, baseline=self.baseline,
            against=[m for m in AGREEMENT if METHODS[m].gradients <= METHODS[method].gradients],
            clusters=[asked.clusters[i] for i in some], settings=settings,
            variants=[[variant[i] for i in some] for variant in asked.variants],
        )  # fmt: skip
        summary = _Summary(self, asked, some, judged, rng)
        summary.add_verdict()
        summary.add_checks()
        if asked.contrast:
            found = explain(model, asked.questions, method=method, baseline=self.baseline, settings=settings)
            summary.add_preference(found)
        return ProbeResult(summary.measurements, summary.items)

    def _whichever_adds_up(self, model: Any, questions: Sequence[Any], settings: Any) -> str:
        """Integrated gradients where they are complete; else, or without gradients, Shapley sampling."""
        try:
            if self._gradients_add_up(model, questions, settings):
                return GRADIENTS
            why = f"the values of {GRADIENTS} do not add up to the prediction within 1 %"
        except MissingCapability as e:
            why = str(e)
        model.notices[f"texts explained by {COMPLETE}: {why}"] += len(questions)
        return COMPLETE

    def _gradients_add_up(self, model: Any, questions: Sequence[Any], settings: Any) -> bool:
        """Whether the mean error is below 1 %; a path that is hopelessly rough shows it on the first few texts."""
        from auditkit.explain.attribution import explain
        from auditkit.explain.faithfulness import ERROR_LIMIT
        from auditkit.explain.methods import ENOUGH, ROUGH

        def error(some: Sequence[Any], settings: Any) -> float:
            found = explain(model, some, method=GRADIENTS, baseline=self.baseline, settings=settings)
            return float(np.mean([item.error for item in found]))

        glance = replace(settings, steps=ENOUGH, tolerance=None)
        return error(questions[:TRIED], glance) < ROUGH and error(questions, settings) < ERROR_LIMIT

    def _ask(self, model: Any, rng: np.random.Generator) -> _Asked:
        from auditkit.explain.texts import read_texts

        if self.texts:
            return self._about_texts(model, read_texts(self.texts), rng)
        dataset = datasets.load(self.data, kind="pairs")
        pairs = [p for p in dataset.items if p.direction != "control"]
        pairs = [pairs[i] for i in subset(len(pairs), self.explained, rng)]
        if model.task == "seq2seq":
            return self._about_texts(model, [p.more for p in pairs], rng)
        return self._about_pairs(model, pairs, dataset.name)

    def _about_texts(self, model: Any, texts: Sequence[str], rng: np.random.Generator) -> _Asked:
        from auditkit.explain.stability import ask_again, permuted_clauses
        from auditkit.explain.targets import ask, settled

        texts = [texts[i] for i in subset(len(texts), self.explained, rng)]
        targets = settled(model, texts)
        questions = ask(model, texts, targets)
        variants = zip(*map(permuted_clauses, texts), strict=True)
        changed = _if_it_fits(lambda: [ask_again(model, list(v), targets, questions) for v in variants])
        names = [f"text-{i}" for i in range(len(texts))]
        return _Asked(questions, names, names, changed, contrast=False, data="given texts")

    def _about_pairs(self, model: Any, pairs: Sequence[Pair], data: str) -> _Asked:
        from auditkit.explain.contrast import ask_pairs
        from auditkit.explain.stability import permuted_clauses

        questions, kept = ask_pairs(model, pairs)
        more, less = ([permuted_clauses(getattr(p, side)) for p in kept] for side in ("more", "less"))
        variants = [
            [replace(p, more=m[i], less=s[i]) for p, m, s in zip(kept, more, less, strict=True)] for i in (0, 1)
        ]
        changed = _if_it_fits(lambda: [ask_pairs(model, v)[0] for v in variants])
        if any(len(variant) != len(questions) for variant in changed):  # some are too long with the clauses
            changed = ()
        names, clusters = [p.id for p in kept], [p.cluster for p in kept]
        return _Asked(questions, names, clusters, changed, contrast=model.task != "sentence-encoder", data=data)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The questions, their names and clusters, and two variants of all that ought to be explained alike."""

    questions: Sequence[Any]
    names: Sequence[str]
    clusters: Sequence[str]
    variants: Sequence[Sequence[Any]]
    contrast: bool
    data: str


def _if_it_fits(ask: Any) -> Sequence[Sequence[Any]]:
    """No variants where they are longer than the context."""
    try:
        return ask()
    except InputError:
        return ()


class _Summary:
    """Turns what was found into measurements."""

    def __init__(
        self, probe: WordAttribution, asked: _Asked, some: Sequence[int], judged: Any, rng: np.random.Generator
    ) -> None:
        self.probe, self.asked, self.some, self.judged, self.rng = probe, asked, some, judged, rng
        used = judged.attributions.method
        self.method = f"{used}, baseline {' + '.join(judged.attributions.baseline) or 'none'}"
        self.source = f"{SOURCES[used]}; {probe.source}; data: {asked.data}"
        self.measurements: list[Measurement] = []
        self.items: list[ItemScore] = []

    def add_verdict(self) -> None:
        """How many deciding checks failed, with everything that a reader of a heat map must see first."""
        shown = [self._heat_map(item) for item in list(self.judged.attributions)[: self.probe.shown]]
        checks = [
            {"name": c.name, "outcome": c.outcome, "limit": c.limit, "value": c.value}
            for c in self.judged.checks.values()
        ]
        details = {
            "verdict": self.judged.verdict,
            "failed": self.judged.failed,
            "checks": checks,
            "randomization": self.judged.cascade,
            "evaluations_per_text": self.judged.curves.evaluations,
            "steps": max(item.steps for item in self.judged.attributions),
            "heat_map": shown,
        }
        self._add("failed_checks", float(len(self.judged.failed)), unit="checks", ideal=0.0, details=details)

    def add_checks(self) -> None:
        """One measurement for each check."""
        for check in self.judged.checks.values():
            ideal = IDEALS.get(check.name)
            if check.value is None:
                reason = {"reason": "the clauses do not fit" if check.name == "stability" else TOO_FEW}
                self._add(check.name, None, ideal=ideal, details=reason)
                continue
            details = {"outcome": check.outcome, "limit": check.limit, "verdict": self.judged.verdict}
            self._add(
                check.name, check.value, ideal=ideal, details=details, n=len(check.values), interval=check.interval
            )
            self.items += [
                ItemScore(self._id(check.name), self._name(i), value, self.asked.clusters[self.some[i]])
                for i, value in check.values.items()
            ]

    def add_preference(self, found: Any) -> None:
        """The mean of what is explained over all pairs, and the words that drive it."""
        from auditkit.explain.contrast import drivers

        words = drivers(found, rng=self.rng, clusters=self.asked.clusters)
        scores = [
            ItemScore(self._id("preference"), name, item.value, cluster)
            for name, item, cluster in zip(self.asked.names, found, self.asked.clusters, strict=True)
        ]
        details = {
            "asks": "positive: towards the more stereotyping sentence",
            "drivers": [_driver(d) for d in words[:DRIVERS]],
            "words_tested": len(words),
            "verdict": self.judged.verdict,
        }
        self.measurements.append(
            summarize(
                scores, unit="nats", ideal=0.0, null=0.0, method=f"mean over pairs; words by {self.method}",
                source=self.source, rng=self.rng, details=details,
            )
        )  # fmt: skip
        self.items += scores

    def _add(self, name: str, value: float | None, *, ideal: float | None, details: Any, **more: Any) -> None:
        measurement = Measurement(
            id=self._id(name),
            value=value,
            status="undefined" if value is None else "ok",
            ideal=ideal,
            method=f"{self.method}; {name.replace('_', ' ')}",
            source=self.source,
            details=details,
            **{"n": len(self.some), **more},
        )
        self.measurements.append(measurement)

    def _id(self, name: str) -> str:
        return f"{self.probe.id}/all/{name}"

    def _name(self, i: int) -> str:
        return self.asked.names[self.some[i]]

    def _heat_map(self, item: Any) -> dict[str, Any]:
        return {
            "text": item.text,
            "asks": item.asks,
            "value": item.value,
            "baseline_value": item.baseline_value,
            "error": item.error,
            "words": list(item.words),
            "values": [float(v) for v in item.values],
        }


def _driver(driver: Any) -> dict[str, Any]:
    row = asdict(driver) | {"low": None, "high": None}
    interval = row.pop("interval")
    return row | ({} if interval is None else {"low": interval["low"], "high": interval["high"]})
