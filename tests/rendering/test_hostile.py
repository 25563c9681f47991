"""What a model, a dataset or a plug-in wrote stays text in every output: it is shown, it does nothing, and it ends.

Each output of a hostile report is compared with that of a harmless one: the same elements, the same lines.
"""

import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from auditkit import conclusion
from auditkit.console import show_comparison, show_verdicts
from auditkit.live import CountingListener
from auditkit.measurement import Interval, Measurement
from auditkit.rendering.annotations import annotate, render_annotations
from auditkit.rendering.code_quality import render_code_quality
from auditkit.rendering.compare import compare_all
from auditkit.rendering.compare import to_html as compare_html
from auditkit.rendering.compare import to_markdown as compare_markdown
from auditkit.rendering.html import render
from auditkit.rendering.junit import render_junit
from auditkit.rendering.markdown import MAX_BYTES, render_summary
from auditkit.report import AuditReport, ProbeRun

HARMLESS = "word"
HOSTILE = {
    "script": "<script>alert(1)</script>",
    "end of script": "</script><script>alert(1)</script>",
    "css": "</style><style>*{display:none}</style>",
    "svg": "<svg onload=alert(1)><image href=//x/y.png></svg>",
    "attribute": '" onmouseover="alert(1)" x=\'',
    "xml": "]]></system-out><testcase/><!--",
    "template": "{{ 7 * 7 }}{% raw %}",
    "expression": "\\' + datum.x + \\\" + 1/0 + \"\n+ '",
    "markdown": "| a |\n\n# b ![c](//x/y.png) [d](javascript:e) `f` ~~~ <!--",
    "command": "\n::stop-commands::x\r::error::y\r\n::add-mask::z\u2028::debug::w\x85::notice::v%0A",
    "terminal": "\x1b[2J\x1b]0;owned\x07\x9b31m\x08\x7f\x00[bold red]x[/]",
    "right to left": "\u202egnp.exe\u2066x\u2069\u202d",
    "surrogate": "\ud800\udfff\ufffe",
    "megabyte": "x" * 1_000_000,
}
OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def report_with(text):
    """A report that has `text` in every place where someone else's text can stand."""
    m = Measurement(
        id=f"p{text}/g{text}/s{text}",
        value=60.0,
        interval=Interval(55, 65, method=text),
        n=9,
        unit=text,
        ideal=50.0,
        method=text,
        source=text,
        details={"note": text, "data_sha256": text, "extremes": [{"a": text, "b": text, "score": 1.0, "group": text}]},
    )
    none = Measurement(id=f"q{text}", value=None, status="error", details={"reason": text})
    report = AuditReport(
        subject={"name": text, "task": text},
        environment={"library": text},
        config={"probes": [{"spec": text, "options": {"option": text}}, "a:B", "a:C"]},
        seed=0,
        runs=[
            ProbeRun(f"p{text}", "ok", notices={text: 3}),
            ProbeRun(f"q{text}", "error", text),
            ProbeRun(f"r{text}", "skipped", text),
        ],
        measurements=[m, none],
        created="2026-01-01T00:00:00+00:00",
    )
    rules = [{"measurement": id, "max": 50, "reason": text} for id in (m.id.replace("[", "?"), f"absent{text}")]
    return replace(report, verdicts=tuple(report.gate(rules)))


def comparisons(report):
    other = report_with("else")
    return compare_all([report, replace(report, subject=other.subject), other])


def history(report):
    from datetime import UTC, datetime

    from auditkit.history import Entry, History, LeftOut
    from auditkit.rendering.history import to_html

    path = str(report.subject["name"])
    return to_html(History(path, [Entry(path, datetime(2026, 1, 1, tzinfo=UTC), report)], [LeftOut(path, path)]))


def live(report):
    listener = CountingListener()
    listener.run_started(report.subject, ["p"])
    for run in report.runs:
        listener.probe_finished(run, [], reused=False)


SHOWN = {
    "verdicts": lambda report: show_verdicts(report, report.verdicts),
    "comparison": lambda report: [show_comparison(c) for c in comparisons(report)],
    "progress": live,
}
HTML = {"report": render, "compare": lambda report: compare_html(*comparisons(report)), "history": history}
MARKDOWN = {"summary": render_summary, "compare": lambda report: compare_markdown(*comparisons(report))}
texts = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)


class Elements(HTMLParser):
    """The kinds of elements with the names of their attributes, and how many scripts and styles there are."""

    def __init__(self, html):
        super().__init__()
        self.kinds, self.counts = set(), Counter()
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.kinds |= {(tag, name) for name, _ in attrs} | {(tag, None)}
        self.counts[tag] += 1


def harmless_to_read(text, limit):
    assert not OBEYED.search(text)
    assert len(text.encode()) <= limit


@texts
@pytest.mark.parametrize("page", HTML)
def test_html(page, text):
    html = HTML[page](report_with(text))
    harmless_to_read(re.sub("[\r\u2028]", " ", html), 3_000_000)  # white space in HTML
    found, allowed = Elements(html), Elements(HTML[page](report_with(HARMLESS)))
    assert found.kinds <= allowed.kinds
    assert (found.counts["script"], found.counts["style"]) == (1, 1)


@texts
@pytest.mark.parametrize("page", MARKDOWN)
def test_markdown(page, text):
    found, harmless = (MARKDOWN[page](report_with(t)) for t in (text, HARMLESS))
    harmless_to_read(found, MAX_BYTES)
    assert len(found.splitlines()) == len(harmless.splitlines())
    assert "<" not in found
    special = re.compile(r"(?<!\\)(?:\\\\)*[|`\[\]!~]")
    assert [len(special.findall(line)) for line in found.splitlines()] == [
        len(special.findall(line)) for line in harmless.splitlines()
    ]


@texts
def test_junit(text):
    found, harmless = (ElementTree.fromstring(_junit(report_with(t))) for t in (text, HARMLESS))
    harmless_to_read(_junit(report_with(text)), 100_000)
    assert [e.tag for e in found.iter()] == [e.tag for e in harmless.iter()]
    assert [list(e.attrib) for e in found.iter()] == [list(e.attrib) for e in harmless.iter()]


def _junit(report):
    return render_junit(report)


@texts
def test_annotations(text):
    found, harmless = (render_annotations(annotate(report_with(t)), "audit.yaml") for t in (text, HARMLESS))
    harmless_to_read(found, 100_000)
    assert len(found.split("\n")) == len(harmless.split("\n"))
    one = r"::(error|warning|notice) title=[^:,]*,file=audit\.yaml,line=1::[^\r\n]*"
    assert all(re.fullmatch(one, line) for line in found.splitlines())


@texts
def test_code_quality(text):
    found, harmless = (render_code_quality(report_with(t), "audit.yaml") for t in (text, HARMLESS))
    harmless_to_read(found, 100_000)
    assert [issue["severity"] for issue in json.loads(found)] == [issue["severity"] for issue in json.loads(harmless)]
    assert all(not OBEYED.search(issue["description"]) for issue in json.loads(found))


@texts
def test_json(text):
    """JSON holds the text itself, but escaped, so that a terminal sees nothing of it."""
    report = report_with(text)
    dumped = json.dumps(conclusion.to_json(report, 3), indent=1)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x80-\U0010ffff]", dumped)
    assert json.loads(dumped)["verdicts"][0]["rule"]["reason"] == json.loads(json.dumps(text))


@texts
@pytest.mark.parametrize("what", SHOWN)
def test_terminal(what, text, capsys):
    SHOWN[what](report_with(text))
    shown = "".join(capsys.readouterr())
    harmless_to_read(shown, 500_000)
    assert not re.search(r"^\s*::", shown, re.M)  # GitHub reads such a line as a command
    assert "[bold red]" in re.sub(r"[\s│]", " ", shown) or "[bold" not in text or what != "progress"


@texts
def test_a_report_is_saved_and_loaded_as_it_is(text, tmp_path):
    report = report_with(text)
    loaded = AuditReport.load(report.save(tmp_path / "report.json"))
    assert json.dumps(loaded.to_json()) == json.dumps(report.to_json())
