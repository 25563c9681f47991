"""The report as one self-contained html file: nothing is fetched, and what a model or a dataset wrote stays text."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from auditkit import __version__, conclusion
from auditkit.gate import Verdict
from auditkit.measurement import Measurement
from auditkit.rendering import citation, evidence_map, glossary, narrative, sections, templates
from auditkit.rendering.descriptions import Description, describe
from auditkit.rendering.formatting import flat, parts, plain, printable, scalar
from auditkit.report import AuditReport


@dataclass(frozen=True, slots=True)
class Overall:
    """The verdict on the whole run: its outcome, one sentence, and how many checks had each outcome."""

    outcome: str
    sentence: str
    counts: Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Line:
    """One verdict under the title of its probe, with the unit of its numbers; is its measurement on the page?"""

    verdict: Verdict
    title: str
    unit: str
    shown: bool


@dataclass(frozen=True, slots=True)
class Method:
    """What the measurements named by `metrics` rest on; their methods stand in the section of their probe."""

    probe: str
    section: str
    metrics: str
    source: str
    intervals: str
    data: str


def render(report: AuditReport) -> str:
    """One html document; the same report gives the same bytes.

    Args:
        report: its measurements, verdicts and runs are everything that the page shows.

    Returns:
        The document. It asks the network for nothing and forbids itself to: see `policy`.
    """
    found = sections.sections(report)
    return document(
        "report.html",
        report=report,
        title=str(report.subject.get("name", "unnamed model")),
        byline=_byline(report),
        verdict=_overall(report),
        verdicts=_lines(report),
        failures=narrative.failures(report),
        unknowns=narrative.unknowns(report),
        risks=sections.by_risk(found),
        commands={section.probe: citation.command(report, section.probe) for section in found},
        repeatable=not citation.from_python(report),
        outcomes=[outcome for outcome in narrative.WORST_FIRST if any(outcome == v.outcome for v in report.verdicts)],
        citation=citation.of_report(report),
        terms=_terms(found),
        weights=narrative.weights_note(report),
        descriptions=_descriptions(report),
        methods=methods(report, {section.probe: section.id for section in found}),
        evidence_map=evidence_map.arrange(report, {section.probe: section.id for section in found}),
        subject=flat(report.subject),
        environment=flat({k: v for k, v in report.environment.items() if k != "packages"}),
        packages=flat(_mapping(report.environment.get("packages"))),
        config=json.dumps(dict(report.config), indent=2, ensure_ascii=False),
        version=__version__,
        digest=digest(report),
    )


def digest(report: AuditReport) -> str:
    """The sha256 of the report's JSON in canonical form, without `created` and the `seconds` of its runs.

    These two differ between two runs of the same audit, which say the same. "" where the report has no JSON form and
    so cannot be saved, for instance as its subject holds NaN.
    """
    from auditkit.integrity import canonical

    content = {name: value for name, value in report.to_json().items() if name != "created"}
    content["runs"] = [{name: value for name, value in run.items() if name != "seconds"} for run in content["runs"]]
    try:
        return canonical.sha256(canonical.parse(json.dumps(content)))
    except (TypeError, ValueError):
        return ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def document(template: str, **context: Any) -> str:
    """Fill `template` together with the style sheet, the script, and a policy that allows only these two."""
    directory = templates.directory()
    css, js = ((directory / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    env = templates.environment()
    css += glossary.css(context.get("terms", ()))
    env.filters["svg"] = Markup  # only for pictures from `svg.inline`, which escapes every text in them
    env.filters["anchor"] = citation.anchor
    env.globals |= {"describe": describe, "meaning": narrative.meaning}
    # Markup: these two are our own files. Everything else that a template prints is escaped.
    text = env.get_template(template).render(css=Markup(css), js=Markup(js), policy=policy(css, js), **context)
    return printable(text)


def policy(css: str, js: str) -> str:
    """A content security policy under which nothing loads and nothing runs but exactly `css` and `js`."""
    return f"default-src 'none'; style-src {_hash(css)}; script-src {_hash(js)}; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _byline(report: AuditReport) -> list[tuple[str, str]]:
    """What a reader wants to know first about the run."""
    facts = {name: report.subject.get(name) for name in ("task", "parameters", "device", "dtype")}
    facts |= {"seed": str(report.seed), "created": report.created}
    return [(name, scalar(value)) for name, value in facts.items() if value not in (None, "")]


def _overall(report: AuditReport) -> Overall:
    counts = Counter(v.outcome for v in report.verdicts)
    return Overall(
        outcome=conclusion.outcome(report),
        sentence=narrative.headline_of(report),
        counts=[(outcome, counts[outcome]) for outcome in narrative.WORST_FIRST if counts[outcome]],
    )


def _lines(report: AuditReport) -> list[Line]:
    units = {m.id: m.unit for m in report.measurements}
    did_not_run = {run.probe for run in report.runs if run.status != "ok"}  # these stand under coverage
    shown = {m.id for m in report.measurements if m.probe not in did_not_run} | did_not_run
    return [
        Line(v, describe(v.measurement.split("/")[0]).title, units.get(v.measurement, ""), v.measurement in shown)
        for v in narrative.worst_first(report.verdicts)
    ]


def _terms(found: Sequence[sections.ProbeSection]) -> list[glossary.Term]:
    """Of all sections and of the gate, in the order of the glossary."""
    ids = {term.id for section in found for term in section.terms} | glossary.ALWAYS
    return [term for term in glossary.terms() if term.id in ids]


def _descriptions(report: AuditReport) -> list[Description]:
    """Of each probe that measured something; probes that share a description, once."""
    measured = (m.probe for m in report.measurements if m.status == "ok")
    return list(dict.fromkeys(describe(probe) for probe in measured))


def methods(report: AuditReport, places: Mapping[str, str]) -> list[Method]:
    """Each source and each set of data of a probe once, with the metrics that it gave; `places` are the sections."""
    found: dict[tuple[str, str, str], list[Measurement]] = {}
    for m in report.measurements:
        if m.method or m.source:
            found.setdefault((m.probe, m.source, _data_hash(m)), []).append(m)
    return [
        Method(
            probe=probe,
            section=places.get(probe, ""),
            metrics=", ".join(dict.fromkeys(plain(parts(m)[1]) for m in of)),
            source=source,
            intervals="; ".join(dict.fromkeys(filter(None, map(citation.interval_method, of)))),
            data=data,
        )
        for (probe, source, data), of in found.items()
    ]


def _data_hash(m: Measurement) -> str:
    """The hash of the items that `m` was measured on, where its probe recorded it."""
    return str(m.details.get("data_sha256", ""))
