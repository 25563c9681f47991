import pytest

from auditkit.measurement import Interval, Measurement
from auditkit.rendering.formatting import (
    flat,
    interval,
    limit,
    number,
    one_line,
    parts,
    plain,
    printable,
    shortened,
    together,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (0.0, "0"),
        (-0.0, "0"),
        (61.447, "61.45"),
        (-3.5, "\N{MINUS SIGN}3.50"),
        (0.9999, "1.00"),
        (0.0312, "0.031"),
        (0.00049, "4.9e-04"),
        (-7.77e-05, "\N{MINUS SIGN}7.8e-05"),
        (1508, "1,508"),
        (12345.0, "12,345"),
        (2.5e7, "25,000,000"),
        (25_000_000.5, "2.5e+07"),
    ],
)
def test_number(value, text):
    assert number(value) == text


def test_numbers_read_together_have_the_same_decimals():
    assert together(0.95, 1.2) == ["0.95", "1.20"]
    assert together(-0.001, 1.5) == ["0.00", "1.50"]  # not "minus nothing"
    assert together(0.1, -0.25) == ["0.100", "\N{MINUS SIGN}0.250"]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (None, "—"),
        (Interval(58.02, 64.871), "58.02 to 64.87"),
        (Interval(3.0, 3.0), "exact"),
        (Interval(0.25, 0.5, level=0.9833), "0.250 to 0.500 (98.33 %)"),
    ],
)
def test_interval(given, text):
    assert interval(given) == text


@pytest.mark.parametrize(
    ("id", "expected"),
    [("p/g/m", ("g", "m")), ("p/a/b/m", ("a/b", "m")), ("p/m", ("all", "m")), ("p", ("all", "p"))],
)
def test_parts_of_an_id(id, expected):
    assert parts(Measurement(id=id, value=1.0, n=1)) == expected


def test_words():
    assert plain("within_word_pll") == "within word PLL"
    assert plain("p_value_holm") == "p (Holm)"
    assert limit("<= 55") == "≤\N{NARROW NO-BREAK SPACE}55"
    assert shortened("abcdef", 4) == "abc…"
    assert shortened("abcd", 4) == "abcd"


def test_nested_values_become_rows():
    assert flat({"a": {"b": True, "c": {}}, "d": [1, None], "e": ""}) == [("a.b", "yes"), ("d", "1, —"), ("e", "—")]


def test_printable_replaces_only_what_files_refuse_and_screens_obey():
    assert printable("a\x00b\ud800c\td\né\u200f") == "a\ufffdb\ufffdc\td\né\u200f"
    for obeyed in "\x1b\x7f\x9b\u202e\u2067":
        assert printable(f"a{obeyed}b") == "a\ufffdb"


def test_one_line_is_one_line():
    assert one_line("a\r\n\tb\x85c\u2028::error::d\x0be") == "a b c ::error::d e"
    assert one_line("x" * 10**6) == "x" * 1999 + "…"
