"""Outcomes of two kinds in whatever column they come: true/false, 0/1, 0.0/1.0, nullable, or of Arrow.

`~label` is "not" of true and false only: of 1 it is -2, which numpy takes for the last but one person.
"""

from __future__ import annotations

from numbers import Number
from typing import Any

import numpy as np
import numpy.typing as npt

from auditkit.errors import DataError

KINDS_OF_NUMBERS = "biuf"


def yes_no(values: Any, what: str) -> npt.NDArray[np.bool_]:
    """(n,) booleans.

    Args:
        values: (n,) true/false or 0/1 in any type.
        what: what errors call them.

    Raises:
        DataError: something else is among them, or nothing; says what stands first where.
    """
    given = np.asarray(values)
    if given.dtype == np.bool_:
        return given
    if given.dtype.kind in KINDS_OF_NUMBERS:
        known = (given == 0) | (given == 1)
    else:
        known = np.array([isinstance(v, Number | np.bool_) and v in (0, 1) for v in given], dtype=bool)
    if not known.all():
        row = int((~known).argmax())
        raise DataError(
            f"{what}: {int((~known).sum())} of {len(given)} are neither true nor false (first in row {row + 1}: "
            f"{given[row]}); expected true/false or 0/1 for everybody"
        )
    return (given == 1).astype(bool)
