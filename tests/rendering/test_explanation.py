"""Explanations on the page: the verdict first and on every heat map, signs without colour, hostile texts inert."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from auditkit.measurement import Interval, Measurement
from auditkit.rendering import attention_charts, explanation, heat_maps, templates
from auditkit.rendering.html import render
from auditkit.rendering.sections import sections

HOSTILE = '"><script>document.title = "owned"</script>\x00'
CHECKS = [
    {"name": "completeness_error", "outcome": "pass", "limit": "below 0.01", "value": 0.0003},
    {"name": "randomization_correlation", "outcome": "fail", "limit": "below 0.5", "value": 0.91},
    {"name": "stability", "outcome": "reported", "limit": "", "value": None},
]
ENTROPY, ROLES = [[0.9, 0.2], [0.5, 0.0]], [["", "previous_token"], ["same_token", "first_token"]]
WORDS = {"The": 0.02, "nurse": 1.0, "said": -0.3, "she": -1.2, "left": 0.0, ".": 0.55}


def measured(id, value=1.0, *, n=24, **details):
    given = {"interval": Interval(value - 0.5, value + 0.5), "n": n, "method": "m", "source": "s"}
    return Measurement(id=id, value=value, details=details, **given)


def heat_map(words=WORDS, text="The nurse  said she left.", **more):
    values = list(words.values())
    return {"text": text, "asks": "log p('she')", "words": list(words), "values": values} | more


def attribution(verdict="not trusted", maps=None, contrast=False):
    entry = heat_map(value=-0.5, baseline_value=0.25, error=0.004)
    yield measured(
        "attribution/all/failed_checks", verdict=verdict, checks=CHECKS, heat_map=[entry] if maps is None else maps,
        randomization={"head": 0.98, "layer 0": None},
    )  # fmt: skip
    yield measured("attribution/all/completeness_error", 0.0003, outcome="pass")
    yield measured("attribution/all/randomization_correlation", 0.91, outcome="fail")
    if contrast:
        drivers = [
            {"word": "nurse", "n": 9, "mean": 0.4, "low": 0.1, "high": 0.7, "p_value": 0.002, "p_value_holm": 0.02},
            {"word": "she", "n": 5, "mean": -0.2, "low": None, "high": None, "p_value": 0.4, "p_value_holm": 0.8},
        ]
        asks = "positive: towards the more stereotyping sentence"
        yield measured("attribution/all/preference", 0.1, drivers=drivers, words_tested=31, asks=asks)


def attention(tokens=("the", "nurse", "the"), title="layer 1, head 2: previous token", weights=None):
    rows = weights or [[1.0, 0.0, 0.0], [0.75, 0.25, 0.0], [0.004, 0.996, 0.0]]
    yield measured(
        "introspection/layer_1/entropy", 0.4,
        head_grid={"entropy": ENTROPY, "roles": ROLES},
        matrices=[{"title": title, "tokens": list(tokens), "weights": rows}],
    )  # fmt: skip
    yield measured("introspection/gender/layer_1/accuracy", 60.0)


class Reader(HTMLParser):
    """The heat maps of a page as (classes, attributes, text) of their words, and the badge before each."""

    def __init__(self, html):
        super().__init__()
        self.words, self.badges, self.open = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        if tag != "span":
            return
        classes = (dict(attrs).get("class") or "").split()
        self.open.append(classes)
        if "word" in classes:
            self.words.append({"classes": classes, "focus": "tabindex" in dict(attrs), "text": "", "value": ""})

    def handle_endtag(self, tag):
        if tag == "span":
            self.open.pop()

    def handle_data(self, data):
        if self.open and "value" in self.open[-1]:
            self.words[-1]["value"] += data
        elif self.open and "word" in self.open[-1]:
            self.words[-1]["text"] += data
        elif self.open and "badge" in self.open[-1]:
            self.badges.append(data.strip())


def page(make, measurements):
    html = render(make(list(measurements)))
    return html, Reader(html)


# --- heat maps --------------------------------------------------------------------------------------------------


def test_marks_by_hand():
    # quarters of the strongest, 1.2: up to 0.3, 0.6, 0.9 and 1.2; below 0.06 nothing
    marks = [heat_maps.mark(v, 1.2) for v in (0.02, 1.0, -0.3, -1.2, 0.0, 0.55, 0.06, 0.31)]
    assert marks == ["", "p4", "n1", "n4", "", "p2", "p1", "p2"]
    assert heat_maps.mark(0.0, 0.0) == ""


def test_each_word_has_sign_strength_and_value(make):
    _, read = page(make, attribution())
    words = [w for w in read.words if w["value"]]  # those of the legend have none
    assert [(w["text"], w["classes"][1:], w["value"].strip(" ()")) for w in words] == [
        ("The", [], "+0.020"),
        ("nurse", ["p4"], "+1.00"),
        ("said", ["n1"], "−0.300"),  # noqa: RUF001 - a minus sign is what is meant
        ("she", ["n4"], "−1.20"),  # noqa: RUF001
        ("left", [], "0"),
        (".", ["p2"], "+0.550"),
    ]
    assert [w["focus"] for w in words] == [bool(w["classes"][1:]) for w in words]


def test_the_text_reads_as_it_was_written(make):
    html, _ = page(make, attribution())
    shown = re.search(r'<p class="words" dir="auto">(.*?)</p>', html, re.S)[1]
    without_values = re.sub(r'<span class="value">.*?</span>', "", shown)
    assert re.sub(r"<.*?>", "", without_values).strip() == "The nurse  said she left."


def test_words_that_are_not_in_the_text_are_set_apart_by_a_space():
    assert list(heat_maps._gaps("ab cd", ["ab", "xx", "cd"])) == ["", " ", " "]


@pytest.mark.parametrize(
    ("verdict", "shown", "icon"),
    [
        ("trusted", "trusted", "PASS"),
        ("not trusted", "not trusted", "FAIL"),
        ("undecided", "undecided", "INCONCLUSIVE"),
        (None, "not checked", "NONE"),
        ("<b>surely</b>", "not checked", "NONE"),
        (["trusted"], "not checked", "NONE"),
    ],
)
def test_every_heat_map_says_whether_it_is_trusted(make, verdict, shown, icon):
    html, read = page(make, attribution(verdict, maps=[heat_map(), heat_map()]))
    assert read.badges.count(shown) == 3  # of the set, and of each map
    assert html.count(f'<use href="#i-{icon}"/></svg>{shown}') == 3


def test_faithfulness_comes_before_any_heat_map(make):
    html, _ = page(make, attribution(contrast=True))
    places = [html.index(s) for s in ("be trusted?", "check by check", "The words that drive it", 'class="heat"')]
    assert places == sorted(places)


def test_checks_carry_the_interval_of_their_measurement(make):
    (section,) = sections(make(list(attribution())))
    (found,) = section.explanation.sets
    assert [row[0] for row in found.checks.rows] == ["Completeness error", "Randomization correlation", "Stability"]
    assert found.checks.rows[1][1:] == ["0.910", "0.41 to 1.41", "24", "below 0.5", "fail"]
    assert found.checks.rows[2][1:] == ["—", "—", "—", "—", "reported"]
    assert found.randomization.rows == [["head", "0.980"], ["layer 0", "—"]]
    assert section.figures == []
    assert len(section.other.rows) == 3


def test_the_words_that_drive_a_preference(make):
    (section,) = sections(make(list(attribution(contrast=True))))
    (found,) = section.explanation.sets
    assert found.sensitive
    assert found.drivers.grid.caption == "2 of 31 words tested"
    assert found.drivers.grid.rows == [
        ["nurse", "0.400", "0.100 to 0.700", "9", "0.002", "0.020"],
        ["she", "−0.200", "—", "5", "0.400", "0.800"],  # noqa: RUF001
    ]
    drawn = ElementTree.fromstring(found.drivers.svg)
    names = [(t.text or "").strip("\u200b") for t in drawn.iter("text")]
    assert {"nurse", "she"} <= set(names)


def test_stereotypes_are_behind_a_click_and_other_texts_are_not(make):
    closed, _ = page(make, attribution(contrast=True))
    assert closed.index('<details class="sensitive">') < closed.index('class="heat"')
    open_, _ = page(make, attribution())
    assert '<details class="sensitive">' not in open_
    assert 'class="heat"' in open_


def test_long_and_many_are_cut_and_said(make):
    long = {f"w{i}": 1.0 for i in range(heat_maps.MAX_WORDS + 7)}
    maps = [heat_map(long, text=" ".join(long))] * (explanation.MAX_MAPS + 2)
    html, _ = page(make, attribution(maps=maps))
    assert "and 7 more words" in html
    assert "2 more are in the JSON report" in html


def test_sets_are_told_apart(make):
    two = [
        measured("attribution/reviews/failed_checks", checks=CHECKS, verdict="trusted", heat_map=[heat_map()]),
        measured("attribution/e_mails/failed_checks", checks=CHECKS, verdict="undecided", heat_map=[heat_map()]),
    ]
    html, read = page(make, two)
    assert "reviews: Can these" in html
    assert "e mails: Can these" in html
    assert (read.badges.count("trusted"), read.badges.count("undecided")) == (2, 2)


# --- signs without colour ---------------------------------------------------------------------------------------


def test_a_sign_is_a_kind_of_line_as_well_as_a_colour():
    css = (templates.directory() / "report.css").read_text(encoding="utf-8")
    rules = {
        c: re.search(rf"\.{c}1, \.{c}2, \.{c}3, \.{c}4 \{{(.*?)\}}", css)[1].split("text-decoration: ")[1] for c in "pn"
    }
    assert "solid" in rules["p"]
    assert "dashed" in rules["n"]
    lines = re.findall(r"\.p(\d), \.n\1 \{ --depth: (\d+)%; --line: (\d)px; \}", css)
    assert [int(k) for k, _, _ in lines] == [1, 2, 3, 4]
    for column in (1, 2):
        values = [int(line[column]) for line in lines]
        assert values == sorted(set(values))


def test_the_text_stays_readable_on_the_deepest_colour():
    """WCAG 2.2: contrast of at least 4.5 between the ink and the mixed background, in every theme."""
    from tests.rendering.test_style import CSS, THEMES, contrast

    depth = max(int(d) for d in re.findall(r"--depth: (\d+)%", CSS)) / 100

    def mixed(colour, paper):
        a, b = ([int((c if len(c) == 7 else "#" + "".join(2 * x for x in c[1:]))[i : i + 2], 16) for i in (1, 3, 5)]
                for c in (colour, paper))  # fmt: skip
        return "#" + "".join(f"{round(depth * x + (1 - depth) * y):02x}" for x, y in zip(a, b, strict=True))

    for theme, colours in THEMES.items():
        for sign in ("measured", "fail"):
            assert contrast(colours["ink"], mixed(colours[sign], colours["paper"])) >= 4.5, (theme, sign)
            assert contrast(colours[sign], colours["paper"]) >= 3, (theme, sign)  # the line


# --- attention --------------------------------------------------------------------------------------------------


def squares(picture):
    """{(x, y): side} of the squares of an SVG."""
    found = {}
    for path in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}path"):
        place = re.match(r"translate\(([\d.]+),([\d.]+)\)", path.attrib.get("transform", ""))
        side = re.match(r"M(-[\d.]+),-[\d.]+", path.attrib.get("d", ""))
        if place and side:
            found[float(place[1]), float(place[2])] = -2 * float(side[1])
    return found


def test_the_area_of_a_square_is_the_weight():
    cell = attention_charts.CELL
    rows = [[1.0, 0.0, 0.0], [0.75, 0.25, 0.0], [0.004, 0.996, 0.0]]
    found = squares(attention_charts.attention_matrix(["a", "b", "c"], rows))
    expected = {
        ((j + 0.5) * cell, (i + 0.5) * cell): w for i, row in enumerate(rows) for j, w in enumerate(row) if w >= 0.005
    }
    assert found.keys() == expected.keys()
    for place, weight in expected.items():
        assert (found[place] / (cell - 1)) ** 2 == pytest.approx(weight, abs=0.02)


def test_a_repeated_token_keeps_its_own_row_and_column():
    found = squares(attention_charts.attention_matrix(["the", "nurse", "the"], [[1, 0, 0], [0, 1, 0], [0, 0, 1]]))
    assert len({x for x, _ in found}) == len({y for _, y in found}) == 3


def test_heads_are_lettered_by_their_role():
    drawn = attention_charts.head_grid(
        [[0.9, 0.2], [0.5, 0.0]], [["", "previous_token"], ["same_token", "first_token"]]
    )
    letters = [t.text for t in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    assert [x for x in letters if x in ("P", "F", "S")] == ["P", "S", "F"]
    sides = squares(drawn)
    assert max(sides.values()) == pytest.approx(attention_charts.HEAD - 1, abs=0.1)  # entropy 0: a full square


def test_attention_stands_beside_the_charts_of_its_probe(make):
    (section,) = sections(make(list(attention())))
    assert section.explanation.sets == []
    assert [f.caption for f in section.figures]  # the probe's own charts stay
    (matrix,) = section.explanation.matrices
    assert matrix.caption == "Layer 1, head 2: previous token"
    assert matrix.grid.rows[1] == ["nurse", "0.75", "0.25", "0.00"]
    assert section.explanation.heads.grid.rows == [
        ["Layer 1", "0.550", "2", "—", "—"],
        ["Layer 2", "0.250", "—", "2", "1"],
    ]


# --- what a plug-in may write -----------------------------------------------------------------------------------


def test_hostile_texts_are_inert(make):
    words = {HOSTILE: 1.0, "<img src=x onerror=alert(1)>": -1.0}
    entry = heat_map(words, text=HOSTILE + " <img src=x onerror=alert(1)>", asks=HOSTILE)
    hostile = [
        measured(
            f"attribution/{HOSTILE}/failed_checks", verdict="trusted", heat_map=[entry],
            checks=[{"name": HOSTILE, "outcome": HOSTILE, "limit": HOSTILE}], randomization={HOSTILE: 0.5},
        ),
        measured(f"attribution/{HOSTILE}/preference", drivers=[{"word": HOSTILE, "mean": 1.0}], asks=HOSTILE),
        *attention(tokens=(HOSTILE, "'", HOSTILE), title=HOSTILE),
    ]  # fmt: skip
    html, _ = page(make, hostile)
    assert html.count("<script>") == 1  # our own
    assert "<img" not in html
    assert "\x00" not in html
    assert html.count('class="heat"') == 1


@pytest.mark.parametrize(
    "details",
    [
        {"heat_map": "no list"},
        {"heat_map": [{"words": ["a"], "values": [1.0, 2.0]}, {"words": ["a"], "values": ["x"]}, {}, 3]},
        {"heat_map": [{"words": [], "values": []}]},
        {"checks": [None, {}], "drivers": [{"word": "a"}, {"mean": "x"}], "randomization": [1]},
        {"head_grid": {"entropy": [[0.1, "x"]], "roles": [["", ""]]}},
        {"head_grid": {"entropy": [[0.1, 0.2]], "roles": [[""]]}},
        {"head_grid": {"entropy": [], "roles": []}},
        {"head_grid": [[0.1]]},
        {"matrices": [{"tokens": ["a", "b"], "weights": [[1.0]]}, {"tokens": [], "weights": []}, {"tokens": "ab"}]},
        {"matrices": [{"tokens": ["a"], "weights": [[2.0]]}, {"tokens": ["a"], "weights": [[None]]}, "x"]},
    ],
)
def test_details_of_another_shape_are_left_out(make, details):
    html, read = page(make, [measured("other/all/score", **details)])
    assert 'class="heat"' not in html
    assert 'class="pictures matrices"' not in html
    assert not [w for w in read.words if w["value"]]


def test_an_ordinary_probe_has_no_such_part(make):
    (section,) = sections(make([measured("crows_pairs/all/metric_score", 55.0)]))
    assert section.explanation is None
