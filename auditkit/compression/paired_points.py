"""The audit again at every point: each measurement of a probe beside the dense model's, compared item by item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from auditkit.compression.findings import Findings, p_value
from auditkit.errors import DataError
from auditkit.measurement import Measurement
from auditkit.probes.base import Probe, ProbeResult
from auditkit.probes.evidence import KeptNulls, sharing_nulls
from auditkit.report import AuditReport, ProbeRun
from auditkit.runner import Listener, _items_table, _run_probe, competence_of
from auditkit.worsening import Comparison, NotJudged

KEPT = ("reason", "p_value", "p_value_holm", "clusters", "no_interval", "note", "over_items")
"""What is kept of a measurement's details: at a dozen points the rest would fill the report."""


KEPT_OF_DENSE = (*KEPT, "validity", "data_sha256")


def run_probes(
    model: Any, probes: Sequence[Probe], seed: int, nulls: dict[str, KeptNulls]
) -> tuple[ProbeResult, list[ProbeRun]]:
    """Run every probe as an audit of its own would: the same seed draws the same items for every model.

    Args:
        model: the dense model, or a compressed one.
        probes: what to run.
        seed: of the sweep.
        nulls: by probe; what random weights score is the same at every point, so it is kept from the first one.
    """
    outcomes, able = [], competence_of(model, probes, seed)
    for probe in probes:
        with sharing_nulls(nulls.setdefault(probe.id, KeptNulls())):
            outcomes.append(_run_probe(probe, model, seed, Listener(), able))
    measurements = [m for o in outcomes for m in o.result.measurements]
    return ProbeResult(measurements, [i for o in outcomes for i in o.result.items]), [o.run for o in outcomes]


def add_probe_results(findings: Findings, found: ProbeResult, kept: Sequence[str] = KEPT) -> None:
    """The probes' own measurements and item scores, under the point's name."""
    for m in found.measurements:
        details = {k: v for k, v in m.details.items() if k in kept}
        findings.measurements.append(replace(m, id=findings.id(m.id), details=details, seed=None))
    findings.items += [replace(i, measurement=findings.id(i.measurement)) for i in found.items]


def add_worsenings(findings: Findings, dense: ProbeResult, point: ProbeResult, *, same_model: bool) -> None:
    """How much farther from its ideal each measurement is than the dense model's, paired item by item.

    A model and itself differ by exactly 0; two models that decide alike on all items may differ on others.

    A measurement without an ideal is left out: of it, better and worse are not defined. One that has a value for the
    dense model and none at the point says so in its details: nothing is known of it then.
    """
    subject = "dense" if same_model else "point"
    comparison = Comparison(_report(point, findings.seed, subject), _report(dense, findings.seed, "dense"))
    had_value = {m.id for m in dense.measurements if m.value is not None}
    for m in point.measurements:
        if m.ideal is None:
            continue
        name, method = f"{m.id}/worsening", "paired change of the distance from the ideal, by items"
        about = {"method": method, "source": m.source, "unit": m.unit, "ideal": 0.0}
        try:
            found = comparison.worsening(m)
        except (NotJudged, DataError) as e:
            lost = {"without_value": m.id} if m.value is None and m.id in had_value else {}
            findings.add(name, None, details={"reason": str(e).removeprefix("is undefined: "), **lost}, **about)  # type: ignore[arg-type]
            continue
        details = {"candidate": "probe", "probe": m.probe, "of": m.id, "note": found.note.lstrip("; ")}
        details["p_value"] = p_value(found.value, found.interval)  # type: ignore[assignment]
        findings.add(name, found.value, interval=found.interval, n=found.n, details=details, **about)  # type: ignore[arg-type]


def _report(found: ProbeResult, seed: int, subject: str) -> AuditReport:
    measurements: Sequence[Measurement] = found.measurements
    return AuditReport(
        subject={"subject_sha256": subject}, environment={}, config={}, seed=seed, runs=[], measurements=measurements,
        _items=_items_table(found.items),
    )  # fmt: skip
