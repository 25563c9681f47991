"""What a char-GPT learns from: samples of token ids, made up or cut from a text, and the part held out."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auditkit.errors import DataError
from auditkit.models.char_tokenizer import CharTokenizer
from auditkit.models.char_transformer import ALPHABET, CharGPTConfig
from auditkit.models.protocols import Ints


@dataclass(frozen=True, slots=True)
class Samples:
    """Sequences to learn: `targets[i, t]` is what follows `inputs[i, t]`; both (n, T) token ids."""

    inputs: Ints
    targets: Ints

    def __post_init__(self) -> None:
        if self.inputs.shape != self.targets.shape or self.inputs.ndim != 2 or self.inputs.size == 0:
            raise DataError(
                f"samples of shapes {self.inputs.shape} and {self.targets.shape}; expected two equal, non-empty (n, T)"
            )

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, rows: slice | Ints) -> Samples:
        return Samples(self.inputs[rows], self.targets[rows])


def distinct_characters(n: int = 1000, length: int = 5, *, vocabulary: str = ALPHABET, seed: int = 0) -> Samples:
    """The original char-GPT's data: `length` characters drawn without repetition, the input all but the last.

    Raises:
        DataError: `length` is below 2 or larger than the vocabulary.
    """
    if not 2 <= length <= len(vocabulary):
        raise DataError(f"length {length}: expected 2 to {len(vocabulary)}, the symbols of the vocabulary")
    rng = np.random.default_rng(seed)
    drawn = rng.permuted(np.tile(np.arange(len(vocabulary)), (n, 1)), axis=1)[:, :length]
    return Samples(drawn[:, :-1], drawn[:, 1:])


def windows(ids: Ints, width: int, offset: int = 0) -> Samples:
    """Windows of `width` characters, one after the other from `offset` on, each with the characters that follow."""
    n = (len(ids) - offset - 1) // width
    here = ids[offset : offset + n * width + 1]
    return Samples(here[:-1].reshape(n, width), here[1:].reshape(n, width))


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What one training run reads.

    Attributes:
        epoch: `epoch(rng)` gives the training samples of one pass, in random order.
        steps: batches in a pass.
        train_characters: targets in a pass.
        validation: the part held out, if any.
        replaced: characters of the text outside the vocabulary.
    """

    epoch: Callable[[np.random.Generator], Samples]
    steps: int
    train_characters: int
    validation: Samples | None
    replaced: int = 0


def prepare(
    data: str | os.PathLike[str] | Samples, config: CharGPTConfig, validation: float, batch_size: int
) -> TrainingData:
    """Split off the last `validation` share, and cut a text into windows.

    Raises:
        DataError: the text is unreadable, a part is too short, or samples do not fit the configuration.
    """
    if isinstance(data, Samples):
        return _prepare_samples(data, config, validation, batch_size)
    text = data if isinstance(data, str) else _read_text(Path(data))
    if isinstance(data, str) and os.path.isfile(data):
        raise DataError(f"{data!r} as a str is taken as the text itself, but is a file; give pathlib.Path({data!r})")
    encoded, replaced = CharTokenizer(config.vocabulary).encode(text)
    ids = np.array(encoded, dtype=np.int64)
    cut = len(ids) - round(len(ids) * validation)
    kept, tail = ids[:cut], ids[cut:]
    if len(kept) < 2 or (validation and len(tail) < 2):
        raise DataError(f"a text of {len(ids)} characters with {validation:.0%} held out: too short; each part needs 2")
    width = min(config.context, len(kept) - 1)
    offsets = min(width, len(kept) - width)  # offsets that leave at least one whole window

    def epoch(rng: np.random.Generator) -> Samples:
        samples = windows(kept, width, offset=int(rng.integers(offsets)))
        return samples[rng.permutation(len(samples))]

    held_out = windows(tail, min(width, len(tail) - 1)) if validation else None
    per_pass = len(windows(kept, width))
    return TrainingData(epoch, math.ceil(per_pass / batch_size), per_pass * width, held_out, replaced)


def _prepare_samples(samples: Samples, config: CharGPTConfig, validation: float, batch_size: int) -> TrainingData:
    ids = np.concatenate([samples.inputs, samples.targets])
    if ids.min() < 0 or ids.max() >= len(config.vocabulary):
        raise DataError(
            f"token ids from {ids.min()} to {ids.max()}; the vocabulary has 0 to {len(config.vocabulary) - 1}"
        )
    if config.positions and samples.inputs.shape[1] > config.context:
        raise DataError(f"samples of {samples.inputs.shape[1]} characters; the context is {config.context}")
    cut = len(samples) - round(len(samples) * validation)
    if cut == 0 or (validation and cut == len(samples)):
        raise DataError(f"{len(samples)} samples cannot be split with {validation:.0%} held out; give more samples")
    kept = samples[:cut]
    held_out = samples[cut:] if validation else None
    return TrainingData(
        lambda rng: kept[rng.permutation(cut)], math.ceil(cut / batch_size), kept.targets.size, held_out
    )


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as e:
        raise DataError(f"cannot read {path}: {e.strerror or e}") from e
    except UnicodeDecodeError as e:
        raise DataError(f"{path} is not UTF-8 (byte {e.start}); convert it, for instance with iconv") from e
