"""Whether the page beside a report shows that report: the same report draws the same bytes, so it is drawn again.

A page that was signed needs no drawing: its hash stands in the attestation. One that was not signed, or was drawn again
since, is compared byte for byte with what the report draws now.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from auditkit import __version__
from auditkit.errors import InputError, ReportError
from auditkit.integrity.attestation import file_sha256
from auditkit.report import AuditReport

_GENERATOR = re.compile(rb'<meta name="generator" content="auditkit ([^"]{1,40})">')
_HEAD = 4_000
"""Bytes of a page within which it says who drew it."""


@dataclass(frozen=True, slots=True)
class Page:
    """What is known of the page beside a report.

    Attributes:
        path: where it lies, or would lie.
        checked: whether it is the one that was signed, or what the report draws.
        change: what is wrong with it; "" where nothing is.
        notice: why nothing is known of it, or "".
    """

    path: Path
    checked: bool = False
    change: str = ""
    notice: str = ""


def page_path(report: Path) -> Path:
    """Where the page of a report lies: `report.json` has `report.html`."""
    return report.with_suffix(".html")


def look_at(report: Path, signed: str | None) -> Page:
    """Compare the page beside a report with its hash in the attestation, then with what the report draws.

    Raises:
        ReportError: the page cannot be read.
    """
    page = page_path(report)
    if not page.exists():
        return Page(page, notice=f"{page.name}, which was signed too, is not beside the report" if signed else "")
    if file_sha256(page) == signed:
        return Page(page, checked=True)
    try:
        drawn = _drawn(report)
    except ModuleNotFoundError as e:
        if signed:
            return Page(page, change=f"{page.name}: changed")
        return Page(page, notice=f"{page.name} was not checked, as it cannot be drawn again here: {e}; install jinja2")
    except InputError as e:
        return Page(page, change=f"{page.name}: cannot be compared, as the report cannot be drawn: {e}")
    found = page.read_bytes()
    return Page(page, checked=True) if found == drawn else Page(page, change=_difference(page, found, report))


def digest_to_sign(report: Path) -> str | None:
    """Hash of the page beside a report; None where there is none, or nothing installed to draw it again.

    Raises:
        ReportError: the page does not show the report.
    """
    seen = look_at(report, None)
    if seen.change:
        raise ReportError(f"{seen.change}; nothing was signed")
    return file_sha256(seen.path) if seen.checked else None


def _drawn(report: Path) -> bytes:
    from auditkit.rendering.html import render

    return render(AuditReport.load(report)).encode()


def _difference(page: Path, found: bytes, report: Path) -> str:
    """Why a page is not what the report draws, as far as the page itself says it."""
    said = _GENERATOR.search(found[:_HEAD])
    version = said[1].decode(errors="replace") if said else "an unknown version"
    again = f"`auditkit render {report}` draws it again"
    if version != __version__:
        return (
            f"{page.name}: cannot be compared, as it was drawn by auditkit {version} and this is {__version__}; {again}"
        )
    return f"{page.name}: changed, it is not what the report draws; {again}"
