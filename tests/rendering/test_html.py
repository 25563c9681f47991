import re
import time
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from auditkit.measurement import Interval, Measurement
from auditkit.rendering import sections
from auditkit.rendering.html import render
from auditkit.report import AuditReport, ProbeRun

VOID = {"meta", "br", "wbr", "link", "input", "img", "hr", "base"}


class Page(HTMLParser):
    """Every element with its attributes, and the text inside each kind of element."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.texts, self.stack = [], [], []
        self.feed(html)
        assert self.stack == [], f"never closed: {self.stack}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.stack[-1] if self.stack else "", data))

    def all(self, tag):
        return [attrs for found, attrs in self.elements if found == tag]

    def text(self):
        return " ".join("".join(t for tag, t in self.texts if tag not in ("style", "script")).split())


@pytest.fixture(scope="module")
def html(report):
    return render(report)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_one_file_that_asks_for_nothing(html, page):
    policy = page.all("meta")[1]["content"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    fetching = [
        (t, a) for t, attrs in page.elements for a in attrs if a in ("src", "srcset", "style") or a.startswith("on")
    ]
    assert fetching == []
    targets = [attrs.get("href", "") for _, attrs in page.elements if "href" in attrs]
    assert targets
    assert all(target.startswith("#") for target in targets)
    assert "url(" not in html
    assert "@import" not in html
    assert len(page.all("script")) == 1


def test_script_and_size_budgets(html):
    assert len(re.search(r"<script>(.*?)</script>", html, re.S)[1].encode()) <= 5_000
    assert len(html.encode()) <= 600_000


def test_same_report_same_bytes(report, html, sample):
    assert render(sample["sample_report"]()) == html
    assert render(replace(report, created="2030-01-01T00:00:00+00:00")) != html
    slower = [replace(run, seconds=run.seconds + 9) for run in report.runs]
    assert render(replace(report, runs=slower)) == html


def test_rendering_is_quick(report):
    start = time.process_time()
    render(report)
    assert time.process_time() - start < 5


def test_verdict_comes_first(page):
    text = page.text()
    order = [
        "minilm-mlm",
        "could not be judged",
        "What is not known",
        "Each rule sets a limit",
        "Coverage",
        "Provenance",
    ]
    places = [text.rindex(part) if part in ("Coverage", "Provenance") else text.index(part) for part in order]
    assert places == sorted(places)
    assert [attrs.get("lang") for attrs in page.all("html")] == ["en"]


def test_headings_skip_no_level(page):
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))  # noqa: RUF007


def test_every_table_says_what_it_is(page):
    assert len(page.all("table")) == len(page.all("caption"))
    assert all("scope" in attrs for attrs in page.all("th"))


def test_ids_are_unique_and_links_arrive(page):
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {attrs["href"][1:] for _, attrs in page.elements if "href" in attrs} <= set(ids)


def test_every_measurement_is_on_the_page(report, html):
    """Each value, its interval and its n in one row; what is "all" may be in any of the tables."""
    rows = [" ".join(Page(f"<table>{row}</table>").text().split()) for row in re.findall(r"<tr\b.*?</tr>", html, re.S)]
    from auditkit.rendering.formatting import interval, number

    for m in report.measurements:
        wanted = [number(m.value), interval(m.interval), number(m.n)] if m.status == "ok" else [m.details["reason"]]
        wanted = [" ".join(w.split()) for w in wanted]
        assert any(all(w in row for w in wanted) for row in rows), m.id


def test_outcomes_are_words_not_only_colours(page):
    text = page.text()
    assert all(outcome in text for outcome in ("ERROR", "FAIL", "INCONCLUSIVE", "PASS"))


def test_evidence_is_never_called_a_certificate_of_anything(page):
    assert "complian" not in page.text().lower()
    assert "Evidence for" in page.text()
    assert "Not covered" in page.text()


def test_gaps_are_shown(page):
    text = page.text()
    assert "needs EmbedsWords" in text
    assert "texts truncated to 512 tokens: 3" in text
    assert "no pair is left after removing ties" in text


def test_offensive_items_are_behind_a_click(html):
    closed = re.findall(r'<details class="sensitive">.*?</details>', html, re.S)
    assert closed
    assert all("offensive" in part.split("</summary>")[0] for part in closed)
    everywhere = html.count("what is not theirs")
    assert everywhere == sum(part.count("what is not theirs") for part in closed) > 0


def test_random_weights_stand_beside_the_score(make):
    validity = {
        "tie_rate": 0.0125,
        "null": {"mean": 49.5, "sd": 1.25, "values": [48.0, 50.0, 50.5], "n": 99, "seeds": [0, 1, 2]},
    }
    m = Measurement(id="p/g/s", value=61.0, interval=Interval(58, 64), n=300, details={"validity": validity})
    text = Page(render(make([m]))).text()
    assert "49.50 ± 1.25" in text
    assert "3 seeds; n = 99" in text
    assert "1.25 %" in text


def test_planted_script_stays_text(hostile, sample):
    html = render(hostile)
    page = Page(html)
    assert len(page.all("script")) == 1
    assert "<script>document" not in html
    planted = [tag for tag, text in page.texts if sample["HOSTILE"] in text]
    # a title, text inside a chart, table cells, notices, reasons, items, the configuration
    assert {"title", "text", "td", "span", "h1", "li", "th"} <= set(planted)
    assert "script" not in planted


def test_what_files_refuse_does_not_break_the_page(make):
    m = Measurement(
        id="p/g\x00\ud800/s", value=1.0, n=1, interval=Interval(0, 2), details={"extremes": [{"a": "\x1b[0m"}]}
    )
    html = render(make([m], subject={"name": "\x07"}))
    html.encode()
    assert "\ufffd" in html


ODD = [0, "x", [], [3], ["x"], {}, {"null": 3, "agreement": 0.5}, {"null": {"mean": "?", "values": 1}, "tie_rate": "?"}]


@pytest.mark.parametrize("odd", ODD)
def test_details_of_an_unexpected_shape_cost_nothing_else(make, odd):
    details = dict.fromkeys(("validity", "extremes", "points", "reason", "data_sha256"), odd)
    m = Measurement(id="p/g/s", value=1.25, n=1, interval=Interval(0.5, 2), details=details)
    assert "0.50 to 2.00" in Page(render(make([m]))).text()


def test_different_ideals_get_no_common_line(make):
    def figure(*ideals):
        found = [
            Measurement(id=f"p/{i}/s", value=1.0, n=1, interval=Interval(0, 2), ideal=x) for i, x in enumerate(ideals)
        ]
        return sections.sections(make(found))[0].figures[0]

    assert figure(0.0, 0.0).ideal == "0"
    assert figure(0.0, 50.0).ideal == ""


def test_the_score_with_a_validity_block_is_drawn_first(make):
    other = Measurement(id="p/all/quality", value=1.0, n=1, interval=Interval(0, 2))
    score = Measurement(
        id="p/all/bias", value=1.0, n=1, interval=Interval(0, 2), details={"validity": {"tie_rate": 0.0}}
    )
    assert sections.sections(make([other, score]))[0].figures[0].caption == "Bias"


def test_a_probe_that_did_not_run_is_told_once_not_as_a_finding(make):
    crashed = Measurement(id="weat", value=None, status="error", details={"reason": "it crashed"})
    report = make([crashed], runs=[ProbeRun("weat", "error", "it crashed")])
    assert sections.sections(report) == []
    assert Page(render(report)).text().count("it crashed") == 2  # under what is not known, and under coverage


def test_nothing_measured(make):
    runs = [ProbeRun("weat", "error", "it crashed")]
    text = Page(render(make(runs=runs))).text()
    assert text.startswith("Audit of m: ERROR")
    assert "Nothing was measured." in text
    assert "it crashed" in text


def test_foreign_weights_are_a_warning(make):
    m = Measurement(id="p/g/s", value=1.0, n=1, details={"validity": {"weights_sha256": "bb"}})
    html = render(make([m], subject={"weights_sha256": "aa"}))
    assert "1 of 1 scores come from other weights" in html


def test_without_charts_a_probe_still_has_its_table(make):
    m = Measurement(id="mask_fill/all/top", value=0.25, n=7, details={"first word": "nurse"})
    page = Page(render(make([m])))
    assert [attrs for attrs in page.all("svg") if attrs.get("role") == "img"] == []
    assert "first word: nurse" in page.text()


def test_failed_metrics_are_drawn_even_where_many_are_not(make):
    many = [
        Measurement(id=f"p/{g}/metric_{i}", value=1.0 * i, interval=Interval(i - 0.5, i + 0.5), n=9)
        for i in range(6)
        for g in ("a", "b")
    ]
    report = make(many, rules=[{"measurement": "p/a/metric_5", "max": 1}])
    (section,) = sections.sections(report)
    assert [figure.caption for figure in section.figures] == [
        "Metric 0 by category",
        "Metric 5 by category",
        "Metric 1 by category",
    ]
    assert [figure.primary for figure in section.figures] == [True, True, False]
    assert {row.metric for row in section.other.rows} == {"metric_2", "metric_3", "metric_4"}
    assert section.outcome == "FAIL"


def test_large_reports_stay_small(make):
    """The budget of a full audit: 150 measurements, all with long extreme items, in 15 probes."""
    extremes = [{"a": "x" * 5000, "b": f"{i} " * 900, "score": 1.0, "group": "g"} for i in range(20)]
    measurements = [
        Measurement(
            id=f"probe_{p}/group_{g}/score", value=50.0, interval=Interval(40, 60), n=9, details={"extremes": extremes}
        )
        for p in range(15)
        for g in range(10)
    ]
    html = render(make(measurements))
    assert len(html.encode()) <= 600_000
    assert "8 more are in the JSON report" in html


def test_to_html_writes_what_render_returns(report, html, tmp_path):
    assert report.to_html(tmp_path / "sub" / "r.html").read_text(encoding="utf-8") == html


def test_saved_and_loaded_report_gives_the_same_page(report, html, tmp_path):
    assert render(AuditReport.load(report.save(tmp_path / "r.json"))) == html
