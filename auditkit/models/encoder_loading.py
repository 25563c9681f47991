"""Sentence encoders from files: every transformer in them goes through the check of `auditkit.models.fit`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from auditkit.errors import ModelError
from auditkit.models import before_loading, checkpoint_files, fit, low_rank, quantized_checkpoints, tokenizer_files
from auditkit.models.load_options import LoadOptions
from auditkit.models.protocols import Model


def load(folder: Path, name: str, options: LoadOptions, refuse_unlike_config: Any) -> Model:
    """The adapter over the encoder in `folder`; one without a list of its parts is pooled by the mean.

    Args:
        folder: of sentence-transformers, or of a transformer alone.
        name: what errors call the model.
        options: how to load it.
        refuse_unlike_config: called with the transformer's folder, the name and the class that loads it.

    Raises:
        ModelError: weights are missing, left over or damaged, or the encoder has no transformer.
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers import AutoModel

    from auditkit.models.sentence_encoder import SentenceEncoder
    from auditkit.models.weights import pick_device, pick_dtype

    chosen = pick_device(options.device)
    _refuse_without_transformer(folder, name)
    checkpoint_files.refuse_pickles_of_parts(folder, name)
    given: dict[str, Any] = {"use_safetensors": True, "dtype": pick_dtype(options.dtype, chosen)}
    given["trust_remote_code"] = False
    for path in (path for inside in _folders(folder) for path in sorted(inside.glob("*.safetensors"))):
        checkpoint_files.refuse_partial(path, name)
    for inside in _transformers(folder):
        checkpoint_files.refuse_broken(inside, name)
        refuse_unlike_config(inside, name, AutoModel)
        stored = before_loading.read_json(inside / "config.json").get("quantization_config")
        few_bits = quantized_checkpoints.loading(stored, options.quantization, name)
        given |= few_bits | options.placement(chosen if few_bits else None)
    with fit.recorded() as loads:
        module = SentenceTransformer(str(folder), trust_remote_code=False, device=str(chosen), model_kwargs=given)
    tokenizer_files.refuse_without_vocabulary(module.tokenizer, _transformers(folder)[0], name)
    unused: Counter[str] = Counter()
    for inner, info in loads:
        unused += _refuse_unfit(inner, info, name, torch)
    model = SentenceEncoder(module, name=name, revision=options.revision)
    model.notices.update(unused)
    return model


def _refuse_unfit(inner: Any, info: Any, name: str, torch: Any) -> Counter[str]:
    """A pooler may be missing: sentence-transformers pools the tokens and asks no pooler.

    One that was is set to zero: left as it was drawn, it would give every load another hash. Where the weights are kept
    on disk there is nothing to set, and it is taken out.
    """
    poolers = {key for key in info["missing_keys"] if "pooler" in key.split(".")}
    fit.refuse_gaps(inner, info, name, filled=poolers)
    parameters = dict(inner.named_parameters())
    for key in poolers & parameters.keys():
        if parameters[key].device.type == "meta":
            inner.get_submodule(key.split(".pooler.")[0] if ".pooler." in key else "").pooler = None
        else:
            torch.nn.init.zeros_(parameters[key])
    return fit.refuse_unused(inner, info["unexpected_keys"], name)


def _parts(folder: Path) -> Iterator[Mapping[str, Any]]:
    listed = before_loading.read_json(folder / "modules.json")
    yield from (part for part in (listed if isinstance(listed, list) else []) if isinstance(part, Mapping))


def _folders(folder: Path) -> list[Path]:
    return [folder / str(part.get("path") or "") for part in _parts(folder)] or [folder]


def _transformers(folder: Path) -> list[Path]:
    """Where the transformers lie in an encoder: the parts whose configuration names an architecture."""
    folders = _folders(folder)
    described = [(inside, before_loading.read_json(inside / "config.json")) for inside in folders]
    found = [inside for inside, config in described if isinstance(config, Mapping) and "model_type" in config]
    return found or folders[:1]


def _refuse_without_transformer(folder: Path, name: str) -> None:
    first = next(_parts(folder), {})
    kind = str(first.get("type") or "Transformer").rpartition(".")[2]
    inside = folder / str(first.get("path") or "")
    if (inside / low_rank.CONFIG).exists():
        raise ModelError(
            f"cannot load {name}: its transformer is adapters of another model ({low_rank.CONFIG}); merge them, where "
            "you trust both, with `encoder[0].model.merge_and_unload()`, or load the base and add them, and save that"
        )
    if not (inside / "config.json").exists():
        raise ModelError(
            f"cannot load {name}: there is no config.json in {inside}, where its first part ({kind}) is; expected an "
            "encoder that begins with a transformer"
        )
    config = before_loading.read_json(inside / "config.json")
    if not isinstance(config, Mapping) or "model_type" not in config:
        raise ModelError(f"cannot load {name}: its first part is a {kind}; expected one that begins with a transformer")
