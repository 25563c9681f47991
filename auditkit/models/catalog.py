"""The aliases of catalog.toml, and where their weights are. Imports nothing heavy: `auditkit list` uses it too."""

from __future__ import annotations

import importlib.util
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """One entry of the catalogue.

    Attributes:
        name: what the user types.
        title: one line for `auditkit list models`.
        task: the adapter that loads it.
        builtin: a loader of ours, for what is not a plain Hugging Face folder.
        package, file: the Python package that carries the weights, and where in it.
        install: what pip needs to install that package.
        hub: the hub id of the same model.
        licence: of the weights.
    """

    name: str
    title: str
    task: str
    licence: str
    builtin: str = ""
    package: str = ""
    file: str = ""
    install: str = ""
    hub: str = ""

    def installed(self) -> Path | None:
        """The weights inside the installed package; None where the package is not installed."""
        spec = importlib.util.find_spec(self.package) if self.package else None
        if spec is None or spec.origin is None:
            return None
        path = Path(spec.origin).parent / self.file
        return path if path.exists() else None


@cache
def aliases() -> dict[str, Alias]:
    """All aliases by name."""
    text = (resources.files("auditkit.models") / "catalog.toml").read_text(encoding="utf-8")
    return {name: Alias(name=name, **entry) for name, entry in tomllib.loads(text).items()}
