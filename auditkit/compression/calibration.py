"""What the layers of a model see: statistics of their inputs over calibration texts.

Texts of one length go together, so that nothing is ever padded: what is counted is text, however it is batched. The
decoder of a sequence-to-sequence model reads what the model itself writes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from auditkit.compression.layers import Layer
from auditkit.errors import InputError, MissingCapability
from auditkit.models.char_gpt import CharModel
from auditkit.models.padding import Company
from auditkit.models.sentence_encoder import SentenceEncoder
from auditkit.models.seq2seq import Seq2Seq

TOKENS_PER_BATCH = 2048
NEW_TOKENS = 64
"""How far a sequence-to-sequence model writes on for each calibration text."""

Texts = Sequence[str] | str | Path
Row = tuple[tuple[int, ...], tuple[int, ...]]
"""Token ids that a model reads, and those that its decoder reads, if it has one."""


def calibration_texts(texts: Texts) -> list[str]:
    """The texts themselves, or the lines of a text file.

    Args:
        texts: a list, or the path of a UTF-8 file with one text a line; blank lines are passed over.

    Raises:
        InputError: no text, or the file cannot be read.
    """
    if not isinstance(texts, str | Path):
        wrong = next((text for text in texts if not isinstance(text, str)), None)
        if wrong is not None:
            raise InputError(f"calibration text {wrong!r}; expected a list of texts, or the path of a text file")
        lines, where = list(texts), "texts"
    else:
        try:
            lines, where = Path(texts).read_text(encoding="utf-8-sig").splitlines(), str(texts)
        except (OSError, UnicodeDecodeError) as e:
            raise InputError(
                f"calibration texts {str(texts)!r} cannot be read ({e}); expected a list of texts, or the path of a "
                "UTF-8 text file with one text a line"
            ) from e
    found = [line.strip("\n") for line in lines if line.strip()]
    if not found:
        raise InputError(f"calibration {where}: there is no text; give some dozens like those the model is used on")
    return found


def mean_squares(model: Any, texts: Texts, layers: Mapping[str, Layer]) -> dict[str, torch.Tensor]:
    """(in,) for each layer: mean over all tokens of the square of each input feature, float64 on the CPU.

    Raises:
        InputError: there is no calibration text.
        MissingCapability: it is not known how this model reads texts.
    """
    return _means(model, texts, layers, lambda x: x.square().sum(0))


def second_moments(model: Any, texts: Texts, layers: Mapping[str, Layer]) -> dict[str, torch.Tensor]:
    """(in, in) for each layer: mean over all tokens of x x^T, x being the layer's input, float64 on the CPU.

    Raises:
        InputError: there is no calibration text.
        MissingCapability: it is not known how this model reads texts.
    """
    return _means(model, texts, layers, lambda x: x.T @ x)


def _means(
    model: Any, texts: Texts, layers: Mapping[str, Layer], of: Callable[[torch.Tensor], torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Sum `of((tokens, in))` over all that each layer sees, divided by its number of tokens."""
    rows = _rows(model, calibration_texts(texts))
    sums: dict[str, Any] = dict.fromkeys(layers, 0.0)
    tokens: dict[str, int] = dict.fromkeys(layers, 0)

    def watch(name: str, x: torch.Tensor) -> None:
        flat = x.flatten(0, -2).float()
        sums[name] = sums[name] + of(flat).cpu().double()
        tokens[name] += len(flat)

    alone = getattr(model, "company", None) is Company.ALONE  # known by trying, which must not be watched
    with torch.inference_mode(), _watching(layers, watch):
        for batch in _batches(rows, alone=alone):
            _read(model, batch)
    unseen = next((name for name, count in tokens.items() if not count), None)
    if unseen is not None:
        raise InputError(f"layer {unseen} saw no token of the calibration texts: give longer texts, or leave it out")
    return {name: (sums[name] / tokens[name]).clone() for name in layers}


@contextmanager
def _watching(layers: Mapping[str, Layer], watch: Callable[[str, torch.Tensor], None]) -> Iterator[None]:
    def hook(name: str) -> Callable[[Any, tuple[torch.Tensor, ...]], None]:
        return lambda _, inputs: watch(name, inputs[0])

    handles = [layer.part.register_forward_pre_hook(hook(name)) for name, layer in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _rows(model: Any, texts: list[str]) -> list[Row]:
    """Token ids of the texts by the adapter's own rules, none of them empty."""
    if isinstance(model, CharModel):
        context = model.config.context
        ids = [(model.tokenizer.start + model.tokenizer.encode(text)[0])[:context] for text in texts]
    elif isinstance(model, SentenceEncoder):
        longest = model.module.max_seq_length
        ids = model.module.tokenizer(texts, truncation=True, max_length=longest, verbose=False)["input_ids"]
    elif hasattr(model, "tokenize"):
        ids = model.tokenize(texts)["input_ids"]
    else:
        raise MissingCapability(f"{type(model).__name__}: not known how it reads texts; use a step without calibration")
    rows: list[Row] = [(tuple(row), ()) for row in ids if len(row)]
    return _with_own_output(model, rows) if isinstance(model, Seq2Seq) else rows


@torch.inference_mode()
def _with_own_output(model: Seq2Seq, rows: list[Row]) -> list[Row]:
    """Beside each source, what the model makes of it, without the last token: what its decoder reads on the way."""
    done: list[Row] = []
    for source, _ in rows:
        written = model.module.generate(
            input_ids=torch.tensor([source], device=model.device),
            max_new_tokens=NEW_TOKENS,
            do_sample=False,
            num_beams=1,
        )
        done.append((source, tuple(written[0, :-1].tolist())))
    return done


def _batches(rows: list[Row], *, alone: bool) -> Iterator[list[Row]]:
    """Rows of the same lengths, at most `TOKENS_PER_BATCH` tokens together but at least one row; or each alone."""
    alike: dict[tuple[int, int], list[Row]] = defaultdict(list)
    for row in rows:
        alike[len(row[0]), len(row[1])].append(row)
    for (read, written), group in alike.items():
        size = 1 if alone else max(1, TOKENS_PER_BATCH // (read + written))
        yield from (group[i : i + size] for i in range(0, len(group), size))


def _read(model: Any, batch: list[Row]) -> None:
    """One forward pass over rows of the same lengths."""
    device = next(model.module.parameters()).device
    ids = torch.tensor([read for read, _ in batch], device=device)
    if isinstance(model, CharModel):
        model.module(ids)
    elif isinstance(model, SentenceEncoder):
        model.module({"input_ids": ids, "attention_mask": torch.ones_like(ids)})
    elif isinstance(model, Seq2Seq):
        model.module(input_ids=ids, decoder_input_ids=torch.tensor([written for _, written in batch], device=device))
    else:
        model.module(input_ids=ids)
