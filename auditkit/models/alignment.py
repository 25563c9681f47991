"""Where the tokens of a tokenizer that gives no offsets stand in the text: found by spelling the text with them.

Tokenizers written in Python say which tokens a text has, but not where. They may drop white space, marks over letters,
control characters and the case of letters; everything else has to be there, in order, or it is not known what a token
covers, and no number that needs to know is given.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

from auditkit.errors import ModelError

Offsets = list[tuple[int, int]]

REHEARSAL = "The nurse said that she was tired, and he left; John's friend slept."


class _Sign(NamedTuple):
    """What a tokenizer may spell one character (or byte) of the text with, and where that stands."""

    sign: str
    start: int
    end: int


def aligned(tokenizer: Any, text: str, ids: Sequence[int]) -> Offsets:
    """Start and end of each token in the text, in characters.

    Args:
        tokenizer: of transformers; gives names and the id of the unknown token.
        text: what was tokenized.
        ids: its tokens, without those that are put around a text.

    Raises:
        ModelError: the tokens do not spell the text.
    """
    named = tokenizer.convert_ids_to_tokens(list(ids))
    names = [str(name) if i != tokenizer.unk_token_id else None for i, name in zip(ids, named, strict=True)]
    found = _spelled(list(_letters(text)), [name if name is None else _signs(_bare(name)) for name in names])
    if found is None:  # each token is some bytes, written as letters in one of two ways
        signs = list(_bytes(text))
        spellings = ([_in_bytes(name, alphabet) for name in names] for alphabet in (_LATIN, _printable_bytes()))
        found = next((f for f in (_spelled(signs, tokens) for tokens in spellings) if f is not None), None)
    if found is None:
        raise ModelError(
            f"the tokenizer ({type(tokenizer).__name__}) gives no offsets, and its tokens do not spell {text[:60]!r}: "
            "no one knows which word a token is part of; save the model with its fast tokenizer (tokenizer.json)"
        )
    return _with_spaces(text, found)


def _in_bytes(name: str | None, alphabet: dict[str, str]) -> str | None:
    return name if name is None else "".join(alphabet.get(c, "") for c in name)


def _with_spaces(text: str, offsets: Offsets) -> Offsets:
    """A token that spells nothing visible has the white space where it stands."""
    out, last = [], 0
    for start, end in offsets:
        if start == end and text[last : last + 1].isspace():
            start, end = last, last + 1
        out.append((start, end))
        last = max(last, end)
    return out


def _spelled(signs: list[_Sign], tokens: Sequence[str | None]) -> Offsets | None:
    """Each token's place, such that together they spell all signs; None where they cannot.

    An unknown token (None) may stand for anything up to the next gap in the text, and rather for more than for less.
    """
    ends: dict[int, int] = {0: -1}
    steps = [ends]
    for token in tokens:
        reached: dict[int, int] = {}
        for at in ends:
            for end in _after(signs, at, token):
                reached.setdefault(end, at)
        steps.append(ends := reached)
    complete = [end for end in ends if all(_may_be_dropped(s.sign) for s in signs[end:])]
    return _path(signs, steps, max(complete)) if complete else None


def _path(signs: list[_Sign], steps: list[dict[int, int]], end: int) -> Offsets:
    stops = [end]
    for reached in reversed(steps[1:]):
        stops.append(reached[stops[-1]])
    return [_place(signs, start, stop) for start, stop in pairwise(reversed(stops))]


def _place(signs: list[_Sign], start: int, stop: int) -> tuple[int, int]:
    while start < stop - 1 and _may_be_dropped(signs[start].sign):
        start += 1
    if start == stop:
        here = signs[start - 1].end if start else 0
        return here, here
    return signs[start].start, signs[stop - 1].end


def _after(signs: list[_Sign], at: int, token: str | None) -> Iterator[int]:
    """Where a token that begins at sign `at` may end."""
    if token is None:
        yield from range(_end_of_run(signs, at), at, -1)
        visible = next((i for i in range(at, len(signs)) if not _may_be_dropped(signs[i].sign)), at)
        if visible > at:
            yield from range(_end_of_run(signs, visible), visible, -1)
        return
    for sign in token:
        while at < len(signs) and signs[at].sign != sign and _may_be_dropped(signs[at].sign):
            at += 1
        if at == len(signs) or signs[at].sign != sign:
            return
        at += 1
    yield at


def _end_of_run(signs: list[_Sign], at: int) -> int:
    """The next gap in the text after sign `at`."""
    if at == len(signs):
        return at
    return next((i for i in range(at + 1, len(signs)) if signs[i].start > signs[i - 1].end), len(signs))


def _letters(text: str) -> Iterator[_Sign]:
    for i, character in enumerate(text):
        yield from (_Sign(sign, i, i + 1) for sign in _signs(character))


def _signs(text: str) -> str:
    """Without case, without the form of letters (é is e and a mark), without white space."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(c for c in decomposed if not c.isspace())


def _bytes(text: str) -> Iterator[_Sign]:
    for i, character in enumerate(text):
        yield from (_Sign(chr(byte), i, i + 1) for byte in character.encode())


def _may_be_dropped(sign: str) -> bool:
    """Marks, and characters that are not seen."""
    return sign.isspace() or unicodedata.category(sign)[0] in "MC"


def _bare(name: str) -> str:
    """A token's name without what marks it as a beginning or a piece of a word."""
    for start in ("##", "▁", "\u0120"):
        name = name.removeprefix(start) or name
    for end in ("</w>", "@@"):
        name = name.removesuffix(end) or name
    return "" if name in ("▁", "\u0120") else name.replace("▁", " ")


_LATIN = {chr(i): chr(i) for i in range(256)}


@cache
def _printable_bytes() -> dict[str, str]:
    """GPT-2's printable character for each byte -> the byte, as a character."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [i for i in range(256) if i not in plain]
    return {chr(i): chr(i) for i in plain} | {chr(256 + n): chr(i) for n, i in enumerate(others)}
