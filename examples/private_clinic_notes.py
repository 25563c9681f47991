"""Train on clinic notes with and without differential privacy, and see what each model gives away.

The notes are fictional, and made up here. Some hold a *canary*: a made-up insurance number that appears nowhere else.
Three models learn the same notes, at epsilon = infinity (no privacy), 8 and 2. The report shows, side by side, how
well each predicts notes it has not seen, what it cost, and how much it remembers of the insurance numbers.

    python examples/private_clinic_notes.py --out clinic
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch

import auditkit as ak
from auditkit.models.char_gpt import CharGPT, wrap
from auditkit.models.char_tokenizer import vocabulary_of
from auditkit.models.char_transformer import CharGPTConfig, CharTransformer
from auditkit.privacy import canaries
from auditkit.probes.dp_sgd import PrivateTrainings
from auditkit.probes.exposure import Exposure

FIRST = ["ana", "ben", "chloe", "dario", "elif", "farid", "grace", "hugo", "ines", "jamal", "kira", "liam", "mei"]
LAST = ["abara", "brandt", "costa", "demir", "evans", "fischer", "garcia", "haddad", "ito", "jansen", "kowalski"]
COMPLAINTS = {
    "a dry cough": ("asthma", "an inhaler"),
    "chest pain on stairs": ("angina", "a nitrate spray"),
    "a swollen knee": ("arthritis", "ibuprofen"),
    "thirst and weight loss": ("diabetes", "metformin"),
    "a pulsing headache": ("migraine", "a triptan"),
    "an itchy rash": ("eczema", "a cortisone cream"),
    "a burning stomach": ("reflux", "omeprazole"),
}
EPSILONS = {"no-privacy": math.inf, "epsilon-8": 8.0, "epsilon-2": 2.0}
HELD_OUT = 300


def note(rng: np.random.Generator) -> str:
    """One fictional note."""
    complaint = str(rng.choice(list(COMPLAINTS)))
    diagnosis, treatment = COMPLAINTS[complaint]
    name = f"{rng.choice(FIRST)} {rng.choice(LAST)}"
    weeks = rng.integers(2, 9)
    return f"{name}, {rng.integers(18, 90)}, has {complaint}. {diagnosis}; {treatment}, again in {weeks} weeks."


def notes_with_canaries(n: int, rng: np.random.Generator) -> tuple[list[str], list[str], canaries.Canaries]:
    """Training notes with canaries among them, held-out notes without, and the canaries."""
    space = canaries.chosen_format("###-###", context="insurance number of this patient is ", kind="insurance_number")
    drawn = canaries.draw([space], 40, repetitions=2, seed=int(rng.integers(2**31)))
    texts = [note(rng) for _ in range(n + HELD_OUT)]
    return canaries.insert(texts[:n], drawn, seed=0), texts[n:], drawn


def untrained(texts: list[str], seed: int) -> CharGPT:
    """A small char-GPT that can write the notes."""
    config = CharGPTConfig(
        vocabulary=vocabulary_of("\n0123456789-" + "".join(texts)),
        hidden=96,
        layers=2,
        heads=4,
        context=112,
        causal=True,
        positions=True,
        scaled=True,
        pre_norm=True,
    )
    torch.manual_seed(seed)
    return wrap(CharTransformer(config), name="clinic char-GPT")


def main(notes: int, epochs: int, out: Path, seed: int = 0) -> None:
    """Train three times, then audit."""
    training, held_out, planted = notes_with_canaries(notes, np.random.default_rng(seed))
    canaries.save(planted, out / "canaries.json")
    start = untrained(training, seed)
    finished: dict[str, str] = {}
    first_report = ""  # of the model without privacy, with which the others are compared
    for name, epsilon in EPSILONS.items():
        result = ak.privacy.train(
            start,
            training,
            validation=held_out,
            target_epsilon=epsilon,
            delta=0.1 / len(training),
            epochs=epochs,
            logical_batch_size=min(256, notes // 4),
            learning_rate=3e-3,
            unit="note",
            seed=seed,
            out=out / name,
            name=name,
        )
        finished[name] = str(out / name)
        loss = result.record["epochs"][-1]["validation_loss"]
        print(f"{name}: epsilon {result.cost.epsilon:.2f}, held-out loss {loss:.3f}, kept in {out / name / 'model'}")
        report = ak.audit(
            result.model,
            probes=[
                PrivateTrainings(trainings=finished),
                Exposure(canaries=str(out / "canaries.json"), before=first_report),
            ],
            out=out / f"report-{name}",
            seed=seed,
        )
        first_report = first_report or str(out / f"report-{name}" / "report.json")
        print(f"  mean exposure of the canaries: {report['exposure/insurance_number/mean'].value:.2f} bits")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--notes", type=int, default=3000)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--out", type=Path, default=Path("clinic"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    main(given.notes, given.epochs, given.out)
