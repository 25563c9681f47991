"""What happens to a prediction when the words that an explanation names are taken away, or alone are left.

Comprehensiveness and sufficiency as DeYoung et al. (2020), "ERASER", ACL, define them: with r_k the ceil(k W) words of
highest value among W, and p the prediction as a probability,

    comprehensiveness  mean over k of p(text) - p(text without r_k); high is good
    sufficiency        mean over k of p(text) - p(r_k alone); low is good

for k = 1, 5, 10, 20 and 50 %. The same evaluations give the deletion and insertion curves (Petsiuk et al. 2018), whose
areas are low and high for a good explanation. All of it costs 12 evaluations a text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from auditkit.explain.attribution import Attributions
from auditkit.explain.baselines import baseline_vectors
from auditkit.explain.engine import Engine, Unit, everything
from auditkit.explain.questions import Question
from auditkit.models.protocols import Floats

FRACTIONS = (0.01, 0.05, 0.1, 0.2, 0.5)

Removal = Literal["baseline", "delete"]


@dataclass(frozen=True, slots=True)
class Curves:
    """What removing words does to n texts.

    Attributes:
        comprehensiveness, sufficiency: (n,) see the module.
        deletion, insertion: (n,) areas under the curves, over shares of the words from 0 to 1.
        deletion_curve, insertion_curve: (n, 7) the prediction with 0, 1, 5, 10, 20, 50 and 100 % of the words removed,
            or with only so many left.
        evaluations: how many times the model read each text, on average: at most 12.
        tokens_read: how many tokens it read in all, padding included.
    """

    comprehensiveness: Floats
    sufficiency: Floats
    deletion: Floats
    insertion: Floats
    deletion_curve: Floats
    insertion_curve: Floats
    evaluations: float
    tokens_read: int


class Remover:
    """Evaluates questions with some of their words gone; what was evaluated once is remembered.

    Args:
        model: an adapter of auditkit.
        questions: what is asked.
        baseline: what replaces a word.
        removal: "baseline" replaces words; "delete" takes them out, so that the text gets shorter.
        batch_tokens: padded tokens in a batch.
    """

    def __init__(
        self,
        model: Any,
        questions: Sequence[Question],
        baseline: str,
        *,
        removal: Removal = "baseline",
        batch_tokens: int | None = None,
    ) -> None:
        self.model, self.questions, self.removal, self.batch_tokens = model, questions, removal, batch_tokens
        self.origins = baseline_vectors(model, (baseline,))
        self.known: dict[tuple[int, frozenset[int]], tuple[float, float]] = {}
        self.tokens_read = 0

    def predictions(self, without: Sequence[tuple[int, frozenset[int]]]) -> Floats:
        """(n, 2) the number and the probability of each (question, words that are gone)."""
        new = list(dict.fromkeys(key for key in without if key not in self.known))
        if self.removal == "delete":
            shortened = [self.questions[q].without(sorted(words)) for q, words in new]
            engine = Engine(self.model, shortened, self.origins, batch_tokens=self.batch_tokens)
            units = [Unit(i, everything(question)) for i, question in enumerate(shortened)]
        else:
            engine = Engine(self.model, self.questions, self.origins, batch_tokens=self.batch_tokens)
            units = [self._replaced(q, words) for q, words in new]
        for key, (number, probability) in zip(new, engine.values(units).tolist(), strict=True):
            self.known[key] = (number, probability)
        self.tokens_read += engine.tokens_read
        return np.array([self.known[key] for key in without]).reshape(-1, 2)

    def _replaced(self, q: int, words: frozenset[int]) -> Unit:
        shares = everything(self.questions[q])
        shares[np.isin(self.questions[q].owner, list(words))] = 0
        return Unit(q, shares)


def curves(remover: Remover, values: Sequence[Floats]) -> Curves:
    """Judge the values (W,) of the words of each of the remover's questions by removing them, highest first."""
    before = len(remover.known), remover.tokens_read
    keys = [key for q, v in enumerate(values) for key in _removed(q, v)]
    found = remover.predictions(keys)[:, 1].reshape(len(values), 2, -1)  # (n, deletion or insertion, 1 + |FRACTIONS|)
    ends = remover.predictions([(q, frozenset(range(len(v)))) for q, v in enumerate(values)])[:, 1]
    whole = found[:, 0, :1]
    deletion = np.column_stack([found[:, 0], ends])
    insertion = np.column_stack([ends, found[:, 1, 1:], whole])
    shares = (0.0, *FRACTIONS, 1.0)
    return Curves(
        comprehensiveness=(whole - found[:, 0, 1:]).mean(axis=1),
        sufficiency=(whole - found[:, 1, 1:]).mean(axis=1),
        deletion=np.asarray(np.trapezoid(deletion, shares, axis=1)),
        insertion=np.asarray(np.trapezoid(insertion, shares, axis=1)),
        deletion_curve=deletion,
        insertion_curve=insertion,
        evaluations=(len(remover.known) - before[0]) / max(1, len(values)),
        tokens_read=remover.tokens_read - before[1],
    )


def _removed(q: int, values: Floats) -> list[tuple[int, frozenset[int]]]:
    """Nothing, then the top words for each fraction; nothing, then all words but those."""
    order = np.argsort(-values, kind="stable").tolist()
    top = [frozenset(order[: math.ceil(k * len(order))]) for k in FRACTIONS]
    rest = [frozenset(order) - t for t in top]
    return [(q, words) for words in (frozenset(), *top, frozenset(), *rest)]


def aopc(model: Any, attributions: Attributions, *, removal: Removal = "delete") -> tuple[Floats, Floats]:
    """(n,) comprehensiveness and (n,) sufficiency alone, as ERASER computes them: words are deleted, not replaced."""
    remover = Remover(model, attributions.questions, (attributions.baseline or ("mean",))[0], removal=removal)
    keys = [key for q, item in enumerate(attributions) for key in _removed(q, item.values)]
    found = remover.predictions(keys)[:, 1].reshape(len(attributions), 2, -1)
    differences = found[:, 0, :1, None] - found[:, :, 1:].transpose(0, 2, 1)
    return differences[:, :, 0].mean(axis=1), differences[:, :, 1].mean(axis=1)


def leave_one_out(remover: Remover) -> list[Floats]:
    """(W,) for each question: how much of the number is lost with each word alone."""
    keys = [(q, frozenset([w])) for q, asked in enumerate(remover.questions) for w in range(len(asked.words))]
    gone = iter(remover.predictions(keys)[:, 0])
    whole = remover.predictions([(q, frozenset()) for q in range(len(remover.questions))])[:, 0]
    return [
        np.array([full - next(gone) for _ in asked.words]) for full, asked in zip(whole, remover.questions, strict=True)
    ]
