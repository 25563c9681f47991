"""What mkdocs fills in from the code at every build, so that it cannot go stale.

    <!-- facts -->       on docs/probes/ID.md: title, question, reading, limits and needs of the probe; options and
                         formulas follow at the end of the page
    <!-- probes -->      every probe in a table, by risk
    <!-- gate keys -->   the keys of a rule
    <!-- evidence -->    the evidence map
    <!-- commands -->    the commands, with their arguments and options

The probes' entries in the navigation are made here, too. Comments that start with `<!-- test:` are for
tests/test_docs.py and stay out of the site.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from auditkit import plugins
from auditkit.rendering.descriptions import describe

LONGEST_DEFAULT = 60
FOR_TESTS = re.compile(r"<!-- test:.*?-->\n?", re.DOTALL)
MARKER = re.compile(r"^<!-- (facts|probes|gate keys|evidence|commands) -->$", re.MULTILINE)
# Which of the models that `load_model` returns have a capability, in a reader's words.
WHO_HAS = {
    "FillsMask": "masked language models",
    "ScoresText": "causal language models",
    "JudgesNextSentence": "models with a next-sentence head (`task: next-sentence`)",
    "PredictsTokens": "language models, masked and causal",
    "EmbedsText": "sentence encoders",
    "EmbedsWords": "word vectors",
    "Classifies": "classifiers",
    "Generates": "models that write text",
    "ContinuesText": "models that write text",
    "HasModule": "any model with weights in torch",
    "Predicts": "a table of decisions (`model: predictions.csv`)",
    "Model": "any model",
}


def on_config(config: Any) -> Any:
    """Put a page for every probe below "Probes", grouped by risk."""
    for entry in config.nav:
        if "Probes" in entry:
            entry["Probes"] = ["probes/index.md", *_navigation()]
    return config


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Fill in the markers of one page, and drop what is meant for the tests."""
    return fill(markdown, page.file.src_uri)


def fill(markdown: str, uri: str) -> str:
    """The text of a page with its markers replaced.

    Raises:
        ValueError: the page of a probe has no `<!-- facts -->`.
    """
    parent, name = Path(uri).parent.name, Path(uri).stem
    if parent == "probes" and name != "index" and "<!-- facts -->" not in markdown:
        raise ValueError(f"{uri}: no <!-- facts -->; the page of a probe starts with it")
    write: dict[str, Callable[[], str]] = {
        "facts": lambda: facts(name),
        "probes": probe_table,
        "gate keys": gate_keys,
        "evidence": evidence_map,
        "commands": commands,
    }
    filled = MARKER.sub(lambda found: write[found[1]](), FOR_TESTS.sub("", markdown))
    return f"{filled}\n\n{reference(name)}" if "<!-- facts -->" in markdown else filled


# --- probes -----------------------------------------------------------------------------------------------------


def probes_by_risk() -> dict[str, list[str]]:
    """The built-in probes under the risk that they are about."""
    found: dict[str, list[str]] = {}
    for name in plugins.BUILTIN_PROBES:
        found.setdefault(describe(name).risk, []).append(name)
    return found


def _navigation() -> list[dict[str, list[str]]]:
    return [{risk: [f"probes/{name}.md" for name in names]} for risk, names in probes_by_risk().items()]


def probe_table() -> str:
    """One table a risk: each probe, its question, and the models that it can measure."""
    parts = []
    for risk, names in probes_by_risk().items():
        rows = [
            (f"[`{name}`]({name}.md)", describe(name).question, _needs(plugins.probe_class(name))) for name in names
        ]
        parts.append(f"## {risk}\n\n" + _table(("probe", "its question", "for"), rows))
    return "\n\n".join(parts)


def facts(name: str) -> str:
    """The head of a probe's page: what a report says of it, and what it needs."""
    cls, texts = plugins.probe_class(name), describe(name)
    rows = [
        ("The question", texts.question),
        ("How to read it", texts.reading),
        ("A good result is evidence for", texts.evidence_for),
        ("It says nothing about", texts.not_covered),
        ("It can measure", _needs(cls)),
        ("Defined by", str(getattr(cls, "source", ""))),
    ]
    head = f"`{name}` in audit.yaml, `{cls.__module__}:{cls.__qualname__}` in Python."
    return "\n\n".join(
        [f"# {texts.title}", head, _table(("in short", ""), [(f"**{key}**", value) for key, value in rows])]
    )


def reference(name: str) -> str:
    """The end of a probe's page: its options, and what is computed."""
    cls = plugins.probe_class(name)
    module = inspect.getdoc(importlib.import_module(cls.__module__)) or ""
    table = _table(("option", "default", "what it is"), list(options(cls)))
    return "\n\n".join(["## Options", table, "## What is computed", _with_code_fences(module)])


def _needs(cls: type) -> str:
    names = [need.__name__ for need in cls.needs]  # type: ignore[attr-defined]
    return ", ".join(WHO_HAS.get(name, f"what satisfies `{name}`") for name in names) or "any model"


def options(cls: type) -> Iterator[tuple[str, str, str]]:
    """Name, default and explanation of each option of a probe.

    Raises:
        ValueError: an option is not explained in the docstring of its class.
    """
    explained = {"id": "name in the report"}
    for base in reversed(cls.__mro__):
        explained |= attributes(base)
    for field in dataclasses.fields(cls):
        if field.init:
            if field.name not in explained:
                raise ValueError(f"{cls.__qualname__}: its docstring does not explain {field.name!r}")
            yield f"`{field.name}`", _default(field), explained[field.name]


def attributes(cls: type) -> dict[str, str]:
    """What the section "Attributes:" of a class's own docstring says of each."""
    section = inspect.cleandoc(cls.__doc__ or "").partition("Attributes:\n")[2]
    found: dict[str, str] = {}
    for line in section.splitlines():
        start = re.match(r"    (\w+): (.*)", line)
        if start:
            found[start[1]] = start[2]
        elif line.startswith("        ") and found:
            found[list(found)[-1]] += " " + line.strip()
        elif line.strip():
            break  # the next section
    return found


def _default(field: dataclasses.Field[Any]) -> str:
    value = field.default
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    if value is dataclasses.MISSING:
        return "must be given"
    shown = repr(value)
    if len(shown) > LONGEST_DEFAULT and isinstance(value, tuple | list):
        return f"{len(value)} that ship with auditkit"
    return f"`{shown}`" if value not in ("", (), [], {}) else "none"


def _with_code_fences(docstring: str) -> str:
    """Indented parts of a docstring between fences, so that formulas stay as they were written."""
    parts = []
    for block in re.split(r"\n\n(?=\S)|(?<=\S)\n\n(?=    )", docstring):
        code = block.startswith("    ")
        parts.append(f"```text\n{inspect.cleandoc(block)}\n```" if code else block)
    return "\n\n".join(parts)


# --- gate, command line and evidence ------------------------------------------------------------------------------


def gate_keys() -> str:
    """The keys of a rule, from the class that parses them."""
    from auditkit.gate import Rule

    return _table(("key", "what it is"), [(f"`{key}`", text) for key, text in attributes(Rule).items()])


def commands() -> str:
    """Every command with what its `--help` says."""
    from typer.main import get_command

    from auditkit.cli import app

    return "\n\n".join(_command(name, command) for name, command in _leaves("auditkit", get_command(app)))


def _leaves(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    """The commands below a group, as "auditkit data fetch"."""
    for name, child in getattr(command, "commands", {}).items():
        yield from _leaves(f"{path} {name}", child)
    if not hasattr(command, "commands"):
        yield path, command


def _command(path: str, command: Any) -> str:
    rows = [
        (f"`{' '.join(p.opts) if p.param_type_name == 'option' else p.name.upper()}`", getattr(p, "help", "") or "")
        for p in command.params
        if p.name != "help"
    ]
    table = [_table(("argument or option", "what it is"), rows)] if rows else []
    return "\n\n".join([f"## `{path}`", inspect.cleandoc(command.help or ""), *table])


def evidence_map() -> str:
    """Every framework with its clauses, and the measurements that each clause can draw on."""
    if find_spec("auditkit.evidence") is None:
        return '!!! note "Not in this version"\n\n    This build of auditkit carries no evidence map.'
    from auditkit.evidence import frameworks

    return "\n\n".join(_framework(f) for f in frameworks())


def _framework(framework: Any) -> str:
    rows = [
        (f"[{clause.id}]({clause.link})", clause.paraphrase, _from(clause), clause.basis, clause.applies)
        for clause in framework.clauses
    ]
    return "\n\n".join(
        [
            f"## {framework.title}",
            f"{framework.scope}",
            f"{framework.dates} (Checked against [{framework.dated_in.title}]({framework.dated_in.url}).)",
            _table(("clause", "what it asks for, in our words", "what a report may hold", "basis", "from"), rows),
        ]
    )


def _from(clause: Any) -> str:
    """What the measurements can show of a clause, and by which patterns they are found."""
    parts = []
    for need in clause.needs:
        patterns = dict.fromkeys(p for aspect in need.any_of for p in aspect.patterns)
        found = ", ".join(f"`{p}`" for p in patterns) or "no measurement"
        parts.append(f"{need.how} ({found})")
    return "<br>".join(parts)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(c) for c in line) + " |" for line in lines)


def _cell(text: str) -> str:
    """One line, without a bar that would end the cell."""
    return " ".join(text.split()).replace("|", r"\|")
