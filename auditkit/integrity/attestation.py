"""What is signed: an in-toto Statement v1 with the predicate `test-result` v0.1, bound to the audited weights.

Sources: github.com/in-toto/attestation, spec/v1 (Statement, ResourceDescriptor) and spec/predicates/test-result.md.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from auditkit import __version__
from auditkit.errors import ReportError
from auditkit.gate import Verdict
from auditkit.integrity.canonical import sha256
from auditkit.integrity.fingerprint import fingerprint
from auditkit.report import AuditReport, items_path

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"
REPORT, ITEMS, PAGE, CONFIG = "report", "items", "page", "config"
WEIGHTS = "sha256 over name, dtype, shape and bytes of every tensor in memory, in name order; not that of a file"


def statement(report: AuditReport, content: Mapping[str, Any], path: Path, page: str | None = None) -> dict[str, Any]:
    """The statement about a report.

    Args:
        report: the report.
        content: the same as it stands in the file.
        path: the file; its item scores lie beside it.
        page: sha256 of the page that shows it, if there is one.

    Raises:
        ReportError: the report does not say which weights it is about.
    """
    return {
        "_type": STATEMENT,
        "subject": [_subject(report)],
        "predicateType": PREDICATE,
        "predicate": {**test_results(report), "configuration": _configuration(report, content, path, page)},
    }


def test_results(report: AuditReport) -> dict[str, Any]:
    """The result and the tests of each outcome, as the gate's exit code has them.

    What blocks, cannot be judged, or crashed has failed; what is inconclusive but does not block is a warning. A report
    that no rule judges is WARNED: nothing failed, but nothing was shown either.
    """
    judged = [(_test_name(v), _test_outcome(v)) for v in report.verdicts]
    judged += [(f"probe {run.probe} runs", "failed") for run in report.runs if run.status == "error"]
    tests = {o: [name for name, found in judged if found == o] for o in ("passed", "warned", "failed")}
    result = "FAILED" if tests["failed"] else "WARNED" if tests["warned"] or not judged else "PASSED"
    return {"result": result, **{f"{o}Tests": names for o, names in tests.items()}}


def _test_outcome(verdict: Verdict) -> str:
    if verdict.blocking or verdict.outcome in ("FAIL", "ERROR"):
        return "failed"
    return "passed" if verdict.outcome == "PASS" else "warned"


def _test_name(verdict: Verdict) -> str:
    return f"{verdict.measurement} ({verdict.limit})"


def _subject(report: AuditReport) -> dict[str, Any]:
    digest = str(report.subject.get("weights_sha256", ""))
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise ReportError(
            f"the report's subject has weights_sha256 {digest!r}; a signature is bound to the weights, so it needs the "
            "sha256 of a model that was loaded: sign the report of an `auditkit run`"
        )
    name = str(report.subject.get("name", "unnamed model"))
    return {"name": name, "digest": {"sha256": digest}, "annotations": {"digest": WEIGHTS}}


def _configuration(
    report: AuditReport, content: Mapping[str, Any], path: Path, page: str | None
) -> Sequence[dict[str, Any]]:
    """What the result rests on: the report field by field, its item scores, its page, the options as read, the data."""
    fields = {"canonicalization": "RFC 8785", "auditkit": __version__, "fields": fingerprint(content)}
    found = [{**_described(REPORT, sha256(content)), "annotations": fields}]
    if (items := items_path(path)).exists():
        found.append(_described(ITEMS, file_sha256(items)))
    if page is not None:
        found.append(_described(PAGE, page))
    found.append(_described(CONFIG, sha256(content["config"])))
    return found + [_described(f"data of {probe}", digest) for probe, digest in data_hashes(report)]


def _described(name: str, digest: str) -> dict[str, Any]:
    return {"name": name, "digest": {"sha256": digest}}


def data_hashes(report: AuditReport) -> list[tuple[str, str]]:
    """(probe, sha256 of its data), each once, where the probe recorded it."""
    found = [(m.probe, m.details.get("data_sha256")) for m in report.measurements]
    return list(dict.fromkeys((probe, digest) for probe, digest in found if isinstance(digest, str) and digest))


def file_sha256(path: Path) -> str:
    """Hash of the bytes of a file.

    Raises:
        ReportError: it cannot be read.
    """
    try:
        with path.open("rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()
    except OSError as e:
        raise ReportError(f"cannot read {path}: {e.strerror}") from e
