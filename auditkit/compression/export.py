"""Export of a model for other runtimes, checked against the model itself, with the hash of its audit beside it.

    onnx           `model.onnx`, run by onnxruntime for the check
    torch_export   `model.pt2`, a `torch.export` program

TorchScript is not offered: PyTorch has deprecated it in favour of `torch.export`.
The inputs are `input_ids` (B, T) and, but for a char-GPT, `attention_mask` (B, T), 0 at padding on the right; batch and
length are free. The output is `logits`, or `embedding` (before its length is made 1) of a sentence encoder.
"""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from auditkit import __version__, extras
from auditkit.compression.layers import refuse_quantised
from auditkit.errors import InputError, MissingCapability, ReportError, UnknownName
from auditkit.models.batching import pad
from auditkit.models.char_gpt import CharModel
from auditkit.models.sentence_encoder import SentenceEncoder
from auditkit.models.seq2seq import Seq2Seq
from auditkit.models.weights import weights_sha256
from auditkit.privacy.adapters import copy_of
from auditkit.report import write_atomically

SCHEMA = 1
RECORD = "export.json"
FILES = {"onnx": "model.onnx", "torch_export": "model.pt2"}
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
SAMPLES = ("Yes.", "He said that she was old.", "My sister is a good engineer, and people like her work.")
TOLERANCE, HALF_PRECISION_TOLERANCE = 1e-4, 0.05
"""Largest deviation of an output, as a share of the largest output where that is above 1."""
ONE_FILE = 1_500_000_000
"""Bytes of weights beyond which ONNX, whose files end at 2 GB, puts them into a second file."""

Run = Callable[[tuple[torch.Tensor, ...]], npt.NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Exported:
    """A model that was exported and checked.

    Attributes:
        path: the file.
        format: "onnx" or "torch_export".
        max_deviation: largest absolute difference of an output from the model's own, over all samples.
        record: the content of `export.json`.
    """

    path: Path
    format: str
    max_deviation: float
    record: dict[str, Any]


def export(
    model: Any,
    folder: str | Path,
    *,
    format: str = "onnx",
    report: str | Path | None = None,
    texts: Sequence[str] = SAMPLES,
) -> Exported:
    """Export a model, run what was written on sample texts, and note what it is in `export.json`.

    Args:
        model: an adapter; it is not changed.
        folder: where the file and `export.json` go.
        format: "onnx" or "torch_export".
        report: the model's audit report, a saved file: its sha256 is noted, so that the two can be told to belong.
        texts: samples for the check, each run alone, all in one batch, and one at the full length.

    Raises:
        InputError: the model cannot be exported, a package is absent, or the outputs deviate; no file is left.
        MissingCapability: not known how to call this kind of model.
        ReportError: the report cannot be read.
    """
    _refuse_impossible(model, format)
    audited = None if report is None else _identity(Path(report))
    own = copy_of(model)
    module = _Forward(own).cpu().eval()
    batches = _batches(own, texts)
    path = Path(folder) / FILES[format]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        run = {"onnx": _to_onnx, "torch_export": _to_torch}[format](module, batches[0], path)
        deviation = _deviation(module, run, batches)
    except BaseException:
        for written in (path, path.with_suffix(".onnx.data")):
            written.unlink(missing_ok=True)
        raise
    record = _record(own, format, path, module, deviation, batches) | {"report": audited}
    write_atomically(path.parent / RECORD, (json.dumps(record, indent=1, allow_nan=False) + "\n").encode())
    return Exported(path, format, deviation, record)


class _Forward(nn.Module):
    """An adapter's module with plain tensors in and one tensor out."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.module = model.module
        self.kind = "characters" if isinstance(model, CharModel) else model.task

    @property
    def inputs(self) -> tuple[str, ...]:
        return ("input_ids",) if self.kind == "characters" else ("input_ids", "attention_mask")

    @property
    def output(self) -> str:
        return "embedding" if self.kind == SentenceEncoder.task else "logits"

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        if self.kind == "characters":
            return self.module(input_ids)
        if self.kind == SentenceEncoder.task:
            return self.module({"input_ids": input_ids, "attention_mask": attention_mask})["sentence_embedding"]
        options = {"use_cache": False} if self.kind == "causal-lm" else {}
        return self.module(input_ids=input_ids, attention_mask=attention_mask, **options).logits


def _refuse_impossible(model: Any, format: str) -> None:
    if format == "torchscript":
        raise InputError("format 'torchscript': PyTorch has deprecated TorchScript; use 'torch_export' or 'onnx'")
    if format not in FILES:
        raise UnknownName("export format", format, FILES)
    absent = [package for package in PACKAGES if find_spec(package) is None]
    if format == "onnx" and absent:
        raise InputError(f"format 'onnx' needs {', '.join(absent)}; {extras.command('export')}")
    if isinstance(model, Seq2Seq):
        raise MissingCapability(f"{model.name}: encoder and decoder run in turn, which no single file here can hold")
    if not hasattr(model, "module"):
        raise MissingCapability(f"{type(model).__name__} gives out no module to export; expected a model with weights")
    try:
        refuse_quantised(model.module)
    except InputError as e:
        raise InputError(
            f"{model.name} is quantised, and the packed weights of a torch engine cannot leave it; export the "
            "unquantised point, and quantise it in the other runtime"
        ) from e


def _batches(model: Any, texts: Sequence[str]) -> list[tuple[torch.Tensor, ...]]:
    """Inputs for the check: all texts together, one repeated to the model's full length, and each text alone."""
    rows = [row for row in _ids(model, texts) if len(row)]
    if not rows:
        raise InputError("no sample text has a token; give texts of a sentence or so each")
    longest = min(model.describe()["context"], 512)
    full = [(max(rows, key=len) * longest)[:longest]]
    batches = []
    for batch in (rows, full, *([row] for row in rows)):
        ids, mask = pad(batch, 0), pad([[1] * len(row) for row in batch], 0)
        batches.append((ids,) if isinstance(model, CharModel) else (ids, mask))
    return batches


def _ids(model: Any, texts: Sequence[str]) -> list[list[int]]:
    if isinstance(model, CharModel):
        context = model.config.context
        return [(model.tokenizer.start + model.tokenizer.encode(text)[0])[:context] for text in texts]
    if isinstance(model, SentenceEncoder):
        longest = model.module.max_seq_length
        return list(model.module.tokenizer(list(texts), truncation=True, max_length=longest)["input_ids"])
    return list(model.tokenize(texts)["input_ids"])


def _program(module: _Forward, example: tuple[torch.Tensor, ...]) -> Any:
    """The traced program; batch and length stay free, and tracing fails where the model fixes either."""
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    shapes = {name: free for name in module.inputs}
    if "attention_mask" not in shapes:
        example, shapes = (*example, None), shapes | {"attention_mask": None}  # type: ignore[assignment]
    try:
        with torch.no_grad():
            return torch.export.export(module, example, dynamic_shapes=shapes)
    except Exception as e:  # dozens of kinds, none of which says what a user could do
        raise InputError(f"torch.export cannot trace this {type(module.module).__name__}: {_first_line(e)}") from e


def _to_torch(module: _Forward, example: tuple[torch.Tensor, ...], path: Path) -> Run:
    torch.export.save(_program(module, example), path)
    loaded = torch.export.load(path).module()

    def run(inputs: tuple[torch.Tensor, ...]) -> npt.NDArray[np.float64]:
        with torch.no_grad():
            return loaded(*inputs, *[None] * (2 - len(inputs))).double().numpy()

    return run


def _to_onnx(module: _Forward, example: tuple[torch.Tensor, ...], path: Path) -> Run:
    import onnxruntime

    size = sum(p.numel() * p.element_size() for p in module.parameters())
    try:
        with _quiet():
            torch.onnx.export(
                _program(module, example),
                f=path,
                input_names=list(module.inputs),
                output_names=[module.output],
                external_data=size > ONE_FILE,
                verbose=False,
            )
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except InputError:
        raise
    except Exception as e:  # of three packages; the first line says what is not supported
        raise InputError(f"ONNX cannot hold this {type(module.module).__name__}: {_first_line(e)}") from e
    names = [i.name for i in session.get_inputs()]
    return lambda inputs: session.run(None, {n: x.numpy() for n, x in zip(names, inputs, strict=True)})[0].astype(float)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of its own use of deprecated functions, and logs that torchvision is absent."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"\W*The axis name: .* will not be used")
            warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\)", category=FutureWarning)
            yield
    finally:
        logger.setLevel(level)


def _deviation(module: _Forward, run: Run, batches: Sequence[tuple[torch.Tensor, ...]]) -> float:
    """The largest absolute difference from the module's own outputs; positions of padding do not count.

    Raises:
        InputError: it is too large, or an output is not a number.
    """
    half = any(p.dtype in (torch.float16, torch.bfloat16) for p in module.parameters())
    tolerance, largest = HALF_PRECISION_TOLERANCE if half else TOLERANCE, 0.0
    for inputs in batches:
        with torch.no_grad():
            expected = module(*inputs).double().numpy()
        found = run(inputs)
        if found.ndim == 3 and len(inputs) == 2:
            expected, found = (x[inputs[1].numpy() == 1] for x in (expected, found))
        deviation = float(np.abs(found - expected).max())
        if not deviation <= tolerance * max(1.0, float(np.abs(expected).max())):
            raise InputError(
                f"the exported model's outputs deviate by {deviation:.2g} from the model's own on a batch of "
                f"{tuple(inputs[0].shape)} tokens; at most {tolerance:g} was expected: do not use it"
            )
        largest = max(largest, deviation)
    return largest


def _record(
    model: Any,
    format: str,
    path: Path,
    module: _Forward,
    deviation: float,
    batches: Sequence[tuple[torch.Tensor, ...]],
) -> dict[str, Any]:
    packages = ("torch", "transformers", *(PACKAGES if format == "onnx" else ()))
    return {
        "schema": SCHEMA,
        "format": format,
        "file": _identity(path),
        "inputs": list(module.inputs),
        "output": module.output,
        "model": model.describe(),
        "compression": getattr(model, "compression", []),
        "weights_sha256": weights_sha256(module.module),
        "max_deviation": deviation,
        "checked_on": [list(inputs[0].shape) for inputs in batches],
        "versions": {"auditkit": __version__} | {package: metadata.version(package) for package in packages},
    }


def _identity(path: Path) -> dict[str, str]:
    try:
        return {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    except OSError as e:
        raise ReportError(f"{path} cannot be read: {e.strerror or e}; give the path of a saved audit report") from e


def _first_line(e: Exception) -> str:
    return str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__
