"""Private training of any adapter: exact clipping, an epsilon that is true, a ledger that survives a kill.

import auditkit as ak

model = ak.load_model("minilm-mlm")
result = ak.privacy.train(model, texts, target_epsilon=8, delta=1e-5, epochs=3, logical_batch_size=64, out="run")
result.cost.epsilon  # what was really spent
ak.audit(result.model, probes=[...])  # or `model: run/model` in an audit.yaml
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from auditkit.errors import InputError
from auditkit.privacy.accounting import PrivacyCost
from auditkit.privacy.adapters import AdapterWeights, copy_of
from auditkit.privacy.objectives import objective_for
from auditkit.privacy.saved_model import write_model
from auditkit.privacy.training_loop import Witness
from auditkit.privacy.training_run import Run
from auditkit.privacy.training_settings import Settings

if TYPE_CHECKING:
    from peft import LoraConfig

MakeOptimizer = Callable[[Iterable[torch.nn.Parameter]], torch.optim.Optimizer]


@dataclass(frozen=True, slots=True)
class PrivateTrainingResult:
    """A trained model and what it cost.

    Attributes:
        model: a new adapter, ready to be audited; the one given is unchanged.
        cost: epsilon, delta, unit, and how they were obtained; epsilon is infinite for a training without privacy.
        record: the content of `training.json`. Its norms, clipped shares and losses are computed from the data without
            noise: they are for those who may see the data, and no epsilon covers them.
        folder: where ledger, record, checkpoint and `model/` are; None where nothing was kept.
        adapters: low-rank adapters as they were before they were merged into `model`; None where there are none, or
            where they fit only a base that peft changed (PiSSA and the like).
    """

    model: Any
    cost: PrivacyCost
    record: dict[str, Any]
    folder: Path | None
    adapters: AdapterWeights | None = None

    def save(self, folder: str | Path) -> Path:
        """Write the model such that `load_model(folder)` reads it, whole or not at all, and `adapter/` in it for peft.

        Nothing else goes there: no record, no seed, nothing of the data.

        Args:
            folder: new or empty.

        Raises:
            InputError: it holds files already, or is a file.
            ModelError: the module is compressed, and no file of it could be loaded.
            ReportError: it cannot be written (disk full, no permission).
        """
        return write_model(self.model, self.adapters, Path(folder))


def train(
    model: Any,
    dataset: Sequence[Any],
    *,
    epochs: int,
    logical_batch_size: int,
    delta: float | None = None,
    target_epsilon: float | None = None,
    noise_multiplier: float | None = None,
    max_grad_norm: float = 1.0,
    learning_rate: float = 1e-3,
    optimizer: MakeOptimizer | None = None,
    physical_batch_size: int | str = "auto",
    mode: str = "auto",
    lora: int | LoraConfig | None = None,
    sampler: str = "poisson",
    owners: Sequence[Hashable] | None = None,
    unit: str = "example",
    examples_per_unit: int = 8,
    validation: Sequence[Any] | None = None,
    secure: bool = False,
    seed: int | None = None,
    out: str | Path | None = None,
    name: str = "dp_sgd",
    witness: Witness | None = None,
) -> PrivateTrainingResult:
    """Train a copy of `model` with DP-SGD (Abadi et al., 2016), and account for what really ran.

    With `out`, a training that was stopped goes on when it is called again with the same arguments. Steps after the
    last checkpoint are lost, but stay on the account; a seed repeats them, which shows nothing new. Under torchrun,
    with a process group initialised, the processes share every batch; the first one draws it, adds the noise, and keeps
    the ledger. The trained model is written to `<out>/model`, for `load_model`, and adapters also to
    `<out>/model/adapter`, for peft.

    Args:
        model: a char-GPT, or any Hugging Face adapter. Frozen parameters stay frozen.
        dataset: texts (char-GPT, causal, masked), (text, label), (text, text, similarity) or (source, target).
        epochs: how often each unit is used on average.
        logical_batch_size: expected number of units a step; what the noise is divided by.
        delta: of the guarantee; below one over the number of units.
        target_epsilon: sets the noise such that all epochs together cost this; `math.inf` trains without clipping and
            noise, as a baseline.
        noise_multiplier: the noise itself, in place of a target.
        max_grad_norm: C; the gradient of every unit is clipped to it.
        learning_rate: of AdamW without weight decay.
        optimizer: makes another optimizer from the parameters; it sees private gradients only.
        physical_batch_size: units computed at once; "auto" goes by tokens, and halves when memory runs out. It
            changes no result but what dropout draws.
        mode: see `BookKeeping`.
        lora: rank, or a peft configuration: train low-rank adapters (and a classifier's head) only; they are merged
            at the end.
        sampler: "poisson", or "shuffled", for which no amplification is claimed.
        owners: for every record whose it is: the unit of privacy is then the owner.
        unit: what a unit is called, e.g. "user".
        examples_per_unit: how many records of an owner are used in a step, chosen at random.
        validation: held-out records, scored after every epoch.
        secure: cryptographic noise and sampling, for release; takes no seed.
        seed: repeats a training exactly, for experiments: whoever knows it can undo the noise. None draws one from the
            operating system.
        out: folder for the ledger, the record, the checkpoint and the trained model.
        name: of the training in reports.
        witness: units that an audit puts in (`one_run_audit`); they count as units of privacy.

    Raises:
        PrivacySettingError: a setting protects nothing or cannot be reached.
        UnsupportedModel: the model has no exact per-example gradients; lists every reason.
        DataError: records of a wrong form.
        InputError: another argument is wrong, or a gradient is not finite; what was spent stands in the ledger.
        ReportError: a file cannot be written; call again with the same arguments when it can.
    """
    settings = Settings(
        epochs=epochs,
        logical_batch_size=logical_batch_size,
        delta=delta,
        target_epsilon=target_epsilon,
        noise_multiplier=noise_multiplier,
        max_grad_norm=max_grad_norm,
        learning_rate=learning_rate,
        optimizer=optimizer,
        physical_batch_size=physical_batch_size,
        mode=mode,
        lora=lora,
        sampler=sampler,
        owners=owners,
        unit=unit,
        examples_per_unit=examples_per_unit,
        secure=secure,
        seed=seed,
        name=name,
    )
    trained = copy_of(model)
    objective = objective_for(trained, dataset)
    held_out = None if validation is None else objective_for(trained, validation)
    with _folder(out) as folder, _torch_as_before(seed):
        run = Run.prepare(trained, objective, held_out, settings, folder, keep=out is not None, witness=witness)
        values = run.to_the_end()
        cost = run.cost()
        record = run.finish(values)
    return PrivateTrainingResult(trained, cost, record, None if out is None else folder, run.low_rank)


@contextmanager
def _folder(out: str | Path | None) -> Iterator[Path]:
    """The folder asked for, or one that is gone afterwards."""
    if out is None:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
        return
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise InputError(f"out = {out}: {e.strerror}; expected a folder that is there, or can be made") from e
    yield Path(out)


@contextmanager
def _torch_as_before(seed: int | None) -> Iterator[None]:
    """Torch's generators, which initial adapters draw from, seeded inside and put back afterwards."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        if seed is None:
            torch.seed()
        else:
            torch.manual_seed(seed)
        yield
