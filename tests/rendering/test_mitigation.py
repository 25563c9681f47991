"""The page on mitigations: drawn from the JSON alone, what is sure told from what is not, and odd details survived."""

import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from auditkit.measurement import Interval, Measurement
from auditkit.rendering import mitigation_charts
from auditkit.rendering.formatting import MINUS
from auditkit.rendering.html import render
from auditkit.rendering.mitigation import FINDINGS, arrange
from auditkit.rendering.mitigation_charts import MethodPoint, accuracy_plane
from auditkit.rendering.sections import sections
from auditkit.report import AuditReport, ProbeRun

HOSTILE = "<script>\x00</script>"
PARITY, ODDS, FALSE = ("selection_rate_difference", "true_positive_rate_difference", "false_positive_rate_difference")


def method(key, name, changes, *, stage="before", told=(8.0, 9.0), grown=(), less=(), **about):
    """Measurements of one method: {metric: (before, after)}; intervals reach 0.02, or 1 per cent, to either side."""
    details = {"mitigation": name, "stage": stage, "attribute": "sex", **about}

    def made(metric, value, reach, unit="", **more):
        ends = Interval(value - reach, value + reach)
        return Measurement(id=f"mitigation/{key}/{metric}", value=value, interval=ends, n=500, unit=unit,
                           details=details | more)  # fmt: skip

    for metric, (before, after) in changes.items():
        unit, reach = ("%", 1.0) if metric == "accuracy" else ("", 0.02)
        yield made(metric, after, reach, unit, on_front=True)
        if not about.get("baseline"):
            cut = {} if unit or not before else {"cut_percent": 100 * (1 - after / before)}
            yield made(f"{metric}_change", after - before, reach, unit and "points", before=before, **cut)
    for kind, value in zip(("linear", "nonlinear"), told, strict=True):
        yield made(f"group_told_by_{kind}", value, 1.0, "%", read_from="score")
        if not about.get("baseline"):
            yield made(f"group_told_by_{kind}_change", value - 8.0, 1.0, "points", before=8.0, before_from="score")
    if not about.get("baseline"):
        for metric, found in (("gaps_grown", grown), ("groups_less_accurate", less)):
            yield replace(made(metric, float(len(found)), 0.0, found=list(found)), n=18)


def changes(parity, *, odds=(0.1, 0.1), accuracy=(85.0, 84.5)):
    return {"accuracy": accuracy, PARITY: parity, ODDS: odds, FALSE: (0.05, 0.04)}


GREW = {"attribute": "sex+race", "metric": "selection_rate", "change": 0.12, "low": 0.05, "high": 0.2}
LESS = [
    {"group": f"sex=F+race={r}", "n": 90 + i, "before": 0.9, "after": 0.8 - 0.01 * i, "p_value_holm": 0.01}
    for i, r in enumerate("abcde")
]
FAILED = Measurement(
    id="mitigation/gone/accuracy", value=None, status="undefined",
    details={"mitigation": "gone", "stage": "during", "reason": "group 'B' nobody has an outcome"},
)  # fmt: skip


@pytest.fixture(scope="module")
def measurements():
    plain = changes((0.2, 0.2), accuracy=(85.0, 85.0))
    return [
        *method("logistic_regression", "logistic regression", plain, stage="none", baseline=True),
        *method("good", "good", changes((0.2, 0.05)), told=(0.5, 0.5)),
        *method("hiding", "hiding", changes((0.2, 0.1)), told=(0.0, 7.0), stage="during"),
        *method("perhaps", "perhaps", changes((0.2, 0.19)), told=(4.0, 3.0), stage="after", needs_group=True),
        *method("worse", "worse", changes((0.2, 0.3)), told=(20.0, 20.0)),
        *method("moved", "moved", changes((0.2, 0.01)), grown=[GREW]),
        *method("costly", HOSTILE, changes((0.2, 0.01)), less=LESS),
        *method("odds", "odds", changes((0.2, 0.05), odds=(0.1, 0.3))),
        FAILED,
    ]


@pytest.fixture
def found(measurements):
    return arrange("p", measurements)


@pytest.fixture
def by_name(found):
    return {m.name: m for m in found.methods}


def test_what_is_sure_is_told_from_what_is_not(by_name):
    findings = {m.name: m.finding for m in by_name.values()}
    assert findings == {
        "Good": "smaller", "Hiding": "smaller", "Perhaps": "open", "Worse": "larger", "Moved": "harm",
        HOSTILE: "harm", "Odds": "harm", "Gone": "failed",
    }  # fmt: skip
    assert [m.number for m in by_name.values()] == list("12345678")
    assert set(findings.values()) | {"before"} == set(FINDINGS)


def test_the_summary_counts_what_the_table_shows(found):
    assert found.before.name == "Logistic regression"
    assert found.summary == (
        "5 of 8 methods surely made the difference in selection rates by sex smaller; with 2 of these nobody was found "
        "to be worse off; 1 made it larger; 1 gave no result."
    )


def test_before_and_after_and_the_change_that_pairs_them(by_name):
    rows = {row[0]: row[1:] for row in by_name["Good"].changes.rows}
    assert rows["Demographic parity: difference in selection rates"] == [
        "0.200", "0.050 (0.030 to 0.070)", f"{MINUS}0.150 ({MINUS}0.170 to {MINUS}0.130)", "75",
    ]  # fmt: skip
    assert rows["Equalised odds: difference in true positive rates"][:3] == [
        "0.100", "0.100 (0.080 to 0.120)", f"0.000 ({MINUS}0.020 to 0.020)",
    ]  # fmt: skip
    assert rows["Accuracy, %"] == ["85.0", "84.5 (83.5 to 85.5)", f"{MINUS}0.5 ({MINUS}1.5 to 0.5)", "—"]
    assert by_name["Good"].moved[0] == (f"{MINUS}0.150", f"{MINUS}0.170 to {MINUS}0.130")


def test_gone_or_hidden_in_words(found, by_name):
    words = {m.name: m.trace.words for m in by_name.values() if m.trace}
    assert words["Good"] == "no trace found"
    assert words["Hiding"] == "hidden: a nonlinear model still finds it"
    assert words["Perhaps"] == "less than before, not gone"
    assert words["Worse"] == "more than before"
    assert words["Moved"] == "no sure change for a nonlinear model"
    assert by_name["Hiding"].trace.linear == ("8.0", f"0.0 ({MINUS}1.0 to 1.0)")
    assert [m.name for m in found.traces][:2] == ["Logistic regression", "Good"]
    assert found.before.trace.words == "can be told"


def test_who_is_worse_off_is_named_hardest_hit_first(found, by_name):
    assert by_name["Moved"].harm.lines == ["makes 1 other gap larger: selection rate by sex and race (by 0.120)"]
    assert by_name["Moved"].harm.grown.rows == [["selection rate by sex and race", "0.120", "0.050 to 0.200"]]
    (line,) = by_name[HOSTILE].harm.lines
    assert line.startswith("decides less rightly about 5 groups: F, e (right for 90.0, now 76.0")
    assert line.endswith("; 2 more below")
    assert by_name[HOSTILE].harm.less_accurate.rows[0] == ["F, a", "90", "90.0", "80.0", "0.010"]
    assert by_name["Odds"].harm.lines == ["makes the difference in true positive rates by sex larger (by 0.200)"]
    assert found.unharmed == "Nobody was found to be worse off with 1 Good, 2 Hiding, 3 Perhaps, 4 Worse."


def test_what_failed_and_what_must_be_known_is_said(by_name):
    assert by_name["Gone"].remark == "group 'B' nobody has an outcome"
    assert by_name["Gone"].changes is None
    assert by_name["Perhaps"].remark == "needs everybody's group to decide"


def test_the_page_is_drawn_from_the_json_alone_and_runs_nothing_that_it_says(measurements, make, tmp_path):
    make(measurements, runs=[ProbeRun("mitigation", "ok")]).save(tmp_path / "report.json")
    report = AuditReport.load(tmp_path / "report.json")
    page = render(report)
    assert "<script>\ufffd" not in page
    assert "&lt;script&gt;" in page
    for text in ("Is the bias gone or hidden?", "Who is worse off?", "some worse off", "Mitigations, before and after"):
        assert text in page
    (section,) = sections(report)
    assert (section.figures, section.fairness) == ([], None)
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for target in re.findall(r'href="#(probe-1-method-\d+)"', page):
        assert target in ids


def test_the_picture_says_what_it_is_to_those_who_do_not_see_it(found):
    root = ElementTree.fromstring(found.plane.svg)
    named = {e.get("id"): e.text for e in root.iter() if e.tag in ("title", "desc")}
    assert [named[i] for i in root.get("aria-labelledby").split()] == [
        "Accuracy against the difference in selection rates by sex",
        "7 methods and the model without mitigation, each with the intervals of both; the table below holds the same "
        "numbers.",
    ]  # fmt: skip
    assert len(found.plane.grid.rows) == 8  # what gave no result has no place


@pytest.mark.parametrize(
    "odd",
    [
        {"stage": 5, "attribute": [], "found": "many", "before": "much", "cut_percent": {}},
        {"found": [3, {}, {"group": None, "n": "?", "before": None}, {"attribute": 1, "change": []}], "read_from": {}},
        {"baseline": "yes", "needs_group": 1, "on_front": "no", "found": [{"low": "a", "high": 2}]},
        {"found": [{"n": True, "p_value_holm": "small", "metric": ["x"]}]},
    ],
)
def test_odd_details_cost_nothing_but_themselves(measurements, odd, make):
    page = render(make([replace(m, details={**m.details, **odd}) for m in measurements]))
    assert f"{MINUS}0.150" in page


@pytest.mark.parametrize("missing", ["accuracy", PARITY, f"{PARITY}_change", "group_told_by_linear", "gaps_grown"])
def test_a_missing_measurement_leaves_a_gap(measurements, missing, make):
    kept = [m for m in measurements if not m.id.endswith(f"/{missing}")]
    assert "Is the bias gone" in render(make(kept)) or missing in ("group_told_by_linear", PARITY)


def test_no_details_at_all_is_an_ordinary_table(measurements, make):
    bare = [replace(m, details={"reason": "?"}) for m in measurements]
    assert arrange("p", bare) is None
    assert f"{MINUS}0.150" in render(make(bare))


def test_a_comparison_without_baseline_has_no_arrows(measurements):
    found = arrange("p", [m for m in measurements if "/logistic_regression/" not in m.id])
    assert found.before is None
    assert [m.number for m in found.methods] == list("12345678")
    assert not arrows(found.plane.svg)


def test_language_models_are_not_arranged_as_decisions():
    m = Measurement(id="mitigation/x/perplexity", value=3.0, n=1, details={"mitigation": "x", "stage": "during"})
    assert arrange("p", [m]) is None


# --- the chart --------------------------------------------------------------------------------------------------


def point(name, gap, accuracy, finding="smaller", front=True):
    return MethodPoint(name, gap, gap - 0.02, gap + 0.02, accuracy, accuracy - 1, accuracy + 1, finding, front)


def elements(svg, kind):
    for e in ElementTree.fromstring(svg).iter():
        place = re.match(r"translate\(([-\d.]+),\s*([-\d.]+)\)(?:\s*rotate\(([-\d.]+)\))?", e.get("transform", ""))
        if e.tag.endswith(kind) and place:
            yield float(place[1]), float(place[2]), float(place[3] or 0), e


def arrows(svg):
    return [(x, y, turned) for x, y, turned, e in elements(svg, "path") if turned]


def test_arrows_point_from_before_to_after_and_stop_short():
    points = [point("without", 0.3, 86, "before"), point("1", 0.1, 82), point("2", 0.3, 82)]
    svg = accuracy_plane(points, x="gap", y="accuracy")
    plane = mitigation_charts._Plane.around(points)
    at = [plane.pixel(p.gap, p.accuracy) for p in points]
    heads = sorted(arrows(svg))
    assert len(heads) == 2
    (x, y, turned), (below_x, below_y, down) = heads
    assert at[1][0] < x < at[0][0]
    assert at[0][1] < y < at[1][1]
    assert ((x - at[1][0]) ** 2 + (y - at[1][1]) ** 2) ** 0.5 == pytest.approx(mitigation_charts.CLEAR, abs=0.1)
    assert -180 < turned < -90  # down and to the left
    assert (below_x, down) == (pytest.approx(at[2][0], abs=0.1), pytest.approx(180, abs=0.1))
    assert below_y < at[2][1]


def test_points_stand_where_their_values_are_and_only_the_front_is_filled():
    points = [point("without", 0.2, 86, "before"), point("1", 0.05, 84), point("2", 0.1, 83, front=False)]
    svg = accuracy_plane(points, x="gap", y="accuracy")
    plane = mitigation_charts._Plane.around(points)
    circles = [(x, y, e.get("stroke")) for x, y, _, e in elements(svg, "path") if "A" in e.get("d", "")]
    for p in points:
        x, y = plane.pixel(p.gap, p.accuracy)
        (stroke,) = [s for a, b, s in circles if abs(a - x) < 0.1 and abs(b - y) < 0.1]
        assert bool(stroke) is not p.on_front


def test_names_do_not_stand_on_points_or_on_each_other():
    points = [
        point("without", 0.2, 85, "before"),
        *(point(str(i), 0.2 + 0.004 * i, 85 + 0.05 * i) for i in range(1, 4)),
    ]
    points.append(replace(points[-1], name="4"))  # in the same place
    svg = accuracy_plane(points, x="gap", y="accuracy")
    names = [(x, y) for x, y, _, e in elements(svg, "text") if e.text in ("without", "1", "2", "3", "4")]
    assert len(names) == 5
    for i, a in enumerate(names):
        assert all(abs(a[0] - b[0]) > 5 or abs(a[1] - b[1]) > 9 for b in names[:i])


def test_hostile_axes_and_equal_values_are_drawn():
    svg = accuracy_plane([MethodPoint("1", 0, 0, 0, 50, 50, 50, "open", True)], x=HOSTILE, y="y")
    ElementTree.fromstring(svg)
    assert json.dumps(svg).count("\\u0000") == 0
