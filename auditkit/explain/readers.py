"""How each kind of model is read: from rows of token ids to the scores at the places that a question names.

Shapes: U questions evaluated at once, B rows (one or two of each), T tokens, n places, V scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from auditkit.errors import MissingCapability
from auditkit.explain.questions import Branch
from auditkit.models.base import HFModel, table_of_the_text
from auditkit.models.batching import pad, token_budget
from auditkit.models.causal_lm import CausalLM
from auditkit.models.char_gpt import CharGPT
from auditkit.models.classifier import Classifier
from auditkit.models.masked_lm import MaskedLM
from auditkit.models.narrow import one_position, rows_only
from auditkit.models.padding import Company
from auditkit.models.sentence_encoder import SentenceEncoder
from auditkit.models.seq2seq import Seq2Seq

TOKENS_PER_BATCH = {"cpu": 2048, "accelerator": 16_384}
IGNORED = -100


@dataclass
class Rows:
    """The rows of one batch, padded on the right, and what is read off them.

    Attributes:
        branches: the B rows.
        input: (B,) which of the inputs of the batch each row belongs to.
        unit_of_read: (k,) which of the U evaluations each read belongs to.
        units: U.
        device: where the tensors are made.
        filler: id of the padding; some models number positions by it.
    """

    branches: Sequence[Branch]
    input: torch.Tensor
    unit_of_read: torch.Tensor
    units: int
    device: torch.device
    filler: int

    @cached_property
    def lengths(self) -> torch.Tensor:
        """(B,)."""
        return torch.tensor([len(b.ids) for b in self.branches])

    @cached_property
    def ids(self) -> torch.Tensor:
        """(B, T)."""
        return pad([b.ids.tolist() for b in self.branches], self.filler).to(self.device)

    @cached_property
    def feature(self) -> torch.Tensor:
        """(B, T) token of the question at each position; -1 where the row is held, padding included."""
        return pad([b.feature.tolist() for b in self.branches], -1).to(self.device)

    @cached_property
    def mask(self) -> dict[str, torch.Tensor]:
        """An attention mask only where something is padded: attention is faster without."""
        width = int(self.lengths.max())
        if int(self.lengths.min()) == width:
            return {}
        return {"attention_mask": (torch.arange(width) < self.lengths[:, None]).long().to(self.device)}

    @cached_property
    def places(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Row (n,) and position (n,) of every place that is read, and (k,) the place of each read."""
        counts = torch.tensor([len(b.positions) for b in self.branches])
        row = torch.repeat_interleave(torch.arange(len(self.branches)), counts)
        position = torch.from_numpy(np.concatenate([b.positions for b in self.branches]))
        unique, place = torch.unique(torch.stack([row, position]), dim=1, return_inverse=True)
        return unique[0].to(self.device), unique[1].to(self.device), place.to(self.device)

    def apart(self, company: Company) -> list[list[int]]:
        """The indices of the rows in groups that may be read together."""
        if company is Company.ANY:
            return [[*range(len(self.branches))]]
        alone, lengths = company is Company.ALONE, self.lengths.tolist()
        keys = [(length, row if alone else 0) for row, length in enumerate(lengths)]
        return [[row for row, own in enumerate(keys) if own == key] for key in sorted(set(keys))]

    def only(self, chosen: Sequence[int]) -> Rows:
        """Some of the rows; what is read off them is no longer attributed to units."""
        return replace(self, branches=[self.branches[row] for row in chosen], input=self.input[list(chosen)])

    @cached_property
    def targets(self) -> torch.Tensor:
        """(k,) whose score each read takes."""
        return torch.from_numpy(np.concatenate([b.targets for b in self.branches])).to(self.device)

    @cached_property
    def weights(self) -> torch.Tensor:
        """(k,) what each read counts."""
        return torch.from_numpy(np.concatenate([b.weights for b in self.branches])).float().to(self.device)


class Reader(Protocol):
    """One kind of model.

    Attributes:
        embedding: the module that turns ids into vectors.
        log_probabilities: whether a score is log p; otherwise the logit itself.
    """

    embedding: nn.Module
    log_probabilities: bool

    def scores(self, rows: Rows) -> torch.Tensor:
        """(n, V) logits at the places; of an encoder, (B, D) sentence vectors."""
        ...


class _CausalReader:
    log_probabilities = True

    def __init__(self, model: CausalLM) -> None:
        self.module, self.embedding = model.module, model.module.get_input_embeddings()

    def scores(self, rows: Rows) -> torch.Tensor:
        row, position, _ = rows.places
        with rows_only(self.module, row, position):
            return self.module(input_ids=rows.ids, **rows.mask, use_cache=False).logits[0]


class _MaskedReader:
    log_probabilities = True

    def __init__(self, model: MaskedLM) -> None:
        self.module, self.embedding = model.module, model.module.get_input_embeddings()

    def scores(self, rows: Rows) -> torch.Tensor:
        row, position, _ = rows.places
        one_each = row.tolist() == list(range(len(rows.branches)))
        with one_position(self.module, position) if one_each else rows_only(self.module, row, position):
            return self.module(input_ids=rows.ids, **rows.mask).logits[0]


class _CharReader:
    log_probabilities = True

    def __init__(self, model: CharGPT) -> None:
        self.module, self.embedding = model.module, model.module.tokens

    def scores(self, rows: Rows) -> torch.Tensor:
        row, position, _ = rows.places
        return self.module(rows.ids)[row, position]


class _ClassReader:
    log_probabilities = False

    def __init__(self, model: Classifier) -> None:
        self.module, self.embedding = model.module, table_of_the_text(model.module)

    def scores(self, rows: Rows) -> torch.Tensor:
        return self.module(input_ids=rows.ids, **rows.mask).logits[rows.places[0]]


class _EncoderReader:
    log_probabilities = False

    def __init__(self, model: SentenceEncoder) -> None:
        self.module, self.embedding = model.module, model.module[0].model.get_input_embeddings()

    def scores(self, rows: Rows) -> torch.Tensor:
        inputs = {"input_ids": rows.ids, "attention_mask": torch.ones_like(rows.ids), **rows.mask}
        return self.module(inputs)["sentence_embedding"]


class _ForcedReader:
    log_probabilities = True

    def __init__(self, model: Seq2Seq) -> None:
        self.module, self.embedding = model.module, table_of_the_text(model.module)

    def scores(self, rows: Rows) -> torch.Tensor:
        row, position, _ = rows.places
        labels = pad([b.forced.tolist() for b in rows.branches], IGNORED).to(rows.device)
        # The module itself makes the decoder's ids of labels: each architecture has a rule of its own.
        return self.module(input_ids=rows.ids, **rows.mask, labels=labels, use_cache=False).logits[row, position]


_READERS: dict[type, type[Any]] = {
    CausalLM: _CausalReader,
    MaskedLM: _MaskedReader,
    CharGPT: _CharReader,
    Classifier: _ClassReader,
    SentenceEncoder: _EncoderReader,
    Seq2Seq: _ForcedReader,
}


def reader_of(model: Any) -> Reader:
    """The reader of an adapter.

    Raises:
        MissingCapability: no such adapter.
    """
    for kind, reader in _READERS.items():
        if isinstance(model, kind):
            return reader(model)
    raise MissingCapability(
        f"{type(model).__name__} cannot be explained: expected a model of auditkit.load_model whose predictions come "
        "from token embeddings (classifier, masked, causal or char-level language model, encoder, sequence to sequence)"
    )


def device_of(model: Any) -> torch.device:
    """Where the weights are."""
    return model.device if isinstance(model, HFModel | CharGPT) else next(model.module.parameters()).device


def filler_of(model: Any) -> int:
    """The id of the padding; 0 where the model has none."""
    if isinstance(model, HFModel):
        return model.filler
    return getattr(tokenizer_of(model), "pad_token_id", None) or 0


def company_of(model: Any) -> Company:
    """With which others a row is read correctly; a causal char-GPT never looks at padding."""
    return getattr(model, "company", Company.ANY)


def tokenizer_of(model: Any) -> Any:
    """The tokenizer, which in a sentence encoder sits inside its module."""
    return model.module.tokenizer if isinstance(model, SentenceEncoder) else model.tokenizer


def batch_budget(model: Any, given: int | None) -> int:
    """Padded tokens a batch."""
    return token_budget(device_of(model), **TOKENS_PER_BATCH) if given is None else given


@contextmanager
def embeddings_replaced(embedding: nn.Module, replacement: torch.Tensor) -> Iterator[None]:
    """Inside the block the first call of `embedding` returns `replacement`: positions still come from the real ids.

    Only the first: the decoder of a sequence-to-sequence model may use the same module after the encoder.
    """
    first = iter([replacement])
    handle = embedding.register_forward_hook(lambda module, args, output: next(first, None))
    try:
        yield
    finally:
        handle.remove()


def require_gradients(model: Any) -> None:
    """Refuse a model whose layers compute in integers.

    Raises:
        MissingCapability: says which methods need no gradients.
    """
    for name, part in model.module.named_modules():
        if "quantized" in type(part).__module__:
            raise MissingCapability(
                f"{model.name} has no gradients: its layer {name!r} is quantized ({type(part).__name__}). Use a method "
                "that needs none: occlusion, shapley_sampling or kernel_shap"
            )
