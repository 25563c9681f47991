"""Canonical JSON: the one way to write a value, so that its hash changes exactly when a value does.

The form is that of RFC 8785 (JSON Canonicalization Scheme): keys in the order of their UTF-16 code units, no white
space, strings as short as JSON allows, and numbers as ECMAScript prints a double: the fewest digits that read back as
the same double, plain from 1e-6 to 1e21, `1` and `1.0` alike.

One rule goes beyond it, because RFC 8785 reads every number as a double: a number that a double cannot hold as it was
written (an integer beyond 2**53, or digits past the ones a double needs) keeps all of its digits. A changed digit is
then a change even where a double would round it away. A report as auditkit writes it has no such number, save a seed.
And half of a surrogate pair, which RFC 8785 refuses but a model may write, stays the escape that JSON has for it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NoReturn

from auditkit.errors import ReportError

PLAIN_ABOVE, PLAIN_BELOW = -6, 21
"""Where the decimal point may stand, counted from the first digit, in a number without an exponent."""

DEEPEST = 100
"""How deep a value may be nested: what reads on walks it by recursion."""

LONGEST = 1_000
"""How many digits an integer may have; a double ends at 309."""

UNREADABLE = (OSError, ValueError, RecursionError, InvalidOperation)
"""What reading a file and parsing its text raises where that fails."""


def read(path: Path) -> Any:
    """The JSON value in a file, without losing a digit.

    Raises:
        ReportError: no such file, not JSON, a key given twice (readers disagree on which one counts), NaN, or nested
            deeper than any report is.
    """
    try:
        return parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise ReportError(f"no file {path}") from e
    except UNREADABLE as e:
        raise ReportError(f"{path} is not readable JSON: {e or type(e).__name__}") from e


def parse(text: str) -> Any:
    """A JSON text as Python values; a number that a double cannot hold as written is an int or a Decimal.

    Raises:
        ValueError: not JSON, a key given twice, NaN or an infinity, or nested more than `DEEPEST` deep.
        RecursionError: nested so deep that it cannot be read at all.
    """
    hooks: dict[str, Any] = {"parse_constant": _refuse_constant, "object_pairs_hook": _unique}
    value = json.loads(text, parse_int=_integer, parse_float=_exact, **hooks)
    _refuse_depth(value)
    return value


def canonical(value: Any) -> bytes:
    """`value` in canonical form, UTF-8.

    Raises:
        ValueError: NaN or an infinity.
        TypeError: not a JSON value.
    """
    return _write(value).encode(errors="backslashreplace")


def sha256(value: Any) -> str:
    """Hash of the canonical form, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


def _integer(literal: str) -> int:
    if len(literal) > LONGEST:
        raise ValueError(f"an integer of {len(literal)} digits")
    return int(literal)


def _exact(literal: str) -> float | Decimal:
    value, written = float(literal), Decimal(literal)
    return value if math.isfinite(value) and Decimal(repr(value)) == written else written


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _refuse_depth(value: Any) -> None:
    """Level by level, since a recursion would break off where this is to say why."""
    level, depth = [value], 0
    while level := [inner for outer in level for inner in _entries(outer)]:
        depth += 1
        if depth > DEEPEST:
            raise ValueError(f"nested more than {DEEPEST} deep")


def _entries(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} is given twice")
        found[key] = value
    return found


def _write(value: Any) -> str:
    if value is None or isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int | float | Decimal):
        return _number(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_write, value))}]"
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
        return f"{{{','.join(f'{_write(key)}:{_write(value[key])}' for key in keys)}}}"
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def _number(value: float | Decimal) -> str:
    """As ECMAScript's Number::toString lays out a number."""
    if not math.isfinite(value) and not isinstance(value, Decimal):
        raise ValueError(f"{value} is not a JSON number")
    if isinstance(value, int):
        return str(value)
    sign, digit_tuple, exponent = Decimal(repr(value) if isinstance(value, float) else value).as_tuple()
    digits = "".join(map(str, digit_tuple))
    point = len(digits) + int(exponent)
    digits = digits.rstrip("0")
    if not digits:
        return "0"
    return "-" * sign + _laid_out(digits, point)


def _laid_out(digits: str, point: int) -> str:
    """The number 0.DIGITS times 10 to the power of `point`."""
    if len(digits) <= point <= PLAIN_BELOW:
        return digits.ljust(point, "0")
    if 0 < point <= PLAIN_BELOW:
        return f"{digits[:point]}.{digits[point:]}"
    if PLAIN_ABOVE < point <= 0:
        return "0." + "0" * -point + digits
    fraction = "." + digits[1:] if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{point - 1:+d}"
