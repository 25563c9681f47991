"""The price of private training: time and memory of a step against one of ordinary training, and against Opacus.

    python benchmarks/dp_sgd.py [--rows char-gpt-0.8m ...] [--devices cpu ...] [--repeats 10] [--quick] [--out FOLDER]

Time is that of the process on a CPU, in one thread, and that of the stream on a CUDA device. All variants of a row take
turns in one process, and each turn is compared with the plain step of the same round. Memory is the peak of a process
of its own that takes one step to warm up and three more. Everything is compared with single examples first, so that
no time is reported for a wrong sum. Writes dp_sgd.json and dp_sgd.svg.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import multiprocessing
import os
import platform
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dp_sgd_models as models
import numpy as np
import torch
from dp_sgd_models import ROWS, SEED, VARIANTS

from auditkit.console import table

DEVICES = ("cpu", "cuda", "cuda-bf16")
RESULTS = Path(__file__).parent / "results"
REPEATS = 10
STEPS = 100
BATCHES = (8, 16, 32, 64)
QUICK_BATCH = 4
TOLERANCE, TOLERANCE_HALF = 1e-3, 0.1  # of a clipped sum, relative to its norm, in float32 and under bfloat16 autocast
OPACUS = [name for name in VARIANTS if name.startswith("Opacus")]


def fresh(function: Callable[..., Any], *args: Any) -> Any:
    """The result of a call in a new process, whose memory holds nothing from before."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, initializer=_settle) as pool:
        return pool.submit(function, *args).result()


def _settle() -> None:
    from transformers.utils import logging

    torch.set_num_threads(1)  # the process time of several would include their waiting for each other
    warnings.simplefilter("ignore")
    logging.set_verbosity_error()
    logging.disable_progress_bar()


def seconds(step: models.Step, device: str) -> float:
    """Process time of one step; on a CUDA device the time between two events of its stream."""
    if device == "cpu":
        start = time.process_time()
        step()
        return time.process_time() - start
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    step()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1000


def take_turns(steps: dict[str, models.Step], repeats: int, device: str = "cpu") -> dict[str, list[float]]:
    """Seconds of each step in each round; the order turns round every time, so that none always comes first."""
    for step in steps.values():
        step()
    took: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(repeats):
        for name in list(steps)[:: (-1) ** turn]:
            took[name].append(seconds(steps[name], device))
    return took


def build(row: str, device: str, batch: int | None) -> models.Task:
    """The task of a row on one of `DEVICES`."""
    return models.build(row, device.partition("-")[0], batch=batch, half=device.endswith("bf16"))


def prepare(variant: str, task: models.Task, expected: models.Gradients) -> tuple[models.Step | None, dict[str, Any]]:
    """The step of a variant after its first run, and what is to be said of it; no step where it fails.

    Opacus is tried on the model as it is, and where it fails, with position embeddings as it needs them.
    """
    facts: dict[str, Any] = {"fails": None, "positions_looked_up": False, "error": None}
    for form in filter(None, (task, task.positions_looked_up)):
        try:
            step, error = _checked(variant, form, expected)
        except Exception as e:  # whatever another package raises on a model that it does not know
            if variant not in OPACUS:
                raise
            facts["fails"] = facts["fails"] or f"{type(e).__name__}: {_first_words(e)}"
        else:
            return step, facts | {"positions_looked_up": form is not task, "error": error}
    return None, facts


def _checked(variant: str, task: models.Task, expected: models.Gradients) -> tuple[models.Step, float | None]:
    """The step, and how far the sum of its first run is from the expected one; that of a plain step is not clipped."""
    step = VARIANTS[variant](task, task.copy_of_module())
    error = models.distance(step(), expected)
    if variant == "plain":
        return step, None
    if not error <= (TOLERANCE_HALF if task.half else TOLERANCE):
        raise ArithmeticError(f"the clipped sum of {variant} is off by {100 * error:.3g} %")
    return step, error


def _first_words(error: Exception, length: int = 60) -> str:
    line = (str(error).strip().splitlines() or ["no message"])[0]
    return line if len(line) <= length else line[:length].rsplit(" ", 1)[0] + " ..."


def time_row(row: str, device: str, repeats: int, batch: int | None) -> dict[str, Any]:
    """Time, multiply-adds and error of every variant of a row."""
    task = build(row, device, batch)
    expected = models.micro_batched(task)
    prepared = {variant: prepare(variant, task, expected) for variant in VARIANTS}
    steps = {variant: step for variant, (step, _) in prepared.items() if step}
    work = {variant: _multiply_adds(step) for variant, step in steps.items()}
    took = take_turns(steps, repeats, device)
    variants = {variant: facts for variant, (_, facts) in prepared.items()}
    for variant in steps:
        variants[variant] |= {
            "seconds": float(np.median(took[variant])),
            "ratio": _ratio(took[variant], took["plain"]),
            "multiply_adds": work[variant],
            "floor": work[variant] / work["plain"],
        }
    parameters = list(task.module.parameters())
    return {
        "title": ROWS[row].title,
        "batch": len(task.labels),
        "tokens": ROWS[row].tokens,
        "parameters": sum(p.numel() for p in parameters),
        "trainable": sum(p.numel() for p in parameters if p.requires_grad),
        "budget": ROWS[row].budget,
        "variants": variants,
    }


def _multiply_adds(step: models.Step) -> int:
    with models.counted() as so_far:
        step()
        return so_far()


def _ratio(took: list[float], plain: list[float]) -> dict[str, Any]:
    ratios = np.array(took) / np.array(plain)
    low, median, high = np.quantile(ratios, [0.25, 0.5, 0.75]).tolist()
    return {"median": median, "quartiles": [low, high], "least": float(ratios.min()), "n": len(ratios)}


def memory(row: str, variant: str, positions_looked_up: bool, device: str, batch: int | None) -> dict[str, float]:
    """Megabytes at the peak of four steps, and how much of it was not there before them. Needs a process of its own.

    On a CPU the peak is VmHWM, set back before the first step: getrusage's would include how the weights were loaded,
    and the peak of the process that started this one.
    """
    task = build(row, device, batch)
    if positions_looked_up and task.positions_looked_up:
        task = task.positions_looked_up
    task = replace(task, positions_looked_up=None)
    step = VARIANTS[variant](task, task.module)
    gc.collect()
    before = _resident(device, set_back=True)
    for _ in range(4):
        step()
    peak = _resident(device)
    return {"peak_mb": peak / 1e6, "step_mb": (peak - before) / 1e6}


def _resident(device: str, *, set_back: bool = False) -> int:
    """Bytes at the peak; `set_back` begins a new peak at what is resident now."""
    if device != "cpu":
        if set_back:
            torch.cuda.reset_peak_memory_stats()
        return torch.cuda.max_memory_allocated()
    if set_back:
        ctypes.CDLL(None).malloc_trim(0)  # what loading has freed is not at hand for the steps
        Path("/proc/self/clear_refs").write_text("5")
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return 1024 * int(lines["VmHWM"].split()[0])


def measure_row(row: str, device: str, repeats: int, batch: int | None) -> dict[str, Any]:
    """Time and memory of a row."""
    result = fresh(time_row, row, device, repeats, batch)
    for variant, facts in result["variants"].items():
        if "ratio" not in facts or (device == "cpu" and platform.system() != "Linux"):
            continue
        try:
            facts |= fresh(memory, row, variant, facts["positions_looked_up"], device, batch)
        except (BrokenProcessPool, torch.OutOfMemoryError):
            facts["fails"] = "killed for want of memory"
    print(f"{result['title']}, {device}: ours {result['variants']['ours']['ratio']['median']:.2f}", flush=True)
    return result


def over_steps(row: str, steps: int, batch: int | None) -> dict[str, Any]:
    """Whether a step costs the same at the end of a training as at its beginning: median ms of ten."""
    task = build(row, "cpu", batch)
    took = take_turns({name: VARIANTS[name](task, task.copy_of_module()) for name in ("plain", "ours")}, steps)
    parts = {f"steps 1-10 of {steps}": slice(10), f"last 10 of {steps}": slice(-10, None)}
    return {
        "row": row,
        **{
            f"{label}, {name}, ms": 1000 * float(np.median(times[part]))
            for label, part in parts.items()
            for name, times in took.items()
        },
    }


def over_batches(row: str, batches: Sequence[int], repeats: int) -> dict[str, Any]:
    """Whether a step's cost is a straight line in the batch: median seconds, and the worst distance from the line."""
    steps = {}
    for batch in batches:
        task = build(row, "cpu", batch)
        for name in ("plain", "ours"):
            steps[f"{name}, B = {batch}"] = VARIANTS[name](task, task.copy_of_module())
    took = {name: float(np.median(times)) for name, times in take_turns(steps, repeats).items()}
    result: dict[str, Any] = {"row": row} | {f"{name}, ms": 1000 * median for name, median in took.items()}
    for name in ("plain", "ours"):
        times = np.array([took[f"{name}, B = {batch}"] for batch in batches])
        slope, start = np.polyfit(batches, times, 1)
        off = np.abs(start + slope * np.array(batches) - times) / times
        result |= {f"{name}, ms per example": 1000 * slope, f"{name}, ms at B = 0": 1000 * start}
        result[f"{name}, worst distance from the line, %"] = 100 * float(off.max())
    return result


def available(devices: Sequence[str]) -> tuple[list[str], list[str]]:
    """Those of `devices` that are here, and a line for each that is not."""
    there = torch.cuda.is_available()
    missing = [d for d in devices if d != "cpu" and not there]
    return [d for d in devices if d not in missing], [f"{d}: skipped, no CUDA device" for d in missing]


def measure(
    rows: Sequence[str] = tuple(ROWS),
    devices: Sequence[str] = DEVICES,
    repeats: int = REPEATS,
    quick: bool = False,
) -> dict[str, Any]:
    """Everything; `quick` takes two turns on batches of four, which shows that all runs and no more."""
    repeats, batch = (2, QUICK_BATCH) if quick else (repeats, None)
    here, skipped = available(devices)
    result: dict[str, Any] = {
        "quick": quick,
        "repeats": repeats,
        "seed": SEED,
        "versions": {name: version(name) for name in ("torch", "opacus", "transformers", "peft")},
        "machine": _machine(here),
        "skipped": skipped,
        "devices": {d: {row: measure_row(row, d, repeats, batch) for row in rows} for d in here},
    }
    if "cpu" in here:
        smallest = min(rows, key=list(ROWS).index)
        result["over_steps"] = fresh(over_steps, smallest, 20 if quick else STEPS, batch)
        result["over_batches"] = fresh(over_batches, smallest, BATCHES, repeats)
    return result


def _machine(devices: Sequence[str]) -> dict[str, Any]:
    names = [line for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    cuda = torch.cuda.get_device_name() if any(d != "cpu" for d in devices) else None
    cpu = names[0].partition(":")[2].strip() if names else platform.processor()
    return {"cpu": cpu, "cores": os.cpu_count(), "threads": 1, "cuda": cuda}


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def summary_cells(row: dict[str, Any]) -> tuple[str, ...]:
    """Ours beside the budget, the floor and the best that Opacus does: in time, and in memory."""
    variants = row["variants"]
    ours = variants["ours"]
    timed = {name: variants[name] for name in OPACUS if "ratio" in variants[name]}
    fastest = min(timed, key=lambda name: timed[name]["ratio"]["median"], default=None)
    leanest = min(timed, key=lambda name: timed[name].get("step_mb", np.inf), default=None)
    return (
        f"{row['title']}, T = {row['tokens']}, B = {row['batch']}",
        f"{ours['ratio']['median']:.2f}x",
        f"{row['budget']:.2f}x" if row["budget"] else "",
        f"{ours['floor']:.2f}x",
        _best(timed, fastest, lambda facts: f"{facts['ratio']['median']:.2f}x"),
        _megabytes(variants["plain"]),
        _megabytes(ours),
        _best(timed, leanest, _megabytes),
    )


def _megabytes(facts: dict[str, Any]) -> str:
    return f"{facts['peak_mb']:.0f}, {facts['step_mb']:.0f}" if "peak_mb" in facts else "not measured"


def _best(timed: dict[str, Any], name: str | None, cell: Callable[[dict[str, Any]], str]) -> str:
    if name is None:
        return "all modes fail"
    return f"{cell(timed[name])} ({name.removeprefix('Opacus ')}{'*' if timed[name]['positions_looked_up'] else ''})"


def detail_cells(row: dict[str, Any]) -> list[tuple[str, ...]]:
    """A line for each variant."""
    lines = []
    for name, facts in row["variants"].items():
        title = row["title"] if name == "plain" else ""
        if "ratio" not in facts:
            lines.append((title, name, "fails", *[""] * 5, facts["fails"]))
            continue
        ratio, error = facts["ratio"], facts["error"]
        low, high = ratio["quartiles"]
        lines.append((
            title,
            name,
            f"{ratio['median']:.2f}x ({low:.2f} to {high:.2f})",
            f"{ratio['least']:.2f}x",
            f"{facts['floor']:.2f}x",
            f"{1000 * facts['seconds']:.1f}",
            _megabytes(facts),
            "" if error is None else f"{error:.0e}",
            f"* as it is: {facts['fails']}" if facts["positions_looked_up"] else facts["fails"] or "",
        ))  # fmt: skip
    return lines


def show(result: dict[str, Any]) -> None:
    """The tables."""
    if result["quick"]:
        print("\nquick: batches of four, two turns; the figures mean nothing")
    for device, rows in result["devices"].items():
        table(
            f"A private step against a plain one, {device}",
            (
                "model",
                "ours",
                "budget",
                "floor",
                "Opacus's best",
                *(f"{who} MB" for who in ("plain", "ours", "Opacus's least")),
            ),
            [summary_cells(row) for row in rows.values()],
        )
        table(
            f"Every variant, {device}, {result['repeats']} rounds",
            ("model", "variant", "time / plain (quartiles)", "least", "floor", "ms", "MB", "error", "remark"),
            [line for row in rows.values() for line in detail_cells(row)],
        )  # fmt: skip
    print("floor: multiply-adds of matrix products and norms, of this variant / of the plain step, from their shapes")
    print("MB: peak, and how much of it was not there before the first step; a process with Opacus starts larger")
    print("error: of the clipped sum, relative to the sum from single examples")
    print("*: Opacus fails on the model as it is; here each example looks its position embeddings up")
    for part in ("over_steps", "over_batches"):
        for key, value in result.get(part, {}).items():
            print(f"  {key:<44} {value:.4g}" if isinstance(value, float) else f"\n  {key:<44} {value}")
    print(*result["skipped"], sep="\n")


def plot(result: dict[str, Any]) -> Any:
    """Time and memory of every variant that works, a panel each, and the floor of ours as a tick."""
    import altair as alt

    marks = [
        {
            "device": device,
            "model": row["title"],
            "variant": variant,
            "time / plain step": facts["ratio"]["median"],
            "floor": facts["floor"] if variant == "ours" else None,
            "memory of the steps, MB": facts.get("step_mb"),
        }
        for device, rows in result["devices"].items()
        for row in rows.values()
        for variant, facts in row["variants"].items()
        if "ratio" in facts
    ]
    titles = list(dict.fromkeys(mark["model"] for mark in marks))
    base = alt.Chart(alt.InlineData(values=marks)).encode(
        y=alt.Y("model:N", sort=titles, title=None, axis=alt.Axis(labelLimit=300, grid=True))
    )
    order = alt.Scale(domain=list(VARIANTS))  # the same for both, or there would be two legends
    variant = {
        "color": alt.Color("variant:N", scale=order, title=None),
        "shape": alt.Shape("variant:N", scale=order, title=None),
    }
    panels = [
        base.mark_point(size=70, opacity=0.9).encode(
            x=alt.X(f"{field}:Q", scale=alt.Scale(type=scale, zero=False)), **variant
        )
        for field, scale in (("time / plain step", "linear"), ("memory of the steps, MB", "log"))
    ]
    floors = (
        base.transform_filter("isValid(datum.floor)")
        .mark_tick(thickness=2, color="black")
        .encode(x=alt.X("floor:Q", title="time / plain step"))
    )
    size = {"width": 330, "height": 34 * len(titles)}
    rows = [
        alt.hconcat(*(
            chart.transform_filter(alt.datum.device == device).properties(**size, title=f"{name}, {device}")
            for name, chart in (("Time (tick: floor of ours)", panels[0] + floors), ("Memory", panels[1]))
        ))
        for device in result["devices"]
    ]  # fmt: skip
    return alt.vconcat(*rows)


def main() -> None:
    parser = argparse.ArgumentParser(description="The price of a private step.")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--devices", nargs="+", choices=DEVICES, default=list(DEVICES), help="those that are there")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="rounds of timing")
    parser.add_argument("--quick", action="store_true", help="small batches, two rounds: only whether all runs")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of dp_sgd.json and dp_sgd.svg")
    options = parser.parse_args()
    here, skipped = available(options.devices)
    if options.repeats < 1 or not here:
        parser.error("; ".join(skipped) if not here else "--repeats: expected 1 or more")
    result = measure(options.rows, options.devices, options.repeats, options.quick)
    show(result)
    write(result, options.out)


def write(result: dict[str, Any], folder: Path) -> None:
    """The record and the plot."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dp_sgd.json").write_text(json.dumps(result, indent=1) + "\n")
    plot(result).save(folder / "dp_sgd.svg")


if __name__ == "__main__":
    main()
