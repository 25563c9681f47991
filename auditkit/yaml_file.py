"""Reading YAML: the safe subset, without duplicate keys and other traps, and with the line of every mistake."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from auditkit.errors import ConfigError
from auditkit.rendering.formatting import shortened

DEEPEST = 50
"""Levels of lists and mappings."""

MOST_REPEATED = 100_000
"""Values that a text with aliases may amount to, once each alias is replaced by what it stands for."""

_NOT_DECIMAL = re.compile(r"[-+]?(0[0-7_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)")
"""What YAML 1.1 reads as a number in base 8, such as 0170, or in base 60, such as 1:50."""

_TIMESTAMP = "tag:yaml.org,2002:timestamp"

UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What PyYAML raises, besides its own errors, at a tag, a date or an integer that is none, and at a thousand levels."""


class _Loader(yaml.SafeLoader):
    """The safe subset without its traps: a repeated key is an error, a number is decimal, and a date is text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """YAML lets a later key silently replace an earlier one, also where the two are only read alike: 1 and 0x1."""
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            value = key.value if key.tag.endswith(":merge") else self.construct_object(key)
            if value in seen or key.value in seen:
                raise _wrong(f"duplicate key {key.value!r}", key)
            seen |= {value, key.value}
        return super().construct_mapping(node, deep)

    def number(self, node: yaml.ScalarNode) -> float:
        """An integer or a float that is written as anybody reads it."""
        integer = node.tag.endswith(":int")
        try:
            value: float = self.construct_yaml_int(node) if integer else self.construct_yaml_float(node)
            float(value)
        except (ValueError, OverflowError) as e:
            raise _wrong(f"{shortened(node.value, 40)} is no number, or has too many digits", node) from e
        if _NOT_DECIMAL.fullmatch(node.value):
            base = "60" if ":" in node.value else "8"
            what = f"{node.value} is read as {value:g} by YAML 1.1, as a number in base {base}"
            raise _wrong(f"{what}; write a decimal number without leading zeros, or put it in quotes as text", node)
        return value


_Loader.yaml_implicit_resolvers = {
    first: [entry for entry in entries if entry[0] != _TIMESTAMP]
    for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.number)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.number)


def _wrong(problem: str, node: yaml.Node) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark)


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
        ConfigError: it is not YAML, a key stands twice, a number is written so that people and YAML 1.1 read different
            ones, or it is nested or repeated without end; with the line and column.
    """
    try:
        return _value(text)
    except yaml.YAMLError as e:
        raise ConfigError([_problem(e)], where=where) from e
    except RecursionError as e:
        raise ConfigError([f"nested too deeply; expected at most {DEEPEST} levels"], where=where) from e
    except UNREADABLE as e:  # what the library does with `!!bool maybe`
        raise ConfigError(["a value does not fit its tag (`!!...`); leave the tag out"], where=where) from e


def why_unreadable(error: Exception) -> str:
    """One of `UNREADABLE` in a few words."""
    if isinstance(error, RecursionError):
        return "nested too deep"
    return str(error).partition("; use ")[0] or type(error).__name__


def _value(text: str) -> Any:
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        _refuse_bombs(root)
        return loader.construct_document(root)
    finally:
        loader.dispose()


def _refuse_bombs(root: yaml.Node) -> None:
    """Raise ConstructorError where a few lines with aliases stand for more than anybody writes, or for themselves."""
    sizes: dict[int, int] = {}
    if _size(root, 0, sizes) > max(len(sizes), MOST_REPEATED):
        raise _wrong(f"its aliases stand for more than {MOST_REPEATED:,} values; write out what is meant", root)


def _size(node: yaml.Node, depth: int, sizes: dict[int, int]) -> int:
    """How many values a node holds with every alias replaced; `sizes` keeps those of the nodes seen."""
    if depth > DEEPEST:
        raise _wrong(f"nested too deeply; expected at most {DEEPEST} levels", node)
    if id(node) not in sizes:
        inner = node.value if isinstance(node, yaml.CollectionNode) else ()
        parts = [part for entry in inner for part in (entry if isinstance(entry, tuple) else (entry,))]
        sizes[id(node)] = 1 + sum(_size(part, depth + 1, sizes) for part in parts)
    return sizes[id(node)]


def _problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    what = str(getattr(error, "problem", None) or error).splitlines()[0]
    return f"line {mark.line + 1}, column {mark.column + 1}: {what}" if mark else f"not YAML: {what}"
