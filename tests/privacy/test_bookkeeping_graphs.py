"""Exactness for module graphs that nobody thought of: random stacks of uses, with parameters shared between them."""

import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from transformers.pytorch_utils import Conv1D

from auditkit.privacy.losses import token_loss

VOCABULARY, WIDTH = 7, 4


class Graph(nn.Module):
    """A residual stream of `steps`; a step that recurs reuses its parameters, all matrices are one shared pool."""

    def __init__(self, steps: list[str], frozen: set[str], seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.steps = steps
        self.tokens = nn.Embedding(VOCABULARY, WIDTH, padding_idx=0)
        self.positions = nn.Embedding(12, WIDTH)
        self.bias_table = nn.Embedding(12, 1)
        self.linear, self.conv1d, self.narrow = nn.Linear(WIDTH, WIDTH), Conv1D(WIDTH, WIDTH), nn.Linear(WIDTH, 2)
        self.layer_norm, self.rms_norm = nn.LayerNorm(WIDTH), nn.RMSNorm(WIDTH)
        self.scale, self.first = nn.Parameter(torch.rand(WIDTH)), nn.Parameter(torch.rand(1, 1, WIDTH))
        for name, p in self.named_parameters():
            p.data = torch.randn(p.shape, dtype=torch.float64)
            p.requires_grad_(name.split(".")[0] not in frozen)

    def forward(self, ids):
        x = self.tokens(ids)
        for step in self.steps:
            x = x + torch.tanh(getattr(self, f"do_{step}")(x))
        return F.linear(x, self.tokens.weight)

    def do_linear(self, x):
        return self.linear(x)

    def do_conv1d(self, x):
        return self.conv1d(x)

    def do_flattened(self, x):
        return self.linear(x.reshape(-1, WIDTH)).view_as(x)

    def do_extra_dimension(self, x):
        return self.linear(torch.stack([x, x * x], dim=2)).mean(2)

    def do_transposed_weight(self, x):
        return x @ self.linear.weight.T

    def do_product_of_weights(self, x):
        return x @ (self.narrow.weight.T @ self.narrow.weight)

    def do_down_and_up(self, x):
        return self.narrow(x) @ self.narrow.weight

    def do_layer_norm(self, x):
        return self.layer_norm(x)

    def do_rms_norm(self, x):
        return self.rms_norm(x)

    def do_scale(self, x):
        return self.scale * x - self.linear.bias

    def do_in_place_shift(self, x):
        y = x * 2
        y += self.scale
        return y

    def do_position_slice(self, x):
        return x + self.positions.weight[: x.shape[1]]

    def do_position_lookup(self, x):
        return x * self.positions(torch.arange(x.shape[1])[None])

    def do_expanded_lookup(self, x):
        return x * self.positions(torch.zeros(1, 1, dtype=torch.long).expand(x.shape[:2]))

    def do_relative_bias(self, x):
        t = torch.arange(x.shape[1])
        bias = self.bias_table(t[:, None].sub(t).abs()).permute(2, 0, 1)  # (1, T, T)
        return torch.softmax(x @ x.mT + bias, -1) @ x

    def do_attention_mask(self, x):
        t = torch.arange(x.shape[1])
        bias = self.bias_table(t[:, None].sub(t).abs())[..., 0]
        return F.scaled_dot_product_attention(x[:, None], x[:, None], x[:, None], attn_mask=bias)[:, 0]

    def do_first_token(self, x):
        return torch.cat([self.first.expand(len(x), -1, -1), x], dim=1).cumsum(1)[:, 1:]


STEPS = [name.removeprefix("do_") for name in dir(Graph) if name.startswith("do_")]
PARTS = ["tokens", "positions", "bias_table", "linear", "conv1d", "narrow", "layer_norm", "rms_norm", "scale", "first"]


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    steps=st.lists(st.sampled_from(STEPS), min_size=1, max_size=6),
    frozen=st.sets(st.sampled_from(PARTS), max_size=5),
    examples=st.integers(1, 5),
    tokens=st.integers(1, 9),
    seed=st.integers(0, 99),
    mode=st.sampled_from(["book_keeping", "ghost"]),
)
@example(steps=STEPS, frozen=set(), examples=4, tokens=4, seed=0, mode="ghost")
@example(steps=STEPS, frozen={"tokens"}, examples=1, tokens=9, seed=1, mode="book_keeping")
def test_any_graph_of_known_uses_is_exact(steps, frozen, examples, tokens, seed, mode, assert_exact):
    module = Graph(steps, frozen, seed)
    ids = torch.randint(VOCABULARY, (examples, tokens))
    labels = ids.flip(1).masked_fill(ids == 1, -100)
    loss = token_loss(module(ids), labels)
    if not (loss.requires_grad and (labels >= 0).any(1).all()):
        return  # nothing to train, or an example without a counted token, whose gradient is zero
    assert_exact(module, lambda ids, labels: token_loss(module(ids), labels), (ids, labels), 1e-9, mode)
