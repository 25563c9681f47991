"""How a model is to be loaded: the arguments of `load_model` beside its name, checked before anything is read."""

from __future__ import annotations

import ctypes
import importlib.util
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditkit.errors import InputError, MissingExtra

SPREADING = ("auto", "balanced", "balanced_low_0", "sequential")
M_MMAP_THRESHOLD = -3
"""Of malloc.h: blocks of this many bytes are given back to the system as soon as they are freed."""
_AMOUNT = re.compile(r"\d+(\.\d+)?\s*(B|[KMGT]i?B)", re.IGNORECASE)

PLACING = ("device_map", "max_memory", "offload_folder", "quantization")
OF_FILES = ("revision", "subfolder", *PLACING)

DeviceMap = str | Mapping[str, int | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """See `load_model` for all but the last three, which are what low-rank adapters ask of their base.

    Attributes:
        filled: weights that need not be in the checkpoint, since the adapters bring them.
        labels: how many labels the head has that they bring.
        tokenizer: folder of the tokenizer to use instead of the base's.

    Raises:
        InputError: one of them is wrong, or two exclude each other.
        MissingExtra: spreading a model needs accelerate.
    """

    task: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    revision: str | None = None
    subfolder: str | None = None
    device_map: DeviceMap | None = None
    max_memory: Mapping[int | str, int | str] | None = None
    offload_folder: str | Path | None = None
    quantization: Mapping[str, Any] | None = None
    filled: frozenset[str] = frozenset()
    labels: int | None = None
    tokenizer: Path | None = None

    def __post_init__(self) -> None:
        if isinstance(self.device_map, str) and self.device_map not in SPREADING:
            raise InputError(
                f"device_map {self.device_map!r}: expected {', '.join(SPREADING)}, or a mapping of modules to devices; "
                "for one device use `device`"
            )
        for where, amount in (self.max_memory or {}).items():
            if not (_whole(amount) or (isinstance(amount, str) and _AMOUNT.fullmatch(amount))):
                raise InputError(f"max_memory {where}: {amount!r}; expected bytes, or an amount such as 2GiB or 500MB")
        if self.quantization is not None and not (isinstance(self.quantization, Mapping) and self.quantization):
            raise InputError(
                f"quantization {self.quantization!r}: expected what transformers writes under `quantization_config`, "
                "for instance {quant_method: bitsandbytes, load_in_8bit: true}"
            )
        if self.spread:
            self._check_spread()

    @property
    def spread(self) -> bool:
        """Whether the weights may lie on several devices; a limit or a folder alone asks for that too."""
        return any(given is not None for given in (self.device_map, self.max_memory, self.offload_folder))

    @property
    def source(self) -> dict[str, Any]:
        """Which version, and where in it, for the functions of transformers that read files."""
        return {"revision": self.revision, "subfolder": self.subfolder or ""}

    def placement(self, device: Any) -> dict[str, Any]:
        """Where transformers puts the weights, as arguments of `from_pretrained`; empty: in memory.

        Args:
            device: of the whole model, for weights that cannot be moved later; None where they can.
        """
        if self.spread:
            if self.max_memory and sys.platform == "linux":
                _give_back_what_is_freed()
            limits = {_device(key): value for key, value in (self.max_memory or {}).items()}
            given = {"max_memory": limits or None, "offload_folder": self.offload_folder and str(self.offload_folder)}
            return {"device_map": self.device_map or "auto"} | {k: v for k, v in given.items() if v}
        return {"device_map": {"": str(device)}} if device is not None else {}

    def refuse_any_of(self, fields: Iterable[str], name: str) -> None:
        """Raise InputError where one of `fields` was given, which would do nothing to the model called `name`."""
        if given := [field for field in fields if getattr(self, field) is not None]:
            raise InputError(
                f"{name}: {', '.join(given)} would do nothing; expected a folder of transformers, or a hub id, for that"
            )

    def _check_spread(self) -> None:
        if self.device != "auto":
            raise InputError(
                f"device {self.device!r} with device_map, max_memory or offload_folder: they say where the weights go; "
                "remove `device`"
            )
        if importlib.util.find_spec("accelerate") is None:
            raise MissingExtra(
                "accelerate is not installed and is needed for device_map, max_memory and offload_folder: "
                "pip install accelerate",
                name="accelerate",
            )


def _give_back_what_is_freed() -> None:
    """Weights that come and go leave holes that glibc keeps: half as much again as a limit of 60 MB, measured."""
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:  # musl has none, and keeps less
        set_option(M_MMAP_THRESHOLD, 1 << 16)


def _whole(amount: Any) -> bool:
    return isinstance(amount, int) and not isinstance(amount, bool) and amount >= 0


def _device(key: int | str) -> int | str:
    """A YAML key may be "0" where the library expects 0."""
    return int(key) if isinstance(key, str) and key.isdecimal() else key
