"""The points of a sweep, one after the other: made from the dense model, measured beside it, and let go."""

from __future__ import annotations

import gc
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from auditkit import __version__, checkpoint, environment, foreign
from auditkit.checkpoint import Checkpoints
from auditkit.compression import spec as specs
from auditkit.compression.answers import Answers, answer, questions_about
from auditkit.compression.costs import Took, add_costs, add_sizes, add_speedups, run
from auditkit.compression.drift import Drift
from auditkit.compression.exemplars import add_exemplars
from auditkit.compression.findings import TOST, Findings
from auditkit.compression.hidden_harm import METHOD, add_safe, judge
from auditkit.compression.paired_points import KEPT_OF_DENSE, add_probe_results, add_worsenings, run_probes
from auditkit.compression.quality import KINDS, MARGINS, METHODS, Exam, add_agreement, add_change, add_level
from auditkit.compression.texts import Texts
from auditkit.errors import InputError, ModelError
from auditkit.probes.base import ProbeResult, generator
from auditkit.probes.evidence import KeptNulls
from auditkit.report import ProbeRun

if TYPE_CHECKING:
    from auditkit.probes.compression import Compression

UNCHANGED = "unchanged copy"


def label_of(spec: specs.Spec) -> str:
    """How a point is called; a spec of no steps is a copy, beside the dense model itself."""
    return specs.label(spec) if specs.steps_of(spec) else UNCHANGED


def slug_of(label: str) -> str:
    """The label as a part of a measurement's id: letters, digits and signs that ids and file names may hold."""
    return re.sub(r"[^a-z0-9.+=-]+", "-", label.lower().replace("%", "pct").replace(" + ", "+")).strip("-")


class Sweep:
    """Measures every point of one sweep.

    Args:
        settings: the probe with its options.
        model: the dense model, which is not changed.
        texts: what quality is measured on.
        seed: of everything that is drawn.
        checkpoints: where finished points are kept.
    """

    def __init__(self, settings: Compression, model: Any, texts: Texts, seed: int, checkpoints: Checkpoints) -> None:
        self.settings, self.model, self.texts, self.seed, self.checkpoints = settings, model, texts, seed, checkpoints
        self.weights = _weights(model)
        kind = KINDS.get(model.task, "perplexity")
        margin = MARGINS[kind] if settings.margin is None else settings.margin
        self.group_margin = margin if settings.group_margin is None else settings.group_margin
        questions = questions_about(model, texts, generator(seed, "questions"))
        self.exam = Exam(texts, questions, kind, margin)
        self.probes = settings.built_probes()
        self._nulls: dict[str, KeptNulls] = {}

    def dense(self) -> ProbeResult:
        """The dense model's own measurements."""
        key = self._key([])
        kept = self._kept("dense", key)
        if kept is None:
            findings = self._findings("dense")
            self._add_levels(findings, self._dense_answers)
            found, _ = run_probes(self.model, self.probes, self.seed, self._nulls)
            add_probe_results(findings, found, kept=KEPT_OF_DENSE)
            add_sizes(findings, self.model)
            if self.settings.costs:
                add_costs(findings, self._dense_read[1])
            kept = self._keep("dense", findings.result(), key)
        self._dense_result = kept
        return kept

    def point(self, spec: specs.Spec) -> ProbeResult:
        """One point's measurements; `dense` comes first. What goes wrong with it becomes the reason of no value.

        Raises:
            ModelError: making or measuring it changed the dense model.
        """
        label = label_of(spec)
        slug, key = slug_of(label), self._key([spec])
        kept = self._kept(slug, key)
        if kept is None:
            findings = self._findings(slug)
            try:
                with foreign.contained():
                    self._measure(findings, spec)
            except Exception as e:  # a kernel may raise anything at one point; the other points must still be made
                reason = str(e) if isinstance(e, InputError) else f"{type(e).__name__}: {e}"
                findings = self._without_value(slug, label, reason)
                key = None  # it is tried again by the next run
            gc.collect()  # modules hold cycles; without this, two points are in memory at a time
            if _weights(self.model) != self.weights:
                raise ModelError(f"{label}: a step changed the dense model; it may only change the copy it is given")
            kept = self._keep(slug, findings.result(), key)
        return kept

    def _measure(self, findings: Findings, spec: specs.Spec) -> None:
        settings, dense = self.settings, self._dense_answers
        model = specs.compress(self.model, spec, seed=self.seed)
        model.notices.clear()
        found, took = run(lambda: answer(model, self.exam.questions, dense, seed=self.seed))
        notices = dict(sorted(model.notices.items()))
        about: dict[str, Any] = {"label": label_of(spec), "steps": _plain(model.compression), "notices": notices}
        flags: list[str] = []
        add_sizes(findings, model)
        if settings.costs:
            add_costs(findings, took)
            flags = add_speedups(findings, self.model, model, self.texts.texts, settings.batch_sizes)
        if found.not_finite:
            share = f"{found.not_finite} of {len(found.logprobs)} answers"
            self._add_nothing(findings, f"the model gives no finite log-probability for {share}", about, flags)
            return
        overall = add_change(findings, self.exam, dense, found)
        self._add_levels(findings, found)
        for group in self.texts.members():
            add_change(findings, self.exam, dense, found, group=group)
        add_agreement(findings, self.exam, dense, found)
        add_exemplars(findings, self.exam, dense, found, shown=settings.shown, redact=settings.redact)
        result, runs = run_probes(model, self.probes, self.seed, self._nulls)
        add_probe_results(findings, result)
        add_worsenings(findings, self._dense_of_probes, result, same_model=found.same_as(dense))
        if settings.drift:
            self._drift.add(findings, model)
        about |= {"flags": flags, "probes": [_run_as_json(run) for run in runs]}
        judge(findings, overall, self.group_margin, about)

    def _add_levels(self, findings: Findings, answers: Answers) -> None:
        for group in ("", *self.texts.members()):
            add_level(findings, self.exam, answers, group=group)

    def _without_value(self, slug: str, label: str, reason: str) -> Findings:
        """Anew: what was measured before something went wrong is half a point."""
        findings = self._findings(slug)
        self._add_nothing(findings, reason, {"label": label, "steps": []}, [])
        return findings

    def _add_nothing(self, findings: Findings, reason: str, about: Mapping[str, Any], flags: Sequence[str]) -> None:
        exam = self.exam
        findings.undefined(exam.kind, reason, method=METHODS[exam.kind], source=TOST)
        findings.undefined("quality_loss", reason, method=METHODS[exam.kind], source=TOST, ideal=0.0, unit=exam.unit)
        details = {**about, "reason": reason, "flags": ["undefined", *flags], "harms": [], "candidates": []}
        findings.add("hidden_harms", None, ideal=0.0, method=METHOD, source=TOST, details=details)
        add_safe(findings, "no", reason)

    def _findings(self, slug: str) -> Findings:
        return Findings(f"{self.settings.id}/{slug}", self.seed)

    @property
    def _dense_answers(self) -> Answers:
        return self._dense_read[0]

    @cached_property
    def _dense_read(self) -> tuple[Answers, Took]:
        """Read once, and only if some point is not finished yet."""
        found, took = run(lambda: answer(self.model, self.exam.questions, seed=self.seed))
        if found.not_finite:
            raise ModelError(
                f"the dense model gives no finite log-probability for {found.not_finite} of {len(found.logprobs)} "
                "answers: there is nothing to compare with; load it with dtype float32"
            )
        return found, took

    @cached_property
    def _drift(self) -> Drift:
        return Drift(self.model, self.texts, generator(self.seed, "drift"))

    @cached_property
    def _dense_of_probes(self) -> ProbeResult:
        """What the probes found of the dense model, under their own names."""
        start = f"{self.settings.id}/dense/"
        names = {probe.id for probe in self.probes}
        measurements = [replace(m, id=m.id.removeprefix(start)) for m in self._dense_result.measurements]
        own = [m for m in measurements if m.probe in names]
        items = [replace(i, measurement=i.measurement.removeprefix(start)) for i in self._dense_result.items]
        return ProbeResult(own, [i for i in items if i.measurement.split("/", 1)[0] in names])

    # --- finished points ------------------------------------------------------------------------------------------

    def _key(self, chosen: Sequence[specs.Spec]) -> str | None:
        """Hash of all that a point's numbers depend on; None where that is not known."""
        try:
            steps = [_identity(step) for spec in chosen for step in specs.steps_of(spec)]
            probes = [_identity(probe) for probe in self.probes]
        except (TypeError, ValueError):
            return None
        s = self.settings
        parts = {
            "auditkit": __version__, "libraries": environment.library_versions(), "weights": self.weights,
            "point": bool(chosen), "steps": steps, "probes": probes, "files": checkpoint._file_hashes([steps, probes]),
            "seed": self.seed, "texts": [list(self.texts.texts), list(self.texts.labels)],
            "groups": {k: list(v) for k, v in self.texts.groups.items()}, "clusters": list(self.texts.clusters),
            "margins": [self.exam.margin, self.group_margin],
            "options": [s.drift, s.costs, list(s.batch_sizes), s.shown, s.redact],
        }  # fmt: skip
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _kept(self, slug: str, key: str | None) -> ProbeResult | None:
        kept = self.checkpoints.find(f"{self.settings.id}.{slug}", key)
        return None if kept is None else kept[1]

    def _keep(self, slug: str, found: ProbeResult, key: str | None) -> ProbeResult:
        self.checkpoints.store(ProbeRun(f"{self.settings.id}.{slug}", "ok"), found, key)
        return found


def _identity(chosen: Any) -> list[Any]:
    """The class and options of a step or a probe."""
    return [f"{type(chosen).__module__}:{type(chosen).__qualname__}", checkpoint.options(chosen)]


def _weights(model: Any) -> str:
    from auditkit.models.weights import weights_sha256

    return weights_sha256(model.module)


def _run_as_json(run: ProbeRun) -> dict[str, Any]:
    return {"probe": run.probe, "status": run.status, "reason": run.reason, "notices": dict(run.notices)}


def _plain(steps: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the steps did, as JSON values."""
    return list(json.loads(json.dumps(list(steps), default=str)))
