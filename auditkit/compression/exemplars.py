"""Compression-identified exemplars: the texts whose prediction a compressed model changes, and whose texts they are.

Hooker et al. (2019), "What do compressed deep neural networks forget?"; Hooker et al. (2020), "Characterising bias in
compressed models". A classifier's exemplars are the texts whose label changes. A language model changes some
prediction in nearly every text; its exemplars are the tenth of all texts whose loss rises most.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from auditkit.compression.answers import Answers
from auditkit.compression.findings import HOOKER, Findings, Floats, share_interval
from auditkit.compression.quality import Exam
from auditkit.compression.texts import Bools
from auditkit.fairness.bootstrap import pairwise_ratios, wilson_bounds
from auditkit.measurement import Interval
from auditkit.stats import holm

WORST_SHARE = 0.1
SHOWN_CHARACTERS = 200
Z95 = 1.959963984540054

SOURCE = f"{HOOKER}; Hooker et al. (2020), https://arxiv.org/abs/2010.03058"


def add_exemplars(findings: Findings, exam: Exam, dense: Answers, point: Answers, *, shown: int, redact: bool) -> None:
    """The share of texts with a changed prediction, the exemplars themselves, and how often each group is among them.

    Args:
        findings: where they go.
        exam: what was asked.
        dense: the dense model's answers.
        point: the compressed model's.
        shown: how many exemplars to list, those with the largest loss first.
        redact: list a text as its beginning, length and hash.
    """
    text = exam.questions.text
    counts = np.bincount(text, minlength=len(exam.texts))
    asked = counts > 0
    changes = np.bincount(text, dense.top != point.top, minlength=len(exam.texts))
    rise = np.bincount(text, dense.logprobs - point.logprobs, minlength=len(exam.texts)) / np.maximum(counts, 1)
    exemplar = _exemplars(exam, changes > 0, rise, asked)
    worst = sorted(np.flatnonzero(exemplar).tolist(), key=lambda i: -rise[i])[:shown]
    details = {
        "exemplars": int(exemplar.sum()),
        "which": "label changes" if exam.kind == "accuracy" else "loss rises most (a tenth of the texts)",
        "shown": [_shown(exam, i, float(rise[i]), int(changes[i]), redact=redact) for i in worst],
    }
    hits, clusters = np.where(changes > 0, 100.0, 0.0)[asked], np.array(exam.texts.clusters)[asked]
    findings.add(
        "changed_texts", float(hits.mean()), interval=share_interval(hits, clusters, findings.rng("changed_texts")),
        n=len(hits), unit="%", ideal=0.0, method="share of texts with a prediction that is not the dense model's",
        source=SOURCE, details=details,
    )  # fmt: skip
    ids = [exam.texts.ids[i] for i in np.flatnonzero(asked)]
    findings.add_items("changed_texts", list(zip(ids, hits.tolist(), clusters.tolist(), strict=True)))
    _add_groups(findings, exam, exemplar, asked)


def over_representation(inside: tuple[int, int], outside: tuple[int, int]) -> tuple[float, Interval]:
    """How many times as often a text of a group is an exemplar as one of no such group, with its interval.

    Half an item is added on each side (Walter, 1975, Biometrika 62(2)), so that a group without any has a ratio too.
    The interval is that of its logarithm (Katz et al., 1978, Biometrics 34(3)), widened to Donner and Zou's (2012) of
    the shares as they are: where one exemplar of a group is expected the first alone covers 86 to 92 %.

    Args:
        inside: (exemplars, texts) of the group.
        outside: (exemplars, texts) of all others.
    """
    (a, n), (b, m) = inside, outside
    ratio = ((a + 0.5) / (n + 0.5)) / ((b + 0.5) / (m + 0.5))
    error = math.sqrt(max(0.0, 1 / (a + 0.5) - 1 / (n + 0.5) + 1 / (b + 0.5) - 1 / (m + 0.5)))
    low, high = (ratio * math.exp(sign * Z95 * error) for sign in (-1, 1))
    hits, of = np.array([a, b]), np.array([n, m])
    lows, highs = pairwise_ratios(hits / of, wilson_bounds(hits, of, Z95))
    high = max(high, float(highs[0, 1])) if math.isfinite(highs[0, 1]) else high
    return ratio, Interval(
        min(low, float(lows[0, 1])), high, method="ratio of shares, the wider of Katz and Donner-Zou"
    )


def _exemplars(exam: Exam, changed: Bools, rise: Floats, asked: Bools) -> Bools:
    if exam.kind == "accuracy":
        return changed
    limit = float(np.quantile(rise[asked], 1 - WORST_SHARE))
    return asked & (rise > 0) & (rise >= limit)


def _add_groups(findings: Findings, exam: Exam, exemplar: Bools, asked: Bools) -> None:
    """Each group against everybody else, by Fisher's test, with Holm's correction over the groups."""
    from scipy import stats as distributions

    tables = []
    for group, members in exam.texts.members().items():
        inside, outside = members & asked, ~members & asked
        if not (inside.any() and outside.any()):
            continue
        counts = [(int(exemplar[side].sum()), int(side.sum())) for side in (inside, outside)]
        p = distributions.fisher_exact([[k, size - k] for k, size in counts]).pvalue
        tables.append((group, counts[0], counts[1], float(p)))
    adjusted = holm([p for _, _, _, p in tables]).tolist() if tables else []
    for (group, (hits, n), others, p), p_holm in zip(tables, adjusted, strict=True):
        name, method = f"group={group}/exemplar_ratio", "share of exemplars in the group over that in all others"
        if not exemplar.any():
            findings.undefined(name, "there are no exemplars", method=method, source=SOURCE, ideal=1.0)
            continue
        ratio, interval = over_representation((hits, n), others)
        details = {"exemplars": hits, "others": others[0], "p_value": p, "p_value_holm": p_holm}
        findings.add(
            name, ratio, interval=interval, n=n + others[1], ideal=1.0, method=method, source=SOURCE,
            details=details | {"group": group, "texts": n, "comparisons": len(tables)},
        )  # fmt: skip


def _shown(exam: Exam, i: int, rise: float, changes: int, *, redact: bool) -> dict[str, Any]:
    from auditkit.privacy.records import Record

    text = Record(exam.texts.texts[i]).shown(redact=redact)
    short = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
    row = {"item": exam.texts.ids[i], "text": short, "loss_rise": rise, "changed_answers": changes}
    return row | {"groups": exam.texts.group_of(i)}
