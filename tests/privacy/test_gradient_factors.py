import itertools

import pytest
import torch

from auditkit.privacy.gradient_factors import Dense, Outer, Rows, accumulate, combine
from auditkit.privacy.workspace import ALLOWANCE, Workspace

B, V, D = 3, 50, 40


def outer(positions):
    return Outer(torch.randn(B, positions, V, dtype=torch.float64), torch.randn(B, positions, D, dtype=torch.float64))


def rows(positions):
    return Rows(torch.randint(5, (B, positions)), torch.randn(B, positions, D, dtype=torch.float64))


def dense(positions):
    return Dense(torch.randn(B, V, D, dtype=torch.float64))


@pytest.mark.parametrize("kinds", list(itertools.combinations_with_replacement([outer, rows, dense], 2)))
@pytest.mark.parametrize("positions", [2, 60], ids=["ghost", "written out"])
def test_norms_and_sums_of_every_pair_of_uses(kinds, positions):
    torch.manual_seed(0)
    shape, weights = torch.Size((V, D)), torch.tensor([0.5, 0.0, 2.0], dtype=torch.float64)
    factors = [kind(positions) for kind in kinds]
    written = sum(factor.dense(shape) for factor in factors)
    kept = []
    for factor in factors:
        accumulate(kept, factor, shape, Workspace())
    squares, kept = combine(kept, shape)
    torch.testing.assert_close(squares, written.square().sum((1, 2)))
    total = sum(factor.weighted_sum(weights, shape) for factor in kept)
    torch.testing.assert_close(total, torch.tensordot(weights, written, 1))


def test_a_repeated_row_adds_up_before_it_is_squared():
    factor = Rows(torch.tensor([[7, 7]]), torch.tensor([[[1.0], [2.0]]]))
    squares, kept = combine([factor], torch.Size((50, 1)))
    assert squares.tolist() == [9.0]
    assert kept == [factor]


def test_half_precision_is_squared_in_float32():
    factor = Outer(torch.full((1, 1, 1), 300.0, dtype=torch.float16), torch.full((1, 1, 1), 300.0, dtype=torch.float16))
    assert combine([factor], torch.Size((1, 1)))[0].item() == pytest.approx(90000.0**2)


def test_written_out_gradients_share_an_allowance_and_their_buffers():
    shape, workspace = torch.Size((V, D)), Workspace()
    workspace.affords(ALLOWANCE - 4 * B * (V * D - 12 * (V + D)))  # leaves room for one of the next two
    kept = []
    for _ in range(2):
        accumulate(kept, outer(12), shape, workspace)  # between smaller and dearer: 2 T (p + d) > p d > T (p + d)
    assert [type(factor) for factor in kept] == [Dense, Outer]
    first = kept[0].gradients
    workspace.recycle()
    again = workspace.take(B, first, shape)
    assert again.data_ptr() == first.data_ptr()
    assert workspace.take(B, first, shape).data_ptr() != first.data_ptr()
