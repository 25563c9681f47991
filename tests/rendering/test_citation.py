"""Anchors, citations and commands: stable, injective, safe in a shell, and naming what a reader needs."""

import shlex
from dataclasses import replace
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit import config
from auditkit.measurement import Interval, Measurement
from auditkit.rendering import citation, html
from auditkit.report import ProbeRun


def m(id="p/g/s", *, method="as in the paper", by="Wilson, n=12", source="A 2020", seed=0, **more):
    interval = Interval(0, 1, method=by)
    return Measurement(id=id, value=0.5, interval=interval, n=12, method=method, source=source, seed=seed, **more)


def test_an_anchor_is_the_name_itself_where_it_can_be():
    assert citation.anchor("crows_pairs/gender/metric_score") == "m-crows_pairs/gender/metric_score"
    assert citation.anchor("p/sex=Female+age=65 and over/s") == "m-p/sex=Female+age=65%20and%20over/s"


@given(st.text(min_size=1), st.text(min_size=1))
def test_anchors_are_one_to_one_and_have_no_character_that_a_page_or_a_link_minds(a, b):
    one, other = citation.anchor(a), citation.anchor(b)
    assert (one == other) == (a == b)
    assert one.isascii()
    assert not set(one) & set(" \t\n\f\"'<>`#?&")
    if len(a) <= citation.LONGEST_ID:
        assert unquote(one.removeprefix("m-")) == a


def test_a_megabyte_of_a_name_has_a_short_anchor_of_its_own():
    a, b = (citation.anchor("x" * 1_000_000 + end) for end in "ab")
    assert a != b
    assert len(a) < 200
    citation.anchor("\ud800")


def test_what_all_ways_of_a_probe_share_is_said_once():
    found = citation.origins(
        "p", [m("p/a/rate"), m("p/b/rate", by="Wilson, n=99"), m("p/a/gap", method="largest less")]
    )
    assert [(way.metrics, way.text) for way in found.ways] == [
        ("rate", "As in the paper"), ("gap", "Largest less"),
    ]  # fmt: skip
    assert found.shared == "Probe p; interval: Wilson; A 2020; seed 0"


def test_one_way_alone_is_said_whole():
    (way,) = citation.origins("p", [m()]).ways
    assert way.text == "As in the paper; interval: Wilson; A 2020; seed 0"


def test_a_fingerprint_changes_with_every_digit_and_not_with_the_clock(make):
    report = make([m()], runs=[ProbeRun("p", "ok", seconds=1.0)])
    same = replace(report, runs=[ProbeRun("p", "ok", seconds=9.0)], created="2099-12-31T00:00:00+00:00")
    other = replace(report, measurements=[replace(m(), value=0.5000000001)])
    assert citation.fingerprint(report) == citation.fingerprint(same) != citation.fingerprint(other)
    assert citation.fingerprint(report)[:16] in citation.of_report(report)


def test_the_command_is_what_the_configuration_reads(make, tmp_path):
    report = make([m("lpbs/a/s")], runs=[ProbeRun("bbq", "ok"), ProbeRun("lpbs", "ok")])
    entries = [{"bbq": {}}, {"lpbs": {"model": "it's $HOME; rm -rf *"}}]
    report = replace(report, seed=3, config={"model": {"spec": "m"}, "probes": entries})
    words = shlex.split(citation.command(report, "lpbs"))
    assert words[:3] == ["auditkit", "run", "audit.yaml"]
    overrides = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
    with pytest.raises(config.ConfigError) as e:  # read, and refused only for an option that this probe does not have
        config.load(_file(tmp_path), overrides=overrides)
    assert "lpbs" in str(e.value)
    assert overrides[0] == "seed=3"


def test_a_command_repeats_the_run_where_the_probe_is_not_told_apart(make):
    report = make([m()], runs=[ProbeRun("p", "ok")])
    assert citation.command(report, "p") == "auditkit run audit.yaml --set seed=0 --out repeated"
    long = replace(report, config={"probes": [{"p": {"texts": "x" * 5_000}}]})
    assert "probes" not in citation.command(long, "p")


@pytest.mark.parametrize(
    "options",
    [
        {"texts": {"given": 3, "sha256": "ab"}},
        {"methods": [{"auditkit.mitigation.fine_tuning:DropoutFineTuning": {"steps": 60}}]},
        {"options": "Comparison(task=Task(...))"},
    ],
    ids=["texts", "objects", "no JSON form"],
)
def test_no_command_is_given_for_what_no_file_can_hold(make, options):
    report = make([m("a/x/s"), m("b/x/s")], runs=[ProbeRun("a", "ok"), ProbeRun("b", "ok")])
    report = replace(report, config={"probes": [{"a": options}, {"b": {"texts": "texts.txt", "points": ["int8"]}}]})
    assert citation.from_python(report)
    assert citation.command(report, "a") == ""
    assert "auditkit run" in citation.command(report, "b")
    long = replace(report, config={"probes": [{"a": options}, {"b": {"texts": "x" * 5_000}}]})
    assert citation.command(long, "b") == ""  # it would repeat the whole run, a included
    page = html.render(report)
    assert page.count("auditkit run audit.yaml") == 1  # that of b
    assert "called from Python" in page
    assert "repeat the call from Python" in page


def _file(folder):
    path = folder / "audit.yaml"
    path.write_text("model: minilm-mlm\nprobes: [bbq]\n")
    return path
