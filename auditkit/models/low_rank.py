"""Low-rank adapters in a folder of peft: loaded into their base and merged, so that one plain model is audited.

Only `adapter_model.safetensors` is read. What is in the file and what the configuration puts into the base must be the
same weights: peft itself only warns, and an adapter of which half is missing is another model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from auditkit.errors import ModelError
from auditkit.models import before_loading, checkpoint_files, tokenizer_files
from auditkit.models.load_options import LoadOptions
from auditkit.models.protocols import Model

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."
TASKS = {
    "CAUSAL_LM": "causal-lm",
    "SEQ_2_SEQ_LM": "seq2seq",
    "SEQ_CLS": "classifier",
    "FEATURE_EXTRACTION": "sentence-encoder",
}
MERGEABLE = (
    *("LORA", "ADALORA", "IA3", "LOHA", "LOKR", "OFT", "BOFT", "VERA", "FOURIERFT", "HRA", "LN_TUNING", "BONE"),
    *("MISS", "RANDLORA", "SHIRA", "C3A", "ROAD", "DELORA", "WAVEFT", "TRAINABLE_TOKENS"),
)
HEADS = ("score.weight", "classifier.weight", "classifier.out_proj.weight", "classifier.dense_out.weight")
SHOWN = 4


def is_adapter(folder: Path, name: str) -> bool:
    """Whether the folder holds adapters of a base that lies elsewhere.

    Raises:
        ModelError: a whole model lies beside them, so that nobody can tell which is meant.
    """
    if not (folder / CONFIG).exists() or (folder / "modules.json").exists():
        return False
    whole = [p.name for p in folder.glob("model*.safetensors*")]
    if whole:
        raise ModelError(
            f"cannot load {name}: it holds a whole model ({whole[0]}) and an adapter ({CONFIG}), and either may be "
            "meant; move the adapter into a folder of its own"
        )
    return True


def load(folder: Path, name: str, options: LoadOptions, load_base: Callable[[str, LoadOptions], Model]) -> Model:
    """The base that `adapter_config.json` names, with the adapters merged into it.

    Args:
        folder: holds `adapter_config.json` and `adapter_model.safetensors`, perhaps a tokenizer.
        name: what the model is called.
        options: how to load the base.
        load_base: what loads a model by its name.

    Raises:
        ModelError: the base is nowhere to be found, or the adapters do not fit it; says where it looked.
    """
    config = _read_config(folder, name)
    tensors = _read_weights(folder, name)
    wanted = dataclasses.replace(
        options,
        task=_task(config, options.task, name),
        revision=config.get("revision") or None,
        subfolder=None,
        filled=frozenset(key.removeprefix(PREFIX) for key in tensors),
        labels=_labels(tensors),
    )
    base = _base(str(config.get("base_model_name_or_path") or ""), folder, name)
    own = folder if tokenizer_files.has_vocabulary(folder) else None
    if wanted.task == "sentence-encoder" or not tokenizer_files.has_vocabulary(Path(base)):
        wanted = dataclasses.replace(wanted, tokenizer=own)
    if wanted.revision and Path(base).exists():
        wanted = dataclasses.replace(wanted, revision=None)  # peft writes one for every base
    model: Any = _loaded(base, wanted, folder, name, load_base)
    if not hasattr(model, "module"):
        raise ModelError(f"cannot load {name}: its base {base} gives out no module to put adapters into")
    _put_in(_target(model.module, tensors), config, tensors, name)
    if own is not None and hasattr(model, "tokenize"):  # only now has the base a row for each token that was added
        notices = model.notices
        model = type(model)(model.module, tokenizer_files.read(own, name), name=name)
        model.notices.update(notices)
    model.name = name
    if hasattr(model, "revision"):
        model.revision = options.revision
    return model


def refuse_unmergeable(config: Mapping[str, Any], name: str) -> None:
    """Refuse adapters that are no change of weights: prompts, prefixes, mixtures, and those that wait for a token.

    Args:
        config: of peft, as a mapping.
        name: what errors call the model.

    Raises:
        ModelError: says what kind it is.
    """
    stated = config.get("peft_type")
    kind = str(getattr(stated, "value", stated)).upper()
    if kind not in MERGEABLE or config.get("alora_invocation_tokens"):
        what = f"{kind} that waits for a token" if kind in MERGEABLE else kind
        raise ModelError(
            f"cannot load {name}: its adapters are of the kind {what}, which cannot be merged into the weights of "
            f"the base; expected one of {', '.join(MERGEABLE)}"
        )


def _read_config(folder: Path, name: str) -> Mapping[str, Any]:
    config = before_loading.read_json(folder / CONFIG)
    if not isinstance(config, Mapping):
        raise ModelError(f"cannot load {name}: {CONFIG} is no mapping; save or download the adapter again")
    refuse_unmergeable(config, name)
    if config.get("megatron_config"):
        raise ModelError(f"cannot load {name}: {CONFIG} names a package to import (megatron_core), which is not run")
    return config


def _read_weights(folder: Path, name: str) -> dict[str, Any]:
    from safetensors.torch import load_file

    pickled = folder / "adapter_model.bin"
    if not (folder / WEIGHTS).exists() and pickled.exists():
        raise ModelError(
            f"cannot load {name}: {pickled.name} is a pickle: reading it can run code, so it is refused; where you "
            "trust it, `PeftModel.from_pretrained(base, folder).save_pretrained(new)` writes safetensors"
        )
    checkpoint_files.refuse_partial(folder / WEIGHTS, name)
    return dict(load_file(folder / WEIGHTS))


def _task(config: Mapping[str, Any], asked: str | None, name: str) -> str | None:
    """None where the base is to tell: peft has no word for a masked language model."""
    stated = config.get("task_type")
    if stated is None:
        return asked
    if stated not in TASKS:
        raise ModelError(f"cannot load {name}: {CONFIG} says task_type: {stated}; expected one of {', '.join(TASKS)}")
    if asked not in (None, TASKS[stated]):
        raise ModelError(f"{name}: its adapters are of a {TASKS[stated]} model; remove `task: {asked}`")
    return TASKS[stated]


def _base(stated: str, folder: Path, name: str) -> str:
    """What loads the base: a name, a hub id, or a path, which may be told from here or from the adapter's folder."""
    from auditkit import plugins
    from auditkit.models.catalog import aliases

    if not stated:
        raise ModelError(
            f"cannot load {name}: {CONFIG} names no base_model_name_or_path; write there where the base is"
        )
    if stated in aliases() or stated in plugins.models():
        return stated
    places = _places(stated, folder)
    found = {path.resolve() for path in places if path.exists()}
    if len(found) > 1:
        raise ModelError(
            f"cannot load {name}: its base {stated!r} is in {len(found)} places: {', '.join(map(str, sorted(found)))}; "
            f"write the one meant into {CONFIG}, with its whole path"
        )
    if found:
        return str(next(path for path in places if path.exists()))
    if stated.count("/") == 1 and not stated.startswith((".", "/", "~")):
        return stated  # owner/name
    looked = ", ".join(str(path.absolute()) for path in places)
    raise ModelError(
        f"cannot load {name}: its base {stated!r} is not there; looked in {looked}; correct "
        f"base_model_name_or_path in {folder / CONFIG}"
    )


def _loaded(
    base: str, wanted: LoadOptions, folder: Path, name: str, load_base: Callable[[str, LoadOptions], Model]
) -> Model:
    try:
        return load_base(base, wanted)
    except ModelError as e:
        if Path(base).exists() or base.count("/") != 1:
            raise
        looked = ", ".join(str(path.absolute()) for path in _places(base, folder))
        raise ModelError(f"cannot load {name}: its base is in none of {looked}, nor on the hub: {e}") from e


def _places(stated: str, folder: Path) -> list[Path]:
    """Where a base may lie; a path told from nowhere is told from here, or from the adapter."""
    path = Path(stated)
    return [path] if path.is_absolute() else [path, folder / path, folder.parent / path]


def _labels(tensors: Mapping[str, Any]) -> int | None:
    """How many labels the head has that was trained with the adapters."""
    heads = [tensor for key, tensor in tensors.items() if key.removeprefix(PREFIX) in HEADS]
    return int(heads[0].shape[0]) if heads else None


def _target(module: Any, tensors: Collection[str]) -> Any:
    """Of a sentence encoder the transformer, unless the names begin at the encoder."""
    inner = getattr(module[0], "model", None) if hasattr(module, "encode") and hasattr(module, "__getitem__") else None
    return module if inner is None or any(key.startswith(f"{PREFIX}0.") for key in tensors) else inner


def _put_in(module: Any, config: Mapping[str, Any], tensors: Mapping[str, Any], name: str) -> None:
    """Merge the adapters into `module`, in place; the same parameters require gradients as before."""
    import peft

    trained = {key for key, p in module.named_parameters() if p.requires_grad}
    try:
        _grow(module, tensors, name)
        wrapped = peft.PeftModel(module, peft.PeftConfig.from_peft_type(**_known(config, name)))
        _refuse_unlike(wrapped, tensors, name)
        refuse_shared(wrapped, name)
        peft.set_peft_model_state_dict(wrapped, dict(tensors))
        merged = wrapped.merge_and_unload(safe_merge=True)
    except (ValueError, RuntimeError, KeyError, TypeError) as e:
        said = " ".join(str(e).split())[:300]
        raise ModelError(f"cannot load {name}: its adapters do not fit the base: {said}") from e
    for key, p in merged.named_parameters():
        p.requires_grad_(key in trained)


def refuse_shared(wrapped: Any, name: str) -> None:
    """Refuse adapters of a weight that stands in two places: merged into one, they would work in both.

    Tied embeddings are such, and replicated layers.

    Raises:
        ModelError: names the weight.
    """
    places: dict[int, list[str]] = {}
    for key, p in wrapped.named_parameters(remove_duplicate=False):
        places.setdefault(p.data_ptr(), []).append(key)
    for part in wrapped.modules():
        weight = getattr(part.get_base_layer(), "weight", None) if hasattr(part, "get_base_layer") else None
        where: int = weight.data_ptr() if weight is not None else 0
        found = places.get(where, [])
        if len(found) > 1 and where:
            raise ModelError(
                f"cannot load {name}: its adapters change one weight that stands in two places ({_some(found)}); "
                "merged, they would change both; untie the weights of the base, and train the adapters there"
            )


def _grow(module: Any, tensors: Mapping[str, Any], name: str) -> None:
    """Room for the tokens that were added with the adapters, all of whose rows the file must bring."""
    inputs = module.get_input_embeddings() if hasattr(module, "resize_token_embeddings") else None
    names = {id(p): key for key, p in module.named_parameters()}
    brought = tensors.get(PREFIX + names.get(id(getattr(inputs, "weight", None)), ""))
    if inputs is None or brought is None or len(brought) == len(inputs.weight):
        return
    module.resize_token_embeddings(len(brought), mean_resizing=False)
    outputs = module.get_output_embeddings()
    key = next((k for k, p in module.named_parameters() if outputs is not None and p is outputs.weight), "")
    if key and PREFIX + key not in tensors:
        raise ModelError(f"cannot load {name}: {WEIGHTS} brings new tokens, but not their rows in {key}")


def _known(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The settings that the installed peft knows; it would ignore the others, which a newer one had a use for."""
    from peft import PeftConfig, PeftType
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    kind: Any = PEFT_TYPE_TO_CONFIG_MAPPING.get(PeftType[str(config["peft_type"]).upper()], PeftConfig)
    fields = {field.name for field in dataclasses.fields(kind)}
    if strange := sorted(key for key, value in config.items() if key not in fields and value):
        raise ModelError(
            f"cannot load {name}: {CONFIG} says {', '.join(strange)}, which the installed peft does not know; "
            "pip install -U peft"
        )
    return {key: value for key, value in config.items() if key in fields}


def _refuse_unlike(wrapped: Any, tensors: Mapping[str, Any], name: str) -> None:
    """Both ways: what the file lacks would be drawn at random or do nothing; what is left over was trained."""
    import peft

    expected = peft.get_peft_model_state_dict(wrapped, save_embedding_layers=False)
    whole = {f"base_model.model.{key}" for key in wrapped.get_base_model().state_dict()}
    missing = sorted(expected.keys() - tensors.keys())
    again = {key for key in tensors if _is_again(key, tensors)}
    left = sorted(tensors.keys() - expected.keys() - whole - again)
    if missing or left:
        what = f"lacks {_some(missing)}" if missing else f"holds {_some(left)}, which fit nowhere"
        raise ModelError(
            f"cannot load {name}: {WEIGHTS} {what}; expected the {len(expected)} weights that {CONFIG} "
            "puts into the base"
        )


def _is_again(key: str, tensors: Mapping[str, Any]) -> bool:
    """Peft writes embeddings that were trained whole a second time, under a name of its own."""
    other = tensors.get(key.replace(".modules_to_save.", "."))
    return ".modules_to_save." in key and other is not None and bool((other == tensors[key]).all())


def _some(keys: Collection[str]) -> str:
    return ", ".join([*list(keys)[:SHOWN], *["..."] * (len(keys) > SHOWN)])
