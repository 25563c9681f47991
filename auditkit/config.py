"""audit.yaml: what to audit, with which probes, and what must hold.

    model: minilm-mlm               # or {spec: ..., task: ..., device: auto, dtype: auto, revision: ...,
                                    #     subfolder: ..., device_map: auto, max_memory: {0: 10GiB, cpu: 30GiB},
                                    #     offload_folder: ..., quantization: {quant_method: ..., ...}}
    seed: 0
    out: audit-out
    probes:
      - stereotype_pairs            # a registered id, or
      - crows_pairs: {methods: [metric, aul]}       # with options, the fields of the probe's dataclass, or
      - my_pkg.mod:MyProbe          # a class of your own
    gate:
      - measurement: stereotype_pairs/*/metric_score
        max: 60
        on_inconclusive: warn

A wrong file is refused with all its problems at once, each with its place.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError

from auditkit import yaml_file
from auditkit.errors import ConfigError, InputError
from auditkit.rendering.formatting import shortened

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from auditkit.gate import Rule
    from auditkit.probes.base import Probe


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelConfig(_Section):
    """The arguments of `auditkit.load_model`."""

    spec: Annotated[str, Field(min_length=1)]
    task: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    revision: str | None = None
    subfolder: str | None = None
    device_map: str | dict[str, int | str] | None = None
    max_memory: dict[int | str, int | str] | None = None
    offload_folder: str | None = None
    quantization: dict[str, Any] | None = None


class ProbeConfig(_Section):
    """A probe by name, with its options."""

    spec: Annotated[str, Field(min_length=1)]
    options: dict[str, Any] = {}


class Config(_Section):
    """A whole audit.yaml. The rules of `gate` are kept as written; `rules()` parses them."""

    model: ModelConfig
    seed: Annotated[StrictInt, Field(ge=0)] = 0
    out: str = "audit-out"
    competence: Annotated[str, Field(min_length=1)] = "builtin_sentences"
    probes: Annotated[list[ProbeConfig], Field(min_length=1)]
    gate: list[dict[str, Any]] = []

    def build_probes(self) -> list[Probe]:
        """The probe objects, in order."""
        from auditkit.plugins import probe

        return [probe(p.spec, p.options) for p in self.probes]

    def rules(self) -> list[Rule]:
        """The gate's rules, in order."""
        from auditkit.gate import Rule

        return [Rule.from_mapping(rule) for rule in self.gate]


def load(source: str | Path | Config, *, overrides: Sequence[str] = (), model: str | None = None) -> Config:
    """Read audit.yaml.

    Args:
        source: the file, or a Config to change.
        overrides: "key.subkey=value" each, the value written as in YAML: "seed=1", "model.device=cpu",
            "probes.crows_pairs.methods=[aul]".
        model: audit this model instead of the file's; `device` and `dtype` stay.

    Raises:
        ConfigError: everything that is wrong with it.
    """
    data = _normalise(source.model_dump() if isinstance(source, Config) else yaml_file.read(source))
    if model is not None:
        kept = {k: v for k, v in _mapping(data.get("model")).items() if k in ("device", "dtype")}
        data["model"] = {"spec": model, **kept}
    for override in overrides:
        _set(data, override)
    return parse(data, where="config" if isinstance(source, Config) else str(source))


def parse(data: Mapping[str, Any], *, where: str = "audit.yaml") -> Config:
    """Check a whole configuration that is already plain data; `where` is named in the errors."""
    data = _normalise(data)
    problems = [
        *_shape_problems(data),
        *_model_problems(_mapping(data.get("model")).get("spec")),
        *_probe_problems(data.get("probes")),
        *_gate_problems(data.get("gate")),
    ]
    if problems:
        raise ConfigError(problems, where=where)
    return Config.model_validate(data)


def load_rules(path: str | Path) -> list[Rule]:
    """Only the `gate` section of `path`, which needs no other section: judging a report needs no model or probe.

    Raises:
        ConfigError: the file has no rules, or wrong ones.
    """
    from auditkit.gate import Rule

    rules = yaml_file.read(path).get("gate")
    if not isinstance(rules, list) or not rules:
        raise ConfigError(["gate: no rules; expected a list of rules under this key"], where=str(path))
    problems = list(_gate_problems(rules))
    if problems:
        raise ConfigError(problems, where=str(path))
    return [Rule.from_mapping(rule) for rule in rules]


# --- one shape --------------------------------------------------------------------------------------------------


def _normalise(data: Mapping[str, Any]) -> dict[str, Any]:
    """Short forms to long ones: `model: x` to `{spec: x}`, `- p` and `- p: {...}` to `{spec: p, options: ...}`."""
    data = dict(data)
    if isinstance(data.get("model"), str):
        data["model"] = {"spec": data["model"]}
    if isinstance(data.get("probes"), Sequence) and not isinstance(data["probes"], str):
        data["probes"] = [_normalise_probe(entry) for entry in data["probes"]]
    if data.get("gate", ...) is None:  # the key with nothing under it
        data["gate"] = []
    return data


def _normalise_probe(entry: Any) -> Any:
    """What is neither a name nor `name: options` is left as it is, for `_probe_problems` to name."""
    if isinstance(entry, str):
        return {"spec": entry, "options": {}}
    if isinstance(entry, Mapping) and len(entry) == 1:
        spec, options = next(iter(entry.items()))
        return {"spec": spec, "options": {} if options is None else options}
    return entry


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


# --- overrides --------------------------------------------------------------------------------------------------


def _set(data: dict[str, Any], override: str) -> None:
    """Apply one "a.b=c" to the normalised `data`, in place."""
    key, equals, value = override.partition("=")
    path = key.strip().split(".")
    if not equals or not all(path):
        raise ConfigError([f"{override!r}; expected key=value, for instance seed=1"], where="--set")
    target: Any = data
    for step in path[:-1]:
        target = _descend(target, step, override)
    _assign(target, path[-1], yaml_file.parse(value, where=f"--set {override}"), override)
    data.update(_normalise(data))


def _descend(target: Any, step: str, override: str) -> Any:
    """One step down: a key, an index in a list, or a probe's name in the list of probes."""
    if isinstance(target, dict):
        return target.setdefault(step, {})
    if isinstance(target, list):
        names = [_mapping(entry).get("spec", "") for entry in target]
        index = int(step) if step.isdecimal() else names.index(step) if step in names else len(target)
        if index >= len(target):
            raise ConfigError([f"{override!r}: no entry {step!r}; {suggestion(step, names)}"], where="--set")
        return target[index].get("options", target[index]) if isinstance(target[index], dict) else target[index]
    raise ConfigError([f"{override!r}: {step!r} is below a plain value"], where="--set")


def _assign(target: Any, key: str, value: Any, override: str) -> None:
    if isinstance(target, dict):
        target[key] = value
    elif isinstance(target, list) and key.isdecimal() and int(key) < len(target):
        target[int(key)] = value
    else:
        raise ConfigError([f"{override!r}: there is nothing to set at {key!r}"], where="--set")


# --- problems ---------------------------------------------------------------------------------------------------


def suggestion(given: str, known: Iterable[str]) -> str:
    """What may have been meant by `given`."""
    known = sorted(known)
    close = difflib.get_close_matches(given, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known) or 'none'}"


def explain(problem: ErrorDetails, *, known: Iterable[str], noun: str = "key") -> str:
    """One line for one problem that pydantic found: its place, what was expected, what was given."""
    steps = problem["loc"]
    place = "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in steps).lstrip(".")
    if problem["type"] == "extra_forbidden":
        return f"{place}: unknown {noun}; {suggestion(str(steps[-1]), known)}"
    if problem["type"] == "missing":
        return f"{place}: missing"
    given = shortened(repr(problem["input"]), 80)
    if problem["type"] == "model_type":
        return f"{place}: expected a name or a mapping, got {given}"
    hint = "; YAML reads yes, no, on and off as true and false: put it in quotes" * isinstance(problem["input"], bool)
    return f"{place}: {problem['msg'][0].lower()}{problem['msg'][1:]}, got {given}{hint}"


def _shape_problems(data: Mapping[str, Any]) -> Iterator[str]:
    """Everything but the entries of `probes` and `gate`, which are checked against what they name."""
    try:
        Config.model_validate(data)
    except ValidationError as e:
        for problem in e.errors(include_url=False):
            steps = problem["loc"]
            if len(steps) == 1 or steps[0] == "model":
                section = ModelConfig if len(steps) > 1 else Config
                yield explain(problem, known=section.model_fields)


def _model_problems(spec: Any) -> Iterator[str]:
    """A bare name must be known; whether a path, a hub id or a `module:factory` can be loaded, only loading tells."""
    from auditkit.models.catalog import aliases
    from auditkit.plugins import models

    known = [*aliases(), *models()]
    if isinstance(spec, str) and not (spec in known or "/" in spec or ":" in spec or Path(spec).exists()):
        yield f"model: unknown model {spec!r}; {suggestion(spec, known)}"


def _probe_problems(entries: Any) -> Iterator[str]:
    from auditkit.plugins import id_problems, probe

    built: dict[str, Probe] = {}
    for i, entry in enumerate(entries if isinstance(entries, list) else []):
        place = f"probes[{i}]"
        try:
            name = ProbeConfig.model_validate(entry)
            built[place] = probe(name.spec, name.options)
        except ValidationError:
            yield f"{place}: expected a probe's name or `name: {{options}}`, got {_shown(entry)}"
        except ConfigError as e:
            yield from (f"{place}.{name.spec}.{p}" for p in e.problems)
        except InputError as e:
            yield f"{place}: {e}"
    yield from id_problems(built)


def _gate_problems(rules: Any) -> Iterator[str]:
    from auditkit.gate import Rule

    for i, rule in enumerate(rules if isinstance(rules, list) else []):
        try:
            Rule.from_mapping(rule)
        except ConfigError as e:
            yield from (f"gate[{i}]: {problem}" for problem in e.problems)


def _shown(entry: Any) -> str:
    """An entry as the user wrote it, not as it was normalised."""
    if isinstance(entry, Mapping) and entry.keys() == {"spec", "options"}:
        entry = {entry["spec"]: entry["options"]}
    return shortened(repr(entry), 80)
