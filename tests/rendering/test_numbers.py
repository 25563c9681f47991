"""Every number has its place on the page, however many there are, and the page stays small."""

import re
import runpy
import time
from pathlib import Path

from auditkit.measurement import Interval, Measurement
from auditkit.rendering import sections
from auditkit.rendering.citation import anchor
from auditkit.rendering.html import render


def test_a_report_of_all_modules_keeps_its_budget_and_its_order():
    full = runpy.run_path(str(Path(__file__).parents[1] / "fixtures" / "make_full_report.py"))["full_report"]()
    html = render(full)
    assert len(html.encode()) <= 900_000
    ids = re.findall(r'<[^>]* id="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'<[^>]* href="#([^"]+)"', html)) <= set(ids)
    assert {anchor(m.id) for m in full.measurements} <= set(ids)


def test_a_thousand_measurements(make):
    """Wall time is for the benchmark (benchmarks/report_page.py); this bound only tells a regression from noise."""
    measurements = [
        Measurement(
            id=f"probe_{i % 20}/group_{i // 20 % 10}/metric_{i // 200}", value=50.0, n=1, interval=Interval(40, 60)
        )
        for i in range(1000)
    ]
    report = make(measurements)
    start = time.process_time()
    html = render(report)
    assert time.process_time() - start < 8
    assert len(html.encode()) <= 900_000
    assert html.count('<tr id="m-') == 1000


def test_a_number_that_is_the_same_in_every_row_is_said_once(make):
    rows = [
        Measurement(id=f"p/g{i}/s", value=1.0, n=1, interval=Interval(0, 2), details={"comparisons": 7, "clusters": i})
        for i in range(5)
    ]
    (section,) = sections.sections(make(rows))
    (table,) = [figure.table for figure in section.figures]
    assert (table.columns, table.constants) == (["clusters"], [("comparisons", "7")])
    assert "comparisons 7 throughout" in render(make(rows))
    (fewer,) = sections.sections(make(rows[:4]))
    assert fewer.figures[0].table.constants == []


def test_a_verdict_links_to_its_number_and_only_where_there_is_one(make):
    m = Measurement(id="p/g/s", value=1.0, n=1, interval=Interval(0, 2))
    html = render(make([m], rules=[{"measurement": "p/g/s", "max": 5}, {"measurement": "q/g/s", "max": 5}]))
    assert '<a href="#m-p/g/s">' in html
    assert "#m-q" not in html
