"""What does not pass as a GitLab code quality report, which a merge request shows beside the changed lines.

The format: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping

from auditkit import conclusion
from auditkit.gate import Rule, Verdict
from auditkit.rendering.formatting import one_line
from auditkit.report import AuditReport

SEVERITIES = {"ERROR": "blocker", "FAIL": "critical", "INCONCLUSIVE": "major"}
GAPS = {
    "error": ("blocker", "crashed"),
    "invalid": ("critical", "has no valid number"),
    "skipped": ("info", "was skipped"),
}
"""By the status of a probe without a result: how severe that is, and what is said."""


def render_code_quality(report: AuditReport, file: str, lines: Mapping[Rule, int] | None = None) -> str:
    """A JSON list with one entry for each verdict that is not PASS and each probe that did not run.

    One more says so where nothing was measured at all.

    An entry is known by its rule and measurement, not by the numbers found: a merge request that changes only the
    numbers resolves nothing and adds nothing.

    Args:
        report: judged.
        file: path of the file with the rules, as the repository names it.
        lines: where each rule stands in it.
    """
    seen: Counter[str] = Counter()
    entries = []
    for key, name, severity, description, line in _issues(report, lines or {}):
        seen[key] += 1
        entries.append(
            {
                "description": one_line(description),
                "check_name": one_line(name),
                "fingerprint": hashlib.sha256(f"{key}\0{seen[key]}".encode(errors="surrogatepass")).hexdigest(),
                "severity": severity,
                "location": {"path": file, "lines": {"begin": line}},
            }
        )
    return json.dumps(entries, indent=1) + "\n"


def severity_of(verdict: Verdict) -> str:
    """As GitLab names it; an undecided verdict that does not block is minor."""
    return SEVERITIES[verdict.outcome] if verdict.blocking else "minor"


def _issues(report: AuditReport, lines: Mapping[Rule, int]) -> Iterator[tuple[str, str, str, str, int]]:
    """(what it is known by, check, severity, description, line) of each."""
    for v in report.verdicts:
        if v.outcome != "PASS":
            described = f"{v.outcome}: {v.measurement} ({v.limit}): {v.explanation}"
            key = json.dumps([v.rule.to_json() | {"reason": ""}, v.measurement])
            yield key, f"auditkit/{v.measurement}", severity_of(v), described, lines.get(v.rule, 1)
    for run in report.runs:
        if run.status != "ok":
            severity, what = GAPS[run.status]
            described = f"the probe {run.probe} {what}: {run.reason or 'no reason recorded'}"
            yield json.dumps(["probe", run.probe]), f"auditkit/{run.probe}", severity, described, 1
    if conclusion.measured_nothing(report):
        yield json.dumps(["nothing measured"]), "auditkit", "blocker", conclusion.NOTHING_MEASURED, 1
