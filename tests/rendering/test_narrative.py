from dataclasses import replace

import pytest

from auditkit.measurement import Interval, Measurement
from auditkit.rendering.descriptions import describe
from auditkit.rendering.narrative import failures, headline, subject_of, unknowns, weights_note
from auditkit.report import ProbeRun


def m(id="crows_pairs/gender/metric_score", value=60.0, half=2.0, **more):
    interval = None if value is None else Interval(value - half, value + half)
    return Measurement(id=id, value=value, interval=interval, n=100, unit="%", **more)


def rule(limit, id="crows_pairs/gender/metric_score", **more):
    return {"measurement": id, "max": limit, **more}


def test_headline_without_a_gate_claims_nothing(make):
    assert headline(make([m()]).verdicts).startswith("No rule was given, so nothing is judged")


def test_headline_of_a_pass(make):
    assert headline(make([m()], rules=[rule(70)]).verdicts).startswith("The only check passed")
    assert headline(make([m()], rules=[rule(70), rule(80)]).verdicts).startswith("All 2 checks passed")


def test_headline_counts_and_names_the_worst(make):
    others = [m("stereoset/all/icat"), m("weat/all/effect_size", value=None, status="skipped", details={"reason": "r"})]
    rules = [rule(61), rule(50), rule(70), rule(50, "stereoset/all/icat")]
    text = headline(make([m(), *others], rules=rules).verdicts)
    assert text.startswith("2 of 4 checks failed and 1 could not be decided. The metric score for gender in")
    assert "58 to 62 wholly outside the limit (limit ≤" in text
    with_error = headline(make([m(), *others], rules=[*rules, rule(1, "weat/all/effect_size")]).verdicts)
    assert with_error.startswith(
        "2 of 5 checks failed, 1 could not be decided and 1 could not be judged. The rule on weat"
    )


def test_headline_says_when_nothing_blocks(make):
    text = headline(make([m()], rules=[rule(61, on_inconclusive="warn")]).verdicts)
    assert text.startswith("1 of 1 check could not be decided. None of this blocks.")
    assert "None of this blocks" not in headline(make([m()], rules=[rule(61)]).verdicts)


def test_what_is_not_known(make):
    undefined = m("bbq/age/score", value=None, status="undefined", details={"reason": "no answers"})
    runs = [
        ProbeRun("crows_pairs", "ok"),
        ProbeRun("weat", "skipped", "no word vectors"),
        ProbeRun("x", "error", "boom"),
    ]
    found = unknowns(make([m(), m("lpbs/a/difference"), undefined], rules=[rule(61)], runs=runs))
    assert found[0].startswith("Whether the metric score for gender in")
    assert found[1:3] == [
        "“Word embedding associations (WEAT)” was not measured (skipped): no word vectors",
        "“X” was not measured (error): boom",
    ]
    assert found[3].endswith("has no value (undefined): no answers")
    assert found[4] == "No rule judges 1 of the 3 measurements; the verdict says nothing about them."
    assert len(found) == 5


def test_a_long_list_of_gaps_is_cut_and_says_so(make):
    gaps = [m(f"bbq/{c}/score", value=None, status="undefined", details={"reason": c}) for c in "abcdefghijkl"]
    found = unknowns(make(gaps))
    assert found[-1] == "3 more of this kind, listed below."
    assert len(found) == 10


def test_gaps_of_one_kind_are_one_sentence(make):
    reasons = ["3 people", "8 people", "no answers"]
    gaps = [
        m(f"bbq/group_{i}/score", value=None, status="undefined", details={"reason": reason})
        for i, reason in enumerate(reasons)
    ]
    first, second = unknowns(make(gaps))
    assert first.startswith("2 measurements of “Questions about people (BBQ)” have no value (undefined): 3 people")
    assert first.endswith("as for the score of group 0")
    assert second.endswith("has no value (undefined): no answers")


def test_each_failure_is_told_once_and_a_pattern_in_one_sentence(make):
    found = failures(make([m(), m("weat/a/score"), m("weat/b/score")], rules=[rule(50), rule(40, "weat/*/score")]))
    assert len(found) == 2
    assert found[0].startswith("The metric score for gender in")
    assert found[1].startswith("The limit ≤\u202f40 on weat/*/score: 2 values failed, first of them the score for a in")
    assert failures(make([m()], rules=[rule(70)])) == []


def test_scores_of_other_weights_are_found(make):
    scores = [m(f"p/{i}/s", details={"validity": {"weights_sha256": "aa"}}) for i in range(3)]
    assert weights_note(make(scores, subject={"weights_sha256": "aa"})).agree
    stranger = replace(scores[1], details={"validity": {"weights_sha256": "bb"}})
    agree, sentence = weights_note(make([scores[0], stranger], subject={"weights_sha256": "aa"}))
    assert not agree
    assert sentence == "1 of 2 scores come from other weights than the subject's, first of them p/1/s."


@pytest.mark.parametrize(
    ("probe", "title"),
    [
        ("weat", "Word embedding associations (WEAT)"),
        ("weat_german", "Word embedding associations (WEAT)"),
        ("weather", "Weather"),
        ("my_own_probe", "My own probe"),
    ],
)
def test_descriptions_go_by_prefix(probe, title):
    assert describe(probe).title == title
    assert describe(probe).question


def test_every_built_in_probe_is_described():
    from auditkit.plugins import BUILTIN_PROBES

    default = describe("no such probe")
    assert [p for p in BUILTIN_PROBES if describe(p).question == default.question] == []


def test_subject_without_parts():
    assert subject_of("odd") == "“odd”"
    assert subject_of("weat/all/effect_size").startswith("the effect size for all items in “Word")
