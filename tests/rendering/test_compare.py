from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from auditkit.measurement import Interval, Measurement
from auditkit.rendering.compare import compare, compare_all, overview, to_html, to_markdown

N = 120


@pytest.fixture
def jitter():
    """What differs by chance between two models on the same items: small, and 0 on average."""
    drawn = np.random.default_rng(1).normal(0, 0.5, N)
    return drawn - drawn.mean()


def report_of(make, values, *, id="p/g/s", x=None, keep=slice(None), **more):
    values = np.asarray(values, dtype=float)
    items = pd.DataFrame(
        {
            "measurement": id,
            "item": [f"i{i:03d}" for i in range(len(values))],
            "value": values,
            "cluster": "",
            "x": np.full(len(values), np.nan) if x is None else x,
        }
    )
    estimate = values.mean() if x is None else np.polyfit(x, values, 1)[0]
    m = Measurement(id=id, value=float(estimate), interval=Interval(estimate - 9, estimate + 9), n=len(values))
    return make([m], items=items[keep], **more)


@pytest.fixture
def noise():
    return np.random.default_rng(0).normal(0, 10, N)


def test_planted_change_is_found_although_the_intervals_overlap(make, noise, jitter):
    """Items differ by +-10 between them, the models by 1 on each: only pairing can see it."""
    (change,) = compare(report_of(make, noise), report_of(make, noise + 1 + jitter)).changes
    assert change.kind == "changed"
    assert change.n == N
    assert change.difference == pytest.approx(1)
    assert change.difference in change.interval
    assert change.interval.high - change.interval.low < 0.5


def test_planted_null_is_not_found(make, noise, jitter):
    (change,) = compare(report_of(make, noise), report_of(make, noise + jitter)).changes
    assert change.kind == "no clear change"
    assert change.difference == pytest.approx(0, abs=1e-9)


def test_items_are_paired_by_name_not_by_place(make, noise, jitter):
    backwards = report_of(make, noise + 1 + jitter, keep=slice(None, None, -1))
    (change,) = compare(report_of(make, noise), backwards).changes
    assert change.difference == pytest.approx(1)
    assert change.interval.high - change.interval.low < 0.5


def test_slopes_are_compared_as_slopes(make, noise, jitter):
    x = np.linspace(0, 1, N)
    (change,) = compare(report_of(make, noise, x=x), report_of(make, noise + 3 * x + jitter, x=x)).changes
    assert change.difference == pytest.approx(3 + np.polyfit(x, jitter, 1)[0])
    assert change.kind == "changed"


def test_scores_that_do_not_give_the_value_are_not_paired(make, noise):
    a, b = report_of(make, noise), report_of(make, noise + 1)
    off = replace(b, measurements=[replace(b.measurements[0], value=b.measurements[0].value + 0.5)])
    (change,) = compare(a, off).changes
    assert (change.kind, change.difference, change.interval) == ("not comparable", None, None)


def test_new_lost_and_without_value(make):
    def m(id, value=1.0):
        status = "ok" if value is not None else "undefined"
        return Measurement(id=id, value=value, n=1, status=status)

    result = compare(
        make([m("lost/a/s"), m("both/a/s"), m("gone/a/s")]), make([m("both/a/s"), m("gone/a/s", None), m("new/a/s")])
    )
    assert {change.id: change.kind for change in result.changes} == {
        "lost/a/s": "lost",
        "new/a/s": "new",
        "gone/a/s": "no value",
        "both/a/s": "not comparable",
    }
    assert result.headline == "4 measurements: 1 new, 1 lost, 1 no value, 1 not comparable."


def test_differences_of_subject_environment_and_seed(make):
    a = replace(make(subject={"device": "cpu", "old": 1}), environment={"libraries": {"torch": "2.1"}})
    b = replace(make(subject={"device": "cuda", "new": True}), environment={"libraries": {"torch": "2.2"}}, seed=3)
    assert [tuple(fact) for fact in compare(a, b).facts] == [
        ("subject.device", "cpu", "cuda"),
        ("subject.old", "1", "—"),
        ("environment.libraries.torch", "2.1", "2.2"),
        ("seed", "0", "3"),
        ("subject.new", "—", "yes"),
    ]


def test_a_report_against_itself(report):
    result = compare(report, report)
    assert result.facts == []
    assert {change.kind for change in result.changes} == {"not comparable", "no value"}  # the sample has no item scores


def test_the_same_scores_are_no_change(make, noise):
    (change,) = compare(report_of(make, noise), report_of(make, noise)).changes
    assert (change.kind, change.difference, change.interval.low, change.interval.high) == ("no clear change", 0, 0, 0)


def test_a_shift_without_any_spread_gets_no_interval_and_a_reason(make, noise):
    whole = np.round(noise)
    (change,) = compare(report_of(make, whole), report_of(make, whole + 1)).changes
    assert (change.kind, change.difference, change.interval) == ("not comparable", 1, None)
    assert "spread" in change.note


def test_markdown_and_html_show_the_same_numbers(make, noise, jitter, hostile):
    result = compare(report_of(make, noise), report_of(make, noise + 1 + jitter))
    assert "| changed | p/g/s |" in to_markdown(result)
    low = f"{result.changes[0].interval.low:.2f} to "
    assert low in to_markdown(result)
    assert low in to_html(result)
    page = to_html(compare(hostile, hostile))
    assert page.count("<script>") == 1


# --- several reports --------------------------------------------------------------------------------------------


@pytest.fixture
def three(make, noise, jitter):
    """The first, one that is 1 higher on every item, and one that differs by chance only."""
    return [report_of(make, noise, created=f"2026-01-0{i}T00:00:00+00:00") for i in (1,)] + [
        report_of(make, noise + 1 + jitter, created="2026-01-02T00:00:00+00:00"),
        report_of(make, noise + jitter, created="2026-01-03T00:00:00+00:00"),
    ]


def test_each_report_is_compared_with_the_first(three):
    found = compare_all(three)
    assert [c.changes[0].kind for c in found] == ["changed", "no clear change"]
    assert [c.changes[0] for c in found] == [compare(three[0], other).changes[0] for other in three[1:]]
    assert [(c.before, c.after) for c in found] == [
        ("m, 2026-01-01 00:00", "m, 2026-01-02 00:00"),
        ("m, 2026-01-01 00:00", "m, 2026-01-03 00:00"),
    ]


def test_the_overview_has_every_report(three, make):
    new = make([Measurement(id="new/a/s", value=7.0, n=1)], subject={"name": "other"})
    header, rows = overview(compare_all([*three, new]))
    assert header == ["Measurement", "m, 2026-01-01 00:00", "m, 2026-01-02 00:00", "m, 2026-01-03 00:00", "other"]
    first, second = sorted(rows, reverse=True)
    assert first[0] == "p/g/s"
    assert [cell.partition("(")[2] for cell in first[2:]] == ["changed)", "no clear change)", "lost)"]
    assert second == ("new/a/s", "—", "—", "—", "7.00 (new)")


@pytest.mark.parametrize("draw", [to_html, to_markdown])
def test_several_reports_are_drawn_alike_each_time(three, draw):
    text = draw(*compare_all(three)).replace("\\", "")
    assert text == draw(*compare_all(three)).replace("\\", "")
    assert "All reports" in text
    assert text.count("1 measurements: 1 changed.") == 1
    assert text.count("1 measurements: 1 no clear change.") == 1


def test_names_are_told_apart_by_number_where_the_times_are_equal(make):
    reports = [make(), make(), make(subject={"name": "other"})]
    assert [c.after for c in compare_all(reports)] == ["m, no. 2", "other"]


def test_probes_are_compared(make):
    from auditkit.report import ProbeRun

    found = compare(make(runs=[ProbeRun("a", "ok")]), make(runs=[ProbeRun("a", "error", "boom"), ProbeRun("b", "ok")]))
    assert found.probe_rows() == [("changed", "a", "ok", "error: boom"), ("new", "b", "—", "ok")]
    assert "| changed | a | ok | error: boom |" in to_markdown(found)
    assert "boom" in to_html(found)


def test_why_two_values_are_not_comparable_is_said(make, noise):
    a = report_of(make, noise)
    moved = replace(a, _items=a.items.assign(item=[f"other{i}" for i in range(N)]))
    found = compare(a, moved)
    assert "share no item" in found.changes[0].note
    assert found.changes[0].cells()[0] == f"not comparable: {found.changes[0].note}"
    assert found.changes[0].cells()[6:] == ("—", "—", "—")
    assert all(found.changes[0].note.split(";")[0] in page for page in (to_html(found), to_markdown(found)))
    assert "the later report has no item scores" in compare(a, replace(a, _items=None)).changes[0].note


def test_correlations_are_compared_item_by_item(make, noise, jitter):
    x = np.linspace(0, 1, N)

    def of(values):
        made = report_of(make, values, x=x)
        m = replace(made.measurements[0], value=float(np.corrcoef(x, values)[0, 1]), interval=None)
        return replace(made, measurements=[replace(m, details={"over_items": "correlation"})])

    before, after = of(noise), of(noise + 5 * x + jitter)
    (change,) = compare(before, after).changes
    assert change.kind == "changed"
    assert change.difference == pytest.approx(after["p/g/s"].value - before["p/g/s"].value)
    assert change.difference in change.interval
    assert compare(before, before).changes[0].kind == "no clear change"
