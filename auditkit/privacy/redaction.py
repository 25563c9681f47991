"""How a secret appears in a report: never itself, only how long it roughly is and a mark to tell it from others."""

from __future__ import annotations

import hashlib

LENGTH_CLASSES = (4, 8, 16, 32, 64)
DIGITS = 4


def redact(text: str) -> str:
    """What may be shown of a secret: its class of length, and four hex digits of its sha256.

        redact("481-22-9034")  ->  "[9-16 characters, sha256 85a7...]"

    The same secret always gets the same mark, so that it can be followed through a report, and its owner can find it.
    One text in 65,536 has the same mark by chance: enough to tell items apart, and too few digits to confirm a guess
    at a secret that has many possibilities. It does narrow them down; of a secret with few, such as a four-digit PIN,
    show nothing at all.
    """
    mark = hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
    return f"[{_length_class(len(text))} characters, sha256 {mark}...]"


def _length_class(length: int) -> str:
    """The range of lengths that `length` falls into: "9-16"."""
    start = 0
    for end in LENGTH_CLASSES:
        if length <= end:
            return f"{start}-{end}"
        start = end + 1
    return f"more than {LENGTH_CLASSES[-1]}"
