"""Where a model keeps its attention heads and its feed-forward neurons, and how some of them are cut out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from auditkit.compression.layers import Layer


@dataclass(frozen=True, kw_only=True, eq=False)
class Layout:
    """How a family of models names the parts of a block whose width can change.

    Attributes:
        split: layers whose outputs belong to units.
        joined: the layer that reads them all.
        units: how many a block has.
        counts: attributes of the block that grow with the number of units.
        fused: how many maps stand one after the other in a split layer (GPT-2 keeps query, key and value in one).
        config: what a configuration calls the sizes, with their values.
    """

    split: tuple[str, ...]
    joined: str
    units: Callable[[Any], int]
    counts: tuple[str, ...] = ()
    fused: int = 1
    config: Callable[[Any], dict[str, int]] = lambda part: {}


def _feed_forward(split: tuple[str, ...], joined: str, *entries: str) -> Layout:
    def units(part: Any) -> int:
        width: int = _layer(part, joined).weight.shape[1]
        return width

    return Layout(split=split, joined=joined, units=units, config=lambda part: dict.fromkeys(entries, units(part)))


def _grouped_query(part: Any) -> dict[str, int]:
    query, key = (layer.out_features // part.head_dim for layer in (part.q_proj, part.k_proj))
    return {"num_attention_heads": query, "num_key_value_heads": key, "head_dim": part.head_dim}


ATTENTION = (
    Layout(  # BERT, RoBERTa, ELECTRA
        split=("self.query", "self.key", "self.value"),
        joined="output.dense",
        units=lambda part: part.self.num_attention_heads,
        counts=("self.num_attention_heads", "self.all_head_size"),
    ),
    Layout(  # ALBERT
        split=("query", "key", "value"),
        joined="dense",
        units=lambda part: part.num_attention_heads,
        counts=("num_attention_heads", "all_head_size"),
    ),
    Layout(  # DistilBERT
        split=("q_lin", "k_lin", "v_lin"), joined="out_lin", units=lambda part: part.n_heads, counts=("n_heads",)
    ),
    Layout(  # GPT-2
        split=("c_attn",),
        joined="c_proj",
        units=lambda part: part.num_heads,
        counts=("num_heads", "split_size"),
        fused=3,
    ),
    Layout(  # Llama, Qwen, Mistral
        split=("q_proj", "k_proj", "v_proj"),
        joined="o_proj",
        units=lambda part: part.k_proj.out_features // part.head_dim,
        config=_grouped_query,
    ),
    Layout(  # OPT, BART, Marian
        split=("q_proj", "k_proj", "v_proj"),
        joined="out_proj",
        units=lambda part: part.num_heads,
        counts=("num_heads",),
    ),
    Layout(split=("q", "k", "v"), joined="out", units=lambda part: part.heads, counts=("heads",)),  # char-GPT
)
FEED_FORWARD = (
    _feed_forward(("intermediate.dense",), "output.dense", "intermediate_size"),  # BERT, RoBERTa, ELECTRA, DeBERTa
    _feed_forward(("ffn",), "ffn_output", "intermediate_size"),  # ALBERT
    _feed_forward(("lin1",), "lin2", "hidden_dim"),  # DistilBERT
    _feed_forward(("c_fc",), "c_proj", "n_inner"),  # GPT-2
    _feed_forward(("gate_proj", "up_proj"), "down_proj", "intermediate_size"),  # Llama, Qwen, Mistral
    _feed_forward(("fc1",), "fc2", "ffn_dim", "encoder_ffn_dim", "decoder_ffn_dim"),  # OPT, BART, Marian
    _feed_forward(("dense_h_to_4h",), "dense_4h_to_h", "intermediate_size"),  # GPT-NeoX, BLOOM
    _feed_forward(("wi",), "wo", "d_ff"),  # T5
    _feed_forward(("wi_0", "wi_1"), "wo", "d_ff"),  # T5 with a gate
    _feed_forward(("feed_forward.0",), "feed_forward.2"),  # char-GPT
)


@dataclass(frozen=True, slots=True)
class Block:
    """One attention or feed-forward block of a network. Attributes: its name in it, the module, and its layout."""

    name: str
    part: Any
    layout: Layout

    @property
    def units(self) -> int:
        """Its key-value heads, or its neurons."""
        return self.layout.units(self.part)

    @property
    def split(self) -> list[Layer]:
        """Layers whose outputs belong to units."""
        return [_layer(self.part, name) for name in self.layout.split]

    @property
    def joined(self) -> Layer:
        """The layer that reads the units."""
        return _layer(self.part, self.layout.joined)

    def importance(self) -> torch.Tensor:
        """(units,): sum of the squares of all weights into and out of each."""
        total = self.joined.weight.double().square().sum(0).view(self.units, -1).sum(1)
        for layer in self.split:
            total = total + layer.weight.double().square().sum(1).view(self.layout.fused, self.units, -1).sum((0, 2))
        return total

    def most_important(self, ratio: float) -> list[int]:
        """The units that stay, in order, when the share `ratio` of the others goes; at least one."""
        keep = max(1, self.units - round(ratio * self.units))
        ranked = self.importance().sort(descending=True, stable=True).indices
        return sorted(ranked[:keep].tolist())

    def keep(self, units: Sequence[int]) -> None:
        """Cut all other units out of the layers."""
        before, where = self.units, torch.tensor(units, device=self.joined.weight.device)
        for layer in self.split:
            rows = torch.arange(len(layer.weight), device=where.device).view(self.layout.fused, before, -1)
            _take(layer, 0, rows[:, where].flatten())
        columns = torch.arange(self.joined.weight.shape[1], device=where.device).view(before, -1)
        _take(self.joined, 1, columns[where].flatten())
        for attribute in self.layout.counts:
            owner, _, name = attribute.rpartition(".")
            holder = self.part.get_submodule(owner)
            setattr(holder, name, getattr(holder, name) * len(units) // before)


def blocks(network: nn.Module, layouts: Iterable[Layout]) -> list[Block]:
    """All blocks of a network that have one of the layouts, in the order of the module."""
    found = ((name, part, layout) for name, part in network.named_modules() for layout in layouts)
    return [Block(name, part, layout) for name, part, layout in found if _fits(part, layout)]


def _layer(part: Any, name: str) -> Layer:
    found = part.get_submodule(name)
    return Layer(name, found, isinstance(found, Conv1D))


def _fits(part: nn.Module, layout: Layout) -> bool:
    """Whether a module has all these layers, of matching widths, and no parameters of its own that would be left."""
    try:
        layers = [_layer(part, name) for name in (*layout.split, layout.joined)]
    except AttributeError:
        return False
    if not all(isinstance(layer.part, nn.Linear | Conv1D) for layer in layers):
        return False
    widths_match = len(layers[0].weight) == layout.fused * layers[-1].weight.shape[1]
    return widths_match and not [*part.parameters(recurse=False)]


def _take(layer: Layer, dim: int, index: torch.Tensor) -> None:
    """Keep these outputs (dim 0) or inputs (dim 1) of a layer."""
    part = layer.part
    weight = layer.weight.index_select(dim, index)
    stored = (weight.T if layer.transposed else weight).contiguous()
    part.weight = nn.Parameter(stored, requires_grad=part.weight.requires_grad)
    if dim == 0 and part.bias is not None:
        part.bias = nn.Parameter(part.bias.detach()[index], requires_grad=part.bias.requires_grad)
    size = ("nf", "nx") if layer.transposed else ("out_features", "in_features")
    setattr(part, size[dim], len(index))
