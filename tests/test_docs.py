"""The documentation is true: every block of code runs, and what the site says of the code comes from the code.

How a block of docs/*.md and README.md is treated:

    ```python                       runs, in one namespace and one empty folder a page
    ```console                      each line after `$ ` runs; `exit="1"` after the language expects that exit code
    ```yaml                         an audit.yaml, or its `gate` section, is parsed; a workflow's commands are checked
    ```python title="FILE"          is written to FILE first; so is yaml, csv, ...
    ```text title="output"          each line must stand in what the block before it printed; `...` stands for anything
    ```LANGUAGE no-run="REASON"     is not run; such blocks are counted
    <!-- test: CODE -->             python that runs at this place and is not shown

A real model takes a minute to audit: the `STAND_INS` of docs_reader.py are written in place of its name. For README.md,
which may hold no comments for tests, some more is given there. Nothing else is changed.
"""

import dataclasses
import importlib.util
import re
import shutil
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

import auditkit as ak
from auditkit import plugins
from auditkit.evidence import frameworks
from tests.docs_reader import PAGES, ROOT, Block, Reader, blocks

NOT_RUN = 10
CONSTANTS = {"METHODS", "METRICS", "STEPS", "WORDS"}
# Public names that are modules: their own names have to be in the reference, or, for `probes`, in pages of their own.
HOMES_OF_NAMES = {"compression", "data", "explain", "fairness", "mitigate", "privacy", "probes"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to read a page in; modules that the page writes are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


LONG = {"docs/privacy.md": pytest.mark.slow}  # half a minute: its blocks train models and attack them


@pytest.mark.parametrize("page", [pytest.param(page, marks=LONG.get(page, ())) for page in PAGES])
def test_a_reader_can_do_what_the_page_says(page, folder):
    reader = Reader(page, folder)
    for block in blocks(page):
        if block.no_run is None:
            reader.read(block)


def test_blocks_that_are_not_run_give_a_reason_and_are_counted():
    left_out = [(page, block) for page in PAGES for block in blocks(page) if block.no_run is not None]
    assert all(block.no_run.strip() for _, block in left_out)
    listed = "\n".join(f"{page}: {block.no_run}: {block.text}" for page, block in left_out)
    assert len(left_out) == NOT_RUN, (
        f"{len(left_out)} blocks are not run; correct NOT_RUN only for a good reason\n{listed}"
    )


def test_the_probe_of_ones_own_takes_twenty_lines():
    (probe,) = (b for b in blocks("docs/own_probe.md") if b.title == "my_probe.py")
    assert 10 < len([line for line in probe.text.splitlines() if line.strip()]) <= 20


def test_a_block_that_is_wrong_is_found(folder):
    reader = Reader("docs/index.md", folder)
    for wrong in (
        Block("python", "import auditkit; auditkit.no_such_name"),
        Block("console", "$ auditkit gate no-such-report.json --rules audit.yaml\n"),
        Block("console", "$ rm -rf x\n"),
        Block("yaml", "model: char-gpt\nprobes: [no_such_probe]\n"),
        Block("yaml", "jobs: {a: {steps: [{run: auditkit run --no-such-option}]}}\n"),
        Block("text", "never printed\n", title="output"),
        Block("rust", "fn main() {}\n"),
    ):
        with pytest.raises((AssertionError, AttributeError, ak.AuditkitError)):
            reader.read(wrong)


@pytest.mark.slow
@pytest.mark.browser
def test_the_picture_of_a_report_is_made_by_a_script(tmp_path):
    if importlib.util.find_spec("playwright") is None or not any(map(shutil.which, ("chromium", "google-chrome"))):
        pytest.skip("needs Chromium on the PATH, and playwright")
    picture = tmp_path / "report.png"
    command = [sys.executable, str(ROOT / "docs" / "make_screenshot.py"), "--sample", "--out", str(picture)]
    subprocess.run(command, check=True, capture_output=True)
    content = picture.read_bytes()
    assert content.startswith(b"\x89PNG")
    assert struct.unpack(">II", content[16:24]) == (1280, 1100)
    assert struct.unpack(">II", (ROOT / "docs" / "report.png").read_bytes()[16:24]) == (1280, 1100)


# --- what is generated ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hooks():
    spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / "docs" / "hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", plugins.BUILTIN_PROBES)
def test_every_probe_has_a_page_that_says_what_it_can_and_cannot_say(name, hooks):
    text = (ROOT / "docs" / "probes" / f"{name}.md").read_text(encoding="utf-8")
    filled = hooks.fill(text, f"probes/{name}.md")
    assert filled.startswith("# ")
    for heading in ("## What it can say", "## What it cannot say", "## Options", "## What is computed"):
        assert heading in filled
    assert len(text.split()) > 90  # prose, not only a skeleton


def test_options_come_from_the_dataclass(hooks):
    rows = {
        name.strip("`"): (default, text) for name, default, text in hooks.options(plugins.probe_class("crows_pairs"))
    }
    assert rows["data"][0] == "`'crows_pairs'`"  # of the subclass
    assert rows["null_items"] == ("`10`", "on how many pairs of each group the random-weights null is computed.")
    assert rows["groups"][0] == "none"


def test_an_option_that_nobody_explains_breaks_the_build(hooks):
    @dataclasses.dataclass(kw_only=True)
    class Silent:
        """A probe.

        Attributes:
            told: an option, explained
                in two lines.
        """

        told: int = 1
        untold: int = 2

    assert hooks.attributes(Silent) == {"told": "an option, explained in two lines."}
    with pytest.raises(ValueError, match="does not explain 'untold'"):
        list(hooks.options(Silent))


def test_a_probe_page_without_facts_breaks_the_build(hooks):
    with pytest.raises(ValueError, match="facts"):
        hooks.fill("# Mine", "probes/weat.md")


def test_comments_for_the_tests_stay_out_of_the_site(hooks):
    assert hooks.fill("a\n<!-- test: x = 1\ny = 2 -->\nb", "index.md") == "a\nb"


def test_every_public_name_stands_in_the_reference():
    from auditkit import compression, explain, fairness, mitigation, privacy, testing

    text = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "docs" / "api").glob("*.md"))
    shown = set(re.findall(r"^::: ([\w.]+)$", text, re.M))
    documented = {target.rpartition(".")[2] for target in shown} | HOMES_OF_NAMES
    for module in (ak, privacy, fairness, compression, explain, testing, mitigation):
        missing = {n for n in getattr(module, "__all__", ()) if n not in documented | CONSTANTS}
        assert not missing, f"{module.__name__}: {sorted(missing)}"


# --- the site ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built with --strict: a dead link, a missing page or an unknown anchor is an error."""
    if importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("mkdocstrings") is None:
        pytest.skip("needs mkdocs-material and mkdocstrings: pip install -e '.[docs]'")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


def test_the_site_asks_no_other_host_for_anything(site):
    loads = re.compile(r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?(?:https?:)?//|<link\b[^>]*\brel=["']?"""
                       r"""(?:stylesheet|preconnect|preload|icon)[^>]*\bhref=["']?(?:https?:)?//""")  # fmt: skip
    assert loads.search('<script src="https://x.org/a.js">')
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(plugins.BUILTIN_PROBES) + 10
    assert [p.name for p in pages if loads.search(p.read_text(encoding="utf-8"))] == []
    sheets = [p.name for p in site.rglob("*.css") if re.search(r"""(url\(|@import )["']?(https?:)?//""", p.read_text())]
    assert sheets == []


@pytest.mark.browser
def test_the_site_is_read_and_searched_from_disk_without_a_request(site):
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if importlib.util.find_spec("playwright") is None or chromium is None:
        pytest.skip("needs Chromium on the PATH, and playwright")
    with ThreadPoolExecutor(1) as pool:  # a thread of its own: playwright's loop of the other browser tests still runs
        found, asked = pool.submit(searched, site, chromium, "blind baseline").result()
    assert "Membership inference" in found
    assert asked == []


def searched(site, chromium, words):
    """What the site finds from disk, and what it asked of the network."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page, asked = browser.new_page(), []
        page.on("request", lambda r: None if r.url.startswith(("file:", "data:", "about:")) else asked.append(r.url))
        page.goto((site / "api" / "index.html").as_uri(), wait_until="networkidle")
        page.locator("input.md-search__input").press_sequentially(words)
        page.wait_for_selector(".md-search-result__item")
        found = page.inner_text(".md-search-result")
        browser.close()
    return found, asked


def test_the_site_holds_what_the_code_says(site):
    page = (site / "probes" / "weat.html").read_text(encoding="utf-8")
    assert "builtin_weat" in page
    assert "std_{X u Y}" in page
    assert "<!-- facts" not in page
    evidence = (site / "evidence.html").read_text(encoding="utf-8")
    assert all(f.title in evidence and f.clauses[0].link in evidence for f in frameworks())
    assert "auditkit validate dp" in (site / "api" / "cli.html").read_text(encoding="utf-8")
    assert "test:" not in (site / "gates.html").read_text(encoding="utf-8")
