"""The canonical form is that of RFC 8785: it changes exactly when a value does."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.errors import ReportError
from auditkit.integrity import canonical

# RFC 8785, appendix B: the bits of a double and how it is written.
RFC_8785_NUMBERS = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}


@pytest.mark.parametrize(("bits", "text"), RFC_8785_NUMBERS.items())
def test_numbers_are_written_as_the_rfc_writes_them(bits, text):
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical.canonical(number).decode() == text


def test_keys_strings_and_white_space_are_written_as_the_rfc_writes_them():
    # The examples of RFC 8785, sections 3.2.2 and 3.2.3 (keys in the order of their UTF-16 code units).
    text = r"""{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]}"""
    given = json.loads(text)
    expected = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert canonical.canonical(given).decode() == expected
    keys = ["€", "\r", "\ufb33", "1", "\U0001f600", "\x80", "ö"]
    ordered = list(json.loads(canonical.canonical(dict.fromkeys(keys))))
    assert ordered == ["\r", "1", "\x80", "ö", "€", "\U0001f600", "\ufb33"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
).filter(lambda value: "\\ud" not in json.dumps(value).lower())


@given(JSON, st.integers(0, 8), st.randoms())
def test_white_space_and_the_order_of_keys_are_no_change(value, indent, shuffle):
    def shuffled(inner):
        if isinstance(inner, dict):
            keys = list(inner)
            shuffle.shuffle(keys)
            return {key: shuffled(inner[key]) for key in keys}
        return [shuffled(entry) for entry in inner] if isinstance(inner, list) else inner

    text = json.dumps(shuffled(value), indent=indent, ensure_ascii=bool(indent % 2))
    assert canonical.sha256(canonical.parse(text)) == canonical.sha256(canonical.parse(json.dumps(value)))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_canonical_number_reads_back_as_the_same_double(number):
    assert float(canonical.canonical(number)) == number


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0.1", "0.10000000000000001"),  # the same double
        ("9007199254740992", "9007199254740993"),  # the same double
        ("1e400", "1e401"),  # no double
        ("0", "1e-400"),
        ("1", "true"),
        ('"1"', "1"),
    ],
)
def test_digits_that_a_double_would_round_away_count(one, other):
    assert canonical.sha256(canonical.parse(one)) != canonical.sha256(canonical.parse(other))


@pytest.mark.parametrize(("one", "other"), [("1", "1.0"), ("1e2", "100"), ("-0.0", "0"), ("4.50", "4.5")])
def test_another_way_to_write_a_number_is_no_change(one, other):
    assert canonical.canonical(canonical.parse(one)) == canonical.canonical(canonical.parse(other))


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', "NaN", "-Infinity", "[1,", "[" * 100_000, "\xff"])
def test_what_readers_could_disagree_on_is_refused(text, tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ReportError, match=r"x\.json is not readable JSON"):
        canonical.read(path)
