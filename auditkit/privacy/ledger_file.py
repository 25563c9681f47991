"""What may stand in a ledger's file: every key once, no other, each of its type and within what a training can do.

A ledger that a hand or a bug has changed would be accounted for as it stands. What no training could have written is
therefore refused, and not only what the accountants cannot compute with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MOST_STEPS = 10**9
MOST_UNITS = 10**12
NUMBER = (int, float)

OF_FILE: Mapping[str, Any] = {
    "schema": (int,),
    "delta": NUMBER,
    "target_epsilon": (*NUMBER, type(None)),
    "writer": (str,),
    "entries": (list,),
}
OF_ENTRY: Mapping[str, Any] = {
    "sampler": (str,),
    "unit": (str,),
    "units": (int,),
    "expected_batch_size": (int,),
    "rate": (*NUMBER, type(None)),
    "order_seed": (int, type(None)),
    "sampler_policy": (str,),
    "noise_policy": (str,),
    "noise_multiplier": NUMBER,
    "max_grad_norm": NUMBER,
    "steps": (int,),
}
MOST = {"steps": MOST_STEPS, "units": MOST_UNITS, "expected_batch_size": MOST_UNITS}


def check(given: Any, expected: Mapping[str, Any]) -> None:
    """Check the keys of a file or of an entry, and the type of each value; counts also for their size.

    Raises:
        TypeError: not a mapping, or a value of another type; true and false are no numbers.
        KeyError: a key is missing.
        ValueError: an unknown key, or a count that no training reaches.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"{given!r}; expected keys and values")
    if unknown := sorted(set(given) - set(expected)):
        raise ValueError(f"unknown key {unknown[0]!r}; expected {', '.join(expected)}")
    for name, kinds in expected.items():
        value = given[name]
        if type(value) not in kinds:
            wanted = " or ".join("null" if kind is type(None) else kind.__name__ for kind in kinds)
            raise TypeError(f"{name} = {value!r}; expected {wanted}")
        if name in MOST and not 0 <= value <= MOST[name]:
            raise ValueError(f"{name} = {value}; expected 0 to {MOST[name]:g}")
