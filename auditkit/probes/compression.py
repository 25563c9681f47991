"""Compression: what pruning, quantisation and low rank do to quality, groups, bias and leaks, beside the dense model.

Of each point, named after its label ("int8", "magnitude-50-pct-global", ...), and of "dense" where it makes sense:

    compression/<point>/loss, /perplexity                of a causal model; /pseudo_perplexity of a masked one
    compression/<point>/accuracy                         of a classifier
    compression/<point>/group=<g>/loss | accuracy ...    the same in each group
    compression/<point>/quality_loss                     paired with the dense model; details: verdict ("equivalent",
                                                         "better", "worse", "inconclusive"), margin
    compression/<point>/group=<g>/quality_loss           paired, in each group; details: p_value_holm
    compression/<point>/agreement, /answer_flips, /divergence
    compression/<point>/changed_texts                    details["shown"]: the exemplars [{item, text, loss_rise,
                                                         changed_answers, groups}]
    compression/<point>/group=<g>/exemplar_ratio         over-representation among the exemplars
    compression/<point>/<probe>/<...>                    a probe's own measurement, made again at the point
    compression/<point>/<probe>/<...>/worsening          paired with the dense model's, item by item
    compression/<point>/attribution_agreement            with drift
    compression/<point>/bytes_in_memory, /bytes_on_disk
    compression/<point>/speedup_batch_<k> (above 1 is faster), /peak_memory, /cpu_seconds, /energy     with costs
    compression/<point>/hidden_harms                     details: label, steps [{step, ...}], flags ("slower than
                                                         dense", "no smaller than dense", "undefined"), notices,
                                                         probes [{probe, status, reason, notices}], overall {verdict,
                                                         p_value, method, text}, candidates and harms [{measurement,
                                                         what, kind ("group" or "probe"), value, low, high, unit, n,
                                                         p_value_holm, harmed, unresolved}]
    compression/<point>/safe                             1, 0, or undefined where it is open; details: safe ("yes",
                                                         "no", "open"), reason

and of all of them

    compression/all/pareto_front                         details: axes [name], units {axis: unit},
                                                         higher_is_better [axis], points [{slug, label,
                                                         on_front, safe, flags, values {axis: value or None},
                                                         intervals {axis: [low, high] or None}, groups [{group,
                                                         value, interval, n}]}], the dense model first
    compression/all/recommendation                       details: text, point (slug or None), label, safe_points,
                                                         hidden_harms {slug: count or None}

A point that yields NaN, or cannot be made, has status "undefined" and the reason; it is never "no loss".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from auditkit.errors import ConfigError, InputError
from auditkit.models.protocols import HasModule
from auditkit.probes.base import Probe, ProbeResult


@dataclass(frozen=True, kw_only=True)
class Compression:
    """A model compressed in several ways, each audited beside the original.

    Attributes:
        id: name in the report.
        specs: what to do to the model, a point each; see `auditkit.compression.spec`.
        texts: what quality is measured on: the path of a .txt, .csv or .parquet file with the column text; or a list
            of texts or mappings; empty for the sentences of the shipped pairs.
        groups: columns of the texts that say which group each belongs to.
        label: the column of true labels, which a classifier needs.
        cluster: the column that says which texts are not independent of each other; "" for none.
        probes: what to audit again at every point: ids, or {id: options}.
        margin: the largest change of the loss that counts as none: nats per token (0.05 if not given), or percentage
            points of accuracy (2 if not given).
        group_margin: how much worse a group's quality may get; `margin` if not given, 0 for not at all.
        axes: of the Pareto front; see `auditkit.compression.pareto.AXES`.
        drift: whether to compare word attributions, on at most 20 texts.
        costs: whether to measure time, memory and energy; size is counted in any case.
        batch_sizes: at which speed is compared.
        shown: how many exemplars of a point are listed.
        redact: list an exemplar as its beginning, length and hash.
        resume: a folder in which finished points are kept, so that a sweep that was stopped is taken up; "" for none.
    """

    id: str = "compression"
    specs: list[Any] = field(default_factory=lambda: ["int8", {"magnitude": {"ratio": 0.3}}])
    texts: str | list[str | dict[str, Any]] = ""
    groups: list[str] = field(default_factory=list)
    label: str = "label"
    cluster: str = ""
    probes: list[Any] = field(default_factory=list)
    margin: float | None = None
    group_margin: float | None = None
    axes: tuple[str, ...] = ("bytes_in_memory", "quality_loss")
    drift: bool = False
    costs: bool = True
    batch_sizes: tuple[int, ...] = (1, 8)
    shown: int = 10
    redact: bool = True
    resume: str = ""

    private: ClassVar[tuple[str, ...]] = ("texts", "members", "nonmembers")
    needs: ClassVar[tuple[type, ...]] = (HasModule,)
    source: ClassVar[str] = "Hooker et al. (2019), https://arxiv.org/abs/1911.05248"

    def __post_init__(self) -> None:
        problems = [*self._spec_problems(), *self._probe_problems(), *self._number_problems()]
        if problems:
            raise ConfigError(problems, where=self.id)

    def measure(self, model: Any, rng: np.random.Generator) -> ProbeResult:
        """Make every point, measure it beside the dense model, and let it go.

        Raises:
            DataError: the texts are missing or damaged.
            MissingCapability: the model has neither a perplexity nor an accuracy.
            ModelError: a step changed the dense model, or the dense model itself yields NaN.
        """
        from auditkit.compression.sweeps import measure

        return measure(self, model, rng)

    def built_probes(self) -> list[Probe]:
        """The probe objects."""
        return [_built(entry) for entry in self.probes]

    def _spec_problems(self) -> Iterator[str]:
        from auditkit.compression.points import label_of, slug_of
        from auditkit.compression.spec import steps_of

        if not self.specs:
            yield "specs: none; give at least one, for instance [int8]"
        owners: dict[str, str] = {"dense": "the dense model", "all": "all points together"}
        for i, spec in enumerate(self.specs):
            problems = []
            for entry in spec if isinstance(spec, list | tuple) else [spec]:
                try:
                    steps_of([entry])
                except InputError as e:
                    problems.append(f"specs[{i}]: {e}")
            yield from problems
            if problems:
                continue
            slug = slug_of(label_of(spec))
            if owners.setdefault(slug, f"specs[{i}]") != f"specs[{i}]":
                yield f"specs[{i}]: {label_of(spec)!r} is {owners[slug]} again; every point needs a label of its own"

    def _probe_problems(self) -> Iterator[str]:
        from auditkit.plugins import id_problems

        built = {}
        for i, entry in enumerate(self.probes):
            try:
                built[f"probes[{i}]"] = _built(entry)
            except InputError as e:
                yield f"probes[{i}]: {e}"
        yield from id_problems(built)

    def _number_problems(self) -> Iterator[str]:
        from auditkit.compression.pareto import check_axes

        try:
            check_axes(self.axes)
        except InputError as e:
            yield f"axes: {e}"
        if not self.axes:
            yield "axes: none; give at least one, for instance [bytes_in_memory, quality_loss]"
        if self.margin is not None and self.margin <= 0:
            yield f"margin={self.margin}; expected more than 0"
        if self.group_margin is not None and self.group_margin < 0:
            yield f"group_margin={self.group_margin}; expected at least 0"
        if self.shown < 0 or not self.batch_sizes or min(self.batch_sizes) < 1:
            yield f"shown={self.shown}, batch_sizes={list(self.batch_sizes)}; expected at least 0, and sizes from 1"


def _built(entry: Any) -> Probe:
    """A probe from its id, {id: options}, or itself."""
    from auditkit.plugins import probe

    if isinstance(entry, str):
        return probe(entry)
    if isinstance(entry, Mapping):
        if len(entry) != 1:
            raise InputError(f"{dict(entry)!r}; expected one probe's name with its options")
        name, options = next(iter(entry.items()))
        return probe(str(name), options)
    if not hasattr(entry, "measure"):
        raise InputError(f"{entry!r} is no probe; expected an id, {{id: options}} or a probe object")
    built: Probe = entry
    return built
