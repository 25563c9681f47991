"""Side by side with the package memaudit, in its own environment: its own demo, audited by both.

    python benchmarks/memaudit_demo.py

The demo trains a small model on 16 canaries, each 16 times in 25 epochs, and holds back 100; that leak is complete.
"Seen once" is the same demo with 100 canaries that are read a single time, and 200 held back: the size the package
recommends for a published audit. Both sides score the same secrets under the same two models, before and after.

Time is that of the process in one thread, the two taking turns; ratios are medians over the turns. "Scores" is reading
the texts under both models; "audit" adds the statistics, and on the package's side its report without the search for
regurgitated secrets; "the whole probe" is ours with the blind baseline and the models of random weights, which the
package has no counterpart of, but without the reference. The demo's model is so small that its time is mostly
Python's, so SmolLM2 is timed as well. "Simulated" counts how often the two intervals hold the true TPR when the scores
are normal and it is known.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import torch
from explain_peers import install
from membership import english_sentences
from peers import PeerError, running

from auditkit import load_model
from auditkit.errors import DataError
from auditkit.models.catalog import aliases
from auditkit.models.protocols import TokenStatistics
from auditkit.models.token_statistics import as_token_statistics, statistics
from auditkit.models.weights import weights_sha256
from auditkit.privacy.attack_metrics import AttackResult, evaluate
from auditkit.privacy.blind_baseline import BlindBaseline, blind_baseline
from auditkit.privacy.membership import likelihood_scores
from auditkit.privacy.roc import Auc, TprAtFpr, tpr_at_fpr
from auditkit.probes.membership import Membership

PEER = "memaudit==0.2.0"
DEMOS = {"own demo": {}, "seen once": {"n": 100, "n_controls": 200, "epochs": 1, "repetitions": 1}}
SIZES = ((16, 100), (100, 200), (1000, 1000))  # members and controls: the two demos', and more
TURNS = 7
SENTENCES = 48
DRAWS = 500
FPR, TRUE_TPR = 0.01, 0.5
UNEVEN = 150  # controls, of which 1 % is not a whole number


class DemoModel:
    """The demo's model as PredictsTokens; reads the secret alone, as the package does: what precedes is one phrase."""

    def __init__(self, module: Any, tokenizer: Any, start: int) -> None:
        self.module, self.tokenizer, self.start = module.eval(), tokenizer, start
        self.name, self.notices = "memaudit's demo", Counter[str]()

    def describe(self) -> dict[str, Any]:
        """What the probe reports of it."""
        return {"name": self.name, "weights_sha256": weights_sha256(self.module)}

    def randomized(self, seed: int) -> DemoModel:
        """The same with fresh weights."""
        torch.manual_seed(seed)
        return DemoModel(type(self.module)(), self.tokenizer, self.start)

    @torch.inference_mode()
    def token_statistics(self, texts: Sequence[str]) -> list[TokenStatistics]:
        """In one batch: all records are equally long."""
        ids = torch.tensor([self.tokenizer.encode(text) for text in texts])
        secret = ids[:, self.start :]
        logits = self.module(ids).logits[:, self.start - 1 : -1]
        tables = statistics(logits.flatten(0, 1), secret.flatten()).reshape(*secret.shape, 3)
        return [as_token_statistics(row, table) for row, table in zip(secret.numpy(), tables, strict=True)]


class Demo:
    """A demo that the peer has run: its findings, and the same texts and models on this side."""

    def __init__(self, ask: Callable[..., Any], folder: Path, settings: dict[str, int]) -> None:
        found = ask("demo", folder=str(folder), **settings)
        if found["site"] not in sys.path:
            sys.path.append(found["site"])  # the demo's model is of a class of the package's own
        modules, tokenizer = torch.load(folder / "models.pt", weights_only=False)
        self.model, self.reference = (DemoModel(module, tokenizer, found["start"]) for module in modules)
        self.start, self.texts, self.theirs = found["start"], found["texts"], found["membership"]
        self.member = np.array(found["members"])

    def scores(self) -> dict[str, np.ndarray]:
        """Of every attack, the reference model's among them."""
        return likelihood_scores(self.model, self.texts, reference=self.reference)

    def judge(self, scores: Any) -> AttackResult:
        """How well the scores, one for each text, tell the members."""
        scores = np.asarray(scores)
        return evaluate(scores[self.member], scores[~self.member], rng=np.random.default_rng(0))

    def audit(self) -> dict[str, AttackResult]:
        """Score, and judge each attack."""
        return {attack: self.judge(scores) for attack, scores in self.scores().items()}

    def sides(self) -> list[list[str]]:
        """Members and non-members."""
        return [[t for t, m in zip(self.texts, self.member, strict=True) if m == side] for side in (True, False)]

    def blind(self) -> BlindBaseline:
        """How well the texts alone tell the members."""
        return blind_baseline(*self.sides(), rng=np.random.default_rng(0))

    def probe(self) -> None:
        """The whole probe, with its blind baseline and its models of random weights; it takes no reference here."""
        members, nonmembers = self.sides()
        Membership(members=members, nonmembers=nonmembers).measure(self.model, np.random.default_rng(0))


def demonstrate(ask: Callable[..., Any], settings: dict[str, int]) -> dict[str, Any]:
    """What each finds, and its time."""
    with tempfile.TemporaryDirectory() as folder:
        demo = Demo(ask, Path(folder), settings)
    result = of_memaudit(demo.theirs) | ours(demo)
    scored = ask("score", texts=demo.texts, start=demo.start)
    on_theirs = demo.judge(scored["headline_score"])
    result["ours, on memaudit's scores: TPR"] = shown(on_theirs.tpr[0])
    result["ours, on memaudit's scores: AUC"] = shown(on_theirs.auc)
    scores = demo.scores()
    for attack, name in (("loss", "membership_loss"), ("min_k", "min_k"), ("min_k_plus_plus", "min_k_plus_plus")):
        result[f"{attack}, largest difference"] = float(np.abs(scores[attack] - scored[name]).max())
    pairs = {
        "scores": (demo.scores, lambda: ask("score", texts=demo.texts, start=demo.start)),
        "audit": (demo.audit, lambda: ask("audit", generation=False)),
        "audit, ours the whole probe": (demo.probe, lambda: ask("audit", generation=False)),
    }
    try:
        demo.probe()
    except DataError as e:
        del pairs["audit, ours the whole probe"]
        result["ours, the whole probe"] = f"refuses: {e}"
    for name, (mine, theirs) in pairs.items():
        result |= {f"{name}: {key}": value for key, value in in_turns(mine, theirs).items()}
    result["memaudit's audit with regurgitation, ms"] = 1000 * ask("audit", generation=True)["seconds"]
    return result


def of_memaudit(found: dict[str, Any]) -> dict[str, Any]:
    low, high = found["ci_low"], found["ci_high"]
    return {
        "memaudit: TPR": f"{found['tpr_at_1pct_fpr']:.3f} [{low:.3f}, {high:.3f}]",
        "memaudit: AUC": f"{found['auc']:.3f}, no interval",
        "memaudit: says": found["detection_claim"],
        "memaudit: warns": found["warning"] or "of nothing",
    }


def ours(demo: Demo) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for attack, found in demo.audit().items():
        result |= {f"ours, {attack}: TPR": shown(found.tpr[0]), f"ours, {attack}: AUC": shown(found.auc)}
    blind = demo.blind()
    low, high = blind.interval.low, blind.interval.high
    verdict = "beats chance: attacks invalid" if blind.beats_chance else "at chance"
    return result | {
        "ours: says": found.tpr[0].note,
        "ours, blind baseline: AUC": f"{blind.auc:.3f} [{low:.3f}, {high:.3f}], {verdict}",
    }


def shown(found: Auc | TprAtFpr) -> str:
    return f"{found.value:.3f} [{found.interval.low:.3f}, {found.interval.high:.3f}]"


def in_turns(mine: Callable[[], Any], theirs: Callable[[], dict[str, float]], turns: int = TURNS) -> dict[str, float]:
    """Median process times, and the median of their ratio; a first turn is not counted."""
    took = np.array([[cpu_seconds(mine), theirs()["seconds"]] for _ in range(turns + 1)][1:])
    one, other = 1000 * np.median(took, axis=0)
    ratio = float(np.median(took[:, 1] / took[:, 0]))
    return {"ours, ms": float(one), "memaudit, ms": float(other), "times faster": ratio}


def cpu_seconds(run: Callable[[], Any]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def smollm2(ask: Callable[..., Any]) -> dict[str, float]:
    """Time of scoring sentences, the same tokens on both sides."""
    model, texts = load_model("smollm2", device="cpu"), english_sentences(SENTENCES)
    weights = aliases()["smollm2"].installed()
    ask("load", folder=str(weights.parent), file=weights.name)
    found = in_turns(lambda: likelihood_scores(model, texts), lambda: ask("score", texts=texts, start=1), turns=2)
    mine, theirs = likelihood_scores(model, texts)["loss"], ask("score", texts=texts, start=1)["membership_loss"]
    return found | {"loss, largest difference": float(np.abs(mine - theirs).max())}


def simulated(ask: Callable[..., Any], members: int, controls: int) -> dict[str, float]:
    """Shares of the draws in which an interval holds the TPR at 1 % FPR, and the TPR at the threshold it chose."""
    normal, rng = NormalDist(), np.random.default_rng(0)
    shift = normal.inv_cdf(1 - FPR) + normal.inv_cdf(TRUE_TPR)
    draws = [(rng.normal(shift, 1, members), rng.normal(0, 1, controls)) for _ in range(DRAWS)]
    theirs = np.array(ask("rates", draws=[[m.tolist(), c.tolist()] for m, c in draws]))
    found = [tpr_at_fpr(m, c, FPR) for m, c in draws]
    mine = np.array([[f.value, f.interval.low, f.interval.high, f.threshold] for f in found])
    result = {}
    for name, (_, low, high, threshold) in (("ours", mine.T), ("memaudit", theirs.T)):
        at_threshold = np.array([1 - normal.cdf(t - shift) for t in threshold])
        for what, truth in (("at 1 % FPR", TRUE_TPR), ("at its threshold", at_threshold)):
            result[f"{name} holds the TPR {what}, %"] = 100 * float(np.mean((low <= truth) & (high >= truth)))
        result[f"{name}, mean length"] = float(np.mean(high - low))
    return result


def uneven(ask: Callable[..., Any]) -> dict[str, float]:
    """The share of the controls that each accuses at "1 % FPR": controls given as members are accused by it."""
    controls = np.arange(UNEVEN, dtype=float)
    return {
        "ours, accused at 1 % FPR, %": 100 * float(tpr_at_fpr(controls, controls, FPR).value),
        "memaudit, accused at 1 % FPR, %": 100 * ask("rates", draws=[[controls.tolist(), controls.tolist()]])[0][0],
    }


def measure() -> dict[str, Any]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with running(install("memaudit", [PEER]), "peer_memaudit.py") as ask:
            parts = {name: demonstrate(ask, settings) for name, settings in DEMOS.items()}
            parts |= {f"simulated, {m} and {n}": simulated(ask, m, n) for m, n in SIZES}
            parts |= {f"{UNEVEN} controls": uneven(ask), f"SmolLM2, {SENTENCES} sentences": smollm2(ask)}
    except PeerError as e:
        return {PEER: str(e)}
    finally:
        torch.set_num_threads(threads)
    return {f"{part}: {key}": value for part, result in parts.items() for key, value in result.items()}


def show(result: dict[str, Any]) -> None:
    for key, value in result.items():
        print(f"{key:<66} {value:.4g}" if isinstance(value, float) else f"{key:<66} {value}")


if __name__ == "__main__":
    show(measure())
