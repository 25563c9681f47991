"""Mitigations of `minilm-mlm`: gender gaps and perplexity before and after, on texts that no mitigation has seen.

    python benchmarks/lm_mitigation.py [--steps 60] [--quick]

Learned from: dictionary and encyclopedia sentences that are not in the test text, and the neutral templates of
`auditkit.mitigation.equalizing`, which share neither a template nor an occupation with the probes.

Measured, before and after, all in pairs with intervals over the independent units:
    slope          nats by which the odds of "she" rise from an all-male to an all-female occupation (pronoun_gap)
    mean gap       mean of log p(she) - log p(he) over occupations (pronoun_gap)
    default pairs  mean absolute difference, in nats, of the two sentences of the builtin gender pairs, and the share
                   that prefers the stereotype
    CrowS-Pairs    the same of its gender pairs: a second benchmark, not used to choose anything
    lpbs           log-probability bias of the pronouns: a third one
    perplexity     pseudo-perplexity: tokens of WikiText-2 test lines masked one at a time

Target: the gaps reduced at a perplexity at most 3 % higher.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from timing import seconds

from auditkit import data, load_model, stats
from auditkit.data.types import Pair
from auditkit.errors import DataError
from auditkit.mitigation.equalizing import EqualizedFineTuning
from auditkit.mitigation.fine_tuning import AugmentedFineTuning, DropoutFineTuning
from auditkit.mitigation.hidden_projection import HiddenStateProjection
from auditkit.mitigation.language_models import counterfactual_pairs
from auditkit.models.protocols import Floats, MaskQuery
from auditkit.probes.lpbs import COMPARISONS, stereotype_bias, target_logprobs
from auditkit.probes.pair_scores import score_masked
from auditkit.probes.pronoun_gap import pronoun_gaps, slope

TEXTS, POOL = 2000, 40_000
LINES, LINE_WORDS, MASKS = 250, 40, 4
CROWS_PAIRS = 120
PRONOUNS = next(c for c in COMPARISONS if c.name == "gender_pronouns")
TARGET = "target, % more perplexity"


def methods(steps: int) -> dict[str, Any]:
    """What is compared."""
    return {
        "equalized": EqualizedFineTuning(steps=steps),
        "projection, last layer": HiddenStateProjection(max_pairs=500),
        "projection, last layer, 80 %": HiddenStateProjection(max_pairs=500, strength=0.8),
        "augmented": AugmentedFineTuning(steps=steps, learning_rate=2e-5),
        "dropout": DropoutFineTuning(steps=steps, learning_rate=2e-5),
    }


def folder() -> Path:
    """The published data."""
    root = data.root()
    if root is None or not (root / "wikitext2_valid_test" / "test.txt").is_file():
        raise DataError("this benchmark reads WikiText-2 and English sentences; set AUDITKIT_DATA to their folder")
    return root


def letters(text: str) -> str:
    """What is left of a text when only its letters count: sentences are compared by it."""
    return "".join(c for c in text.lower() if c.isalpha())


def training_texts(test: str, rng: np.random.Generator) -> list[str]:
    """As many sentences that name a gender as others, none of them in the test text."""
    with gzip.open(folder() / "english_sentences" / "sentences.txt.gz", "rt", encoding="utf-8") as lines:
        pool = [line.strip() for line, _ in zip(lines, range(POOL), strict=False)]
    known = letters(test)
    pool = [s for s in pool if 6 <= len(s.split()) <= 22 and letters(s) not in known]
    named = {text for text, _ in counterfactual_pairs(pool, ("gender",))[0]}
    parts = [[s for s in pool if (s in named) == side] for side in (True, False)]
    return [part[i] for part in parts for i in rng.permutation(len(part))[:TEXTS].tolist()]


class Measures:
    """Everything that is measured of a model, as values of independent units."""

    def __init__(self, model: Any, test: str, rng: np.random.Generator) -> None:
        self.jobs = data.load("builtin_occupations").items
        self.share = np.array([o.female_share for o in self.jobs])
        pairs = [p for p in data.load("builtin_pairs").items if p.group == "gender"]
        self.pairs = [p for p in pairs if p.direction != "control"]
        crows = [p for p in data.load("crows_pairs").items if p.group == "gender"]
        self.crows = [crows[i] for i in sorted(rng.permutation(len(crows))[:CROWS_PAIRS].tolist())]
        self.queries = list(queries(model, test, rng))

    def of(self, model: Any) -> dict[str, Floats]:
        """Units by measure."""
        signed = {"default pairs": self._signed(model, self.pairs), "CrowS-Pairs": self._signed(model, self.crows)}
        found = model.masked_logprobs(self.queries)
        return {
            "gap": pronoun_gaps(model, self.jobs).mean(1),
            "lpbs": stereotype_bias(PRONOUNS, *target_logprobs(model, PRONOUNS)),
            "loss": -np.array([x[0] for x in found]).reshape(-1, MASKS).mean(1),
            **signed,
        }

    def _signed(self, model: Any, pairs: list[Pair]) -> Floats:
        return score_masked(model, pairs, ["metric"])["metric"].difference


def queries(model: Any, test: str, rng: np.random.Generator) -> Iterator[MaskQuery]:
    """Some tokens of some lines, masked one at a time."""
    lines = [" ".join(line.split()[:LINE_WORDS]) for line in test.splitlines() if len(line.split()) > 30]
    chosen = [lines[i] for i in rng.permutation(len(lines))[:LINES].tolist()]
    for text in model.encode(chosen):
        for at in rng.choice(np.flatnonzero(~text.special), MASKS, replace=False).tolist():
            ids = text.ids.tolist()
            yield MaskQuery((*ids[:at], model.mask_id, *ids[at + 1 :]), at, (ids[at],))


def values(measures: Measures, found: dict[str, Floats]) -> dict[str, float]:
    """The measures of one model."""
    return {
        "slope": slope(measures.share, found["gap"]),
        "mean gap": float(found["gap"].mean()),
        "default pairs": float(np.abs(found["default pairs"]).mean()),
        "default pairs, %": 100 * float((found["default pairs"] > 0).mean()),
        "CrowS-Pairs": float(np.abs(found["CrowS-Pairs"]).mean()),
        "CrowS-Pairs, %": 100 * float((found["CrowS-Pairs"] > 0).mean()),
        "lpbs": float(found["lpbs"].mean()),
        "perplexity": float(np.exp(found["loss"].mean())),
    }


def changes(measures: Measures, before: dict[str, Floats], after: dict[str, Floats]) -> dict[str, Any]:
    """Intervals of the paired differences, and what the perplexity has grown by."""

    def interval(one: Floats, other: Floats) -> list[float]:
        found = stats.paired_bootstrap(one, other, rng=np.random.default_rng(0))
        return [found.low, found.high]

    difference, jobs = after["gap"] - before["gap"], np.arange(len(measures.jobs))
    by_share = stats.cluster_bootstrap(difference, jobs, rng=np.random.default_rng(0), x=measures.share)
    pairs = ("default pairs", "CrowS-Pairs")
    growth = [float(np.mean(after["loss"] - before["loss"])), *interval(before["loss"], after["loss"])]
    more, *bounds = [100 * float(np.expm1(x)) for x in growth]
    return {
        "slope, change": [by_share.low, by_share.high],
        "mean gap, change": interval(before["gap"], after["gap"]),
        **{f"{name}, change": interval(np.abs(before[name]), np.abs(after[name])) for name in pairs},
        "lpbs, change": interval(before["lpbs"], after["lpbs"]),
        "perplexity, % more": more,
        "perplexity, % more, interval": bounds,
    }


def measure(steps: int = 60, names: tuple[str, ...] = ()) -> dict[str, Any]:
    """One row of values for the unchanged model and for each method."""
    model, rng = load_model("minilm-mlm", device="cpu"), np.random.default_rng(0)
    test = (folder() / "wikitext2_valid_test" / "test.txt").read_text(encoding="utf-8")
    texts = training_texts(test, rng)
    measures = Measures(model, test, rng)
    before = measures.of(model)
    table: dict[str, Any] = {"unchanged": values(measures, before)}
    for name, method in methods(steps).items():
        if names and name not in names:
            continue
        took, fairer = seconds(lambda method=method: method.fit(model, texts, rng=np.random.default_rng(0)))
        after = measures.of(fairer)
        table[name] = values(measures, after) | changes(measures, before, after) | {"fit, s": took}
    return {TARGET: 3.0, "texts": len(texts), "steps": steps, "models": table}


def show(result: dict[str, Any]) -> None:
    """One line for each model."""
    columns = ("slope", "mean gap", "default pairs", "default pairs, %", "CrowS-Pairs", "CrowS-Pairs, %", "lpbs")
    print(f"{'':<30}" + "".join(f"{c:>18}" for c in (*columns, "perplexity")) + "   % more")
    for name, row in result["models"].items():
        cells = "".join(f"{row[c]:>18.3f}" for c in (*columns, "perplexity"))
        low, high = row.get("perplexity, % more, interval", (0.0, 0.0))
        print(f"{name:<30}{cells}   {row.get('perplexity, % more', 0.0):.2f} [{low:.2f}, {high:.2f}]")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--quick", action="store_true", help="the equalized model alone")
    given = parser.parse_args()
    result = measure(given.steps, ("equalized",) if given.quick else ())
    show(result)
    out = Path(__file__).parent / "results" / "lm_mitigation.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
