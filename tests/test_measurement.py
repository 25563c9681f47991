"""A measurement survives JSON unchanged, and refuses what JSON cannot carry."""

import json
import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.errors import ReportError
from auditkit.measurement import Interval, Measurement

finite = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def around(value: float) -> st.SearchStrategy[Interval]:
    """Intervals that hold a value."""
    return st.builds(
        lambda ends, level, method: Interval(min(*ends, value), max(*ends, value), level, method),
        st.tuples(finite, finite),
        st.floats(0.95, 1),
        st.text(),
    )


@st.composite
def measurements(draw: st.DrawFn) -> Measurement:
    status = draw(st.sampled_from(["ok", "skipped", "error", "undefined"]))
    value = draw(finite) if status == "ok" else None
    return Measurement(
        id=draw(st.text()),
        value=value,
        interval=None if value is None else draw(st.none() | around(value)),
        n=draw(st.integers(int(status == "ok"))),
        unit=draw(st.text().filter(lambda unit: unit != "%")),
        ideal=draw(st.none() | finite),
        status=status,
        method=draw(st.text()),
        source=draw(st.text()),
        seed=draw(st.none() | st.integers(0)),
        details=draw(st.dictionaries(st.text(), json_values, max_size=4)),
    )


@given(measurements())
def test_json_loses_nothing(measurement):
    text = json.dumps(measurement.to_json(), allow_nan=False)
    back = Measurement.from_json(json.loads(text))
    assert back == measurement
    assert json.dumps(back.to_json()) == text  # also the order of the keys and the sign of zero


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["value", "ideal", "details"])
def test_nan_and_infinity_are_refused_wherever_they_hide(bad, field):
    hidden = {"a": [{"b": bad}]} if field == "details" else bad
    with pytest.raises(ValueError, match="use status 'undefined'"):
        Measurement(**{"id": "a/b/c", "value": 1.0, "n": 1, field: hidden})


@pytest.mark.parametrize(
    ("low", "high", "level"),
    [(math.nan, 1, 0.95), (0, math.inf, 0.95), (2, 1, 0.95), (0, 1, 0), (0, 1, 95), (0, 1, math.nan)],
)
def test_impossible_intervals_are_refused(low, high, level):
    with pytest.raises(ValueError, match="expected"):
        Interval(low, high, level)


@pytest.mark.parametrize("foreign", [{1, 2}, (1, 2), 1j, {1: "a"}, object()])
def test_what_json_cannot_carry_is_refused(foreign):
    with pytest.raises(ValueError, match=r"not a JSON value|must be a string"):
        Measurement(id="a/b/c", value=1.0, n=1, details={"x": foreign})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"id": 3}, "id is of type int; expected str"),
        ({"value": "1.0"}, r"value is of type str; expected int \| float \| None"),
        ({"n": np.int64(3)}, "n is of type int64; expected int"),
        ({"details": []}, "details is of type list; expected Mapping"),
        ({"interval": (0, 1)}, "interval is of type tuple"),
    ],
)
def test_wrong_types_show_at_once_and_not_when_a_page_is_drawn(wrong, message):
    with pytest.raises(TypeError, match=message):
        Measurement(**{"id": "a/b/c", "value": 1.0, "n": 1} | wrong)
    with pytest.raises(TypeError, match="method is of type list; expected str"):
        Interval(0, 1, method=[])
    with pytest.raises(ValueError, match="status 'fine'; expected one of ok, skipped, error, undefined"):
        Measurement(id="a", value=None, status="fine")


def test_value_and_status_agree():
    with pytest.raises(ValueError, match="needs a value"):
        Measurement(id="a", value=None)
    with pytest.raises(ValueError, match="may not carry a value"):
        Measurement(id="a", value=1.0, status="skipped")


def test_frozen_and_its_parts():
    measurement = Measurement(id="crows_pairs/gender/score", value=1.0, interval=Interval(0, 2), n=1)
    with pytest.raises(FrozenInstanceError):
        measurement.value = 2.0
    with pytest.raises(FrozenInstanceError):
        measurement.interval.low = 1
    assert measurement.probe == "crows_pairs"
    assert 2 in measurement.interval
    assert 2.1 not in measurement.interval
    more = measurement.with_details(p_value=0.5)
    assert (more.details, measurement.details) == ({"p_value": 0.5}, {})


@pytest.mark.parametrize(
    "damage",
    [{"value": math.nan}, {"value": None}, {"interval": {"low": 2, "high": 1}}, {"interval": 3}, {"colour": "red"}],
)
def test_damaged_json_is_a_report_error(damage):
    whole = Measurement(id="a/b/c", value=1.0, n=1).to_json()
    with pytest.raises(ReportError, match="'a/b/c' is damaged"):
        Measurement.from_json(whole | damage)


def test_a_missing_key_is_a_report_error():
    whole = Measurement(id="a/b/c", value=1.0, n=1).to_json()
    for key in ("id", "value", "interval"):
        with pytest.raises(ReportError, match="is damaged"):
            Measurement.from_json({k: v for k, v in whole.items() if k != key})
