"""The pages about several reports, as a reader meets them: silent, accessible in both themes, never too wide."""

from dataclasses import replace

import pytest

from auditkit.history import collect
from auditkit.rendering.compare import compare_all
from auditkit.rendering.compare import to_html as compare_html
from auditkit.rendering.history import to_html as history_html

pytestmark = pytest.mark.browser

NAMES = ["history", "several"]
# axe cannot see through a gradient nor into what is scrolled away: both are undone before it measures contrast.
AUDIT = """() => {
    for (const box of document.querySelectorAll('.scroll')) {
        box.style.background = 'none';
        box.style.overflow = 'visible';
    }
    const one = check => `${check.id}: ${check.help}: ${check.nodes.slice(0, 3).map(node => node.html).join(' | ')}`;
    const levels = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
    return axe.run(document, {runOnly: levels, resultTypes: ['violations']}).then(found => found.violations.map(one));
}"""
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def files(sample, tmp_path_factory):
    """A history of four reports with changes and a broken file, and three reports side by side."""
    folder = tmp_path_factory.mktemp("pages")
    reports = []
    for i in range(4):
        made = replace(sample["sample_report"](seed=i), created=f"2026-03-0{i + 1}T09:00:00+00:00")
        weights = {"weights_sha256": "b" * 64} if i >= 2 else {}
        reports.append(replace(made, subject={**made.subject, **weights}))
        reports[-1].save(folder / "runs" / str(i) / "report.json")
    (folder / "runs" / "report.json").write_text("{")
    pages = {
        "history": history_html(collect(folder / "runs"), "*metric_score"),
        "several": compare_html(*compare_all(reports[:3])),
    }
    for name, html in pages.items():
        (folder / f"{name}.html").write_text(html, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in pages}


@pytest.mark.parametrize("name", NAMES)
def test_silent_on_the_network_and_in_the_console(open_page, name):
    page = open_page(name)
    assert (page.asked, page.complaints) == ([], [])


@pytest.mark.parametrize(
    ("scheme", "width"),
    [
        pytest.param("light", 1280, marks=pytest.mark.slow),
        pytest.param("dark", 1280, marks=pytest.mark.slow),
        pytest.param("light", 360, marks=pytest.mark.slow),
        ("dark", 360),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_no_accessibility_violation(open_page, axe, name, scheme, width):
    page = open_page(name, scheme=scheme, width=width)
    page.evaluate(axe)
    assert page.evaluate(AUDIT) == []


@pytest.mark.parametrize("width", [320, 400, 768, 1920])
@pytest.mark.parametrize("name", NAMES)
def test_never_wider_than_the_window(open_page, name, width):
    assert open_page(name, width=width).evaluate(OVERFLOW) <= 0


def test_what_was_left_out_is_reached_by_its_link(open_page):
    page = open_page("history")
    page.get_by_role("link", name="left out").click()
    assert page.url.endswith("#left-out")
    assert page.get_by_role("row", name="report.json is not a readable report").count() == 1
