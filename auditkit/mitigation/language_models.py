"""A language model to be made fairer: what a mitigation of one is, and what all of them share.

A mitigation is fitted to texts and hands back an adapter like any other; the one given is not changed:

    fairer = EqualizedFineTuning(steps=60).fit(ak.load_model("minilm-mlm"), texts, rng=np.random.default_rng(0))
    ak.audit(fairer, [StereotypePairs(), PronounGap()])

Texts and templates that a bias benchmark is made of belong into no mitigation: the benchmark would measure whether they
were learned by heart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
import torch

from auditkit.errors import DataError, MissingCapability
from auditkit.explain.layers import Tokens
from auditkit.mitigation.swaps import Swapper
from auditkit.models.batching import pad, padded
from auditkit.models.causal_lm import CausalLM
from auditkit.models.char_gpt import CharGPT
from auditkit.models.masked_lm import MaskedLM
from auditkit.models.narrow import rows_only
from auditkit.models.protocols import Ints
from auditkit.privacy.adapters import copy_of
from auditkit.probes.pair_scores import shared_positions


class LanguageModelMitigation(Protocol):
    """A way to make a language model fairer: a frozen keyword-only dataclass whose fields are its options.

    Attributes:
        name: as in a report, e.g. "counterfactual data augmentation".
        source: the publication that defines it.
    """

    name: ClassVar[str]
    source: ClassVar[str]

    def fit(self, model: Any, texts: Sequence[str], *, rng: np.random.Generator) -> Any:
        """A fairer copy of `model`, learned from `texts`; its `mitigations` say what was done.

        Raises:
            MissingCapability: the model is no language model with weights of its own.
            DataError: texts of a wrong form, or none that names a group.
        """
        ...


def copy_for(method: LanguageModelMitigation, model: Any) -> Any:
    """A copy of `model` under the name of the method, to be changed by it.

    Raises:
        MissingCapability: it is neither a masked nor a causal language model, nor a causal char-GPT.
    """
    if not isinstance(model, MaskedLM | CausalLM | CharGPT):
        raise MissingCapability(
            f"{method.name} changes masked and causal language models and char-GPTs, not a {type(model).__name__}"
        )
    twin = copy_of(model)
    twin.name = f"{model.name} ({method.name})"
    return twin


def record(twin: Any, method: LanguageModelMitigation, **done: Any) -> None:
    """Note in `twin.mitigations` what was done, as JSON values."""
    twin.mitigations = [*getattr(twin, "mitigations", []), {"method": method.name, "source": method.source, **done}]


def counterfactual_pairs(texts: Sequence[str], kinds: tuple[str, ...]) -> tuple[list[tuple[str, str]], list[str]]:
    """Each text that names a group, beside the same text about its counterpart; and the texts whose swap is unsure.

    Raises:
        DataError: a single text instead of a list, or no text names a group.
    """
    if isinstance(texts, str):
        raise DataError("a single text; expected a list of texts, since each of its characters would count as one")
    swapper = Swapper(kinds=kinds)
    both = [(text, swapper.swap(text)) for text in texts]
    pairs = [(text, swapped.text) for text, swapped in both if swapped.changes and not swapped.left]
    unsure = [text for text, swapped in both if swapped.left]
    if not pairs:
        raise DataError(
            f"none of {len(texts)} texts names a group ({', '.join(kinds)}) whose swap is sure, {len(unsure)} name one "
            "whose swap is not; nothing to learn from"
        )
    return pairs, unsure


def shared_tokens(sides: Sequence[Tokens]) -> list[Ints]:
    """Of a text, or a text and its counterfactual, where the ordinary tokens stand that all sides share; in each."""
    places = [np.arange(len(sides[0].ids))]
    if len(sides) == 2:
        places = [np.array(p, dtype=np.int64) for p in shared_positions(*(t.ids.tolist() for t in sides))]
    ordinary = np.all([~t.special[at] for t, at in zip(sides, places, strict=True)], axis=0)
    return [at[ordinary] for at in places]


def logits_at(
    model: Any, sequences: Sequence[Sequence[int]], rows: Sequence[int], columns: Sequence[int]
) -> torch.Tensor:
    """(n, V) logits, with their gradients, at n positions; the vocabulary projection is computed there alone.

    Args:
        model: an adapter of a language model.
        sequences: token ids.
        rows: (n,) indices into `sequences`.
        columns: (n,) positions: in a masked model those asked about, in a causal one those before them.
    """
    row, column = torch.tensor(rows, device=model.device), torch.tensor(columns, device=model.device)
    if isinstance(model, CharGPT):
        out: torch.Tensor = model.module(pad(sequences, 0).to(model.device))[row, column]
        return out
    inputs = padded(sequences, model.tokenizer.pad_token_id, model.device)
    options = {} if isinstance(model, MaskedLM) else {"use_cache": False}
    with rows_only(model.module, row, column):
        out = model.module(**inputs, **options).logits[0]
    return out
