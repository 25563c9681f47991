"""The charts of attacks on privacy show their numbers where they belong."""

import re
from xml.etree import ElementTree

import pytest

from auditkit.rendering import attack_charts
from auditkit.rendering.attack_charts import Audited, Completed, Curve, Rate, Side
from auditkit.rendering.svg import PALETTE

HOSTILE = "<script>\x00</script>"


def elements(svg, tag, **attributes):
    """(x, y, element) of every element of this kind, placed by a translation or not at all."""
    found = []
    for element in ElementTree.fromstring(svg).iter(f"{{http://www.w3.org/2000/svg}}{tag}"):
        place = re.match(r"translate\(([-\d.]+),([-\d.]+)\)", element.attrib.get("transform", "")) or (0, 0, 0)
        if all(element.attrib.get(k.replace("_", "-")) == v for k, v in attributes.items()):
            found.append((float(place[1]), float(place[2]), element))
    return found


def texts(svg):
    """{text: (x, y)}"""
    return {e.text: (x, y) for x, y, e in elements(svg, "text")}


def ticks(svg, axis):
    """{label: place} along the axis "x" or "y"."""
    labels = elements(svg, "text")
    if axis == "x":
        return {e.text: x for x, y, e in labels if y == 16}
    return {e.text: y - 3 for x, y, e in labels if x == -7}  # a label's baseline lies below its middle


def points(svg, **attributes):
    """(x, y) of the marks."""
    groups = [g for _, _, g in elements(svg, "g") if g.get("class", "").startswith("mark-symbol")]
    drawn = (elements(ElementTree.tostring(g, encoding="unicode"), "path", **attributes) for g in groups)
    return [(x, y) for found in drawn for x, y, _ in found]


def rectangles(svg, colour):
    """(left, top, width, height) of the bars in a colour of the palette."""
    shape = re.compile(r"M([-\d.]+),([-\d.]+)h([\d.]+)v([-\d.]+)h-[\d.]+Z")
    paths = [e.get("d") for _, _, e in elements(svg, "path", fill=PALETTE[colour])]
    return [tuple(float(n) for n in m.groups()) for m in map(shape.match, paths) if m]


# --- membership -------------------------------------------------------------------------------------------------


def lines(svg, **attributes):
    """The corners of every line drawn over the plot, as [[(x, y), ...], ...]."""
    paths = [e.get("d") for _, _, e in elements(svg, "path", fill=None, **attributes) if "L" in e.get("d", "")]
    return [[tuple(map(float, corner.split(","))) for corner in re.split("[ML]", d)[1:]] for d in paths]


def test_both_axes_of_the_roc_are_logarithmic_and_the_curve_is_a_staircase():
    svg = attack_charts.roc([Curve([1, 10, 100], [10, 100, 100])])
    ((a, b, c, *_),) = lines(svg, stroke_width="2.4")
    at = ticks(svg, "x")
    assert at["10"] - at["1"] == pytest.approx(at["100"] - at["10"], abs=0.5)
    assert (a[0], c[0]) == pytest.approx((at["1"], at["10"]), abs=0.5)
    assert a[1] == b[1] > c[1] == 0
    chance = [line for line in lines(svg, stroke_dasharray="1,3") if len(line) == 2]
    assert chance == [[(0.0, float(attack_charts.ROC_HEIGHT)), (float(attack_charts.WIDTH), 0.0)]]


def test_guessing_crosses_equal_rates_whatever_the_axes():
    """A TPR far below the smallest FPR stretches the vertical axis only."""
    svg = attack_charts.roc([Curve([10, 50, 100], [0.1, 50, 100])])
    ((start, end),) = lines(svg, stroke_width="1.6")
    at_ten = start[1] + (end[1] - start[1]) * (ticks(svg, "x")["10"] - start[0]) / (end[0] - start[0])
    assert at_ten == pytest.approx(ticks(svg, "y")["10"], abs=1)


def test_the_first_curve_is_solid_and_thick_and_no_two_dashes_are_the_same():
    svg = attack_charts.roc([Curve([1, 100], [5 + i, 100]) for i in range(4)])
    curves = [e for _, _, e in elements(svg, "path", stroke=PALETTE["measured"])]
    assert [e.get("stroke-width") for e in curves] == ["2.4", "1.2", "1.2", "1.2"]
    assert len({e.get("stroke-dasharray") for e in curves}) == 4


def test_a_tpr_of_zero_is_left_out_of_a_logarithmic_axis():
    (curve,) = lines(attack_charts.roc([Curve([1, 10, 100], [0, 20, 100])]), stroke_width="2.4")
    (full,) = lines(attack_charts.roc([Curve([1, 10, 100], [5, 20, 100])]), stroke_width="2.4")
    assert curve[0][0] > full[0][0] + 50


def test_a_rate_lies_on_its_curve_and_its_interval_ends_at_the_edge_where_it_begins_at_zero():
    svg = attack_charts.roc([Curve([1, 10, 100], [10, 40, 100])], rates=[Rate(1, 10, 0, 40, "FAIL")])
    (curve,) = lines(svg, stroke_width="2.4")
    ((x, y),) = points(svg, fill=PALETTE["fail"])
    assert (x, y) == pytest.approx(curve[0], abs=0.01)
    ((_, bottom, bar),) = elements(svg, "line", stroke_width="2.2")
    assert bottom == attack_charts.ROC_HEIGHT
    assert bottom + float(bar.get("y2")) == pytest.approx(curve[1 + 1][1], abs=0.01)  # 40 %, the curve's next step


# --- exposure ---------------------------------------------------------------------------------------------------


def test_bins_are_of_a_round_width_and_end_at_the_largest_possible():
    assert attack_charts.bins([0.0, 0.99, 1.0, 16.61, 16.61], 16.61) == [(0, 1, 2), (1, 2, 1), (16, 16.61, 2)]
    assert attack_charts.bins([8.0], 8.0) == [(7.75, 8.0, 1)]
    assert attack_charts.bins([], 8.0) == []
    assert len(attack_charts.bins([i / 10 for i in range(1330)], 133.0)) <= attack_charts.MAX_BINS


def test_inserted_canaries_stand_up_and_left_out_ones_hang_down():
    up, down = Side("inserted", [5.1, 5.1, 5.1, 7.0], 5.6, 5.0, 6.2), Side("left out", [1.3, 1.3], 1.3, 1.0, 1.6)
    svg = attack_charts.exposure(up, down, largest=8.0, unseen=1.44)
    (first, second), (below,) = rectangles(svg, "measured"), rectangles(svg, "null")
    middle = attack_charts.EXPOSURE_HEIGHT / 2
    assert first[1] + first[3] == second[1] + second[3] == middle == below[1]
    assert first[3] == pytest.approx(3 * second[3])
    assert below[3] == pytest.approx(2 * second[3])
    per_bit = attack_charts.WIDTH / (1.04 * 8)
    assert [first[0], second[0], below[0]] == pytest.approx([5 * per_bit, 7 * per_bit, 1.25 * per_bit])
    ((largest, _, _),) = elements(svg, "line", stroke_dasharray="4,3")
    ((unseen, _, _),) = elements(svg, "line", stroke_dasharray="1,3")
    assert (largest, unseen) == pytest.approx((8 * per_bit, 1.44 * per_bit))
    assert [x for x, _ in points(svg)] == pytest.approx([5.6 * per_bit, 1.3 * per_bit])
    assert texts(svg)["inserted"][0] == pytest.approx(5.0 * per_bit - 10)  # where there is more room
    assert texts(svg)["left out"][0] == pytest.approx(1.6 * per_bit + 10)


def test_without_the_canaries_the_means_alone_are_drawn():
    svg = attack_charts.exposure(Side("inserted", [], 5.6, 5.0, 6.2), None, largest=8.0, unseen=None)
    assert rectangles(svg, "measured") == []
    assert len(points(svg)) == 1
    assert "canaries" not in texts(svg)


# --- extraction -------------------------------------------------------------------------------------------------


def test_shares_by_prefix_stand_in_the_order_given_beside_their_control():
    prefixes = [Completed("8 tokens", 10, 5, 20, 2, 0, 4), Completed("16 tokens", 40, 30, 50, outcome="FAIL")]
    svg = attack_charts.extraction(prefixes)
    (x8, y8), (x16, y16) = points(svg, stroke=None)
    assert x8 < x16
    per_percent = (y8 - y16) / 30
    ((_, ring),) = points(svg, stroke=PALETTE["null"])
    assert ring == pytest.approx(y8 + 8 * per_percent, abs=0.01)
    ((_, bottom, band),) = elements(svg, "line", stroke_width="9")
    assert bottom == attack_charts.EXTRACTION_HEIGHT
    assert float(band.get("y2")) == pytest.approx(-4 * per_percent)
    assert points(svg, fill=PALETTE["fail"]) == [(x16, y16)]


# --- epsilon ----------------------------------------------------------------------------------------------------


def test_claim_bound_and_ceiling_are_on_one_scale():
    svg = attack_charts.epsilon_scale([Audited("", 2.0, claimed=8.0, ceiling=5.0)])
    ((left, _, bound, _),), ((_, _, ceiling, _),) = rectangles(svg, "measured"), rectangles(svg, "null")
    ((claim, _, _),) = elements(svg, "line", stroke_dasharray="4,3")
    assert left == 0
    assert (bound, ceiling) == pytest.approx((claim / 4, claim * 5 / 8))
    assert {"audited: at least 2.00", "claimed 8.00", "ceiling 5.00"} <= set(texts(svg))


def test_a_bound_above_its_claim_is_told_by_colour_and_by_words():
    svg = attack_charts.epsilon_scale([Audited("", 5.0, claimed=4.0, ceiling=5.8)])
    assert len(rectangles(svg, "fail")) == 1
    assert rectangles(svg, "measured") == []
    assert "audited: at least 5.00, above the claim" in texts(svg)
    equal = attack_charts.epsilon_scale([Audited("", 4.0, claimed=4.0, ceiling=5.8)])
    assert rectangles(equal, "fail") == []


def test_several_audits_have_a_band_each_and_their_names():
    svg = attack_charts.epsilon_scale([Audited("steps", 2.0, 8.0, 5.0), Audited("model", 1.0, None, None)])
    (_, first, long, _), (_, second, short, _) = rectangles(svg, "measured")
    assert long == pytest.approx(2 * short)
    assert second - first == pytest.approx(attack_charts.AUDIT_HEIGHT)
    assert {"steps: audited: at least 2.00", "model: audited: at least 1.00"} <= set(texts(svg))


def test_an_audit_that_shows_nothing_is_still_drawn():
    svg = attack_charts.epsilon_scale([Audited("", 0.0)])
    assert "audited: at least 0.00" in texts(svg)


def test_no_label_lies_outside_the_plot():
    svg = attack_charts.epsilon_scale([Audited("", 7.9, claimed=8.0, ceiling=8.1), Audited("", 0.1, 0.2, 0.3)])
    for _, _, e in elements(svg, "text"):
        if "claimed" in e.text:
            (x, _) = texts(svg)[e.text]
            assert (e.get("text-anchor") == "end") == (x > attack_charts.WIDTH / 2)


def test_names_from_a_file_stay_text():
    side = Side(HOSTILE, [1.0], 1.0, 0.5, 1.5)
    for svg in (
        attack_charts.exposure(side, side, largest=8.0, unseen=1.4),
        attack_charts.extraction([Completed(HOSTILE, 1, 0, 2)]),
        attack_charts.epsilon_scale([Audited(HOSTILE, 1.0), Audited(HOSTILE, 1.0)]),
    ):
        assert "<script>" not in svg
        ElementTree.fromstring(svg)
