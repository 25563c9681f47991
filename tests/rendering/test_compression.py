"""The page on compressed models: advice first, harms named, every point in its place, items redacted."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

import auditkit
from auditkit.compression.sweeps import sweep
from auditkit.measurement import Interval, Measurement
from auditkit.rendering import compression_charts
from auditkit.rendering.compression import arrange
from auditkit.rendering.compression_charts import HEIGHT, WIDTH, PlacedPoint, pareto_plot
from auditkit.rendering.html import render
from auditkit.rendering.sections import sections
from tests.compression.fragile import Fails, Scale, fragile_classifier, prune_all_but_the_large, texts

FRAGILE = "my sister was tired ."


BFLOAT16 = {"cast": {"dtype": "bfloat16"}}


def planted(specs, **options):
    """The sweep of a classifier whose few texts about sisters hang on small weights."""
    lines, labels, groups = texts()
    return sweep(fragile_classifier(), specs, texts=lines, labels=labels, groups=groups, costs=False, **options)


@pytest.fixture(scope="module")
def report():
    model = fragile_classifier()
    return planted([prune_all_but_the_large(model), Scale(factor=1.0), Scale(factor=float("nan")), Fails()])


@pytest.fixture(scope="module")
def found(report):
    return arrange("p", report.measurements)


@pytest.fixture(scope="module")
def halved():
    """A point that is half as large and as good, for two groups that are large enough to tell."""
    lines, labels, _ = texts()
    halves, options = ["one", "other"] * (len(lines) // 2), {"costs": False, "redact": False}
    return sweep(fragile_classifier(), [BFLOAT16], texts=lines, labels=labels, groups=halves, **options)


def marks(svg, kind):
    """The elements of this kind that are placed by a translation, as (x, y, element)."""
    out = []
    for element in ElementTree.fromstring(svg).iter(f"{{http://www.w3.org/2000/svg}}{kind}"):
        place = re.match(r"translate\(([-\d.]+),([-\d.]+)\)", element.get("transform", ""))
        if place:
            out.append((float(place[1]), float(place[2]), element))
    return out


def placed(name, x, y, finding="safe", *, front=False, half=0.0, band=0.0):
    return PlacedPoint(name, x, y, y - half, y + half, y - band, y + band, finding, front)


# --- the advice -------------------------------------------------------------------------------------------------


def test_a_point_as_good_and_smaller_is_recommended_with_its_evidence(halved):
    advice = arrange("p", halved.measurements).recommendation
    assert advice.sign == "PASS"
    assert advice.sentence == "Of the only point tried, ship bfloat16 (point 1)."
    evidence = " ".join(advice.evidence)
    assert "shown to change by less than 2 percentage points" in evidence
    assert "In each of 2 groups a loss beyond the margin is ruled out." in evidence
    assert "audit measurements" not in evidence
    assert "in memory: 0.5" in evidence


def test_a_group_too_small_to_tell_keeps_a_point_from_being_recommended():
    advice = arrange("p", planted([BFLOAT16]).measurements).recommendation
    assert advice.sign != "PASS"


def test_where_the_safe_points_gain_nothing_none_is_recommended(found):
    assert found.recommendation.sign == "INCONCLUSIVE"
    assert found.recommendation.sentence.startswith("Ship none of the 4 points tried: what is safe is neither smaller")


def test_where_none_is_safe_none_is_recommended():
    only = arrange("p", planted([prune_all_but_the_large(fragile_classifier())]).measurements)
    assert only.recommendation.sign == "FAIL"
    assert "none is shown to be safe" in only.recommendation.sentence


def test_the_hidden_harm_is_named_with_its_size(found, report):
    (harm,) = found.hidden
    assert harm.startswith("1 magnitude")
    assert "Group few: worse by 100.00\N{NARROW NO-BREAK SPACE}percentage points" in harm
    page = render(report)
    places = [page.index(text) for text in ("Ship none of", "Hidden harms</h4>", "Every point of the sweep")]
    assert places == sorted(places)


# --- every point ------------------------------------------------------------------------------------------------


def test_each_point_says_what_was_found(found):
    assert [(p.finding, p.sign) for p in found.points] == [
        ("hidden", "FAIL"), ("safe", "PASS"), ("none", "ERROR"), ("none", "ERROR")
    ]  # fmt: skip
    assert "no finite log-probability" in found.points[2].reason
    assert found.points[0].quality.startswith("+1.0")
    assert found.points[2].quality == "—"  # a point without a value is never "no loss"
    assert [text.split(":")[0] for text in found.undrawn] == ["3 scaled nan", "4 fails"]


def test_what_changed_is_paired_and_has_its_interval(found):
    rows = {row[0]: row for row in found.points[0].changes.rows}
    before, after, by, ends, n, p, finding = rows["Accuracy, group few"][1:]
    assert (before, after, by, n, finding) == ("100.00", "0", "+100.00", "12", "harmed")
    assert ends != "—"
    assert float(p) < 0.05
    assert rows["Accuracy"][1:4] == ["100.00", "99.00", "+1.00"]
    assert rows["Accuracy"][-1] == "equivalent"
    assert rows["Accuracy, group many"][-1] == "no change shown"
    assert rows["Group few among the exemplars, times its share"][-1] == "over-represented"


def test_items_are_redacted_unless_asked_for(tmp_path):
    rows = zip(*texts(), strict=True)
    (tmp_path / "texts.csv").write_text("text,label,group\n" + "".join(f"{','.join(row)}\n" for row in rows))
    model = fragile_classifier()
    source = {"texts": str(tmp_path / "texts.csv"), "groups": ["group"], "costs": False}
    default, plain = (
        render(sweep(model, [prune_all_but_the_large(model)], **source, **more)) for more in ({}, {"redact": False})
    )
    assert FRAGILE in plain
    assert FRAGILE not in default
    assert f"({len(FRAGILE)} characters, sha256 " in default


def test_without_costs_only_sizes_are_shown_and_with_them_energy_is_an_estimate(found, make):
    assert found.costs.header == ("Point", "In memory, MB", "On disk, MB")
    ids = {"energy": 2.0, "speedup_batch_1": 0.5, "bytes_in_memory": 2e6, "quality_loss": 0.0}
    measured = [
        Measurement(id=f"c/{slug}/{name}", value=v, interval=Interval(v / 2, v * 2), n=3, method="estimated, at 7 W")
        for slug in ("dense", "int8") for name, v in ids.items()
    ]  # fmt: skip
    page = render(make([*measured, *together(["dense", "int8"])]))
    assert "Energy, J (estimate)" in page
    assert "Energy is estimated, at 7 W" in page
    assert "0.50 (0.25 to 1.00)" in page


def together(slugs):
    points = [
        {"slug": s, "label": s, "on_front": True, "values": {"bytes_in_memory": 2e6, "quality_loss": 0.0}}
        for s in slugs
    ]
    details = {"axes": ["bytes_in_memory", "quality_loss"], "points": points}
    return [
        Measurement(id="c/all/pareto_front", value=1.0, n=1, details=details),
        Measurement(id="c/all/recommendation", value=0.0, n=1, details={"point": None}),
    ]


# --- the chart --------------------------------------------------------------------------------------------------


def test_points_are_where_their_values_are():
    points = [placed("dense", 100.0, 0.0, front=True), placed("1", 50.0, 1.0), placed("2", 75.0, 2.0)]
    svg = pareto_plot(points, x="size", y="loss", margin=None)
    dots = {x: y for x, y, e in marks(svg, "path") if "A" in e.get("d", "")}
    left, middle, right = sorted(dots)
    assert middle - left == pytest.approx(right - middle, abs=0.1)
    assert dots[left] - dots[middle] == pytest.approx(dots[right] - dots[left], abs=0.1)  # 2 above 1 above 0
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in dots.items())


def test_within_the_margin_the_scale_is_linear_and_beyond_it_shrinks():
    points = [placed(str(i), float(i), y) for i, y in enumerate((-0.02, 0.0, 0.02, 2.0, 4.0))]
    ys = [y for _, y, e in sorted(marks(pareto_plot(points, x="x", y="y", margin=0.05), "path"), key=lambda m: m[0])]
    near, far = ys[0] - ys[1], ys[3] - ys[4]
    assert ys[1] - ys[2] == pytest.approx(near, abs=0.5)
    assert far / 2 < near / 0.02 / 5  # pixels for each nat


@pytest.mark.parametrize(("finding", "corners"), [("hidden", 4), ("worse", 3), ("open", 4), ("safe", 0)])
def test_a_finding_is_a_shape_and_the_front_is_filled(finding, corners):
    points = [placed("dense", 1.0, 0.0, front=True), placed("1", 2.0, 0.5, finding)]
    path = max(marks(pareto_plot(points, x="x", y="y", margin=0.05), "path"), key=lambda m: m[0])[2]
    drawn = path.get("d")
    assert ("A" in drawn) == (corners == 0)
    assert path.get("stroke")  # hollow: not on the front
    if corners:
        assert len(re.findall("[ML]|[HVhvl]", drawn)) >= corners
    shapes = {compression_charts.SHAPES[f] for f in ("safe", "open", "worse", "hidden")}
    assert len(shapes) == 4


def test_points_of_one_size_stand_side_by_side_in_their_order():
    apart = compression_charts._apart([90.0, 90.0, 10.0, 90.0])
    assert apart[0] == 90.0
    assert apart[2] == 10.0
    assert apart[0] < apart[1] < apart[3]
    assert compression_charts._apart([5.0]) == [5.0]


def test_group_bands_are_the_range_over_groups(found, report):
    rows = {row[0]: row for row in found.front.grid.rows}
    assert rows["1"][4] == "0.00 to 100.00"
    assert rows["dense"][4] == "—"
    assert set(rows) == {"dense", "1", "2"}
    assert ("point-hidden", "hidden harm") in found.front.legend
    assert ("band", "range over groups") in found.front.legend


# --- the page ---------------------------------------------------------------------------------------------------


def test_the_page_shows_no_other_figures_of_the_probe(report):
    (section,) = sections(report)
    assert section.figures == []
    assert section.compression is not None
    ids = re.findall(r'id="([^"]+)"', render(report))
    assert len(ids) == len(set(ids))


def test_the_template_does_no_arithmetic():
    templates = Path(auditkit.__file__).parents[1] / "reports" / "templates"
    text = (templates / "compression.html").read_text(encoding="utf-8")
    expressions = re.findall(r"{[{%](.*?)[}%]}", text)
    assert [e for e in expressions if re.search(r"[\w)] [-+*/] [\w(]|\| *(sum|round|abs)", e)] == []


HOSTILE = "<script>alert(1)</script>"


@pytest.mark.parametrize(
    "odd",
    [
        {"points": 3, "axes": "xy"},
        {"points": [{"slug": "int8"}, {"slug": 7}, "x"], "axes": ["a", 5, "b"], "units": []},
        {"points": [{"slug": "int8", "values": {"a": "1", "b": None}, "groups": 4}], "axes": ["a", "b"]},
        {"points": [{"slug": "int8", "values": {"a": 1, "b": 2}, "intervals": {"b": [1]}}], "axes": ["a", "b"]},
        {"harms": [{"what": HOSTILE}], "candidates": 5, "steps": [1, {}], "flags": "f", "probes": [{}], "shown": [{}]},
    ],
)
def test_odd_details_of_a_plug_in_cost_nothing_but_themselves(odd, make):
    names = ("int8/quality_loss", "int8/hidden_harms", "int8/changed_texts", "int8/safe", "all/recommendation")
    odds = [Measurement(id=f"p/{n}", value=0.5, interval=Interval(0.4, 0.6), n=50, details=odd) for n in names]
    details = {"axes": ["a", "b"], "points": [{"slug": "int8", "label": HOSTILE}], **odd}
    page = render(make([*odds, Measurement(id="p/all/pareto_front", value=1.0, n=1, details=details)]))
    assert "0.500" in page
    assert HOSTILE not in page
