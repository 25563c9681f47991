"""Structured pruning: whole attention heads and feed-forward neurons are cut out, and the module is really smaller.

The result computes what the full module computes with the same heads and neurons silenced. With grouped-query attention
a unit is a key-value head together with all the query heads that share it.

Where the configuration can say the new sizes (feed-forward widths; the heads of Llama-like models), it does, and
`save_pretrained` / `from_pretrained` work as ever. Elsewhere the configuration stays that of the full model, plain
`from_pretrained` refuses the files, and `auditkit.compression.sparse` stores and loads them.

Sources: Michel et al. (2019), "Are Sixteen Heads Really Better than One?"; Li et al. (2017), "Pruning Filters for
Efficient ConvNets" (importance by the size of a unit's weights).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from huggingface_hub.errors import StrictDataclassError

from auditkit.compression.block_layouts import ATTENTION, FEED_FORWARD, Block, Layout, blocks
from auditkit.compression.layers import linear_layers
from auditkit.compression.pruning import refuse_ratio
from auditkit.errors import InputError, ModelError
from auditkit.models.sentence_encoder import SentenceEncoder
from auditkit.models.weights import parameter_count


@dataclass(frozen=True, kw_only=True)
class _Structured:
    ratio: float
    layers: Sequence[str] = ()

    def __post_init__(self) -> None:
        refuse_ratio(self.ratio)

    @property
    def label(self) -> str:
        """What it is in a few words."""
        return f"{type(self).__name__.lower()} {100 * self.ratio:g} %"


@dataclass(frozen=True, kw_only=True)
class Heads(_Structured):
    """Cut the attention heads with the smallest weights out of every layer.

    Attributes:
        ratio: share of each layer's heads (key-value groups) to remove, in [0, 1); at least one stays.
        layers: the attention blocks that hold one of these; see `linear_layers`.
    """

    def apply(self, model: Any, rng: np.random.Generator) -> dict[str, Any]:
        """See `auditkit.compression.spec.Step.apply`."""
        return _cut(model, self, ATTENTION, "heads")


@dataclass(frozen=True, kw_only=True)
class Neurons(_Structured):
    """Cut the feed-forward neurons with the smallest weights out of every layer.

    Attributes:
        ratio: share of each layer's neurons to remove, in [0, 1); at least one stays.
        layers: the feed-forward blocks that hold one of these; see `linear_layers`.
    """

    def apply(self, model: Any, rng: np.random.Generator) -> dict[str, Any]:
        """See `auditkit.compression.spec.Step.apply`."""
        return _cut(model, self, FEED_FORWARD, "neurons")


def network_of(model: Any) -> Any:
    """The module that has a configuration: of a sentence encoder, the transformer inside it."""
    return model.module[0].model if isinstance(model, SentenceEncoder) else model.module


def narrow(model: Any, sizes: Mapping[str, int]) -> None:
    """Make blocks as narrow as those of another model, keeping their first units, for its weights to be put in.

    Args:
        model: an adapter of the same architecture, changed in place.
        sizes: what `narrowed` of the other one's network says: units by block.

    Raises:
        ModelError: the model lacks a block, or has one that is narrower already.
    """
    network = network_of(model)
    _shrink(network, sizes)
    _remember(network, sizes)


def _cut(model: Any, step: _Structured, layouts: Iterable[Layout], units: str) -> dict[str, Any]:
    network = network_of(model)
    chosen = _chosen(model, blocks(network, layouts), step.layers, units)
    before, parameters = sum(block.units for block in chosen), parameter_count(model.module)
    kept = {block.name: block.most_important(step.ratio) for block in chosen}
    for block in chosen:
        if len(kept[block.name]) < block.units:
            block.keep(kept[block.name])
    after = sum(block.units for block in chosen)
    expressed = after == before or _remember(network, {block.name: block.units for block in chosen})
    return {
        f"{units}_before": before,
        f"{units}_after": after,
        "parameters_before": parameters,
        "parameters_after": parameter_count(model.module),
        "reload_with": "from_pretrained" if expressed else "auditkit.compression.sparse.load_sparse",
    }


def _chosen(model: Any, found: list[Block], names: Sequence[str], units: str) -> list[Block]:
    """The blocks that hold one of the layers named."""
    wanted = {id(layer.part) for layer in linear_layers(model.module, names).values()}
    chosen = [b for b in found if wanted & {id(layer.part) for layer in (*b.split, b.joined)}]
    if not chosen:
        where = f" in {', '.join(names)}" if names else ""
        raise InputError(
            f"{type(network_of(model)).__name__}: no {units} of a known layout{where}. Heads can be cut out of BERT, "
            "ALBERT, DistilBERT, GPT-2, Llama, OPT, BART and their like and of the char-GPT, neurons also out of T5, "
            "DeBERTa, GPT-NeoX and BLOOM; for others there is unstructured pruning"
        )
    return chosen


def _shrink(network: Any, sizes: Mapping[str, int]) -> None:
    found = {block.name: block for block in blocks(network, (*ATTENTION, *FEED_FORWARD))}
    for name, size in sizes.items():
        if name not in found or found[name].units < size:
            has = f"it has {found[name].units}" if name in found else "there is no such block"
            raise ModelError(f"{type(network).__name__}: {name} should have {size} units, but {has}; another model?")
        if found[name].units > size:
            found[name].keep(range(size))


def _remember(network: Any, sizes: Mapping[str, int]) -> bool:
    """Make a network built anew, for the null of a bias score, as narrow as this one.

    Returns:
        Whether the configuration says it all, so that plain `from_pretrained` reloads the model.
    """
    network.narrowed = {**getattr(network, "narrowed", {}), **sizes}
    original = getattr(type(network), "full_size", type(network))
    entries: dict[str, int] = {}
    for block in blocks(network, (*ATTENTION, *FEED_FORWARD)):
        entries |= block.layout.config(block.part)
    config = copy.deepcopy(network.config)
    _write(config, entries)
    if not entries or not _builds(original, config, network):
        network.__class__ = _narrowed_class(original, dict(network.narrowed))
        return False
    for config in {id(c): c for c in (getattr(part, "config", None) for part in network.modules()) if c}.values():
        _write(config, entries)  # an encoder and a decoder have their own
    network.__class__ = original
    return True


def _write(config: Any, entries: Mapping[str, int]) -> None:
    for entry, value in entries.items():
        if hasattr(config, entry) or entry == "head_dim":  # Qwen2 reads it, but leaves it out
            setattr(config, entry, value)


def _builds(original: Any, config: Any, network: Any) -> bool:
    """Whether `config`, as loading would read it, makes an `original` with the very shapes of `network`."""
    try:
        config = type(config).from_dict(config.to_dict())
        with torch.device("meta"):
            fresh = original(config)
    except (ValueError, StrictDataclassError):
        return False
    shapes = [{name: t.shape for name, t in net.state_dict().items()} for net in (fresh, network)]
    return bool(shapes[0] == shapes[1])


def _narrowed_class(original: Any, sizes: dict[str, int]) -> Any:
    """`original`, but each new instance is as narrow as `sizes` say: `randomized` builds type(module)(config)."""

    def build(self: Any, config: Any, *options: Any, **named: Any) -> None:
        original.__init__(self, config, *options, **named)
        _shrink(self, sizes)
        self.narrowed = dict(sizes)

    members = {"__init__": build, "__module__": original.__module__, "full_size": original}
    return type(original.__name__, (original,), members)
