"""What is not installed, and the one line that installs it.

The base install gates, renders, compares, and audits tables of decisions; the rest are extras of the distribution.
Which of them brings what is read from the distribution's own metadata, so that pyproject.toml is the only list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from types import TracebackType

from auditkit.errors import MissingExtra

DISTRIBUTION = "auditkit-lm"
HERE = Path(__file__).parent

# Where an import has another name than what pip installs; all others differ in "_" for "-" at most.
_INSTALLED_AS = {
    "huggingface_hub": "transformers",
    "markupsafe": "jinja2",
    "sklearn": "scikit-learn",
    "tokenizers": "transformers",
    "vl_convert": "vl-convert-python",
    "yaml": "pyyaml",
}
_REQUIREMENT = re.compile(
    r"([\w.-]+)(?:\[[\w, -]+\])?\s*\(?(?:[=>]=\s*([\d.]+))?[^;]*(?:;.*\bextra\s*==\s*['\"]([\w-]+))?"
)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One library that auditkit uses.

    Attributes:
        name: what pip calls it.
        least: the oldest version that will do, e.g. (2, 13); empty where any will.
        extra: the extra that brings it; "" for the base install.
    """

    name: str
    least: tuple[int, ...]
    extra: str


@cache
def requirements() -> tuple[Requirement, ...]:
    """Every library of the base install and of each extra."""
    try:
        lines = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:  # a checkout that was not installed
        lines = _of_checkout()
    return tuple(found for line in lines if (found := _requirement(line)).name != DISTRIBUTION)


def _of_checkout() -> list[str]:
    import tomllib

    path = HERE.parent / "pyproject.toml"
    if not path.is_file():
        return []
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].items()
    return [*project["dependencies"], *(f"{line}; extra == '{extra}'" for extra, lines in extras for line in lines)]


def _requirement(line: str) -> Requirement:
    found = _REQUIREMENT.match(line)
    assert found is not None, line
    name, least, extra = found.groups()
    return Requirement(name.lower(), tuple(int(part) for part in (least or "").split(".") if part), extra or "")


def of(extra: str) -> list[Requirement]:
    """The libraries that an extra brings."""
    return [r for r in requirements() if r.extra == extra]


def command(extra: str) -> str:
    """What installs `extra`, e.g. `pip install "auditkit-lm[models]"`."""
    return f'pip install "{DISTRIBUTION}[{extra}]"' if extra else f"pip install {DISTRIBUTION}"


def missing(error: ImportError) -> MissingExtra | None:
    """`error` as one line that says what to install; None where it is not about a library that auditkit uses.

    Where several extras bring the library, the one named like the room of auditkit that asked for it, else the
    smallest.
    """
    module = (error.name or "").partition(".")[0]
    name = _INSTALLED_AS.get(module, module.replace("_", "-"))
    extras = sorted({r.extra for r in requirements() if r.name == name}, key=lambda extra: len(of(extra)))
    if not extras or not isinstance(error, ModuleNotFoundError):
        return None
    fitting = [extra for extra in extras if extra in _rooms(error.__traceback__) - {"models"}]  # which reads tables too
    needed = "" if "" in extras else (fitting or extras)[0]
    return MissingExtra(f"{module} is not installed and is needed for this: {command(needed)}", name=module)


def _rooms(trace: TracebackType | None) -> set[str]:
    """The folders of auditkit whose code the error went through."""
    found = set()
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if HERE in path.parents:
            found.add(path.relative_to(HERE).parts[0])
        trace = trace.tb_next
    return found


@contextmanager
def explained() -> Iterator[None]:
    """Within it, or in a function that it decorates, an import that fails for want of an extra says so.

    Raises:
        MissingExtra: a library that auditkit uses is not installed.
    """
    try:
        yield
    except ImportError as e:
        if isinstance(e, MissingExtra) or (found := missing(e)) is None:
            raise
        raise found from e
