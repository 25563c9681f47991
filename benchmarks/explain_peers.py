"""The peers of explain.py: an environment for each, and both sides of the pipe to it.

An environment sees this project's packages and adds the peer's own, so that torch and, where the peer allows it,
transformers are the same. Run as a script inside it, one JSON request and answer a line.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Peer:
    """What pip installs for it, and what it is asked."""

    install: tuple[str, ...]
    methods: tuple[str, ...] = ()


PEERS = {
    "interpreto": Peer(("interpreto==0.5.2",), ("occlusion",)),
    "inseq": Peer(("inseq==0.7.1",), ("occlusion", "integrated_gradients")),
    "ferret-xai": Peer(("ferret-xai==0.4.2", "pyarrow==17.0.0", "datasets<3")),
}


# --- this side ----------------------------------------------------------------------------------------------------


def install(name: str, packages: Sequence[str]) -> Path:
    """The interpreter of the environment of the peer that these packages are, made on first use."""
    from peers import PeerError

    home = HERE / "results" / f".venv-{name}"
    python = home / "bin" / "python"
    if (home / "installed").exists():
        return python
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    site = home / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    (site / "project.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    command = [python, "-m", "pip", "install", "--quiet", *packages]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PeerError("does not install", done.stderr or done.stdout)
    (home / "installed").touch()
    return python


@contextmanager
def running(names: Sequence[str], folder: Path) -> Iterator[dict[str, Any]]:
    """For each peer a function that hands it a request, or the PeerError that says why there is none."""
    from peers import PeerError

    with ExitStack() as stack:
        found: dict[str, Any] = {}
        for name in names:
            try:
                found[name] = stack.enter_context(_process(name, install(name, PEERS[name].install), folder))
            except PeerError as e:
                found[name] = e
        yield found


@contextmanager
def _process(name: str, python: Path, folder: Path) -> Iterator[Callable[..., Any]]:
    from peers import PeerError

    pipe = subprocess.PIPE
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            [python, __file__, name, str(folder)], stdin=pipe, stdout=pipe, stderr=log, text=True
        ) as process,
    ):

        def answer() -> Any:
            for line in process.stdout or ():
                if line.startswith("{") or line.startswith("["):  # a peer may print on its own account
                    return json.loads(line)
            log.seek(0)
            raise PeerError(f"{name} does not run", log.read())

        def ask(**request: Any) -> Any:
            print(json.dumps(request), file=process.stdin, flush=True)
            return answer()

        answer()
        try:
            yield ask
        finally:
            if process.stdin:
                process.stdin.close()


# --- the other side -----------------------------------------------------------------------------------------------


def interpreto(folder: str) -> dict[str, Callable[..., Any]]:
    import torch
    from interpreto import Granularity, Occlusion
    from interpreto.attributions import InferenceModes
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, words = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    explain = Occlusion(
        model, words, batch_size=64, granularity=Granularity.TOKEN, inference_mode=InferenceModes.LOG_SOFTMAX
    )

    def occlusion(prompts: list[str], written: str, steps: int) -> dict[str, float]:
        return _timed(lambda: explain(prompts, [written] * len(prompts)))

    torch.set_grad_enabled(False)
    return {"occlusion": occlusion}


def inseq(folder: str) -> dict[str, Callable[..., Any]]:
    import inseq as package

    models = {m: package.load_model(folder, m) for m in ("occlusion", "integrated_gradients")}

    def method(name: str) -> Callable[..., Any]:
        def run(prompts: list[str], written: str, steps: int) -> dict[str, float]:
            options = {"n_steps": steps} if name == "integrated_gradients" else {}
            whole = [f"{prompt} {written}" for prompt in prompts]
            return _timed(lambda: models[name].attribute(prompts, whole, show_progress=False, **options))

        return run

    return {name: method(name) for name in models}


def ferret(folder: str) -> dict[str, Callable[..., Any]]:
    from ferret import Benchmark
    from ferret.evaluators.faithfulness_measures import AOPC_Comprehensiveness_Evaluation, AOPC_Sufficiency_Evaluation
    from ferret.explainers.explanation import Explanation
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    bench = Benchmark(model, AutoTokenizer.from_pretrained(folder))
    measures = [m(model, bench.tokenizer) for m in (AOPC_Comprehensiveness_Evaluation, AOPC_Sufficiency_Evaluation)]

    def aopc(texts: list[str], scores: list[list[float]], target: int) -> list[list[float]]:
        import math

        import numpy as np

        rows = []
        for text, values in zip(texts, scores, strict=True):
            tokens = bench.tokenizer.convert_ids_to_tokens(bench.tokenizer(text)["input_ids"])
            positive = np.array(values) - min(values) + 1  # it cannot take the top words when some are negative
            explanation = Explanation(text, tokens, positive, "given", target)
            sizes = [math.ceil(k * (len(values) - 2)) for k in (0.01, 0.05, 0.1, 0.2, 0.5)]
            options = {"removal_args": {"based_on": "k", "thresholds": sizes}}
            rows.append([float(m.compute_evaluation(explanation, target, **options).score) for m in measures])
        return rows

    return {"aopc": aopc}


def _timed(run: Callable[[], Any]) -> dict[str, float]:
    start = time.perf_counter()
    run()
    return {"seconds": time.perf_counter() - start}


def main(name: str, folder: str) -> None:
    answers = {"interpreto": interpreto, "inseq": inseq, "ferret-xai": ferret}[name](folder)
    print(json.dumps({"ready": name}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(answers[request.pop("do")](**request)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
