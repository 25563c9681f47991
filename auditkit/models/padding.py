"""Which rows may share a batch, found by trying: padding must change no result.

Many modules honour an attention mask. Others have none (Fourier mixing, recurrence), find the last token of a text by
a padding id of their own, or refuse a batch that they cannot tell apart. Which is which is no matter of names: two
short rows are read alone and together, and what cannot be padded is read beside rows of its own length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import torch

from auditkit.errors import ModelError

NOISE = {torch.float32: 2e-5, torch.float64: 1e-6}
HALF_NOISE = 0.03
"""Of the largest number in an answer: a row alone and in a batch takes other kernels, which round otherwise."""
SAMPLE = "the old nurse said that she was tired"

Read = Callable[[Any], Sequence[torch.Tensor]]
"""Items of a batch (rows of token ids, or texts) -> the answer about each."""


class Company(Enum):
    """With which others a row is read correctly."""

    ANY = "rows of any length"
    EQUAL = "rows of its own length"
    ALONE = "no other row"


def found_by_trying(read: Read, trials: Sequence[Any], name: str) -> Company:
    """Read items of different length, and two of the same, alone and together.

    Args:
        read: answers about a batch.
        trials: items of growing length; the last two are of the same.
        name: what errors call the model.

    Raises:
        ModelError: the module cannot even read one item.
    """
    try:
        alone = [answer for item in trials for answer in read([item])]
    except _REFUSALS as e:
        raise ModelError(
            f"{name}: the module cannot read a short text ({type(e).__name__}: {_line(e)}); expected one that reads "
            "texts of any length, and a tokenizer that writes what it looks for, such as an end token"
        ) from e
    if _same(read, trials, alone):
        return Company.ANY
    return Company.EQUAL if _same(read, trials[-2:], alone[-2:]) else Company.ALONE


_REFUSALS = (ValueError, IndexError, TypeError, RuntimeError, NotImplementedError, AttributeError, KeyError)
"""What modules raise on a batch that they cannot read."""


def _same(read: Read, items: Sequence[Any], alone: Sequence[torch.Tensor]) -> bool:
    try:
        together = read(list(items))
    except _REFUSALS:
        return False
    return all(near(a, b) for a, b in zip(together, alone, strict=True))


def near(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two answers about one text differ by no more than rounding."""
    largest = float(b.abs().max())
    return bool((a - b).abs().max() <= NOISE.get(a.dtype, HALF_NOISE) * largest)


def _line(e: Exception) -> str:
    return (str(e).splitlines() or [""])[0][:120]


def trial_rows(ids: Sequence[int], most: int) -> list[list[int]]:
    """Rows of growing length, the last two of the same, which begin and end as `ids` do.

    Args:
        ids: of a text, special tokens included.
        most: tokens that a row may have.
    """
    row = list(ids) or [0]
    middle = [token for token in row[1:-1] or row[:1] for _ in range(2)][: max(1, min(14, most - 2))]
    last = row[-1:] if len(row) > 1 else []
    return [[*row[:1], *part, *last] for part in (middle[:1], middle[:5], middle, middle[::-1])]
