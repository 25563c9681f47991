"""Whether the weight files of a folder are there, whole, and such that reading them runs nothing.

A download that broke off, a shard that was not copied and a pickle are told apart here, before a library stumbles over
one of them or, worse, reads another file in its place.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from auditkit.errors import ModelError
from auditkit.models.before_loading import read_header, read_json

WHOLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack")
UNFINISHED = ("*.incomplete", "*.part", "*.crdownload", "*.tmp")
CONVERT = (
    "where you trust it, `from_pretrained(folder, use_safetensors=False).save_pretrained(new)` of the class of its "
    "task writes safetensors"
)
_LFS = b"version https://git-lfs"


def refuse_broken(folder: Path, name: str) -> None:
    """Refuse a folder whose safetensors are missing or not whole.

    Args:
        folder: of a model; one of a hub's cache too.
        name: what errors call the model.

    Raises:
        ModelError: names the file, and says what to do.
    """
    if folder.is_dir() and not any(folder.iterdir()):
        raise ModelError(
            f"{name}: no config.json in this folder: it is empty; expected a model saved by save_pretrained"
        )
    files = _files(folder, name)
    if not files:
        raise ModelError(f"cannot load {name}: {_why_nothing(folder)}")
    for path in files:
        refuse_partial(path, name)


def refuse_partial(path: Path, name: str) -> None:
    """Refuse a safetensors file that is not there, or shorter or longer than it says itself.

    Raises:
        ModelError: names the file, and says what it holds.
    """
    again = "download or copy it again"
    if not path.exists():
        started = [p.name for pattern in UNFINISHED for p in path.parent.glob(pattern)]
        broke_off = f"; {started[0]} is a download that broke off" if started else ""
        raise ModelError(f"cannot load {name}: {path.name} is missing{broke_off}: {again}")
    size = path.stat().st_size
    with path.open("rb") as f:
        start = f.read(len(_LFS))
    if start == _LFS:
        raise ModelError(f"cannot load {name}: {path.name} only points to its content; get it with `git lfs pull`")
    expected = _expected_size(path, start)
    if expected is None:
        raise ModelError(f"cannot load {name}: {path.name} is damaged: its header cannot be read; {again}")
    if size != expected:
        what = "half-downloaded" if size < expected else "damaged"
        raise ModelError(
            f"cannot load {name}: {path.name} is {what}: it holds {size:,} bytes, its header says {expected:,}; {again}"
        )


def refuse_pickles_of_parts(folder: Path, name: str) -> None:
    """Refuse a sentence encoder of which a part (pooling, dense, ...) has its weights in a pickle only.

    Raises:
        ModelError: names the part.
    """
    for path in sorted(folder.rglob("pytorch_model.bin")):
        if not any(path.parent.glob("*.safetensors")):
            raise ModelError(f"cannot load {name}: {_pickle(path.relative_to(folder))}")


def _files(folder: Path, name: str) -> list[Path]:
    """Every safetensors file that the library will read."""
    named = read_json(folder / "config.json")
    chosen = named.get("transformers_weights") if isinstance(named, Mapping) else None
    if isinstance(chosen, str) and not chosen.endswith(".json"):
        return [folder / chosen]
    if sharded := sorted(folder.glob("shard-*-model-*-of-*.safetensors")):
        return sharded
    if (folder / WHOLE).exists():
        return [folder / WHOLE]
    index = folder / (chosen or INDEX)
    return _shards(index, name) if index.exists() else []


def _shards(index: Path, name: str) -> list[Path]:
    found = read_json(index)
    listed = found.get("weight_map") if isinstance(found, Mapping) else None
    if not isinstance(listed, Mapping) or not all(isinstance(file, str) for file in listed.values()):
        raise ModelError(f"cannot load {name}: {index.name} has no weight_map; expected a file name for every weight")
    names = sorted(set(listed.values()))
    if outside := [file for file in names if Path(file).name != file]:
        raise ModelError(f"cannot load {name}: {index.name} names {outside[0]!r}; expected files of the same folder")
    shards = [index.parent / file for file in names]
    if absent := [path.name for path in shards if not path.exists()]:
        started = [p.name for pattern in UNFINISHED for p in sorted(index.parent.glob(pattern))]
        broke_off = f" ({', '.join(started)}: a download that broke off)" * bool(started)
        raise ModelError(
            f"cannot load {name}: {len(absent)} of its {len(shards)} weight files "
            f"{'is' if len(absent) == 1 else 'are'} missing: {', '.join(absent)}{broke_off}; download or copy "
            f"{'it' if len(absent) == 1 else 'them'} again"
        )
    _refuse_unlisted(listed, index, name)
    return shards


def _refuse_unlisted(listed: Mapping[str, str], index: Path, name: str) -> None:
    """A weight that the index finds in a shard where it is not."""
    inside = {file: read_header(index.parent / file).keys() for file in set(listed.values())}
    for weight, file in sorted(listed.items()):
        if inside[file] and weight not in inside[file]:
            raise ModelError(
                f"cannot load {name}: {index.name} says that {weight} is in {file}, but it is not; download both again"
            )


def _why_nothing(folder: Path) -> str:
    """Why a folder holds no weights that can be read."""
    if pickles := list(_found(folder, PICKLES)):
        return _pickle(pickles[0].relative_to(folder))
    shards = sorted(p.name for p in folder.glob("*-of-*.safetensors"))
    if shards:
        return f"{shards[0]} is one of several, but {INDEX}, which lists them, is missing; download or copy it again"
    if unfinished := list(_found(folder, UNFINISHED)):
        return f"{unfinished[0].name} is a download that broke off; download the model again"
    return f"there are no weights in it; expected {WHOLE}, or {INDEX} with its shards, beside config.json"


def _found(folder: Path, patterns: tuple[str, ...]) -> Iterator[Path]:
    yield from (path for pattern in patterns for path in sorted(folder.glob(pattern)))
    if patterns == UNFINISHED:  # where huggingface_hub keeps what it has not finished
        yield from sorted((folder / ".cache").rglob("*.incomplete"))


def _pickle(path: Path) -> str:
    return f"{path} is a pickle, or holds no safetensors: reading it can run code, so it is refused; {CONVERT}"


def _expected_size(path: Path, start: bytes) -> int | None:
    """How long the file must be by its own header, in bytes; None where that cannot be read."""
    header = read_header(path)
    ends = [_end(entry) for key, entry in header.items() if key != "__metadata__"]
    if len(start) < 8 or not header or None in ends:
        return None
    return int(8 + struct.unpack("<Q", start[:8])[0] + max((e for e in ends if e is not None), default=0))


def _end(entry: Any) -> int | None:
    offsets = entry.get("data_offsets") if isinstance(entry, Mapping) else None
    well_formed = isinstance(offsets, list) and len(offsets) == 2 and isinstance(offsets[1], int)
    return offsets[1] if well_formed and offsets is not None else None
