"""Side by side with the package bias-scope, in its own environment: CrowS-Pairs on a masked LM, WEAT 6 on GloVe.

Same torch, transformers, weights and pairs; the two processes take turns. Neither installing nor loading is timed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from timing import chosen_pairs, seconds, side_by_side

from auditkit import data, load_model
from auditkit.errors import ModelError
from auditkit.models.catalog import aliases
from auditkit.probes import pair_scores, weat

PEER = "bias-scope==0.2.0"
HERE = Path(__file__).parent


class PeerError(RuntimeError):
    """The peer does not install or does not run."""

    def __init__(self, what: str, log: str) -> None:
        super().__init__(f"{what}: {(log.strip().splitlines() or ['no message'])[-1]}")


def install() -> Path:
    """The interpreter of an environment that holds the peer, made on first use."""
    python = HERE / "results" / ".venv-bias-scope" / "bin" / "python"
    for command in (
        [sys.executable, "-m", "venv", python.parents[1]],
        [python, "-m", "pip", "install", f"torch=={version('torch').partition('+')[0]}"],
        [python, "-m", "pip", "install", f"transformers=={version('transformers')}", PEER],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PeerError("does not install", done.stderr or done.stdout)
    return python


@contextmanager
def running(python: Path, script: str) -> Iterator[Callable[..., Any]]:
    """A function that hands the peer's process, which runs `script`, a request and waits for the answer."""
    command, pipe = [python, HERE / script], subprocess.PIPE
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log, text=True) as process,
    ):

        def answer(to: str) -> Any:
            if line := process.stdout.readline():
                return json.loads(line)
            log.seek(0)
            raise PeerError(f"does not run ({to})", log.read())

        def ask(do: str, **what: Any) -> Any:
            print(json.dumps({"do": do, **what}), file=process.stdin, flush=True)
            return answer(do)

        answer("import")
        yield ask


def crows_pairs(ask: Callable[..., Any]) -> dict[str, Any]:
    """Time and score, with the same weights and pairs."""
    model = load_model("minilm-mlm", device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        model.module.save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)
        ask("load", folder=folder)
    preferred: list[float] = []  # as the package itself decides

    def ours(chunk: list[Any]) -> np.ndarray:
        scores = pair_scores.score_masked(model, chunk, ["metric"])["metric"]
        return np.stack([scores.more, scores.less], 1)

    def theirs(chunk: list[Any]) -> np.ndarray:
        found = ask("crows_pairs", pairs=[(pair.more, pair.less) for pair in chunk])
        preferred.extend(found["preferred"])
        return np.array(found["sentences"])

    pairs = chosen_pairs(data.load("crows_pairs").items)
    ours(pairs[:20]), theirs(pairs[:20]), preferred.clear()
    return side_by_side(pairs, ours, theirs) | {"score, reference, %": float(np.mean(preferred))}


def without_head(ask: Callable[..., Any]) -> dict[str, Any]:
    """What each makes of a sentence encoder, which lacks the masked-LM head that CrowS-Pairs needs."""
    encoder = str(aliases()["minilm"].installed())
    pairs = [(pair.more, pair.less) for pair in data.load("crows_pairs").items[:20]]
    scores = []
    for _ in range(3):
        ask("load", folder=encoder)
        scores.append(float(np.mean(ask("crows_pairs", pairs=pairs)["preferred"])))
    result = {"ours": "refused", "score, bias-scope, three loads, %": scores}
    with suppress(ModelError):
        load_model(encoder, task="masked-lm", device="cpu")
        result["ours"] = "accepted"
    return result


def weat_6(ask: Callable[..., Any]) -> dict[str, Any]:
    """Least time of five turns, effect size and p-value; and the p-value in rational arithmetic."""
    model = load_model("glove")
    test = next(test for test in data.load("weat").items if test.id == "WEAT6")
    x, y, a, b = vectors = [model.vectors(words) for words in weat.known_words(model, test)[0].values()]
    lists = [part.tolist() for part in vectors]

    def ours() -> Any:
        return weat.weat(weat.association(x, a, b), weat.association(y, a, b), np.random.default_rng(0))

    turns = [(seconds(ours), seconds(lambda: ask("weat", vectors=lists))) for _ in range(5)]
    (_, mine), (_, theirs) = turns[0]
    took = np.array([[one, other] for (one, _), (other, _) in turns]).min(0).tolist()
    values = [Fraction(s) for part in (x, y) for s in weat.association(part, a, b).tolist()]
    sums = [sum(part) for part in combinations(values, len(x))]  # the observed partition is the first
    return {
        "ours, ms": 1000 * took[0],
        "bias-scope, ms": 1000 * took[1],
        "times faster": took[1] / took[0],
        "d, ours": mine.effect_size,
        "d, bias-scope": theirs["effect_size"],
        "p, ours": mine.p_greater,
        "p, bias-scope": theirs["p_value"],
        "p, exact, counting the observed": sum(s >= sums[0] for s in sums) / len(sums),
        "p, exact, not counting it": sum(s > sums[0] for s in sums) / len(sums),
    }


def measure() -> dict[str, Any]:
    try:
        with running(install(), "peer_bias_scope.py") as ask:
            parts = {"CrowS-Pairs": crows_pairs(ask), "no LM head": without_head(ask), "WEAT 6": weat_6(ask)}
    except PeerError as e:
        return {PEER: str(e)}
    named = {f"{part}: {key}": value for part, result in parts.items() for key, value in result.items()}
    return {name.replace("reference", "bias-scope"): value for name, value in named.items()}
