"""What each layer would predict: its state sent straight to the model's own head (the logit lens, nostalgebraist 2020).

The later blocks are left out, everything after them is kept: so the last layer's answer is the model's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from auditkit.errors import InputError, VocabularyError
from auditkit.explain.layers import Tokens, blocks, logits, of_one_length, recording, require_prediction, tokenize
from auditkit.models.batching import Batcher, padded
from auditkit.models.char_gpt import CharGPT
from auditkit.models.masking import whole_slots
from auditkit.models.protocols import Floats, Ints
from auditkit.models.tokens import read_tokens

TOKENS_PER_BATCH = 1024


@dataclass(frozen=True, slots=True)
class LayerPredictions:
    """What a model would have answered, had it stopped after each layer.

    Attributes:
        words: the answers that were asked for: labels of a classifier, words of a language model.
        logprobs: (n, L + 1, words) log p of each; the last layer's are the model's own.
        best: [text][layer]: the most likely answer of all.
    """

    words: tuple[str, ...]
    logprobs: Floats
    best: list[list[str]]


def logit_lens(model: Any, texts: Sequence[str], words: Sequence[str] = ()) -> LayerPredictions:
    """The model's answer after every layer: the later blocks are left out, its own norm and head kept.

    Args:
        model: a classifier, a masked or a causal language model.
        texts: to classify; with exactly one mask; or to be continued by the next token.
        words: whose log-probability is wanted, each a single token; a classifier answers with its labels.

    Raises:
        VocabularyError: a word takes several tokens, so no single layer predicts it.
        InputError: not exactly one mask in a text for a masked model; words for a classifier.
        MissingCapability: the model predicts neither classes nor tokens, or its layers are not a list.
    """
    require_prediction(model)
    tokens = tokenize(model, texts)
    at = _predicting(model, texts, tokens)
    answers = _answers(model, texts, words)
    layers = blocks(model.module)
    logprobs = np.empty((len(texts), len(layers) + 1, len(answers)))
    best = [[""] * (len(layers) + 1) for _ in texts]
    wanted = list(answers.values())
    lengths = [len(t.ids) for t in tokens]

    @torch.inference_mode()
    def forward(rows: Ints) -> None:
        # One length at a time: a char-GPT takes no padding mask, and a decoder's classifier looks for its padding.
        for same in of_one_length(rows, lengths):
            inputs = padded([tokens[r].ids.tolist() for r in same], 0, next(model.module.parameters()).device)
            with recording(model.module) as states, _outputs(layers[-1]) as outputs:
                logits(model, inputs, [at[r] for r in same])
            for layer, state in enumerate(states):
                with _answering_with(layers, state, outputs[0]):
                    found = logits(model, inputs, [at[r] for r in same]).float().log_softmax(-1)
                logprobs[same, layer] = found[:, wanted].cpu().double().numpy()
                for r, top in zip(same, found.argmax(-1).tolist(), strict=True):
                    best[r][layer] = _name(model, top)

    Batcher(TOKENS_PER_BATCH, model.notices, model.module).run(lengths, forward)
    return LayerPredictions(tuple(answers), logprobs, best)


def _answers(model: Any, texts: Sequence[str], words: Sequence[str]) -> dict[str, int]:
    """The column of each answer among the model's outputs."""
    if model.task == "classifier":
        if words:
            raise InputError(f"{model.name} answers with its labels {', '.join(model.labels)}; give no words")
        return {label: i for i, label in enumerate(model.labels)}
    ids = dict(zip(words, _tokens(model, texts, words), strict=True))
    if missing := [word for word, found in ids.items() if len(found) != 1 or None in found]:
        raise VocabularyError(
            f"{', '.join(map(repr, missing))}: not a single token of {model.name}, the same after every text, and a "
            "layer predicts one token at a time; choose words that are"
        )
    return {word: int(i) for word, found in ids.items() for i in found if i is not None}


def _tokens(model: Any, texts: Sequence[str], words: Sequence[str]) -> list[set[int | None]]:
    """Of each word, the tokens that it is in the places of the texts; None where it takes several or is unknown."""
    if isinstance(model, CharGPT):
        known = [word if len(word) == 1 and word in model.tokenizer else None for word in words]
        return [{None if word is None else model.tokenizer.encode(word)[0][0]} for word in known]
    if model.task == "masked-lm":
        before, _, after = zip(*(text.partition(model.mask_token) for text in texts), strict=True)
        return [
            set(found) for found in zip(*(s.targets for s in whole_slots(model, before, words, after)), strict=True)
        ]
    return [{_following(model, text, word) for text in texts} for word in words]


def _following(model: Any, text: str, word: str) -> int | None:
    (row,) = read_tokens(model.tokenizer, [f"{text} {word}"], special=False)
    own = [i for i, (_, end) in zip(row.ids, row.offsets, strict=True) if end > len(text)]
    return own[0] if len(own) == 1 and own[0] != model.tokenizer.unk_token_id else None


def _predicting(model: Any, texts: Sequence[str], tokens: Sequence[Tokens]) -> list[int]:
    """The position that predicts, of each text; a classifier has none."""
    if model.task != "masked-lm":
        return [len(t.ids) - 1 for t in tokens]
    masks = [np.flatnonzero(t.ids == model.mask_id).tolist() for t in tokens]
    if wrong := [(text, len(m)) for text, m in zip(texts, masks, strict=True) if len(m) != 1]:
        text, n = wrong[0]
        raise InputError(f"{n} times {model.mask_token} in {text[:80]!r}; write it once, where a word is wanted")
    return [m[0] for m in masks]


@contextmanager
def _outputs(layer: nn.Module) -> Iterator[list[Any]]:
    """Inside the block the list grows by what the layer returns: a tensor, or a tuple that begins with one."""
    found: list[Any] = []
    handle = layer.register_forward_hook(lambda _, __, output: found.append(output))
    try:
        yield found
    finally:
        handle.remove()


@contextmanager
def _answering_with(layers: nn.ModuleList, state: torch.Tensor, output: Any) -> Iterator[None]:
    """Inside the block no layer computes: each returns `state`, in the form of `output`."""
    answer = (state, *output[1:]) if isinstance(output, tuple) else state
    for layer in layers:
        layer.forward = lambda *_, **__: answer
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _name(model: Any, answer: int) -> str:
    return str(model.labels[answer] if model.task == "classifier" else model.tokenizer.decode([answer])).strip()
