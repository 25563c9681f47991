"""Training a char-GPT on a text file or on samples: validation, early stopping, the loss by epoch."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from auditkit.errors import InputError, ModelError
from auditkit.models.char_gpt import CharModel, wrap
from auditkit.models.char_gpt_data import Samples, TrainingData, prepare
from auditkit.models.char_transformer import CharGPTConfig, CharTransformer
from auditkit.models.protocols import Floats
from auditkit.models.weights import pick_device
from auditkit.progress import advance

Schedule = Literal["constant", "cosine"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How well a network predicts the next character.

    Attributes:
        losses: (n, T) -log p of each target, in nats.
        correct: (n, T) whether the most probable character was the target.
    """

    losses: Floats
    correct: npt.NDArray[np.bool_]

    @property
    def n(self) -> int:
        """Number of predicted characters."""
        return self.losses.size

    @property
    def loss(self) -> float:
        """Mean loss per character, in nats."""
        return float(self.losses.mean())

    @property
    def bits_per_character(self) -> float:
        """The same in bits."""
        return self.loss / math.log(2)

    @property
    def accuracy(self) -> float:
        """Share of characters predicted right."""
        return float(self.correct.mean())

    @property
    def position_accuracy(self) -> Floats:
        """(T,) accuracy by position: shows at a glance whether a model without a causal mask profits from it."""
        return self.correct.mean(axis=0, dtype=np.float64)


@torch.inference_mode()
def evaluate(module: CharTransformer, samples: Samples, *, batch_size: int = 256) -> Evaluation:
    """Predict every target of `samples`, without dropout."""
    was_training = module.training
    module.eval()
    losses, correct = [], []
    for start in range(0, len(samples), batch_size):
        inputs, targets = _tensors(samples[start : start + batch_size], module)
        logits, targets = module(inputs).cpu().double(), targets.cpu()
        losses.append(F.cross_entropy(logits.transpose(1, 2), targets, reduction="none").numpy())
        correct.append((logits.argmax(-1) == targets).numpy())
    module.train(was_training)
    return Evaluation(np.concatenate(losses), np.concatenate(correct))


class Epoch(NamedTuple):
    """One pass over the training data. `train_loss` is the mean over the pass, while the weights were changing."""

    number: int
    train_loss: float
    validation_loss: float | None
    validation_accuracy: float | None


@dataclass(frozen=True, slots=True)
class History:
    """What happened in training; losses in nats per character.

    Attributes:
        epochs: one entry per finished epoch.
        best_epoch: the epoch whose weights were kept: of lowest validation loss, or the last without validation.
        stopped: "finished" (all epochs), "early" (no better validation loss for `patience` epochs) or "interrupted"
            (Ctrl-C: the weights so far were kept).
        train_characters: targets in the training part.
        validation_characters: targets in the validation part.
        replaced_characters: characters of the text outside the vocabulary, read as the tokenizer's fallback.
    """

    epochs: tuple[Epoch, ...]
    best_epoch: int
    stopped: Literal["finished", "early", "interrupted"]
    train_characters: int
    validation_characters: int
    replaced_characters: int

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"epochs": [e._asdict() for e in self.epochs]}


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """The trained model, ready to be audited or saved, and its history."""

    model: CharModel
    history: History


def train(
    data: str | os.PathLike[str] | Samples,
    config: CharGPTConfig,
    *,
    epochs: int,
    batch_size: int = 64,
    lr: float = 1e-3,
    schedule: Schedule = "constant",
    validation: float = 0.1,
    patience: int | None = None,
    seed: int = 0,
    device: str = "auto",
) -> TrainingResult:
    """Train a char-GPT with Adam (Kingma & Ba, 2015) on next-character cross-entropy.

    An epoch is one pass over the text, cut into windows of `config.context` characters at an offset drawn anew.
    On a CPU the same seed, data and thread count give the same weights, byte for byte. Ctrl-C ends the training and
    keeps what was learned, once an epoch is finished.

    Args:
        data: the text itself (str), a UTF-8 text file (a path object), or samples of token ids.
        config: the model; its vocabulary is fixed beforehand (`vocabulary_of(text)`). Characters outside it are
            counted in the history.
        epochs: passes over the training data, at most.
        batch_size: windows per step.
        lr: the learning rate; its peak under "cosine".
        schedule: "constant", or "cosine": linear warm-up over 5 % of the steps, then a half cosine down to a tenth.
        validation: share held out at the end of the data; 0 for none.
        patience: stop after this many epochs without a lower validation loss; None for never.
        seed: of the initial weights, the order of the data, and dropout.
        device: "auto", "cpu", "cuda", ...

    Raises:
        DataError: the text is unreadable, or too short to be split.
        InputError: an option out of range.
        ModelError: the loss became infinite or NaN.
    """
    _refuse_bad_options(epochs, batch_size, lr, schedule, validation, patience)
    prepared = prepare(data, config, validation, batch_size)
    where = pick_device(device)
    with _seeded(seed, where):
        module = CharTransformer(config).to(where)
        step = _Stepper(module, lr=lr, schedule=schedule, total=epochs * prepared.steps)
        history = _fit(step, prepared, epochs, batch_size, patience, np.random.default_rng(seed))
    return TrainingResult(wrap(module), history)


def _fit(
    step: _Stepper, data: TrainingData, epochs: int, batch_size: int, patience: int | None, rng: np.random.Generator
) -> History:
    """The epochs; leaves the best weights in the module."""
    log: list[Epoch] = []
    best_loss, best_epoch, best = math.inf, 0, _copy(step.module)
    stopped: Literal["finished", "early", "interrupted"] = "finished"
    try:
        for number in range(1, epochs + 1):
            loss = step.epoch(data.epoch(rng), batch_size)
            held_out = evaluate(step.module, data.validation) if data.validation else None
            log.append(Epoch(number, loss, held_out and held_out.loss, held_out and held_out.accuracy))
            if held_out is None or held_out.loss < best_loss:
                best_loss, best_epoch, best = (held_out.loss if held_out else best_loss), number, _copy(step.module)
            elif patience is not None and number - best_epoch >= patience:
                stopped = "early"
                break
    except KeyboardInterrupt:
        if not log:
            raise
        stopped = "interrupted"
    step.module.load_state_dict(best)
    validation_characters = data.validation.targets.size if data.validation else 0
    return History(tuple(log), best_epoch, stopped, data.train_characters, validation_characters, data.replaced)


class _Stepper:
    """Adam and its learning rate, step by step."""

    def __init__(self, module: CharTransformer, *, lr: float, schedule: Schedule, total: int) -> None:
        self.module = module
        self.optimizer = torch.optim.Adam(module.parameters(), lr=lr)
        self.lr, self.schedule, self.total, self.done = lr, schedule, total, 0

    def epoch(self, samples: Samples, batch_size: int) -> float:
        """One pass; the mean loss over its characters."""
        self.module.train()
        losses = [self._step(samples[i : i + batch_size]) for i in range(0, len(samples), batch_size)]
        sizes = [min(batch_size, len(samples) - i) for i in range(0, len(samples), batch_size)]
        return float(np.average(losses, weights=sizes))

    def _step(self, batch: Samples) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr * self._factor()
        inputs, targets = _tensors(batch, self.module)
        loss = F.cross_entropy(self.module(inputs).flatten(0, 1), targets.flatten())
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.done += 1
        advance(self.done, self.total)
        value = loss.item()
        if not math.isfinite(value):
            raise ModelError(f"the loss became {value} at step {self.done}; lower lr (now {self.lr:g})")
        return value

    def _factor(self) -> float:
        if self.schedule == "constant":
            return 1.0
        progress, warmup = (self.done + 1) / self.total, 0.05
        if progress < warmup:
            return progress / warmup
        return 0.1 + 0.45 * (1 + math.cos(math.pi * min(1.0, (progress - warmup) / (1 - warmup))))


def _refuse_bad_options(
    epochs: int, batch_size: int, lr: float, schedule: str, validation: float, patience: int | None
) -> None:
    problems = [
        (epochs < 1, f"epochs {epochs}: expected at least 1"),
        (batch_size < 1, f"batch_size {batch_size}: expected at least 1"),
        (not 0 < lr < math.inf, f"lr {lr}: expected a positive number"),
        (schedule not in ("constant", "cosine"), f"schedule {schedule!r}: expected 'constant' or 'cosine'"),
        (not 0 <= validation < 1, f"validation {validation}: expected a share in [0, 1)"),
        (patience is not None and patience < 1, f"patience {patience}: expected at least 1, or None"),
        (
            patience is not None and not validation,
            "patience without validation: hold out a share, or set patience to None",
        ),
    ]
    found = [text for wrong, text in problems if wrong]
    if found:
        raise InputError("; ".join(found))


def _tensors(samples: Samples, module: CharTransformer) -> tuple[torch.Tensor, torch.Tensor]:
    where = module.head.weight.device
    return torch.from_numpy(samples.inputs).to(where), torch.from_numpy(samples.targets).to(where)


def _copy(module: CharTransformer) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch inside the block; the caller's random state is as before afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
