"""Which task a model has, told from the names of its classes, and the adapter for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from auditkit.errors import ModelError
from auditkit.models.protocols import Model

# How the architecture named in config.json ends -> our task.
ARCHITECTURES = {
    "ForMaskedLM": "masked-lm",
    "ForCausalLM": "causal-lm",
    "LMHeadModel": "causal-lm",
    "WithLMHeadModel": "masked-lm",  # of XLM and Flaubert, trained to write or to fill: only the user knows
    "ForSequenceClassification": "classifier",
    "ForNextSentencePrediction": "next-sentence",
    "ForConditionalGeneration": "seq2seq",
    "MTModel": "seq2seq",
}
AUTO_CLASSES = {
    "masked-lm": "AutoModelForMaskedLM",
    "causal-lm": "AutoModelForCausalLM",
    "classifier": "AutoModelForSequenceClassification",
    "seq2seq": "AutoModelForSeq2SeqLM",
    "next-sentence": "AutoModelForNextSentencePrediction",
}
ALSO_HELD = {"causal-lm": "seq2seq", "next-sentence": "masked-lm"}
"""A task -> that of a head whose name a checkpoint may go by while it holds one for the first task too.

What was trained as sequence-to-sequence may hold a causal model: of text and images, for instance. BERT was trained
with two heads, and is published under the name of the one that fills masks.
"""


def task_of(architectures: Any, name: str, asked: str | None) -> str:
    """The task asked for, where the model has a head for it; else that of its only head.

    Args:
        architectures: class names, as config.json lists them.
        name: what errors call the model.
        asked: None where the names are to tell.

    Raises:
        ModelError: there is no such head, or the names tell none, or several.
    """
    if not (isinstance(architectures, list) and all(isinstance(a, str) for a in architectures)):
        raise ModelError(f"{name}: config.json says architectures: {architectures!r}; expected a list of class names")
    found = sorted({task for a in architectures for ending, task in ARCHITECTURES.items() if a.endswith(ending)})
    if asked is not None:
        _refuse_another_head(asked, found, architectures, name)
        return asked
    if len(found) == 1:
        return found[0]
    known = ", ".join(found or [*AUTO_CLASSES, "sentence-encoder"])
    raise ModelError(f"{name}: cannot tell the task from architectures {architectures}; say task: {known}")


def _refuse_another_head(asked: str, found: Sequence[str], architectures: Sequence[str], name: str) -> None:
    """A library reads one head as another where their weights have the same names."""
    if found and asked in AUTO_CLASSES and asked not in found and ALSO_HELD.get(asked) not in found:
        raise ModelError(
            f"{name}: its head is that of {', '.join(architectures)}, and not one for task: {asked}; "
            f"say task: {' or '.join(found)}, or remove `task`"
        )


def adapter_for(task: str) -> Callable[..., Model]:
    """The class of the adapter."""
    from auditkit.models.causal_lm import CausalLM
    from auditkit.models.classifier import Classifier
    from auditkit.models.masked_lm import MaskedLM
    from auditkit.models.next_sentence import NextSentence
    from auditkit.models.seq2seq import Seq2Seq

    adapters: tuple[Any, ...] = (MaskedLM, CausalLM, Classifier, Seq2Seq, NextSentence)
    return next(adapter for adapter in adapters if adapter.task == task)
