"""Fairness tests inside a test suite of your own. pytest finds this plug-in by itself where auditkit is installed.

    from auditkit.pytest_plugin import assert_fair

    def test_credit_decisions():
        assert_fair(y_true, y_pred, sensitive_features=people[["sex", "age_group"]], max_difference=0.1)

    def test_predictions_file(audit):
        audit("predictions.csv", [GroupFairness(sensitive=["sex"])], gate=[{"measurement": ..., "max": 0.1}])

A test passes where the whole interval is inside the limit, and fails where it is outside. Where the data cannot tell,
it fails too, unless `on_inconclusive="warn"`; the message says how many people it would take.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pytest

from auditkit import conclusion
from auditkit.errors import DataError, InputError, UnknownName

if TYPE_CHECKING:
    import pandas as pd

    from auditkit.gate import Rule, Verdict
    from auditkit.models.protocols import Model
    from auditkit.probes.base import Probe
    from auditkit.report import AuditReport

# Beyond this, "so many people would decide it" is no advice.
MOST_PEOPLE = 1_000


class InconclusiveWarning(UserWarning):
    """The data could not tell whether a limit is kept."""


@pytest.fixture
def audit() -> Callable[..., AuditReport]:
    """`auditkit.audit` without files: a test fails where a verdict of `gate` blocks, with a message that says why.

    Called as `audit(model, probes, gate=[...], seed=0)`; returns the report.
    """
    return _audit


def _audit(
    model: str | Model,
    probes: Sequence[str | Probe],
    *,
    gate: Sequence[Rule | Mapping[str, Any]] = (),
    seed: int = 0,
) -> AuditReport:
    from auditkit.runner import audit as run

    report = run(model, probes, seed=seed, gate=gate)
    _conclude(report)
    return report


def assert_fair(
    y_true: Any,
    y_pred: Any,
    *,
    sensitive_features: Any,
    metric: str = "selection_rate",
    max_difference: float | None = None,
    min_ratio: float | None = None,
    positive: str | int = "",
    max_order: int = 3,
    groups_as_written: bool = False,
    on_inconclusive: Literal["fail", "warn"] = "fail",
    small_groups: Literal["ignore"] | None = None,
    seed: int = 0,
) -> AuditReport:
    """Fail the running test unless groups are shown to be treated alike, by every attribute and by attributes crossed.

    Args:
        y_true: (n,) the true outcomes.
        y_pred: (n,) the predicted ones.
        sensitive_features: a table or a mapping of (n,) columns that say who people are, or one column.
        metric: one of `auditkit.fairness.METRICS`.
        max_difference: how far apart the metric of two groups may be, from 0 to 1.
        min_ratio: how small the ratio of the metric of two groups may be, from 0 to 1.
        positive: the favourable outcome; may be left out where outcomes are 0/1 or true/false.
        max_order: how many attributes are crossed at most.
        groups_as_written: whether groups whose names differ in spelling only are different groups.
        on_inconclusive: whether the test fails where the data cannot tell, or only warns (`InconclusiveWarning`).
        small_groups: "ignore" passes although groups were left out as too small to be compared.
        seed: of the resamples.

    Returns:
        The report, for assertions of your own.

    Raises:
        DataError: not as many outcomes, predictions and features; or what `auditkit.fairness.read_people` raises.
        InputError: not exactly one of `max_difference` and `min_ratio`.
        UnknownName: no such metric.
    """
    from auditkit import plugins
    from auditkit.fairness import METRICS, Predictions
    from auditkit.runner import audit as run

    if metric not in METRICS:
        raise UnknownName("metric", metric, METRICS)
    if (max_difference is None) == (min_ratio is None):
        raise InputError("assert_fair: give either max_difference, e.g. 0.1, or min_ratio, e.g. 0.8")
    table = _table(y_true, y_pred, sensitive_features)
    sensitive = [str(c) for c in table.columns if c not in ("label", "prediction")]
    kind, limit = ("difference", {"max": max_difference}) if min_ratio is None else ("ratio", {"min": min_ratio})
    rule = {"measurement": f"group_fairness/*/{metric}_{kind}", "on_inconclusive": on_inconclusive, **limit}
    rule |= {} if small_groups is None else {"small_groups": small_groups}
    options = {"sensitive": sensitive, "positive": positive, "max_order": max_order}
    options["groups_as_written"] = groups_as_written
    probe = plugins.probe("group_fairness", options)
    report = run(Predictions(table, name="assert_fair"), [probe], seed=seed, gate=[rule])
    _conclude(report)
    return report


def _table(y_true: Any, y_pred: Any, sensitive_features: Any) -> pd.DataFrame:
    """All columns side by side, by position; an index that they may carry says nothing here."""
    import pandas as pd

    if isinstance(sensitive_features, pd.DataFrame | Mapping):
        features = {str(name): sensitive_features[name] for name in sensitive_features}
    else:
        features = {str(getattr(sensitive_features, "name", None) or "group"): sensitive_features}
    if taken := {"label", "prediction"} & set(features):
        raise DataError(f"sensitive_features has a column {taken.pop()!r}; give it another name")
    columns = {"label": list(y_true), "prediction": list(y_pred)} | {name: list(c) for name, c in features.items()}
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        given = ", ".join(f"{name}: {n}" for name, n in lengths.items())
        raise DataError(f"assert_fair: {given}; expected the same people in the same order in all of them")
    return pd.DataFrame(columns)


def _conclude(report: AuditReport) -> None:
    """Fail the test, or warn, as the verdicts ask for; wrong input raises its own error."""
    for m in report.measurements:
        if m.status == "error" and m.details.get("cause") == "input":
            raise DataError(str(m.details["reason"]))
    blocking = [v for v in report.verdicts if v.blocking]
    incomplete = conclusion.incomplete(report)
    if blocking or incomplete:
        lines = [*incomplete.splitlines(), *(explain(report, v) for v in blocking)]
        pytest.fail("\n\n".join(lines), pytrace=False)
    for v in report.verdicts:
        if v.outcome == "INCONCLUSIVE":
            warnings.warn(InconclusiveWarning(explain(report, v)), stacklevel=3)


def explain(report: AuditReport, verdict: Verdict) -> str:
    """One verdict as a developer needs it: what was found, between which groups, and what to do."""
    lines = [f"{verdict.outcome}: {verdict.measurement} must be {verdict.limit}", f"  {verdict.explanation}"]
    found = {m.id: m for m in report.measurements}
    details = found[verdict.measurement].details if verdict.measurement in found else {}
    probe = verdict.measurement.split("/")[0]
    for end in ("lowest", "highest"):
        m = found.get(f"{probe}/{details.get(end)}/{details.get('metric')}")
        if m is not None and m.value is not None and m.interval is not None:
            ends = f"{m.interval.low:.3f} to {m.interval.high:.3f}"
            lines.append(f"  {end:<8} {details[end]}: {m.value:.3f} ({ends}) of {m.n:,} people")
    if small := details.get("small_cells"):
        lines.append(f"  not compared, too few people: {', '.join(small)}")
    return "\n".join([*lines, *(f"  {line}" for line in _advice(verdict, details))])


def _advice(verdict: Verdict, details: Mapping[str, Any]) -> Iterator[str]:
    if verdict.outcome == "INCONCLUSIVE":
        yield from _people_needed(verdict)
    elif verdict.outcome == "FAIL":
        if flagged := details.get("flagged_groups"):
            yield f"differs from everybody else, after correction: {', '.join(flagged)}"
        yield "chance does not explain this: look at these groups' data and labels, or mitigate, then test again"


def _people_needed(verdict: Verdict) -> Iterator[str]:
    """How many more people would decide it, if the value stayed as it is: intervals shrink with the root of n."""
    if verdict.value is None or verdict.interval is None:
        return
    low, high = verdict.rule.allowed
    inside = low <= verdict.value <= high
    distance = min(abs(verdict.value - low), abs(verdict.value - high))
    reach = max(verdict.interval.high - verdict.value, verdict.value - verdict.interval.low)
    times = (reach / distance) ** 2 if distance else float("inf")
    if times > MOST_PEOPLE:
        yield "the value is at the limit: more people will hardly decide this; reconsider the limit"
    else:
        side = "inside" if inside else "outside"
        yield f"the data cannot tell; about {max(times, 1.1):.1f} times as many people would, if the value stays {side}"
