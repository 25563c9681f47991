"""Contrast of the palette, for what no browser check sees: text inside charts, and the charts' own marks."""

import re

import pytest

from auditkit.rendering import templates
from auditkit.rendering.svg import PALETTE

CSS = (templates.directory() / "report.css").read_text(encoding="utf-8")
COLOUR = r"(#[0-9a-f]{3,6})"
BOTH = re.findall(rf"--([a-z]+): light-dark\({COLOUR}, {COLOUR}\);", CSS)
THEMES = {
    "light": {name: light for name, light, _ in BOTH},
    "dark": {name: dark for name, _, dark in BOTH},
    "print": dict(re.findall(rf"--([a-z]+): {COLOUR};", CSS)),
}


def luminance(colour):
    """Relative luminance, WCAG 2.2."""
    digits = colour.lstrip("#")
    if len(digits) == 3:
        digits = "".join(2 * d for d in digits)
    channels = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_as_published():
    assert contrast("#000", "#fff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # the best-known near miss


@pytest.mark.parametrize("theme", THEMES)
def test_every_text_colour_is_readable(theme):
    colours = THEMES[theme]
    texts = ("ink", "muted", "link", "pass", "fail", "inconclusive", "error")
    weak = [(t, s) for t in texts for s in ("paper", "panel") if contrast(colours[t], colours[s]) < 4.5]
    assert weak == []


@pytest.mark.parametrize("theme", THEMES)
def test_every_mark_stands_out(theme):
    colours = THEMES[theme]
    assert [c for c in ("measured", "fail", "null", "ink") if contrast(colours[c], colours["paper"]) < 3] == []


def test_every_colour_of_a_chart_exists_in_every_theme():
    assert all(set(PALETTE) <= set(colours) for colours in THEMES.values())
