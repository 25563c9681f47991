"""Names of a package that are imported when they are first used: importing the package costs next to nothing."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from auditkit import extras


def exports(
    package: str, homes: Mapping[str, Sequence[str]], *, modules: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package (PEP 562).

    A name may not be that of a module beside it: importing the module would put it in the name's place.

    Args:
        package: its `__name__`.
        homes: the names that each module offers; a module as `importlib.import_module` takes it, ".task" being one of
            the package's own.
        modules: {name: module} of those that are offered themselves.
    """
    home = {name: module for module, names in homes.items() for name in names}
    whole = dict(modules or {})

    def find(name: str) -> Any:
        if name in whole:
            with extras.explained():
                return importlib.import_module(whole[name], package)
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        with extras.explained():
            value = getattr(importlib.import_module(home[name], package), name)
        setattr(sys.modules[package], name, value)
        return value

    return find, lambda: sorted([*home, *whole])
