"""The gate: rules judge a report, and a verdict never says more than its interval allows.

    PASS          the whole interval lies inside the limit
    FAIL          the whole interval lies outside
    INCONCLUSIVE  it straddles the limit, or lies inside and leaves groups out: the data cannot tell; blocks, unless the
                  rule says `on_inconclusive: warn`
    ERROR         there is nothing to judge: no value, no interval, no such measurement, no baseline

A null, a model exactly at the limit, fails a 95 % interval in 2.5 % of the runs. A pattern that matches k measurements
gives k chances, so their intervals are widened to hold jointly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from fnmatch import fnmatchcase
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal, overload

from auditkit.coherence import silent
from auditkit.errors import ConfigError, ReportError, UnknownName
from auditkit.group_doubts import group_doubts
from auditkit.measurement import Interval, Measurement, is_finite, refuse_wrong_types
from auditkit.rendering.formatting import shortened
from auditkit.worsening import Comparison, NotJudged

if TYPE_CHECKING:
    from auditkit.report import AuditReport, ProbeRun

Outcome = Literal["PASS", "FAIL", "INCONCLUSIVE", "ERROR"]
SEVERITY: tuple[Outcome, ...] = ("PASS", "INCONCLUSIVE", "FAIL", "ERROR")
CRITERIA = {
    "min": "limits",
    "max": "limits",
    "equivalent_to": "equivalence",
    "margin": "equivalence",
    "max_worsening": "worsening",
}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One limit. Exactly one criterion: `min` and/or `max`, or `equivalent_to` with `margin`, or `max_worsening`.

    Attributes:
        measurement: the id that it judges, or a pattern such as `crows_pairs/*/metric_score`.
        min: the smallest value allowed.
        max: the largest value allowed.
        equivalent_to: a value that the measurement must be shown to equal, to within `margin`.
        margin: how far from `equivalent_to` still counts as equal.
        max_worsening: how much farther from its ideal than in the baseline report the measurement may be.
        on_inconclusive: whether an inconclusive verdict blocks ("fail") or not ("warn").
        small_groups: "ignore" judges a difference or ratio of groups without those that are too small to be compared;
            otherwise it does not pass while any group of at least two people was left out.
        reason: why this limit; shown in the report.

    Raises:
        ConfigError: all that is wrong with the rule.
    """

    measurement: str
    min: float | None = None
    max: float | None = None
    equivalent_to: float | None = None
    margin: float | None = None
    max_worsening: float | None = None
    on_inconclusive: Literal["fail", "warn"] = "fail"
    small_groups: Literal["ignore"] | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise ConfigError(problems, where=f"rule {self.measurement!r}")

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Rule:
        """A rule as audit.yaml writes it.

        Raises:
            ConfigError: unknown keys, with what was probably meant, and whatever else is wrong.
        """
        if not isinstance(data, Mapping):
            raise ConfigError([f"expected keys and values, given {data!r}"], where="rule")
        known = [f.name for f in fields(cls)]
        where = f"rule {data.get('measurement', '?')!r}"
        problems = [str(UnknownName("key", str(key), known)) for key in data if key not in known]
        if "measurement" not in data:
            problems.append("no 'measurement'; give an id or a pattern, e.g. measurement: crows_pairs/*/metric_score")
        given = {key: data[key] for key in known if key in data}
        try:
            rule = cls(**{"measurement": "?", **given})
        except ConfigError as e:
            raise ConfigError(problems + e.problems, where=where) from e
        if problems:
            raise ConfigError(problems, where=where)
        return rule

    def to_json(self) -> dict[str, Any]:
        """The keys that were given, as audit.yaml writes them."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @property
    def limit(self) -> str:
        """The criterion in a few characters: `<= 55`, `45 to 55`, `50 ± 3`, `worse by <= 2`."""
        if self.max_worsening is not None:
            return f"worse by <= {self.max_worsening:g}"
        if self.equivalent_to is not None:
            return f"{self.equivalent_to:g} ± {self.margin:g}"
        if self.min is not None and self.max is not None:
            return f"{self.min:g} to {self.max:g}"
        return f"<= {self.max:g}" if self.max is not None else f">= {self.min:g}"

    @property
    def allowed(self) -> tuple[float, float]:
        """The range allowed to the judged value (for `max_worsening`: to the worsening), ends included."""
        if self.max_worsening is not None:
            return -math.inf, self.max_worsening
        if self.equivalent_to is not None and self.margin is not None:
            return self.equivalent_to - self.margin, self.equivalent_to + self.margin
        return -math.inf if self.min is None else self.min, math.inf if self.max is None else self.max


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What one rule says about one measurement.

    Attributes:
        rule: the rule.
        measurement: the id judged, or the rule's pattern where it matches nothing.
        outcome: "PASS", "FAIL", "INCONCLUSIVE" or "ERROR".
        value: the value judged: the measurement's, or its worsening against the baseline; None for an error.
        interval: the interval judged, widened where the rule judges several measurements.
        n: how many items it rests on.
        limit: the rule's criterion in a few characters.
        explanation: one plain sentence.
        blocking: whether this verdict keeps the gate shut.
    """

    rule: Rule
    measurement: str
    outcome: Outcome
    value: float | None = None
    interval: Interval | None = None
    n: int = 0
    limit: str
    explanation: str
    blocking: bool

    def __str__(self) -> str:
        return f"{self.outcome:<12} {self.measurement} ({self.limit}): {self.explanation}"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `from_json` gives back an equal Verdict."""
        interval = None if self.interval is None else asdict(self.interval)
        shallow = {f.name: getattr(self, f.name) for f in fields(self)}
        return shallow | {"rule": self.rule.to_json(), "interval": interval}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Verdict:
        """Inverse of `to_json`.

        Raises:
            ReportError: a key is missing or unknown, or a value is damaged.
        """
        try:
            interval = None if data["interval"] is None else Interval(**data["interval"])
            verdict = cls(**{**data, "rule": Rule.from_mapping(data["rule"]), "interval": interval})
            refuse_wrong_types(verdict, _VERDICT_TYPES)
        except (KeyError, TypeError, ValueError, AttributeError, ConfigError) as e:
            raise ReportError(f"a verdict is damaged: {type(e).__name__}: {e}; judge the report again") from e
        if problem := next(_contradictions(verdict), None):
            raise ReportError(f"a verdict is damaged: on {verdict.measurement!r}, {problem}; judge the report again")
        return verdict


_VERDICT_TYPES = {
    "measurement": str,
    "outcome": str,
    "value": int | float | None,
    "n": int,
    "limit": str,
    "explanation": str,
    "blocking": bool,
}


def _contradictions(verdict: Verdict) -> Iterator[str]:
    """What no rule could have said."""
    if verdict.outcome not in SEVERITY:
        yield f"outcome {verdict.outcome!r}"
        return
    if verdict.limit != verdict.rule.limit:
        yield f"limit {verdict.limit!r}, and its rule's is {verdict.rule.limit!r}"
    open_questions = verdict.outcome == "INCONCLUSIVE" and verdict.rule.on_inconclusive == "fail"
    if verdict.blocking != (verdict.outcome in ("FAIL", "ERROR") or open_questions):
        yield f"{verdict.outcome} that is said {'' if verdict.blocking else 'not '}to block"
    if verdict.outcome == "ERROR":
        yield from () if verdict.value is None else ("an ERROR with a value",)
    elif verdict.value is None or verdict.interval is None or verdict.n < 1:
        yield f"{verdict.outcome} without value, interval or items"
    elif verdict.outcome != "INCONCLUSIVE" and verdict.outcome != _outcome(verdict.interval, *verdict.rule.allowed):
        yield f"{verdict.outcome}, and its interval is not {'inside' if verdict.outcome == 'PASS' else 'outside'}"


@dataclass(frozen=True)
class Verdicts(Sequence[Verdict]):
    """The verdicts of all rules, in their order; printed, one line each."""

    verdicts: tuple[Verdict, ...]

    @overload
    def __getitem__(self, index: int) -> Verdict: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Verdict, ...]: ...
    def __getitem__(self, index: int | slice) -> Verdict | tuple[Verdict, ...]:
        return self.verdicts[index]

    def __len__(self) -> int:
        return len(self.verdicts)

    def __str__(self) -> str:
        return "\n".join(str(v) for v in self)

    @property
    def outcome(self) -> Outcome:
        """The worst of all; PASS where there is no rule."""
        return max((v.outcome for v in self), key=SEVERITY.index, default="PASS")

    @property
    def exit_code(self) -> int:
        """3 where a rule could not be judged, else 1 where a verdict blocks, else 0."""
        if self.outcome == "ERROR":
            return 3
        return int(any(v.blocking for v in self))


def evaluate(
    report: AuditReport, rules: Sequence[Rule | Mapping[str, Any]], *, baseline: AuditReport | None = None
) -> Verdicts:
    """Judge a report: one verdict per rule and measurement that it matches.

    Args:
        report: what to judge.
        rules: `Rule`s, or mappings as audit.yaml writes them.
        baseline: the report that `max_worsening` compares with, item by item.

    Raises:
        ConfigError: every problem of every rule.
    """
    comparison = Comparison(report, baseline)
    verdicts: list[Verdict] = []
    for rule in _as_rules(rules):
        matched = matches(report, rule.measurement)
        if not matched:
            verdicts.append(_error(rule, rule.measurement, _no_match(report, rule.measurement)))
        verdicts += [_judge(rule, m, len(matched), comparison) for m in matched]
        if matched and matched[0].id != rule.measurement:  # a pattern is about every probe that the run promised
            verdicts += [_error(rule, run.probe, _why_silent(run)) for run in silent(report, rule.measurement, matched)]
    return Verdicts(tuple(verdicts))


def _judge(rule: Rule, m: Measurement, k: int, comparison: Comparison) -> Verdict:
    """The verdict on one of the k measurements that a rule matches."""
    try:
        if rule.max_worsening is None:
            (value, interval, n), note = _measured(m), ""
            possible = (0.0, 100.0) if m.unit == "%" else (-math.inf, math.inf)
        else:
            value, interval, n, note = comparison.worsening(m)
            possible = (-math.inf, math.inf)
    except NotJudged as e:
        return _error(rule, m.id, str(e))
    if k > 1 and interval.low < interval.high:
        interval = _family_wise(value, interval, k, possible)
        note += f"; interval widened for the {k} measurements that this rule judges (Bonferroni)"
    told = _outcome(interval, *rule.allowed)
    doubts = group_doubts(m, small_groups_count=rule.small_groups != "ignore")
    outcome: Outcome = "INCONCLUSIVE" if told == "PASS" and doubts else told
    return Verdict(
        rule=rule,
        measurement=m.id,
        outcome=outcome,
        value=value,
        interval=interval,
        n=n,
        limit=rule.limit,
        explanation=_explanation(rule, value, interval, m.unit, told) + note + doubts + ".",
        blocking=outcome == "FAIL" or (outcome == "INCONCLUSIVE" and rule.on_inconclusive == "fail"),
    )


def _measured(m: Measurement) -> tuple[float, Interval, int]:
    if m.value is None:
        raise NotJudged(f"is {m.status}: {m.details.get('reason', 'no reason given')}")
    if m.interval is None:
        raise NotJudged("has no interval, so it cannot be told from chance (an exact quantity has one of zero width)")
    return m.value, m.interval, m.n


def _outcome(interval: Interval, low: float, high: float) -> Outcome:
    if low <= interval.low and interval.high <= high:
        return "PASS"
    return "FAIL" if interval.high < low or high < interval.low else "INCONCLUSIVE"


def _family_wise(value: float, interval: Interval, k: int, possible: tuple[float, float]) -> Interval:
    """The interval stretched about the value so that k of them hold jointly (Bonferroni, normal approximation)."""
    alpha = 1 - interval.level
    if alpha == 0:  # bounds that always hold
        return interval
    z = NormalDist().inv_cdf
    factor = z(1 - alpha / (2 * k)) / z(1 - alpha / 2)
    centre = min(max(value, interval.low), interval.high)
    low, high = (centre + factor * (end - centre) for end in (interval.low, interval.high))
    # Never cut inside of the interval itself.
    low, high = max(low, min(possible[0], interval.low)), min(high, max(possible[1], interval.high))
    return Interval(low, high, 1 - alpha / k, f"{interval.method}, widened for {k} (Bonferroni)")


def _explanation(rule: Rule, value: float, interval: Interval, unit: str, outcome: Outcome) -> str:
    where = {"PASS": "wholly inside", "FAIL": "wholly outside", "INCONCLUSIVE": "partly outside"}[outcome]
    subject = "the worsening against the baseline" if rule.max_worsening is not None else "the value"
    unit = f" {unit}" if unit else ""
    if interval.low == interval.high:
        return f"{subject}, {value:.4g}{unit}, is exact and {where.split()[1]} the limit"
    return f"{subject} is {value:.4g}{unit}, its interval {interval.low:.4g} to {interval.high:.4g} {where} the limit"


def _error(rule: Rule, measurement: str, why: str) -> Verdict:
    return Verdict(
        rule=rule, measurement=measurement, outcome="ERROR", limit=rule.limit, explanation=f"{why}.", blocking=True
    )


def matches(report: AuditReport, pattern: str) -> list[Measurement]:
    """The measurement of this id, else those that fit the pattern."""
    exact = [m for m in report.measurements if m.id == pattern]
    return exact or [m for m in report.measurements if fnmatchcase(m.id, pattern)]


def _no_match(report: AuditReport, pattern: str) -> str:
    """Why a rule has nothing to judge; where the probe that it names did not run, the probe's own reason."""
    for run in report.runs:
        if run.probe == pattern.split("/")[0] and run.status != "ok":
            return _why_silent(run)
    return "matches no measurement of this report"


def _why_silent(run: ProbeRun) -> str:
    return "its probe gave no value" if run.status == "ok" else f"its probe is {run.status}: {run.reason}"


def _as_rules(rules: Sequence[Rule | Mapping[str, Any]]) -> list[Rule]:
    """All rules, or one error that names every problem of every rule."""
    good, problems = [], []
    for rule in rules:
        try:
            good.append(rule if isinstance(rule, Rule) else Rule.from_mapping(rule))
        except ConfigError as e:
            problems += str(e).splitlines()
    if problems:
        raise ConfigError(problems, where="gate")
    return good


def _problems(rule: Rule) -> Iterator[str]:
    """Everything that is wrong with a rule, one line each."""
    if not isinstance(rule.measurement, str) or not rule.measurement:
        yield f"measurement {rule.measurement!r}; expected an id or a pattern"
    given = {name: getattr(rule, name) for name in CRITERIA if getattr(rule, name) is not None}
    numbers = {name: value for name, value in given.items() if _is_number(value)}
    yield from (_not_a_number(name, value) for name, value in given.items() if name not in numbers)
    if len({CRITERIA[name] for name in given}) != 1:
        named = ", ".join(given) or "none"
        yield f"expected one criterion: min and/or max, or equivalent_to with margin, or max_worsening; given {named}"
    if ("equivalent_to" in given) != ("margin" in given):
        yield "equivalent_to and margin belong together; give both"
    if numbers.get("min", -math.inf) > numbers.get("max", math.inf):
        yield f"min {rule.min} is above max {rule.max}"
    for name in ("margin", "max_worsening"):
        if numbers.get(name, 0) < 0:
            yield f"{name} {numbers[name]}; expected 0 or more"
    if rule.on_inconclusive not in ("fail", "warn"):
        yield f"on_inconclusive {rule.on_inconclusive!r}; expected 'fail' or 'warn'"
    if rule.small_groups not in (None, "ignore"):
        yield f"small_groups {rule.small_groups!r}; expected 'ignore', or no such key"
    if not isinstance(rule.reason, str):
        yield f"reason {rule.reason!r}; expected text"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and is_finite(value)


def _not_a_number(name: str, value: Any) -> str:
    """What is wrong with a limit; for what only YAML 1.1 does not read as a number, how to write it."""
    hint = ""
    if isinstance(value, bool):
        hint = ": YAML reads yes, no, on and off as true and false"
    elif isinstance(value, str) and (written := _as_yaml(value)):
        hint = f", and this is text: write {written}, without quotes"
    return f"{name} {shortened(repr(value), 60)}; expected a finite number{hint}"


def _as_yaml(text: str) -> str:
    """The number that a text looks like, as YAML 1.1 wants it, with a dot before an exponent; "" where it is none."""
    try:
        number = float(text)
    except ValueError:
        return ""
    if not math.isfinite(number):
        return ""
    mantissa, exponent, power = repr(number).removesuffix(".0").partition("e")
    return f"{mantissa if '.' in mantissa or not exponent else mantissa + '.0'}{exponent}{power}"
