"""Shadow models: many small char-GPTs, each trained on its own random half of the records, and who was in which.

A membership attack compares what a model says about a record with what models say that have, and have not, seen it.
The shadows are such models. They are trained like the model under attack, on records of the same distribution. That
model must not be one of them: the halves are balanced, so the other rows of the matrix would give its own away.

Shapes: S shadows, n records, m population records, T tokens.
Source: Shokri et al. (2017), Membership inference attacks against machine learning models.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch.func import functional_call

from auditkit.errors import DataError, InputError
from auditkit.models.char_gpt import CharModel, wrap
from auditkit.models.char_gpt_data import Samples
from auditkit.models.char_transformer import CharTransformer
from auditkit.models.protocols import Floats
from auditkit.models.weights import pick_device
from auditkit.privacy.losses import token_loss
from auditkit.privacy.shadow_records import (
    Bools,
    Records,
    as_samples,
    membership_matrix,
    record_hashes,
    refuse_changed,
    refuse_repeated,
)
from auditkit.privacy.shadow_store import Parameters, ShadowStore
from auditkit.privacy.shadow_training import ShadowSettings, ShadowTrainer


@dataclass(frozen=True, slots=True)
class Shadows:
    """Trained shadow models, and exactly which records each has seen.

    Attributes:
        settings: how they were trained.
        membership: (S, n) whether shadow s was trained on record i.
        record_hashes: sha256 of each record.
        parameters: {name: (S, ...)}.
        stack: how many were trained at once; 0 where all were found finished.
        notices: what was not taken as given, counted.
    """

    settings: ShadowSettings
    membership: Bools
    record_hashes: tuple[str, ...]
    parameters: Parameters
    stack: int
    notices: Counter[str]

    def __len__(self) -> int:
        return len(self.membership)

    def model(self, shadow: int) -> CharModel:
        """One shadow as a model of its own."""
        module = CharTransformer(self.settings.config)
        module.load_state_dict({name: stacked[shadow] for name, stacked in self.parameters.items()})
        return wrap(module, name=f"shadow {shadow}")

    def record_logprobs(self, records: Records) -> Floats:
        """(S, n) mean log-likelihood per token of the records that the shadows were made for, in nats.

        Raises:
            DataError: these are not those records in that order.
        """
        samples, _ = as_samples(records, self.settings.config)
        refuse_changed(record_hashes(samples), self.record_hashes)
        return self._mean_logprobs(samples)

    def population_logprobs(self, records: Records) -> Floats:
        """(S, m) mean log-likelihood per token of other records, which no shadow has seen, in nats.

        Raises:
            DataError: one of them is among the shadows' own records.
        """
        samples, _ = as_samples(records, self.settings.config)
        own = set(self.record_hashes)
        shared = [i for i, digest in enumerate(record_hashes(samples)) if digest in own]
        if shared:
            raise DataError(
                f"{len(shared)} of {len(samples)} population records, the first of them record {shared[0]}, are among "
                "the records that the shadows were trained on; take them out"
            )
        return self._mean_logprobs(samples)

    def _mean_logprobs(self, samples: Samples) -> Floats:
        return np.stack([mean_logprobs(self.model(s).module, samples) for s in range(len(self))])


@torch.inference_mode()
def mean_logprobs(module: CharTransformer, records: Records, *, batch_size: int = 512) -> Floats:
    """(n,) mean log-likelihood per token of each record under one model, in nats, computed in float64.

    Raises:
        DataError: the records do not fit the model.
    """
    samples, _ = as_samples(records, module.config)
    where = module.head.weight.device
    precise = {name: tensor.double() for name, tensor in module.state_dict().items()}
    out = []
    for start in range(0, len(samples), batch_size):
        part = samples[start : start + batch_size]
        logits = functional_call(module, precise, (torch.from_numpy(part.inputs).to(where),))
        out.append(-token_loss(logits, torch.from_numpy(part.targets).to(where)).cpu().numpy())
    return np.concatenate(out)


def train_shadows(
    records: Records,
    settings: ShadowSettings,
    *,
    shadows: int,
    stack: int | Literal["auto"] = "auto",
    folder: str | Path | None = None,
    device: str = "auto",
) -> Shadows:
    """Train `shadows` models, a stack at a time.

    The same seed gives the same models however they are stacked, to rounding; with a stack size that is fixed, to the
    last bit. More shadows leave the first ones as they are, so a set can be enlarged later.

    Args:
        records: texts, for a causal model; or samples of token ids, whose targets may be -100 (not counted).
        settings: how each is trained.
        shadows: how many.
        stack: how many are trained at once; "auto" times a few steps at several sizes.
        folder: where finished stacks are kept. They are found again only by the same settings and records; a run that
            was stopped goes on behind its last finished stack.
        device: "auto", "cpu", "cuda", ...

    Raises:
        DataError: the records do not fit the model, hold one record twice, or are too few to be split.
        MissingCapability: texts, for a model without a causal mask.
        ModelError: a loss became infinite or NaN.
        InputError: an option is out of range.
        ReportError: a stack cannot be written.
    """
    if shadows < 1 or not (stack == "auto" or stack >= 1):
        raise InputError(f"{shadows} shadows in stacks of {stack}; expected at least 1 of each, or stack='auto'")
    samples, notices = as_samples(records, settings.config)
    hashes = record_hashes(samples)
    refuse_repeated(hashes)
    membership = membership_matrix(shadows, len(samples), settings.inclusion, settings.seed)
    trainer = ShadowTrainer(settings, samples, membership, pick_device(device))
    store = ShadowStore(folder, asdict(settings), hashes, membership)
    models = store.find()
    missing = [s for s in range(shadows) if s not in models]
    size = min(trainer.fastest_stack(missing) if stack == "auto" else stack, len(missing))
    while missing:
        now, missing = missing[:size], missing[size:]
        stacked = trainer.train(now, done=shadows - len(missing) - len(now))
        store.keep(now, stacked)
        models |= {s: {name: tensor[i] for name, tensor in stacked.items()} for i, s in enumerate(now)}
    parameters = {name: torch.stack([models[s][name] for s in range(shadows)]) for name in models[0]}
    return Shadows(settings, membership, hashes, parameters, size, notices)
