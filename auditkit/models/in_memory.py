"""A module that is in memory already, behind the adapter for its task."""

from __future__ import annotations

import copy
from typing import Any

from auditkit.errors import InputError, ModelError
from auditkit.models.load_options import LoadOptions
from auditkit.models.protocols import Model
from auditkit.models.tasks import adapter_for, task_of


def wrapped(module: Any, tokenizer: Any, options: LoadOptions) -> Model:
    """The adapter over `module`, which is used as it is; only adapters of peft are merged, in a copy.

    Args:
        module: of transformers, peft, or sentence-transformers.
        tokenizer: of a language model or classifier; a sentence encoder has its own.
        options: only `task` has a meaning here.

    Raises:
        InputError: the tokenizer is missing, or an option is about files.
        ModelError: the module holds no weights, or nothing tells its task.
    """
    if options != LoadOptions(task=options.task):
        raise InputError("a module in memory is used as it is: device, dtype, revision and the like belong to files")
    if _is_wrapper(module):
        module = _merged(module)
    _refuse_without_weights(module)
    name = getattr(getattr(module, "config", None), "name_or_path", "") or type(module).__name__
    if hasattr(module, "encode") and hasattr(module, "tokenizer"):
        from auditkit.models.sentence_encoder import SentenceEncoder

        return SentenceEncoder(module, name=name)
    if not hasattr(module, "config"):
        raise InputError(
            f"model: a {type(module).__name__}; expected a name, a folder, or a module of transformers, peft or "
            "sentence-transformers"
        )
    if tokenizer is None:
        raise InputError(
            f"tokenizer: missing; a {type(module).__name__} in memory needs one: load_model(module, tokenizer=...)"
        )
    return adapter_for(task_of([type(module).__name__], name, options.task))(module, tokenizer, name=name)


def without_wrapper(module: Any) -> Any:
    """The module of transformers inside a `PeftModel`, with the adapters in its layers; any other module itself.

    The wrapper passes on the names of what it wraps, so that parts are looked for one level too high.

    Raises:
        ModelError: the adapters are prompts or the like, and stay outside.
    """
    if not _is_wrapper(module):
        return module
    from auditkit.models.low_rank import refuse_unmergeable

    for adapter in module.active_adapters:
        refuse_unmergeable(module.peft_config[adapter].to_dict(), type(module).__name__)
    return module.get_base_model()


def _is_wrapper(module: Any) -> bool:
    return hasattr(module, "peft_config") and hasattr(module, "get_base_model")


def _merged(peft_model: Any) -> Any:
    """The base with the active adapters in it; over weights in few bits they stay beside them.

    The one given is left as it is.
    """
    from auditkit.models.low_rank import refuse_shared

    base = without_wrapper(peft_model)
    if getattr(base, "is_quantized", False):
        return base
    refuse_shared(peft_model, type(peft_model).__name__)
    return copy.deepcopy(peft_model).merge_and_unload(safe_merge=True)


def _refuse_without_weights(module: Any) -> None:
    """Parameters that stand for nothing: shapes alone. Those kept on disk by accelerate can be read."""
    if not hasattr(module, "named_parameters"):
        raise InputError(
            f"model: a {type(module).__name__}; expected a name, a folder, or a module of transformers, peft or "
            "sentence-transformers"
        )
    offloaded = hasattr(module, "hf_device_map")
    empty = [name for name, p in module.named_parameters() if p.device.type == "meta" and not offloaded]
    if empty:
        raise ModelError(f"{type(module).__name__}: {empty[0]} has no values (device meta); load its weights first")
