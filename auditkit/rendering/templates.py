"""Finding the templates: reports/templates in a checkout or an editable install, a copy beside this file in a wheel."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditkit.errors import ReportError
from auditkit.rendering import formatting

if TYPE_CHECKING:
    from jinja2 import Environment

LONGEST_PRINTED = 10_000
"""Characters of one text in a page."""

_INSTALLED = Path(__file__).parent / "templates"
_CHECKOUT = Path(__file__).parents[2] / "reports" / "templates"


def directory() -> Path:
    """Where the templates are.

    Raises:
        ReportError: in neither place; the installation is incomplete.
    """
    for candidate in (_INSTALLED, _CHECKOUT):
        if (candidate / "report.html").is_file():
            return candidate
    raise ReportError(f"no report templates in {_INSTALLED} or {_CHECKOUT}; install auditkit again")


@cache
def environment() -> Environment:
    """The jinja2 environment: it escapes everything it prints and knows how numbers are written.

    A name that a template uses and nobody passed is an error, never an empty place in the report.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    env = Environment(
        loader=FileSystemLoader(directory()),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_bounded,
    )
    env.filters |= {
        "number": formatting.number,
        "quantity": formatting.quantity,
        "interval": formatting.interval,
        "limit": formatting.limit,
        "plain": formatting.plain,
    }
    return env


def _bounded(value: Any) -> Any:
    """What a template prints, cut where it is endless; a template's own `| e` prints a text whole."""
    if isinstance(value, str) and not hasattr(value, "__html__") and len(value) > LONGEST_PRINTED:
        more = f"{len(value) - LONGEST_PRINTED:,} more characters, which the JSON has"
        return f"{value[:LONGEST_PRINTED]}… ({more})"
    return value
