"""How good a model is on some texts, and how much worse than the dense one: overall and in each group.

The loss is -log p of each token asked about (nats), or, of a classifier, 100 for each wrong label (so that a mean is
an error rate in percent). A change of it is paired, question by question, and texts of one cluster count as one draw.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from auditkit import stats
from auditkit.compression.answers import Answers, Questions
from auditkit.compression.findings import (
    FLIPS,
    HOOKER,
    TOST,
    Findings,
    Floats,
    Labels,
    change_interval,
    mean_interval,
    p_value,
    share_interval,
)
from auditkit.compression.texts import Bools, Texts
from auditkit.errors import DataError
from auditkit.measurement import Interval

FEW_FLIPS = 10  # changed answers below which a t test of their mean is not to be trusted
ALPHA = 0.05

Kind = Literal["perplexity", "pseudo_perplexity", "accuracy"]
Verdict = Literal["equivalent", "better", "worse", "inconclusive"]

KINDS: dict[str, Kind] = {"masked-lm": "pseudo_perplexity", "classifier": "accuracy"}
MARGINS = {"perplexity": 0.05, "pseudo_perplexity": 0.05, "accuracy": 2.0}
SOURCES = {
    "perplexity": "Jelinek et al. (1977), J. Acoust. Soc. Am. 62(S1)",
    "pseudo_perplexity": "Salazar et al. (2020), https://aclanthology.org/2020.acl-main.240",
    "accuracy": HOOKER,
}
METHODS = {
    "perplexity": "-log p of each token given those before it, mean over tokens",
    "pseudo_perplexity": "-log p of each of a random 15 % of the tokens, masked alone, mean over tokens",
    "accuracy": "share of texts whose most probable label is the true one",
}


@dataclass(frozen=True, slots=True)
class Exam:
    """What every point is asked.

    Attributes:
        texts: what is read.
        questions: what is asked about them.
        kind: how quality is measured.
        margin: the largest change of the loss that counts as none, in nats per token or percentage points.
    """

    texts: Texts
    questions: Questions
    kind: Kind
    margin: float

    @property
    def clusters(self) -> Labels:
        """(R,) the cluster of each question."""
        return np.array(self.texts.clusters)[self.questions.text]

    @property
    def unit(self) -> str:
        """Of a change of the loss."""
        return "percentage points" if self.kind == "accuracy" else "nats per token"

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The least and greatest possible change of the loss, where there are."""
        return (-100.0, 100.0) if self.kind == "accuracy" else None

    def losses(self, answers: Answers) -> Floats:
        """(R,) of one model."""
        if self.kind == "accuracy":
            return np.where(answers.top == self.questions.truth, 0.0, 100.0)
        return -answers.logprobs

    def asked(self, members: Bools) -> Bools:
        """(R,) whether a question is about one of these texts."""
        return members[self.questions.text]

    def items(self, values: Floats, chosen: Bools) -> list[tuple[str, float, str]]:
        """(text id, value, cluster) of each text asked about, so that their mean is that of the chosen questions."""
        text, values = self.questions.text[chosen], values[chosen]
        texts, place = np.unique(text, return_inverse=True)
        sums = np.bincount(place, values) * (len(texts) / len(values))
        ids, clusters = self.texts.ids, self.texts.clusters
        return [(ids[t], float(v), clusters[t]) for t, v in zip(texts.tolist(), sums, strict=True)]


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Whether a point is as good as the dense model.

    Attributes:
        verdict: "equivalent" to within the margin; "better" or "worse", the whole interval of the change being on
            that side; else "inconclusive".
        p_value: of the two one-sided tests; None where they cannot be made.
        method: how it was found out.
    """

    verdict: Verdict
    p_value: float | None
    method: str


def add_level(findings: Findings, exam: Exam, answers: Answers, *, group: str = "") -> None:
    """How good one model is, on all texts or on those of one group."""
    chosen = _chosen(exam, group)
    prefix = f"group={group}/" if group else ""
    if not chosen.any():
        return
    losses, clusters, n = exam.losses(answers), exam.clusters[chosen], int(chosen.sum())
    source, method = SOURCES[exam.kind], METHODS[exam.kind]
    if exam.kind == "accuracy":
        name, right = f"{prefix}accuracy", 100 - losses
        interval = share_interval(right[chosen], clusters, findings.rng(name))
        findings.add(
            name, float(right[chosen].mean()), interval=interval, n=n, unit="%", ideal=100.0, method=method,
            source=source,
        )  # fmt: skip
        findings.add_items(name, exam.items(right, chosen))
        return
    name = f"{prefix}loss"
    mean = float(losses[chosen].mean())
    interval = mean_interval(losses[chosen], clusters, findings.rng(name), None)
    about: dict[str, Any] = {"n": n, "source": source}
    findings.add(name, mean, interval=interval, unit="nats per token", ideal=0.0, method=method, **about)
    findings.add_items(name, exam.items(losses, chosen))
    name = f"{prefix}{exam.kind}"
    if mean > 700:  # its exponential is beyond a float
        findings.undefined(name, f"exp({mean:.0f}) is too large a number", method=f"exp of: {method}", source=source)
        return
    ends = None if interval is None else _exponential(interval)
    findings.add(name, math.exp(mean), interval=ends, ideal=1.0, method=f"exp of: {method}", **about)


def add_change(findings: Findings, exam: Exam, dense: Answers, point: Answers, *, group: str = "") -> Equivalence:
    """How much worse a point is than the dense model, and whether it is as good."""
    chosen, name = _chosen(exam, group), f"group={group}/quality_loss" if group else "quality_loss"
    method = f"paired change of: {METHODS[exam.kind]}"
    if not chosen.any():
        findings.undefined(name, "no text of this group has a question", method=method, source=HOOKER, ideal=0.0)
        return Equivalence("inconclusive", None, "no text")
    change = exam.losses(point) - exam.losses(dense)
    clusters = exam.clusters[chosen]
    identical = np.array_equal(dense.logprobs[chosen], point.logprobs[chosen])
    bounds = None if identical else exam.bounds
    interval = change_interval(change[chosen], clusters, findings.rng(name), bounds)
    found = equivalence(change[chosen], clusters, exam, interval, identical=identical)
    value = float(change[chosen].mean())
    details: dict[str, Any] = {"verdict": found.verdict, "margin": exam.margin, "equivalence_p_value": found.p_value}
    details |= {"equivalence": found.method, "texts": len(np.unique(exam.questions.text[chosen]))}
    details |= {"group": group, "candidate": "group"} if group else {}
    details |= {} if interval is None else {"p_value": p_value(value, interval)}
    findings.add(
        name, value, interval=interval, n=int(chosen.sum()), unit=exam.unit, ideal=0.0, method=method,
        source=HOOKER if group else TOST, details=details,
    )  # fmt: skip
    findings.add_items(name, exam.items(change, chosen))
    return found


def add_agreement(findings: Findings, exam: Exam, dense: Answers, point: Answers) -> None:
    """How often the most probable answer is the dense model's, how often its being right changes, and how far apart
    the distributions are.
    """
    same = np.where(dense.top == point.top, 100.0, 0.0)
    right = [a.top == exam.questions.truth for a in (dense, point)]
    flipped = np.where(right[0] != right[1], 100.0, 0.0)
    turned = {"lost": int((right[0] & ~right[1]).sum()), "gained": int((right[1] & ~right[0]).sum())}
    if len(set(exam.clusters.tolist())) == len(same):
        turned["p_value"] = stats.mcnemar(*right).p_value  # type: ignore[assignment]
    everything = np.ones(len(same), dtype=bool)
    for name, values, ideal, method, details in (
        ("agreement", same, 100.0, "share of questions with the dense model's most probable answer", {}),
        ("answer_flips", flipped, 0.0, "share of answers that become wrong, or become right", turned),
    ):
        findings.add(
            name, float(values.mean()), interval=share_interval(values, exam.clusters, findings.rng(name)),
            n=len(values), unit="%", ideal=ideal, method=method, source=FLIPS, details=details,
        )  # fmt: skip
        findings.add_items(name, exam.items(values, everything))
    _add_divergence(findings, exam, dense, point)


def _add_divergence(findings: Findings, exam: Exam, dense: Answers, point: Answers) -> None:
    kept = np.arange(0) if dense.table is None else dense.table.kept
    about: dict[str, Any] = {"unit": "nats", "ideal": 0.0, "source": FLIPS}
    about["method"] = f"mean of KL(dense || point) over {len(kept)} of {len(exam.questions.truth)} questions"
    if not np.isfinite(point.divergence).all():
        reason = "the point rules out an answer that the dense model holds possible: the divergence is infinite"
        findings.undefined("divergence", reason, **about)
        return
    clusters = exam.clusters[kept]
    interval = change_interval(point.divergence, clusters, findings.rng("divergence"), None)
    if interval is not None:
        interval = Interval(max(0.0, interval.low), interval.high, interval.level, interval.method)
    findings.add("divergence", float(point.divergence.mean()), interval=interval, n=len(kept), **about)


def equivalence(
    change: Floats, clusters: Labels, exam: Exam, interval: Interval | None, *, identical: bool
) -> Equivalence:
    """Whether a mean change is within the margin, on either side.

    Few changed answers say little about their spread, so fewer than ten are judged by the binomial distribution: as
    many would have to be lost, or won, as the margin allows.
    """
    if identical:
        return Equivalence("equivalent", 0.0, "identical answers")
    if exam.kind == "accuracy" and (change != 0).sum() < FEW_FLIPS:
        _, place = np.unique(clusters, return_inverse=True)
        net = np.bincount(place, change).astype(np.float64)
        p, method = _binomial(net, exam.margin), "binomial test of the answers lost, and of those won"
    else:
        method = "two one-sided t tests, by clusters"
        try:
            p = stats.tost(change, low=-exam.margin, high=exam.margin, clusters=clusters).p_value
        except DataError as e:
            return Equivalence("inconclusive", None, str(e))
    if p < ALPHA:
        return Equivalence("equivalent", p, method)
    low, high = (0.0, 0.0) if interval is None else (interval.low, interval.high)
    return Equivalence("worse" if low > 0 else "better" if high < 0 else "inconclusive", p, method)


def _binomial(net: Floats, margin: float) -> float:
    """The larger p-value of "a share of `margin` percent or more is lost" and of the same being won."""
    from scipy import stats as distributions

    share = min(margin / 100, 1.0)
    lost, won = int((net > 0).sum()), int((net < 0).sum())
    return max(float(distributions.binomtest(k, len(net), share, "less").pvalue) for k in (lost, won))


def _chosen(exam: Exam, group: str) -> Bools:
    if not group:
        return np.ones(len(exam.questions.truth), dtype=bool)
    return exam.asked(exam.texts.members()[group])


def _exponential(interval: Interval) -> Interval | None:
    if interval.high > 700:
        return None
    return Interval(math.exp(interval.low), math.exp(interval.high), interval.level, f"exp of: {interval.method}")
