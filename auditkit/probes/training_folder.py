"""The folder of a training: `training.json`, the record of the run, beside `ledger.json`, what it spent.

The record is what the training says about itself. It is checked here for form only; whether it agrees with the ledger
is the probe's question.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from auditkit.errors import DataError
from auditkit.integrity import canonical

RECORD = "training.json"
LEDGER = "ledger.json"
MAX_PROBLEMS = 5  # of one file in one message

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    """Numbers are finite; what a later version adds is left unread."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False, strict=True)


class Epoch(_Part):
    """Where the training stood after one epoch: `steps` and `epsilon` count from its beginning."""

    epoch: int
    steps: Count
    epsilon: float | None
    train_loss: float | None
    clipped_share: Share | None
    validation_loss: float | None


class Validation(_Part):
    """The trained model on examples that it was not trained on; `values[i]` is the score of the example `items[i]`."""

    metric: str
    unit: str
    ideal: float
    values: Annotated[list[float], Field(min_length=1)]
    items: list[str]

    @model_validator(mode="after")
    def _one_name_for_every_value(self) -> Self:
        if len(self.items) != len(self.values) or len(set(self.items)) != len(self.items):
            raise ValueError(
                f"{len(self.items)} items for {len(self.values)} values; expected one name for every value"
            )
        return self


class GradientNorms(_Part):
    """How many gradients of single units had a norm between `edges[i]` and `edges[i + 1]`, before clipping."""

    edges: list[float]
    counts: list[Count]
    clipped: Count
    seen: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _a_histogram(self) -> Self:
        edges = self.edges
        ascending = all(low < high for low, high in zip(edges, edges[1:], strict=False))  # noqa: RUF007
        if len(edges) != len(self.counts) + 1 or not edges or edges[0] <= 0 or not ascending:
            raise ValueError("edges: expected ascending positive numbers, one more than there are counts")
        if not max(self.clipped, sum(self.counts)) <= self.seen:
            raise ValueError(f"more gradients were clipped or counted than seen ({self.seen})")
        return self


class SecondsPerStep(_Part):
    """The median wall time of a step, over `n` steps."""

    median: Annotated[float, Field(gt=0)]
    n: Annotated[int, Field(ge=1)]


class TrainingRecord(_Part):
    """What a training says about itself; `private` is False for one without clipping and noise."""

    format: Annotated[Literal[1], Field(alias="schema")]
    name: str
    private: bool
    target_epsilon: float | None
    delta: float | None
    noise_multiplier: float | None
    max_grad_norm: float | None
    unit: str
    units: int
    sampler: str
    logical_batch_size: int
    physical_batch_size: int | str
    mode: str | None
    steps: Count
    task: str
    epochs: list[Epoch]
    validation: Validation | None
    gradient_norms: GradientNorms | None
    seconds_per_step: SecondsPerStep | None
    noise_policy: str | None
    sampler_policy: str | None
    parameters: int
    trainable: int
    weights_sha256: str


def read_record(folder: Path) -> TrainingRecord:
    """The record of the training that wrote `folder`.

    Raises:
        DataError: no such file, or one that is damaged; lists what is wrong with it.
    """
    path = folder / RECORD
    try:
        return TrainingRecord.model_validate(canonical.parse(path.read_text(encoding="utf-8")))
    except FileNotFoundError as e:
        raise DataError(
            f"no {RECORD} in {folder}; expected the folder that a training wrote: train(..., out={str(folder)!r})"
        ) from e
    except ValidationError as e:
        found = [f"{'.'.join(map(str, p['loc'])) or 'record'}: {p['msg']}" for p in e.errors(include_url=False)]
        more = [f"{len(found) - MAX_PROBLEMS} more"] if len(found) > MAX_PROBLEMS else []
        raise DataError(f"{path} is damaged: {'; '.join(found[:MAX_PROBLEMS] + more)}; train again") from e
    except (OSError, ValueError, RecursionError) as e:
        raise DataError(f"{path} cannot be read: {e}; train again") from e
