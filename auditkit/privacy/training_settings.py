"""The settings of a private training, checked all at once."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auditkit.errors import InputError
from auditkit.privacy.bookkeeping import MODES
from auditkit.privacy.sampling import PoissonSampler, Sampler, ShuffledSampler
from auditkit.privacy.settings import (
    PrivacySettingError,
    check_max_grad_norm,
    check_noise_multiplier,
    check_target_epsilon,
)

if TYPE_CHECKING:
    import torch
    from peft import LoraConfig

    MakeOptimizer = Callable[[Iterable[torch.nn.Parameter]], torch.optim.Optimizer]

SAMPLERS = (PoissonSampler.kind, ShuffledSampler.kind)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The arguments of `auditkit.privacy.train`, which describes them.

    Raises:
        InputError: everything that is wrong with them; PrivacySettingError where it concerns privacy.
    """

    epochs: int
    logical_batch_size: int
    delta: float | None
    target_epsilon: float | None
    noise_multiplier: float | None
    max_grad_norm: float
    learning_rate: float
    optimizer: MakeOptimizer | None
    physical_batch_size: int | str
    mode: str
    lora: int | LoraConfig | None
    sampler: str
    owners: Sequence[Hashable] | None
    unit: str
    examples_per_unit: int
    secure: bool
    seed: int | None
    name: str

    def __post_init__(self) -> None:
        problems = [text for wrong, text in self._problems() if wrong]
        if problems:
            raise InputError("; ".join(problems))
        self._refuse_what_protects_nothing()

    @property
    def private(self) -> bool:
        """Whether there is clipping and noise; False for the baseline, whose target epsilon is infinite."""
        return self.target_epsilon != math.inf

    def make_sampler(self, units: int) -> Sampler:
        """The sampler asked for, over this many units."""
        unit = self.unit if self.owners is None or self.unit != "example" else "owner"
        if self.sampler == PoissonSampler.kind:
            return PoissonSampler(units, self.logical_batch_size, unit, self.seed)
        return ShuffledSampler(units, self.logical_batch_size, self.seed or 0, unit)  # its order need not be secret

    def _problems(self) -> list[tuple[bool, str]]:
        size = self.physical_batch_size
        return [
            (self.epochs < 1, f"epochs = {self.epochs}; expected 1 or more"),
            (
                not (math.isfinite(self.learning_rate) and self.learning_rate > 0),
                f"learning_rate = {self.learning_rate}; expected a positive number, for instance 1e-3",
            ),
            (
                not (size == "auto" or (isinstance(size, int) and size >= 1)),
                f"physical_batch_size = {size!r}; expected a positive number or 'auto'",
            ),
            (self.mode not in MODES, f"mode = {self.mode!r}; expected one of {', '.join(MODES)}"),
            (self.sampler not in SAMPLERS, f"sampler = {self.sampler!r}; expected one of {', '.join(SAMPLERS)}"),
            (self.examples_per_unit < 1, f"examples_per_unit = {self.examples_per_unit}; expected 1 or more"),
            (self.seed is not None and self.seed < 0, f"seed = {self.seed}; expected 0 or more"),
            (
                isinstance(self.lora, int) and self.lora < 1,
                f"lora = {self.lora}; expected a rank of 1 or more, a peft.LoraConfig, or None",
            ),
        ]

    def _refuse_what_protects_nothing(self) -> None:
        if (self.target_epsilon is None) == (self.noise_multiplier is None):
            given = "neither" if self.target_epsilon is None else "both"
            raise PrivacySettingError(
                f"{given} of target_epsilon and noise_multiplier given; expected one of them, "
                "or target_epsilon=math.inf for a baseline without privacy"
            )
        if not self.private:
            return
        if self.delta is None:
            raise PrivacySettingError("no delta; expected one below 1 over the number of units, for instance 1e-5")
        check_max_grad_norm(self.max_grad_norm)
        if self.noise_multiplier is not None:
            check_noise_multiplier(self.noise_multiplier)
        if self.target_epsilon is not None:
            check_target_epsilon(self.target_epsilon)
        if self.secure and self.seed is not None:
            raise PrivacySettingError(
                f"secure=True with seed = {self.seed}; expected no seed: what can be repeated can be undone. "
                "Leave the seed out, or set secure=False"
            )

    def fingerprint(self) -> dict[str, Any]:
        """What a training that goes on must share with the one that stopped; JSON values."""
        return {
            "epochs": self.epochs,
            "logical_batch_size": self.logical_batch_size,
            "delta": self.delta,
            "target_epsilon": str(self.target_epsilon),
            "noise_multiplier": self.noise_multiplier,
            "max_grad_norm": self.max_grad_norm,
            "learning_rate": self.learning_rate,
            "lora": _lora_settings(self.lora),
            "sampler": self.sampler,
            "unit": self.unit,
            "examples_per_unit": self.examples_per_unit,
            "secure": self.secure,
            "seed": self.seed,
        }


def _lora_settings(lora: int | LoraConfig | None) -> Any:
    """JSON values that are the same in every process, which the order of a set is not."""
    if lora is None or isinstance(lora, int):
        return lora
    return json.loads(json.dumps(lora.to_dict(), default=lambda v: sorted(v) if isinstance(v, set) else str(v)))
