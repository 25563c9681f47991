"""A number in a report of all modules: found, sorted, linked to, cited, explained; by mouse, by keyboard, on paper."""

import re
from dataclasses import replace

import pytest

from auditkit.rendering.html import render

pytestmark = pytest.mark.browser

LINKED = "crows_pairs/gender/metric_score"
FOLDED = "group_fairness/sex=Female+age_group=65%20and%20over/selection_rate"
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
TO_THE_MIDDLE = "element => element.scrollIntoView({block: 'center'})"
BACKGROUND = "() => getComputedStyle(document.body).backgroundColor"
WHITE, BLACK = "rgb(255, 255, 255)", "rgb(20, 23, 27)"
AUDIT = """async () => {
    for (const details of document.querySelectorAll('details')) details.open = true;
    for (const probe of document.querySelectorAll('.probe')) probe.style.contentVisibility = 'visible';
    for (const box of document.querySelectorAll('.scroll')) Object.assign(box.style, {background: 'none', overflow: 'visible'});
    const levels = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
    const found = await axe.run(document, {runOnly: levels, resultTypes: ["violations"]});
    return found.violations.map(check => `${check.id}: ${check.nodes.slice(0, 3).map(node => node.html).join(' | ')}`);
}"""  # noqa: E501
# What a reader's eye takes in of the layout, coarse enough to be the same with other fonts.
SELECTORS = [".outline", "main", ".verdict", ".unknown", ".finder", ".chart", ".numbers", ".terms", ".glossary"]
BOXES = """selectors => selectors.map(
    selector => { const box = document.querySelector(selector).getBoundingClientRect();
                  return [selector, box.left, box.right, box.width]; })"""


@pytest.fixture(scope="module")
def path(full, tmp_path_factory):
    path = tmp_path_factory.mktemp("full") / "report.html"
    path.write_text(render(full), encoding="utf-8")
    return path


@pytest.fixture
def open_page(chromium, path):
    """Opens the page; every test ends with the console and the network as silent as they began."""
    contexts, heard = [], []

    def open_page(anchor="", *, scheme="light", width=1280, **more):
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **more)
        contexts.append(context)
        page = context.new_page()
        url = path.as_uri()
        page.on("request", lambda r: heard.append(r.url) if r.url.partition("#")[0] != url else None)
        page.on("console", lambda m: heard.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: heard.append(str(e)))
        page.goto(f"{url}#{anchor}" if anchor else url, wait_until="load")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert heard == []


def visible_rows(page):
    return page.evaluate("() => [...document.querySelectorAll('.numbers tbody tr:not([hidden])')].map(row => row.id)")


def test_words_leave_only_the_numbers_that_have_them(open_page, full):
    page = open_page()
    total = len(visible_rows(page))
    did_not_run = {run.probe for run in full.runs if run.status != "ok"}
    assert total == sum(m.probe not in did_not_run for m in full.measurements)
    page.locator("#words").fill("Female selection_rate")
    left = visible_rows(page)
    assert 0 < len(left) < 40
    texts = {id: page.locator(f"[id='{id}']").text_content() for id in left}
    assert all("selection_rate" in id and "Female" in id + text for id, text in texts.items())
    assert page.locator("#count").inner_text() == f"{len(left)} of {total} numbers"
    assert page.locator(".probe:visible h3").all_inner_texts() == ["Group fairness"]
    assert page.locator(f"[id='{left[0]}']").is_visible()  # its details were opened
    page.locator("#words").fill("")
    assert len(visible_rows(page)) == total
    assert not page.locator(f"[id='{left[0]}']").is_visible()


def test_a_verdict_leaves_only_the_numbers_that_got_it(open_page, full):
    page = open_page()
    page.locator("#outcome").select_option("FAIL")
    failed = {f"m-{v.measurement}" for v in full.verdicts if v.outcome == "FAIL"}
    assert set(visible_rows(page)) == failed
    assert page.locator("[aria-live], output#count").first.inner_text().startswith(f"{len(failed)} of ")


def test_nothing_found_is_said_and_nothing_is_left(open_page):
    page = open_page()
    page.locator("#words").fill("no such thing")
    assert page.locator("#count").inner_text().startswith("0 of ")
    assert page.locator(".risk:visible").count() == 0


def column(page, table, head):
    at = table.locator("thead th").all_inner_texts().index(head)
    return table.evaluate("(t, i) => [...t.tBodies[0].rows].map(row => row.cells[i].textContent)", at)


def test_a_column_sorts_as_numbers_both_ways_by_keyboard(open_page):
    page = open_page()
    table = page.locator("table.numbers").first
    table.evaluate(TO_THE_MIDDLE)
    assert column(page, table, "n")[0] == "1,508"
    button = table.locator("thead button", has_text=re.compile("^n$"))
    button.focus()
    page.keyboard.press("Enter")
    found = [int(text.replace(",", "")) for text in column(page, table, "n")]
    assert found == sorted(found)
    assert table.locator("[aria-sort]").get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Space")
    assert [int(text.replace(",", "")) for text in column(page, table, "n")] == found[::-1]
    assert table.locator("[aria-sort]").get_attribute("aria-sort") == "descending"


def test_what_is_absent_comes_last_either_way(open_page):
    page = open_page()
    table = page.locator("table.gate")
    for _ in range(2):
        table.locator("thead button", has_text="Value").click()
        assert column(page, table, "Value")[-1] == "—"


# --- linking and citing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", [LINKED, FOLDED])
def test_a_link_opens_shows_and_marks_its_number(open_page, id):
    page = open_page(f"m-{id}")
    row = page.locator(f"[id='m-{id}']")
    assert row.is_visible()
    # Below the bar of the search, with the head of its table in sight.
    page.wait_for_function("id => { const y = document.getElementById(id).getBoundingClientRect().top;"
                           " return y > 100 && y < innerHeight }", arg=f"m-{id}")  # fmt: skip
    plain = page.locator(".numbers tbody tr:not(:target) > td").first
    colour = "e => getComputedStyle(e).backgroundColor"
    assert row.locator("td").first.evaluate(colour) != plain.evaluate(colour)


@pytest.mark.slow
def test_each_link_of_the_outline_lands_at_its_part(open_page):
    """Sections that nobody has seen yet have no layout and so no true height: they must not move the aim."""
    page = open_page()
    top = "hash => Math.round(document.getElementById(hash.slice(1)).getBoundingClientRect().top)"
    padding = round(4.5 * 16)
    landed = {}
    for hash in reversed(page.evaluate("() => [...document.querySelectorAll('.outline a')].map(link => link.hash)")):
        page.locator(f".outline a[href='{hash}']").click()
        page.wait_for_timeout(100)
        landed[hash] = page.evaluate(top, hash)
    assert len(landed) > 20
    assert {hash: at for hash, at in landed.items() if abs(at - padding) > 2} == {}


def test_the_citation_says_all_that_is_needed_and_is_copied(open_page, full):
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.locator("table.gate a", has_text=LINKED).click()
    cited = page.locator("tr.cited")
    text = cited.locator("code").first.inner_text()
    m = full[LINKED]
    for part in (LINKED, "Value", "95 % interval", f"n {m.n}", m.source, "interval: cluster bootstrap", "seed 0"):
        assert part in text
    assert re.search(r"auditkit 0\.1\.0, 2026-03-02T.*report SHA-256 [0-9a-f]{16}", text)
    cited.get_by_role("button", name="Copy citation").click()
    assert page.evaluate("() => navigator.clipboard.readText()") == text
    cited.get_by_role("button", name="Copy link").click()
    assert page.evaluate("() => navigator.clipboard.readText()").endswith(f"report.html#m-{LINKED}")
    assert "auditkit run audit.yaml --set seed=0" in cited.locator("code").last.inner_text()


def test_a_number_that_no_command_repeats_is_cited_without_one(chromium, full, tmp_path):
    given = {"crows_pairs": {"pairs": {"given": 3, "sha256": "0" * 64}}}  # texts from Python, which no file can hold
    path = tmp_path / "report.html"
    path.write_text(render(replace(full, config={**full.config, "probes": [given]})), encoding="utf-8")
    page = chromium.new_page()
    page.goto(f"{path.as_uri()}#m-{LINKED}", wait_until="load")
    assert page.locator("tr.cited button").all_inner_texts() == ["Copy citation", "Copy link"]
    page.close()


def test_a_section_out_of_sight_is_laid_out_after_the_load(open_page):
    """So a long report opens soon, and a picture of the whole page is still complete without scrolling through it."""
    seen = (
        "() => [...document.querySelectorAll('.question')].map(p => p.checkVisibility({contentVisibilityAuto: true}))"
    )
    before = open_page(java_script_enabled=False).evaluate(seen)
    assert before[-10:] == [False] * 10
    open_page().wait_for_function(f"() => ({seen})().every(Boolean)", timeout=10_000)


def test_a_link_to_a_number_that_a_search_hides_ends_the_search(open_page):
    page = open_page()
    page.locator("#words").fill("membership")
    page.evaluate("hash => { location.hash = hash }", f"m-{LINKED}")
    page.wait_for_selector("tr.cited")
    assert page.locator(f"[id='m-{LINKED}']").is_visible()
    assert page.locator("#words").input_value() == ""


def test_everything_is_there_without_script(open_page, full):
    page = open_page(java_script_enabled=False)
    assert not page.locator(".finder").is_visible()
    assert page.locator(f"[id='m-{LINKED}']").is_visible()
    assert page.locator(".cite").count() == len({m.probe for m in full.measurements} - {"weat", "bbq"})
    page.locator(".cite summary").first.click()
    assert page.locator(".ways q").first.is_visible()
    page.locator(".term").first.click()
    assert page.locator(".glossary :target").count() == 1


def popped(term):
    return term.evaluate("e => getComputedStyle(e, '::after').visibility")


def test_a_term_is_explained_on_hover_and_on_focus_until_escape(open_page):
    page = open_page()
    term = page.locator(".probe .term").first
    term.evaluate(TO_THE_MIDDLE)
    assert popped(term) == "hidden"
    term.hover()
    assert popped(term) == "visible"
    box = term.bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + box["height"] + 8, steps=4)  # onto the explanation
    page.wait_for_timeout(400)
    assert popped(term) == "visible"
    page.keyboard.press("Escape")
    assert popped(term) == "hidden"
    page.mouse.move(0, 0)
    page.locator("#outcome").focus()
    page.keyboard.press("Tab")
    assert popped(page.locator(".term:focus")) == "visible"
    assert len(page.locator(".term:focus").evaluate("e => getComputedStyle(e, '::after').content")) > 40
    page.keyboard.press("Escape")
    assert popped(page.locator(".term:focus")) == "hidden"


# --- by keyboard, in both themes, in every width, on paper ------------------------------------------------------


def test_by_keyboard_alone_a_number_is_found_and_cited(open_page):
    page = open_page()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # skip to the content
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.id") == "words":
            break
    page.keyboard.type("crows_pairs gender metric_score")
    assert visible_rows(page) == [f"m-{LINKED}"]
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.className") == "at":
            break
    assert page.locator(":focus").evaluate("e => getComputedStyle(e).opacity") == "1"
    page.keyboard.press("Enter")
    page.wait_for_selector("tr.cited")
    page.keyboard.press("Tab")  # a followed link makes its target the place to go on from: the link is in it
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Copy citation"


@pytest.mark.slow
def test_every_stop_of_the_keyboard_shows_where_it_is_and_has_a_name(open_page):
    page = open_page(width=820)
    nameless, unseen = [], []
    for _ in range(80):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        seen = focused.evaluate("e => [getComputedStyle(e).outlineStyle, e.getBoundingClientRect().width > 0]")
        if seen != ["solid", True] and seen != ["auto", True]:
            unseen.append(focused.evaluate("e => e.outerHTML.slice(0, 80)"))
        if not focused.evaluate(
            "e => (e.ariaLabel ?? '') + e.textContent + (e.labels?.[0]?.textContent ?? '')"
        ).strip():
            nameless.append(focused.evaluate("e => e.outerHTML.slice(0, 80)"))
    assert (nameless, unseen) == ([], [])


def test_the_theme_follows_the_reader_and_turns_round_by_keyboard(open_page):
    for scheme, first, second in (("light", WHITE, BLACK), ("dark", BLACK, WHITE)):
        page = open_page(scheme=scheme)
        assert page.evaluate(BACKGROUND) == first
        page.locator("#theme").focus()
        page.keyboard.press("Space")
        assert page.evaluate(BACKGROUND) == second
        page.emulate_media(media="print")
        assert page.evaluate(BACKGROUND) == WHITE


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width", "swap"), [("light", 360, 0), ("dark", 1280, 0), ("light", 1280, 1)])
def test_no_accessibility_violation_where_a_number_is_cited(open_page, axe, scheme, width, swap):
    page = open_page(f"m-{LINKED}", scheme=scheme, width=width)
    page.locator("#theme").set_checked(bool(swap))
    page.evaluate(axe)
    assert page.evaluate(AUDIT) == []


@pytest.mark.parametrize("width", [360, 820, 1280])
def test_layout_at_three_widths(open_page, width):
    """Compared by structure: what stands inside what, beside what, and how wide; not by pixels, which fonts change."""
    page = open_page(f"m-{LINKED}", width=width)
    page.evaluate("() => document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert page.evaluate(OVERFLOW) <= 0
    boxes = {selector: (left, right, size) for selector, left, right, size in page.evaluate(BOXES, SELECTORS)}
    main_left, main_right, main_width = boxes["main"]
    inside = [s for s, (left, right, _) in boxes.items() if s not in ("main", ".outline", ".numbers")
              and not (main_left - 1 <= left < right <= main_right + 1)]  # fmt: skip
    assert inside == []
    beside = boxes[".outline"][1] <= main_left
    assert beside == (width >= 1024)
    assert main_width > (width - 420 if beside else width - 60)
    assert boxes[".verdict"][2] == pytest.approx(main_width, abs=2)
    assert boxes[".chart"][2] == pytest.approx(min(560, main_width), abs=2)


def test_the_words_of_an_interval_plot_can_be_read_on_a_narrow_screen(open_page):
    drawn_at = """() => { const chart = document.querySelector('.roomy'), text = chart.querySelector('text');
        return parseFloat(getComputedStyle(text).fontSize) * chart.clientWidth / chart.viewBox.baseVal.width; }"""
    assert open_page(width=360).evaluate(drawn_at) >= 9


@pytest.mark.slow
def test_on_paper_it_has_few_pages_none_of_them_a_control(open_page):
    page = open_page()
    pdf = page.pdf(format="A4", print_background=False)
    pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
    rows = len(visible_rows(page))
    assert 15 <= pages <= 20 + rows / 6
    page.emulate_media(media="print")
    for control in (".finder", ".theme", ".outline", ".at", ".skip", ".terms"):
        assert not page.locator(control).first.is_visible()


def test_no_table_leaves_the_paper(open_page):
    page = open_page(width=672)  # what A4 has between these margins
    page.emulate_media(media="print")
    page.evaluate("() => document.querySelectorAll('details').forEach(d => { d.open = true })")
    cut = "() => [...document.querySelectorAll('table')].filter(t => t.getBoundingClientRect().right > innerWidth + 1)"
    assert page.evaluate(cut + ".map(t => t.caption.textContent)") == []
