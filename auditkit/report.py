"""AuditReport: everything one run found. The JSON is the truth; html, junit and markdown are drawn from it."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from auditkit import extras
from auditkit.errors import GateFailed, InputError, ReportError
from auditkit.measurement import Measurement, refuse_non_json, refuse_wrong_types

if TYPE_CHECKING:
    import pandas as pd

    from auditkit.gate import Rule, Verdict, Verdicts
    from auditkit.tracking import Tracker

SCHEMA = 1
RunStatus = Literal["ok", "skipped", "error", "invalid"]
ENTRIES = {"schema", "created", "subject", "seed", "verdicts", "measurements", "runs", "config", "environment"}
"""What a report.json holds."""

ITEM_COLUMNS = ("measurement", "item", "value", "cluster", "x")


@dataclass(frozen=True, slots=True)
class ProbeRun:
    """How one probe went: the coverage table of the report.

    Attributes:
        probe: its id.
        status: "ok", "skipped" (the model lacks what it needs, or its published data are not on this machine),
            "error" (it crashed) or "invalid" (what it would measure means nothing of this model).
        reason: why, for all but the first.
        notices: what was not taken as given, counted, e.g. {"texts truncated to 512 tokens": 3}.
        seconds: wall time. Not part of the evidence: left out when reports are compared byte by byte.
    """

    probe: str
    status: RunStatus
    reason: str = ""
    notices: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        types = {"probe": str, "status": str, "reason": str, "notices": Mapping, "seconds": int | float}
        refuse_wrong_types(self, types)
        if self.status not in get_args(RunStatus):
            raise ValueError(f"run {self.probe!r}: status {self.status!r}; expected {', '.join(get_args(RunStatus))}")
        refuse_non_json(f"run {self.probe!r}", {"notices": self.notices, "seconds": self.seconds})
        if odd := [name for name, count in self.notices.items() if type(count) is not int or count < 0]:
            raise ValueError(f"run {self.probe!r}: notice {odd[0]!r} has no count")


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """The result of one run.

    Attributes:
        subject: the audited model: name, task, architecture, device, dtype, parameters, weights_sha256, ...
        environment: Python, platform and library versions.
        config: the options that the run was started with; enough to repeat it.
        seed: the run's seed.
        runs: one entry per probe, in order.
        measurements: all of them, in order.
        verdicts: the gate's, if a gate was given.
        created: ISO 8601 time in UTC; with `seconds` of the runs the only thing that differs between two runs.
        items: the item scores (columns as in `auditkit.probes.base.ItemScore`), a table kept beside the json; None
            where there is none. Read from disk only when asked for.
    """

    subject: Mapping[str, Any]
    environment: Mapping[str, Any]
    config: Mapping[str, Any]
    seed: int
    runs: Sequence[ProbeRun]
    measurements: Sequence[Measurement]
    verdicts: Sequence[Verdict] = ()
    created: str = ""
    _items: pd.DataFrame | Path | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("runs", "measurements", "verdicts"):  # equal whether built from lists or loaded
            object.__setattr__(self, name, tuple(getattr(self, name)))
        types = {"subject": Mapping, "environment": Mapping, "config": Mapping, "seed": int, "created": str}
        refuse_wrong_types(self, types)
        if self.seed < 0:
            raise ValueError(f"seed {self.seed}; expected 0 or more")

    @property
    def items(self) -> pd.DataFrame | None:  # noqa: D102 - described with the attributes
        return _read_items(self._items) if isinstance(self._items, Path) else self._items

    def __getitem__(self, measurement_id: str) -> Measurement:
        """The measurement with this id; KeyError names close ones."""
        for m in self.measurements:
            if m.id == measurement_id:
                return m
        import difflib

        close = difflib.get_close_matches(measurement_id, [m.id for m in self.measurements], n=3)
        raise KeyError(f"no measurement {measurement_id!r}" + (f"; close: {', '.join(close)}" if close else ""))

    def to_frame(self) -> pd.DataFrame:
        """One row per measurement; `interval` becomes the columns low, high, level, interval_method."""
        import pandas as pd

        rows = []
        for m in self.measurements:
            row = m.to_json()
            interval, details = row.pop("interval") or {}, row.pop("details")
            row |= {k: interval.get(k) for k in ("low", "high", "level")}
            rows.append(row | {"interval_method": interval.get("method"), "reason": details.get("reason", "")})
        return pd.DataFrame(rows)

    def save(self, path: str | Path) -> Path:
        """Write `path` (json) and, where there are item scores, `<stem>.items.parquet` beside it.

        Both are written to a temporary file first: when the disk is full, the old files stay whole.

        Raises:
            ReportError: a file cannot be written.
            MissingExtra: there are item scores, and no pyarrow to write them with; nothing is written.
            ValueError: subject, environment or config hold NaN or an infinity.
        """
        path = Path(path)
        text = json.dumps(self.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        content = text.encode(errors="backslashreplace")  # a lone surrogate has no UTF-8, but an escape in JSON
        items = self.items
        if items is None:
            write_atomically(path, content)
            items_path(path).unlink(missing_ok=True)  # an older report's items do not belong to this one
        else:
            with extras.explained():
                import pyarrow  # noqa: F401 - what pandas says without it names no way out

            write_together({items_path(path): items.to_parquet(index=False), path: content})
        return path

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values, schema number first."""
        return {
            "schema": SCHEMA,
            "created": self.created,
            "subject": dict(self.subject),
            "seed": self.seed,
            "verdicts": [v.to_json() for v in self.verdicts],
            "measurements": [m.to_json() for m in self.measurements],
            "runs": [asdict(r) for r in self.runs],
            "config": dict(self.config),
            "environment": dict(self.environment),
        }

    @classmethod
    def load(cls, path: str | Path) -> AuditReport:
        """Read what `save` wrote.

        Raises:
            ReportError: no such file, not JSON, an unknown schema, a damaged entry, or entries that contradict each
                other.
        """
        from auditkit import coherence
        from auditkit.gate import Verdict

        path = Path(path)
        data = _read_json(path)
        if type(data.get("schema")) is not int or data["schema"] != SCHEMA:
            raise ReportError(f"{path}: schema {data.get('schema')!r}; this version reads schema {SCHEMA}")
        if unknown := sorted(set(data) - ENTRIES):
            raise ReportError(f"{path}: unknown entry {unknown[0]!r}; a report of this version has none of that name")
        try:
            for part in ("subject", "environment", "config"):
                refuse_non_json(part, data[part])
            report = cls(
                subject=data["subject"],
                environment=data["environment"],
                config=data["config"],
                seed=data["seed"],
                runs=[ProbeRun(**r) for r in data["runs"]],
                measurements=[Measurement.from_json(m) for m in data["measurements"]],
                verdicts=[Verdict.from_json(v) for v in data["verdicts"]],
                created=data["created"],
                _items=items_path(path),
            )
        except (KeyError, TypeError, AttributeError, ValueError) as e:
            raise ReportError(f"{path}: damaged report, {type(e).__name__}: {e}; run the audit again") from e
        except ReportError as e:
            raise ReportError(f"{path}: {e}") from e
        if problem := next(coherence.contradictions(report), None):
            raise ReportError(f"{path} contradicts itself: {problem}; run the audit again")
        return report

    def to_html(self, path: str | Path) -> Path:
        """Write one self-contained HTML file.

        Raises:
            ReportError: it cannot be written, or a detail of the report is not what its page was made to show.
        """
        from auditkit.rendering.html import render

        path = Path(path)
        try:
            page = render(self)
        except InputError:
            raise
        except Exception as e:  # details are anybody's JSON, and hundreds of lines draw them
            why = f"{type(e).__name__}: {e}"
            raise ReportError(f"{path} cannot be drawn, {why}; a detail of the report is damaged: run it again") from e
        write_atomically(path, page.encode())
        return path

    def to_csv(self, path: str | Path) -> Path:
        """Write `to_frame` as CSV."""
        path = Path(path)
        write_atomically(path, self.to_frame().to_csv(index=False).encode())
        return path

    def to_parquet(self, path: str | Path) -> Path:
        """Write `to_frame` as Parquet."""
        path = Path(path)
        write_atomically(path, self.to_frame().to_parquet(index=False))
        return path

    def log_to(self, tracker: Tracker) -> None:
        """Log metrics with their intervals, verdicts and files into an active run: `report.log_to(mlflow)`."""
        from auditkit import tracking

        tracking.log(self, tracker)

    def _repr_html_(self) -> str:
        from auditkit.rendering.notebook import summary

        return summary(self)

    def gate(self, rules: Sequence[Rule | Mapping[str, Any]], *, baseline: AuditReport | None = None) -> Verdicts:
        """Judge this report: one verdict per rule and measurement matched."""
        from auditkit.gate import evaluate

        return evaluate(self, rules, baseline=baseline)

    def check(self, rules: Sequence[Rule | Mapping[str, Any]], *, baseline: AuditReport | None = None) -> Verdicts:
        """Like `gate`, but raises GateFailed unless the gate passes, no probe crashed and something was measured."""
        from auditkit import conclusion

        verdicts = self.gate(rules, baseline=baseline)
        judged = replace(self, verdicts=tuple(verdicts))
        if conclusion.exit_code(judged):
            raise GateFailed(verdicts, conclusion.incomplete(judged))
        return verdicts


def items_path(report: Path) -> Path:
    """Where the item scores of `report` (a .json path) are kept."""
    return report.with_name(report.stem + ".items.parquet")


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` by `content`, or leave it as it was.

    Raises:
        ReportError: the file cannot be written (disk full, no permission).
    """
    write_together({path: content})


def write_together(files: Mapping[Path, bytes]) -> None:
    """Replace all files or none: each is written in full beside its target before the first one is replaced.

    A folder that is not there is created.

    Raises:
        ReportError: one cannot be written (disk full, no permission).
    """
    staged: dict[Path, Path] = {}
    path = Path()
    try:
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
            with temporary.open("xb") as f:  # as any new file: what the umask forbids, nobody may
                staged[path] = temporary
                f.write(content)
                f.flush()
                os.fsync(f.fileno())
        for path, temporary in staged.items():
            temporary.replace(path)
    except OSError as e:
        raise ReportError(f"cannot write {path}: {e.strerror or e}; the old file, if any, is intact") from e
    finally:
        for temporary in staged.values():
            temporary.unlink(missing_ok=True)


def _read_json(path: Path) -> dict[str, Any]:
    from auditkit.integrity import canonical  # it needs this module

    try:
        data = canonical.parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise ReportError(f"no report at {path}; `auditkit run` writes one") from e
    except canonical.UNREADABLE as e:
        raise ReportError(f"{path} is not a readable report: {e or type(e).__name__}; run the audit again") from e
    if not isinstance(data, dict):
        raise ReportError(f"{path} is not a report: expected a JSON object, found {type(data).__name__}")
    return data


def _read_items(path: Path) -> pd.DataFrame | None:
    """The sidecar; absent is fine, damaged is not."""
    if not path.exists():
        return None
    with extras.explained():
        import pandas as pd
        import pyarrow

    try:
        table = pd.read_parquet(path)
        problem = next(_item_problems(table), None)  # reads on: a text that is no UTF-8 shows only here
    except (OSError, ValueError, LookupError, TypeError, ArithmeticError, MemoryError, pyarrow.ArrowException) as e:
        why = " ".join(str(e).split()) or type(e).__name__
        raise ReportError(f"{path} is damaged: {why}; run the audit again") from e
    if problem:
        raise ReportError(f"{path} is damaged: {problem}; run the audit again")
    return table


def _item_problems(table: pd.DataFrame) -> Iterator[str]:
    """What is wrong with a table of item scores; see `auditkit.probes.base.ItemScore`."""
    import numpy as np

    if missing := [column for column in ITEM_COLUMNS if column not in table]:
        yield f"it has no column {', '.join(missing)}"
        return
    for column in ("measurement", "item", "cluster"):
        if not all(isinstance(text, str) for text in table[column]):
            yield f"its column {column} holds something else than text"
    for column in ("value", "x"):
        if table[column].dtype != np.float64:
            yield f"its column {column} is of type {table[column].dtype}; expected float64"
            return
    if not np.isfinite(table["value"].to_numpy()).all():
        yield "a value is not a finite number"
    if np.isinf(table["x"].to_numpy()).any():
        yield "an x is infinite"
