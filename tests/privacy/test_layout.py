"""Layers behind operations that move rows: exact where the examples are outermost, and refused elsewhere."""

import pytest
import torch
from torch import nn

from auditkit.privacy.bookkeeping import BookKeeping
from auditkit.privacy.tape import UnsupportedModel

B, T, D = 4, 4, 6
X = torch.randn(B, T, D, generator=torch.Generator().manual_seed(0))


def expert_of_every_second_token(x):
    """8 of 16 tokens, a multiple of 4, yet not two of each example."""
    flat = x.reshape(-1, x.shape[-1])
    chosen = torch.cat([torch.arange(len(flat) // 4), torch.arange(len(flat) // 2, 3 * len(flat) // 4)])
    return flat[chosen]


def routed(x):
    flat = x.reshape(-1, x.shape[-1])
    return flat[torch.topk(flat[:, 0], len(flat) // 2).indices]


def placed(x):
    flat = x.reshape(-1, x.shape[-1])
    return torch.zeros_like(flat).index_add_(0, torch.arange(len(flat)).flip(0), flat)


def assigned(x):
    out = torch.zeros_like(x)
    out[torch.arange(len(x)).flip(0)] = x
    return out


MOVED = {
    "mixture of experts": expert_of_every_second_token,
    "router": routed,
    "index_select": lambda x: x.index_select(0, torch.arange(len(x)).flip(0)),
    "boolean mask": lambda x: x[:, :, 0].repeat(2, 1)[torch.arange(2 * len(x)) % 3 != 1][: len(x)],
    "time first": lambda x: x.transpose(0, 1),
    "time first, flattened": lambda x: x.transpose(0, 1).reshape(-1, x.shape[-1]),
    "time first, then tanh": lambda x: x.permute(1, 0, 2).tanh(),
    "transposed matrix": lambda x: x[:, :, 0].T,
    "reversed": lambda x: x.flip(0),
    "rolled": lambda x: x.roll(1, 0),
    "tiled": lambda x: x.repeat(2, 1, 1),
    "tiled by cat": lambda x: torch.cat([x, x]),
    "stacked in front": lambda x: torch.stack([x] * 4),
    "unsqueezed and expanded": lambda x: x[None].expand(4, *x.shape),
    "added up by index_add": placed,
    "assigned": assigned,
    "summed over the batch": lambda x: x.sum(0),
    "mean over the batch": lambda x: x.mean(dim=0),
    "einsum": lambda x: torch.einsum("btd->tbd", x),
    "gram matrix": lambda x: x[:, 0].T @ x[:, 0],
    "time first plus batch first": lambda x: x + x.transpose(0, 1),
    "chunks": lambda x: torch.cat(x.chunk(2, 0)[::-1]),
}
KEPT = {
    "heads": lambda x: x.view(len(x), T, 2, 3).permute(0, 2, 1, 3).reshape(len(x) * 2, T, 3).repeat(1, 1, 2),
    "time first and back": lambda x: x.transpose(0, 1).tanh().permute(1, 0, 2),
    "reversed twice": lambda x: x.flip(0).flip(0),
    "last token": lambda x: x[torch.arange(len(x)), torch.full((len(x),), 2)],
    "end of sequence": lambda x: x[torch.arange(T).expand(len(x), T) == 1].view(len(x), -1, D)[:, -1],
    "repeated rows": lambda x: x.repeat_interleave(3, 0),
    "first token": lambda x: x[:, 0],
    "flat": lambda x: x.reshape(-1, D),
    "sorted in time": lambda x: x.gather(1, x.argsort(1)),
    "joined in width": lambda x: torch.cat([x, x.flip(1)], 1),
    "einsum": lambda x: torch.einsum("btd,bsd->bts", x, x) @ x,
    "mean in time": lambda x: x.mean(1),
    "inserted": lambda x: torch.cat([x[:, :1], x], dim=1)[:, 1:],
}


class Behind(nn.Module):
    """A layer, the operation, a second layer, and one number for each example."""

    def __init__(self, move) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.move = nn.Linear(D, D), move
        with torch.no_grad():
            self.second = nn.Linear(move(X).shape[-1], 3)

    def forward(self, x):
        out = self.second(self.move(self.first(x)))
        if out.numel() % len(x):
            return out.tanh().sum().expand(len(x))
        return out.reshape(len(x), -1).tanh().sum(1)


@pytest.mark.parametrize("move", MOVED.values(), ids=MOVED)
def test_rows_that_are_no_longer_in_the_order_of_examples_are_refused_by_the_engine_alone(move):
    module = Behind(move)
    with (engine := BookKeeping(module, max_grad_norm=1.0)):
        losses = module(X)
        with pytest.raises(UnsupportedModel, match="is not batched in its first dimension"):
            engine.backward(losses)
    assert module.second.weight.grad is None


@pytest.mark.parametrize("move", KEPT.values(), ids=KEPT)
def test_rows_that_are_moved_and_still_or_again_in_order_are_exact(move, assert_exact):
    module = Behind(move)
    assert_exact(module, module, (X,), 1e-5)


def test_an_expert_that_happens_to_get_whole_examples_in_order_is_exact(assert_exact):
    module = Behind(lambda x: x.reshape(-1, D)[torch.arange(len(x) * T)])
    assert_exact(module, module, (X,), 1e-5)


def test_labels_and_masks_written_into_the_batch_change_nothing(assert_exact):
    def masked(x):
        out = x.clone()
        out[:, 1:3] = x[:, :2]
        out[x > 1] = 0.0
        return out

    module = Behind(masked)
    assert_exact(module, module, (X,), 1e-5)
