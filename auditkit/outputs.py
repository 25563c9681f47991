"""What a command leaves behind when it has judged: tables or JSON on its output, and the files that CI systems read."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from auditkit.conclusion import to_json
from auditkit.errors import UnknownName
from auditkit.gate import Verdicts
from auditkit.report import AuditReport, write_atomically

ANNOTATIONS = ("github", "none")


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What was asked for.

    Attributes:
        rules: the file with the rules, to which annotations and code quality point.
        junit: where to write JUnit XML.
        summary: where to write a Markdown summary.
        code_quality: where to write a GitLab code quality report.
        annotations: "github", "none", or None for what fits: "github" inside a GitHub workflow.
        as_json: one JSON document on stdout instead of tables.

    Raises:
        UnknownName: no such kind of annotations.
    """

    rules: Path
    junit: Path | None = None
    summary: Path | None = None
    code_quality: Path | None = None
    annotations: str | None = None
    as_json: bool = False

    def __post_init__(self) -> None:
        if self.annotations is not None and self.annotations not in ANNOTATIONS:
            raise UnknownName("kind of annotations", self.annotations, ANNOTATIONS)

    def write(self, report: AuditReport, code: int, page: Path | None = None) -> None:
        """Show and write everything.

        Args:
            report: judged.
            code: the exit code that the command will end with.
            page: the report's HTML file, if one was written.

        Raises:
            ReportError: a file cannot be written.
        """
        self._write_files(report)
        if self.as_json:
            print(json.dumps(to_json(report, code) | {"report": str(page) if page else None}, indent=1))
        else:
            from auditkit.console import show_verdicts

            show_verdicts(report, Verdicts(tuple(report.verdicts)))
        self._annotate(report)
        if page is not None and not self.as_json:
            print(f"report: {page}")

    def _write_files(self, report: AuditReport) -> None:
        if self.junit is not None:
            from auditkit.rendering.junit import render_junit

            write_atomically(self.junit, render_junit(report).encode())
        if self.summary is not None:
            from auditkit.rendering.markdown import render_summary

            write_atomically(self.summary, render_summary(report).encode())
        if self.code_quality is not None:
            from auditkit.rendering.code_quality import render_code_quality
            from auditkit.rule_lines import rule_lines, shown_path

            text = render_code_quality(report, shown_path(self.rules), rule_lines(self.rules))
            write_atomically(self.code_quality, text.encode())

    def _annotate(self, report: AuditReport) -> None:
        """GitHub reads both streams; stdout holds nothing but the JSON where that was asked for."""
        wanted = self.annotations or ("github" if os.environ.get("GITHUB_ACTIONS") == "true" else "none")
        if wanted == "github":
            from auditkit.rendering.annotations import annotate, render_annotations
            from auditkit.rule_lines import rule_lines, shown_path

            found = annotate(report, rule_lines(self.rules))
            stream = sys.stderr if self.as_json else sys.stdout
            stream.write(render_annotations(found, shown_path(self.rules)))
