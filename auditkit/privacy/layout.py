"""Where in a tensor each example is, once an operation has moved rows: routed to experts, time first, reversed.

A tensor of the batch has its examples outermost: of n rows the first n / B are those of example 0, and so on. That a
leading dimension is a multiple of B does not say so, least of all where tokens are picked: a mixture of experts may
pick 6 of 16. An operation that may move rows is therefore done a second time, on numbers that say whose each row is;
mostly they are an expanded view, which costs nothing. What was moved stays marked until it is moved back.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch

MOVING = {
    *("transpose", "permute", "swapaxes", "swapdims", "movedim", "moveaxis", "t", "adjoint", "unsqueeze"),
    *("getitem", "select", "narrow", "index_select", "masked_select", "gather", "take_along_dim", "flip", "roll"),
    *("repeat", "tile", "repeat_interleave", "chunk", "split", "tensor_split", "unbind", "squeeze", "expand"),
    *("reshape", "view", "flatten", "unflatten", "ravel", "fliplr", "flipud", "rot90", "cat", "concat", "stack"),
    *("broadcast_to", "expand_as", "view_as", "reshape_as", "vstack", "unfold"),
}
_REGROUPING = {"reshape", "view", "flatten", "unflatten", "ravel", "view_as", "reshape_as"}
_VIEWS = {"transpose", "permute", "swapaxes", "swapdims", "movedim", "moveaxis", "unsqueeze", "squeeze", "expand"}
_PLACING = {"index_add", "index_copy", "index_put", "scatter", "scatter_add", "scatter_reduce", "index_reduce"}
_REDUCING = {"sum", "mean", "max", "min", "amax", "amin", "prod", "logsumexp", "std", "var", "norm", "median"}
_TRANSPOSED = {torch.Tensor.T.__get__, torch.Tensor.mT.__get__, torch.Tensor.H.__get__, torch.Tensor.mH.__get__}
_DIM = {
    **dict.fromkeys(("gather", "index_select", "narrow", "select", "unbind", "flip", "unfold", "cat", "concat"), 1),
    **dict.fromkeys(("stack", *_REDUCING, *_PLACING), 1),
    **dict.fromkeys(("roll", "take_along_dim", "repeat_interleave", "chunk", "split", "tensor_split"), 2),
}
"""Which argument says along which dimension; along another than the first, no rows are moved."""

Owners: TypeAlias = torch.Tensor | None
"""Whose each number is, in the shape of the tensor; None where that is lost."""


def is_moved(tensor: Any) -> bool:
    """Whether examples are not outermost, or nobody knows where they are."""
    return hasattr(tensor, "_auditkit_owners")


def follow(batch: int, name: str, func: Any, call: tuple[Any, Any], operands: list[Any], results: list[Any]) -> None:
    """Mark the results of a call on tensors of a batch where it has moved their rows.

    Args:
        batch: B, the number of examples.
        name: of the function, without underscores.
        func: the function, which is called again.
        call: its arguments.
        operands: the tensors of the batch among these.
        results: the tensors that it returned or changed.
    """
    results = [r for r in results if r.ndim]
    if batch < 2 or not results or not operands:
        return
    args, kwargs = call
    some_are_moved = any(map(is_moved, operands))
    if not some_are_moved and _keeps_rows(batch, name, func, args, kwargs, operands, results):
        return
    if name in MOVING or func in _TRANSPOSED:
        found = _moved_alike(batch, func, args, kwargs, len(results))
    elif not some_are_moved or name in _PLACING or name in ("setitem", "einsum"):
        found = [None] * len(results)
    else:
        found = [_carried(batch, operands, result) for result in results]
    for result, owners in zip(results, found, strict=True):
        _mark(batch, result, owners)


def _keeps_rows(
    batch: int, name: str, func: Any, args: Any, kwargs: Any, operands: list[Any], results: list[Any]
) -> bool:
    """Whether a call on tensors of which none is moved surely moves none."""
    if name in _REGROUPING:  # row by row, as they lie in memory
        return all(len(r) % batch == 0 for r in results)
    if name in _VIEWS:
        return all(_begins_alike(args[0], r) for r in results)
    if name == "getitem":
        return _takes_all(args[1], args[0].ndim)
    if name == "setitem":
        return _takes_all(args[1], args[0].ndim) or args[2] is not operands[-1]
    if name == "einsum":
        return _keeps_first_letter(args)
    if name in _DIM:
        dim = kwargs.get("dim", kwargs.get("dims", args[_DIM[name]] if len(args) > _DIM[name] else _default(name)))
        ndim = max(t.ndim for t in operands) + (name == "stack")
        return dim is not None and not {0, -ndim} & set(dim if isinstance(dim, list | tuple) else [dim])
    if name in MOVING or name in _PLACING or func in _TRANSPOSED:
        return False
    return all(any(t.ndim and len(t) == len(r) for t in operands) for r in results)


def _begins_alike(tensor: torch.Tensor, view: torch.Tensor) -> bool:
    """Whether a view runs through the first dimension as the tensor does; no two others run alike."""
    if not tensor.ndim or not tensor.stride(0):
        return False
    where = (tensor.data_ptr(), len(tensor), tensor.stride(0))
    return where == (view.data_ptr(), len(view), view.stride(0))


def _default(name: str) -> int | None:
    return None if name in {*_REDUCING, "roll", "take_along_dim", "repeat_interleave"} else 0


def _takes_all(index: Any, ndim: int) -> bool:
    """Whether an index leaves the first dimension alone."""
    parts = index if isinstance(index, tuple) else (index,)
    if not parts:
        return True
    if parts[0] is Ellipsis:
        return len(parts) - 1 < ndim and not any(isinstance(p, torch.Tensor) for p in parts)
    return isinstance(parts[0], slice) and parts[0] == slice(None)


def _keeps_first_letter(args: Any) -> bool:
    if not isinstance(args[0], str) or "->" not in args[0]:
        return False
    inputs, output = args[0].replace(" ", "").split("->")
    return all(part[:1] == output[:1] for part in inputs.split(",")[:1])


def _moved_alike(batch: int, func: Any, args: Any, kwargs: Any, results: int) -> list[Owners]:
    """The call on the owners of its first operand, or of those in its list."""
    try:
        first = args[0]
        whose = [_owners(batch, t) for t in first] if isinstance(first, list | tuple) else _owners(batch, first)
        found = func(type(first)(whose) if isinstance(whose, list) else whose, *args[1:], **kwargs)
    except (TypeError, ValueError, RuntimeError, IndexError):
        return [None] * results
    found = [found] if isinstance(found, torch.Tensor) else [t for t in found if isinstance(t, torch.Tensor)]
    return found if len(found) == results else [None] * results


def _owners(batch: int, tensor: torch.Tensor) -> torch.Tensor:
    known = getattr(tensor, "_auditkit_owners", _rows(batch, tensor) if not is_moved(tensor) else None)
    if known is None:
        raise ValueError("lost")
    return known.detach()


def _rows(batch: int, tensor: torch.Tensor) -> torch.Tensor | None:
    """The owners of a tensor whose examples are outermost, in no more memory than one number a row."""
    if not tensor.ndim or len(tensor) % batch:
        return None
    rows = _in_order(batch, len(tensor), tensor.device)
    return rows.reshape(-1, *[1] * (tensor.ndim - 1)).expand(tensor.shape)


def _in_order(batch: int, rows: int, device: torch.device) -> torch.Tensor:
    return torch.arange(batch, device=device, dtype=torch.int32).repeat_interleave(rows // batch)


def _carried(batch: int, operands: list[Any], result: torch.Tensor) -> Owners:
    """The owners of the operands with rows for the result, where all of these have the same ones."""
    with_rows = [t for t in operands if t.ndim == result.ndim and (len(t) > 1 or t.shape == result.shape)]
    if any(t.shape != result.shape for t in with_rows if is_moved(t)) or not with_rows:
        return None
    if not any(map(is_moved, with_rows)):
        return _rows(batch, result) if any(len(t) == len(result) for t in with_rows) else None
    if not all(map(is_moved, with_rows)):
        return None
    first, *rest = (t._auditkit_owners for t in with_rows)
    same = first is not None and all(o is first or (o is not None and torch.equal(o, first)) for o in rest)
    return first if same else None


def _mark(batch: int, tensor: torch.Tensor, owners: Owners) -> None:
    if owners is None or not _outermost(batch, owners):
        tensor._auditkit_owners = owners
    elif is_moved(tensor):
        del tensor._auditkit_owners


def _outermost(batch: int, owners: torch.Tensor) -> bool:
    if len(owners) % batch:
        return False
    by_row = owners
    while by_row.ndim > 1 and by_row.stride(-1) == 0:
        by_row = by_row[..., 0]
    expected = _in_order(batch, len(owners), owners.device).reshape(-1, *[1] * (by_row.ndim - 1))
    return bool((by_row == expected).all())
