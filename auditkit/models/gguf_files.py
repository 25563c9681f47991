"""Files of llama.cpp, which transformers unpacks: what it would drop is refused, and what it repeats is done once."""

from __future__ import annotations

import functools
import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

from auditkit.errors import ModelError
from auditkit.models import fit
from auditkit.models.load_options import LoadOptions

ASKED_AGAIN = ("GGUFReader", "get_tensor_name_map")


@contextmanager
def read_once() -> Iterator[None]:
    """Within it the head of a file is parsed once, and no bar is drawn, whatever the library's progress setting says.

    transformers parses it for the configuration, the tokenizer and the weights, and makes the table of tensor names
    for every module. For SmolLM2, with its 49,152 tokens, that is half of the time to load it.
    """
    import gguf

    made = {name: getattr(gguf, name) for name in ASKED_AGAIN}
    try:
        for name, make in made.items():
            setattr(gguf, name, functools.cache(make))
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        for name, make in made.items():
            setattr(gguf, name, make)


def refuse_damaged(file: Path, name: str, options: LoadOptions) -> None:
    """What the library would drop or stumble over: see `fit.refuse_unused_blocks`.

    Raises:
        ModelError: another kind of file, options that such a file knows nothing of, or blocks that nothing would use.
    """
    if file.suffix != ".gguf":
        raise ModelError(f"{file.name}: expected a .gguf file or a folder")
    if options.spread or options.quantization:
        raise ModelError(
            f"{name}: a .gguf file is unpacked into memory whole; expected a folder of safetensors for device_map, "
            "max_memory, offload_folder and quantization"
        )
    import gguf

    reader = gguf.GGUFReader(str(file))
    counts = [field.contents() for key, field in reader.fields.items() if key.endswith(".block_count")]
    if counts:
        fit.refuse_unused_blocks((t.name for t in reader.tensors), int(counts[0]), name)
