"""Compression: what a sweep takes beside its forward passes, and what int8, Wanda, low rank and sparse storage give.

    python benchmarks/compression.py [--parts sweep int8 wanda low_rank sparse] [--points 12] [--texts 60]

sweep     12 points of minilm-mlm with quality (the sentences of the shipped pairs), CrowS-Pairs on gender (the shipped
          pairs where it is absent), sizes and paired latency at batch 1 and 8: the wall time, and how many times the
          time spent inside the network, all passes of all points, dense and random weights together, it is
int8      the kind and backend chosen on this machine: speed, bytes, equal answers, with and without the word table
wanda     perplexity at 50 %, Wanda against magnitude, the same share in every layer, of SmolLM2 and the char-GPT
low_rank  truncated SVD of minilm-mlm at half the energy, and at half the weights
sparse    the file of a model of which 90 % of the weights of its blocks are 0, against the dense one's

Timings want a quiet machine: OMP_NUM_THREADS=2 on two cores that do nothing else.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from timing import seconds
from torch.nn.modules import module as hooks

import auditkit as ak
from auditkit import data
from auditkit.compression.cost import disk_bytes, memory_bytes
from auditkit.compression.layers import linear_layers
from auditkit.compression.sparse import save_sparse, storage
from auditkit.compression.sweeps import sweep
from auditkit.report import AuditReport

CALIBRATION, TEXTS = 64, 60
CHARACTERS = 400  # of a text
HALF = 0.5
TARGETS = {  # at most, or at least where the number is a gain
    "sweep: minutes": 12.0,
    "sweep: wall time / forward passes": 1.3,
    "int8: speed at batch 1": 1.4,
    "int8: speed at batch 8": 1.4,
    "int8: bytes in memory / dense": 0.67,
    "int8, word table too: bytes in memory / dense": 0.35,
    "int8, word table too: speed at batch 1": 1.4,
    "int8, word table too: speed at batch 8": 1.4,
    "int8, word table too: equal answers, %": 94.0,
    "int8: equal answers, %": 94.0,
    "sparse: char-gpt: layers / dense": 0.25,
}


class ForwardClock:
    """The seconds spent in modules that no other module called."""

    def __init__(self) -> None:
        self.seconds, self.passes, self._depth, self._start = 0.0, 0, 0, 0.0

    def enter(self, *_: Any) -> None:
        """Before any module's forward."""
        if self._depth == 0:
            self._start = time.perf_counter()
        self._depth += 1

    def leave(self, *_: Any) -> None:
        """After it, whether it raised or not."""
        self._depth -= 1
        if self._depth == 0:
            self.seconds += time.perf_counter() - self._start
            self.passes += 1


@contextmanager
def forward_clock() -> Iterator[ForwardClock]:
    clock = ForwardClock()
    before = hooks.register_module_forward_pre_hook(clock.enter)
    after = hooks.register_module_forward_hook(clock.leave, always_call=True)
    try:
        yield clock
    finally:
        before.remove()
        after.remove()


def points(calibration: list[str]) -> list[Any]:
    """Twelve ways of making a masked model smaller."""
    return [
        "int8", {"int8": {"embeddings": True}}, {"cast": {"dtype": "bfloat16"}},
        {"magnitude": {"ratio": 0.1}}, {"magnitude": {"ratio": 0.3}}, {"magnitude": {"ratio": HALF}},
        {"wanda": {"ratio": HALF, "texts": calibration}}, {"random": {"ratio": 0.1}},
        {"magnitude": {"pattern": "2:4"}}, {"neurons": {"ratio": 0.1}}, {"low_rank": {"energy": HALF}},
        [{"magnitude": {"ratio": 0.3}}, "int8"],
    ]  # fmt: skip


def texts_of(split: str, count: int) -> list[str]:
    """Paragraphs of WikiText-2; without it the sentences of the shipped pairs."""
    root = data.root()
    path = root / "wikitext2_valid_test" / f"{split}.txt" if root else None
    if path is None or not path.exists():
        pairs = data.load("builtin_pairs", kind="pairs").items[split == "test" :: 2]
        return [pair.less for pair in pairs][:count]
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    long = [line[:CHARACTERS] for line in lines if len(line) >= CHARACTERS and not line.startswith("=")]
    return long[:: max(1, len(long) // count)][:count]


def plays(start: float, count: int) -> list[str]:
    """Passages of Shakespeare, for the char-GPT: `start` says from which part on."""
    root = data.root()
    path = root / "tinyshakespeare" / "input.txt" if root else None
    if path is None or not path.exists():
        return texts_of("test" if start else "valid", count)
    text = path.read_text(encoding="utf-8")
    begin, width = int(start * len(text)), 128
    return [text[begin + i * width : begin + (i + 1) * width] for i in range(count)]


def bias_probe() -> dict[str, Any]:
    root = data.root()
    name = "crows_pairs" if root and (root / "crows_pairs").exists() else "stereotype_pairs"
    return {name: {"groups": ["gender"], "methods": ["metric"]}}


def value(report: AuditReport, slug: str, name: str) -> float:
    found = report[f"compression/{slug}/{name}"].value
    return np.nan if found is None else found


def slugs(report: AuditReport) -> list[str]:
    """Those of the points in their order, after "dense"."""
    return [p["slug"] for p in report["compression/all/pareto_front"].details["points"]][1:]


def whole_sweep(count: int) -> dict[str, Any]:
    model = ak.load_model("minilm-mlm")
    specs = points(texts_of("valid", CALIBRATION))[:count]
    with forward_clock() as clock:
        took, report = seconds(lambda: sweep(model, specs, [bias_probe()], texts=""))
    (run,) = report.runs
    if run.status != "ok":
        raise RuntimeError(run.reason)
    found = {
        "sweep: points": len(specs),
        "sweep: minutes": took / 60,
        "sweep: forward passes, minutes": clock.seconds / 60,
        "sweep: passes": clock.passes,
        "sweep: wall time / forward passes": took / clock.seconds,
        "sweep: recommended": report["compression/all/recommendation"].details["label"] or "none",
    }
    for slug in slugs(report):
        safe = report[f"compression/{slug}/safe"].details["safe"]
        found[f"sweep: {slug}"] = f"loss {value(report, slug, 'quality_loss'):+.3f}, safe: {safe}"
    return found


def int8() -> dict[str, Any]:
    model = ak.load_model("minilm-mlm")
    report = sweep(model, ["int8", {"int8": {"kind": "weight_only", "embeddings": True}}], texts="")
    found: dict[str, Any] = {}
    for title, slug in zip(("int8", "int8, word table too"), slugs(report), strict=True):
        step = report[f"compression/{slug}/hidden_harms"].details["steps"][0]
        found[f"{title}: chosen"] = f"{step['kind']}, {step['backend']}"
        for batch in (1, 8):
            found[f"{title}: speed at batch {batch}"] = value(report, slug, f"speedup_batch_{batch}")
        for where in ("bytes_in_memory", "bytes_on_disk"):
            share = value(report, slug, where) / value(report, "dense", where)
            found[f"{title}: {where.replace('_', ' ')} / dense"] = share
        found[f"{title}: equal answers, %"] = value(report, slug, "agreement")
        found[f"{title}: change of the loss"] = value(report, slug, "quality_loss")
    return found


def wanda(count: int) -> dict[str, Any]:
    cases = {
        "char-gpt": (plays(0.0, CALIBRATION), plays(0.95, count)),
        "smollm2": (texts_of("valid", CALIBRATION), texts_of("test", count)),
    }
    found: dict[str, Any] = {}
    for name, (calibration, texts) in cases.items():
        specs = {
            "magnitude, layer": {"magnitude": {"ratio": HALF, "scope": "layer"}},
            "Wanda, layer": {"wanda": {"ratio": HALF, "scope": "layer", "texts": calibration}},
            "Wanda, output": {"wanda": {"ratio": HALF, "scope": "output", "texts": calibration}},
        }
        report = sweep(ak.load_model(name), list(specs.values()), texts=texts, costs=False)
        rows = dict(zip(("dense", *specs), ("dense", *slugs(report)), strict=True))
        found |= {f"wanda: {name}: {row}": value(report, slug, "perplexity") for row, slug in rows.items()}
        layer = [found[f"wanda: {name}: {which}, layer"] for which in ("magnitude", "Wanda")]
        found[f"wanda: {name}: magnitude / Wanda, layer"] = layer[0] / layer[1]
    return found


def low_rank() -> dict[str, Any]:
    specs: list[Any] = [{"low_rank": {"energy": HALF}}, {"low_rank": {"budget": HALF}}]
    specs += [{"low_rank": {"budget": HALF, "weighted": True, "texts": texts_of("valid", CALIBRATION)}}]
    report = sweep(ak.load_model("minilm-mlm"), specs, texts="")
    found: dict[str, Any] = {}
    for title, slug in zip(("energy", "weights", "weights, by outputs"), slugs(report), strict=True):
        title = f"low rank, half the {title}"
        for name in ("quality_loss", "agreement", "speedup_batch_1", "speedup_batch_8"):
            found[f"{title}: {name.replace('_', ' ')}"] = value(report, slug, name)
        share = value(report, slug, "bytes_in_memory") / value(report, "dense", "bytes_in_memory")
        found[f"{title}: bytes in memory / dense"] = share
    return found


def sparse() -> dict[str, Any]:
    """Of the whole file, and of the layers that were pruned: embeddings stay as they are."""
    found: dict[str, Any] = {}
    for name in ("char-gpt", "minilm-mlm"):
        model = ak.load_model(name)
        pruned = ak.compress(model, {"magnitude": {"ratio": 0.9}})
        layers = set(linear_layers(pruned.module))
        stored = [s for tensor, s in storage(pruned.module).items() if tensor.removesuffix(".weight") in layers]
        with tempfile.TemporaryDirectory() as folder:
            file = save_sparse(pruned, folder)
        found[f"sparse: {name}: file / dense"] = file / disk_bytes(model)
        found[f"sparse: {name}: layers / dense"] = sum(s.bytes for s in stored) / sum(s.dense_bytes for s in stored)
        found[f"sparse: {name}: in memory / dense"] = memory_bytes(pruned) / memory_bytes(model)
    return found


PARTS = ("sweep", "int8", "wanda", "low_rank", "sparse")


def measure(parts: tuple[str, ...] = PARTS, count: int = 12, texts: int = TEXTS) -> dict[str, Any]:
    runs = {
        "sweep": lambda: whole_sweep(count), "int8": int8, "wanda": lambda: wanda(texts), "low_rank": low_rank,
        "sparse": sparse,
    }  # fmt: skip
    result: dict[str, Any] = {"threads": torch.get_num_threads()}
    for part in parts:
        result |= runs[part]()
    return result | {f"target for {name}": target for name, target in TARGETS.items() if name in result}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--points", type=int, default=12)
    parser.add_argument("--texts", type=int, default=TEXTS)
    given = parser.parse_args()
    result = measure(tuple(given.parts), given.points, given.texts)
    print(json.dumps(result, indent=1))
