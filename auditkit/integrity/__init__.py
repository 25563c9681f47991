"""Whether a report is as it was signed; if not, where it differs.

    sign(Path("report.json"), Path("key.pem"))                  # writes report.intoto.json
    verify(Path("report.json"), key=Path("key.pub.pem"))        # Verification(intact=True, ...)

Compared are the report, its item scores and its page, as far as they lie beside it. What else was drawn from a report
(junit, a summary, a model card) is not. The signature says who vouches for which numbers about which weights, not that
the numbers are right.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditkit.errors import InputError, ReportError
from auditkit.integrity import canonical, envelope
from auditkit.integrity.attestation import ITEMS, PAGE, PREDICATE, REPORT, STATEMENT, file_sha256, statement
from auditkit.integrity.fingerprint import Change, changes
from auditkit.integrity.page import digest_to_sign, look_at
from auditkit.report import AuditReport, items_path, write_atomically

__all__ = ["Change", "Verification", "sign", "signature_path", "verify"]


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found.

    Attributes:
        changes: what differs from what was signed, in words; a bad signature is the only entry, as nothing else that
            the attestation says can then be believed.
        signer: the id of the key whose signature was checked; "" where no key was given.
        subject: name of the model.
        weights: sha256 of the weights that the attestation is about.
        result: "PASSED", "WARNED" or "FAILED".
        compared: the names of the files that were compared.
        notices: what could not be compared, and why.
    """

    changes: Sequence[str]
    signer: str
    subject: str
    weights: str
    result: str
    compared: Sequence[str] = ()
    notices: Sequence[str] = ()

    @property
    def intact(self) -> bool:
        """Whether nothing differs."""
        return not self.changes


def signature_path(report: Path) -> Path:
    """Where the signature of a report lies: `report.json` has `report.intoto.json`."""
    return report.with_suffix(".intoto.json")


def sign(report: Path, key: Path, *, out: Path | None = None) -> Path:
    """Sign a report; its content is not touched.

    Args:
        report: a report.json.
        key: a PEM file with an ed25519 private key.
        out: where to write the envelope, if not beside the report.

    Raises:
        InputError: the key or the report is not usable, its page shows something else, or the envelope cannot be
            written.
    """
    private = envelope.read_private(key)
    content = _read_report(report)
    claim = statement(AuditReport.load(report), content, report, digest_to_sign(report))
    sealed = envelope.seal(canonical.canonical(claim), private)
    path = out or signature_path(report)
    write_atomically(path, (json.dumps(sealed) + "\n").encode())
    return path


def verify(report: Path, *, signature: Path | None = None, key: Path | None = None) -> Verification:
    """Compare a report with its attestation.

    Args:
        report: a report.json, of whatever schema.
        signature: the envelope, if not beside the report.
        key: the public key of who should have signed. Without it the signature is not checked: that finds an accident,
            but not a forger, who would rewrite the attestation too.

    Raises:
        InputError: the report, the envelope or the key is not readable.
    """
    content = _read_report(report)
    sealed = _read_envelope(signature or signature_path(report))
    claim = _claim(envelope.payload_of(sealed))
    public = envelope.read_public(key) if key is not None else None
    page = look_at(report, _digests(claim).get(PAGE))
    if public is not None and not envelope.is_signed_by(sealed, public):
        found = [f"the signature is not by the key {key}, or the attestation was changed after it was signed"]
    else:
        found = [*_found(claim, content, report), *([page.change] if page.change else [])]
    subject = claim["subject"][0]
    files = {report: True, items_path(report): items_path(report).exists(), page.path: page.checked}
    return Verification(
        changes=found,
        signer=envelope.key_id(public) if public is not None else "",
        subject=str(subject.get("name", "")),
        weights=subject["digest"]["sha256"],
        result=claim["predicate"]["result"],
        compared=[path.name for path, compared in files.items() if compared],
        notices=[page.notice] if page.notice else [],
    )


def _read_report(path: Path) -> dict[str, Any]:
    content = canonical.read(path)
    if not isinstance(content, dict) or "measurements" not in content:
        raise ReportError(f"{path} is not a report: expected a JSON object with measurements")
    return content


def _read_envelope(path: Path) -> Any:
    if not path.exists():
        raise InputError(f"no signature at {path}; `auditkit sign` writes one, --signature names another file")
    return canonical.read(path)


def _claim(payload: bytes) -> dict[str, Any]:
    """The statement in an envelope, checked to have what is read from it."""
    try:
        claim = canonical.parse(payload.decode())
        if (claim["_type"], claim["predicateType"]) != (STATEMENT, PREDICATE):
            raise InputError(f"the envelope holds a {claim['predicateType']!r}; expected {PREDICATE!r}")
        _digest(claim["subject"][0]), claim["predicate"]["result"]
        about = _resources(claim)[REPORT]
        _digests(claim), about["annotations"]["fields"].items()
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as e:
        raise InputError(f"damaged attestation ({type(e).__name__}: {e}); sign the report again") from e
    return claim


def _found(claim: Mapping[str, Any], content: Mapping[str, Any], path: Path) -> list[str]:
    try:
        return list(_differences(claim, content, path))
    except UnicodeEncodeError:  # it has no canonical form, so that nobody can have signed it
        return ["a text holds half of a surrogate pair: changed"]


def _differences(claim: Mapping[str, Any], content: Mapping[str, Any], path: Path) -> Iterator[str]:
    signed = _resources(claim)
    if canonical.sha256(content) != _digest(signed[REPORT]):
        located = changes(signed[REPORT]["annotations"]["fields"], content)
        yield from map(str, located) if located else ["the order of the entries: changed"]
    items = items_path(path)
    if ITEMS in signed and not items.exists():
        yield f"{items.name}: removed"
    elif ITEMS in signed and file_sha256(items) != _digest(signed[ITEMS]):
        yield f"{items.name}: changed"
    elif ITEMS not in signed and items.exists():
        yield f"{items.name}: added"
    subject = content.get("subject")
    if not isinstance(subject, dict) or subject.get("weights_sha256") != _digest(claim["subject"][0]):
        yield "the attestation is about other weights than the report's"


def _resources(claim: Mapping[str, Any]) -> dict[str, Any]:
    return {resource["name"]: resource for resource in claim["predicate"]["configuration"]}


def _digests(claim: Mapping[str, Any]) -> dict[str, str]:
    return {name: _digest(resource) for name, resource in _resources(claim).items()}


def _digest(resource: Mapping[str, Any]) -> str:
    return str(resource["digest"]["sha256"])
