"""A report in an experiment tracker. Only MLflow's module-level functions are used, so anything with these will do."""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from auditkit import conclusion
from auditkit.rendering.formatting import flat, shortened

if TYPE_CHECKING:
    from auditkit.report import AuditReport

LONGEST_KEY, LONGEST_PARAM, LONGEST_TAG = 250, 500, 5000


class Tracker(Protocol):
    """What the `mlflow` module offers."""

    def log_metrics(self, metrics: dict[str, float]) -> Any:
        """Log numbers by name."""

    def log_params(self, params: dict[str, Any]) -> Any:
        """Log the run's settings by name."""

    def set_tags(self, tags: dict[str, Any]) -> Any:
        """Set texts by name."""

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> Any:
        """Keep all files of a folder."""


def log(report: AuditReport, tracker: Tracker) -> None:
    """Log a report into the tracker's active run; MLflow starts one where there is none.

    Metrics are `ID/value`, `ID/low`, `ID/high` and `ID/n` of each measurement with a value; params say which model,
    seed and library versions; tags carry the gate's outcome and each verdict; report.json, report.html and the item
    scores become artifacts in the folder `auditkit`. A name that MLflow refuses is changed and ends in its
    hash, a text too long for it ends in an ellipsis; the artifacts have both in full.
    """
    tracker.log_metrics(_metrics(report))
    tracker.log_params(_params(report))
    tracker.set_tags(_tags(report))
    with tempfile.TemporaryDirectory() as folder:
        report.save(Path(folder) / "report.json")
        report.to_html(Path(folder) / "report.html")
        tracker.log_artifacts(folder, "auditkit")


def _metrics(report: AuditReport) -> dict[str, float]:
    found: dict[str, float] = {}
    for m in report.measurements:
        if m.value is None:
            continue
        ends = {"low": m.interval.low, "high": m.interval.high} if m.interval else {}
        values = {"value": m.value, **ends, "n": m.n}
        found |= {_key(m.id, name): float(value) for name, value in values.items()}
    return found


def _params(report: AuditReport) -> dict[str, str]:
    environment = {name: report.environment.get(name) for name in ("auditkit", "python", "libraries")}
    facts = {"subject": report.subject, "environment": environment}
    named = [*flat(facts), ("seed", str(report.seed)), ("created", report.created)]
    return {_key(name): shortened(text, LONGEST_PARAM) for name, text in named}


def _tags(report: AuditReport) -> dict[str, str]:
    verdicts = {f"auditkit.verdict.{i}": shortened(str(v), LONGEST_TAG) for i, v in enumerate(report.verdicts, 1)}
    return {"auditkit.outcome": conclusion.outcome(report), **verdicts}


def _key(name: str, part: str = "") -> str:
    """A name that MLflow takes; one that had to be changed for it ends in its hash, so that no two become one."""
    suffix = f"/{part}" if part else ""
    clean = re.sub(r"/(?=[/.])", "/_", re.sub(r"[^\w\-. /]", "_", name, flags=re.ASCII).strip("/ ."))
    if clean != name or len(name + suffix) > LONGEST_KEY:
        suffix = f"-{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:8]}{suffix}"
    return clean[: LONGEST_KEY - len(suffix)] + suffix
