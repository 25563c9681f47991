"""The top of the sample report at three widths and in both themes, beside the pictures that were last looked at.

Pictures are kept small (an 8th in each direction, grey), so that the smoothing of letters does not count, and moved,
missing and restyled parts do. Where fonts differ from those of the pictures, lines break elsewhere, and nothing is
compared. After a wanted change set AUDITKIT_SCREENS=renew for one run, and look at the pictures before committing them.
"""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from auditkit.rendering.html import render

pytestmark = pytest.mark.browser

SCREENS = Path(__file__).parent / "screens"
HEIGHT, SHRUNK = 2400, 8
DIFFERENT, ALLOWED = 24, 0.02  # of 255 shades; of all points
# How wide a line of text is tells the fonts apart; in pixels, on the machine that took the pictures.
LINE = """() => {
    const line = document.createElement('span');
    line.textContent = 'Evidence, intervals and n = 1,508 (95 %)';
    line.style.whiteSpace = 'nowrap';
    document.querySelector('main').append(line);
    const width = line.getBoundingClientRect().width;
    line.remove();
    return width;
}"""
FONTS = 330.3
CASES = [(360, "light"), (820, "light"), (1280, "light"), (1280, "dark")]


@pytest.fixture(scope="module")
def page_of(chromium, sample, tmp_path_factory):
    path = tmp_path_factory.mktemp("screens") / "report.html"
    path.write_text(render(sample["sample_report"]()), encoding="utf-8")

    def page_of(width, scheme):
        context = chromium.new_context(
            viewport={"width": width, "height": HEIGHT}, color_scheme=scheme, reduced_motion="reduce", bypass_csp=True
        )
        page = context.new_page()
        page.goto(path.as_uri(), wait_until="load")
        return page

    return page_of


def shrunk(png):
    """(H, W) grey, each point the mean of a square."""
    picture = Image.open(io.BytesIO(png)).convert("L")
    return np.asarray(picture.resize((picture.width // SHRUNK, picture.height // SHRUNK), Image.Resampling.BOX))


def share_that_differs(one, other):
    return float((np.abs(one.astype(int) - other.astype(int)) > DIFFERENT).mean()) if one.shape == other.shape else 1.0


def reference(width, scheme, taken):
    path = SCREENS / f"{width}-{scheme}.png"
    if os.environ.get("AUDITKIT_SCREENS") == "renew":
        SCREENS.mkdir(exist_ok=True)
        Image.fromarray(taken).save(path, optimize=True)
    return np.asarray(Image.open(path))


def skip_with_other_fonts(page):
    found = page.evaluate(LINE)
    if abs(found - FONTS) > 1:
        pytest.skip(
            f"a line is {found:.1f} pixels wide here and {FONTS} in the pictures: other fonts break lines elsewhere"
        )


@pytest.mark.parametrize(("width", "scheme"), CASES)
def test_the_page_looks_as_it_did(page_of, width, scheme):
    page = page_of(width, scheme)
    skip_with_other_fonts(page)
    taken = shrunk(page.screenshot())
    assert share_that_differs(taken, reference(width, scheme, taken)) <= ALLOWED


@pytest.mark.parametrize(
    "change",
    [
        ".verdict { display: none }",
        "main { padding-left: 40px }",
        pytest.param("body { background: #888 }", marks=pytest.mark.slow),
        pytest.param("h2 { font-size: 40px }", marks=pytest.mark.slow),
    ],
)
def test_a_change_that_a_reader_would_see_is_seen(page_of, change):
    page = page_of(1280, "light")
    skip_with_other_fonts(page)
    before = shrunk(page.screenshot())
    page.evaluate(
        "css => { const s = document.createElement('style'); s.textContent = css; document.head.append(s) }", change
    )
    assert share_that_differs(shrunk(page.screenshot()), before) > ALLOWED
