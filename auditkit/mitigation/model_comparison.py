"""Before and after of language models: bias by any probes, beside what the mitigation cost in ability.

    report = ak.mitigate.compare_models(
        "minilm-mlm", [EqualizedFineTuning(), HiddenStateProjection()],
        learn=sentences, held_out=other_sentences, probes=["stereotype_pairs", "pronoun_gap", "winobias"],
    )

For "before" and each method M:

    model_mitigation/M/<probe>/...       what each probe finds, and .../worsening: how much farther from its ideal than
                                         before, paired item by item (below 0: mitigated); details: p_value_holm
    model_mitigation/M/biases_nearer     of all these, how many surely came nearer to their ideal, corrected by Holm
    model_mitigation/M/biases_farther    how many surely went farther: what "the bias only moved" looks like
    model_mitigation/M/perplexity        on texts that no mitigation has seen; /pseudo_perplexity of a masked model
    model_mitigation/M/quality_loss      its change in nats a token, paired, with equivalence inside a margin
    model_mitigation/M/agreement         how often the most probable token is still the same

A probe whose data were not used to mitigate tells whether the bias went, or only the benchmark's bias.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from auditkit import plugins
from auditkit.errors import InputError, MissingCapability
from auditkit.measurement import Measurement
from auditkit.mitigation.language_models import LanguageModelMitigation
from auditkit.models.protocols import HasModule
from auditkit.probes.base import Probe, ProbeResult, generator

if TYPE_CHECKING:
    from auditkit.compression.answers import Answers
    from auditkit.compression.findings import Findings
    from auditkit.compression.quality import Exam
    from auditkit.gate import Rule
    from auditkit.probes.evidence import KeptNulls
    from auditkit.report import AuditReport

BEFORE = "before"
MARGIN = 0.03  # nats a token: a perplexity 3 % higher


def compare_models(
    model: Any,
    methods: Sequence[LanguageModelMitigation],
    *,
    learn: Sequence[str],
    held_out: Sequence[str],
    probes: Sequence[str | Probe],
    margin: float = MARGIN,
    seed: int = 0,
    out: str | Path | None = None,
    gate: Sequence[Rule | Mapping[str, Any]] | None = None,
) -> AuditReport:
    """Mitigate a language model in several ways, and report bias and ability before and after.

    Args:
        model: what `load_model` takes, or a loaded masked or causal language model; it is not changed.
        methods: of `auditkit.mitigation`: EqualizedFineTuning, HiddenStateProjection, ...
        learn: the texts that the methods learn from.
        held_out: other texts, of the kind that the model will meet, for its perplexity.
        probes: ids or objects; each is run on every model, on the same items.
        margin: a loss of ability of so many nats a token counts as none.
        seed: of all draws.
        out: a folder for the report.
        gate: rules to judge by.

    Raises:
        InputError: no method or probe, one twice, or texts that are in both lists.
    """
    from auditkit.runner import audit

    if shared := set(learn) & set(held_out):
        raise InputError(
            f"{len(shared)} texts are both learned from and held out (the first: {min(shared)[:60]!r}); a loss of "
            "ability would not show on them; leave them out of one list"
        )
    built = tuple(plugins.probe(p) if isinstance(p, str) else p for p in probes)
    names = [slug_of(m) for m in methods]
    if not built or not names or len(set(names)) < len(names):
        raise InputError(
            f"methods: {', '.join(names) or 'none'}; probes: {', '.join(p.id for p in built) or 'none'}; expected at "
            "least one of each, and each method once"
        )
    probe = ModelComparison(
        methods=tuple(methods), learn=tuple(learn), held_out=tuple(held_out), probes=built, margin=margin
    )
    return audit(model, [probe], seed=seed, out=out, gate=gate)


def slug_of(method: LanguageModelMitigation) -> str:
    """A method's name as part of an id."""
    return "_".join("".join(c if c.isalnum() else " " for c in method.name.lower()).split())


@dataclass(frozen=True, kw_only=True)
class ModelComparison:
    """Mitigations of a language model side by side with none; see `compare_models`.

    Attributes:
        methods: what is compared.
        learn: texts to learn from.
        held_out: texts to measure ability on.
        probes: what bias is measured by.
        margin: see `compare_models`.
        id: name in the report.
    """

    methods: tuple[LanguageModelMitigation, ...]
    learn: tuple[str, ...]
    held_out: tuple[str, ...]
    probes: tuple[Probe, ...]
    margin: float = MARGIN
    id: str = "model_mitigation"

    needs: ClassVar[tuple[type, ...]] = (HasModule,)
    source: ClassVar[str] = "Meade et al. (2022), ACL (mitigations and what they cost)"
    private: ClassVar[tuple[str, ...]] = ("learn", "held_out", "slots")  # the last are ours, and long
    redact: ClassVar[bool] = True  # no option: these texts are never read from a file that a report could name

    def measure(self, model: Any, rng: np.random.Generator) -> ProbeResult:
        """The model as it is, then each method; one that fails is reported as such."""
        from auditkit.compression.answers import questions_about
        from auditkit.compression.quality import Exam
        from auditkit.compression.texts import read_texts
        from auditkit.progress import advance

        seed = int(rng.integers(2**31))
        texts = read_texts(list(self.held_out))
        exam = Exam(texts, questions_about(model, texts, generator(seed, "questions")), "perplexity", self.margin)
        work = _Work(self, exam, model, seed)
        results = [work.before()]
        for done, method in enumerate(self.methods, 1):
            results.append(work.after(method))
            advance(done, len(self.methods))
        return ProbeResult([m for r in results for m in r.measurements], [i for r in results for i in r.items])


class _Work:
    """Measures one model after the other, each beside the one without mitigation."""

    def __init__(self, of: ModelComparison, exam: Exam, model: Any, seed: int) -> None:
        from auditkit.compression.answers import answer

        self.of, self.exam, self.model, self.seed = of, exam, model, seed
        self.answers: Answers = answer(model, exam.questions, seed=seed)
        self.found: ProbeResult = ProbeResult([])
        self.nulls: dict[str, KeptNulls] = {}

    def before(self) -> ProbeResult:
        """The model without mitigation."""
        from auditkit.compression.paired_points import add_probe_results, run_probes
        from auditkit.compression.quality import add_level

        findings = self._findings(BEFORE)
        add_level(findings, self.exam, self.answers)
        self.found, _ = run_probes(self.model, self.of.probes, self.seed, self.nulls)
        add_probe_results(findings, self.found)
        return _labelled(findings.result(), {"mitigation": BEFORE, "stage": "none"})

    def after(self, method: LanguageModelMitigation) -> ProbeResult:
        """The model that a method makes of it."""
        from auditkit.compression.answers import answer
        from auditkit.compression.paired_points import add_probe_results, add_worsenings, run_probes
        from auditkit.compression.quality import METHODS, add_agreement, add_change, add_level

        findings, about = self._findings(slug_of(method)), {"mitigation": method.name, "learned_from": method.source}
        try:
            fairer = method.fit(self.model, list(self.of.learn), rng=generator(self.seed, method.name))
        except (InputError, MissingCapability) as e:
            findings.undefined("quality_loss", str(e), method=METHODS[self.exam.kind], source=method.source, ideal=0.0)
            return _labelled(findings.result(), about)
        found = answer(fairer, self.exam.questions, self.answers, seed=self.seed)
        add_level(findings, self.exam, found)
        add_change(findings, self.exam, self.answers, found)
        add_agreement(findings, self.exam, self.answers, found)
        result, _ = run_probes(fairer, self.of.probes, self.seed, self.nulls)
        add_probe_results(findings, result)
        add_worsenings(findings, self.found, result, same_model=found.same_as(self.answers))
        _count(findings, method.source)
        return _labelled(findings.result(), about)

    def _findings(self, slug: str) -> Findings:
        from auditkit.compression.findings import Findings

        return Findings(f"{self.of.id}/{slug}", self.seed)


def _count(findings: Findings, source: str) -> None:
    """How many measurements of bias surely moved, and which, each way."""
    from auditkit.compression.findings import exact
    from auditkit.compression.hidden_harm import with_holm
    from auditkit.compression.quality import ALPHA

    compared = with_holm(findings)
    sure = [m for m in compared if m.interval is not None and m.details["p_value_holm"] < ALPHA]
    nearer = [m.details["of"] for m in sure if m.interval.high < 0]  # type: ignore[union-attr]
    farther = [m.details["of"] for m in sure if m.interval.low > 0]  # type: ignore[union-attr]
    for name, which, ideal in (("biases_nearer", nearer, None), ("biases_farther", farther, 0.0)):
        findings.add(
            name, float(len(which)), interval=exact(len(which), "counted"), n=len(compared), unit="measurements",
            ideal=ideal, method="paired change of the distance from the ideal, Holm over all of the method",
            source=source, details={"measurements": which},
        )  # fmt: skip


def _labelled(found: ProbeResult, about: Mapping[str, Any]) -> ProbeResult:
    measurements: list[Measurement] = [m.with_details(**about) for m in found.measurements]
    return ProbeResult(measurements, found.items)
