"""How large a report is, how long it takes to draw, and how soon Chromium has it ready.

    python benchmarks/report_page.py

Two reports: one of all modules, made up, and one of 1,000 measurements in 20 probes. Three times each; medians.
"""

from __future__ import annotations

import importlib.util
import runpy
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from auditkit.measurement import Interval, Measurement
from auditkit.rendering.html import render
from auditkit.report import AuditReport, ProbeRun

FULL = Path(__file__).parents[1] / "tests" / "fixtures" / "make_full_report.py"
REPEATS = 3
LIMITS = {"all modules": {"KB": 900, "load ms": 1000}, "1,000 measurements": {"render s": 3.0}}
TIMES = """() => { const t = performance.getEntriesByType('navigation')[0]; return t.loadEventEnd - t.startTime; }"""
FILTER = """() => { const words = document.getElementById('words'), start = performance.now();
    words.value = 'group_7'; words.dispatchEvent(new Event('input', {bubbles: true}));
    document.body.getBoundingClientRect(); return performance.now() - start; }"""


def thousand() -> AuditReport:
    """1,000 measurements: 20 probes, 10 groups, 5 metrics."""
    measurements = [
        Measurement(
            id=f"probe_{p}/group_{g}/metric_{s}", value=50.0 + g, interval=Interval(40.0 + g, 60.0 + g), n=500,
            unit="%", ideal=50.0, method="share of items", source="made up", seed=0, details={"p_value": 0.01 * g},
        )
        for p in range(20) for g in range(10) for s in range(5)
    ]  # fmt: skip
    runs = [ProbeRun(f"probe_{p}", "ok") for p in range(20)]
    subject = {"name": "a thousand numbers"}
    return AuditReport(subject=subject, environment={}, config={}, seed=0, runs=runs, measurements=measurements)


def in_chromium(page: str) -> dict[str, float]:
    """Milliseconds to the load event, and of one search; {} without playwright or Chromium."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if importlib.util.find_spec("playwright") is None or chromium is None:
        return {}
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        path.write_text(page, encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        found: dict[str, list[float]] = {"load ms": [], "search ms": []}
        for _ in range(REPEATS):
            tab = browser.new_page()
            tab.goto(path.as_uri(), wait_until="load")
            found["load ms"].append(tab.evaluate(TIMES))
            found["search ms"].append(tab.evaluate(FILTER))
            tab.close()
        browser.close()
    return {name: statistics.median(values) for name, values in found.items()}


def measured(report: AuditReport) -> dict[str, float]:
    """Of one report: its size, the time to draw it, and what Chromium says."""
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        page = render(report)
        seconds.append(time.perf_counter() - start)
    return {"KB": len(page.encode()) / 1000, "render s": statistics.median(seconds), **in_chromium(page)}


def main() -> None:
    """Print one line for each figure."""
    full = runpy.run_path(str(FULL))["full_report"]()
    for name, report in {"all modules": full, "1,000 measurements": thousand()}.items():
        print(f"{name}: {len(report.measurements)} measurements")
        for what, value in measured(report).items():
            limit = f"  (limit {LIMITS[name][what]:g})" if what in LIMITS[name] else ""
            print(f"  {what:10} {value:8.2f}{limit}")


if __name__ == "__main__":
    main()
