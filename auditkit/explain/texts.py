"""The tokens of texts to be explained: none of them cut, since what the model never sees cannot be explained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from auditkit.errors import InputError
from auditkit.explain.layers import Tokens, tokenize
from auditkit.models.char_gpt import CharGPT
from auditkit.models.sentence_encoder import SentenceEncoder


def tokenized(model: Any, texts: Sequence[str]) -> list[Tokens]:
    """The tokens of each text, none of them cut.

    Raises:
        InputError: an empty text, or one that does not fit into the context.
    """
    found = untruncated(model, texts)
    for i, (text, tokens) in enumerate(zip(texts, found, strict=True)):
        if tokens is None:
            raise InputError(
                f"text {i} ({text[:40]!r}...) is longer than the context of {context_of(model)} tokens: the model "
                "never sees its end, which cannot be explained; cut the text"
            )
        if tokens.special.all():
            raise InputError(f"text {i} ({text[:40]!r}) has no token to explain; give texts with at least one word")
    return [tokens for tokens in found if tokens is not None]


def read_texts(texts: str | Sequence[str]) -> list[str]:
    """The texts themselves, or the lines of a file that are not empty.

    Args:
        texts: a list, or the path of a UTF-8 file with one text a line.

    Raises:
        InputError: the file cannot be read.
    """
    if not isinstance(texts, str):
        return list(texts)
    try:
        with open(texts, encoding="utf-8-sig") as lines:
            return [line.strip() for line in lines if line.strip()]
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"texts: cannot read {texts!r} ({e}); give a UTF-8 file with one text a line") from e


def untruncated(model: Any, texts: Sequence[str]) -> list[Tokens | None]:
    """The tokens of each text; None for one that does not fit into the context.

    Raises:
        InputError: an empty text.
    """
    before = dict(model.notices)
    found = tokenize(model, texts)
    for notice in [n for n in model.notices if "truncated" in n]:  # what was cut is not used
        model.notices[notice] = before.get(notice, 0)
    model.notices += Counter()  # drops what is zero
    return [
        None if len(t.ids) >= context_of(model) and int(t.offsets.max()) < len(text.rstrip()) else t
        for text, t in zip(texts, found, strict=True)
    ]


def context_of(model: Any) -> int:
    """The longest input in tokens; of a char-GPT in characters."""
    if isinstance(model, CharGPT):
        return model.config.context
    return int(model.module.max_seq_length) if isinstance(model, SentenceEncoder) else model.context
