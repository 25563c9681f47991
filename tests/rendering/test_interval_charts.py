import itertools
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.rendering.formatting import MINUS
from auditkit.rendering.interval_charts import (
    CHARACTER,
    LABEL_WIDTH,
    PLOT_WIDTH,
    IntervalRow,
    domain,
    interval_plot,
    ticks,
)

ANY = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([0.0, 100.0], ["0", "20", "40", "60", "80", "100"]),
        ([-0.4, 0.1], [MINUS + "0.4", MINUS + "0.3", MINUS + "0.2", MINUS + "0.1", "0.0", "0.1"]),
        ([0.951, 0.9534], ["0.9510", "0.9515", "0.9520", "0.9525", "0.9530"]),
        ([0.0, 26000.0], ["0", "5,000", "10,000", "15,000", "20,000", "25,000"]),
        ([0.0, 3e-6], ["0", "1e-06", "2e-06", "3e-06"]),
        ([3.0], ["2.8", "2.9", "3.0", "3.1", "3.2"]),
    ],
)
def test_ticks_are_round_numbers(numbers, expected):
    assert [text for _, text in ticks(*domain(numbers))] == expected


def parsed(text):
    return float(text.replace(MINUS, "-").replace(",", ""))


@given(st.lists(ANY, min_size=1, max_size=5))
def test_any_numbers_have_an_axis_that_can_be_read(numbers):
    start, end = domain(numbers)
    found = ticks(start, end)
    assert found
    assert all(start <= value <= end for value, _ in found)
    assert sum(len(text) for _, text in found) * CHARACTER <= PLOT_WIDTH
    texts = [text for _, text in found]
    assert len(set(texts)) == len(texts)
    span = end - start
    assert all(abs(parsed(text) - value) <= 0.01 * span for value, text in found)


@given(st.lists(st.tuples(ANY, ANY, ANY).map(sorted), min_size=1, max_size=4))
def test_every_mark_lies_in_the_plot_and_in_order(given_rows):
    rows = [IntervalRow("row", value, low, high) for low, value, high in given_rows]
    root = ElementTree.fromstring(interval_plot(rows, axis="x", ideal=None))
    at = [float(c.attrib["cx"]) for c in root.findall(".//{*}circle")]
    assert len(at) == len(rows)
    assert all(LABEL_WIDTH <= x <= LABEL_WIDTH + PLOT_WIDTH for x in at)
    ordered = sorted(zip([row.value for row in rows], at, strict=True))
    assert all(a[1] <= b[1] for a, b in itertools.pairwise(ordered))


def test_an_interval_of_no_width_is_no_line():
    assert "<line" not in interval_plot([IntervalRow("exact", 1.0, 1.0, 1.0)], axis="x", ideal=None)


def test_rows_of_the_same_name_are_two_rows():
    root = ElementTree.fromstring(interval_plot([IntervalRow("a", 1.0, 1.0, 1.0)] * 2, axis="x", ideal=None))
    assert len({c.attrib["cy"] for c in root.findall(".//{*}circle")}) == 2


@pytest.mark.parametrize(("label", "shown"), [("long_" * 9, "long long long long l…"), ("中" * 30, "中" * 10 + "…")])
def test_a_long_label_is_cut(label, shown):
    chart = interval_plot([IntervalRow(label, 1.0, 0.0, 2.0)], axis="x", ideal=None)
    assert re.search('text-anchor="end"[^>]*>([^<]*)<', chart)[1] == shown
