"""The network of the char-GPT: one transformer whose configuration spans the textbook original and a small GPT.

After Vaswani et al. (2017), "Attention is all you need"; the modern preset follows the layout of GPT-2 (Radford et
al., 2019) at a size that trains on a laptop's CPU.
Shapes: B texts, T characters, H heads, D hidden, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from auditkit.errors import ModelError

ALPHABET = "abcdefghijklmnopqrstuvwxyz "
"""The 27 symbols of the original char-GPT."""


@dataclass(frozen=True, kw_only=True)
class CharGPTConfig:
    """What a char-GPT is made of.

    Attributes:
        vocabulary: the symbols, each once; their order gives the token ids.
        hidden: width of the residual stream (D).
        layers: number of transformer blocks.
        heads: attention heads per block; must divide `hidden`.
        context: longest input, in characters, that the model is trained on.
        causal: whether a position sees only itself and earlier ones. Without this the model sees the future.
        positions: whether learned position embeddings are added; without them the order of the input is invisible.
        scaled: whether attention scores are divided by the square root of the head's width.
        pre_norm: LayerNorm before each sublayer and after the last block (GPT-2), or after each residual sum (2017).
        ff_multiple: width of the feed-forward layer, in multiples of `hidden`.
        dropout: probability of dropping a unit after each sublayer and after the embedding, in training.

    The output layer has its own weights: with so few symbols, tying it to the embedding would save about 1 %.

    Raises:
        ModelError: a value that no network can be built from.
    """

    vocabulary: str
    hidden: int
    layers: int
    heads: int
    context: int
    causal: bool
    positions: bool
    scaled: bool
    pre_norm: bool
    ff_multiple: int = 4
    dropout: float = 0.0

    def __post_init__(self) -> None:
        sizes = (self.hidden, self.layers, self.heads, self.context, self.ff_multiple)
        problems = [
            (not self.vocabulary, "an empty vocabulary; give at least one symbol"),
            (len(set(self.vocabulary)) < len(self.vocabulary), "a vocabulary with repeated symbols; list each once"),
            (min(sizes) < 1, "a size below 1; hidden, layers, heads, context and ff_multiple are positive"),
            (
                self.heads > 0 and self.hidden % self.heads > 0,
                f"hidden {self.hidden}, not a multiple of {self.heads} heads",
            ),
            (not 0 <= self.dropout < 1, f"dropout {self.dropout}; expected a probability in [0, 1)"),
        ]
        found = [text for wrong, text in problems if wrong]
        if found:
            raise ModelError(f"char-GPT with {'; and '.join(found)}")

    @classmethod
    def original(cls) -> CharGPTConfig:
        """The textbook model: one block, one head, no scaling, no causal mask, no positions.

        Known flaw, kept on purpose: its targets are its inputs shifted by one, and without a mask each position sees
        the whole input, which holds the answers to all positions but the last. Without positions it cannot tell in
        which order they stand, so the best it can do on unseen sequences of 5 is to name one of the 3 other
        characters: accuracy 1/3, 1/3, 1/3, 0 by position. A model that cannot look ahead gets at most 1/26, 1/25,
        1/24, 1/23. Whatever exceeds that is leakage on the first three positions, or memorised.
        """
        return cls(
            vocabulary=ALPHABET,
            hidden=128,
            layers=1,
            heads=1,
            context=4,
            causal=False,
            positions=False,
            scaled=False,
            pre_norm=False,
        )

    @classmethod
    def modern(cls, vocabulary: str, *, dropout: float = 0.0) -> CharGPTConfig:
        """A small GPT: causal, 4 blocks, 4 heads, learned positions, scaled, pre-norm; 0.73 M parameters."""
        return cls(
            vocabulary=vocabulary,
            hidden=120,
            layers=4,
            heads=4,
            context=128,
            causal=True,
            positions=True,
            scaled=True,
            pre_norm=True,
            dropout=dropout,
        )


class SelfAttention(nn.Module):
    """Multi-head self-attention with separate query, key, value and output layers."""

    def __init__(self, config: CharGPTConfig) -> None:
        super().__init__()
        self.heads, self.causal = config.heads, config.causal
        self.scale = (config.hidden // config.heads) ** -0.5 if config.scaled else 1.0
        self.q, self.k, self.v, self.out = (nn.Linear(config.hidden, config.hidden) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, D) -> (B, T, D)."""
        q, k, v = (self._split(layer(x)) for layer in (self.q, self.k, self.v))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal, scale=self.scale)  # (B, H, T, D/H)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, D) -> (B, H, T, D/H)."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


class Block(nn.Module):
    """Attention, then a feed-forward network, each with a residual connection and a LayerNorm."""

    def __init__(self, config: CharGPTConfig) -> None:
        super().__init__()
        width = config.ff_multiple * config.hidden
        self.pre_norm = config.pre_norm
        self.attention = SelfAttention(config)
        self.attention_norm = nn.LayerNorm(config.hidden)
        self.feed_forward = nn.Sequential(nn.Linear(config.hidden, width), nn.GELU(), nn.Linear(width, config.hidden))
        self.feed_forward_norm = nn.LayerNorm(config.hidden)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, D) -> (B, T, D)."""
        if self.pre_norm:
            x = x + self.dropout(self.attention(self.attention_norm(x)))
            return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        x = self.attention_norm(x + self.dropout(self.attention(x)))
        return self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))


class CharTransformer(nn.Module):
    """Token ids in, logits over the vocabulary out."""

    def __init__(self, config: CharGPTConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(len(config.vocabulary), config.hidden)
        self.positions = nn.Embedding(config.context, config.hidden) if config.positions else None
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.hidden) if config.pre_norm else nn.Identity()
        self.head = nn.Linear(config.hidden, len(config.vocabulary))
        if config.pre_norm:
            self.apply(_initialise_as_gpt2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """(B, T) ids -> (B, T, V) logits: the scores of the character that follows each position.

        Raises:
            ValueError: T is longer than the position table.
        """
        x = self.tokens(ids)
        if self.positions is not None:
            if ids.shape[1] > self.config.context:
                raise ValueError(
                    f"{ids.shape[1]} characters in, but the context is {self.config.context}; cut the input"
                )
            x = x + self.positions.weight[: ids.shape[1]]
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def _initialise_as_gpt2(layer: Any) -> None:
    """Normal(0, 0.02) weights and zero biases: PyTorch's unit-variance embeddings would drown a pre-norm stream."""
    if isinstance(layer, nn.Linear | nn.Embedding):
        nn.init.normal_(layer.weight, std=0.02)
    if isinstance(layer, nn.Linear):
        nn.init.zeros_(layer.bias)
