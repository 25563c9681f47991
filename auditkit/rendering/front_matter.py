"""The YAML block at the head of a README: one entry is replaced, and all that else stands there stays to the letter."""

from __future__ import annotations

import math
import re
from typing import Any

from auditkit import yaml_file
from auditkit.errors import InputError

_BLOCK = re.compile(r"\A(\ufeff?\s*---\r?\n)(.*?)(^---[ \t]*(?:\r?\n|\Z))", re.DOTALL | re.MULTILINE)


def split(text: str) -> tuple[str, str, str, str]:
    """(opening line, entries, closing line, body); the first three are empty where there is no front matter.

    Raises:
        InputError: it is opened and never closed.
    """
    found = _BLOCK.match(text)
    if found:
        return found[1], found[2], found[3], text[found.end() :]
    if text.lstrip("\ufeff \t\r\n").startswith("---"):
        raise InputError("the front matter is opened by --- but not closed; add a line --- below its last entry")
    return "", "", "", text


def parse(block: str) -> dict[str, Any]:
    """The entries.

    Raises:
        InputError: not YAML, or not a mapping.
    """
    import yaml

    try:
        entries = yaml.safe_load(block)
    except yaml.YAMLError as e:
        raise InputError(f"the front matter is not YAML: {' '.join(str(e).split())}; correct it") from e
    except yaml_file.UNREADABLE as e:
        raise InputError(f"the front matter cannot be read: {yaml_file.why_unreadable(e)}; correct it") from e
    if entries is None:
        return {}
    if not isinstance(entries, dict):
        raise InputError(f"the front matter is a {type(entries).__name__}; expected keys and values")
    return entries


def with_entry(block: str, key: str, value: Any, newline: str) -> str:
    """`block` with the entry `key` replaced, or added below the others.

    Raises:
        InputError: the entry cannot be told from its neighbours, so that replacing it would damage them.
    """
    import yaml

    lines = re.findall(r"[^\n]*\n", block)
    first, last = _place(lines, key)
    new = (
        yaml.safe_dump({key: value}, sort_keys=False, allow_unicode=True, width=math.inf)
        .strip("\n")
        .replace("\n", newline)
        + newline
    )
    text = "".join([*lines[:first], new, *lines[last:]])
    try:
        intact = parse(text) == {**parse(block), key: value}
    except InputError:
        intact = False
    if not intact:
        raise InputError(
            f"cannot replace {key!r} in this front matter; write it as `{key}:` at the start of a line, once"
        )
    return text


def _place(lines: list[str], key: str) -> tuple[int, int]:
    """Where the entry begins and ends; comments above the next entry belong to that one."""
    starts = [i for i, line in enumerate(lines) if re.match(rf"(['\"]?){re.escape(key)}\1\s*:", line)]
    if not starts:
        return len(lines), len(lines)
    end = next((i for i in range(starts[0] + 1, len(lines)) if re.match(r"[^\s#-]", lines[i])), len(lines))
    while re.match(r"\s*(#|$)", lines[end - 1]):
        end -= 1
    return starts[0], end
