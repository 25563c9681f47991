"""A model card gets the results of an audit, and loses nothing of what its owner wrote."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard
from hypothesis import given, settings
from hypothesis import strategies as st

from auditkit.cli import main
from auditkit.errors import InputError
from auditkit.measurement import Interval, Measurement
from auditkit.rendering import datasheet, model_card
from auditkit.rendering.model_card import BEGIN, END, update
from auditkit.report import AuditReport, ProbeRun

OWN = """---
# what the Hub needs
license: apache-2.0   # checked by legal
tags: [fill-mask, "café"]
model-index:
- name: My model
  results:
  - task:
      type: fill-mask
    dataset:
      name: GLUE
      type: glue
    metrics:
    - type: accuracy
      value: 0.912
# who made it
authors:
  - A. B.
---

# My model

Some **text** of mine.
"""


def make_report(value=61.25, name="minilm-mlm", reason="no mask") -> AuditReport:
    found = [
        Measurement(
            id="crows_pairs/all/metric_score",
            value=value,
            interval=Interval(value - 3, value + 3),
            n=1508,
            unit="%",
            ideal=50.0,
            seed=7,
        ),
        Measurement(id="crows_pairs/age/metric_score", value=40.0, interval=Interval(30, 50), n=87, unit="%"),
        Measurement(id="crows_pairs/religion/metric_score", value=55.0, interval=Interval(45, 65), n=105, unit="%"),
        Measurement(id="mine/all/gap", value=0.5, n=3, details={"data_sha256": "ef" * 32}),
        Measurement(id="weat", value=None, status="skipped", details={"reason": reason}),
    ]
    report = AuditReport(
        subject={"name": name, "task": "masked-lm", "weights_sha256": "ab" * 32},
        environment={"auditkit": "0.1.0"},
        config={
            "probes": [
                {"crows_pairs": {"id": "crows_pairs", "data": "crows_pairs"}},
                {"mod:Mine": {"id": "mine", "data": "/home/someone/secret/own.csv", "occupations": ""}},
                {"weat": {"id": "weat", "limit": 3}},
            ]
        },
        seed=7,
        runs=[ProbeRun("crows_pairs", "ok"), ProbeRun("mine", "ok"), ProbeRun("weat", "skipped", reason)],
        measurements=found,
        created="2026-01-01T00:00:00+00:00",
    )
    rules = [{"measurement": f"crows_pairs/{group}/metric_score", "max": 60} for group in ("all", "age")]
    return replace(report, verdicts=tuple(report.gate(rules)))


def front(readme):
    return yaml.safe_load(readme.split("---")[1])


def test_results_carry_interval_n_and_verdict():
    card = ModelCard(update("", make_report()))
    found = {result.metric_type: result for result in card.data.eval_results}
    assert list(found) == ["crows_pairs/all/metric_score", "crows_pairs/age/metric_score", "mine/all/gap"]
    first = found["crows_pairs/all/metric_score"]
    assert (first.task_type, first.dataset_type, first.dataset_name) == ("fill-mask", "crows_pairs", "CrowS-Pairs")
    assert first.metric_value == 61.25
    assert first.metric_args == {
        "low": 58.25,
        "high": 64.25,
        "level": 0.95,
        "n": 1508,
        "ideal": 50.0,
        "unit": "%",
        "verdict": "INCONCLUSIVE",
        "seed": 7,
    }
    assert found["mine/all/gap"].metric_args == {"n": 3, "verdict": "not judged"}  # no interval is made up
    assert first.dataset_args["weights_sha256"] == "ab" * 32


def test_the_section_says_verdict_interval_and_what_is_not_known():
    text = model_card.section(make_report())
    assert "INCONCLUSIVE" in text.splitlines()[1]
    assert r"| crows\_pairs/all/metric\_score | 61.25" in text
    assert "58.25 to 64.25 | 1,508 | 50.00 | INCONCLUSIVE |" in text
    assert "3 of 5 measurements" in text
    assert "was not measured (skipped)" in text.replace("\\", "")
    assert "compliant" not in text.lower()


def test_the_datasheet_names_source_licence_hash_and_n():
    crows, mine = datasheet.data_used(make_report())
    assert (crows.title, crows.licence, crows.n) == ("CrowS-Pairs", "CC BY-SA 4.0", 1508)
    assert crows.source.startswith("Nangia")
    assert crows.sha256 == ("dfb36986ce0502abbaf7055b9176da3d08d48e07df1251991b5dfbcbceab9d0c",)
    assert (mine.name, mine.licence, mine.n, mine.sha256) == ("own.csv", "", 3, ("ef" * 32,))
    table = "\n".join(datasheet.table(make_report()))
    assert "someone" not in table
    assert "not known to auditkit" in table


def test_what_the_owner_wrote_stays_to_the_letter():
    new = update(OWN, make_report())
    before, after = OWN.split("model-index:\n")
    assert new.startswith(before)
    kept_lines = after.split("# who made it")[1]
    assert new[new.index("# who made it") :].startswith("# who made it" + kept_lines)
    assert front(new) | {"model-index": 0} == front(OWN) | {"model-index": 0}
    (model,) = front(new)["model-index"]
    assert model["name"] == "My model"
    assert model["results"][0] == front(OWN)["model-index"][0]["results"][0]
    assert len(model["results"]) == 3


def test_an_update_replaces_the_last_one_and_repeats_to_the_byte():
    once = update(OWN, make_report())
    assert update(once, make_report()) == once
    again = update(once, make_report(value=44.5))
    assert again == update(OWN, make_report(value=44.5))
    assert "61.25" not in again
    moved = once.replace("# My model", "# Renamed").replace(END, f"{END}\n\n## Below\n\nmine too")
    assert update(moved, make_report()) == moved


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n#-|<>`*"), max_size=200)


@given(TEXT, TEXT, st.sampled_from(["\n", "\r\n"]), st.booleans())
@settings(deadline=None, max_examples=60)
def test_whatever_the_body_holds_it_is_kept(above, below, newline, with_front):
    body = (above + "\n# x\n" + below).lstrip("\ufeff")
    if body.lstrip().startswith("---"):
        body = "x" + body
    text = ("---\nlicense: mit\n---\n" if with_front else "") + body
    text = text.replace("\n", newline)
    new = update(text, make_report())
    assert update(new, make_report()) == new
    start, stop = new.index(BEGIN), new.index(END) + len(END)
    without = new[:start].removesuffix(newline) + new[stop:].removeprefix(newline)
    assert without.endswith(body.replace("\n", newline)) or without.removesuffix(newline).endswith(
        body.replace("\n", newline)
    )


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_a_byte_order_mark_stay(newline, mark):
    new = update(mark + OWN.replace("\n", newline), make_report())
    assert new.startswith(mark + "---" + newline)
    assert (new.count("\r\n") == new.count("\n")) == (newline == "\r\n")
    assert new.replace("\r\n", "\n").removeprefix(mark) == update(OWN, make_report())


@pytest.mark.parametrize(
    ("readme", "message"),
    [
        ("---\nlicense: mit\n# no end\n", "opened by --- but not closed"),
        ("---\nlicense: [mit\n---\n", "not YAML"),
        ("---\n- a\n- b\n---\n", "is a list; expected keys and values"),
        ("---\nmodel-index: 3\n---\n", "model-index is damaged"),
        ("---\nmodel-index: [{name: a}]\n---\n", "model-index is damaged"),
        ("---\nmodel-index: [3]\n---\n", "model-index is damaged"),
        ("---\n{license: mit, model-index: []}\n---\n", "cannot replace 'model-index'"),
        ("---\nmodel-index: []\na: 1\nmodel-index: []\n---\n", "cannot replace 'model-index'"),
        (
            "---\nmodel-index:\n- name: a\n  results:\n  - task: {type: x}\n    metrics: []\n---\n",
            "Hugging Face cannot",
        ),
        (f"# x\n{BEGIN}\n", "expected <!-- auditkit:begin --> once"),
        (f"# x\n{END}\n{BEGIN}\n", "once below it"),
        (f"{BEGIN}{END}{BEGIN}{END}", "once"),
    ],
)
def test_a_broken_card_is_refused_in_one_line(readme, message):
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        update(readme, make_report())
    assert "\n" not in str(caught.value)


HOSTILE = f"<script>alert(1)</script>\n---\n{END} | [x](javascript:y) \x1b[31m \u202e \u2028 `a` ${{{{x}}}} : - #"


def test_hostile_texts_are_inert():
    report = make_report(name=HOSTILE, reason=HOSTILE)
    odd = Measurement(id=f"p/all/{HOSTILE}", value=1.0, interval=Interval(0, 2), n=1)
    report = replace(report, measurements=(*report.measurements, odd))
    new = update(OWN, report)
    body = new[new.index(BEGIN) :]
    assert "<script" not in body
    assert body.count(END) == 1
    assert "\x1b" not in new
    assert "\u202e" not in new
    assert "](javascript" not in body
    assert update(new, report) == new
    assert front(OWN) | {"model-index": 0} == front(new) | {"model-index": 0}


def test_a_megabyte_of_text_is_shortened():
    new = update("", make_report(name="x" * 1_000_000, reason="y" * 1_000_000))
    assert len(new) < 50_000
    assert update(new, make_report(name="x" * 1_000_000, reason="y" * 1_000_000)) == new


def test_a_card_is_written_without_torch_or_the_network(tmp_path):
    import subprocess
    import sys

    path = make_report().save(tmp_path / "report.json")
    code = """
import socket, sys
socket.socket.connect = lambda *_: sys.exit("the network was asked")
from auditkit.cli import main
try:
    main(sys.argv[1:])
except SystemExit as e:
    print(e.code or 0, [m for m in ("torch", "transformers", "pandas", "pyarrow") if m in sys.modules])
"""
    call = [sys.executable, "-c", code, "card", str(path), "--readme", str(tmp_path / "README.md")]
    root = Path(__file__).parents[2]
    done = subprocess.run(call, capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.splitlines()[-1] == "0 []"


def test_from_the_command_line(tmp_path, capsys):
    report, readme = make_report().save(tmp_path / "report.json"), tmp_path / "README.md"

    def card():
        with pytest.raises(SystemExit) as caught:
            main(["card", str(report), "--readme", str(readme)])
        return caught.value.code or 0

    assert card() == 0  # made where there is none
    assert ModelCard.load(readme).data.eval_results
    assert "# minilm\\-mlm" in readme.read_text()
    readme.write_bytes(OWN.replace("\n", "\r\n").encode())
    assert card() == 0
    assert readme.read_bytes().count(b"\r\n") == readme.read_bytes().count(b"\n")
    readme.write_text("---\nbroken: [\n---\n")
    capsys.readouterr()
    assert card() == 2
    assert readme.read_text() == "---\nbroken: [\n---\n"
    error = capsys.readouterr().err
    assert (error.count("\n"), f"{readme}: the front matter is not YAML" in error) == (1, True)
