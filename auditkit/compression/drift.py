"""Whether a compressed model finds the same words important as the dense one, for what the dense one predicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from auditkit.compression.findings import Findings, mean_interval
from auditkit.compression.texts import Texts
from auditkit.errors import InputError, MissingCapability
from auditkit.explain.attribution import Attributions, explain
from auditkit.explain.methods import Settings
from auditkit.explain.questions import Question
from auditkit.explain.stability import correlation
from auditkit.explain.targets import ask
from auditkit.models.masked_lm import MaskedLM
from auditkit.models.words import word_spans
from auditkit.probes.evidence import subset

MAX_TEXTS = 20
FEWEST = 4  # words
METHOD = "Spearman correlation of the values of words by occlusion, mean over texts"
SOURCE = "Zeiler & Fergus (2014); Joseph et al. (2020), https://arxiv.org/abs/2012.01604"


class Drift:
    """The dense model's attributions, to which every point's are compared.

    Args:
        model: the dense model.
        texts: at most 20 of them, drawn at random, are explained.
        rng: draws them, and the words of a masked model that are asked about.
    """

    def __init__(self, model: Any, texts: Texts, rng: np.random.Generator) -> None:
        long = [i for i, text in enumerate(texts.texts) if len(text.split()) >= FEWEST]
        self.chosen = [long[i] for i in subset(len(long), MAX_TEXTS, rng)]
        self.clusters = [texts.clusters[i] for i in self.chosen]
        self.ids = [texts.ids[i] for i in self.chosen]
        self.reason, self.dense = "", None
        self.questions: Sequence[Question] = ()
        try:
            self.questions = ask(model, [_asked(model, texts.texts[i], rng) for i in self.chosen])
            self.dense = _explained(model, self.questions)
        except (InputError, MissingCapability) as e:
            self.reason = str(e)

    def add(self, findings: Findings, point: Any) -> None:
        """The point's agreement with the dense model; 1 is no drift."""
        name = "attribution_agreement"
        if self.dense is None or not self.chosen:
            reason = self.reason or f"no text has {FEWEST} words"
            findings.undefined(name, reason, method=METHOD, source=SOURCE, ideal=1.0)
            return
        try:
            found = _explained(point, self.questions)
        except (InputError, MissingCapability) as e:
            findings.undefined(name, str(e), method=METHOD, source=SOURCE, ideal=1.0)
            return
        agreed = [correlation(a.values, b.values) for a, b in zip(self.dense, found, strict=True)]
        kept = [i for i, r in enumerate(agreed) if r is not None]
        values = np.array([min(1.0, r) for r in agreed if r is not None])
        if not kept:
            reason = "in no text do the values of at least three words differ"
            findings.undefined(name, reason, method=METHOD, source=SOURCE, ideal=1.0)
            return
        clusters = [self.clusters[i] for i in kept]
        interval = mean_interval(values, np.array(clusters), findings.rng(name), (-1.0, 1.0))
        findings.add(
            name, float(values.mean()), interval=interval, n=len(kept), ideal=1.0, method=METHOD, source=SOURCE,
            details={"texts_left_out": len(agreed) - len(kept)},
        )  # fmt: skip
        findings.add_items(name, [(self.ids[i], float(v), self.clusters[i]) for i, v in zip(kept, values, strict=True)])


def _explained(model: Any, questions: Sequence[Question]) -> Attributions:
    return explain(model, questions, method="occlusion", baseline="auto", settings=Settings())


def _asked(model: Any, text: str, rng: np.random.Generator) -> str:
    """The text; for a masked model with one of its words masked."""
    if not isinstance(model, MaskedLM):
        return text
    words = text.split()
    at = int(rng.integers(len(words)))
    start, end = max(word_spans(words[at]), key=lambda span: span[1] - span[0])  # not the punctuation beside it
    words[at] = words[at][:start] + model.mask_token + words[at][end:]
    return " ".join(words)
