"""The charts of private trainings show their numbers where they belong, and the page says what stands behind them."""

import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from auditkit.measurement import Interval, Measurement
from auditkit.rendering import privacy_charts
from auditkit.rendering.html import render
from auditkit.rendering.privacy_charts import Level, Spending, Utility
from auditkit.rendering.sections import sections

POINTS = [
    Utility("eps-2", 2.0, 2.3, 2.2, 2.4),
    Utility("eps-4", 4.0, 2.0, 1.9, 2.1, outcome="FAIL"),
    Utility("eps-8", 8.0, 1.9, 1.8, 2.0),
]
HOSTILE = "<script>\x00</script>"


def elements(svg, tag, **attributes):
    """(x, y, element) of every element of this kind that is put in its place by a translation."""
    found = []
    for element in ElementTree.fromstring(svg).iter(f"{{http://www.w3.org/2000/svg}}{tag}"):
        place = re.match(r"translate\(([-\d.]+),([-\d.]+)\)", element.attrib.get("transform", ""))
        if place and all(element.attrib.get(k.replace("_", "-")) == v for k, v in attributes.items()):
            found.append((float(place[1]), float(place[2]), element))
    return found


def marks(svg):
    """(x, y, path) of the points."""
    return [
        (x, y, e.attrib["d"]) for x, y, e in elements(svg, "path") if re.match(r"M-?[\d.]+,[-\d.]+[ALh]", e.get("d"))
    ]


# --- utility against epsilon ------------------------------------------------------------------------------------


def test_epsilon_is_on_a_logarithmic_axis_and_utility_on_a_linear_one():
    svg = privacy_charts.utility_curve(POINTS, axis="loss", without_privacy=None)
    (x2, y23, _), (x4, y20, failed), (x8, y19, passed) = marks(svg)
    assert x4 - x2 == pytest.approx(x8 - x4, abs=0.01)
    assert (y19 - y20) / (y20 - y23) == pytest.approx(1 / 3, abs=0.01)
    assert failed != passed  # a failure has a shape of its own


def test_each_point_has_its_interval():
    svg = privacy_charts.utility_curve(POINTS, axis="loss", without_privacy=None)
    points = marks(svg)
    per_unit = (points[2][1] - points[0][1]) / 0.4
    bars = [(x, y, e) for x, y, e in elements(svg, "line", stroke_width="2.2")]
    assert [x for x, _, _ in bars] == pytest.approx([x for x, _, _ in points], abs=0.01)
    for (_, y, bar), (_, middle, _) in zip(bars, points, strict=True):
        ends = sorted((y, y + float(bar.attrib["y2"])))
        assert ends == pytest.approx([middle - 0.1 * per_unit, middle + 0.1 * per_unit], abs=0.2)


@pytest.mark.parametrize(("value", "side"), [(1.6, 1), (2.8, -1)])
def test_the_training_without_privacy_is_a_line_named_on_its_free_side(value, side):
    level = Level("none", value, value - 0.1, value + 0.1)
    svg = privacy_charts.utility_curve(POINTS, axis="loss", without_privacy=level)
    per_unit = (marks(svg)[2][1] - marks(svg)[0][1]) / 0.4
    expected = marks(svg)[0][1] + per_unit * (2.3 - value)
    (dashed,) = re.findall(r'd="M0,([\d.]+)L385,([\d.]+)"[^>]*stroke-dasharray', svg)
    assert [float(end) for end in dashed] == pytest.approx([expected] * 2, abs=0.2)
    (name,) = [y for _, y, e in elements(svg, "text") if e.text == "none"]
    assert (name - expected) * side > 0.1 * per_unit  # beyond the band


def test_one_training_alone_can_be_drawn():
    svg = privacy_charts.utility_curve(POINTS[:1], axis="loss", without_privacy=None)
    assert len(marks(svg)) == 1


# --- norms ------------------------------------------------------------------------------------------------------


def test_the_histogram_has_a_bar_for_every_filled_bin_and_c_where_it_belongs():
    svg = privacy_charts.norm_histogram([0.01, 0.1, 1.0, 10.0, 100.0], [0, 1, 3, 0], max_grad_norm=1.0)
    bars = [
        [float(n) for n in b] for b in re.findall(r"M([\d.]+),([\d.]+)h([\d.]+)v([\d.]+)h-[\d.]+Z\" fill=\"#0b5", svg)
    ]
    assert len(bars) == 2  # empty ends are left out
    (left, _, width, low), (right, _, same, high) = bars
    assert width == pytest.approx(same)  # a decade each
    assert high == pytest.approx(3 * low)
    assert left + width == pytest.approx(right)
    ((c, _, _),) = elements(svg, "line", stroke_dasharray="4,3")
    assert c == pytest.approx(right)
    assert "C = 1" in svg


def test_a_norm_beyond_all_gradients_is_still_drawn():
    svg = privacy_charts.norm_histogram([0.1, 1.0], [5], max_grad_norm=50.0)
    ((c, _, _),) = elements(svg, "line", stroke_dasharray="4,3")
    assert 0 < c < privacy_charts.HISTOGRAM_WIDTH
    assert "stroke-dasharray" not in privacy_charts.norm_histogram([0.1, 1.0], [5], max_grad_norm=None)


# --- epsilon by epoch -------------------------------------------------------------------------------------------


def test_lines_of_epsilon_differ_in_mark_and_dash_and_carry_their_names():
    lines = [Spending("first", [1, 2, 3], [3.0, 4.0, 5.0]), Spending("second", [1, 2, 3], [1.0, 1.5, 2.0])]
    svg = privacy_charts.epsilon_by_epoch(lines)
    points = marks(svg)
    assert len({shape for _, _, shape in points}) == 2
    assert points[2][1] - points[1][1] == pytest.approx(points[1][1] - points[0][1], abs=0.02)
    names = {e.text: y for _, y, e in elements(svg, "text") if e.text in ("first", "second")}
    assert names["first"] == pytest.approx(points[2][1], abs=5)
    assert names["second"] == pytest.approx(points[5][1], abs=5)


def test_names_that_would_lie_on_each_other_are_pushed_apart():
    assert privacy_charts.spread([0.5, 0.1, 0.52, 0.51], 0.1) == pytest.approx([0.5, 0.1, 0.7, 0.6])
    assert privacy_charts.spread([0.9, 0.1], 0.1) == [0.9, 0.1]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.9, 22, [1, 2, 5, 10, 20]),
        (0.03, 0.6, [0.05, 0.1, 0.2, 0.5]),
        (0.01, 100, [0.01, 0.1, 1, 10, 100]),
    ],
)
def test_ticks_are_round_numbers(low, high, expected):
    assert privacy_charts.log_ticks(low, high) == expected


def test_names_from_a_file_stay_text():
    charts = [
        privacy_charts.utility_curve([replace(POINTS[0], label=HOSTILE)], axis=HOSTILE, without_privacy=None),
        privacy_charts.epsilon_by_epoch([Spending(HOSTILE, [1], [1.0])]),
    ]
    for svg in charts:
        assert "<script>" not in svg
        ElementTree.fromstring(svg)


# --- the page ---------------------------------------------------------------------------------------------------

ENTRY = {
    "sampler": "poisson",
    "unit": "example",
    "units": 4000,
    "expected_batch_size": 64,
    "rate": 0.016,
    "order_seed": None,
    "sampler_policy": "operating system randomness",
    "noise_policy": "ChaCha20 keyed by the operating system",
    "noise_multiplier": 0.58,
    "max_grad_norm": 1.0,
    "steps": 315,
}
DETAILS = {
    "delta": 1e-5,
    "unit of privacy": "example",
    "neighbours": "add or remove one example",
    "target_epsilon": 8.0,
    "steps": 315,
    "rdp": 9.32,
    "pld": 7.89,
    "ledger": [ENTRY],
}


def epsilon(value=7.9, id="dp_sgd/eps-8/epsilon", **details):
    return Measurement(id=id, value=value, interval=Interval(value, value, 1.0), n=4000, details=DETAILS | details)


def cost(value, half):
    interval = Interval(value - half, value + half)
    details = {"metric": "loss"}
    return Measurement(
        id="dp_sgd/eps-8/utility_cost", value=value, interval=interval, n=9, unit="nats", details=details
    )


def text_of(html):
    return " ".join(re.sub(r"<[^>]+>", " ", html.split("<main")[1]).replace("\u202f", " ").split())


def private(*measurements, make):
    (section,) = sections(make(measurements))
    return section.private


def test_the_ledger_is_told_in_plain_words(make):
    rows = {name: texts for name, *texts in private(epsilon(), make=make).ledger.rows}
    assert rows["What is protected"] == ["any one example of 4,000"]
    assert rows["Data sets that must look alike"] == ["with and without one example"]
    assert "Poisson" in rows["How a batch was drawn"][0]
    assert rows["Share of the data in a batch"] == ["1.60\u202f%: 64 of 4,000 on average"]
    assert rows["Norm C that gradients were clipped to"] == ["1.00"]
    assert rows["Noise multiplier: standard deviation of the noise, as a multiple of C"] == ["0.580"]
    assert rows["Steps"] == ["315"]
    assert rows["Randomness of the batches"] == ["operating system randomness"]
    assert rows["Randomness of the noise"] == ["ChaCha20 keyed by the operating system"]
    assert rows["Delta, the probability up to which epsilon may fail"] == ["1e-05"]
    assert rows["Epsilon allowed (target)"] == ["8.00"]
    accountants = [texts[0] for name, texts in rows.items() if "accountant" in name]
    assert accountants == ["7.90", "7.89", "9.32"]


def test_a_shuffled_ledger_with_two_settings_is_told_as_it_is(make):
    shuffled = {**ENTRY, "sampler": "shuffled", "rate": None, "steps": 63}
    m = epsilon(ledger=[shuffled, {**shuffled, "noise_multiplier": 2.0, "steps": 252}], neighbours="replace one user")
    found = private(m, make=make)
    rows = {name: texts[0] for name, *texts in found.ledger.rows}
    assert rows["Data sets that must look alike"] == "one user replaced by another"
    assert "shuffling; it is granted no extra privacy" in rows["How a batch was drawn"]
    assert rows["Share of the data in a batch"] == "64 of 4,000, each once an epoch"
    assert rows["Noise multiplier: standard deviation of the noise, as a multiple of C"] == "0.580, then 2.00"
    assert rows["Steps"] == "315 (63 + 252)"
    assert "Any other example in the place of one changes the odds" in found.claims[0]


def test_what_epsilon_means_is_said_as_a_factor(make):
    (claim,) = private(epsilon(value=math.log(7.25)), make=make).claims
    assert "by at most a factor of 7.25, up to a probability of delta = 1e-05" in claim
    (claim,) = private(epsilon(value=150.0), make=make).claims
    assert "a factor of 10^65" in claim


@pytest.mark.parametrize(
    ("value", "half", "said"),
    [
        (0.33, 0.01, "That made the loss 0.330 nats worse (interval 0.320 to 0.340)."),
        (-0.2, 0.1, "That made the loss 0.200 nats better (interval −0.300 to −0.100)."),  # noqa: RUF001
        (0.01, 0.02, "That loss became worse is not shown: the difference is −0.010 to 0.030 nats."),  # noqa: RUF001
    ],
)
def test_a_cost_is_claimed_only_where_its_interval_shows_one(make, value, half, said):
    (claim,) = private(epsilon(), cost(value, half), make=make).claims
    assert claim.replace("\u202f", " ").endswith(said)


def test_an_epsilon_that_is_not_believed_is_a_warning_and_no_claim(make):
    reason = "eps-8: its record contradicts its ledger"
    details = {"reason": reason, "training": {"private": True, "audited": True}}
    broken = Measurement(id="dp_sgd/eps-8/epsilon", value=None, status="error", details=details)
    found = private(broken, cost(0.3, 0.1), make=make)
    assert (found.warnings, found.claims, found.ledger, found.spending) == ([reason], [], None, None)
    assert found.cost.rows[0][:2] == ["eps-8", "error"]
    assert '<p class="warning">' in render(make([broken]))


def test_seeded_generators_are_one_warning(make):
    def warnings(*policies):
        entries = [[{**ENTRY, "noise_policy": policy}] for policy in policies]
        found = [epsilon(id=f"dp_sgd/{name}/epsilon", ledger=e) for name, e in zip("abc", entries, strict=False)]
        return private(*found, make=make).warnings

    (warning,) = warnings("seeded torch generator", "ChaCha20", "seeded torch generator")
    assert warning.startswith("a and c drew from a seeded generator; epsilon holds only while nobody knows its seed")
    assert warnings("ChaCha20") == []


def test_epsilons_of_other_models_than_the_audited_are_a_warning(make):
    def warnings(*audited):
        found = [
            epsilon(id=f"dp_sgd/{i}/epsilon", training={"private": True, "audited": a}) for i, a in enumerate(audited)
        ]
        return private(*found, make=make).warnings

    assert "The audited model is none of these" in warnings(False, False)[0]
    assert warnings(False, True) == []


def test_the_page_shows_charts_costs_and_what_epsilon_does_not_cover(report):
    html = render(report)
    text = text_of(html)
    for heading in (
        "against epsilon",
        "What privacy cost",
        "Epsilon after every epoch",
        "What clipping cut",
        "The ledger",
    ):
        assert heading in text
    assert "eps-8: 67.00 % of 3,000 gradients clipped" in text
    assert "Not covered by epsilon." in text
    assert "eps-8 7.90 0.250 nats 0.240 to 0.260 67.00 % 0.090 s 1.16" in text
    assert "non-private no bound 1.62" in text
    section = next(s for s in sections(report) if s.probe == "dp_sgd")
    assert [len(section.private.utility), len(section.private.norms)] == [1, 1]
    assert section.figures == []
    assert len(section.other.rows) == 7


def test_utilities_measured_in_different_ways_are_never_in_one_chart(make):
    def run(name, metric):
        utility = Measurement(
            id=f"dp_sgd/{name}/utility", value=1.0, n=1, interval=Interval(0, 2), details={"metric": metric}
        )
        return [epsilon(id=f"dp_sgd/{name}/epsilon"), utility]

    found = private(*run("a", "loss"), *run("b", "accuracy"), *run("c", "loss"), make=make)
    assert [(p.caption, len(p.grid.rows)) for p in found.utility] == [
        ("Loss against epsilon", 2),
        ("Accuracy against epsilon", 1),
    ]


def test_a_ledger_alone_has_its_claim_and_its_table(make):
    found = private(epsilon(id="dp_sgd/epsilon"), make=make)
    assert found.claims[0].startswith("this training: epsilon = 7.90.")
    assert (found.cost, found.spending, found.utility, found.norms) == (None, None, [], [])


def test_gradients_outside_the_histogram_are_counted(make):
    norms = {"edges": [0.1, 1.0], "counts": [70]}
    clipped = Measurement(
        id="dp_sgd/eps-8/clipped_share", value=5.0, interval=Interval(5, 5), n=100, details={"gradient_norms": norms}
    )
    (picture,) = private(epsilon(), clipped, make=make).norms
    assert picture.grid.rows == [["0.100 to 1.00", "70"], ["outside all of these", "30"]]


@pytest.mark.parametrize(
    "odd",
    [
        {"training": 5, "ledger": "none"},
        {"training": {"epochs": [1, {"epoch": "x"}], "private": "?"}, "ledger": [1, {}]},
        {"ledger": [{"rate": "often", "sampler": None}], "neighbours": 7, "delta": "small", "pld": [1]},
    ],
)
def test_odd_details_do_not_cost_the_page(make, odd):
    norms = {"gradient_norms": {"edges": [0, "a"], "counts": None}, "max_grad_norm": "big"}
    clipped = Measurement(id="dp_sgd/eps-8/clipped_share", value=5.0, n=3, details=norms)
    assert "7.90" in text_of(render(make([epsilon(**odd), clipped])))
