import itertools
import re
from xml.etree import ElementTree

from auditkit.rendering.charts import gap_scatter
from auditkit.rendering.interval_charts import IntervalRow, interval_plot
from auditkit.rendering.svg import PALETTE, inline

ROWS = [
    IntervalRow("all", 60.0, 55.0, 65.0, null=50.0, null_low=48.0, null_high=53.0),
    IntervalRow("failed", 70.0, 66.0, 74.0, outcome="FAIL"),
    IntervalRow("open_question", 50.0, 44.0, 56.0, outcome="INCONCLUSIVE"),
]


def drawn(id="c"):
    return inline(interval_plot(ROWS, axis="score, %", ideal=50.0), id=id, title="<b>T</b>", description="D & d")


def marks(svg, kind):
    """(x, fill or stroke) of every mark of one kind: the radius of a circle, or how a path begins."""
    found = []
    for mark in ElementTree.fromstring(svg).iter():
        colour = mark.attrib.get("fill") or mark.attrib.get("stroke")
        if mark.tag == "circle" and mark.attrib["r"] == kind:
            found.append((float(mark.attrib["cx"]), colour))
        elif mark.tag == "path" and "transform" in mark.attrib and re.match(kind, mark.attrib["d"]):
            found.append((float(re.match(r"translate\(([-\d.]+)", mark.attrib["transform"])[1]), colour))
    return found


def rules(svg, colour):
    """(start, end) in pixels of every horizontal rule of one colour."""
    lines = [line.attrib for line in ElementTree.fromstring(svg).iter("line") if line.attrib.get("stroke") == colour]
    return [(float(line["x1"]), float(line["x2"])) for line in lines if line["y1"] == line["y2"]]


def test_the_picture_shows_the_numbers():
    """The axis is linear: two values fix it, every other mark must then lie where its number says."""
    svg = drawn()
    circles, diamonds, squares = marks(svg, "4.5"), marks(svg, r"M-4\.5,0L"), marks(svg, r"M-4\.5,-4\.5h")
    assert [len(found) for found in (circles, diamonds, squares)] == [1, 1, 1]
    at60, at70, at50 = circles[0][0], diamonds[0][0], squares[0][0]
    per_unit = (at70 - at50) / 20

    def x(value):
        return at50 + (value - 50) * per_unit

    assert abs(at60 - x(60)) < 0.2
    spans = sorted([*rules(svg, "var(--measured)"), *rules(svg, "var(--fail)")])
    expected = sorted([(x(55), x(65)), (x(66), x(74)), (x(44), x(56))])
    assert all(
        abs(a - b) < 0.3 for span, want in zip(spans, expected, strict=True) for a, b in zip(span, want, strict=True)
    )
    (null,) = marks(svg, "3.7")
    assert abs(null[0] - x(50)) < 0.2
    assert null[1] == "var(--null)"
    (band,) = [span for span in rules(svg, "var(--null)")]
    assert abs(band[0] - x(48)) < 0.3
    assert abs(band[1] - x(53)) < 0.3
    (ideal,) = [e.attrib for e in ElementTree.fromstring(svg).iter("line") if "stroke-dasharray" in e.attrib]
    assert abs(float(ideal["x1"]) - x(50)) < 0.3


def test_outcome_is_told_by_shape_and_colour():
    svg = drawn()
    assert marks(svg, r"M-4\.5,0L")[0][1] == "var(--fail)"
    assert marks(svg, "4.5")[0][1] == "var(--measured)"


def test_colours_follow_the_page():
    svg = drawn()
    assert not any(colour in svg.lower() for colour in PALETTE.values())
    assert set(re.findall(r'(?:fill|stroke)="([^"]+)"', svg)) <= {f"var(--{name})" for name in PALETTE} | {"none"}


def test_named_for_readers_who_do_not_see_it():
    root = ElementTree.fromstring(drawn("one"))
    assert root.attrib["role"] == "img"
    texts = {e.attrib["id"]: e.text for e in root if e.tag in ("title", "desc")}
    assert [texts[i] for i in root.attrib["aria-labelledby"].split()] == ["<b>T</b>", "D & d"]
    assert "&lt;b&gt;" in drawn("one")


def test_ids_of_two_pictures_do_not_meet():
    one, two = (set(re.findall(r'\bid="([^"]+)"', drawn(id))) for id in ("one", "two"))
    assert one
    assert not one & two


def test_texts_of_a_plug_in_stay_text():
    hostile = "<script>x</script>\x00\x1b"
    chart = interval_plot([IntervalRow(hostile, 1.0, 0.0, 2.0)], axis=hostile[:18], ideal=None)
    svg = inline(chart, id="c", title="t", description="d")
    assert "<script" not in svg
    assert "<script>x</script>\ufffd\ufffd" in "".join(ElementTree.fromstring(svg).itertext())


def test_only_a_chart_with_room_for_them_gets_larger_words():
    assert 'class="chart roomy"' in drawn()
    assert 'class="chart"' in inline(gap_scatter([{"occupation": "o", "female_share": 0.5, "gap": 1.0}]), id="s",
                                     title="t", description="d")  # fmt: skip


def test_scatter_has_one_dot_per_occupation_and_names_the_largest_gaps():
    points = [{"occupation": f"o{i}", "female_share": i / 10, "gap": float(i - 3)} for i in range(11)]
    svg = inline(gap_scatter(points), id="s", title="t", description="d")
    dots = sorted(x for x, fill in marks(svg, r"M[\d.]+,0A") if fill == "var(--measured)")
    assert len(dots) == 11
    steps = {round(b - a) for a, b in itertools.pairwise(dots)}
    assert max(steps) - min(steps) <= 1  # evenly spaced shares
    assert "o10" in "".join(ElementTree.fromstring(svg).itertext())


def test_names_do_not_cover_other_dots():
    crowd = [{"occupation": f"o{i}", "female_share": 0.3 + i / 100, "gap": 5.0} for i in range(5)]
    alone = {"occupation": "alone", "female_share": 0.1, "gap": -5.0}
    text = "".join(
        ElementTree.fromstring(inline(gap_scatter([*crowd, alone]), id="s", title="", description="")).itertext()
    )
    assert "alone" in text
    assert "o0" not in text
    assert "o4" not in text  # within a dot's width of o3


def lines(*attributes):
    marks = "".join(f"<line {each}/>" for each in attributes)
    return inline(f'<svg xmlns="http://www.w3.org/2000/svg">{marks}</svg>', id="l", title="t", description="d")


def test_neighbouring_lines_of_one_look_are_one_path():
    grid = lines(
        'transform="translate(10,5)" x2="0" y2="-72" stroke="#dde1e6"',
        'x1="1" y1="2" x2="4" y2="6" stroke="#dde1e6"',
    )
    (path,) = ElementTree.fromstring(grid).iter("path")
    assert path.attrib == {"stroke": "var(--rule)", "d": "M10,5l0,-72M1,2l3,4"}
    assert "<line" not in grid


def test_lines_that_differ_in_more_than_their_place_stay_apart():
    for look in ('stroke="#1a1d21"', 'stroke="#dde1e6" opacity="0.3"', 'stroke="#dde1e6" transform="rotate(9)"'):
        assert lines('x2="9" stroke="#dde1e6"', f'x2="8" {look}', f'x2="7" {look}').count("<line") >= 1
    assert lines('x2="8" opacity="0.3"', 'x2="7" opacity="0.3"').count("<line") == 2
    assert lines('x2="8" transform="rotate(9)"', 'x2="7" transform="rotate(9)"').count("<line") == 2
