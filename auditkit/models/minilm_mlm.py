"""`minilm-mlm`: the masked language model that auditkit ships as a small addition to all-MiniLM-L6-v2.

`examples/train_minilm_mlm.py` trained rank-16 LoRA adapters, the encoder's biases and LayerNorms, and a masked-LM
head. Here they are merged into a plain `BertForMaskedLM`.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import torch

from auditkit.errors import ModelError
from auditkit.models.fit import refuse_unused

TRAINED = "minilm_mlm.safetensors"


def build(encoder: Path | str, trained: Path | None = None) -> tuple[Any, Any]:
    """The merged model and its tokenizer.

    Args:
        encoder: folder (or hub id) of all-MiniLM-L6-v2.
        trained: the trained part; the shipped one by default.

    Raises:
        ModelError: the trained part does not fit the encoder.
    """
    from safetensors import safe_open
    from transformers import AutoTokenizer, BertForMaskedLM

    path = trained or Path(str(resources.files("auditkit.models") / "weights" / TRAINED))
    with safe_open(path, framework="pt") as f:
        scale = float(f.metadata()["lora_alpha"]) / float(f.metadata()["rank"])
        new = {name: f.get_tensor(name).float() for name in f.keys()}  # noqa: SIM118 - not a mapping
    given = {"output_loading_info": True, "use_safetensors": True}
    model, info = BertForMaskedLM.from_pretrained(encoder, trust_remote_code=False, **given)
    absent = {k for k in info["missing_keys"] if k not in new and k != "cls.predictions.decoder.bias"}
    if absent:
        raise ModelError(f"{path.name} and {encoder} together lack {sorted(absent)}; they do not belong together")
    refuse_unused(model, info["unexpected_keys"], str(encoder))
    _merge(model, new, scale)
    return model, AutoTokenizer.from_pretrained(encoder, trust_remote_code=False)


@torch.no_grad()
def _merge(model: Any, new: dict[str, torch.Tensor], scale: float) -> None:
    """Add B @ A to each adapted weight (Hu et al. 2021) and overwrite the rest."""
    parameters = dict(model.named_parameters())
    for name, tensor in new.items():
        if name.endswith("lora_A.weight"):
            stem = name.removesuffix("lora_A.weight")
            parameters[stem + "weight"] += scale * new[stem + "lora_B.weight"] @ tensor
        elif not name.endswith("lora_B.weight"):
            parameters[name].copy_(tensor)
