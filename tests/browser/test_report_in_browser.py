"""The report as a reader meets it: opened from disk, by eye, by keyboard, by screen reader, on paper."""

import pytest

from auditkit.rendering.compare import compare, to_html
from auditkit.rendering.html import render

pytestmark = pytest.mark.browser

OPEN_ALL = "() => document.querySelectorAll('details').forEach(d => { d.open = true })"
# axe cannot see through a gradient nor into what is scrolled away or not laid out: all is undone before it measures.
AUDIT = """() => {
    for (const box of document.querySelectorAll('.scroll')) {
        box.style.background = 'none';
        box.style.overflow = 'visible';
    }
    for (const probe of document.querySelectorAll('.probe')) probe.style.contentVisibility = 'visible';
    const one = check => `${check.id}: ${check.help}: ${check.nodes.slice(0, 3).map(node => node.html).join(' | ')}`;
    const levels = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
    return axe.run(document, {runOnly: levels, resultTypes: ['violations']}).then(found => found.violations.map(one));
}"""
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def files(sample, tmp_path_factory):
    """Paths of the pages, by name."""
    folder = tmp_path_factory.mktemp("pages")
    report, hostile = sample["sample_report"](), sample["sample_report"](hostile=True)
    pages = {
        "report": render(report),
        "hostile": render(hostile),
        "ungated": render(sample["sample_report"](judged=False)),
        "compare": to_html(compare(report, sample["sample_report"](seed=1))),
    }
    for name, html in pages.items():
        (folder / f"{name}.html").write_text(html, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in pages}


@pytest.mark.parametrize("name", ["report", "hostile", "ungated", "compare"])
def test_silent_on_the_network_and_in_the_console(open_page, name):
    page = open_page(name)
    page.evaluate(OPEN_ALL)
    page.mouse.wheel(0, 5000)
    page.wait_for_timeout(200)
    assert page.asked == []
    assert page.complaints == []


def test_the_page_cannot_load_or_run_anything_even_if_it_tried(open_page):
    page = open_page("report")
    page.evaluate("""() => {
        const image = new Image(); image.src = 'https://example.org/x.png'; document.body.append(image);
        const script = document.createElement('script'); script.textContent = 'document.title = "owned"';
        document.body.append(script);
    }""")
    page.wait_for_timeout(200)
    assert page.title() != "owned"
    assert any("Content Security Policy" in complaint for complaint in page.complaints)


@pytest.mark.parametrize(
    ("scheme", "width"),
    [
        ("dark", 400),
        *(pytest.param(*of, marks=pytest.mark.slow) for of in [("light", 1280), ("dark", 1280), ("light", 400)]),
    ],
)
@pytest.mark.parametrize("name", ["report", "compare"])
def test_no_accessibility_violation(open_page, axe, name, scheme, width):
    page = open_page(name, scheme=scheme, width=width)
    page.evaluate(OPEN_ALL)
    page.evaluate(axe)
    assert page.evaluate(AUDIT) == []


def test_the_accessibility_check_can_fail(open_page, axe):
    page = open_page("report")
    page.evaluate(
        "() => { document.documentElement.lang = ''; document.querySelector('.verdict .note').style.color = '#ccc' }"
    )
    page.evaluate(axe)
    assert {found.split(":")[0] for found in page.evaluate(AUDIT)} == {"html-has-lang", "color-contrast"}


@pytest.mark.parametrize("width", [320, 400, 768, 1024, 1920])
def test_never_wider_than_the_window(open_page, width):
    page = open_page("report", width=width)
    page.evaluate(OPEN_ALL)
    assert page.evaluate(OVERFLOW) <= 0


@pytest.mark.parametrize("name", ["report", "compare"])
def test_the_content_takes_the_room_there_is(open_page, name):
    assert open_page(name).locator("main").bounding_box()["width"] > 900


def test_planted_script_stays_text(open_page, sample):
    page = open_page("hostile")
    page.evaluate(OPEN_ALL)
    assert page.title().startswith("Audit of minilm-mlm<script>")
    assert page.title() != "owned"
    assert page.locator("script").count() == 1
    assert sample["HOSTILE"] in page.locator("h1").inner_text()
    assert sample["HOSTILE"] in page.locator(".sensitive td[dir=auto]").first.text_content()
    assert page.locator("svg.chart text", has_text="<script>").count() > 0


def test_details_open_by_keyboard(open_page):
    page = open_page("report")
    summary = page.locator("details.sensitive > summary").first
    assert not page.locator("details.sensitive table").first.is_visible()
    summary.focus()
    page.keyboard.press("Enter")
    assert page.locator("details.sensitive table").first.is_visible()
    page.keyboard.press("Space")
    assert not page.locator("details.sensitive table").first.is_visible()


def test_first_tab_skips_to_the_content_and_focus_is_visible(open_page):
    page = open_page("report")
    page.keyboard.press("Tab")
    skip = page.locator(":focus")
    assert skip.inner_text() == "Skip to the content"
    assert skip.bounding_box()["x"] >= 0
    assert skip.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.evaluate("() => document.activeElement.id") == "main"


def test_charts_follow_the_colour_scheme(open_page):
    def colours(scheme):
        page = open_page("report", scheme=scheme)
        return page.locator("svg.chart text").first.evaluate("e => getComputedStyle(e).fill"), page.evaluate(
            "() => getComputedStyle(document.body).backgroundColor"
        )

    assert colours("light") == ("rgb(26, 29, 33)", "rgb(255, 255, 255)")
    assert colours("dark") == ("rgb(232, 234, 237)", "rgb(20, 23, 27)")


def test_outline_stays_in_sight_and_marks_the_place(open_page):
    page = open_page("report")
    page.locator("#coverage").scroll_into_view_if_needed()
    page.evaluate("() => document.getElementById('coverage').scrollIntoView({behavior: 'instant'})")
    page.wait_for_function("() => document.querySelector('.outline [aria-current=true]')?.hash === '#coverage'")
    box = page.locator(".outline").bounding_box()
    assert 0 <= box["y"] < 100


def test_on_paper_everything_is_open_but_the_offensive_items(open_page):
    page = open_page("report")
    page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open]):not(.sensitive)").count() == 0
    assert page.locator("details.sensitive[open]").count() == 0
    page.emulate_media(media="print")
    assert not page.locator(".outline").is_visible()
    page.evaluate("() => dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0
