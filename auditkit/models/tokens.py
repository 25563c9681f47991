"""The tokens of a text as any tokenizer of transformers makes them: which are special, and where each stands.

Fast tokenizers say so themselves; of those written in Python it is found out (`auditkit.models.alignment`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from auditkit.errors import InputError, ModelError
from auditkit.models.alignment import REHEARSAL, Offsets, aligned


@dataclass(frozen=True, slots=True)
class Row:
    """One text.

    Attributes:
        ids: T token ids.
        special: T times whether a token was put around the text.
        offsets: T times start and end in the text, in characters; (0, 0) where special, and where not asked for.
    """

    ids: list[int]
    special: list[bool]
    offsets: Offsets


def read_tokens(tokenizer: Any, texts: Sequence[str], *, special: bool = True, offsets: bool = True) -> list[Row]:
    """Tokens of each text, none of them cut.

    Args:
        tokenizer: of transformers.
        texts: any.
        special: whether special tokens are put around each.
        offsets: whether it matters where tokens stand.

    Raises:
        InputError: a text is none: half of a surrogate pair.
        ModelError: the tokenizer gives no offsets, and they cannot be found.
    """
    if not texts:
        return []
    refuse_halves(texts)
    options = {"verbose": False, "return_attention_mask": False}
    if not tokenizer.is_fast:
        return [_slow(tokenizer, text, special, offsets, options) for text in texts]
    found = tokenizer(
        list(texts), add_special_tokens=special, return_special_tokens_mask=True, return_offsets_mapping=True, **options
    )
    rows = zip(texts, found["input_ids"], found["special_tokens_mask"], found["offset_mapping"], strict=True)
    return [Row(list(ids), [bool(m) for m in mask], _of_spaces(text, mask, at)) for text, ids, mask, at in rows]


def cut(row: Row, room: int, side: str = "right") -> Row:
    """The row without the ordinary tokens that are too many for `room`, those of the given side."""
    ordinary = [t for t, (start, end) in enumerate(row.offsets) if not row.special[t] or start < end]
    many = max(0, min(len(ordinary), len(row.ids) - room))
    gone = set(ordinary[:many] if side == "left" else ordinary[len(ordinary) - many :])
    kept = [t for t in range(len(row.ids)) if t not in gone]
    return Row([row.ids[t] for t in kept], [row.special[t] for t in kept], [row.offsets[t] for t in kept])


def rehearse(tokenizer: Any, name: str) -> None:
    """Refuse at once a tokenizer of which it cannot be found where its tokens stand.

    Raises:
        ModelError: says why.
    """
    if not tokenizer.is_fast:
        try:
            read_tokens(tokenizer, [REHEARSAL])
        except ModelError as e:
            raise ModelError(f"{name}: {e}") from e


def refuse_halves(texts: Sequence[str]) -> None:
    """Refuse texts that are not valid Unicode.

    Raises:
        InputError: says which.
    """
    for i, text in enumerate(texts):
        try:
            text.encode()
        except UnicodeEncodeError as e:
            raise InputError(
                f"text {i} ({text[:40]!r}...) is not valid Unicode at character {e.start}: half of a surrogate pair, "
                "which no tokenizer reads; correct the text, or the encoding that it was read with"
            ) from e


def _of_spaces(text: str, special: Sequence[int], offsets: Sequence[tuple[int, int]]) -> Offsets:
    """Offsets in which a token of white space covers it: some tokenizers leave white space out of all of them."""
    out, last = list(offsets), 0
    for t, ((start, end), s) in enumerate(zip(offsets, special, strict=True)):
        if start == end and not s and last < start and not text[last:start].strip():
            out[t] = (last, start)
        last = max(last, end)
    return out


def _slow(tokenizer: Any, text: str, special: bool, offsets: bool, options: dict[str, Any]) -> Row:
    plain = list(tokenizer(text, add_special_tokens=False, **options)["input_ids"])
    at = aligned(tokenizer, text, plain) if offsets else [(0, 0)] * len(plain)
    row = Row(plain, [False] * len(plain), at)
    return _framed(row, list(tokenizer(text, **options)["input_ids"]), tokenizer) if special else row


def _framed(row: Row, whole: list[int], tokenizer: Any) -> Row:
    """The row with the special tokens that stand around it in `whole`."""
    count = len(row.ids)
    places = (i for i in range(len(whole) - count + 1) if whole[i : i + count] == row.ids)
    start = next(places, None)
    if start is None:
        raise ModelError(
            f"the tokenizer ({type(tokenizer).__name__}) makes other tokens of a text where special ones stand "
            "around it; save the model with its fast tokenizer (tokenizer.json)"
        )
    end = len(whole) - start - count
    nowhere = [(0, 0)]
    return Row(whole, [True] * start + row.special + [True] * end, nowhere * start + row.offsets + nowhere * end)
