"""The copy of a model that is trained, and low-rank adapters put into it and merged again."""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Any

from torch import nn

from auditkit.errors import InputError, MissingCapability
from auditkit.models.classifier import Classifier
from auditkit.models.protocols import HasModule

if TYPE_CHECKING:
    from peft import LoraConfig


def copy_of(model: Any) -> Any:
    """An adapter with weights of its own; the tokenizer is shared.

    Raises:
        MissingCapability: the model does not give out its module.
    """
    if not isinstance(model, HasModule):
        raise MissingCapability(f"{type(model).__name__} gives out no module to train; expected a model with weights")
    memo = {id(model.tokenizer): model.tokenizer} if hasattr(model, "tokenizer") else {}
    twin = copy.deepcopy(model, memo)
    vars(twin).pop("weights_sha256", None)  # cached, and no longer true after the first step
    return twin


class LowRankAdapters:
    """LoRA (Hu et al., 2021) in a model: everything else is frozen, but for a classifier's head, which is new.

    Args:
        model: the adapter whose module gets them.
        lora: their rank (alpha is twice that, in every linear layer but the output), or a peft configuration.
    """

    def __init__(self, model: Any, lora: int | LoraConfig) -> None:
        import peft

        module = model.module
        self.before = {name: p.requires_grad for name, p in module.named_parameters()}
        if isinstance(lora, int):
            lora = peft.LoraConfig(r=lora, lora_alpha=2 * lora, target_modules=_inner_linears(module))
        try:
            with warnings.catch_warnings():  # of GPT-2's transposed layers, which peft then treats as it should
                warnings.filterwarnings("ignore", message="fan_in_fan_out")
                self.tuner = peft.tuners.lora.LoraModel(module, copy.deepcopy(lora), "default")  # peft writes into it
        except ValueError as e:
            raise InputError(f"the adapters do not fit this model: {e}") from e
        if isinstance(model, Classifier):
            prefix = f"{module.base_model_prefix}."
            for name, p in module.named_parameters():
                p.requires_grad = p.requires_grad or not name.startswith(prefix)

    def merge(self) -> nn.Module:
        """Add the adapters to the weights they adapt, and set all `requires_grad` as before."""
        merged = self.tuner.merge_and_unload()
        for name, p in merged.named_parameters():
            p.requires_grad = self.before[name]
        return merged


def _inner_linears(module: nn.Module) -> list[str]:
    """Names of the linear layers inside the stack of blocks; output layers stand outside."""
    from transformers.pytorch_utils import Conv1D

    linears = [name for name, part in module.named_modules() if isinstance(part, nn.Linear | Conv1D)]
    inside = [name for name in linears if any(piece.isdigit() for piece in name.split("."))]  # of a stack of layers
    if not inside:
        raise InputError(
            "no stack of layers with linear maps found; name them: lora=peft.LoraConfig(target_modules=...)"
        )
    return inside
