"""A folder of reports: in the order of their time, and what cannot be used is named."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from auditkit.errors import InputError, ReportError
from auditkit.history import collect, load_baseline, series
from auditkit.measurement import Interval, Measurement
from auditkit.rendering import history as page
from auditkit.rendering.history_charts import TrendPoint, trend
from auditkit.report import AuditReport, ProbeRun

ID = "p/g/s"


def report(
    value=1.0, *, created="2026-01-01T00:00:00+00:00", weights="aa", numpy="1", data="d", n=10, extra=(), rules=()
):
    m = Measurement(
        id=ID, value=value, interval=Interval(value - 1, value + 1), n=n, ideal=0.0, details={"data_sha256": data}
    )
    made = AuditReport(
        subject={"name": "m", "weights_sha256": weights},
        environment={"libraries": {"numpy": numpy}},
        config={},
        seed=0,
        runs=[ProbeRun(probe, "ok") for probe in dict.fromkeys(m.probe for m in [m, *extra])],
        measurements=[m, *extra],
        created=created,
    )
    return replace(made, verdicts=tuple(made.gate(rules))) if rules else made


def day(n, hour="00"):
    return f"2026-01-{n:02d}T{hour}:00:00+00:00"


@pytest.fixture
def folder(tmp_path):
    """Four reports whose names are not in the order of their times; the model, the data and numpy change once each."""
    report(1.0, created=day(1)).save(tmp_path / "z" / "report.json")
    report(2.0, created=day(2), numpy="2").save(tmp_path / "a" / "deep" / "report.json")
    report(3.0, created=day(3), numpy="2", weights="bb").save(tmp_path / "report.json")
    report(4.0, created=day(4), numpy="2", weights="bb", data="e").save(tmp_path / "b" / "report.json")
    return tmp_path


def spoil(folder):
    """Add five files that cannot be used; returns their folders."""
    bad = {"broken": "{", "list": "[]", "schema": '{"schema": 99}'}
    for name, text in bad.items():
        (folder / name).mkdir()
        (folder / name / "report.json").write_text(text)
    report(created="yesterday").save(folder / "undated" / "report.json")
    (folder / "copy").mkdir()
    (folder / "copy" / "report.json").write_bytes((folder / "b" / "report.json").read_bytes())
    return {*bad, "undated", "copy"}


def test_reports_come_in_the_order_of_their_time(folder):
    history = collect(folder)
    assert [e.path for e in history.entries] == ["z/report.json", "a/deep/report.json", "report.json", "b/report.json"]
    assert history.left_out == []


def test_times_of_other_zones_are_compared_as_times(tmp_path):
    report(created="2026-01-01T12:00:00+05:00").save(tmp_path / "b" / "report.json")
    report(created="2026-01-01T08:00:00+00:00").save(tmp_path / "a" / "report.json")
    report(created="2026-01-01T07:30:00").save(tmp_path / "c" / "report.json")  # no zone: UTC
    assert [e.path[0] for e in collect(tmp_path).entries] == ["b", "c", "a"]


def test_what_cannot_be_used_is_counted_and_named(folder):
    spoiled = spoil(folder)
    history = collect(folder)
    assert len(history.entries) == 4
    reasons = {file.path.split("/")[0]: file.reason for file in history.left_out}
    assert set(reasons) == spoiled
    assert reasons["schema"].startswith("schema 99; this version reads schema")
    assert "not a readable report" in reasons["broken"]
    assert "'yesterday' is not a time" in reasons["undated"]
    assert reasons["copy"] == "the same as b/report.json"
    html = page.to_html(history)
    assert "5 files called report.json could not be used" in html
    assert all(file.path in html for file in history.left_out)


def test_nothing_to_show_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no folder"):
        collect(tmp_path / "missing")
    with pytest.raises(InputError, match=r"no report\.json under"):
        collect(tmp_path)
    (tmp_path / "report.json").write_text("{")
    with pytest.raises(InputError, match=r"report\.json: is not a readable report"):
        collect(tmp_path)


def test_each_change_is_marked_where_it_happens(folder):
    points = series(collect(folder))[ID]
    assert [(p.number, p.measurement.value, p.changed) for p in points] == [
        (1, 1.0, ()),
        (2, 2.0, ("versions",)),
        (3, 3.0, ("model",)),
        (4, 4.0, ("data",)),
    ]


def test_another_number_of_items_is_other_data(tmp_path):
    for i, n in enumerate((10, 10, 11), 1):
        report(created=day(i), n=n).save(tmp_path / str(i) / "report.json")
    assert [p.changed for p in series(collect(tmp_path))[ID]] == [(), (), ("data",)]


def test_the_worst_verdict_is_shown(tmp_path):
    rules = [{"measurement": ID, "max": 9}, {"measurement": ID, "max": -9}]
    report(rules=rules).save(tmp_path / "report.json")
    assert [p.outcome for p in series(collect(tmp_path))[ID]] == ["FAIL"]


def test_a_measurement_that_comes_and_goes_keeps_the_numbers_of_its_reports(tmp_path):
    other = Measurement(id="q/g/s", value=5.0, n=1)
    for i, extra in enumerate(([other], [], [other]), 1):
        report(created=day(i), extra=extra).save(tmp_path / str(i) / "report.json")
    assert [p.number for p in series(collect(tmp_path))["q/g/s"]] == [1, 3]


def test_the_pattern_selects(folder):
    assert list(series(collect(folder), "p/*/s")) == [ID]
    assert series(collect(folder), "nothing/*") == {}
    with pytest.raises(InputError, match="none of 1 ids fits; the first is p/g/s"):
        page.to_html(collect(folder), "nothing/*")


# --- the page ---------------------------------------------------------------------------------------------------


def test_every_value_stands_in_the_table_beside_the_chart(folder):
    html = page.to_html(collect(folder))
    figure = html.partition("<figure")[2].partition("</figure>")[0]
    rows = [re.sub("<[^>]+>", "|", row) for row in re.findall(r"<tr>(.*?)</tr>", figure)[1:]]
    assert len(rows) == 4
    assert all(f"|{i}.00|" in row for i, row in enumerate(rows, 1))
    assert "|0.00 to 2.00|" in rows[0]
    assert [word for row in rows for word in ("versions", "model", "data") if f"|{word}|" in row] == [
        "versions",
        "model",
        "data",
    ]
    drawn = [text for text in re.findall(r"<text[^>]*>([^<]*)</text>", figure) if text in "VMD"]
    assert sorted(drawn) == ["D", "M", "V"]


def test_the_same_files_give_the_same_bytes(folder):
    assert page.to_html(collect(folder)) == page.to_html(collect(folder))


def test_what_is_not_drawn_is_in_its_table(folder, monkeypatch):
    extra = [Measurement(id=f"q/g/{i}", value=float(i), n=1) for i in range(3)]
    report(created=day(9), extra=extra, rules=[{"measurement": "q/g/2", "max": 9}]).save(folder / "n" / "report.json")
    monkeypatch.setattr(page, "MAX_CHARTS", 2)
    html = page.to_html(collect(folder))
    assert "4 measurements, 2 drawn" in html
    assert html.count('class="chart"') == 2
    assert html.count("not drawn: only the first 2 are") == 2
    assert re.findall(r'<code class="block">(q/g/2|p/g/s)</code>', html) == ["q/g/2", "p/g/s"]  # the judged one first


def test_a_series_without_any_value_is_a_table(tmp_path):
    none = Measurement(id="q/g/s", value=None, status="undefined", details={"reason": "x"})
    report(extra=[none]).save(tmp_path / "report.json")
    assert "not drawn: no value" in page.to_html(collect(tmp_path))


def test_the_line_ends_where_something_else_changed():
    def lines(marks):
        points = [TrendPoint(i, float(i), i - 1.0, i + 1.0, marks=mark) for i, mark in enumerate(marks, 1)]
        svg = trend(points, reports=4, axis="score", ideal=None)
        return [d.count("L") for d in re.findall(r'<path[^>]*d="(M[^"]*)"[^>]*stroke="#777f8a"', svg)]

    assert sum(lines(["", "", "", ""])) == 3
    assert sum(lines(["", "", "M", ""])) == 2
    assert sum(lines(["", "V", "M", "D"])) == 0


# --- the baseline -----------------------------------------------------------------------------------------------


def test_the_newest_report_of_a_folder_is_the_baseline(folder):
    spoil(folder)
    found, said = load_baseline(folder)
    assert found["p/g/s"].value == 4.0
    assert said.endswith(f"newest of 4 ({day(4)}); 5 other files were left out")


def test_a_file_is_taken_as_it_is(folder):
    found, said = load_baseline(folder / "z" / "report.json")
    assert (found["p/g/s"].value, said) == (1.0, f"baseline: {folder / 'z' / 'report.json'}")


@pytest.mark.parametrize("name", ["missing", "missing.json"])
def test_a_baseline_that_is_not_there_is_an_error_with_the_fix(folder, name):
    with pytest.raises(InputError, match=f"no report at .*{name}; give a report.json or a folder of them"):
        load_baseline(folder / name)


def test_a_damaged_baseline_is_an_error(folder):
    Path(folder / "x.json").write_text("{")
    with pytest.raises(ReportError):
        load_baseline(folder / "x.json")
