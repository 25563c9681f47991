"""Paths as a report may show them: it travels, and where its inputs lay on a machine is nobody's business.

Inside the current folder a path is relative to it; elsewhere only its name is left.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from auditkit.data.catalog import root
from auditkit.report import AuditReport


def shortened(report: AuditReport) -> AuditReport:
    """The report without the absolute paths that its config names, wherever they stand, nor this machine's folders."""
    named = {text for text in _texts([report.config, report.subject.get("name")]) if os.path.isabs(text)}
    shorten = _shortener(named)
    return replace(
        report,
        subject=_in(report.subject, shorten),
        config=_in(report.config, shorten),
        runs=[replace(run, reason=shorten(run.reason), notices=_in(run.notices, shorten)) for run in report.runs],
        measurements=[replace(m, details=_in(m.details, shorten)) for m in report.measurements],
    )


def _shortener(named: set[str]) -> Callable[[str], str]:
    """Replaces each of `named`, longest first, and then the folders that every path of a machine may begin with."""
    here, home, published = Path.cwd(), Path.home(), root()
    starts = {str(here): "", str(published or ""): "", sys.prefix: "", str(home): "~/"}
    known = [
        *((_pattern(path, ends=True), _short(path, here)) for path in sorted(named, key=len, reverse=True)),
        *((_pattern(path + os.sep, ends=False), short) for path, short in starts.items() if len(Path(path).parts) > 1),
    ]

    def shorten(text: str) -> str:
        for pattern, short in known:
            text = pattern.sub(lambda _, short=short: short, text)  # type: ignore[misc]
        return text

    return shorten


def _pattern(path: str, *, ends: bool) -> re.Pattern[str]:
    """`path` where it begins a path, and not as a part of a longer name."""
    return re.compile(r"(?<![\w./\\-])" + re.escape(path) + (r"(?![\w-]|\.\w)" if ends else ""))


def _short(path: str, here: Path) -> str:
    given = Path(path)
    return str(given.relative_to(here)) if given.is_relative_to(here) else given.name or path


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _in(value: Any, shorten: Callable[[str], str]) -> Any:
    """The same JSON value with every text shortened, keys included."""
    if isinstance(value, str):
        return shorten(value)
    if isinstance(value, Mapping):
        return {_in(key, shorten): _in(inner, shorten) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_in(inner, shorten) for inner in value]
    return value
