"""The report as one self-contained html file: nothing is fetched, and what a model or a dataset wrote stays text."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from auditkit.gate import Verdict, Verdicts
from auditkit.measurement import Measurement
from auditkit.rendering import narrative, sections, templates
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
    """One verdict under the title of its probe, with the unit of its numbers."""

    verdict: Verdict
    title: str
    unit: str


@dataclass(frozen=True, slots=True)
class Method:
    """How the measurements named by `metrics` were obtained."""

    probe: str
    metrics: str
    method: str
    source: str
    interval_method: str
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
        verdict=_overall(report.verdicts),
        verdicts=_lines(report),
        unknowns=narrative.unknowns(report),
        risks=sections.by_risk(found),
        weights=narrative.weights_note(report),
        descriptions=_descriptions(report),
        methods=methods(report),
        subject=flat(report.subject),
        environment=flat(report.environment),
        config=json.dumps(dict(report.config), indent=2, ensure_ascii=False),
    )


def document(template: str, **context: Any) -> str:
    """Fill `template` together with the style sheet, the script, and a policy that allows only these two."""
    directory = templates.directory()
    css, js = ((directory / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    env = templates.environment()
    env.filters["svg"] = Markup  # only for pictures from `svg.inline`, which escapes every text in them
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


def _overall(verdicts: Sequence[Verdict]) -> Overall:
    counts = Counter(v.outcome for v in verdicts)
    return Overall(
        outcome=Verdicts(tuple(verdicts)).outcome if verdicts else narrative.NO_GATE,
        sentence=narrative.headline(verdicts),
        counts=[(outcome, counts[outcome]) for outcome in narrative.WORST_FIRST if counts[outcome]],
    )


def _lines(report: AuditReport) -> list[Line]:
    units = {m.id: m.unit for m in report.measurements}
    return [
        Line(v, describe(v.measurement.split("/")[0]).title, units.get(v.measurement, ""))
        for v in narrative.worst_first(report.verdicts)
    ]


def _descriptions(report: AuditReport) -> list[Description]:
    """Of each probe that measured something; probes that share a description, once."""
    measured = (m.probe for m in report.measurements if m.status == "ok")
    return list(dict.fromkeys(describe(probe) for probe in measured))


def methods(report: AuditReport) -> list[Method]:
    """Each way of measuring once, with the metrics that it gave."""
    rows: dict[tuple[str, str, str, str, str], list[str]] = {}
    for m in report.measurements:
        if m.method or m.source:
            key = (m.probe, m.method, m.source, m.interval.method if m.interval else "", _data_hash(m))
            rows.setdefault(key, []).append(plain(parts(m)[1]))
    return [
        Method(probe, ", ".join(dict.fromkeys(metrics)), method, source, by, data)
        for (probe, method, source, by, data), metrics in rows.items()
    ]


def _data_hash(m: Measurement) -> str:
    """The hash of the items that `m` was measured on, where its probe recorded it."""
    return str(m.details.get("data_sha256", ""))
