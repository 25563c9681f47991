"""Which files the code of a class stands in: its own module and the modules of the same project that it imports.

What packages installed from an index bring is bound by their versions; a project's own code changes from run to run.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

_INSTALLED = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib"))
LONGEST_NAME = 200
_OURS = Path(__file__).parent.resolve()


def sha256(cls: type) -> str:
    """Hash over the file of `cls`, those of its base classes, and all local modules that they import, directly or not.

    Raises:
        OSError: a file cannot be read, or the class has none.
        TypeError: the class is built in.
    """
    files: set[Path] = set()
    for base in cls.__mro__[:-1]:
        file = Path(inspect.getfile(base)).resolve()
        if base is cls or _is_local(file):
            files |= _closure(file, base.__module__)
    digest = hashlib.sha256()
    for name, content in sorted((f.name, hashlib.sha256(f.read_bytes()).hexdigest()) for f in files):
        digest.update(f"{name}|{content}\n".encode())
    return digest.hexdigest()


def _closure(file: Path, module: str) -> set[Path]:
    """`file`, the local modules that it imports, directly or not, and the files that any of them names."""
    found: set[Path] = set()
    waiting = [(file, module)]
    while waiting:
        file, module = waiting.pop()
        if file in found:
            continue
        found.add(file)
        tree = _tree(file) if _is_local(file) else None
        if tree is not None:
            found |= _named(tree, file.parent)
            names = _imported(tree, _package(file, module))
            waiting += [(path, name) for name in names if (path := _file_of(name)) is not None]
    return found


def _tree(file: Path) -> ast.Module | None:
    """None for what is not Python: an extension module, or data; its bytes are hashed."""
    try:
        return ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError):
        return None


def _named(tree: ast.Module, beside: Path) -> set[Path]:
    """Files that a text in the code names, seen from the current folder or from the code's own: data of the probe."""
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    paths = {folder / text for text in texts if _may_be_a_name(text) for folder in (Path(), beside)}
    files = {p for p in paths if p.is_file()}
    inside = {f for p in paths if p.is_dir() for f in p.rglob("*") if f.is_file() and f.suffix != ".pyc"}
    return {f.resolve() for f in files | inside}


def _may_be_a_name(text: str) -> bool:
    return 0 < len(text) < LONGEST_NAME and text.isprintable() and text[0] not in "./\\~ "


def _package(file: Path, module: str) -> str:
    return module if file.name == "__init__.py" else module.rpartition(".")[0]


def _is_local(file: Path) -> bool:
    """Whether the file belongs to the user's project: neither installed nor part of auditkit."""
    file = file.resolve()
    return not any(file.is_relative_to(folder) for folder in (*_INSTALLED, _OURS))


def _imported(tree: ast.Module, package: str) -> Iterator[str]:
    """Names of the modules that a file imports, wherever in it; of `from a import b` both a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (part for alias in node.names for part in _with_parents(alias.name))
        elif isinstance(node, ast.ImportFrom):
            start = _absolute(node, package)
            yield from _with_parents(start)
            yield from (f"{start}.{alias.name}" for alias in node.names)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """What `from ..a import b` names, seen from `package`."""
    if not node.level:
        return node.module or ""
    parents = package.split(".")
    return ".".join([*parents[: len(parents) - node.level + 1], *([node.module] if node.module else [])])


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    yield from (".".join(parts[: i + 1]) for i in range(len(parts)))


def _file_of(name: str) -> Path | None:
    """The local file of a module; None for one that is not local, or not there."""
    loaded = sys.modules.get(name)
    origin = getattr(loaded, "__file__", None)
    if loaded is None:
        try:
            spec = importlib.util.find_spec(name) if "." not in name or name.rpartition(".")[0] in sys.modules else None
        except (ImportError, ValueError):
            return None
        origin = spec.origin if spec is not None and spec.has_location else None
    return Path(origin).resolve() if origin and Path(origin).is_file() and _is_local(Path(origin)) else None
