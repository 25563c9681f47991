"""What each kind of model learns from a record: its inputs, and one loss for each record.

    char-GPT, causal       a text                     next token
    masked                 a text                     the tokens behind masks drawn anew at every step (Devlin et al.)
    classifier             (text, label)              the label
    sentence encoder       (text, text, similarity)   the cosine of the two texts, squared error
    sequence to sequence   (source, target)           the target's tokens

Contrastive losses over a batch are absent on purpose: there an example's gradient depends on the others, so that
clipping it bounds nothing.
Shapes: B examples, R rows of the module's input for each, T tokens.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar, Protocol

import numpy as np
import torch

from auditkit.errors import DataError, MissingCapability
from auditkit.models.batching import pad, padded
from auditkit.models.causal_lm import CausalLM
from auditkit.models.char_gpt import CharModel
from auditkit.models.classifier import Classifier
from auditkit.models.masked_lm import MaskedLM
from auditkit.models.sentence_encoder import SentenceEncoder
from auditkit.models.seq2seq import Seq2Seq
from auditkit.privacy.losses import IGNORED, label_loss, next_token_loss, token_loss

Batch = dict[str, Any]
MASKED_SHARE = 0.15


class Objective(Protocol):
    """The records of one data set, ready for one model.

    Attributes:
        lengths: tokens of every record, all rows together.
        rows: R, rows of input for each example.
        metric: what `score` measures: "loss" or "accuracy".
        unit: its unit.
        ideal: its value for a model that makes no error.
    """

    lengths: list[int]
    rows: ClassVar[int]
    metric: ClassVar[str]
    unit: ClassVar[str]
    ideal: ClassVar[float]

    def batch(self, examples: Sequence[int], rng: np.random.Generator) -> Batch:
        """Tensors of these examples, on the model's device; whatever is random comes from `rng`."""
        ...

    def losses(self, module: Any, batch: Batch) -> torch.Tensor:
        """(B,) losses."""
        ...

    def score(self, module: Any, batch: Batch) -> torch.Tensor:
        """(B,) values of `metric`."""
        ...


class _LossAsMetric(ABC):
    """For objectives whose held-out loss is the measure of quality."""

    rows: ClassVar[int] = 1
    metric: ClassVar[str] = "loss"
    unit: ClassVar[str] = "nats per token"
    ideal: ClassVar[float] = 0.0

    def score(self, module: Any, batch: Batch) -> torch.Tensor:
        return self.losses(module, batch)

    @abstractmethod
    def losses(self, module: Any, batch: Batch) -> torch.Tensor: ...


@dataclass
class NextCharacter(_LossAsMetric):
    """A causal char-GPT on texts; each is cut to the context."""

    model: CharModel
    sequences: list[list[int]]

    def __post_init__(self) -> None:
        self.lengths = [len(s) for s in self.sequences]

    @classmethod
    def of(cls, model: CharModel, records: Sequence[Any]) -> NextCharacter:
        """Texts to ids; characters outside the vocabulary are counted in the model's notices."""
        if not model.config.causal:
            raise MissingCapability(
                f"{model.name} has no causal mask: each position sees the character it would learn to predict; "
                "train a causal configuration"
            )
        start, longest = model.tokenizer.start, model.config.context + 1
        encoded = [model.tokenizer.encode(text) for text in _texts(records)]
        _count(model, "characters outside the vocabulary", sum(unknown for _, unknown in encoded))
        sequences = [start + ids for ids, _ in encoded]
        alone = next((i for i, s in enumerate(sequences) if len(s) < 2), None)
        if alone is not None:
            raise DataError(
                f"record {alone} has one character, and no newline in the vocabulary precedes it; leave it out"
            )
        _count(model, f"texts truncated to {model.config.context} characters", sum(len(s) > longest for s in sequences))
        return cls(model, [s[:longest] for s in sequences])

    def batch(self, examples: Sequence[int], rng: np.random.Generator) -> Batch:
        """Ids without the last one, and what follows each."""
        chosen = [self.sequences[i] for i in examples]
        ids, labels = pad([s[:-1] for s in chosen], 0), pad([s[1:] for s in chosen], IGNORED)
        return {"ids": ids.to(self.model.device), "labels": labels.to(self.model.device)}

    def losses(self, module: Any, batch: Batch) -> torch.Tensor:
        """Mean over the characters of each text."""
        return token_loss(module(batch["ids"]), batch["labels"])


@dataclass
class NextToken(_LossAsMetric):
    """A causal language model on texts."""

    model: CausalLM
    sequences: list[list[int]]

    def __post_init__(self) -> None:
        self.lengths = [len(s) for s in self.sequences]

    def batch(self, examples: Sequence[int], rng: np.random.Generator) -> Batch:
        """Ids, and the same as labels with the padding ignored."""
        return _inputs_and_labels(self.model, [self.sequences[i] for i in examples])

    def losses(self, module: Any, batch: Batch) -> torch.Tensor:
        """Mean over the tokens of each text that have a predecessor."""
        return next_token_loss(module(**batch["inputs"], use_cache=False).logits, batch["labels"])


@dataclass
class MaskedTokens(_LossAsMetric):
    """A masked language model on texts: 15 % of the tokens are to be found; 80/10/10 as in BERT."""

    model: MaskedLM
    sequences: list[list[int]]
    special: list[list[int]]

    def __post_init__(self) -> None:
        self.lengths = [len(s) for s in self.sequences]

    def batch(self, examples: Sequence[int], rng: np.random.Generator) -> Batch:
        """Masked ids; labels at the masked positions alone. Every text has at least one."""
        seed = int(rng.integers(2**63))  # one generator each: what a text gets does not depend on its company
        masked = [
            self._mask(self.sequences[i], self.special[i], np.random.default_rng([seed, int(i)])) for i in examples
        ]
        batch = _inputs_and_labels(self.model, [ids for ids, _ in masked])
        return batch | {"labels": pad([labels for _, labels in masked], IGNORED).to(self.model.device)}

    def losses(self, module: Any, batch: Batch) -> torch.Tensor:
        """Mean over the masked tokens of each text."""
        return token_loss(module(**batch["inputs"]).logits, batch["labels"])

    def _mask(self, ids: list[int], special: list[int], rng: np.random.Generator) -> tuple[list[int], list[int]]:
        ordinary = np.flatnonzero(np.array(special) == 0)
        chosen = rng.permutation(ordinary)[: max(1, round(MASKED_SHARE * len(ordinary)))]
        shown, labels = list(ids), [IGNORED] * len(ids)
        for position, draw in zip(chosen, rng.random(len(chosen)), strict=True):
            labels[position] = ids[position]
            if draw < 0.8:
                shown[position] = self.model.mask_id
            elif draw < 0.9:
                shown[position] = int(rng.integers(len(self.model.tokenizer)))
        return shown, labels


@dataclass
class Label:
    """A classifier on (text, label) pairs."""

    model: Classifier
    sequences: list[list[int]]
    labels: list[int]

    rows: ClassVar[int] = 1
    metric: ClassVar[str] = "accuracy"
    unit: ClassVar[str] = "%"
    ideal: ClassVar[float] = 100.0

    def __post_init__(self) -> None:
        self.lengths = [len(s) for s in self.sequences]

    @classmethod
    def of(cls, model: Classifier, records: Sequence[Any]) -> Label:
        """Labels by name or by index."""
        pairs = _tuples(records, 2, "(text, label) pairs")
        labels = [_label_index(model, label) for _, label in pairs]
        return cls(model, _encode(model, [text for text, _ in pairs]), labels)

    def batch(self, examples: Sequence[int], rng: np.random.Generator) -> Batch:
        """Ids and labels."""
        batch = _inputs_and_labels(self.model, [self.sequences[i] for i in examples])
        return batch | {"labels": torch.tensor([self.labels[i] for i in examples], device=self.model.device)}

    def losses(self, module: Any, batch: Batch) -> torch.Tensor:
        """Cross-entropy."""
        return label_loss(module(**batch["inputs"]).logits, batch["labels"])

    def score(self, module: Any, batch: Batch) -> torch.Tensor:
        """100 where the most probable label is right, else 0."""
        return 100.0 * (module(**batch["inputs"]).logits.argmax(-1) == batch["labels"]).float()


@dataclass
class Similarity(_LossAsMetric):
    """A sentence encoder on (text, text, similarity) triples, similarity in [-1, 1]."""

    model: SentenceEncoder
    sequences: list[tuple[list[int], list[int]]]
    similarities: list[float]

    rows: ClassVar[int] = 2
    unit: ClassVar[str] = "squared error of the cosine"

    def __post_init__(self) -> None:
        self.lengths = [2 * max(len(a), len(b)) for a, b in self.sequences]

    @classmethod
    def of(cls, model: SentenceEncoder, records: Sequence[Any]) -> Similarity:
        """Both texts cut to the encoder's longest input."""
        triples = _tuples(records, 3, "(text, text, similarity) triples")
        outside = [s for _, _, s in triples if not (isinstance(s, Real) and -1 <= float(s) <= 1)]
        if outside:
            raise DataError(f"similarity {outside[0]!r}; expected a number from -1 to 1")
        longest, module = model.module.max_seq_length, model.module
        ids = module.tokenizer(_texts([t for a, b, _ in triples for t in (a, b)]), verbose=False)["input_ids"]
        _count(model, f"texts truncated to {longest} tokens", sum(len(i) > longest for i in ids))
        cut = [i if len(i) <= longest else [*i[: longest - 1], i[-1]] for i in ids]
        return cls(model, list(zip(cut[::2], cut[1::2], strict=True)), [float(s) for _, _, s in triples])

    def batch(self, examples: Sequence[int], rng: np.random.Generator) -> Batch:
        """Two consecutive rows for each example."""
        rows = [ids for i in examples for ids in self.sequences[i]]
        where = next(self.model.module.parameters()).device
        inputs = padded(rows, self.model.module.tokenizer.pad_token_id, where)
        inputs.setdefault("attention_mask", torch.ones_like(inputs["input_ids"]))
        return {"inputs": inputs, "similarities": torch.tensor([self.similarities[i] for i in examples], device=where)}

    def losses(self, module: Any, batch: Batch) -> torch.Tensor:
        """Squared difference of the cosine from the similarity wanted."""
        embedded = module(dict(batch["inputs"]))["sentence_embedding"]  # (2B, d)
        cosine = torch.cosine_similarity(embedded[::2], embedded[1::2])
        return (cosine - batch["similarities"]) ** 2


@dataclass
class Translation(_LossAsMetric):
    """A sequence-to-sequence model on (source, target) pairs."""

    model: Seq2Seq
    sources: list[list[int]]
    targets: list[list[int]]

    def __post_init__(self) -> None:
        self.lengths = [len(s) + len(t) for s, t in zip(self.sources, self.targets, strict=True)]

    @classmethod
    def of(cls, model: Seq2Seq, records: Sequence[Any]) -> Translation:
        """The target by the tokenizer's rules for targets."""
        pairs = _tuples(records, 2, "(source, target) pairs")
        sources, targets = (_texts([pair[side] for pair in pairs]) for side in (0, 1))
        encoded = model.tokenizer(text_target=targets, verbose=False)["input_ids"]
        if too_long := sum(len(ids) > model.context for ids in encoded):
            _count(model, f"targets truncated to {model.context} tokens", too_long)
            encoded = model.tokenizer(text_target=targets, truncation=True, max_length=model.context)["input_ids"]
        return cls(model, _encode(model, sources), encoded)

    def batch(self, examples: Sequence[int], rng: np.random.Generator) -> Batch:
        """Source ids, and the target's ids as labels."""
        batch = _inputs_and_labels(self.model, [self.sources[i] for i in examples])
        return batch | {"labels": pad([self.targets[i] for i in examples], IGNORED).to(self.model.device)}

    def losses(self, module: Any, batch: Batch) -> torch.Tensor:
        """Mean over the tokens of each target."""
        # The module itself makes the decoder's ids of labels: each architecture has a rule of its own.
        return token_loss(module(**batch["inputs"], labels=batch["labels"]).logits, batch["labels"])


def objective_for(model: Any, records: Sequence[Any]) -> Objective:
    """The objective of an adapter on its records.

    Raises:
        MissingCapability: no objective for this kind of model.
        DataError: no records, or records of another form.
    """
    if isinstance(records, str):
        raise DataError("a single text; expected a list of records, since each of its characters would count as one")
    if not len(records):
        raise DataError("no records to learn from; expected at least one")
    if isinstance(model, CharModel):
        return NextCharacter.of(model, records)
    if isinstance(model, CausalLM):
        return NextToken(model, _encode(model, _texts(records)))
    if isinstance(model, MaskedLM):
        return _masked_tokens(model, records)
    if isinstance(model, Classifier):
        return Label.of(model, records)
    if isinstance(model, SentenceEncoder):
        return Similarity.of(model, records)
    if isinstance(model, Seq2Seq):
        return Translation.of(model, records)
    raise MissingCapability(
        f"{type(model).__name__} cannot be trained here; expected a model of auditkit.load_model or a CharGPT. "
        "For other modules there is auditkit.privacy.PrivacyEngine"
    )


def _masked_tokens(model: MaskedLM, records: Sequence[Any]) -> MaskedTokens:
    encoded = model.tokenize(_texts(records), return_special_tokens_mask=True)
    special = [list(mask) for mask in encoded["special_tokens_mask"]]
    empty = next((i for i, mask in enumerate(special) if all(mask)), None)
    if empty is not None:
        raise DataError(f"record {empty} has no token to mask ({records[empty]!r}); leave it out")
    return MaskedTokens(model, encoded["input_ids"], special)


def _encode(model: Any, texts: Sequence[str]) -> list[list[int]]:
    return list(model.tokenize(_texts(texts))["input_ids"])


def _inputs_and_labels(model: Any, sequences: list[list[int]]) -> Batch:
    inputs = padded(sequences, model.tokenizer.pad_token_id, model.device)
    return {"inputs": inputs, "labels": pad(sequences, IGNORED).to(model.device)}


def _label_index(model: Classifier, label: Any) -> int:
    if label in model.labels:
        return model.labels.index(label)
    if isinstance(label, int | np.integer) and 0 <= label < len(model.labels):
        return int(label)
    raise DataError(
        f"label {label!r}; expected one of {', '.join(model.labels)}, or an index below {len(model.labels)}"
    )


def _texts(records: Sequence[Any]) -> list[str]:
    for i, text in enumerate(records):
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"record {i} is {text!r}; expected a text that is not empty")
    return list(records)


def _tuples(records: Sequence[Any], size: int, expected: str) -> list[tuple[Any, ...]]:
    for i, record in enumerate(records):
        if not isinstance(record, tuple | list) or len(record) != size:
            raise DataError(f"record {i} is {record!r}; expected {expected}")
    return [tuple(r) for r in records]


def _count(model: Any, what: str, times: int) -> None:
    if times:
        model.notices[what] += times
