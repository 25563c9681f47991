"""The page on group fairness: every group in its place, the two rules apart, and nothing breaks on odd details."""

import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from auditkit.measurement import Interval, Measurement
from auditkit.models.predictions import Predictions
from auditkit.probes.base import generator
from auditkit.probes.group_fairness import GroupFairness
from auditkit.rendering import fairness_charts
from auditkit.rendering.fairness import arrange
from auditkit.rendering.fairness_charts import CurvePoint, GroupDot
from auditkit.rendering.formatting import MINUS
from auditkit.rendering.html import render
from auditkit.rendering.sections import sections

HOSTILE = "<script>\x00</script>"


@pytest.fixture(scope="module")
def measurements(tmp_path_factory):
    rng = np.random.default_rng(0)
    n = 1_200
    table = pd.DataFrame(
        {"sex": rng.choice(["F", "M"], n), "age_group": rng.choice([f"g{i:02}" for i in range(15)], n)}
    )
    score = rng.uniform(0, 1, n)
    table = table.assign(label=(rng.random(n) < score).astype(int), prediction=(score > 0.5).astype(int), score=score)
    table.loc[:4, "sex"] = HOSTILE
    before = tmp_path_factory.mktemp("before") / "before.csv"
    table.assign(prediction=(score > 0.6).astype(int)).to_csv(before, index=False)
    table.to_csv(before.with_name("now.csv"), index=False)
    probe = GroupFairness(sensitive=["sex", "age_group"], compare_with=str(before))
    model = Predictions.load(before.with_name("now.csv"))
    return probe.measure(model, generator(0, probe.id)).measurements


@pytest.fixture(scope="module")
def found(measurements):
    return {a.name: a for a in arrange("p", measurements).attributes}


def marks(svg, kind):
    """The elements of this kind that are placed by a translation, as (x, y, element)."""
    out = []
    for element in ElementTree.fromstring(svg).iter(f"{{http://www.w3.org/2000/svg}}{kind}"):
        place = re.match(r"translate\(([-\d.]+),([-\d.]+)\)", element.get("transform", ""))
        if place:
            out.append((float(place[1]), float(place[2]), element))
    return out


def test_dots_are_where_their_values_are_and_small_groups_are_hollow():
    dots = [
        GroupDot("a", "accuracy", 0.25, 0.2, 0.3, False),
        GroupDot("b", "accuracy", 0.75, 0.5, 0.9, False),
        GroupDot("c", "accuracy", 0.5, 0.1, 0.9, True),
    ]
    svg = ElementTree.fromstring(fairness_charts.group_dots(dots, overall={"accuracy": 0.5}))
    circles = [circle.attrib for circle in svg.findall(".//{*}circle")]
    places = [(float(c["cx"]) - fairness_charts.PANELS_START) / fairness_charts.PANEL_WIDTH for c in circles]
    assert places == pytest.approx([0.25, 0.75, 0.5], abs=0.002)
    assert ["stroke" in c for c in circles] == [False, False, True]
    heights = [float(c["cy"]) for c in circles]
    assert heights == sorted(set(heights))  # each in its row, the rows in their order


def test_every_panel_has_its_line_for_everybody():
    dots = [GroupDot("a", m, 0.5, 0.4, 0.6, False) for m in ("accuracy", "precision")]
    svg = fairness_charts.group_dots(dots, overall={"accuracy": 0.25, "precision": 0.75})
    lines = [line.attrib for line in ElementTree.fromstring(svg).findall(".//{*}line")]
    dashed = [float(line["x1"]) for line in lines if line.get("stroke-dasharray") == "4,3"]
    start, width = fairness_charts.PANELS_START, fairness_charts.PANEL_WIDTH
    assert dashed == pytest.approx([start + 0.25 * width, start + fairness_charts.PANEL_STEP + 0.75 * width], abs=0.1)


def test_a_calibrated_score_lies_on_the_dashed_line():
    points = [CurvePoint("a", s, s, s - 0.1, s + 0.1) for s in (0.2, 0.8)]
    svg = fairness_charts.calibration_curves(points)
    at = [(x, y) for x, y, e in marks(svg, "path") if "A" in e.get("d", "")]
    for x, y in at:
        assert x / fairness_charts.CURVES_WIDTH == pytest.approx(1 - y / fairness_charts.CURVE_HEIGHT, abs=0.001)


def test_each_attribute_has_its_groups_and_crossed_ones_stay_behind_a_click(found):
    assert [(a.name, a.crossed) for a in found.values()] == [
        ("sex", False),
        ("age group", False),
        ("sex and age group", True),
    ]
    assert len(found["age group"].groups.grid.rows) == 15
    assert found["age group"].undrawn == 0
    crossed = found["sex and age group"]
    assert len(crossed.groups.grid.rows) - crossed.undrawn == 20
    assert found["sex"].summary.startswith("Selection rates differ by 0.0")
    assert found["sex"].summary.endswith("1 group of fewer than 30 people shown, but not compared.")


def test_the_two_rules_are_two_tables(found):
    sex = found["sex"]
    assert "Four-fifths" in sex.four_fifths.caption
    assert "Local Law 144" in sex.local_law_144.caption
    assert {row[-1] for row in sex.four_fifths.rows} == {"not below", "fewer than 30 people"}
    assert {row[-1] for row in sex.local_law_144.rows} == {"—", "under 2 % of the people"}


def test_changes_show_before_and_after(found):
    rows = {row[0]: row for row in found["sex"].changes.rows}
    before, after, change = (float(x.replace(MINUS, "-")) for x in rows["selection rate: F"][1:4])
    assert after - before == pytest.approx(change, abs=0.002)
    assert after > before


def test_the_page_holds_all_of_it_and_runs_nothing_that_the_data_say(measurements, make):
    report = make(measurements)
    page = render(report)
    assert "<script>\ufffd" not in page
    for text in ("By sex", "Calibration by age group", "Local Law 144", "What changed from the other model, by sex"):
        assert text in page
    (section,) = sections(report)
    assert section.figures == []


@pytest.mark.parametrize(
    "odd",
    [
        {"attribute": 5, "metric": []},
        {"attribute": "sex", "metric": "selection_rate", "four_fifths": 3, "local_law_144": [1, {}], "changes": "x"},
        {"attribute": "sex", "metric": "selection_rate", "bins": [{"n": "?"}], "small_cells": 7},
    ],
)
def test_odd_details_of_a_plug_in_cost_nothing_but_themselves(odd, make):
    ids = (
        "p/sex/selection_rate_ratio",
        "p/sex/selection_rate_difference",
        "p/sex=F/selection_rate",
        "p/sex=F/calibration_gap",
    )
    odds = [Measurement(id=id, value=0.5, interval=Interval(0.4, 0.6), n=50, details=odd) for id in ids]
    assert "0.500" in render(make(odds))


def test_areas_under_a_roc_stand_under_fairness_and_are_no_attack(measurements, found):
    from auditkit.rendering import privacy_audit

    assert privacy_audit.arrange("p", measurements, {}, {}) is None
    ranking = found["sex"].ranking
    assert [row[0] for row in ranking.grid.rows] == [m.id.split("=")[1].split("/")[0] for m in areas(measurements)]
    assert "<svg" in ranking.svg
    assert found["sex and age group"].ranking is None  # the curves of crossed groups would be too many


def areas(measurements):
    return [
        m
        for m in measurements
        if m.id.startswith("group_fairness/sex=") and m.id.endswith("/roc_auc") and "+" not in m.id
    ]
