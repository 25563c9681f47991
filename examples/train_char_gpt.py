"""Train a char-GPT: `shakespeare`, the causal one that ships as `char-gpt`, or `original`, the textbook one.

    python examples/train_char_gpt.py shakespeare input.txt --out auditkit/models/weights/char_gpt
    python examples/train_char_gpt.py original --out /tmp/original

Each writes model.safetensors, config.json, training.json (how well it predicts, with intervals and n) and
loss_curve.svg into --out. `shakespeare` trains on any UTF-8 text; its weights are stored as float16, and judged
as stored.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from auditkit import stats
from auditkit.models.char_gpt import CharModel
from auditkit.models.char_gpt_data import distinct_characters, windows
from auditkit.models.char_gpt_training import Evaluation, History, evaluate, train
from auditkit.models.char_tokenizer import CharTokenizer, vocabulary_of
from auditkit.models.char_transformer import CharGPTConfig
from auditkit.progress import listen
from auditkit.rendering.loss_curve import save_loss_curve

VALIDATION = 0.1


def shakespeare(text: Path, out: Path, epochs: int, seed: int) -> dict[str, Any]:
    characters = text.read_text(encoding="utf-8")
    config = CharGPTConfig.modern(vocabulary_of(characters))
    options = {"epochs": epochs, "batch_size": 8, "lr": 3e-3, "schedule": "cosine", "patience": 2}
    started = time.perf_counter()
    result = train(characters, config, validation=VALIDATION, seed=seed, **options)
    seconds = time.perf_counter() - started
    result.model.save(out, half=True)
    stored = CharModel.load(out)
    held_out = characters[len(characters) - round(len(characters) * VALIDATION) :]
    ids = np.array(CharTokenizer(config.vocabulary).encode(held_out)[0])
    return {
        "text_sha256": hashlib.sha256(text.read_bytes()).hexdigest(),
        "text_characters": len(characters),
        "validation": evidence(evaluate(stored.module, windows(ids, config.context)), seed),
        **record(stored, result.history, options, seconds, seed, out),
    }


def original(out: Path, epochs: int, seed: int) -> dict[str, Any]:
    samples, unseen = distinct_characters(1000, seed=seed), distinct_characters(1000, seed=seed + 1)
    options = {"epochs": epochs, "batch_size": len(samples), "lr": 1e-3}
    started = time.perf_counter()
    result = train(samples, CharGPTConfig.original(), validation=0, seed=seed, **options)
    seconds = time.perf_counter() - started
    result.model.save(out)
    return {
        "training_samples": evidence(evaluate(result.model.module, samples), seed),
        "unseen_samples": evidence(evaluate(result.model.module, unseen), seed),
        **record(result.model, result.history, options, seconds, seed, out),
    }


def evidence(found: Evaluation, seed: int) -> dict[str, Any]:
    """Loss and accuracy with 95 % intervals; whole windows are resampled, as their characters depend on each other."""
    rng = np.random.default_rng(seed)
    loss = stats.bootstrap(found.losses.mean(axis=1), rng=rng)
    accuracy = stats.bootstrap(found.correct.mean(axis=1), rng=rng)
    return {
        "n_characters": found.n,
        "n_windows": len(found.losses),
        "loss_nats": round(found.loss, 5),
        "loss_nats_interval": [round(loss.low, 5), round(loss.high, 5)],
        "bits_per_character": round(found.bits_per_character, 5),
        "bits_per_character_interval": [round(x / np.log(2), 5) for x in (loss.low, loss.high)],
        "accuracy": round(found.accuracy, 5),
        "accuracy_interval": [round(accuracy.low, 5), round(accuracy.high, 5)],
        "first_positions_accuracy": [round(x, 5) for x in found.position_accuracy[:8].tolist()],
        "interval_method": f"{loss.method} over windows, level {loss.level}",
    }


def record(
    model: CharModel, history: History, options: dict[str, Any], seconds: float, seed: int, out: Path
) -> dict[str, Any]:
    about = model.describe()
    return {
        "model": {key: about[key] for key in ("parameters", "weights_sha256", "context", "vocabulary", "config")},
        "weights_bytes": (out / "model.safetensors").stat().st_size,
        "history": history.to_json(),
        "options": options,
        "seed": seed,
        "seconds": round(seconds, 1),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "loss_curve": save_loss_curve(history, out / "loss_curve.svg").name,
    }


def show(done: int, total: int) -> None:
    if done % 100 == 0 or done == total:
        print(f"step {done} of {total}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="which", required=True)
    for which, epochs in (("shakespeare", 2), ("original", 500)):
        command = commands.add_parser(which)
        command.add_argument("--out", type=Path, required=True)
        command.add_argument("--epochs", type=int, default=epochs)
        command.add_argument("--seed", type=int, default=0)
        if which == "shakespeare":
            command.add_argument("text", type=Path)
    options = vars(parser.parse_args())
    run = {"shakespeare": shakespeare, "original": original}[options.pop("which")]
    with listen(show):
        found = run(**options)
    (options["out"] / "training.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: value for key, value in found.items() if key != "history"}, indent=1))


if __name__ == "__main__":
    main()
