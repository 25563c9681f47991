"""What a result was computed with: Python, platform, packages, threads, and the commit of the project."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from auditkit import __version__, packages

LIBRARIES = ("torch", "transformers", "tokenizers", "sentence-transformers", "safetensors", "peft", "numpy", "scipy")


def describe(imported: Collection[str] = ()) -> dict[str, Any]:
    """JSON values, the same for every run on the same machine and project; imports no library to find its version.

    Args:
        imported: packages that were imported by an earlier part of the same run, in another process.
    """
    return {
        "auditkit": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
        "threads": _torch_threads(),
        "libraries": library_versions(),
        "packages": packages.listed(packages.imported() | set(imported)),
        "git_commit": git_commit(),
    }


def library_versions() -> dict[str, str]:
    """Version of each library that a number can depend on; those not installed are left out."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """Commit of the repository that the current folder belongs to; None outside a repository or without git."""
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _torch_threads() -> int | None:
    """Threads that torch computes with; None where nothing has imported torch."""
    torch = sys.modules.get("torch")
    return int(torch.get_num_threads()) if torch is not None else None
