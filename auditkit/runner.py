"""The spine: load the model, run each probe, judge, write. `run` starts from audit.yaml, `audit` from Python."""

from __future__ import annotations

import hashlib
import importlib
import json
import math
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditkit import checkpoint, environment, extras, foreign, locks, plugins, progress, shown_paths
from auditkit.errors import ConfigError, DataAbsent, DataError, InputError, MissingCapability, ModelError
from auditkit.measurement import Measurement
from auditkit.probes.base import ItemScore, Probe, ProbeResult, generator
from auditkit.report import AuditReport, ProbeRun

if TYPE_CHECKING:
    import pandas as pd

    from auditkit.config import Config
    from auditkit.gate import Rule
    from auditkit.models.protocols import Model


class Listener:
    """Is told how a run proceeds. Every method does nothing; override what you need."""

    def warned(self, warning: str) -> None:
        """A rule that no model can be expected to pass (before the model is loaded), or to break (after the run)."""

    def run_started(self, subject: Mapping[str, Any], probes: Sequence[str]) -> None:
        """The model is loaded; `probes` are the ids to come."""

    def probe_started(self, probe: str) -> None:
        """This probe begins."""

    def advanced(self, done: int, total: int) -> None:
        """The loop that the probe is now in has done `done` of `total` items."""

    def probe_finished(self, run: ProbeRun, measurements: Sequence[Measurement], reused: bool) -> None:
        """This probe is over; `reused` says that an earlier, unfinished run had already done it."""


@dataclass(frozen=True)
class _Outcome:
    run: ProbeRun
    result: ProbeResult


def run(
    config: str | Path | Config,
    *,
    model: str | None = None,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    baseline: str | Path | AuditReport | None = None,
    listener: Listener | None = None,
) -> AuditReport:
    """Run an audit.yaml and write report.json, report.items.parquet and report.html into its output folder.

    A run that was stopped is taken up again by the next one with the same `out`: finished probes are not repeated.

    Args:
        config: path of the file, or a Config.
        model: audit this model instead of the file's.
        overrides: "key=value" each; see `auditkit.config.load`.
        out: write here instead of the file's `out`.
        baseline: an earlier report, for rules with `max_worsening`.
        listener: is told how the run proceeds.

    Raises:
        InputError: the configuration, the model or the baseline is wrong, or the report cannot be written. A probe
            that fails does not raise: it becomes a measurement with status "error".
    """
    from auditkit.config import load

    settings = load(config, overrides=overrides, model=model)
    before = AuditReport.load(baseline) if isinstance(baseline, str | Path) else baseline
    probes, rules = settings.build_probes(), settings.rules()
    folder, listener = Path(out or settings.out), listener or Listener()
    _warn(listener, probes, rules)
    loaded = _load_model(**settings.model.model_dump())
    with _alone(folder):
        report = _measure(loaded, probes, settings.seed, settings.competence, folder, listener)
        report = replace(report, config={**report.config, "model": settings.model.model_dump(), "gate": settings.gate})
        return _conclude(report, rules, before, folder, listener)


def audit(
    model: str | Model,
    probes: Sequence[str | Probe],
    *,
    seed: int = 0,
    out: str | Path | None = None,
    gate: Sequence[Rule | Mapping[str, Any]] | None = None,
    competence: str = "builtin_sentences",
    listener: Listener | None = None,
) -> AuditReport:
    """Audit a model from Python.

    Args:
        model: what `load_model` takes, or a loaded model.
        probes: registered ids, "pkg.mod:Class" names, or probe objects.
        seed: every probe's generator is derived from it and the probe's id.
        out: a folder for the report and for taking up a stopped run; None writes nothing.
        gate: rules to judge by; the verdicts are in the report. `report.check` raises instead.
        competence: plain sentences in the model's own language, one a line, which a language model has to prefer to
            their words shuffled before its likelihoods are believed.
        listener: is told how the run proceeds.

    Raises:
        InputError: as `run`.
    """
    from auditkit.gate import Rule

    built = [plugins.probe(p) if isinstance(p, str) else p for p in probes]
    if problems := plugins.id_problems({f"probes[{i}]": p for i, p in enumerate(built)}):
        raise ConfigError(problems, where="audit()")
    rules = [rule if isinstance(rule, Rule) else Rule.from_mapping(rule) for rule in gate or ()]
    folder, listener = Path(out) if out is not None else None, listener or Listener()
    _warn(listener, built, rules)
    loaded = _load_model(model) if isinstance(model, str) else model
    with _alone(folder):
        report = _measure(loaded, built, seed, competence, folder, listener)
        report = replace(report, config={**report.config, "gate": [rule.to_json() for rule in rules]})
        return _conclude(report, rules, None, folder, listener)


def _alone(out: Path | None) -> AbstractContextManager[None]:
    """Two runs in one folder would mix their probes into one report."""
    return locks.held(out / ".lock", what=str(out)) if out is not None else nullcontext()


def _warn(listener: Listener, probes: Sequence[Probe], rules: Sequence[Rule]) -> None:
    from auditkit import attainability

    for warning in attainability.warnings(probes, rules):
        listener.warned(warning)


def _load_model(spec: str, **options: Any) -> Model:
    from auditkit.models import load_model

    return load_model(spec, **options)


def _measure(
    model: Model, probes: Sequence[Probe], seed: int, sentences: str, out: Path | None, listener: Listener
) -> AuditReport:
    """The report without verdicts."""
    checkpoints = checkpoint.Checkpoints(out)
    subject = _subject(model)
    listener.run_started(subject, [p.id for p in probes])
    able = competence_of(model, probes, seed, sentences)
    subject |= {"competence": able} if able else {}
    outcomes = []
    for probe in probes:
        listener.probe_started(probe.id)
        key = checkpoint.key(probe, subject, seed, code_of=[type(model)])
        kept = checkpoints.find(probe.id, key)
        outcome = _Outcome(*kept) if kept else _run_probe(probe, model, seed, listener, able)
        if kept is None and outcome.run.status == "ok":  # what was absent now may be here next time
            checkpoints.store(outcome.run, outcome.result, key)
        listener.probe_finished(outcome.run, outcome.result.measurements, kept is not None)
        outcomes.append(outcome)
    items = _items_table([item for o in outcomes for item in o.result.items])
    if out is not None:
        _import_writers()
    return AuditReport(
        subject=subject,
        environment=environment.describe(checkpoints.imported),
        config={
            "model": {"spec": model.name},
            "seed": seed,
            "probes": [_probe_config(p) for p in probes],
            **({"competence": sentences} if able else {}),
        },
        seed=seed,
        runs=[o.run for o in outcomes],
        measurements=[m for o in outcomes for m in o.result.measurements],
        created=datetime.now(UTC).isoformat(timespec="milliseconds"),
        _items=items,
    )


def _import_writers() -> None:
    """What writes the report is part of the run too: else the second one in a process would list more packages."""
    for module in ("auditkit.rendering.html", "jinja2", "pandas", "pyarrow"):
        with suppress(ImportError):
            importlib.import_module(module)


def _conclude(
    report: AuditReport, rules: Sequence[Rule], baseline: AuditReport | None, out: Path | None, listener: Listener
) -> AuditReport:
    """Judge and write. The checkpoints of a run with a crashed probe stay, so that only this one is repeated."""
    from auditkit import idle_limits

    report = shown_paths.shortened(report)
    for remark in idle_limits.remarks(report, rules):
        listener.warned(remark)
    if rules:
        report = replace(report, verdicts=tuple(report.gate(rules, baseline=baseline)))
    if out is not None:
        report.save(out / "report.json")
        report.to_html(out / "report.html")
        if not any(run.status == "error" for run in report.runs):
            checkpoint.Checkpoints(out).clear()
    return report


def _subject(model: Model) -> dict[str, Any]:
    """What the model says of itself, and what it had to replace while it was loaded."""
    try:
        with foreign.contained():
            described = model.describe()
    except InputError:
        raise
    except Exception as e:  # whatever a foreign model raises
        raise ModelError(f"{model.name} cannot say what it is: {type(e).__name__}: {e}; correct describe()") from e
    notices = dict(sorted(model.notices.items()))
    model.notices.clear()
    steps = [str(done["step"]) for done in getattr(model, "compression", ())]  # see auditkit.compression.compress
    more = {"notices": notices} if notices else {}
    return described | ({"compression": steps} if steps else {}) | more


def _probe_config(probe: Probe) -> dict[str, Any]:
    """A probe as audit.yaml would name it, with all its options; of people's texts only how many, and their hash."""
    target = f"{type(probe).__module__}:{type(probe).__qualname__}"
    names = {module_and_class: name for name, module_and_class in plugins.probes().items()}
    private = getattr(probe, "private", ()) if getattr(probe, "redact", False) else ()
    try:
        options = checkpoint.options(probe)
    except (TypeError, ValueError):  # an option that has no JSON form can be shown but not repeated
        return {names.get(target, target): {"options": type(probe).__name__ if private else repr(probe)}}
    return {names.get(target, target): _without_texts(options, private)}


def _without_texts(value: Any, private: Sequence[str]) -> Any:
    """Options as they are, but for lists under a name in `private`, however deep: of these the number and the hash."""
    if isinstance(value, list):
        return [_without_texts(inner, private) for inner in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _given(inner) if name in private and isinstance(inner, list) and inner else _without_texts(inner, private)
        for name, inner in value.items()
    }


def _given(texts: Sequence[Any]) -> dict[str, Any]:
    """What a report says of texts that were handed over themselves and not as the path of a file."""
    plain = json.dumps(texts, sort_keys=True, ensure_ascii=False)
    return {"given": len(texts), "sha256": hashlib.sha256(plain.encode()).hexdigest()}


def competence_of(
    model: Model, probes: Sequence[Probe], seed: int, sentences: str = "builtin_sentences"
) -> dict[str, Any] | None:
    """What `auditkit.probes.competence` finds, where a probe asks for it; whatever goes wrong is a shortcoming too.

    Raises:
        DataError: the sentences cannot be read.
    """
    if not any(getattr(probe, "needs_competence", False) for probe in probes):
        return None
    with extras.explained():
        from auditkit.probes import competence
    if not competence.has_likelihoods(model):
        return None
    try:
        with foreign.contained():
            return competence.competence(model, seed, sentences)
    except DataError:
        raise
    except Exception as e:  # a foreign model may raise anything; probes of another kind must still run
        reason = f"whether the model prefers sentences to shuffled words is not known: {type(e).__name__}: {e}"
        return {"enough": False, "reason": reason, "seed": seed}


def _run_probe(
    probe: Probe, model: Model, seed: int, listener: Listener, able: Mapping[str, Any] | None = None
) -> _Outcome:
    """Measure, and turn everything that can go wrong inside a probe into a measurement that says so.

    `able` is the model's competence; a probe that needs it does not run where it is not enough.
    """
    if able and not able["enough"] and getattr(probe, "needs_competence", False) and _offers(model, probe):
        return _Outcome(*_without_value(probe, "invalid", {"reason": able["reason"]}))
    model.notices.clear()
    start = time.perf_counter()
    try:
        with progress.listen(listener.advanced), foreign.contained():
            result = _checked(probe, _measure_if_able(probe, model, seed), seed)
        run = ProbeRun(probe.id, "ok")
    except MissingCapability as e:
        run, result = _without_value(probe, "skipped", {"reason": str(e)})
    except DataAbsent as e:
        run, result = _without_value(probe, "skipped", {"reason": f"not measured: {e.short}"})
    except InputError as e:
        run, result = _without_value(probe, "error", {"reason": str(e), "cause": "input"})
    except Exception as e:  # a foreign probe may raise anything; the other probes must still run
        details = {"reason": f"{type(e).__name__}: {e}", "cause": "crash", "traceback": _frames(e)}
        run, result = _without_value(probe, "error", details)
    notices = dict(sorted(model.notices.items()))
    model.notices.clear()
    return _Outcome(replace(run, notices=notices, seconds=round(time.perf_counter() - start, 3)), result)


def _offers(model: Model, probe: Probe) -> bool:
    return not probe.needs or isinstance(model, probe.needs)


def _measure_if_able(probe: Probe, model: Model, seed: int) -> ProbeResult:
    if not _offers(model, probe):
        wanted = " or ".join(need.__name__ for need in probe.needs)
        raise MissingCapability(f"the model offers none of what this probe needs: {wanted}")
    with extras.explained():
        return probe.measure(model, generator(seed, probe.id))


def _without_value(probe: Probe, status: Any, details: dict[str, Any]) -> tuple[ProbeRun, ProbeResult]:
    measurement = Measurement(id=probe.id, value=None, status=status, source=probe.source, details=details)
    return ProbeRun(probe.id, status, details["reason"]), ProbeResult([measurement])


def _frames(error: Exception) -> list[str]:
    """Where it happened, innermost last: file names without folders, because a report travels."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    return [f"{Path(f.filename).name}:{f.lineno} in {f.name}" for f in frames]


def _checked(probe: Probe, result: ProbeResult, seed: int) -> ProbeResult:
    """Refuse a result that a report cannot hold; fill in the seed."""
    ids = [m.id for m in result.measurements]
    if not ids:
        raise ValueError("the probe returned no measurement; return one with status 'undefined' and a reason")
    for id in ids:
        if not id.startswith(f"{probe.id}/"):
            raise ValueError(f"measurement id {id!r}; expected it to start with {probe.id + '/'!r}")
    if twice := sorted({id for id in ids if ids.count(id) > 1}):
        raise ValueError(f"measurement id {twice[0]!r} is used twice")
    if unknown := sorted({item.measurement for item in result.items} - set(ids)):
        raise ValueError(f"item scores belong to {unknown[0]!r}, which is not among the measurements")
    if odd := [i.item for i in result.items if not math.isfinite(i.value) or (i.x is not None and math.isinf(i.x))]:
        raise ValueError(f"the score of item {odd[0]!r} is not a finite number; leave it out, and count it")
    measurements = [m if m.seed is not None else replace(m, seed=seed) for m in result.measurements]
    items = [
        replace(item, item=str(item.item), value=float(item.value), cluster=str(item.cluster)) for item in result.items
    ]
    return ProbeResult(measurements, items)


def _items_table(items: Sequence[ItemScore]) -> pd.DataFrame | None:
    if not items:
        return None
    import pandas as pd

    table = pd.DataFrame([asdict(item) for item in items])
    return table.astype({"value": "float64", "x": "float64"})
