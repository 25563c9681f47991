"""What a model's files may not say, found before a library reads them: code to run, and sizes that cannot be.

A folder is data. Its configuration can name Python files of its own (`auto_map`) and kernels on a hub
(`attn_implementation: user/kernel`), both of which a library would fetch and run.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from auditkit.errors import ModelError

ATTENTION = ("eager", "sdpa", "flex_attention")
"""The implementations that come with torch; every other one is a package or a hub's kernel."""
DESCRIPTIONS = ("config.json", "tokenizer_config.json", "sentence_bert_config.json", "processor_config.json")
_KERNELS = re.compile(r"(_implementation|^use_kernels|^kernel_config)$")
_LAYERS = re.compile(r"^(num_(hidden_|encoder_|decoder_)?layers|n_layers?|(encoder|decoder)_layers|num_blocks)$")
_SIZES = re.compile(r"^(num_attention_heads|num_heads|n_heads?|hidden_size|d_model|n_embd|dim|vocab_size)$")
MOST_BYTES_OF_HEADER = 100_000_000
LEAST_BITS = 2
"""No format stores a parameter in fewer."""


def refuse_code(folder: Path, name: str) -> None:
    """Refuse a model whose configuration names code, wherever in it.

    Args:
        folder: of the model.
        name: what errors call the model.

    Raises:
        ModelError: says which file names what.
    """
    for path in _descriptions(folder):
        for key, value in _entries(read_json(path)):
            if key == "auto_map" and value:
                what = f"code in the model's own folder (auto_map: {_first(value)})"
            elif _KERNELS.search(key) and _is_foreign(value):
                what = f"{key}: {_first(value)}, which is fetched and run"
            else:
                continue
            raise ModelError(
                f"cannot load {name}: {path.name} names {what}; auditkit runs no code that a model brings. Remove "
                f"{key} from the file to use the library's own, or load the model in a factory of yours, module:factory"
            )


def refuse_sizes(folder: Path, name: str) -> int | None:
    """Refuse sizes below one, and more layers than the weight files hold tensors: before anything is allocated.

    Returns:
        The bytes of all weights; None where the folder holds no safetensors.

    Raises:
        ModelError: says which entry of which file is wrong.
    """
    tensors, size = _weights(folder)
    config = read_json(folder / "config.json")
    config = {k: v for k, v in config.items() if k != "quantization_config"} if isinstance(config, Mapping) else {}
    for key, value in _entries(config):  # sizes of the model, and none of how its weights were packed
        sized, layers = _SIZES.search(key), _LAYERS.search(key)
        if not isinstance(value, int) or not (sized or layers):
            continue
        if value < (1 if sized else 0):
            raise ModelError(f"cannot load {name}: config.json says {key}: {value}; expected at least 1")
        if layers and size and value > tensors:
            raise ModelError(
                f"cannot load {name}: config.json says {key}: {value:,}, but the weight files hold {tensors:,} "
                "tensors; expected the configuration that belongs to these weights"
            )
    return size or None


def refuse_absurd(elements: int, size: int | None, name: str) -> None:
    """Refuse a model of more parameters than the `size` bytes of its files could hold in any format.

    Raises:
        ModelError: there are more.
    """
    if size is not None and elements * LEAST_BITS > size * 8:
        raise ModelError(
            f"cannot load {name}: config.json describes {elements:,} parameters, but the weight files hold {size:,} "
            "bytes; expected the configuration that belongs to these weights"
        )


def refuse_vocabulary(folder: Path, shapes: Mapping[str, tuple[int, ...]], said: int, name: str) -> None:
    """Refuse a config whose vocabulary has another size than the tables in the weight files.

    Args:
        folder: holds the files.
        shapes: parameter -> its shape, as the config describes them.
        said: the config's `vocab_size`.
        name: what errors call the model.

    Raises:
        ModelError: says which table has how many rows.
    """
    for path in sorted(folder.glob("*.safetensors")):
        for key, entry in read_header(path).items():
            stored, expected = tuple(entry.get("shape", ())), shapes.get(key, ())
            if len(stored) == len(expected) == 2 and said == expected[0] != stored[0] and expected[1] == stored[1]:
                raise ModelError(
                    f"cannot load {name}: config.json says vocab_size: {said:,}, but {key} in {path.name} has "
                    f"{stored[0]:,} rows; expected the configuration that belongs to these weights"
                )


def read_json(path: Path) -> Any:
    """A JSON file of a model; an empty mapping where there is none.

    Raises:
        ModelError: it is damaged.
    """
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as e:
        raise ModelError(f"{path} is damaged: {e}; save or download the model again") from e


def _descriptions(folder: Path) -> Iterator[Path]:
    """Also those one folder down, where sentence encoders keep their parts."""
    yield from (path for name in DESCRIPTIONS for path in sorted([*folder.glob(name), *folder.glob(f"*/{name}")]))


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, however deep."""
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, Mapping):
            yield from inner.items()
            waiting += inner.values()
        elif isinstance(inner, list):
            waiting += inner


def _is_foreign(value: Any) -> bool:
    if isinstance(value, Mapping):  # one for each part of a model
        return any(_is_foreign(inner) for inner in value.values())
    return bool(value) and value not in ATTENTION


def _first(value: Any) -> str:
    while isinstance(value, Mapping | list) and value:
        value = next(iter(value.values() if isinstance(value, Mapping) else value))
    return str(value)


def _weights(folder: Path) -> tuple[int, int]:
    """How many tensors the safetensors files of a folder hold, and how many bytes."""
    tensors = size = 0
    for path in sorted(folder.glob("*.safetensors")):
        tensors += sum(name != "__metadata__" for name in read_header(path))
        size += path.stat().st_size
    return tensors, size


def read_header(path: Path) -> Mapping[str, Any]:
    """Names and shapes; empty where the file is damaged, which the library says when it reads it."""
    with path.open("rb") as f:
        start = f.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 0 < length < MOST_BYTES_OF_HEADER:
            return {}
        try:
            found = json.loads(f.read(length))
        except (ValueError, RecursionError):
            return {}
    return found if isinstance(found, Mapping) else {}
