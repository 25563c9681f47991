"""Four ways to write down a matrix with zeros, each without loss; the smallest is taken.

    dense    every element
    bitmap   one bit an element, and the elements that are not zero (1/32 of a float32 matrix, plus what is left)
    csr      where each row starts, the column of each element that is not zero, and these elements
    2:4      where exactly 2 of every 4 consecutive elements are not zero: these, and 2 bits each for where they stand

"Zero" is the bit pattern of +0.0, so that -0.0 survives.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

_INTEGER = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_NARROW = 2**15
Array = npt.NDArray[Any]
Parts = dict[str, Array]


def pack(tensor: torch.Tensor) -> tuple[str, dict[str, torch.Tensor]]:
    """The smallest way to write a tensor down.

    Args:
        tensor: of any shape and of a number format with whole bytes, on any device.

    Returns:
        Its name, and the tensors to store.
    """
    plain = tensor.detach().cpu().contiguous()
    if plain.ndim < 2 or not plain.numel():
        return "dense", {"values": plain.clone()}
    bits = _bits(plain)
    sizes = _sizes(bits)
    kind = min(sizes, key=lambda name: sizes[name])  # of equal ones the first
    if kind == "dense":
        return kind, {"values": plain.clone()}
    matrix = bits.T if kind == "2:4 transposed" else bits
    parts = {"bitmap": _to_bitmap, "csr": _to_csr}.get(kind, _to_2_of_4)(matrix)
    values = torch.from_numpy(parts.pop("values")).view(plain.dtype)
    return kind, {"values": values} | {name: torch.from_numpy(part) for name, part in parts.items()}


def unpack(kind: str, parts: dict[str, torch.Tensor], shape: tuple[int, ...]) -> torch.Tensor:
    """The tensor that `pack` was given, bit for bit.

    Raises:
        ValueError: the parts contradict each other or the shape.
        KeyError: a part is missing, or there is no such kind.
    """
    values = parts["values"]
    if kind == "dense":
        return values.reshape(shape)
    integers = values.view(_INTEGER[values.element_size()]).numpy()
    rows, columns = _matrix_shape(shape)
    others = {name: part.numpy() for name, part in parts.items() if name != "values"}
    if kind == "2:4 transposed":
        matrix = np.ascontiguousarray(_from_2_of_4(integers, others, columns, rows).T)
    else:
        matrix = {"bitmap": _from_bitmap, "csr": _from_csr, "2:4": _from_2_of_4}[kind](integers, others, rows, columns)
    return torch.from_numpy(matrix).view(values.dtype).reshape(shape)


def _matrix_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    return int(np.prod(shape[:-1])), shape[-1]


def _bits(tensor: torch.Tensor) -> Array:
    """(rows, columns) integers with the bits of the elements."""
    if tensor.dtype == torch.bool:
        return tensor.view(torch.int8).reshape(_matrix_shape(tensor.shape)).numpy()
    return tensor.reshape(_matrix_shape(tensor.shape)).view(_INTEGER[tensor.element_size()]).numpy()


def _sizes(bits: Array) -> dict[str, int]:
    """Bytes by kind; of equal ones the first is taken: 2:4 before the bitmap, since sparse tensor cores read it."""
    rows, size, left = len(bits), bits.itemsize, int(np.count_nonzero(bits))
    column = 2 if bits.shape[1] <= _NARROW else 4
    sizes = {"dense": bits.nbytes}
    for name, matrix in (("2:4", bits), ("2:4 transposed", bits.T)):
        if _is_2_of_4(matrix):
            sizes[name] = bits.size // 2 * size + -(-bits.size // 8)
    sizes["bitmap"] = -(-bits.size // 8) + left * size
    sizes["csr"] = 4 * (rows + 1) + left * (size + column)
    return sizes


def _to_bitmap(bits: Array) -> Parts:
    return {"values": bits[bits != 0], "bitmap": np.packbits(bits != 0)}


def _from_bitmap(values: Array, parts: Parts, rows: int, columns: int) -> Array:
    where = np.unpackbits(parts["bitmap"], count=rows * columns).astype(bool)
    matrix = np.zeros(rows * columns, dtype=values.dtype)
    matrix[where] = values
    return matrix.reshape(rows, columns)


def _to_csr(bits: Array) -> Parts:
    row, column = np.nonzero(bits)
    starts = np.concatenate([[0], np.bincount(row, minlength=len(bits)).cumsum()])
    index = np.int16 if bits.shape[1] <= _NARROW else np.int32
    return {"values": bits[row, column], "columns": column.astype(index), "starts": starts.astype(np.int32)}


def _from_csr(values: Array, parts: Parts, rows: int, columns: int) -> Array:
    matrix = np.zeros((rows, columns), dtype=values.dtype)
    matrix[np.repeat(np.arange(rows), np.diff(parts["starts"])), parts["columns"]] = values
    return matrix


def _is_2_of_4(bits: Array) -> bool:
    if bits.shape[1] % 4:
        return False
    return bool((np.count_nonzero(bits.reshape(len(bits), -1, 4), axis=2) == 2).all())


def _to_2_of_4(bits: Array) -> Parts:
    groups = np.ascontiguousarray(bits).reshape(-1, 4)
    group, where = np.nonzero(groups)
    flat = np.pad(where.astype(np.uint8), (0, -where.size % 4)).reshape(-1, 4)
    indices = (flat << np.array([0, 2, 4, 6], dtype=np.uint8)).sum(1, dtype=np.uint8)
    return {"values": groups[group, where], "indices": indices}


def _from_2_of_4(values: Array, parts: Parts, rows: int, columns: int) -> Array:
    unpacked = (parts["indices"][:, None] >> np.array([0, 2, 4, 6], dtype=np.uint8)) & 3
    where = unpacked.reshape(-1)[: len(values)].reshape(-1, 2).astype(np.int64)
    groups = np.zeros((rows * columns // 4, 4), dtype=values.dtype)
    np.put_along_axis(groups, where, values.reshape(-1, 2), axis=1)
    return groups.reshape(rows, columns)
