"""Probes and models by name: the built-in ones, those of installed packages, and `pkg.mod:Class`.

A package adds its own with entry points in its pyproject.toml:

    [project.entry-points."auditkit.probes"]
    my_probe = "my_pkg.probes:MyProbe"

    [project.entry-points."auditkit.models"]
    my_model = "my_pkg.models:load"         # called without arguments, returns a model

Nothing is imported before it is asked for.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, get_type_hints

from auditkit import extras, foreign
from auditkit.errors import ConfigError, InputError, UnknownName

if TYPE_CHECKING:
    from pydantic import BaseModel

    from auditkit.probes.base import Probe

BUILTIN_PROBES = {
    "stereotype_pairs": "auditkit.probes.pairs:StereotypePairs",
    "crows_pairs": "auditkit.probes.pairs:CrowsPairs",
    "pronoun_gap": "auditkit.probes.pronoun_gap:PronounGap",
    "lpbs": "auditkit.probes.lpbs:LogProbabilityBias",
    "stereoset": "auditkit.probes.stereoset:StereoSet",
    "weat": "auditkit.probes.weat:WEAT",
    "seat": "auditkit.probes.weat:SEAT",
    "winobias": "auditkit.probes.winobias:WinoBias",
    "winogender": "auditkit.probes.winogender:Winogender",
    "bbq": "auditkit.probes.bbq:BBQ",
    "similarity": "auditkit.probes.similarity:Similarity",
    "mask_fill": "auditkit.probes.mask_fill:MaskFill",
    "membership": "auditkit.probes.membership:Membership",
    "dp_sgd": "auditkit.probes.dp_sgd:PrivateTrainings",
    "exposure": "auditkit.probes.exposure:Exposure",
    "extraction": "auditkit.probes.extraction:Extraction",
    "attribution": "auditkit.probes.attribution:WordAttribution",
    "group_fairness": "auditkit.probes.group_fairness:GroupFairness",
    "counterfactual_flips": "auditkit.probes.counterfactual_flips:CounterfactualFlips",
    "privacy": "auditkit.probes.dp_audit:EpsilonAudit",
    "introspection": "auditkit.probes.introspection:Introspection",
    "surrogate": "auditkit.probes.surrogate:RuleSurrogate",
    "compression": "auditkit.probes.compression:Compression",
}


def probes() -> dict[str, str]:
    """Every probe id with the "module:Class" behind it.

    Raises:
        InputError: an installed package takes an id that is already taken.
    """
    return with_entry_points("auditkit.probes", BUILTIN_PROBES)


def models() -> dict[str, str]:
    """The models that installed packages offer, each with the "module:callable" that returns it."""
    return with_entry_points("auditkit.models", {})


@cache
def _entry_points(group: str) -> tuple[tuple[str, str], ...]:
    return tuple((e.name, e.value) for e in entry_points(group=group))


def with_entry_points(group: str, builtin: Mapping[str, str]) -> dict[str, str]:
    """The built-in names of a group and those of installed packages, each with its "module:name".

    Raises:
        InputError: two of them want the same name.
    """
    found = dict(builtin)
    for name, target in _entry_points(group):
        if found.setdefault(name, target) != target:
            raise InputError(f"{group}: {target} and {found[name]} are both named {name!r}; uninstall one of them")
    return found


def load_object(target: str) -> Any:
    """Import "module:name".

    Raises:
        InputError: the module cannot be imported or has no such name; says which.
    """
    module_name, _, name = target.partition(":")
    try:
        with foreign.contained():
            module = importlib.import_module(module_name)
    except Exception as e:  # whatever a foreign module raises while it is imported
        if isinstance(e, ImportError) and (absent := extras.missing(e)) is not None:
            raise absent from e
        raise InputError(f"cannot import {module_name!r} for {target!r}: {type(e).__name__}: {e}") from e
    if not hasattr(module, name):
        raise UnknownName(f"name in {module_name}", name, [n for n in vars(module) if not n.startswith("_")])
    return getattr(module, name)


def probe_class(spec: str) -> type:
    """The class behind a registered id or a "pkg.mod:Class".

    Raises:
        UnknownName: no such id.
        InputError: what the name stands for cannot be imported, or is not a probe.
    """
    known = probes()
    if ":" not in spec and spec not in known:
        raise UnknownName("probe", spec, known)
    cls = load_object(known.get(spec, spec))
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
        raise InputError(f"{spec!r} is not a probe: expected a dataclass; see auditkit.probes.base.Probe")
    fields = [f.name for f in dataclasses.fields(cls)]
    missing = [a for a in ("id", "needs", "source", "measure") if not hasattr(cls, a) and a not in fields]
    if missing:
        raise InputError(f"{spec!r} is not a probe: it lacks {', '.join(missing)}; see auditkit.probes.base.Probe")
    return cls


def probe(spec: str, options: Mapping[str, Any] | None = None) -> Probe:
    """Build a probe: the fields of its dataclass are its options.

    Raises:
        ConfigError: an option is unknown or has a wrong value; lists all of them.
        InputError: as `probe_class`.
    """
    cls = probe_class(spec)
    options = dict(options or {})
    problems = _option_problems(cls, options)
    if problems:
        raise ConfigError(problems, where=spec)
    values = _option_model(cls).model_validate(options)
    try:
        with foreign.contained():
            return cls(**{name: getattr(values, name) for name in options})
    except (TypeError, ValueError, InputError) as e:  # the probe's own __post_init__
        raise InputError(f"{spec}: {e}") from e
    except Exception as e:  # whatever a foreign one raises
        raise InputError(f"{spec}: cannot be made: {type(e).__name__}: {e}; correct the probe") from e


def id_problems(probes: Mapping[str, Probe]) -> list[str]:
    """What is wrong with the ids of the probes of one run, given as {place: probe}."""
    problems = []
    owners: dict[str, str] = {}
    for place, probe in probes.items():
        if not re.fullmatch(r"[\w.-]+", probe.id):
            problems.append(f"{place}: id {probe.id!r}; expected letters, digits, '_', '-' and '.' only")
        elif owners.setdefault(probe.id, place) != place:
            problems.append(f"{place}: id {probe.id!r} is taken by {owners[probe.id]}; give one of them another id")
    return problems


def _option_problems(cls: type, options: Mapping[str, Any]) -> list[str]:
    """Each wrong option as "name: what is wrong"."""
    from pydantic import ValidationError

    from auditkit.config import explain

    try:
        read = _option_model(cls).model_validate(options)
    except ValidationError as e:
        known = [f.name for f in dataclasses.fields(cls) if f.init]
        return [explain(problem, known=known, noun="option") for problem in e.errors(include_url=False)]
    return [
        f"{name}: expected a number, got {given!r}; YAML reads yes, no, on and off as true and false"
        for name, given in options.items()
        if isinstance(given, bool) and type(getattr(read, name)) in (int, float)  # pydantic takes yes for 1
    ]


@cache
def _option_model(cls: type) -> type[BaseModel]:
    """A pydantic model with the fields of the dataclass, so that YAML values are checked against its annotations."""
    from pydantic import ConfigDict, create_model

    try:
        hints = get_type_hints(cls)
    except NameError as e:
        raise InputError(f"{cls.__module__}:{cls.__name__}: cannot read the types of its options: {e}") from e
    fields = {f.name: (hints[f.name], _default(f)) for f in dataclasses.fields(cls) if f.init}
    settings = ConfigDict(arbitrary_types_allowed=True, extra="forbid", protected_namespaces=())
    return create_model(cls.__name__, __config__=settings, **fields)  # type: ignore[call-overload]


def _default(field: dataclasses.Field[Any]) -> Any:
    """Required options stay required; the dataclass itself fills in the others."""
    required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    return ... if required else None
