"""What a model costs: bytes in memory and on disk, time per batch, the memory and processor time that a run takes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from auditkit.compression.backends import timed
from auditkit.compression.quantized_model import same_on_disk
from auditkit.errors import InputError
from auditkit.measurement import Interval
from auditkit.models.batching import pad, padded, plan
from auditkit.models.padding import Company
from auditkit.models.sentence_encoder import SentenceEncoder
from auditkit.models.weights import plain_tensors

T = TypeVar("T")
FEWEST_PAIRS = 6
SAMPLE_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Latency:
    """One forward pass over a batch of texts, against that of the dense model.

    Attributes:
        batch: texts in the batch.
        seconds: median of the model.
        dense_seconds: median of the dense model, run in turn with it.
        speedup: median of dense / compressed over the pairs; above 1 is faster.
        interval: of `speedup`, by the order statistics of the pairs.
        pairs: how many there were.
        clock: "processor", seconds of the process on the CPU, which a busy machine lengthens little; or "wall".
    """

    batch: int
    seconds: float
    dense_seconds: float
    speedup: float
    interval: Interval
    pairs: int
    clock: str


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run took of this process.

    Attributes:
        cpu_seconds: of the processor, all threads together.
        gpu_seconds: during which the CUDA device was waited for, from start to end; 0 without one.
        wall_seconds: of the clock.
        resident_before: bytes of main memory the process held before.
        resident_peak: the most it held, sampled every 5 ms; libraries and the dense model are in it.
        gpu_peak: the most bytes that tensors took on the CUDA device; 0 without one.
    """

    cpu_seconds: float
    gpu_seconds: float
    wall_seconds: float
    resident_before: int
    resident_peak: int
    gpu_peak: int

    @property
    def resident_added(self) -> int:
        """Bytes by which the process grew at most."""
        return self.resident_peak - self.resident_before


def memory_bytes(model: Any) -> int:
    """Bytes of all parameters and buffers, packed ones included; what several names share counts once."""
    module = model.module
    storages: dict[Any, int] = {}
    packed = 0
    for part in module.modules():
        if hasattr(part, "packed_bytes"):
            packed += part.packed_bytes
        elif hasattr(part, "_packed_params"):  # torch's own quantised layers
            packed += sum(t.nbytes for _, t in plain_tensors(part))
        for tensor in (*part.parameters(recurse=False), *part.buffers(recurse=False)):
            for inner in _inner(tensor):
                storages[inner.device, inner.untyped_storage().data_ptr()] = inner.untyped_storage().nbytes()
    return packed + sum(storages.values())


def disk_bytes(model: Any) -> int:
    """Bytes of the model's weights as a safetensors file: each tensor once, and a header.

    A quantised model's is the file that `save_quantized` writes; a pruned one may be stored in fewer (`sparse`).
    """
    from safetensors.torch import save

    once: dict[Any, tuple[str, torch.Tensor]] = {}
    for name, tensor in plain_tensors(model.module):
        once.setdefault(same_on_disk(name, tensor), (name, tensor.detach().cpu().contiguous()))
    return len(save(dict(once.values())))


def latency(
    model: Any,
    dense: Any,
    texts: Sequence[str],
    *,
    batch_sizes: Sequence[int] = (1, 8),
    pairs: int = 21,
) -> tuple[Latency, ...]:
    """Time forward passes of two models over the same batches, in turn, so that both meet the same moments.

    Args:
        model: the compressed adapter.
        dense: the adapter that it was made from.
        texts: the first `batch` of them are the batch, repeated where there are fewer.
        batch_sizes: texts in a batch.
        pairs: passes of each model.

    Raises:
        InputError: no texts, or fewer than 6 pairs.
    """
    if not texts or pairs < FEWEST_PAIRS:
        raise InputError(
            f"latency over {len(texts)} texts and {pairs} pairs; expected at least 1 text and {FEWEST_PAIRS} pairs"
        )
    return tuple(_latency(model, dense, _batch(texts, size), pairs) for size in batch_sizes)


def spent(run: Callable[[], T]) -> tuple[T, Spent]:
    """Run it, and say what it took."""
    import psutil

    process = psutil.Process(os.getpid())
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    before = process.memory_info().rss
    sampler = _PeakSampler(process)
    wall, cpu = time.perf_counter(), time.process_time()
    with sampler:
        out = run()
        if cuda:
            torch.cuda.synchronize()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    gpu_peak = torch.cuda.max_memory_allocated() if cuda else 0
    return out, Spent(cpu, wall if cuda else 0.0, wall, before, max(before, sampler.peak), gpu_peak)


class _PeakSampler:
    """Watches the resident memory of this process from a thread of its own."""

    def __init__(self, process: Any) -> None:
        self.process = process
        self.peak = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            self.peak = max(self.peak, self.process.memory_info().rss)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        self._thread.join()
        self.peak = max(self.peak, self.process.memory_info().rss)


def _inner(tensor: torch.Tensor) -> list[torch.Tensor]:
    """The tensors that really hold the numbers."""
    if not hasattr(tensor, "__tensor_flatten__"):
        return [tensor]
    return [t for name in tensor.__tensor_flatten__()[0] for t in _inner(getattr(tensor, name))]


def _batch(texts: Sequence[str], size: int) -> list[str]:
    return [texts[i % len(texts)] for i in range(size)]


def _latency(model: Any, dense: Any, batch: list[str], pairs: int) -> Latency:
    runs = [_forward(which, batch) for which in (dense, model)]
    device = next(model.module.parameters()).device
    with torch.inference_mode():
        for run in (*runs, *runs):  # warm up
            run()
        times = np.array([[timed(run, device) for run in runs] for _ in range(pairs)])  # (pairs, 2)
    ratios = times[:, 0] / times[:, 1]
    dense_seconds, seconds = np.median(times, axis=0).tolist()
    speedup, interval = float(np.median(ratios)), median_interval(ratios)
    clock = "processor" if device.type == "cpu" else "wall"
    return Latency(len(batch), seconds, dense_seconds, speedup, interval, pairs, clock)


def median_interval(values: npt.NDArray[np.float64]) -> Interval:
    """Of the median, for any distribution: the order statistics of a sign test (Conover, 1999, section 3.2).

    The bootstrap of 21 values covers 92 %. Below six values no interval covers 95.
    """
    from scipy.stats import binom

    n = len(values)
    outside = max(1, int(binom.ppf(0.025, n, 0.5)))  # P(fewer of n lie on one side of the median) is 0.025 at most
    ordered = np.sort(values)
    return Interval(float(ordered[outside - 1]), float(ordered[n - outside]), method=f"order statistics, {n} pairs")


def _forward(model: Any, batch: list[str]) -> Callable[[], Any]:
    """One pass through the module, inputs ready; logits of all positions where it is a language model."""
    module = model.module
    if isinstance(model, SentenceEncoder):
        return partial(
            module, {k: v.to(module.device) if hasattr(v, "to") else v for k, v in module.tokenize(batch).items()}
        )
    if model.task == "char-gpt":
        context = model.config.context
        rows = [[*model.tokenizer.start, *model.tokenizer.encode(text[: context - 1])[0]] for text in batch]
        return partial(module, pad(rows, 0).to(model.device))
    ids = model.tokenize(batch)["input_ids"]
    filler = getattr(model, "filler", 0)
    lengths = np.array([len(row) for row in ids])
    # One batch, unless the module cannot read these texts together.
    together = plan(lengths, int(lengths.max()) * len(ids), getattr(model, "company", Company.ANY))
    inputs = [padded([ids[r] for r in rows], filler, model.device) for rows in together]
    if model.task == "seq2seq":
        for given in inputs:
            given["decoder_input_ids"] = torch.full((len(given["input_ids"]), 1), model.start, device=model.device)
    return lambda: [module(**given) for given in inputs]
