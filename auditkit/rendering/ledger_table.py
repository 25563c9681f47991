"""The ledgers of private trainings side by side, in plain words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from auditkit.rendering.evidence import is_number
from auditkit.rendering.formatting import ABSENT, quantity, scalar
from auditkit.rendering.private_runs import Entry, Grid, Run


def ledger_table(runs: Sequence[Run]) -> Grid | None:
    """The rows of `_LEDGER` for every training; None where there is no training."""
    if not runs:
        return None
    rows = [[name, *(text(run) for run in runs)] for name, text in _LEDGER.items()]
    caption = "What each training put on record while it ran, and the epsilon that follows from it"
    return Grid(caption, ("", *(run.name for run in runs)), rows, numeric=False)


def _each(text: Callable[[Entry], str]) -> Callable[[Run], str]:
    """`text` of every entry of a ledger; once where all are the same."""
    return lambda run: ", then ".join(dict.fromkeys(text(entry) for entry in run.entries))


def _of(name: str) -> Callable[[Entry], str]:
    return lambda entry: scalar(entry.get(name))


def _drawn(entry: Entry) -> str:
    unit = entry.get("unit", "unit")
    if entry.get("sampler") == "poisson":
        return f"each {unit} joins each batch by chance, independently of the others (Poisson sampling)"
    return "a new order in every epoch, cut into batches (shuffling; it is granted no extra privacy)"


def _rate(entry: Entry) -> str:
    size, units, rate = entry.get("expected_batch_size"), entry.get("units"), entry.get("rate")
    if is_number(rate):
        return f"{quantity(100.0 * rate, '%')}: {scalar(size)} of {scalar(units)} on average"
    return f"{scalar(size)} of {scalar(units)}, each once an epoch"


def _protected(entry: Entry) -> str:
    return f"any one {entry.get('unit', 'unit')} of {scalar(entry.get('units'))}"


def _steps(run: Run) -> str:
    steps = [scalar(e.get("steps")) for e in run.entries]
    return scalar(run.detail("epsilon", "steps")) + (f" ({' + '.join(steps)})" if len(steps) > 1 else "")


def _neighbours(run: Run) -> str:
    action, _, unit = str(run.detail("epsilon", "neighbours") or "").partition(" one ")
    texts = {"add or remove": f"with and without one {unit}", "replace": f"one {unit} replaced by another"}
    return texts.get(action, ABSENT)


def small(value: object) -> str:
    """A probability far below 1 in as few characters as it takes: 1e-05."""
    return f"{value:g}" if is_number(value) else ABSENT


def _spent(name: str) -> Callable[[Run], str]:
    return lambda run: scalar(run.detail("epsilon", name))


_LEDGER: dict[str, Callable[[Run], str]] = {
    "What is protected": _each(_protected),
    "Data sets that must look alike": _neighbours,
    "How a batch was drawn": _each(_drawn),
    "Share of the data in a batch": _each(_rate),
    "Norm C that gradients were clipped to": _each(_of("max_grad_norm")),
    "Noise multiplier: standard deviation of the noise, as a multiple of C": _each(_of("noise_multiplier")),
    "Steps": _steps,
    "Randomness of the batches": _each(_of("sampler_policy")),
    "Randomness of the noise": _each(_of("noise_policy")),
    "Delta, the probability up to which epsilon may fail": lambda run: small(run.detail("epsilon", "delta")),
    "Epsilon allowed (target)": _spent("target_epsilon"),
    "Epsilon spent, by the PRV accountant: the one reported": lambda run: run.text("epsilon"),
    "Checked by the PLD accountant, which must agree": _spent("pld"),
    "Checked by the RDP accountant, a looser bound": _spent("rdp"),
}
"""What a row says, and how it is read from a training."""
