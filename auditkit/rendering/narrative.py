"""What the verdicts and the gaps of a report say, in plain sentences. It judges nothing: the gate has."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from auditkit import attainability
from auditkit.conclusion import NOTHING_MEASURED, crashed, measured_nothing
from auditkit.gate import SEVERITY, Outcome, Verdict
from auditkit.measurement import Measurement
from auditkit.rendering.descriptions import describe
from auditkit.rendering.evidence import weights
from auditkit.rendering.formatting import limit, plain, sentence_case
from auditkit.report import AuditReport, ProbeRun

WORST_FIRST: tuple[Outcome, ...] = SEVERITY[::-1]
MAX_LISTED = 9
_NUMBER = re.compile(r"\d[\d,.]*")


def worst_first(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """The verdicts, worst outcome first, otherwise in their order."""
    return sorted(verdicts, key=lambda v: WORST_FIRST.index(v.outcome))


def subject_of(measurement_id: str) -> str:
    """A measurement in words: "metric score of gender in “Stereotyped sentence pairs (CrowS-Pairs)”"."""
    probe, *rest = measurement_id.split("/")
    if not rest:
        return f"“{measurement_id}”"
    *group, metric = rest
    whom = plain("/".join(group)) if group and group != ["all"] else "all items"
    return f"the {plain(metric)} for {whom} in “{describe(probe).title}”"


def headline(verdicts: Sequence[Verdict]) -> str:
    """One sentence that says how the gate went, and names the first thing that went wrong."""
    if not verdicts:
        return "No rule was given, so nothing is judged here: this report only shows what was measured."
    counts = Counter(v.outcome for v in verdicts)
    if counts["PASS"] == len(verdicts):
        return f"{_all_checks(len(verdicts))} passed: the whole interval lies inside the limit wherever one was set."
    worst = worst_first(verdicts)[0]
    blocks = "" if any(v.blocking for v in verdicts) else " None of this blocks."
    return f"{_counted(counts, len(verdicts))}.{blocks} {_first(worst)}"


def headline_of(report: AuditReport) -> str:
    """The headline of its verdicts, after what makes the audit incomplete: then no verdict speaks for all of it."""
    broken = [run.probe for run in crashed(report)]
    if measured_nothing(report):
        why = NOTHING_MEASURED
    elif broken:
        why = f"{len(broken)} probes crashed" if len(broken) > 1 else f"“{describe(broken[0]).title}” crashed"
    else:
        return headline(report.verdicts)
    return f"The audit is incomplete: {why}. {headline(report.verdicts)}"


def _all_checks(n: int) -> str:
    return "The only check" if n == 1 else f"All {n} checks"


def _counted(counts: Counter[Outcome], total: int) -> str:
    """As in "2 of 9 checks failed and 1 could not be decided"."""
    verbs: dict[Outcome, str] = {
        "FAIL": "failed",
        "INCONCLUSIVE": "could not be decided",
        "ERROR": "could not be judged",
    }
    clauses = [f"{counts[outcome]} {verb}" for outcome, verb in verbs.items() if counts[outcome]]
    first, _, rest = clauses[0].partition(" ")
    clauses[0] = f"{first} of {total} check{'s' if total > 1 else ''} {rest}"
    return ", ".join(clauses[:-1]) + (" and " if len(clauses) > 1 else "") + clauses[-1]


def _first(verdict: Verdict) -> str:
    """The verdict in one sentence, its numbers included."""
    if verdict.outcome == "ERROR":
        return _not_judged(verdict)
    what = sentence_case(subject_of(verdict.measurement))
    return f"{what}: {verdict.explanation.removesuffix('.')} (limit {limit(verdict.limit)})."


def failures(report: AuditReport) -> list[str]:
    """What failed, each as one sentence with its numbers; many values that failed the same rule are one sentence."""
    failed = [v for v in report.verdicts if v.outcome == "FAIL"]
    found = [_first(of[0]) if len(of) == 1 else _together(of, "failed") for of in _by_rule(failed)]
    return _at_most(found, MAX_LISTED, "listed under the gate")


def _by_rule(verdicts: Iterable[Verdict]) -> list[list[Verdict]]:
    """The verdicts of each rule; a rule whose pattern matches many measurements gives many."""
    found: dict[tuple[str, str], list[Verdict]] = {}
    for v in verdicts:
        found.setdefault((v.rule.measurement, v.limit), []).append(v)
    return list(found.values())


def _together(verdicts: Sequence[Verdict], how: str) -> str:
    """As in "The limit ≤ 12 on membership/*/tpr: 5 values failed, first of them the TPR for all items in ..."."""
    first = verdicts[0]
    what = f"The limit {limit(first.limit)} on {first.rule.measurement}: {len(verdicts)} values {how}"
    return f"{what}, first of them {subject_of(first.measurement)}."


def _open_questions(verdicts: Iterable[Verdict]) -> Iterator[str]:
    for of in _by_rule(v for v in worst_first(verdicts) if v.outcome in ("INCONCLUSIVE", "ERROR")):
        first = of[0]
        if len(of) > 1:
            yield _together(of, "could not be decided")
        elif first.outcome == "ERROR":
            yield _not_judged(first)
        else:
            yield f"Whether {subject_of(first.measurement)} keeps its limit: {first.explanation}"


def _not_judged(verdict: Verdict) -> str:
    return f"The rule on {verdict.measurement} ({limit(verdict.limit)}) could not be judged: {verdict.explanation}"


def unknowns(report: AuditReport) -> list[str]:
    """What this report cannot say, each as one sentence, the gate's open questions first."""
    found = list(_open_questions(report.verdicts))
    found += [
        f"“{describe(run.probe).title}” was not measured ({run.status}): {_reason_of_run(run)}"
        for run in report.runs
        if run.status != "ok"
    ]
    # A probe that did not run stands in the report as one measurement without a value: said above already.
    said = {v.measurement for v in report.verdicts} | {run.probe for run in report.runs if run.status != "ok"}
    found += _without_value(m for m in report.measurements if m.status != "ok" and not said & {m.id, m.probe})
    remarks = [f"The rule on {r}." for r in attainability.remarks_on(report.verdicts, report.measurements)]
    return _at_most(found, MAX_LISTED, "listed below") + remarks + _unjudged(report)


def _reason_of_run(run: ProbeRun) -> str:
    """Why a probe did not run, to stand after "was not measured"."""
    return run.reason.removeprefix("not measured: ") or "no reason was recorded"


def _without_value(measurements: Iterable[Measurement]) -> Iterator[str]:
    """Those of one probe that lack a value for the same reason, told together; numbers in a reason may differ."""
    alike: dict[tuple[str, str, str], list[Measurement]] = {}
    for m in measurements:
        alike.setdefault((m.probe, m.status, _NUMBER.sub("#", reason_of(m))), []).append(m)
    for (probe, status, _), of in alike.items():
        why = f"({status}): {reason_of(of[0])}"
        if len(of) == 1:
            yield f"{sentence_case(subject_of(of[0].id))} has no value {why}"
        else:
            what = f"{len(of)} measurements of “{describe(probe).title}” have no value"
            yield f"{what} {why}, as for {_where(of[0].id)}"


def _where(measurement_id: str) -> str:
    """The measurement's group and metric, where its probe was just named."""
    _, *rest = measurement_id.split("/")
    *group, metric = rest or [measurement_id]
    return f"the {plain(metric)} of {plain('/'.join(group)) or 'all items'}"


def reason_of(m: Measurement) -> str:
    """Why `m` has no value."""
    return str(m.details.get("reason", "no reason was recorded"))


def _at_most(sentences: Sequence[str], most: int, where: str) -> list[str]:
    """The first `most`, and how many more there are."""
    rest = len(sentences) - most
    return [*sentences[:most], *([f"{rest} more of this kind, {where}."] if rest > 0 else [])]


def _unjudged(report: AuditReport) -> list[str]:
    """How many values no rule asked about: a pass says nothing of them."""
    judged = {v.measurement for v in report.verdicts}
    n = sum(m.status == "ok" and m.id not in judged for m in report.measurements)
    if not judged or not n:
        return []
    return [f"No rule judges {n} of the {len(report.measurements)} measurements; the verdict says nothing about them."]


class WeightsNote(NamedTuple):
    """Whether all scores come from the subject's weights, and a sentence that says so."""

    agree: bool
    sentence: str


def weights_note(report: AuditReport) -> WeightsNote:
    """Compare the weights that each score names in its validity block with the subject's."""
    expected = report.subject.get("weights_sha256")
    named = {m.id: weights(m) for m in report.measurements if weights(m)}
    strangers = [id for id, sha in named.items() if sha != expected]
    if strangers:
        many = f"{len(strangers)} of {len(named)} scores come from other weights than the subject's"
        return WeightsNote(False, f"{many}, first of them {strangers[0]}.")
    if not named:
        return WeightsNote(True, "No score names the weights that it comes from.")
    return WeightsNote(True, f"{len(named)} scores name their weights by hash; all are those of the audited model.")


def meaning(outcome: str) -> str:
    """What an outcome means, for a reader who meets it for the first time."""
    return {
        "PASS": "the whole interval is inside the limit",
        "FAIL": "the whole interval is outside the limit",
        "INCONCLUSIVE": "the interval lies on both sides of the limit: too few items to decide",
        "ERROR": "there is no value to judge",
    }[outcome]
