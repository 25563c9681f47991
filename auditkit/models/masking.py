"""Masks where words stand, for any tokenizer: a mask takes a word's own tokens, the space that is part of them too.

A text with "[MASK]" pasted in is not what a model was trained on: many tokenizers make a token of the space before the
mask, which with a word in its place would belong to the word. So the text is tokenized with a word in the mask's place
(the words that are asked about, or any other), and the mask replaces what that word is made of.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from auditkit.errors import MissingCapability
from auditkit.models.protocols import Encoded
from auditkit.models.tokens import Row


class ReadsMasks(Protocol):
    """What is needed of a `FillsMask` to put a mask in the place of a word."""

    mask_id: int

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """As `FillsMask.encode`."""
        ...

    def word_id(self, word: str) -> int | None:
        """As `FillsMask.word_id`."""
        ...


class Slot(NamedTuple):
    """A place for one word in one text.

    Attributes:
        ids: the whole input, with a mask in the place.
        position: the mask's.
        targets: of each word that could stand there, its token; None where it takes several or is unknown.
        cut: whether the text is longer than the model reads; then there are no targets.
    """

    ids: tuple[int, ...]
    position: int
    targets: tuple[int | None, ...]
    cut: bool = False


def slots(model: ReadsMasks, before: Sequence[str], words: Sequence[str], after: Sequence[str]) -> list[Slot]:
    """A place for a word between `before[i]` and `after[i]`, and what each of `words` would be there.

    Args:
        model: a masked language model.
        before: n texts, each with the space before the word.
        words: the words that could stand there.
        after: n texts.
    """
    encoded = iter(model.encode([a + word + b for a, b in zip(before, after, strict=True) for word in words]))
    return [_slot(model, start, words, [next(encoded) for _ in words]) for start in before]


def whole_slots(model: ReadsMasks, before: Sequence[str], words: Sequence[str], after: Sequence[str]) -> list[Slot]:
    """As `slots`, where each of the texts is needed.

    Raises:
        MissingCapability: one is longer than the model reads.
    """
    found = slots(model, before, words, after)
    for slot, start in zip(found, before, strict=True):
        if slot.cut:
            raise MissingCapability(f"the model reads at most {len(slot.ids)} tokens, too few for {start[:60]!r}...")
    return found


def _slot(model: ReadsMasks, before: str, words: Sequence[str], filled: Sequence[Encoded]) -> Slot:
    if any(text.cut for text in filled):
        return Slot(tuple(filled[0].ids.tolist()), 0, (None,) * len(words), cut=True)
    places = [_place(model, before, word, text) for word, text in zip(words, filled, strict=True)]
    # Where words differ in whether a space is part of them, only those that leave the same text are alternatives.
    common = Counter(rest for rest, position, target in places if target is not None).most_common(1)
    rest, position, _ = next(place for place in places if not common or place[0] == common[0][0])
    return Slot(rest, position, tuple(target if ids == rest else None for ids, _, target in places))


def _place(model: ReadsMasks, before: str, word: str, text: Encoded) -> tuple[tuple[int, ...], int, int | None]:
    """Ids with a mask for the word, its position, and the word's token if it is a single known one."""
    start, end = len(before) - before[-1:].isspace(), len(before) + len(word)
    first, last = held(text, start, end, repr(before[:60]))
    ids = tuple(text.ids.tolist())
    alone = last == first + 1 and start <= text.offsets[first, 0] and text.offsets[first, 1] <= end
    target = ids[first] if alone and _known(model, word, ids[first]) else None
    return (*ids[:first], model.mask_id, *ids[last:]), first, target


def _known(model: ReadsMasks, word: str, token: int) -> bool:
    tokenizer = getattr(model, "tokenizer", None)
    return model.word_id(word) is not None if tokenizer is None else token != tokenizer.unk_token_id


def held(text: Encoded, start: int, end: int, what: str) -> tuple[int, int]:
    """The tokens [first, last) that hold a part of the characters [start, end) of the text `what`.

    Raises:
        MissingCapability: none does: the text was cut before them.
    """
    begins, ends = text.offsets.T
    inside = np.flatnonzero(~text.special & (ends > start) & (begins < end))
    if not len(inside):
        raise MissingCapability(f"the model reads at most {len(text.ids)} tokens, too few for {what}...")
    return int(inside[0]), int(inside[-1]) + 1


class Filled(NamedTuple):
    """A text with a word in the place of each mask, and where these words stand in it, in characters."""

    text: str
    spans: tuple[tuple[int, int], ...]


def fill_in(text: str, mask: str, word: str) -> Filled:
    """Put `word` where masks stand as words; a mask that touches a letter is a piece of a word, and left as it is."""
    parts = re.split(rf"(?<!\w){re.escape(mask)}(?!\w)", text)
    spans, at = [], 0
    for part in parts[:-1]:
        at += len(part)
        spans.append((at, at + len(word)))
        at += len(word)
    return Filled(word.join(parts), tuple(spans))


def put_masks(row: Row, filled: Filled, mask: str, mask_id: int) -> Row | None:
    """The row of a filled text with a mask in place of each word, its offsets those in the text with the masks.

    Returns:
        None where a word shares a token with what stands beside it.
    """
    ids, special, offsets = list(row.ids), list(row.special), [_moved(at, filled, mask) for at in row.offsets]
    for k, (start, end) in reversed(list(enumerate(filled.spans))):
        inside = [t for t, (a, b) in enumerate(row.offsets) if not row.special[t] and b > start and a < end]
        beside = [filled.text[row.offsets[t][0] : start] + filled.text[end : row.offsets[t][1]] for t in inside]
        if not inside or "".join(beside).strip():
            return None
        where = start + k * (len(mask) - (end - start))
        place = slice(inside[0], inside[-1] + 1)
        ids[place], special[place], offsets[place] = [mask_id], [False], [(where, where + len(mask))]
    return Row(ids, special, offsets)


def _moved(at: tuple[int, int], filled: Filled, mask: str) -> tuple[int, int]:
    """Where a token of the filled text stands in the text with the masks."""
    start, end = at
    longer = [len(mask) - (b - a) for a, b in filled.spans]
    return (
        start + sum(more for more, (_, b) in zip(longer, filled.spans, strict=True) if b <= start),
        end + sum(more for more, (_, b) in zip(longer, filled.spans, strict=True) if b <= end),
    )
