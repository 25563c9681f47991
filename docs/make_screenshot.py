"""Take docs/report.png, the picture of a report's first screen: `python docs/make_screenshot.py`.

By default of the report that `make audit` wrote; `--sample` takes the made-up one of the tests. Needs Chromium on the
PATH and playwright.
"""

from __future__ import annotations

import argparse
import runpy
import shutil
import sys
import tempfile
from pathlib import Path

from auditkit.report import AuditReport

ROOT = Path(__file__).parents[1]
MAIN_REPORT = ROOT / "audit-out" / "minilm-mlm" / "report.json"
SAMPLE = ROOT / "tests" / "fixtures" / "make_sample_report.py"
WIDTH, HEIGHT = 1280, 1100


def take(report: AuditReport, out: Path) -> None:
    """Write the first screen of `report` as a png."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("make_screenshot: no Chromium on the PATH; apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page_file = report.to_html(Path(folder) / "report.html")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(page_file.as_uri(), wait_until="networkidle")
        page.screenshot(path=out)
        browser.close()


def main() -> None:
    """Read the arguments, take the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path, nargs="?", default=MAIN_REPORT, help="a report.json")
    parser.add_argument("--sample", action="store_true", help="take the made-up report of the tests instead")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "report.png")
    given = parser.parse_args()
    if not given.sample and not given.report.is_file():
        sys.exit(f"make_screenshot: no {given.report}; run `make audit` first, name a report.json, or pass --sample")
    report = runpy.run_path(str(SAMPLE))["sample_report"]() if given.sample else AuditReport.load(given.report)
    take(report, given.out)
    print(given.out)


if __name__ == "__main__":
    main()
