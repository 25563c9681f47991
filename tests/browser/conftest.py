import os
import runpy
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="session")
def sample():
    return runpy.run_path(str(FIXTURES / "make_sample_report.py"))


@pytest.fixture(scope="session")
def full():
    """A report of all modules."""
    return runpy.run_path(str(FIXTURES / "make_full_report.py"))["full_report"]()


@pytest.fixture(scope="session")
def axe():
    """The source of axe-core, which checks accessibility inside the page."""
    path = os.environ.get("AUDITKIT_AXE", "")
    if not Path(path).is_file():
        pytest.skip(f"AUDITKIT_AXE={path!r} is not a file; `npm install axe-core` somewhere and name its axe.min.js")
    return Path(path).read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def chromium():
    if find_spec("playwright") is None:
        pytest.skip("needs playwright: pip install playwright")
    if CHROMIUM is None:
        pytest.skip("needs Chromium on the PATH: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, files):
    """Opens one of the pages that the test module's own `files` holds.

    `page.asked` are the requests beyond the file itself, `page.complaints` the console's errors.
    """
    contexts = []

    def open_page(name, *, scheme="light", width=1280):
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.asked, page.complaints = [], []
        page.on("request", lambda r: page.asked.append(r.url))
        page.on("console", lambda m: page.complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: page.complaints.append(str(e)))
        url = files[name].as_uri()
        page.goto(url, wait_until="networkidle")
        page.wait_for_load_state("load")  # on a busy machine the network is idle before the script has run
        page.asked = [asked for asked in page.asked if asked != url]
        return page

    yield open_page
    for context in contexts:
        context.close()
