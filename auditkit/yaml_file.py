"""Reading YAML: the safe subset, without duplicate keys, and with the line of every mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from auditkit.errors import ConfigError


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
        ConfigError: it is not YAML, or a key stands twice; with the line and column.
    """
    try:
        return yaml.load(text, Loader=_UniqueKeyLoader)
    except yaml.YAMLError as e:
        raise ConfigError([_problem(e)], where=where) from e


def _problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    what = str(getattr(error, "problem", None) or error).splitlines()[0]
    return f"line {mark.line + 1}, column {mark.column + 1}: {what}" if mark else f"not YAML: {what}"
