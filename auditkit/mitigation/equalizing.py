"""Fine-tuning towards a model whose predictions do not depend on the group, and which is otherwise the one it was.

Three terms, none of which asks the model to learn a language anew:

    slots         where a sentence says nothing about the group ("The {occupation} locked the door when [MASK] left."),
                  (log p(she) - log p(he))^2: the equalising loss of Qian et al. (2019)
    consistency   at a token that a text shares with its counterfactual, the divergence of both predictions from the
                  average of what the unchanged model predicts there; after the counterfactual logit pairing of Garg
                  et al. (2019) and the alignment of Guo et al. (2022, Auto-Debias)
    anchor        in texts that name no group, the divergence from the unchanged model, which keeps what it can do

Divergences are KL(teacher || student) in nats, mean over the positions drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn import functional as F

from auditkit.errors import InputError, VocabularyError
from auditkit.explain.layers import tokenize
from auditkit.mitigation.fine_tuning import FineTuning
from auditkit.mitigation.language_models import copy_for, counterfactual_pairs, logits_at, record, shared_tokens
from auditkit.models import masking
from auditkit.models.char_gpt import CharGPT
from auditkit.models.masked_lm import MaskedLM
from auditkit.models.protocols import Ints
from auditkit.privacy.objectives import MASKED_SHARE

BLANK = "[MASK]"
"""Stands for a blank in a template, whatever the model's own mask token is."""

OCCUPATIONS = (
    *("actuary", "archaeologist", "astronomer", "auctioneer", "barber", "botanist", "butcher", "captain", "caretaker"),
    *("coach", "comedian", "composer", "courier", "critic", "curator", "detective", "diplomat", "director"),
    *("drummer", "fisherman", "florist", "gardener", "geologist", "goldsmith", "grocer", "historian", "inspector"),
    *(
        "interpreter",
        "inventor",
        "jeweler",
        "landlord",
        "linguist",
        "locksmith",
        "mathematician",
        "midwife",
        "minister",
    ),
    *("model", "musician", "novelist", "officer", "optician", "paralegal", "paramedic", "philosopher"),
    *("physicist", "poet", "potter", "principal", "professor", "ranger", "referee", "reporter", "sailor", "scholar"),
    *("sculptor", "singer", "student", "technician", "trainer", "translator", "violinist"),
)
TEMPLATES = (
    ("The {} locked the door when [MASK] left.", ("she", "he")),
    ("The {} wrote that [MASK] needed more time.", ("she", "he")),
    ("I asked the {} whether [MASK] could help.", ("she", "he")),
    ("After lunch the {} forgot where [MASK] had parked.", ("she", "he")),
    ("The {} smiled, and then [MASK] told a story.", ("she", "he")),
    ("Nobody knew the {}, although [MASK] lived nearby.", ("she", "he")),
    ("The {} was reading [MASK] notes.", ("her", "his")),
    ("The {} lost [MASK] keys at the station.", ("her", "his")),
    ("The {} next door is a quiet [MASK].", ("woman", "man")),
)
"""(sentence with an occupation and a blank, the two words for the blank)"""


@dataclass(frozen=True, slots=True)
class Slot:
    """A blank that should take either word equally well.

    Attributes:
        text: a sentence with one [MASK]; a causal model reads what stands before it.
        words: the two words.
    """

    text: str
    words: tuple[str, str]

    def __post_init__(self) -> None:
        if self.text.count(BLANK) != 1:
            raise InputError(f"slot {self.text!r}; expected one {BLANK} where either of {self.words} fits")


GENDER_SLOTS = tuple(Slot(text.format(job), words) for job, (text, words) in product(OCCUPATIONS, TEMPLATES))


@dataclass(frozen=True, kw_only=True)
class EqualizedFineTuning(FineTuning):
    """Fine-tuning that equalises the group words of neutral sentences and holds everything else.

    Attributes:
        slots: the neutral sentences.
        kinds: the kinds of group words to exchange in the texts, see `auditkit.mitigation.swaps`.
        equality: weight of the squared difference of log-probabilities at the slots.
        consistency: weight of the divergence between a text and its counterfactual.
        anchor: weight of the divergence from the unchanged model elsewhere.
    """

    name: ClassVar[str] = "equalized fine-tuning"
    source: ClassVar[str] = "Qian et al. (2019), ACL SRW; Garg et al. (2019), AIES; Guo et al. (2022), ACL"

    slots: tuple[Slot, ...] = GENDER_SLOTS
    kinds: tuple[str, ...] = ("gender",)
    equality: float = 0.1
    consistency: float = 1.0
    anchor: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        weights = (self.equality, self.consistency, self.anchor)
        if not self.slots or self.equality <= 0 or min(weights) < 0:
            raise InputError(
                f"{len(self.slots)} slots, equality, consistency and anchor {weights}; expected a slot or more, "
                "equality above 0, and no negative weight"
            )

    def fit(self, model: Any, texts: Sequence[str], *, rng: np.random.Generator) -> Any:
        """See `LanguageModelMitigation.fit`; the texts that name no group are the anchor."""
        twin = copy_for(self, model)
        pairs, unsure = counterfactual_pairs(texts, self.kinds)
        named = {text for pair in pairs for text in pair} | set(unsure)
        plain = [text for text in texts if text not in named]
        slots = _SlotLoss.of(twin, self.slots)
        paired, alone = _Teaching.of(model, twin, pairs), _Teaching.of(model, twin, [(text,) for text in plain])
        twin.module.eval()  # without dropout: a divergence from the teacher would measure its noise

        def loss(rng: np.random.Generator) -> torch.Tensor:
            total = self.equality * slots.draw(self.batch_size, rng)
            if self.consistency and paired.texts:
                total = total + self.consistency * paired.draw(self.batch_size // 2, rng)
            if self.anchor and alone.texts:
                total = total + self.anchor * alone.draw(self.batch_size, rng)
            return total

        done = self.train(twin, loss, rng=rng)
        weights = {"equality": self.equality, "consistency": self.consistency, "anchor": self.anchor}
        counts = {"texts": len(texts), "pairs": len(pairs), "left_unsure": len(unsure), "slots": len(self.slots)}
        record(twin, self, **counts, **weights, **done)
        return twin


@dataclass(frozen=True, slots=True)
class _Question:
    """One sequence, the positions whose predictions count, and what is looked up there: columns -> token."""

    ids: list[int]
    columns: list[int]
    tokens: list[int]


@dataclass(frozen=True, slots=True)
class _SlotLoss:
    """Squared difference of the log-probabilities of the two words of a slot."""

    model: Any
    questions: list[tuple[_Question, _Question]]

    @classmethod
    def of(cls, model: Any, slots: Sequence[Slot]) -> _SlotLoss:
        """Slots as token ids.

        Raises:
            VocabularyError: a masked model has no single token for a word.
        """
        ask = _masked_questions if isinstance(model, MaskedLM) else _causal_questions
        questions = [q for word in (0, 1) for q in ask(model, slots, word)]
        return cls(model, list(zip(questions[: len(slots)], questions[len(slots) :], strict=True)))

    def draw(self, size: int, rng: np.random.Generator) -> torch.Tensor:
        """Mean over some slots."""
        chosen = rng.choice(len(self.questions), size=size, replace=len(self.questions) < size)
        asked = [q for i in chosen.tolist() for q in self.questions[i]]
        rows = np.repeat(np.arange(len(asked)), [len(q.columns) for q in asked]).tolist()
        columns, tokens = ([x for q in asked for x in getattr(q, field)] for field in ("columns", "tokens"))
        logs = logits_at(self.model, [q.ids for q in asked], rows, columns).float().log_softmax(-1)
        found = logs[torch.arange(len(tokens)), torch.tensor(tokens, device=logs.device)]
        totals = found.new_zeros(len(asked)).index_add(0, torch.tensor(rows, device=logs.device), found)
        return (totals[::2] - totals[1::2]).square().mean()


def _masked_questions(model: MaskedLM, slots: Sequence[Slot], word: int) -> list[_Question]:
    found = [_filled(model, slot) for slot in slots]
    missing = sorted({s.words[word] for s, place in zip(slots, found, strict=True) if place.targets[word] is None})
    if missing:
        raise VocabularyError(f"the vocabulary has no single token for {', '.join(missing)}; give other slots")
    return [_Question(list(place.ids), [place.position], [place.targets[word] or 0]) for place in found]


def _filled(model: MaskedLM, slot: Slot) -> masking.Slot:
    before, _, after = slot.text.partition(BLANK)
    return masking.whole_slots(model, [before], slot.words, [after])[0]


def _causal_questions(model: Any, slots: Sequence[Slot], word: int) -> list[_Question]:
    """The tokens of the word after what stands before the blank; in a char-GPT with the space that ends it."""
    end = " " if isinstance(model, CharGPT) else ""
    heads = [slot.text.split(BLANK)[0].rstrip() for slot in slots]
    texts = [f"{head} {slot.words[word]}{end}" for head, slot in zip(heads, slots, strict=True)]
    out = []
    for head, tokens in zip(heads, tokenize(model, texts), strict=True):
        at = np.flatnonzero(tokens.offsets[:, 1] > len(head))
        out.append(_Question(tokens.ids.tolist(), (at - 1).tolist(), tokens.ids[at].tolist()))
    return out


@dataclass(frozen=True, slots=True)
class _Teaching:
    """The unchanged model teaches the one in training what it predicts, averaged over a text and its counterfactual.

    Attributes:
        teacher: the unchanged model.
        student: the one in training.
        texts: of each text, and of its counterfactual where it has one: token ids, and the positions that count.
    """

    teacher: Any
    student: Any
    texts: list[list[tuple[Ints, Ints]]]

    @classmethod
    def of(cls, teacher: Any, student: Any, texts: Sequence[Sequence[str]]) -> _Teaching:
        """Texts without a token that can be predicted are left out."""
        first = 0 if isinstance(student, MaskedLM) else 1
        flat = iter(tokenize(student, [side for sides in texts for side in sides]))
        found = []
        for sides in ([next(flat) for _ in sides] for sides in texts):
            places = shared_tokens(sides)
            predicted = np.all([at >= first for at in places], axis=0)
            if predicted.any():
                found.append([(t.ids, at[predicted]) for t, at in zip(sides, places, strict=True)])
        return cls(teacher, student, found)

    def draw(self, size: int, rng: np.random.Generator) -> torch.Tensor:
        """Mean divergence of the student from the averaged teacher, over positions of some texts."""
        sequences: list[list[int]] = []
        rows: list[int] = []
        columns: list[int] = []
        questions: list[int] = []
        asked = 0
        for i in rng.choice(len(self.texts), size=size, replace=len(self.texts) < size).tolist():
            for ids, at in self._questions(self.texts[i], rng):
                rows += [len(sequences)] * len(at)
                columns += at
                questions += range(asked, asked + len(at))
                sequences.append(ids)
            asked += len(at)
        with torch.no_grad():
            taught = logits_at(self.teacher, sequences, rows, columns).float().softmax(-1)
            wanted = _averaged(taught, torch.tensor(questions, device=taught.device), asked)
        logs = logits_at(self.student, sequences, rows, columns).float().log_softmax(-1)
        return F.kl_div(logs, wanted, reduction="batchmean")

    def _questions(
        self, sides: list[tuple[Ints, Ints]], rng: np.random.Generator
    ) -> Iterator[tuple[list[int], list[int]]]:
        """Of each side what the model reads, and at which positions its predictions count."""
        count = len(sides[0][1])
        some = rng.permutation(count)[: max(1, round(MASKED_SHARE * count))]
        for ids, at in sides:
            if isinstance(self.student, MaskedLM):
                masked = ids.copy()
                masked[at[some]] = self.student.mask_id
                yield masked.tolist(), at[some].tolist()
            else:
                yield ids.tolist(), (at - 1).tolist()  # a token is predicted one position before it


def _averaged(taught: torch.Tensor, questions: torch.Tensor, asked: int) -> torch.Tensor:
    """(n, V) -> (n, V): each row the mean of the rows that answer the same question."""
    totals = taught.new_zeros(asked, taught.shape[1]).index_add(0, questions, taught)
    counts = taught.new_zeros(asked).index_add(0, questions, torch.ones_like(taught[:, 0]))
    return (totals / counts[:, None])[questions]
