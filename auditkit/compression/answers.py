"""What a model answers on some texts, read in one pass: the same questions to the dense model and to every point.

    masked LM        what stands at a random 15 % of the positions of each text, each masked on its own
    causal LM, char  what follows each token
    classifier       the label of each text

Of each answer are kept: log p of the truth, and the most probable answer. To find the divergence of a compressed model
from the dense one without running the dense one again, its whole distribution is kept too, of as many answers, drawn
at random, as fit into `TABLE_BYTES`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch

from auditkit.compression.texts import Texts
from auditkit.errors import DataError, MissingCapability, UnknownName
from auditkit.models.batching import padded
from auditkit.models.causal_lm import CausalLM
from auditkit.models.char_gpt import CharGPT
from auditkit.models.classifier import Classifier
from auditkit.models.masked_lm import MaskedLM, Slot
from auditkit.models.narrow import rows_only
from auditkit.models.protocols import Floats, Ints

MASKED_SHARE = 0.15
TABLE_BYTES = 2**28
CELLS = 2**19  # of the logits taken at a time, so that the passes over them find them in a processor's cache

Take = Callable[[Ints, torch.Tensor], None]
"""Is handed some questions' numbers (n,) and the logits, or log-probabilities, (n, V) of all their possible answers."""


class Questions(Protocol):
    """What is asked about some texts, prepared with the dense model, whose tokenizer all points share.

    Attributes:
        text: (R,) which text each question is about, ascending.
        truth: (R,) the right answer.
    """

    text: Ints
    truth: Ints

    def ask(self, model: Any, take: Take) -> None:
        """Hand over every question once, in the same order and batches for every model."""
        ...


@dataclass(frozen=True, slots=True)
class Table:
    """The dense model's whole distribution for some of the questions: log p (K, V) of the rows `kept`."""

    kept: Ints
    logprobs: torch.Tensor


@dataclass(frozen=True, slots=True)
class Answers:
    """What one model answered.

    Attributes:
        logprobs: (R,) log p of the truth, in nats.
        top: (R,) the most probable answer.
        divergence: (K,) KL(dense || this model) in nats, of the rows that the dense model's table holds; of the dense
            model itself 0.
        table: of the dense model only.
    """

    logprobs: Floats
    top: Ints
    divergence: Floats
    table: Table | None = field(default=None, repr=False)

    @property
    def not_finite(self) -> int:
        """How many answers are no numbers, or certain to be wrong."""
        return int((~np.isfinite(self.logprobs)).sum())

    def same_as(self, other: Answers) -> bool:
        """Whether all are equal to the last bit, as of a model and itself; two that differ may agree on what is top."""
        return np.array_equal(self.logprobs, other.logprobs)


def questions_about(model: Any, texts: Texts, rng: np.random.Generator) -> Questions:
    """The questions that suit this kind of model.

    Raises:
        MissingCapability: it can neither predict tokens nor classify.
        DataError: no text has anything to predict, or a classifier's texts bring no labels.
        UnknownName: a label that the classifier does not know.
    """
    if isinstance(model, Classifier):
        return _Labels(model, texts)
    if isinstance(model, MaskedLM):
        return _Masked(model, texts, rng)
    if isinstance(model, CausalLM):
        return _Following(model, texts)
    if isinstance(model, CharGPT):
        return _Characters(model, texts)
    raise MissingCapability(f"a {type(model).__name__} has no perplexity and no accuracy; expected a language model")


def answer(model: Any, questions: Questions, dense: Answers | None = None, *, seed: int = 0) -> Answers:
    """Put the questions to a model.

    Args:
        model: the dense model, or a compressed one.
        questions: what is asked.
        dense: the dense model's answers; None for the dense model itself.
        seed: draws the questions of which the dense model's whole distribution is kept.
    """
    recorder = _Recorder(questions.truth, None if dense is None else dense.table, np.random.default_rng(seed))
    questions.ask(model, recorder)
    return recorder.answers(of_dense=dense is None)


class _Recorder:
    """Keeps what `Answers` holds of the distributions it is handed."""

    def __init__(self, truth: Ints, table: Table | None, rng: np.random.Generator) -> None:
        self.truth, self.table, self.rng, self.of_dense = truth, table, rng, table is None
        self.logprobs = np.full(len(truth), np.nan)
        self.top = np.full(len(truth), -1, dtype=np.int64)
        self.divergence = np.zeros(0 if table is None else len(table.kept))
        self.place = np.full(len(truth), -1, dtype=np.int64)  # of each question in the table; -1: not there
        if table is not None:
            self.place[table.kept] = np.arange(len(table.kept))

    def __call__(self, rows: Ints, scores: torch.Tensor) -> None:
        if self.table is None:
            self._choose(scores.shape[1])
        step = max(1, CELLS // scores.shape[1]) if scores.device.type == "cpu" else len(rows)
        for start in range(0, len(rows), step):
            self._take(rows[start : start + step], scores[start : start + step])

    def answers(self, *, of_dense: bool) -> Answers:
        return Answers(self.logprobs, self.top, self.divergence, self.table if of_dense else None)

    def _take(self, rows: Ints, scores: torch.Tensor) -> None:
        precise = scores if scores.dtype == torch.float64 else scores.float()
        total = precise.logsumexp(-1)
        truth = torch.from_numpy(self.truth[rows]).to(precise.device)
        self.logprobs[rows] = (precise.gather(1, truth[:, None])[:, 0] - total).cpu().double().numpy()
        self.top[rows] = precise.argmax(-1).cpu().numpy()
        place = self.place[rows]
        if (place < 0).all() or self.table is None:
            return
        chosen = torch.from_numpy(np.flatnonzero(place >= 0)).to(precise.device)
        logp, at = (precise[chosen] - total[chosen, None]).float().cpu(), torch.from_numpy(place[place >= 0])
        if self.of_dense:
            self.table.logprobs[at] = logp
        else:
            self.divergence[at.numpy()] = _divergence(self.table.logprobs[at], logp)

    def _choose(self, vocabulary: int) -> None:
        """Draw the rows of the table, now that the size of a row is known."""
        count = min(len(self.truth), max(1, TABLE_BYTES // (4 * vocabulary)))
        kept = np.sort(self.rng.choice(len(self.truth), size=count, replace=False)).astype(np.int64)
        self.table = Table(kept, torch.full((count, vocabulary), torch.nan))
        self.divergence = np.zeros(count)
        self.place[kept] = np.arange(count)


def _divergence(dense: torch.Tensor, other: torch.Tensor) -> Floats:
    """(n,) KL(dense || other) from (n, V) log-probabilities; what the dense model rules out counts nothing."""
    p = dense.exp()
    terms = torch.where(p > 0, p * (dense - other), 0.0)
    return terms.sum(-1).clamp(min=0).double().numpy()


class _Labels:
    def __init__(self, model: Classifier, texts: Texts) -> None:
        if not texts.labels:
            raise DataError("a classifier's texts need true labels (column 'label'): its quality is its accuracy")
        if unknown := sorted(set(texts.labels) - set(model.labels)):
            raise UnknownName("label", unknown[0], model.labels)
        self.texts = texts.texts
        self.text = np.arange(len(texts))
        self.truth = np.array([model.labels.index(label) for label in texts.labels], dtype=np.int64)

    def ask(self, model: Any, take: Take) -> None:
        with np.errstate(divide="ignore"):  # a probability of 0 is a log-probability of minus infinity
            take(self.text, torch.from_numpy(np.log(model.classify(self.texts))))


class _Masked:
    def __init__(self, model: MaskedLM, texts: Texts, rng: np.random.Generator) -> None:
        slots: list[tuple[Slot, int, int]] = []
        for i, encoded in enumerate(model.encode(texts.texts)):
            ids, ordinary = tuple(encoded.ids.tolist()), np.flatnonzero(~encoded.special)
            count = min(len(ordinary), max(1, round(MASKED_SHARE * len(ordinary))))
            for at in np.sort(rng.choice(ordinary, size=count, replace=False)).tolist() if count else []:
                slots.append((((*ids[:at], model.mask_id, *ids[at + 1 :]), at), i, ids[at]))
        self.text, self.truth = _numbers([(i, token) for _, i, token in slots])
        self.rows: dict[Slot, list[int]] = defaultdict(list)  # equal texts can ask the same
        for row, (slot, _, _) in enumerate(slots):
            self.rows[slot].append(row)

    def ask(self, model: Any, take: Take) -> None:
        def keep(logprobs: torch.Tensor, slots: list[Slot]) -> None:
            asked = [(place, row) for place, slot in enumerate(slots) for row in self.rows[slot]]
            take(np.array([row for _, row in asked]), logprobs[[place for place, _ in asked]])

        model._at_positions(list(self.rows), keep)


class _Following:
    def __init__(self, model: CausalLM, texts: Texts) -> None:
        self.ids, *_ = model._encode(texts.texts)
        self.text, self.truth = _numbers([(i, t) for i, ids in enumerate(self.ids) for t in ids[1:].tolist()])
        self.start = np.searchsorted(self.text, np.arange(len(self.ids)))

    def ask(self, model: Any, take: Take) -> None:
        asked = [i for i, ids in enumerate(self.ids) if len(ids) > 1]

        @torch.inference_mode()
        def forward(batch: Ints) -> None:
            texts = [asked[b] for b in batch]
            lengths = np.array([len(self.ids[i]) - 1 for i in texts])
            row = np.repeat(np.arange(len(texts)), lengths)
            column = np.concatenate([np.arange(length) for length in lengths])
            inputs = padded([self.ids[i][:-1].tolist() for i in texts], 0, model.device)
            with rows_only(model.module, *(torch.from_numpy(x).to(model.device) for x in (row, column))):
                logits = model.module(**inputs, use_cache=False).logits[0]
            take(self.start[np.array(texts)[row]] + column, logits)

        model._batches.run([len(self.ids[i]) - 1 for i in asked], forward)


class _Characters:
    def __init__(self, model: CharGPT, texts: Texts) -> None:
        self.ids = model._sequences(texts.texts)
        self.text, self.truth = _numbers([(i, t) for i, ids in enumerate(self.ids) for t in ids[1:]])
        self.start = np.searchsorted(self.text, np.arange(len(self.ids)))

    def ask(self, model: Any, take: Take) -> None:
        def keep(i: int, logp: Floats) -> None:
            take(self.start[i] + np.arange(len(logp)), torch.from_numpy(logp))

        model._distributions([ids[:-1] for ids in self.ids], keep)


def _numbers(asked: Sequence[tuple[int, int]]) -> tuple[Ints, Ints]:
    """(R,) texts and (R,) truths."""
    if not asked:
        raise DataError("no text has a token that can be predicted; give texts of at least two words")
    text, truth = np.array(asked, dtype=np.int64).T
    return np.ascontiguousarray(text), np.ascontiguousarray(truth)
