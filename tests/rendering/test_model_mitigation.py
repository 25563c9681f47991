"""The page on mitigations of a language model: what is sure told from what is not, and odd details survived."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from auditkit.measurement import Interval, Measurement
from auditkit.rendering.formatting import MINUS
from auditkit.rendering.html import render
from auditkit.rendering.model_mitigation import arrange
from auditkit.report import AuditReport

HOSTILE = "<script>\x00</script>"


def model(slug, name, *, bias, loss=None, verdict="", nearer=0, farther=0, compared=2):
    """Measurements of one model: its bias {id: (value, change, reach of the interval)}, and the change of its loss."""
    about = {"mitigation": name}

    def made(metric, value, reach=0.0, **more):
        details = about | more.pop("details", {})
        fields = {"interval": Interval(value - reach, value + reach), "n": 40, "ideal": 0.0} | more
        return Measurement(id=f"model_mitigation/{slug}/{metric}", value=value, details=details, **fields)

    yield made("pseudo_perplexity", 20.0 + (loss or 0.0), 1.0, ideal=1.0)
    for id, (value, change, reach) in bias.items():
        yield made(id, value, 0.3, unit="nats")
        if loss is not None:
            details = {"p_value_holm": 0.01 if abs(change) > reach else 0.4}
            yield made(f"{id}/worsening", change, reach, details=details)
    if loss is not None:
        details = {"verdict": verdict, "margin": 0.03, "p_value": 0.01}
        yield made("quality_loss", loss, 0.01, details=details)
        yield made("biases_nearer", float(nearer), n=compared)
        yield made("biases_farther", float(farther), n=compared)


SLOPE, SCORE = "pronoun_gap/all/slope", "crows_pairs/all/metric_score"
BEFORE = list(model("before", "before", bias={SLOPE: (0.8, 0, 0), SCORE: (58.0, 0, 0)}))
CURED = model(
    "a", "a cure", bias={SLOPE: (0.2, -0.6, 0.1), SCORE: (57.0, -1, 2)}, loss=0.01, verdict="equivalent", nearer=1
)
DEAR = model("b", "dear", bias={SLOPE: (0.1, -0.7, 0.1), SCORE: (57.0, -1, 2)}, loss=0.2, verdict="worse", nearer=1)
MOVED = model(
    "c",
    "moved",
    bias={SLOPE: (0.1, -0.7, 0.1), SCORE: (66.0, 8, 2)},
    loss=0.0,
    verdict="equivalent",
    nearer=1,
    farther=1,
)
OPEN = model("d", "open", bias={SLOPE: (0.7, -0.1, 0.4), SCORE: (58.0, 0, 2)}, loss=0.02, verdict="inconclusive")
FAILED = Measurement(
    id="model_mitigation/e/quality_loss", value=None, status="undefined",
    details={"mitigation": "gone", "reason": "no text names a group"},
)  # fmt: skip
CURED_AGAIN = list(
    model("a", "a", bias={SLOPE: (0.2, -0.6, 0.1)}, loss=0.01, verdict="equivalent", nearer=1, compared=1)
)
ALL = [*BEFORE, *CURED, *DEAR, *MOVED, *OPEN, FAILED]


def test_every_method_is_found_to_be_what_it_is():
    found = arrange("p", ALL)
    assert [(m.title, m.words) for m in found.methods] == [
        ("1 A cure", "bias smaller"),
        ("2 Dear", "ability lost"),
        ("3 Moved", "a bias grew"),
        ("4 Open", "undecided"),
        ("5 Gone", "no result"),
    ]
    assert found.summary == (
        "1 of 5 methods surely made a bias smaller, kept ability within the margin, and made no other bias "
        "surely larger; 1 made a bias larger; 1 cost more ability; 1 gave no result."
    )
    assert found.margin == "0.03 nats a token"


def test_a_method_shows_what_moved_and_what_it_cost():
    cure = arrange("p", ALL).methods[0]
    assert (cure.nearer, cure.farther, cure.ability) == ("1 of 2", "0 of 2", "kept: equivalent within the margin")
    assert cure.perplexity == "20.00 → 20.01"
    slope, score = cure.changes.rows
    assert slope[:4] == ["Pronoun gap, all, slope", "0.800", "0.200", f"{MINUS}0.600"]
    assert (slope[-1], score[-1]) == ("nearer", "no change shown")
    assert arrange("p", ALL).methods[2].changes.rows[1][-1] == "farther"


def test_a_method_without_result_says_why():
    gone = arrange("p", ALL).methods[-1]
    assert (gone.remark, gone.changes) == ("no text names a group", None)


def test_one_chart_for_each_probe_with_its_numbers_beside():
    planes = arrange("p", ALL).planes
    assert [p.caption for p in planes] == [
        "What it costs to bring “pronoun gap, all, slope” nearer to its ideal",
        "What it costs to bring “crows pairs, all, metric score” nearer to its ideal",
    ]
    ElementTree.fromstring(planes[0].svg)
    before, cure, *_ = planes[0].grid.rows
    assert before == ["Before", "0.800", "0"]
    assert cure[0] == "1 A cure"
    assert cure[1].startswith("0.200 (0.100")
    assert cure[2].startswith(f"{MINUS}0.01")
    assert len(planes[0].grid.rows) == 5  # the one without result has no place


def test_what_beats_every_other_point_in_one_way_is_on_the_front():
    from auditkit.rendering import model_mitigation as page

    before = next(m for m in BEFORE if m.id.endswith(SLOPE))
    found = [{m.id.split("/", 2)[2]: m for m in ALL if m.id.split("/")[1] == slug} for slug in "abcd"]
    points = [page._point(m, f, SLOPE, before.value) for m, f in zip(arrange("p", ALL).methods, found, strict=False)]
    assert [p.on_front for p in page._with_front(points)] == [
        False,
        False,
        True,
        False,
    ]  # c: nearest, and loses nothing


def test_the_page_holds_it_and_escapes_it():
    odd = [replace(m, details={**m.details, "mitigation": HOSTILE, "verdict": HOSTILE}) for m in CURED_AGAIN]
    page = render(
        AuditReport(subject={"name": "m"}, environment={}, config={}, seed=0, runs=[], measurements=[*BEFORE, *odd])
    )
    assert "What every method did to the model" in page
    assert HOSTILE not in page
    assert "Mitigations of the model, before and after" in page


@pytest.mark.parametrize("details", [{"margin": "x"}, {"verdict": 3}, {"mitigation": "a", "p_value_holm": "low"}])
def test_odd_details_do_no_harm(details):
    odd = [replace(m, details={**m.details, **details}) for m in CURED_AGAIN]
    assert arrange("p", [*BEFORE, *odd]).methods[0].perplexity


def test_measurements_of_something_else_are_left_alone():
    assert arrange("p", [Measurement(id="weat/x/effect", value=1.0, n=1)]) is None
    assert arrange("p", BEFORE) is None
