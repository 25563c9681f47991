"""Where the files of a model lie on this machine: a folder, or a copy of what a hub holds under `owner/name`."""

from __future__ import annotations

from pathlib import Path

from auditkit.errors import ModelError
from auditkit.models.before_loading import refuse_code
from auditkit.models.load_options import LoadOptions

DESCRIBING = ("*.json", "*.txt", "*.model", "*.spm", "*.tiktoken", "*.jinja", "*.bpe", "bpe.codes")
WEIGHTS = ("*.safetensors",)
OTHERS = ("onnx/*", "openvino/*", "original/*", "consolidated*", "*.fp16.safetensors", "checkpoint-*/*")
"""What no loader reads: the same weights for other runtimes, and those of earlier steps."""


def folder_of(where: Path | str, name: str, options: LoadOptions) -> Path:
    """The folder (or .gguf file) of a model, its `subfolder` included.

    Of a hub, what describes the model is fetched first, so that nothing else is of a model that brings code; and no
    pickle ever.

    Args:
        where: on this machine, or a hub id.
        name: what errors call the model.
        options: `revision` and `subfolder`.

    Raises:
        ModelError: there is no such subfolder, or the description names code.
    """
    whole = where if isinstance(where, Path) else _described(where, name, options)
    found = whole / options.subfolder if options.subfolder else whole
    if options.subfolder and not found.is_dir():
        inside = sorted(path.name for path in whole.iterdir() if path.is_dir()) if whole.is_dir() else []
        raise ModelError(
            f"{name}: no subfolder {options.subfolder!r} in it; there {'is' if len(inside) == 1 else 'are'}: "
            f"{', '.join(inside) or 'none'}"
        )
    if isinstance(where, str):
        _fetch(where, WEIGHTS, options)
    return found


def _described(hub_id: str, name: str, options: LoadOptions) -> Path:
    whole = _fetch(hub_id, DESCRIBING, options)
    refuse_code(whole / (options.subfolder or ""), name)
    return whole


def _fetch(hub_id: str, patterns: tuple[str, ...], options: LoadOptions) -> Path:
    from huggingface_hub import snapshot_download

    inside = f"{options.subfolder}/" if options.subfolder else ""
    others = [pattern for pattern in OTHERS if not inside.startswith(pattern.rstrip("*"))]
    wanted = [inside + pattern for pattern in patterns]
    return Path(snapshot_download(hub_id, revision=options.revision, allow_patterns=wanted, ignore_patterns=others))
