"""Where the rules stand in their file, so that an annotation can point at the line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from auditkit import yaml_file
from auditkit.errors import ConfigError
from auditkit.gate import Rule


def rule_lines(path: Path) -> dict[Rule, int]:
    """The line, counted from 1, of each entry under `gate` in `path`; what cannot be read has no line."""
    try:
        root: Any = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        entries = next(value for key, value in root.value if key.value == "gate").value
        return {_rule(entry): entry.start_mark.line + 1 for entry in reversed(entries)}
    except (OSError, ValueError, yaml.YAMLError, AttributeError, TypeError, StopIteration, ConfigError):
        return {}


def shown_path(path: Path) -> str:
    """`path` as a repository names it: from the current folder on where it lies below, with forward slashes."""
    absolute, here = path.absolute(), Path.cwd()
    return (absolute.relative_to(here) if absolute.is_relative_to(here) else path).as_posix()


def _rule(node: yaml.Node) -> Rule:
    return Rule.from_mapping(yaml_file.parse(yaml.serialize(node), where="rule"))
