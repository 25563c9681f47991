"""The records that shadow models are trained on: as token ids, as hashes, and who is in which shadow.

Shapes: S shadows, n records, T tokens.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from auditkit.errors import DataError, MissingCapability
from auditkit.models.char_gpt_data import Samples
from auditkit.models.char_tokenizer import CharTokenizer
from auditkit.models.char_transformer import CharGPTConfig
from auditkit.models.protocols import Ints
from auditkit.privacy.losses import IGNORED

Bools = npt.NDArray[np.bool_]
Records = Samples | Sequence[str]


def as_samples(records: Records, config: CharGPTConfig) -> tuple[Samples, Counter[str]]:
    """Records as token ids, padded on the right, where a causal model does not look, with targets of -100.

    Args:
        records: texts, for a causal model; or samples of token ids, whose targets may be -100 (not counted).
        config: the model that reads them.

    Returns:
        The samples, and counts of texts cut to the context and of characters outside the vocabulary.

    Raises:
        DataError: no records, an id outside the vocabulary, samples wider than the context, or a record without
            targets (a text of one character).
        MissingCapability: texts, for a model without a causal mask.
    """
    samples, notices = (records, Counter[str]()) if isinstance(records, Samples) else _encode(records, config)
    symbols, width = len(config.vocabulary), samples.inputs.shape[1]
    outside = (samples.inputs < 0) | (samples.inputs >= symbols)
    outside |= ((samples.targets < 0) & (samples.targets != IGNORED)) | (samples.targets >= symbols)
    empty = (samples.targets == IGNORED).all(1)
    problems = [
        (outside.any(), f"record {outside.any(1).argmax()} has ids outside the vocabulary, 0 to {symbols - 1}"),
        (width > config.context and config.positions, f"records of {width} tokens; the context is {config.context}"),
        (empty.any(), f"record {empty.argmax()} has no token to predict; give longer records"),
    ]
    found = [text for wrong, text in problems if wrong]
    if found:
        raise DataError("; ".join(found))
    return samples, notices


def _encode(texts: Sequence[str], config: CharGPTConfig) -> tuple[Samples, Counter[str]]:
    """Every text from the tokenizer's start on, as `CharGPT.token_logprobs` reads it."""
    if not config.causal:
        raise MissingCapability(
            "texts for a model without a causal mask, which sees the characters it would be scored on; "
            "give Samples with targets of your own, or train a causal configuration"
        )
    if isinstance(texts, str) or not texts:
        raise DataError(f"records {texts!r}; expected a non-empty list of texts, one for each record")
    tokenizer, notices = CharTokenizer(config.vocabulary), Counter[str]()
    longest = min(config.context, max(map(len, texts)))
    ids = np.full((len(texts), max(2, longest + len(tokenizer.start))), IGNORED, dtype=np.int64)
    for row, text in zip(ids, texts, strict=True):
        encoded, replaced = tokenizer.encode(text[: config.context])
        row[: len(tokenizer.start) + len(encoded)] = tokenizer.start + encoded
        notices[f"texts truncated to {config.context} characters"] += len(text) > config.context
        notices[f"characters outside the vocabulary read as {tokenizer.fallback!r}"] += replaced
    return Samples(np.where(ids == IGNORED, 0, ids)[:, :-1], ids[:, 1:]), +notices


def record_hashes(samples: Samples) -> tuple[str, ...]:
    """sha256 of each record; padding does not count."""
    return tuple(_record_hash(x, y) for x, y in zip(samples.inputs, samples.targets, strict=True))


def _record_hash(inputs: Ints, targets: Ints) -> str:
    width = np.flatnonzero(targets != IGNORED)[-1] + 1
    return hashlib.sha256(np.stack([inputs[:width], targets[:width]]).astype("<i8").tobytes()).hexdigest()


def refuse_repeated(hashes: Sequence[str]) -> None:
    """Raise DataError where one record stands twice: a shadow could see what counts as left out."""
    first: dict[str, int] = {}
    for i, digest in enumerate(hashes):
        if (earlier := first.setdefault(digest, i)) != i:
            raise DataError(
                f"records {earlier} and {i} are the same, and {len(hashes) - len(set(hashes))} in all repeat another: "
                "a shadow could be trained on a record that counts as left out; give each record once"
            )


def refuse_changed(hashes: Sequence[str], expected: Sequence[str]) -> None:
    """Raise DataError unless the records are those that the shadows were made for, in the same order."""
    if len(hashes) != len(expected):
        raise DataError(
            f"{len(hashes)} records, but the shadows were trained on a split of {len(expected)}; "
            "give the same records, or train shadows on these"
        )
    changed = [i for i, (new, old) in enumerate(zip(hashes, expected, strict=True)) if new != old]
    if changed:
        raise DataError(
            f"{len(changed)} of {len(hashes)} records are not those that the shadows were trained on, the first of "
            f"them record {changed[0]}; give the same records in the same order, or train shadows on these"
        )


def membership_matrix(shadows: int, records: int, inclusion: float = 0.5, seed: int = 0) -> Bools:
    """(S, n) who is in: each shadow has exactly round(inclusion * n) records, chosen at random.

    Shadow after shadow takes the records that have been taken least often so far, ties broken at random: a half, its
    complement, another half, ... So every record is in as many shadows as any other, or one more. The first rows do
    not depend on how many follow.

    Raises:
        DataError: too few records for this share.
    """
    size = round(inclusion * records)
    if not 0 < size < records:
        raise DataError(
            f"{records} records with a share of {inclusion:g} in each shadow: {size} in and {records - size} out; "
            "expected at least 1 of each; give more records"
        )
    rng = np.random.default_rng([seed, records])
    membership = np.zeros((shadows, records), dtype=np.bool_)
    for s in range(shadows):
        taken = membership[:s].sum(0)
        membership[s, np.lexsort((rng.random(records), taken))[:size]] = True
    return membership
