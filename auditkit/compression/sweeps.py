"""The whole question: may the compressed model be shipped? Every point measured beside the dense model.

report = ak.compression.sweep(
    "minilm-mlm", ["int8", {"magnitude": {"ratio": 0.3}}], ["crows_pairs"], texts="reviews.csv", groups=["sex"],
)
report["compression/all/recommendation"].details["text"]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from auditkit.checkpoint import Checkpoints
from auditkit.compression.findings import Findings, exact
from auditkit.compression.pareto import HIGHER_IS_BETTER, Point, front, recommend
from auditkit.compression.points import Sweep, label_of, slug_of
from auditkit.compression.texts import Source, in_rows, read_texts
from auditkit.probes.base import ProbeResult

if TYPE_CHECKING:
    from auditkit.compression.spec import Spec
    from auditkit.probes.base import Probe
    from auditkit.probes.compression import Compression
    from auditkit.report import AuditReport

PARETO = "Pareto front: points that no other point equals on all axes and beats on one"
ALL_SOURCE = "Hooker et al. (2019), https://arxiv.org/abs/1911.05248"


def sweep(
    model: Any,
    specs: Sequence[Spec],
    probes: Sequence[str | Mapping[str, Any] | Probe] = (),
    *,
    texts: Source,
    groups: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    labels: Sequence[str] | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    **options: Any,
) -> AuditReport:
    """Compress a model in several ways, and measure quality, groups, bias, leaks and cost of each beside the original.

    Args:
        model: what `load_model` takes, or a loaded model with weights; it is not changed.
        specs: what to do to it, a point each; see `auditkit.compression.spec`.
        probes: what to audit again at every point: ids, {id: options}, or probe objects.
        texts: what quality is measured on: a list, or the path of a .txt, .csv or .parquet file.
        groups: the group of each text, or {attribute: the value of each text}; of a file, names of columns.
        labels: the true label of each text, for a classifier; in a file the column "label".
        seed: of everything that is drawn.
        out: a folder for the report, and for taking up a sweep that was stopped.
        options: of the probe: margin, group_margin, axes, drift, costs, batch_sizes, ...

    Returns:
        A report whose measurements `auditkit.probes.compression` describes.

    Raises:
        InputError: specs, probes, texts or options are wrong.
        ModelError: a step changed the dense model.
    """
    from auditkit.errors import ConfigError
    from auditkit.plugins import _option_problems
    from auditkit.probes.compression import Compression
    from auditkit.runner import audit

    rows, names = in_rows(texts, labels, groups)
    source = rows if isinstance(rows, str | Path) else [dict(r) if isinstance(r, Mapping) else r for r in rows]
    given = {"specs": list(specs), "probes": list(probes), "texts": source, "groups": list(names), **options}
    if out is not None:
        given["resume"] = str(out)
    if problems := _option_problems(Compression, given):
        raise ConfigError(problems, where="sweep()")
    probe: Any = Compression(**given)
    read_texts(source, groups=names, label=probe.label, cluster=probe.cluster)  # refused here, before a model is loaded
    return audit(model, [probe], seed=seed, out=out)


def measure(settings: Compression, model: Any, rng: np.random.Generator) -> ProbeResult:
    """All points of a sweep, the front and the recommendation."""
    texts = read_texts(settings.texts or "", groups=settings.groups, label=settings.label, cluster=settings.cluster)
    seed = int(rng.integers(2**31))
    checkpoints = Checkpoints(Path(settings.resume) if settings.resume else None)
    work = Sweep(settings, model, texts, seed, checkpoints)
    labels = ["dense", *(label_of(spec) for spec in settings.specs)]
    slugs = ["dense", *(slug_of(label) for label in labels[1:])]
    found = [work.dense(), *(work.point(spec) for spec in settings.specs)]
    together = _all_points(settings, seed, _points(settings.id, slugs, labels, found))
    results = [together, *found]
    return ProbeResult([m for r in results for m in r.measurements], [i for r in results for i in r.items])


def _points(id: str, slugs: Sequence[str], labels: Sequence[str], found: Sequence[ProbeResult]) -> list[Point]:
    return [
        Point(slug, label, {m.id.removeprefix(f"{id}/{slug}/"): m for m in result.measurements})
        for slug, label, result in zip(slugs, labels, found, strict=True)
    ]


def _all_points(settings: Compression, seed: int, points: Sequence[Point]) -> ProbeResult:
    """What can be said of the points together."""
    findings, axes = Findings(f"{settings.id}/all", seed), settings.axes
    on_front = front(points, axes)
    rows = [p.to_json(axes, on_front=on) for p, on in zip(points, on_front, strict=True)]
    higher = [a for a in axes if a in HIGHER_IS_BETTER]
    units = {a: next((p.measurements[a].unit for p in points if a in p.measurements), "") for a in axes}
    findings.add(
        "pareto_front", float(sum(on_front)), interval=exact(sum(on_front), "counted"), n=len(points), unit="points",
        method=PARETO, source=ALL_SOURCE,
        details={"axes": list(axes), "units": units, "higher_is_better": higher, "points": rows},
    )  # fmt: skip
    chosen, text = recommend(points, axes)
    safe = [p.slug for p in points[1:] if p.safe == "yes"]
    details: dict[str, Any] = {
        "text": text,
        "point": chosen and chosen.slug,
        "label": chosen and chosen.label,
        "safe_points": safe,
    }
    details |= {"hidden_harms": {p.slug: p.measurements["hidden_harms"].value for p in points[1:]}}
    findings.add(
        "recommendation", float(len(safe)), interval=exact(len(safe), "counted"), n=len(points) - 1,
        unit="safe points", method="the safe point that is smallest on the first axis, of those that gain anything",
        source=ALL_SOURCE, details=details,
    )  # fmt: skip
    return findings.result()
