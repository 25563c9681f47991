"""Reading YAML: the safe subset, without duplicate keys, and with the line of every mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from auditkit.errors import ConfigError

MOST_VALUES = 1_000_000
"""How many values a file may stand for once its aliases are written out."""

UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What PyYAML raises, besides its own errors, at a tag, a date or an integer that is none, and at a thousand levels."""


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML lets a later key silently replace an earlier one; here that is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                problem = f"duplicate key {key.value!r}"
                raise yaml.constructor.ConstructorError(problem=problem, problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read(path: str | Path) -> dict[str, Any]:
    """The mapping in the file `path`.

    Raises:
        ConfigError: the file is missing, empty, not UTF-8, not YAML (with the line), or not a mapping.
    """
    where = str(path)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as e:
        raise ConfigError([f"not UTF-8 text (byte {e.start}); save it as UTF-8"], where=where) from e
    except OSError as e:
        raise ConfigError([f"cannot be read: {e.strerror or e}"], where=where) from e
    data = parse(text, where=where)
    if data is None:
        raise ConfigError(["the file is empty; it needs at least `model:` and `probes:`"], where=where)
    if not isinstance(data, dict):
        raise ConfigError([f"expected keys such as `model:`, found a {type(data).__name__}"], where=where)
    return data


def parse(text: str, *, where: str) -> Any:
    """The value that `text` writes; `where` is named in the error.

    Raises:
        ConfigError: it is not YAML, or a key stands twice, with the line and column; or it holds a value that cannot be
            read, or far more than an audit says.
    """
    try:
        _refuse_expansion(yaml.compose(text, Loader=yaml.SafeLoader))
        return yaml.load(text, Loader=_UniqueKeyLoader)
    except yaml.YAMLError as e:
        raise ConfigError([_problem(e)], where=where) from e
    except UNREADABLE as e:
        raise ConfigError([f"a value cannot be read: {why_unreadable(e)}"], where=where) from e


def why_unreadable(error: Exception) -> str:
    """One of `UNREADABLE` in a few words."""
    if isinstance(error, RecursionError):
        return "nested too deep"
    return str(error).partition("; use ")[0] or type(error).__name__


def _refuse_expansion(root: yaml.Node | None) -> None:
    """Raise ValueError at an alias within what it stands for, or aliases of aliases that would fill the memory."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        if id(node) not in sizes:
            sizes[id(node)] = MOST_VALUES + 1  # what it is until known: of a node within itself
            sizes[id(node)] = 1 + sum(size(inner) for inner in _entries(node))
        return sizes[id(node)]

    if root is not None and size(root) > MOST_VALUES:
        raise ValueError(f"it stands for more than {MOST_VALUES} values, or for itself (aliases of aliases)")


def _entries(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    what = str(getattr(error, "problem", None) or error).splitlines()[0]
    return f"line {mark.line + 1}, column {mark.column + 1}: {what}" if mark else f"not YAML: {what}"
