"""Checkpoints with weights in few bits: which package reads them, and what is refused.

The weights are read by transformers' own quantizers. Some of those get their kernels from a hub while they load, which
would be fetched and run: these formats are unpacked where transformers can do that, and refused where it cannot.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

from auditkit.errors import InputError, MissingExtra, ModelError, UnknownName

# quant_method -> the modules it imports -> what pip calls them.
PACKAGES: dict[str, dict[str, str]] = {
    "aqlm": {"aqlm": "aqlm[cpu,gpu]"},
    "auto-round": {"auto_round": "auto-round"},
    "awq": {"gptqmodel": "gptqmodel"},
    "bitnet": {},
    "bitsandbytes": {"bitsandbytes": "bitsandbytes"},
    "compressed-tensors": {"compressed_tensors": "compressed-tensors"},
    "fbgemm_fp8": {"fbgemm_gpu": "fbgemm-gpu"},
    "fp8": {},
    "gptq": {"optimum": "optimum", "gptqmodel": "gptqmodel"},
    "higgs": {"flute": "flute-kernel", "fast_hadamard_transform": "fast-hadamard-transform"},
    "hqq": {"hqq": "hqq"},
    "mxfp4": {},
    "mxfp8": {},
    "quanto": {"optimum.quanto": "optimum-quanto"},
    "quark": {"quark": "amd-quark"},
    "sinq": {"sinq": "sinq"},
    "spqr": {"spqr_quant": "spqr_quant[gpu]"},
    "torchao": {"torchao": "torchao"},
    "vptq": {"vptq": "vptq"},
}
UNPACKED = {"fp8": "FineGrainedFP8Config", "mxfp8": "FineGrainedFP8Config", "mxfp4": "Mxfp4Config"}
"""Their kernels are fetched from a hub; transformers can do without when it unpacks the weights."""
FETCHED = ("eetq", "metal", "nvfp4", "gemma", "fouroversix", "fp_quant")


def loading(stored: Any, asked: Mapping[str, Any] | None, name: str) -> dict[str, Any]:
    """What `from_pretrained` is to be told of few bits.

    Args:
        stored: `quantization_config` of the model's config.json; None where its weights are plain.
        asked: the same, for weights that are to be quantised while they are loaded.
        name: what errors call the model.

    Returns:
        Arguments of `from_pretrained`; empty where there is nothing to say.

    Raises:
        ModelError: unknown, or its kernels would be fetched and run; or quantised already.
        UnknownName: `asked` names no known method.
        InputError: `asked` is not what that method takes.
        MissingExtra: the package that reads it is not installed.
    """
    if stored and asked:
        raise ModelError(f"cannot load {name}: it is quantised already ({_method(stored)}); remove `quantization`")
    if not stored and not asked:
        return {}
    method = _method(stored or asked)
    if asked and method not in PACKAGES:
        raise UnknownName("quant_method", method, PACKAGES)
    _refuse_unreadable(method, name)
    if stored:
        return _unpacking(method)
    return {"quantization_config": _settings(asked or {})}


def _settings(asked: Mapping[str, Any]) -> Any:
    from transformers.quantizers.auto import AutoQuantizationConfig

    try:
        return AutoQuantizationConfig.from_dict(dict(asked))
    except Exception as e:  # each method checks its own settings in its own way
        raise InputError(
            f"quantization {dict(asked)}: {type(e).__name__}: {e}; expected what transformers writes under "
            "`quantization_config` of a model quantised like this"
        ) from e


def _method(config: Any) -> str:
    """The method by name: bitsandbytes did not always write its name."""
    config = config if isinstance(config, Mapping) else {}
    bits = config.get("load_in_8bit") or config.get("load_in_4bit")
    method = str(config.get("quant_method") or ("bitsandbytes" if bits else "none"))
    return "bitsandbytes" if method.startswith("bitsandbytes") else method


def _refuse_unreadable(method: str, name: str) -> None:
    if method in FETCHED:
        raise ModelError(
            f"cannot load {name}: its weights are quantised with {method}, whose kernels are fetched from a hub and "
            "run; expected the model before it was quantised"
        )
    if method not in PACKAGES:
        raise ModelError(
            f"cannot load {name}: config.json says quant_method: {method}; expected one of {', '.join(PACKAGES)}"
        )
    absent = [pip for module, pip in PACKAGES[method].items() if not _installed(module)]
    if absent:
        raise MissingExtra(
            f"cannot load {name}: its weights are quantised with {method}, which needs {' and '.join(absent)}: "
            f"pip install {' '.join(absent)}"
        )


def _unpacking(method: str) -> dict[str, Any]:
    if method not in UNPACKED:
        return {}
    import transformers

    return {"quantization_config": getattr(transformers, UNPACKED[method])(dequantize=True)}


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package around it
        return False
