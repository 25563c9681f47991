"""What can be explained, for each kind of model.

    classifier       Label("positive")                          the logit of a class, or a difference of two
    masked LM        Filler("she"), Filler("she", versus="he")  log p of the word at the mask
    causal LM, char  NextToken(), Continuation(" is tired")     log p of what follows the text
    encoder          Similarity(to="a good engineer")           the cosine of two texts
    seq2seq          Output("ein guter Tag")                    log p of an output that the decoder is made to write

With `versus`, the difference between two alternatives: which tokens speak for the one and against the other. What is
written after the text is part of the question, not of the explanation: its own tokens get no value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from auditkit.errors import DataError, InputError, UnknownName, VocabularyError
from auditkit.explain.engine import Engine
from auditkit.explain.layers import Tokens
from auditkit.explain.questions import Branch, Question, branch, question
from auditkit.explain.readers import device_of, reader_of
from auditkit.explain.texts import context_of, tokenized
from auditkit.models.causal_lm import CausalLM
from auditkit.models.char_gpt import CharGPT
from auditkit.models.classifier import Classifier
from auditkit.models.masked_lm import MaskedLM
from auditkit.models.masking import whole_slots
from auditkit.models.sentence_encoder import SentenceEncoder
from auditkit.models.seq2seq import Seq2Seq


@dataclass(frozen=True, slots=True)
class Label:
    """The logit of a class; None is the one that the model predicts. `versus`: less the logit of another class."""

    label: str | None = None
    versus: str | None = None


@dataclass(frozen=True, slots=True)
class Filler:
    """Log p of a word at the text's one mask; None is the most probable. `versus`: less log p of another word."""

    word: str | None = None
    versus: str | None = None


@dataclass(frozen=True, slots=True)
class NextToken:
    """Log p of the token that the model finds most probable after the text."""


@dataclass(frozen=True, slots=True)
class Continuation:
    """Log p of a whole continuation, teacher-forced; `versus`: less log p of another.

    It is appended as it stands: begin with a space where a new word begins.
    """

    text: str
    versus: str | None = None


@dataclass(frozen=True, slots=True)
class Similarity:
    """The cosine between the text and another one; the tokens of both are explained."""

    to: str


@dataclass(frozen=True, slots=True)
class Output:
    """Log p of an output that the decoder is made to write; None is the greedy one. `versus`: less log p of another."""

    text: str | None = None
    versus: str | None = None


Target = Label | Filler | NextToken | Continuation | Similarity | Output

_SUITED: tuple[tuple[type, tuple[type, ...]], ...] = (
    (Classifier, (Label,)),
    (MaskedLM, (Filler,)),
    (CausalLM, (NextToken, Continuation)),
    (CharGPT, (NextToken, Continuation)),
    (SentenceEncoder, (Similarity,)),
    (Seq2Seq, (Output,)),
)


def ask(model: Any, texts: Sequence[str], target: Target | Sequence[Target] | None = None) -> list[Question]:
    """The question about each text.

    Args:
        model: an adapter of auditkit.
        texts: what to explain.
        target: for all texts, or one for each; None is what the model predicts.

    Raises:
        InputError: an empty text, a text longer than the context, a target for another kind of model, no mask.
        VocabularyError: a word that the vocabulary does not hold.
        MissingCapability: the model cannot be explained.
    """
    if isinstance(texts, str):
        raise DataError("a single text; expected a list of texts, since each of its characters would count as one")
    targets = settled(model, texts, target)
    tokens = tokenized(model, texts)
    build = _BUILDERS[_kind(model)]
    questions = [build(model, text, t, wanted) for text, t, wanted in zip(texts, tokens, targets, strict=True)]
    return with_predictions(model, questions)


def settled(model: Any, texts: Sequence[str], target: Target | Sequence[Target] | None = None) -> list[Target]:
    """One target for each text, an output that the model is to write being written; raises as `ask`."""
    targets = _one_for_each(model, texts, target)
    open_ = [i for i, t in enumerate(targets) if isinstance(t, Output) and t.text is None]
    for i, written in zip(open_, model.generate([texts[i] for i in open_]) if open_ else [], strict=True):
        targets[i] = replace(targets[i], text=written)
    return targets


def _kind(model: Any) -> type:
    reader_of(model)  # raises where there is none
    return next(kind for kind, _ in _SUITED if isinstance(model, kind))


def _one_for_each(model: Any, texts: Sequence[str], target: Target | Sequence[Target] | None) -> list[Target]:
    suited = dict(_SUITED)[_kind(model)]
    if target is None:
        if suited[0] is Similarity:
            raise InputError("an encoder predicts nothing by itself; give target=Similarity(to=...)")
        target = suited[0]()
    targets = list(target) if isinstance(target, Sequence) else [target] * len(texts)
    if len(targets) != len(texts):
        raise InputError(f"{len(targets)} targets for {len(texts)} texts; give one, or one for each text")
    for given in targets:
        if not isinstance(given, suited):
            expected = " or ".join(kind.__name__ for kind in suited)
            raise InputError(f"target {given!r} does not suit a {model.task}; expected {expected}")
    return targets


# --- one kind of model each. Target -1 stands for what the model predicts -----------------------------------------


def _about_label(model: Classifier, text: str, tokens: Tokens, target: Label) -> Question:
    label = -1 if target.label is None else _label(model, target.label)
    reads = [(0, label, 1.0)]
    asks = f"logit of {target.label!r}" if target.label is not None else "logit of {}"
    if target.versus is not None:
        reads.append((0, _label(model, target.versus), -1.0))
        asks += f" - logit of {target.versus!r}"
    row = branch(tokens.ids, range(len(tokens.ids)), reads)
    return question(text, asks, tokens, [row], contrast=target.versus is not None)


def _label(model: Classifier, label: str) -> int:
    if label not in model.labels:
        raise UnknownName("label", label, model.labels)
    return model.labels.index(label)


def _about_filler(model: MaskedLM, text: str, tokens: Tokens, target: Filler) -> Question:
    masks = np.flatnonzero(tokens.ids == model.mask_id).tolist()
    if len(masks) != 1:
        raise InputError(
            f"{len(masks)} masks in {text[:80]!r}; expected one {model.mask_token} where the word is wanted"
        )
    at = masks[0]
    reads = [(at, -1 if target.word is None else _word(model, text, tokens, target.word), 1.0)]
    asks = f"log p({target.word!r})" if target.word is not None else "log p({})"
    if target.versus is not None:
        reads.append((at, _word(model, text, tokens, target.versus), -1.0))
        asks += f" - log p({target.versus!r})"
    special = tokens.special.copy()
    special[at] = True  # the mask is where the question is asked, not part of the answer
    row = branch(tokens.ids, range(len(tokens.ids)), reads)
    return question(text, asks, replace(tokens, special=special), [row], contrast=target.versus is not None)


def _word(model: MaskedLM, text: str, tokens: Tokens, word: str) -> int:
    """The id of the word where the text's mask stands."""
    before, _, after = text.partition(model.mask_token)
    (slot,) = whole_slots(model, [before], [word], [after])
    (found,) = slot.targets
    if found is None or slot.ids != tuple(tokens.ids.tolist()):
        raise VocabularyError(
            f"{word!r} is not one token of {model.name}'s vocabulary, so it cannot fill one mask; choose another word"
        )
    return found


def _about_continuation(
    model: CausalLM | CharGPT, text: str, tokens: Tokens, target: NextToken | Continuation
) -> Question:
    if isinstance(target, NextToken):
        end = len(tokens.ids) - 1
        row = branch(tokens.ids, range(len(tokens.ids)), [(end, -1, 1.0)])
        return question(text, "log p({})", tokens, [row])
    alternatives = [(target.text, 1.0)] + ([] if target.versus is None else [(target.versus, -1.0)])
    rows = [forced_branch(model, text, tokens, written, weight) for written, weight in alternatives]
    asks = " - ".join(f"log p({written!r})" for written, _ in alternatives)
    return question(text, asks, tokens, rows, contrast=len(rows) > 1)


def forced_branch(model: CausalLM | CharGPT, text: str, tokens: Tokens, written: str, weight: float) -> Branch:
    """The text followed by `written`, each of whose tokens is read where it is predicted."""
    prompt = tokens.ids.tolist()
    added = _continued(model, text, prompt, written)
    whole = [*prompt, *added]
    if len(whole) - 1 > context_of(model):
        raise InputError(
            f"{text[:40]!r} with its continuation is {len(whole)} tokens long; the context is "
            f"{context_of(model)}: cut it"
        )
    reads = [(len(prompt) - 1 + i, token, weight) for i, token in enumerate(added)]
    return branch(whole[:-1], [*range(len(prompt)), *[-1] * (len(added) - 1)], reads)  # the last is never read


def _continued(model: CausalLM | CharGPT, text: str, prompt: list[int], written: str) -> list[int]:
    """The ids of the continuation: as tokenized with the text where that leaves the text's own tokens alone."""
    if isinstance(model, CharGPT):
        if strange := sorted({c for c in written if c not in model.tokenizer}):
            raise VocabularyError(f"{model.name} cannot write {', '.join(map(repr, strange))}; choose other words")
        added = model.tokenizer.encode(written)[0]
    else:
        encode = model.tokenizer
        start = [] if encode.bos_token_id is None else [encode.bos_token_id]
        whole = start + list(encode(text + written, add_special_tokens=False, verbose=False)["input_ids"])
        joined = whole[: len(prompt)] == prompt
        alone = encode(written, add_special_tokens=False, verbose=False)["input_ids"]
        added = whole[len(prompt) :] if joined else list(alone)
    if not added:
        raise InputError(f"a continuation of zero tokens ({written!r}); give the words that are to follow")
    return added


def _about_similarity(model: SentenceEncoder, text: str, tokens: Tokens, target: Similarity) -> Question:
    other = tokenized(model, [target.to])[0]
    count, shift = len(tokens.ids), len(text) + 1
    rows = [branch(tokens.ids, range(count)), branch(other.ids, range(count, count + len(other.ids)))]
    both = Tokens(
        np.concatenate([tokens.ids, other.ids]),
        (*tokens.names, *other.names),
        np.concatenate([tokens.special, other.special]),
        np.concatenate([tokens.offsets, other.offsets + shift]),
    )
    return question(f"{text}\n{target.to}", "cosine of the two texts", both, rows)


def _about_output(model: Seq2Seq, text: str, tokens: Tokens, target: Output) -> Question:
    alternatives = [(target.text or "", 1.0)] + ([] if target.versus is None else [(target.versus, -1.0)])
    rows = []
    for written, weight in alternatives:
        ids = model.tokenizer(text_target=written, verbose=False)["input_ids"] if written else []
        if not ids or set(ids) <= set(model.tokenizer.all_special_ids):
            raise InputError(f"an output of zero tokens ({written!r}); give the words that are to be written")
        reads = [(i, token, weight) for i, token in enumerate(ids)]
        rows.append(branch(tokens.ids, range(len(tokens.ids)), reads, ids))
    asks = " - ".join(f"log p({written!r})" for written, _ in alternatives)
    return question(text, asks, tokens, rows, contrast=len(rows) > 1)


_BUILDERS: dict[type, Callable[[Any, str, Tokens, Any], Question]] = {
    Classifier: _about_label,
    MaskedLM: _about_filler,
    CausalLM: _about_continuation,
    CharGPT: _about_continuation,
    SentenceEncoder: _about_similarity,
    Seq2Seq: _about_output,
}


def each_token(model: Any, asked: Question) -> list[Question]:
    """One question for each token that is forced in a continuation or an output: log p given those before it.

    Raises:
        InputError: two alternatives are compared, which have no tokens in common.
    """
    if len(asked.branches) != 1:
        raise InputError(f"{asked.asks}: a difference of two alternatives has no tokens in common; ask about one")
    (row,) = asked.branches
    questions = []
    for i, target in enumerate(row.targets.tolist()):
        one = slice(i, i + 1)
        alone = replace(row, positions=row.positions[one], targets=row.targets[one], weights=row.weights[one])
        questions.append(replace(asked, branches=(alone,), asks=f"log p({_name(model, target)!r})"))
    return questions


# --- what the model predicts --------------------------------------------------------------------------------------


def with_predictions(model: Any, questions: list[Question]) -> list[Question]:
    """Put the model's own prediction where a question left it open; it stays the same whatever is perturbed later."""
    open_ = [q for q, asked in enumerate(questions) if any((b.targets < 0).any() for b in asked.branches)]
    if not open_:
        return questions
    import torch

    embedding: Any = reader_of(model).embedding
    nowhere = torch.zeros(1, embedding.weight.shape[1], device=device_of(model))
    found = Engine(model, [questions[q] for q in open_], nowhere).predictions()
    out = list(questions)
    for q, target in zip(open_, found, strict=True):
        asked = questions[q]
        filled = tuple(replace(b, targets=np.where(b.targets < 0, target, b.targets)) for b in asked.branches)
        out[q] = replace(asked, branches=filled, asks=asked.asks.format(repr(_name(model, target))))
    return out


def _name(model: Any, target: int) -> str:
    if isinstance(model, Classifier):
        return model.labels[target]
    return str(model.tokenizer.decode([target]))
