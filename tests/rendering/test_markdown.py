import re

from auditkit.measurement import Interval, Measurement
from auditkit.rendering.markdown import MAX_BYTES, escape, render_summary, table, within


def test_summary_says_the_verdict_first(report):
    text = render_summary(report)
    assert text.startswith("## ⚠️ ERROR: audit of minilm\\-mlm\n")
    assert text.index("could not be judged") < text.index("| Verdict |") < text.index("### What is not known")
    assert "| crows\\_pairs/race\\_color/metric\\_score |" in text


def test_rows_have_as_many_cells_as_the_header(hostile):
    """However hostile, a text cannot open a new cell or line."""
    widths = set()
    for block in re.findall(r"(?:^\|.*\|\n)+", render_summary(hostile), re.M):
        widths.add(tuple({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}))
    assert widths == {(8,), (6,)}


def test_nothing_of_a_model_is_markup(hostile):
    text = render_summary(hostile)
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_escape():
    assert escape("a|b\n\n# c <i>*d*</i> `e` [f](g)\x00") == (
        "a\\|b \\# c &lt;i&gt;\\*d\\*&lt;/i&gt; \\`e\\` \\[f\\]\\(g\\)\ufffd"
    )
    assert table(("A",), [("x|y",)]) == ["| A |", "| --- |", "| x\\|y |"]


def test_no_gate(make):
    text = render_summary(make([Measurement(id="p/g/s", value=1.0, interval=Interval(0, 2), n=5, unit="%", ideal=0)]))
    assert text.startswith("## ⚪ NOT JUDGED")
    assert "| p/g/s | 1.00\N{NARROW NO-BREAK SPACE}% | 0.00 to 2.00 | 5 | 0 |" in text


def test_a_huge_report_fits_and_says_what_is_missing(make):
    many = [Measurement(id=f"p/{'é' * 400}{i}/s", value=1.0, n=1) for i in range(3000)]
    text = render_summary(make(many))
    assert len(text.encode()) <= MAX_BYTES
    left_out = int(re.search(r"(\d+) more lines were left out", text)[1])
    assert left_out + text.count("/s |") == 3000


def test_within_keeps_everything_that_fits():
    assert within(["a", "b"], 1000) == "a\nb\n"


def test_where_everything_is_known_no_gap_is_announced(make):
    m = Measurement(id="p/g/s", value=1.0, interval=Interval(1, 1), n=5)
    text = render_summary(make([m], rules=[{"measurement": "p/g/s", "max": 2}]))
    assert "What is not known" not in text
    assert "### 1 measurement\n" in text
