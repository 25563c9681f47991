"""What `save` of every adapter shares: a folder that is there whole or not at all, and nothing in it that misleads."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from auditkit.errors import InputError, ModelError, ReportError


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A folder to write into, beside `target`, which it becomes at the end of the block; where that fails, it is gone.

    Args:
        target: not there by then, or an empty folder.

    Raises:
        ReportError: it cannot be written (disk full, no permission).
    """
    from safetensors import SafetensorError

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as staged:
            new = Path(staged) / target.name  # a folder that only its owner can open is not handed on
            new.mkdir()
            yield new
            if target.is_dir():
                target.rmdir()
            new.rename(target)
    except (OSError, SafetensorError) as e:
        raise ReportError(
            f"cannot write {target}: {getattr(e, 'strerror', None) or e}; make room there, or choose another place"
        ) from e


def refuse_occupied(folder: Path) -> None:
    """Raise InputError unless `folder` is new or empty: nobody's files are replaced."""
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"{folder} holds files already; expected a folder that is new or empty")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; expected a folder that is new or empty")


def refuse_reshaped(module: torch.nn.Module, from_configuration: Callable[[], torch.nn.Module]) -> None:
    """Refuse a module that its configuration does not build, such as a factorised one: nobody could load its files.

    Args:
        module: what is to be saved.
        from_configuration: makes a fresh one, as loading does.

    Raises:
        ModelError: names or shapes of the weights differ.
    """
    try:
        with torch.device("meta"):  # shapes without memory
            plain = _shapes(from_configuration())
    except TypeError:  # a wrapper, such as peft's, that takes more than a configuration
        plain = {}
    found = _shapes(module)
    if differing := sorted(name for name in plain | found if plain.get(name) != found.get(name)):
        raise ModelError(
            f"{len(differing)} weights of this {type(module).__name__} are not those of its configuration "
            f"({differing[0]}, ...), so that no file of it could be loaded; save a compressed model with "
            "auditkit.compression.sparse or auditkit.compression.quantized_model"
        )


@contextmanager
def without_progress() -> Iterator[None]:
    """Without the bars that transformers draws."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _shapes(module: torch.nn.Module) -> dict[str, Any]:
    return {name: getattr(value, "shape", None) for name, value in module.state_dict().items()}
