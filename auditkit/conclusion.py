"""What a report comes to, as a whole. Every output says the same, because all of them ask here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auditkit.gate import Verdicts

if TYPE_CHECKING:
    from auditkit.report import AuditReport, ProbeRun

NO_GATE = "NOT JUDGED"
NOTHING_MEASURED = "nothing was measured: no probe gave a value"


def crashed(report: AuditReport) -> list[ProbeRun]:
    """The probes that broke off. What they would have found nobody knows, so that no gate may be called passed."""
    return [run for run in report.runs if run.status == "error"]


def measured_nothing(report: AuditReport) -> bool:
    """Whether no probe crashed and yet no measurement has a value: where all are skipped, nothing may pass."""
    return not crashed(report) and not any(m.status == "ok" for m in report.measurements)


def incomplete(report: AuditReport) -> str:
    """Why no gate may be called passed, whatever its rules say: probes that crashed, or nothing measured; else ""."""
    lines = [f"{run.probe} crashed: {run.reason}" for run in crashed(report)]
    return "\n".join(lines) or (NOTHING_MEASURED if measured_nothing(report) else "")


def outcome(report: AuditReport) -> str:
    """The worst verdict; "ERROR" also where a probe crashed or nothing was measured; "NOT JUDGED" without a rule.

    The exit code follows from it: ERROR 3, FAIL 1, PASS and NOT JUDGED 0, INCONCLUSIVE 1 if a verdict blocks, else 0.
    """
    if crashed(report) or measured_nothing(report):
        return "ERROR"
    return Verdicts(tuple(report.verdicts)).outcome if report.verdicts else NO_GATE


def exit_code(report: AuditReport) -> int:
    """3 where a probe crashed, nothing was measured, or a rule could not be judged; else 1 where a verdict blocks."""
    if crashed(report) or measured_nothing(report):
        return 3
    return Verdicts(tuple(report.verdicts)).exit_code


def to_json(report: AuditReport, code: int) -> dict[str, Any]:
    """What a script wants to know of a run: the outcome, the exit code, the verdicts, and what was not measured.

    Args:
        report: judged.
        code: the exit code that the command ends with.
    """
    missing = [run for run in report.runs if run.status != "ok"]
    return {
        "subject": str(report.subject.get("name", "unnamed model")),
        "created": report.created,
        "seed": report.seed,
        "outcome": outcome(report),
        "exit_code": code,
        "verdicts": [v.to_json() for v in report.verdicts],
        "not_measured": [{"probe": run.probe, "status": run.status, "reason": run.reason} for run in missing],
        "measurements": [{k: v for k, v in m.to_json().items() if k != "details"} for m in report.measurements],
    }
