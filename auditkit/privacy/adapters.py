"""The copy of a model that is trained, and low-rank adapters put into it and merged again."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
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


# Initialisations that take the adapters' start off the base: what was trained does not fit the base that is loaded.
MOVE_THE_BASE = ("pissa", "olora", "corda", "loftq")
WEIGHTS = "adapter_model.safetensors"
# Our task -> peft's; masked language models and the char-GPT have none there.
TASK_TYPES = {
    "causal-lm": "CAUSAL_LM",
    "seq2seq": "SEQ_2_SEQ_LM",
    "classifier": "SEQ_CLS",
    "sentence-encoder": "FEATURE_EXTRACTION",
}


@dataclass(frozen=True, slots=True)
class AdapterWeights:
    """Trained low-rank adapters in the form of peft, apart from the weights that they adapt.

    Attributes:
        config: names the base, and the modules trained whole (a classifier's head) in `modules_to_save`.
        tensors: by peft's names.
    """

    config: LoraConfig
    tensors: dict[str, torch.Tensor]

    def save(self, folder: Path) -> None:
        """Write `adapter_config.json` and `adapter_model.safetensors`, which `PeftModel.from_pretrained` reads."""
        from safetensors.torch import save_file

        self.config.save_pretrained(str(folder))
        save_file(self.tensors, folder / WEIGHTS, metadata={"format": "pt"})


class LowRankAdapters:
    """LoRA (Hu et al., 2021) in a model: everything else is frozen, but for a classifier's head, which is new.

    Args:
        model: the adapter whose module gets them.
        lora: their rank (alpha is twice that, in every linear layer but the output), or a peft configuration.
    """

    def __init__(self, model: Any, lora: int | LoraConfig) -> None:
        import peft

        module = model.module
        self.model = model
        self.head: set[str] = set()
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
            self.head = {name.partition(".")[0] for name, _ in module.named_parameters()} - {module.base_model_prefix}
            for name, p in module.named_parameters():
                p.requires_grad = p.requires_grad or self._in_head(name)

    def merge(self) -> AdapterWeights | None:
        """Add the adapters to the weights they adapt, and set all `requires_grad` as before.

        Returns:
            The adapters alone; None where they began as a part of the base (PiSSA and the like), which they need.
        """
        import peft

        state = peft.get_peft_model_state_dict(self.tuner, save_embedding_layers=False)
        low_rank = {name.removeprefix("model."): p for name, p in state.items()}
        merged = self.tuner.merge_and_unload()
        for name, p in merged.named_parameters():
            p.requires_grad = self.before[name]
        return self._apart(low_rank, dict(merged.named_parameters()))

    def _in_head(self, name: str) -> bool:
        return name.partition(".")[0] in self.head

    def _apart(self, low_rank: dict[str, torch.Tensor], merged: dict[str, nn.Parameter]) -> AdapterWeights | None:
        """What a whole head took up of the adapters is written with the head."""
        config = self._config()
        if str(config.init_lora_weights).startswith(MOVE_THE_BASE):
            return None
        kept = {name: p for name, p in low_rank.items() if not self._in_head(name)}
        kept |= {name: p for name, p in merged.items() if self._in_head(name)}
        # Cloned, since whoever trains the model further does not mean these.
        return AdapterWeights(config, {f"base_model.model.{n}": p.detach().cpu().clone() for n, p in kept.items()})

    def _config(self) -> LoraConfig:
        """The configuration with which peft puts the adapters into the model that was given."""
        config: LoraConfig = copy.deepcopy(self.tuner.peft_config["default"])
        config.base_model_name_or_path = self.model.name
        config.revision = getattr(self.model, "revision", None)
        config.task_type = config.task_type or TASK_TYPES.get(getattr(self.model, "task", ""))
        config.modules_to_save = sorted(self.head) or None
        config.inference_mode = True
        return config


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
