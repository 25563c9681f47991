"""The section of the page and the command."""

import json
import re
from html import unescape

import pytest

from auditkit.cli import main
from auditkit.evidence import frameworks
from auditkit.measurement import Measurement
from auditkit.rendering.descriptions import describe
from auditkit.rendering.html import render

CLAIMS = re.compile(r"\bcompl(y|ies|ied|iant|iance)\b|conform", re.I)


def section(html):
    found = re.search(r'<section aria-labelledby="clauses">.*?</section>', html, re.S)
    return found[0] if found else ""


def text(html):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


@pytest.fixture(scope="module")
def html(sample):
    return render(sample())


@pytest.fixture(scope="module")
def part(html):
    return section(html)


def test_a_small_section_with_every_clause(part):
    assert len(part.encode()) <= 40_000
    said = text(part)
    for f in frameworks():
        assert part.count(f"<summary>{f.title}: evidence for ") == 1
        assert f.dates.replace("  ", " ") in said
        assert all(f'<th scope="row">{clause.id}</th>' in part for clause in f.clauses)
    assert part.count("<tr>") - part.count("<thead><tr>") == sum(len(f.clauses) for f in frameworks())


def test_it_is_the_last_section_but_the_glossary_and_in_the_outline(html, part):
    assert html.index('<h2 id="methods">') < html.index(part)
    after = html[html.index(part) + len(part) :]
    assert re.findall(r'<section aria-labelledby="(\w+)"', after) == ["glossary"]
    assert '<a href="#clauses">' in html


def test_the_caveat_is_said(part):
    assert "does not mean that the clause is met" in text(part)


def test_nothing_claims_that_a_clause_is_met(part):
    assert CLAIMS.findall(text(part)) == []


def test_links_lead_to_the_sections_of_the_probes(html, part):
    targets = dict(re.findall(r'<a href="#(probe-\d+)">([^<]+)</a>', part))
    assert set(targets.values()) >= {"crows_pairs", "membership", "exposure"}
    for section_id, probe in targets.items():
        heading = re.search(rf'<section class="probe" id="{section_id}".*?<h3 [^>]*>(.*?)</h3>', html, re.S)[1]
        assert text(heading).startswith(describe(probe).title)
    assert "crows_pairs</a> 31" in part


def test_statuses_and_verdicts_are_shown(part):
    row = re.search(r'<tr><th scope="row">MEASURE 2\.11</th>.*?</tr>', part, re.S)[0]
    assert "<b>partial</b>" in row
    assert "2 FAIL" in text(row)
    assert "<b>no evidence here</b>" in part
    assert "<b>evidence for</b>" in part


def test_what_probes_wrote_is_escaped(sample):
    part = section(render(sample(hostile=True)))
    assert "&lt;script" in part
    assert "<script" not in part


def test_a_long_name_does_not_fill_the_page(make):
    m = Measurement(id=f"{'x' * 100_000}/all/score", value=1.0, n=1)
    assert len(section(render(make([m])))) <= 40_000


def test_the_same_report_gives_the_same_section(sample, part):
    assert section(render(sample())) == part


@pytest.mark.parametrize("measurements", [[], [Measurement(id="weat/a/effect_size", value=None, status="undefined")]])
def test_no_section_where_nothing_has_a_value(make, measurements):
    html = render(make(measurements))
    assert section(html) == ""
    assert "#clauses" not in html


@pytest.fixture
def saved(sample, tmp_path):
    return str(sample().save(tmp_path / "report.json"))


def run(*args):
    try:
        main(args)
    except SystemExit as e:
        return e.code or 0
    return 0


def test_the_command_shows_every_framework(saved, capsys):
    assert run("evidence", saved) == 0
    shown = capsys.readouterr().out
    assert all(f.title in shown for f in frameworks())
    assert "does not mean that the clause is met" in " ".join(shown.split())
    assert CLAIMS.findall(shown) == []


def test_the_command_shows_the_frameworks_asked_for(saved, capsys):
    assert run("evidence", saved, "--framework", "gdpr", "--framework", "nyc_ll144") == 0
    shown = capsys.readouterr().out
    assert shown.index("GDPR") < shown.index("Local Law 144")
    assert "MEASURE" not in shown


def test_the_command_prints_json(saved, capsys):
    assert run("evidence", saved, "--framework", "gdpr", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert [c["id"] for c in data["clauses"]] == ["Art. 35(7)(c)", "Art. 35(7)(d)"]
    assert "not mean" in data["caveat"]


def test_an_unknown_framework_is_a_usage_error(saved, capsys):
    assert run("evidence", saved, "--framework", "gdp") == 2
    assert "did you mean 'gdpr'" in capsys.readouterr().err
