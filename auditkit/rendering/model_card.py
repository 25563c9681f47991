"""A report in a Hugging Face model card: `model-index` results for machines, a section for people.

What the user wrote stays: of the front matter only the entry `model-index` is rewritten (values kept, comments not),
and of it only the results that an audit wrote; of the body only what stands between two markers. A second update
replaces the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from auditkit import conclusion
from auditkit.errors import InputError
from auditkit.measurement import Measurement
from auditkit.rendering import datasheet, front_matter, markdown, narrative
from auditkit.rendering.formatting import interval, number, one_line, parts, plain, quantity
from auditkit.rendering.headlines import headlines, outcomes
from auditkit.report import AuditReport

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

BEGIN, END = "<!-- auditkit:begin -->", "<!-- auditkit:end -->"
MAX_BYTES = 200_000
LONGEST = 200
TASKS = {
    "masked-lm": "fill-mask",
    "causal-lm": "text-generation",
    "char-gpt": "text-generation",
    "classifier": "text-classification",
    "seq2seq": "text2text-generation",
    "sentence-encoder": "sentence-similarity",
    "word-vectors": "feature-extraction",
}
"""What Hugging Face calls the tasks of auditkit's models."""
CAUTION = (
    "Written by auditkit. A pass says that the whole interval of that measurement lies inside its limit, on these data "
    "and for these weights. It is evidence, not a certificate."
)


def update(readme: str, report: AuditReport) -> str:
    """The README with the results of `report`.

    Args:
        readme: the text of a README.md; "" makes a new one.
        report: whose results. Those that a rule judges, and those about all items, are shown.

    Raises:
        InputError: the front matter or the markers are broken; nothing is guessed.
    """
    opening, block, closing, body = front_matter.split(readme)
    newline = "\r\n" if "\r\n" in (opening or body) else "\n"
    before = front_matter.parse(block)
    index = _model_index(before.get("model-index"), report)
    block = front_matter.with_entry(block, "model-index", index, newline)
    if not opening:
        bom = "\ufeff" if body.startswith("\ufeff") else ""
        opening, closing, body = f"{bom}---{newline}", f"---{newline}", body[len(bom) :]
    if not readme.strip("\ufeff \t\r\n"):
        body = f"{newline}# {markdown.escape(_line(_name(report)))}{newline}"
    updated = opening + block + closing + _with_section(body, section(report), newline)
    _refuse_what_the_hub_would(updated)
    return updated


def eval_results(report: AuditReport) -> list[EvalResult]:
    """The headline results as Hugging Face keeps them; interval, n and verdict are the arguments of the metric."""
    from huggingface_hub import EvalResult

    judged, used = outcomes(report), {use.probe: use for use in datasheet.data_used(report)}
    facts = {"auditkit": report.environment.get("auditkit"), "weights_sha256": report.subject.get("weights_sha256")}
    origin = {key: _line(str(value)) for key, value in facts.items() if value} | {"audited": report.created}
    results = []
    for m in headlines(report):
        data = used.get(m.probe)
        results.append(
            EvalResult(
                task_type=TASKS.get(str(report.subject.get("task")), "other"),
                dataset_type=_line(data.name if data else m.probe),
                dataset_name=_line(data.title if data else m.probe),
                dataset_args={"written_by": "auditkit", **origin},
                metric_type=_line(m.id),
                metric_name=_line(f"{plain(m.probe)}, {plain(parts(m)[1])} ({plain(parts(m)[0])})"),
                metric_value=m.value,
                metric_args=_certainty(m, judged.get(m.id, "not judged")),
            )
        )
    return results


def section(report: AuditReport) -> str:
    """The audit in Markdown between its markers, at most `MAX_BYTES` bytes."""
    outcome = conclusion.outcome(report)
    unknowns = [f"* {markdown.escape(_line(sentence, 1000))}" for sentence in narrative.unknowns(report)]
    data = datasheet.table(report)
    lines = [
        f"## Audit: {markdown.SIGNS[outcome]} {outcome}",
        "",
        markdown.escape(narrative.headline_of(report)),
        "",
        *(markdown.table(("", ""), _facts(report))),
        "",
        *_results(report),
        *(["### What is not known", "", *unknowns, ""] if unknowns else []),
        *(["### Data of the audit", "", *data, ""] if data else []),
        CAUTION,
    ]
    return f"{BEGIN}\n{markdown.within(lines, MAX_BYTES)}{END}"


def _results(report: AuditReport) -> list[str]:
    judged, shown = outcomes(report), headlines(report)
    rows = [
        (
            _line(m.id),
            quantity(m.value, m.unit),
            interval(m.interval),
            number(m.n),
            number(m.ideal),
            judged.get(m.id, "not judged"),
        )
        for m in shown
    ]
    header = ("Measurement", "Value", "95 % interval", "n", "Ideal", "Verdict")
    return [f"### {len(shown)} of {len(report.measurements)} measurements", "", *markdown.table(header, rows), ""]


def _facts(report: AuditReport) -> list[tuple[str, str]]:
    facts = {
        "Model": _name(report),
        "Weights, SHA-256": report.subject.get("weights_sha256"),
        "Audited": report.created,
        "auditkit": report.environment.get("auditkit"),
        "Seed": str(report.seed),
    }
    return [(name, _line(str(value))) for name, value in facts.items() if value]


def _certainty(m: Measurement, verdict: str) -> dict[str, Any]:
    """What a bare number lacks."""
    low, high, level = (m.interval.low, m.interval.high, m.interval.level) if m.interval else (None, None, None)
    facts = {"low": low, "high": high, "level": level, "n": m.n, "ideal": m.ideal, "unit": m.unit or None}
    facts |= {"verdict": verdict, "seed": m.seed}
    return {key: value for key, value in facts.items() if value is not None}


def _model_index(given: Any, report: AuditReport) -> list[dict[str, Any]]:
    """The user's `model-index` with our results, in place of those of an earlier audit."""
    from huggingface_hub.repocard_data import eval_results_to_model_index

    ours = eval_results_to_model_index(_line(_name(report)), eval_results(report))
    if not given:
        return ours
    try:
        first, *others = given
        kept = [result for result in first["results"] or [] if not _is_ours(result)]
        return [{**first, "results": kept + ours[0]["results"]}, *others]
    except (TypeError, KeyError, ValueError) as e:
        raise InputError(
            "the front matter's model-index is damaged: expected a list of models, each with name and results"
        ) from e


def _is_ours(result: Mapping[str, Any]) -> bool:
    return ((result.get("dataset") or {}).get("args") or {}).get("written_by") == "auditkit"


def _with_section(body: str, new: str, newline: str) -> str:
    newline = "\r\n" if "\r\n" in body else newline
    new = new.replace("\n", newline)
    begins, ends = body.count(BEGIN), body.count(END)
    if not begins and not ends:
        gap = "" if not body else newline if body.endswith("\n") else newline * 2
        return f"{body}{gap}{new}{newline}"
    start, stop = body.find(BEGIN), body.find(END)
    if (begins, ends) != (1, 1) or stop < start:
        raise InputError(f"expected {BEGIN} once and {END} once below it; delete both, and they are added anew")
    return body[:start] + new + body[stop + len(END) :]


def _refuse_what_the_hub_would(readme: str) -> None:
    from huggingface_hub import ModelCard

    try:
        ModelCard(readme.removeprefix("\ufeff"))
    except (ValueError, KeyError, TypeError) as e:
        raise InputError(f"Hugging Face cannot read this front matter: {' '.join(str(e).split())}") from e


def _name(report: AuditReport) -> str:
    return str(report.subject.get("name", "unnamed model"))


def _line(text: str, longest: int = LONGEST) -> str:
    """`text` on one line, white space joined, so that YAML need not fold it."""
    return " ".join(one_line(text, longest).split())
